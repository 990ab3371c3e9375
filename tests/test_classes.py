"""Labels of more than two classes."""

import numpy as np
import pandas as pd
import pytest
from conftest import make, make_data
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn.metrics import log_loss

SMALL = {"hidden_layer_sizes": (16,), "max_epochs": 10, "lr": 0.005}


@pytest.fixture(scope="module")
def graded():
    """Grades "A" to "C" that depend on the group."""
    X, _, group = make_data(3000)
    rng = np.random.default_rng(1)
    grade = np.digitize(X.sum(1) + rng.normal(size=3000), [0, 2])
    return X, np.array(["C", "B", "A"])[grade], group


def train(data, **params):
    X, y, group = data
    return make(**{**SMALL, **params}).fit(X, y, sensitive_features=group)


@pytest.fixture(scope="module")
def plain(graded):
    return train(graded, eta=0)


def differences(clf, data, samples=slice(None)):
    """Return the difference of the selection rates of each class."""
    X, y, group = (part[samples] for part in data)
    return pd.Series(
        {
            label: MetricFrame(
                metrics=selection_rate,
                y_true=y == label,
                y_pred=clf.predict(X) == label,
                sensitive_features=group,
            ).difference()
            for label in clf.classes_
        }
    )


@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_demographic_parity_lowers_the_difference_of_each_class(graded, plain, method):
    X, y, _ = graded
    fair = train(graded, eta=30, method=method)
    assert list(plain.classes_) == ["A", "B", "C"]
    wide = differences(plain, graded)[["A", "C"]]
    assert (differences(fair, graded)[["A", "C"]] < 0.35 * wide).all()
    assert plain.score(X, y) > fair.score(X, y) > 0.45
    assert fair.history_[-1]["decision_difference"] == pytest.approx(
        differences(fair, graded).max(), abs=0.03
    )


def test_equalized_odds_lowers_the_differences_within_each_label(graded, plain):
    X, y, _ = graded
    fair = train(graded, eta=20, constraint="equalized_odds")
    before, after = (
        max(differences(clf, graded, y == label).max() for label in "ABC") for clf in (plain, fair)
    )
    assert after < 0.6 * before
    assert fair.score(X, y) > 0.5


def test_predictions_have_a_column_for_each_class(graded, plain):
    X, y, _ = graded
    probabilities, logits = plain.predict_proba(X), plain.decision_function(X)
    assert probabilities.shape == logits.shape == (3000, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(plain.predict(X), plain.classes_[probabilities.argmax(1)])
    np.testing.assert_array_equal(logits[:5], plain.decision_function(X[:5]))
    assert log_loss(y, probabilities) < 0.9 * np.log(3)


def sum_of_gaps(scores, y, groups):
    assert scores.shape == (len(y), 3)
    rates = scores.T @ groups / groups.sum(0).clamp(min=1)
    return (rates.amax(1) - rates.amin(1)).sum()


@pytest.mark.slow
def test_a_function_takes_the_scores_of_each_class(graded):
    without, fair = (train(graded, eta=eta, constraint=sum_of_gaps) for eta in (0, 1))
    assert fair.history_[-1]["fairness_loss"] < 0.3 * without.history_[-1]["fairness_loss"]


@pytest.mark.parametrize("constraint", ["equal_opportunity", "false_positive_rate_parity"])
def test_criteria_of_one_class_need_two_classes(graded, constraint):
    for form in (constraint, ["demographic_parity", constraint]):
        with pytest.raises(ValueError, match="constraint .* needs two classes.*3 classes"):
            train(graded, constraint=form)


def test_calls_of_partial_fit_may_lack_a_class(graded):
    X, y, group = graded
    clf = make(**SMALL).partial_fit(X, y, list("ABC"), sensitive_features=group)
    few = y != "B"
    clf.partial_fit(X[few], y[few], sensitive_features=group[few])
    assert clf.predict_proba(X).shape == (3000, 3)
    message = r"classes \['A', 'B', 'C'\] and no others, got \['D'\]"
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X, np.where(np.arange(3000) < 2, "D", y), sensitive_features=group)


def test_one_class_for_all_samples_warns(graded):
    with pytest.warns(UserWarning, match="The model predicts '[ABC]' for all 3000 training sam"):
        train(graded, eta=1e4, max_epochs=1, equalize="scores", hidden_layer_sizes=(128, 128))

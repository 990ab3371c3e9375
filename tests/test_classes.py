"""Labels of more than two classes."""

import numpy as np
import pandas as pd
import pytest
from conftest import make_data
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn.metrics import log_loss

from fairbinn_sklearn import FairBiNNClassifier


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 15, "device": "cpu", "random_state": 0, **params})


@pytest.fixture(scope="module")
def graded():
    """Grades "A" to "C" that depend on the group."""
    X, _, group = make_data(4000)
    rng = np.random.default_rng(1)
    grade = np.digitize(X.sum(1) + rng.normal(size=4000), [0, 2])
    return X, np.array(["C", "B", "A"])[grade], group


def differences(clf, data, rows=slice(None)):
    """Of the selection rates of each class."""
    X, y, group = (part[rows] for part in data)
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
def test_demographic_parity_lowers_the_difference_of_each_class(graded, method):
    X, y, group = graded
    plain, fair = (
        make(eta=eta, method=method).fit(X, y, sensitive_features=group) for eta in (0, 30)
    )
    assert list(plain.classes_) == ["A", "B", "C"]
    wide = differences(plain, graded)[["A", "C"]]
    assert (differences(fair, graded)[["A", "C"]] < 0.35 * wide).all()
    assert plain.score(X, y) > fair.score(X, y) > 0.45
    assert fair.history_[-1]["decision_difference"] == pytest.approx(
        differences(fair, graded).max(), abs=0.03
    )


def test_equalized_odds_lowers_the_differences_within_each_label(graded):
    X, y, group = graded

    def widest(eta):
        clf = make(eta=eta, constraint="equalized_odds").fit(X, y, sensitive_features=group)
        return max(differences(clf, graded, y == label).max() for label in "ABC"), clf.score(X, y)

    (before, _), (after, accuracy) = widest(0), widest(20)
    assert after < 0.6 * before
    assert accuracy > 0.5


def test_predictions_have_a_column_a_class(graded):
    X, y, group = graded
    clf = make(max_epochs=3, eta=0).fit(X, y, sensitive_features=group)
    probabilities, logits = clf.predict_proba(X), clf.decision_function(X)
    assert probabilities.shape == logits.shape == (4000, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(1)])
    np.testing.assert_array_equal(logits[:5], clf.decision_function(X[:5]))
    assert log_loss(y, probabilities) < 0.9 * np.log(3)


def scores_per_class(scores, y, groups):
    assert scores.shape == (len(y), 3)
    rates = scores.T @ groups / groups.sum(0).clamp(min=1)
    return (rates.amax(1) - rates.amin(1)).sum()


def test_a_function_gets_the_scores_of_each_class(graded):
    X, y, group = graded
    plain, fair = (
        make(eta=eta, constraint=scores_per_class).fit(X, y, sensitive_features=group)
        for eta in (0, 1)
    )
    assert fair.history_[-1]["fairness_loss"] < 0.3 * plain.history_[-1]["fairness_loss"]


@pytest.mark.parametrize("constraint", ["equal_opportunity", "false_positive_rate_parity"])
def test_criteria_of_one_class_say_that_they_need_two(graded, constraint):
    X, y, group = graded
    for form in (constraint, ["demographic_parity", constraint]):
        with pytest.raises(ValueError, match="constraint .* needs two classes.*3 classes"):
            make(constraint=form).fit(X, y, sensitive_features=group)


def test_parts_may_lack_classes(graded):
    X, y, group = graded
    clf = make().partial_fit(X, y, list("ABC"), sensitive_features=group)
    few = y != "B"
    clf.partial_fit(X[few], y[few], sensitive_features=group[few])
    assert clf.predict_proba(X).shape == (4000, 3)
    with pytest.raises(
        ValueError, match=r"classes \['A', 'B', 'C'\] and no others, got \['D', 'D'"
    ):
        clf.partial_fit(X, np.where(np.arange(4000) < 2, "D", y), sensitive_features=group)


def test_one_class_for_everybody_is_told(graded):
    X, y, group = graded
    with pytest.warns(UserWarning, match="The model predicts 4000 training rows are '[ABC]'"):
        make(eta=1e4, max_epochs=2, batch_size=256, equalize="scores").fit(
            X, y, sensitive_features=group
        )

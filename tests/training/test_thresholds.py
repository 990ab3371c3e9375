"""The threshold of decisions: a number, or as many positive predictions as positive labels."""

import numpy as np
import pytest
from conftest import fit, make, make_data
from fairlearn.metrics import demographic_parity_difference, selection_rate
from sklearn.base import clone

from fairbinn_sklearn import fairness_path
from fairbinn_sklearn._training.thresholds import threshold_at_rate
from fairbinn_sklearn.metrics import FairnessScorer


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("pos_label", [0, 1])
def test_predict_and_training_use_the_threshold(biased, threshold, pos_label):
    X, y, group = biased
    clf = fit(biased, eta=0.1, max_epochs=5, threshold=threshold, pos_label=pos_label)
    column = clf.predict_proba(X)[:, pos_label]
    selected = clf.predict(X) == clf.classes_[pos_label]
    np.testing.assert_array_equal(selected, column > threshold)
    assert clf.threshold_ == threshold
    assert clf.score(X, y) == np.mean(clf.predict(X) == y)
    # The last running difference is that of the decisions at the threshold.
    difference = demographic_parity_difference(y, clf.predict(X), sensitive_features=group)
    at_half = np.abs(np.subtract(*[np.mean(column[group == g] > 0.5) for g in np.unique(group)]))
    running = clf.history_[-1]["decision_difference"]
    assert abs(running - difference) < 0.05
    if threshold != 0.5:
        assert abs(running - at_half) > abs(running - difference)
    score = FairnessScorer()(clf, X, y, sensitive_features=group)
    assert -score == pytest.approx(difference)


@pytest.mark.parametrize("pos_label", [0, 1])
def test_rate_selects_as_many_samples_as_have_positive_labels(biased, pos_label):
    X, y, group = biased
    clf = fit(biased, eta=10, max_epochs=5, threshold="rate", pos_label=pos_label)
    predicted = clf.predict(X)
    assert abs(selection_rate(y, predicted) - np.mean(y == 1)) < 1.5 / len(y)
    column = clf.predict_proba(X)[:, pos_label]
    assert np.mean((column > clf.threshold_) == (predicted == pos_label)) > 1 - 2 / len(y)


def test_rate_counts_weights(biased):
    X, y, group = biased
    weight = np.where(y == 1, 3.0, 1.0)
    clf = make(eta=1, max_epochs=5, threshold="rate")
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    expected = np.average(y == 1, weights=weight)
    assert abs(np.average(clf.predict(X), weights=weight) - expected) < 5 / weight.sum()


def test_each_point_of_a_path_has_a_threshold(biased):
    X, y, group = biased
    estimator = make(max_epochs=4, threshold="rate")
    path = fairness_path(X, y, group, etas=[0, 1, 10], estimator=estimator, warm_start=False)
    for point in path:
        alone = clone(point).fit(X, y, sensitive_features=group)
        assert alone.threshold_ == pytest.approx(point.threshold_, abs=1e-6)
        assert np.mean(point.predict(X)) == pytest.approx(np.mean(y), abs=1.5 / len(y))


@pytest.mark.parametrize(
    "logits, rate, n_above",
    [
        ([3.0, 1.0, 2.0, 0.0], 0.5, 2),
        ([3.0, 1.0, 2.0, 0.0], 0.0, 0),
        ([3.0, 1.0, 2.0, 0.0], 1.0, 4),
        ([1.0, 1.0, 1.0, 0.0], 0.6, 3),  # nearer than nobody
        ([1.0, 1.0, 1.0, 0.0], 0.3, 0),
        ([2.0, 2.0 + 1e-7, 2.0, 2.0], 0.25, 0),  # equal up to rounding
        ([2.0, 2.0, 2.0, 2.0], 0.75, 4),
    ],
)
def test_threshold_at_a_rate(logits, rate, n_above):
    logits = np.array(logits)
    threshold = threshold_at_rate(logits, np.ones(4), rate)
    assert np.sum(logits > threshold) == n_above
    assert np.abs(logits - threshold).min() > 1e-3
    assert np.sum(-logits > threshold_at_rate(-logits, np.ones(4), 1 - rate)) == 4 - n_above


def test_tied_predictions_are_selected_together():
    X = np.eye(3)[np.repeat([0, 1, 2], [11, 39, 50])]
    y = (X[:, 0] == 1) & (np.arange(100) > 0)
    group = np.arange(100) % 2
    clf = make(eta=0.1, max_epochs=30, threshold="rate").fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(clf.predict(X), X[:, 0] == 1)


def test_more_than_two_classes_have_no_threshold():
    data = make_data(n_classes=3)
    X, y, group = data
    assert fit(data, max_epochs=1).threshold_ is None
    with pytest.raises(ValueError, match="threshold must be 0.5 with 3 classes, got 0.3"):
        make(threshold=0.3).fit(X, y, sensitive_features=group)


@pytest.mark.parametrize("threshold", [0, 1, "top", None])
def test_invalid_thresholds(biased, threshold):
    with pytest.raises(ValueError, match="'threshold' parameter"):
        fit(biased, threshold=threshold)


def test_partial_fit_needs_a_number(biased):
    X, y, group = biased
    with pytest.raises(ValueError, match='got "rate", which needs all samples'):
        make(threshold="rate").partial_fit(X, y, classes=[0, 1], sensitive_features=group)

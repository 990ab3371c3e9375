"""Weights of rows, in the accuracy loss and in the rates of groups."""

import numpy as np
import pytest
from conftest import make_data

from fairbinn_sklearn import FairBiNNClassifier


def make(**params):
    settings = {"max_epochs": 10, "batch_size": 256, "device": "cpu", "random_state": 0}
    return FairBiNNClassifier(**settings | params)


@pytest.fixture(scope="module")
def small():
    return make_data(120)


@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled", "lagrangian"])
@pytest.mark.parametrize(
    "params",
    [{}, {"equalize": "scores"}, {"rate_window": 0}, {"constraint": "equalized_odds"}],
    ids=str,
)
def test_a_weight_of_two_is_a_row_given_twice(small, method, params):
    X, y, group = small
    weight = np.arange(120) % 3
    index = np.repeat(np.arange(120), weight)
    clf = make(eta=10, method=method, **params)
    weighted = clf.fit(X, y, sensitive_features=group, sample_weight=weight).decision_function(X)
    repeated = clf.fit(X[index], y[index], sensitive_features=group[index]).decision_function(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6, atol=1e-7)
    unweighted = clf.fit(X, y, sensitive_features=group).decision_function(X)
    assert not np.allclose(weighted, unweighted, atol=1e-3)


def test_the_scale_of_the_weights_plays_no_part(small):
    X, y, group = small
    scores = [
        make(eta=10)
        .fit(X, y, sensitive_features=group, sample_weight=scale * (1.0 + np.arange(120)))
        .decision_function(X)
        for scale in (1.0, 1e-12, 1e12)
    ]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-5, atol=1e-6)


def test_rows_without_weight_have_no_say_in_the_rates():
    """The rows that make the gap weigh nothing: eta finds nothing to lower."""
    X, y, group = make_data(2000)
    y = (X[:, 1:].sum(1) > 0).astype(int)  # no gap
    gap = np.arange(2000) % 2 == 0
    y[gap] = (group[gap] == "b").astype(int)  # but in these rows
    weight = np.where(gap, 0.0, 1.0)
    scores = [
        make(eta=eta, max_epochs=5)
        .fit(X, y, sensitive_features=group, sample_weight=weight)
        .history_[-1]["decision_difference"]
        for eta in (0, 20)
    ]
    assert max(scores) < 0.1
    assert make(eta=0).fit(X, y, sensitive_features=group).history_[-1]["decision_difference"] > 0.3


def test_class_weight_enters_the_accuracy_loss_alone(small):
    X, y, group = small
    by_class = make(eta=10, class_weight={0: 1, 1: 3}).fit(X, y, sensitive_features=group)
    by_row = make(eta=10).fit(X, y, sensitive_features=group, sample_weight=1 + 2.0 * y)
    assert by_class.history_[0]["loss"] == pytest.approx(by_row.history_[0]["loss"])
    assert by_class.history_[0]["score_difference"] != by_row.history_[0]["score_difference"]


def test_balanced_classes_count_the_weights(small):
    X, y, group = small
    weight = np.where(y == 1, 2.0, 1.0)
    counts = weight[y == 0].sum(), weight[y == 1].sum()
    explicit = {label: weight.sum() / 2 / count for label, count in enumerate(counts)}
    scores = [
        make(class_weight=weights)
        .fit(X, y, sensitive_features=group, sample_weight=weight)
        .decision_function(X)
        for weights in ("balanced", explicit)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)


def test_partial_fit_takes_weights_as_they_are(small):
    X, y, group = small
    clf = make(rate_window=10**9)
    for scale in (1.0, 5.0):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group, sample_weight=np.full(120, scale))
    assert float(clf.net_.criterion_.counts.sum()) == pytest.approx(720)
    assert clf.history_[1]["loss"] > 3 * clf.history_[0]["loss"]


def test_early_stopping_keeps_weights_with_their_rows(small):
    X, y, group = small
    weight = np.where(np.arange(120) % 2, 1.0, 1e-9)
    clf = make(early_stopping=True, validation_fraction=0.25, max_epochs=4)
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    assert all(np.isfinite(record["validation_objective"]) for record in clf.history_)


@pytest.mark.parametrize(
    "weight, message",
    [
        (np.ones(119), "sample_weight"),
        (-np.ones(120), "Negative values in data passed to `sample_weight`"),
        (np.zeros(120), "Sample weights must contain at least one non-zero"),
        (np.full(120, np.nan), "sample_weight contains NaN"),
        (np.ones((120, 2)), "Sample weights must be 1D|sample_weight"),
    ],
)
def test_weights_that_cannot_be(small, weight, message):
    X, y, group = small
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, sensitive_features=group, sample_weight=weight)


def test_functions_as_constraint_know_no_weights(small):
    X, y, group = small
    clf = make(constraint=lambda scores, y, groups: (scores @ groups).var())
    clf.fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="sample_weight cannot be used with a function"):
        clf.fit(X, y, sensitive_features=group, sample_weight=np.ones(120))

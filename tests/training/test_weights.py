"""Weights of samples and classes, in the accuracy loss and in the rates of groups."""

import numpy as np
import pytest
import torch
from conftest import fit, make, make_data
from sklearn.utils import check_random_state

from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._data.labels import split_validation


@pytest.fixture(scope="module")
def small():
    return make_data(120)


def scores(clf, data, **fit_params):
    X, y, group = data
    return clf.fit(X, y, sensitive_features=group, **fit_params).decision_function(X)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"method": "alternating", "equalize": "scores"},
        {"method": "unrolled", "constraint": "equalized_odds"},
        {"method": "lagrangian", "rate_window": 0},
        {"method": "unrolled", "rate_window": 0},
    ],
    ids=str,
)
def test_a_weighted_sample_counts_as_repeated_samples(small, params):
    X, y, group = small
    weight = np.arange(120) % 3
    index = np.repeat(np.arange(120), weight)
    clf = make(eta=10, max_epochs=10, batch_size=256, **params)
    weighted = scores(clf, small, sample_weight=weight)
    clf.fit(X[index], y[index], sensitive_features=group[index])
    np.testing.assert_allclose(weighted, clf.decision_function(X), rtol=1e-6, atol=1e-7)
    assert not np.allclose(weighted, scores(clf, small), atol=1e-3)


def test_the_scale_of_the_weights_has_no_effect(small):
    weight = 1.0 + np.arange(120)
    expected = scores(make(eta=10), small, sample_weight=weight)
    for scale in (1e-12, 1e12):
        scaled = scores(make(eta=10), small, sample_weight=scale * weight)
        np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-6)


def test_class_weight_enters_the_accuracy_loss_only(small):
    X, y, group = small
    by_class = fit(small, batch_size=120, class_weight={0: 1, 1: 3}).history_[0]
    clf = make(batch_size=120).fit(X, y, sensitive_features=group, sample_weight=1 + 2.0 * y)
    by_sample = clf.history_[0]
    assert by_class["loss"] == pytest.approx(by_sample["loss"])
    assert by_class["score_difference"] != by_sample["score_difference"]


def test_balanced_classes_take_sample_weights_into_account(small):
    y = small[1]
    weight = np.where(y == 1, 2.0, 1.0)
    totals = weight[y == 0].sum(), weight[y == 1].sum()
    explicit = {label: weight.sum() / 2 / total for label, total in enumerate(totals)}
    balanced, expected = (
        scores(make(class_weight=class_weight), small, sample_weight=weight)
        for class_weight in ("balanced", explicit)
    )
    np.testing.assert_allclose(balanced, expected, rtol=1e-6)


def test_partial_fit_does_not_scale_weights(small):
    X, y, group = small
    clf = make(rate_window=10**9)
    for scale in (1.0, 5.0):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group, sample_weight=np.full(120, scale))
    assert float(clf.net_.criterion_.counts.sum()) == pytest.approx(720)
    assert clf.history_[1]["loss"] > 3 * clf.history_[0]["loss"]


def numbered_samples(data, sample_weight):
    """Return samples whose only feature is their number."""
    _, y, group = data
    X = np.arange(len(y), dtype=np.float32)[:, None]
    codes = (group == "b")[:, None].astype(int)
    device = torch.device("cpu")
    return Samples(X, y.copy(), codes, 2 * sample_weight, sample_weight, device, torch.float64)


def test_validation_losses_use_the_weights_of_the_validation_samples(small):
    X, y, group = small
    weight = 1.0 + np.arange(120.0) ** 2
    clf = make(early_stopping=True, validation_fraction=0.25, max_epochs=1)
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    weight = weight / weight.mean()
    _, validation = split_validation(numbered_samples(small, weight), 0.25, check_random_state(0))
    index = validation.X[:, 0].long().numpy()
    assert len(index) == 30
    X, y, group, weight = X[index], y[index], group[index], weight[index]

    p = clf.predict_proba(X)[:, 1]
    losses = -np.log(np.where(y == 1, p, 1 - p))
    record = clf.history_[0]
    assert record["validation_loss"] == pytest.approx(np.mean(weight * losses), rel=1e-5)
    rates = [np.average(p[group == name], weights=weight[group == name]) for name in "ab"]
    assert record["validation_score_difference"] == pytest.approx(abs(np.diff(rates)[0]), rel=1e-4)


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
def test_invalid_weights_raise(small, weight, message):
    X, y, group = small
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, sensitive_features=group, sample_weight=weight)


def test_a_function_as_constraint_takes_no_weights(small):
    X, y, group = small
    clf = make(constraint=lambda scores, y, groups: (scores @ groups).var(), max_epochs=1)
    clf.fit(X, y, sensitive_features=group)
    with pytest.raises(ValueError, match="sample_weight must be None.*function"):
        clf.fit(X, y, sensitive_features=group, sample_weight=np.ones(120))

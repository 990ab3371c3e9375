"""Rates of groups and their intervals, against fairlearn and against resampled samples."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)

from fairbinn_sklearn.inspection import AuditDisplay
from fairbinn_sklearn.inspection._audit import encode_groups, group_rates, spread
from fairbinn_sklearn.losses import DemographicParity, EqualOpportunity, FalsePositiveRateParity
from fairbinn_sklearn.metrics._bootstrap import interval

CRITERIA = {
    selection_rate: DemographicParity(),
    true_positive_rate: EqualOpportunity(),
    false_positive_rate: FalsePositiveRateParity(),
}


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    truth, group, half = rng.integers(2, size=(3, 400))
    predictions = (truth + group + rng.normal(size=400) > 1).astype(int)
    return truth, predictions, pd.DataFrame({"group": group, "half": half})


@pytest.fixture(params=["equal", "distinct"])
def weight(request):
    """Return weights: all 1, or all different."""
    return np.ones(400) if request.param == "equal" else np.random.default_rng(1).gamma(1, size=400)


def audited(criterion, truth, predictions, groups, weight, n_boot=1):
    """Return the rates, and the names of the groups of the first column of codes."""
    codes, (names, *_) = encode_groups(groups, weight > 0)
    labels = truth, predictions
    rates = group_rates(criterion, 2, *labels, codes, weight, n_boot=n_boot, random_state=0)
    return rates, names


@pytest.mark.parametrize("metric", CRITERIA)
def test_rates_equal_fairlearn(samples, weight, metric):
    truth, predictions, groups = samples
    result, names = audited(CRITERIA[metric], truth, predictions, groups, weight)
    frame = MetricFrame(
        metrics=metric,
        y_true=truth,
        y_pred=predictions,
        sensitive_features=groups,
        sample_params={"sample_weight": weight},
    )
    np.testing.assert_allclose(result.rates[0][0, 0, :, 0], frame.by_group[names])
    assert result.difference()[0] == pytest.approx(frame.difference())
    label = {true_positive_rate: 1, false_positive_rate: 0}.get(metric)
    of_label = groups[truth == label] if label is not None else groups
    assert (
        result.n_samples[0][0, :, 0].tolist() == of_label.value_counts(sort=False)[names].tolist()
    )


def test_rates_over_no_samples(samples):
    truth, predictions, _ = samples
    groups = np.where(truth == 1, "positive", "all")
    result, _ = audited(EqualOpportunity(), truth, predictions, groups, np.ones(400), n_boot=5)
    rates = result.rates[0][:, 0, :, 0]
    assert np.isnan(rates[:, 0]).all() and not np.isnan(rates[:, 1]).any()
    assert np.isnan(result.difference()).all()  # a single group has no difference
    assert result.fewest_samples() == 0


def test_interval_equals_that_of_resampled_samples(samples, weight):
    truth, predictions, groups = samples
    codes, _ = encode_groups(groups, weight > 0)
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(2000):
        index = rng.integers(len(truth), size=len(truth))
        code, drawn = codes[index, 0], weight[index]
        positive = np.bincount(code, predictions[index] * drawn, 4)
        resampled.append(positive / np.bincount(code, drawn, 4))
    expected = np.quantile(resampled, [0.1, 0.9], axis=0)
    result, _ = audited(DemographicParity(), truth, predictions, groups, weight, n_boot=2000)
    ends = interval(result.rates[0][:, 0, :, 0], 0.8)
    np.testing.assert_allclose(ends, expected, atol=0.01)
    expected = np.quantile(np.ptp(resampled, axis=1), [0.1, 0.9])
    np.testing.assert_allclose(interval(result.difference(), 0.8), expected, atol=0.01)


def test_interval_leaves_nan_out_and_contains_the_value():
    values = np.array([[0.1, np.nan, 0.5], [0.2, np.nan, np.nan], [0.3, np.nan, 0.6]])
    low, high = interval(values, 0.5)
    np.testing.assert_allclose(low, [0.1, np.nan, 0.5])
    np.testing.assert_allclose(high, [0.275, np.nan, 0.6])


def test_spread_leaves_nan_out():
    values = np.array([[0.1, np.nan, 0.4], [np.nan, np.nan, 0.2], [np.nan] * 3])
    np.testing.assert_allclose(spread(values, axis=1), [0.3, np.nan, np.nan])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_boot": 0}, "'n_boot' parameter of AuditDisplay.from_estimator must be an int"),
        ({"confidence_level": 95}, "'confidence_level' parameter .* Got 95"),
        ({"random_state": "seed"}, "'random_state' parameter"),
    ],
)
def test_invalid_bootstrap(clf, data, params, message):
    X, y, group = data
    with pytest.raises(ValueError, match=message):
        AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, **params)

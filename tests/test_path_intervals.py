"""Bootstrap intervals of the points of a path, and choices by confidence limits."""

import numpy as np
import pandas as pd
import pytest
from conftest import make, make_data
from fairlearn.metrics import MetricFrame, demographic_parity_ratio, selection_rate

from fairbinn_sklearn import fairness_path
from fairbinn_sklearn.inspection import ParetoFrontDisplay

METRIC = "demographic_parity_difference"


@pytest.fixture(scope="module")
def path():
    X, y, group = make_data(3000)
    estimator = make(max_epochs=10)
    return fairness_path(X, y, group, etas=[0, 3, 30], seeds=[0, 1], estimator=estimator)


@pytest.fixture(scope="module")
def held_out():
    return make_data(500, seed=7)


@pytest.fixture(scope="module")
def measured(path, held_out):
    X, y, group = held_out
    return path.evaluate(X, y, sensitive_features=group, n_boot=400, random_state=0)


def test_intervals_are_those_of_fairlearn(measured, held_out):
    X, y, group = held_out
    intervals = measured.intervals(0.9)
    frame = measured.to_frame()
    for name in ("accuracy", METRIC, "equalized_odds_difference", "selection_rate"):
        assert (intervals[name, "low"] <= frame[name]).all()
        assert (frame[name] <= intervals[name, "high"]).all()
    metrics = MetricFrame(
        metrics=selection_rate,
        y_true=y,
        y_pred=measured[0].predict(X),
        sensitive_features=group,
        n_boot=100,
        ci_quantiles=[0.05, 0.95],
        random_state=0,
    )
    low, high = metrics.difference_ci()
    assert intervals[METRIC, "low"][0] == pytest.approx(low, abs=0.03)
    assert intervals[METRIC, "high"][0] == pytest.approx(high, abs=0.03)


def test_wider_for_more_confidence_and_fewer_samples(path, measured, held_out):
    X, y, group = held_out
    few = path.evaluate(X[:100], y[:100], sensitive_features=group[:100], n_boot=200)

    def width(path, level):
        intervals = path.intervals(level)
        return (intervals[METRIC, "high"] - intervals[METRIC, "low"]).mean()

    assert width(measured, 0.5) < width(measured, 0.9) < width(few, 0.9)


def test_confidence_chooses_a_stricter_point(measured):
    means = measured.summary()[METRIC, "mean"]
    bound = means[3] + 0.001
    assert measured.best_under(bound).eta == 3
    assert measured.best_under(bound, confidence=0.9).eta == 30
    with pytest.warns(UserWarning, match=f"has a confidence limit of {METRIC} of at most 0.01"):
        measured.best_under(0.01, confidence=0.9)
    assert measured.best_under(1.0, confidence=0.9) is measured.best_under(1.0)


def test_confidence_of_a_ratio_is_a_lower_limit(path, held_out):
    X, y, group = held_out
    metric = "demographic_parity_ratio"
    one = path.evaluate(X, y, sensitive_features=group, metrics=metric, n_boot=400, random_state=0)
    ratio = demographic_parity_ratio(y, one[2].predict(X), sensitive_features=group)
    assert one.to_frame()[metric][2] == pytest.approx(ratio)
    bound = one.summary()[metric, "mean"][3] - 0.001
    assert one.best_under(bound, metric).eta == 3
    assert one.best_under(bound, metric, confidence=0.95).eta == 30


def test_same_seed_same_resamples_and_weights(path, held_out):
    X, y, group = held_out
    weight = np.random.default_rng(0).uniform(0, 2, len(y))
    weight[:5] = 0
    tables = [
        path.evaluate(
            X, y, sensitive_features=group, sample_weight=weight, n_boot=20, random_state=3
        ).intervals()
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables)
    kept = weight > 0
    again = path.evaluate(
        X[kept],
        y[kept],
        sensitive_features=group[kept],
        sample_weight=weight[kept],
        n_boot=20,
        random_state=3,
    ).intervals()
    pd.testing.assert_frame_equal(tables[0], again)


def test_separate_features_have_the_worst_resample(held_out):
    X, y, group = make_data(600)
    groups = pd.DataFrame({"a": group, "b": np.arange(600) % 2})
    estimator = make(max_epochs=2, combine="separate")
    path = fairness_path(X, y, groups, etas=[0, 1], estimator=estimator)
    both = path.evaluate(X, y, sensitive_features=groups, n_boot=50, random_state=0)
    one = path.evaluate(X, y, sensitive_features=groups[["a"]], n_boot=50, random_state=0)
    high = both.intervals()[METRIC, "high"], one.intervals()[METRIC, "high"]
    assert (high[0] >= high[1] - 0.02).all()


def test_intervals_need_resamples(path, measured, held_out):
    X, y, group = held_out
    for call in (path.intervals, lambda: path.best_under(0.1, confidence=0.9)):
        with pytest.raises(ValueError, match="must be evaluated with n_boot"):
            call()
    with pytest.raises(ValueError, match="got 'mean_score_difference'. Only accuracy and metrics"):
        measured.best_under(0.1, "mean_score_difference", confidence=0.9)
    with pytest.raises(ValueError, match="'n_boot' parameter"):
        path.evaluate(X, y, sensitive_features=group, n_boot=0)
    with pytest.raises(ValueError, match="'confidence_level' parameter"):
        measured.best_under(0.1, confidence=1.5)


def test_display_draws_the_intervals(measured):
    display = ParetoFrontDisplay.from_path(measured)
    intervals = measured.intervals()
    assert np.shape(display.difference_std) == (3, 2)
    drawn = display.difference_std.sum(axis=1)
    assert drawn.max() < (intervals[METRIC, "high"] - intervals[METRIC, "low"]).max()

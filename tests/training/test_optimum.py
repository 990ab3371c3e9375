r"""Trained models against the most accurate classifier, on data whose distribution is known.

In group a, a sample has the label 1 with probability :math:`\pi_a`, and one feature that depends on
the label, :math:`x \sim N(\mu_a + \delta_a y, 1)`. The second feature is the group. Among all
classifiers of these features, the most accurate one under a bound on the difference of selection
rates has a threshold on x for each group: the score :math:`P(y = 1 | x, a)` increases with x, and
the Lagrangian of the problem shifts its threshold by group (Menon, Williamson 2018, "The cost of
fairness in binary classification", FAT*).
"""

import functools

import numpy as np
import pandas as pd
import pytest
from conftest import make
from scipy.optimize import brentq
from scipy.stats import norm

from fairbinn_sklearn import fairness_path
from fairbinn_sklearn.inspection import diagnose

BASE_RATE = np.array([0.3, 0.6])  # pi
MEAN, SHIFT = np.array([-0.5, 0.5]), np.array([1.5, 2.0])  # mu, delta
LOG_ODDS = np.log((1 - BASE_RATE) / BASE_RATE)


def draw(n_samples, seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n_samples)
    y = (rng.random(n_samples) < BASE_RATE[group]).astype(int)
    x = MEAN[group] + SHIFT[group] * y + rng.normal(size=n_samples)
    return np.stack([x, group], 1), y, group


def rates_above(threshold, a):
    """Return the rates of negatives and positives of group a above thresholds."""
    return tuple(norm.sf(threshold - MEAN[a] - SHIFT[a] * label) for label in (0, 1))


def selection_rate(threshold, a):
    negatives, positives = rates_above(threshold, a)
    return (1 - BASE_RATE[a]) * negatives + BASE_RATE[a] * positives


def accuracy(threshold, a):
    negatives, positives = rates_above(threshold, a)
    return (1 - BASE_RATE[a]) * (1 - negatives) + BASE_RATE[a] * positives


@functools.cache
def optimum(bound, n_thresholds=1001):
    """Return the highest accuracy of classifiers whose selection rates differ by `bound`."""
    # The accuracy of group 1 has one maximum, here; within the bound the nearest rate is best.
    unbounded = selection_rate(MEAN[1] + SHIFT[1] / 2 + LOG_ODDS[1] / SHIFT[1], 1)
    best = 0.0
    for threshold in np.linspace(-4, 6, n_thresholds):
        rate = selection_rate(threshold, 0)
        nearest = np.clip(unbounded, max(rate - bound, 1e-9), min(rate + bound, 1 - 1e-9))
        other = brentq(lambda t, goal=nearest: selection_rate(t, 1) - goal, -20, 20)
        best = max(best, (accuracy(threshold, 0) + accuracy(other, 1)) / 2)
    return best


@pytest.mark.once
@pytest.mark.parametrize("bound", [0.02, 0.9])
def test_optimum_agrees_with_brute_force_over_pairs_of_thresholds(bound):
    grid = np.linspace(-3, 5, 400)
    rates, accuracies = (
        [of_group(grid, a) for a in range(2)] for of_group in (selection_rate, accuracy)
    )
    allowed = np.abs(rates[0][:, None] - rates[1]) <= bound
    both = (accuracies[0][:, None] + accuracies[1]) / 2
    assert both[allowed].max() == pytest.approx(optimum(bound, 301), abs=1e-3)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("by", ["targets", "etas"])
def test_path_is_close_to_the_optimum(by):
    X, y, group = draw(20_000, 0)
    values = {"targets": [0.02, 0.05, 0.1, 0.2], "etas": [0.3, 1, 3, 10, 30]}[by]
    path = fairness_path(X, y, group, **{by: values}, estimator=make(lr=3e-3, max_epochs=20))
    X, y, group = draw(200_000, 1)
    points = []
    for clf in path:
        predictions = clf.predict(X)
        difference = np.ptp([predictions[group == a].mean() for a in range(2)])
        loss = optimum(difference) - np.mean(predictions == y)
        points.append({"difference": difference, "lost accuracy": loss})
    points = pd.DataFrame(points)
    assert points["lost accuracy"].max() < 0.01
    assert points["difference"].min() < 0.03
    if by == "targets":
        np.testing.assert_allclose(points["difference"], values, atol=0.015)


@pytest.mark.slow
@pytest.mark.once
def test_intervals_of_audits_cover_the_difference_of_the_distribution():
    """The coverage of 200 audits is 95 %, with a tolerance of 3.3 standard errors, 0.05."""
    X, y, group = draw(5_000, 0)
    clf = make(eta=1, max_epochs=5).fit(X, y, sensitive_features=group)
    X, _, group = draw(1_000_000, 1)
    predictions = clf.predict(X)
    expected = predictions[group == 1].mean() - predictions[group == 0].mean()
    covered = []
    for seed in range(200):
        X, y, group = draw(1_000, 2 + seed)
        audit = diagnose(clf, X, y, group, n_boot=500, random_state=seed).details
        covered.append(audit["low"] <= abs(expected) <= audit["high"])
    assert 0.90 <= np.mean(covered) <= 0.99

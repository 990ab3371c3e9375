"""The closed form in examples/closed_form.py against all decisions of a few samples."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from closed_form import EVENTS, ClosedFormClassifier, gain_and_mass, solve

CRITERIA = list(EVENTS)
SUBSETS = np.array(list(itertools.product((0, 1), repeat=12)))


def problem(criterion, n_groups, seed):
    """Return gain and weights of 12 samples with random probabilities."""
    joint = np.random.default_rng(seed).dirichlet(np.ones(2 * n_groups), size=12)
    gain, mass = gain_and_mass(joint, criterion)
    return gain, mass / mass.mean(axis=0)


def largest_differences(decisions, weights):
    """Return the largest difference between groups by row of decisions and event."""
    return np.ptp(np.einsum("ri,ieg->reg", decisions, weights) / weights.shape[0], axis=2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bound", [0.1, 0.3, 1])
def test_no_decisions_of_two_groups_are_better_at_the_same_difference(bound, seed):
    gain, weights = problem("demographic_parity", 2, seed)
    rule = gain > np.einsum("ieg,eg->i", weights, solve(gain, weights, bound))
    difference = largest_differences(rule[None], weights)
    within = (largest_differences(SUBSETS, weights) <= difference + 1e-9).all(axis=1)
    assert rule @ gain == pytest.approx((SUBSETS[within] @ gain).max())


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("bound", [0.05, 0.2])
def test_multipliers_prove_the_optimum(criterion, n_groups, bound):
    """The dual bounds the gain of all decisions, and the best decisions come close."""
    gain, weights = problem(criterion, n_groups, 0)
    multipliers = solve(gain, weights, bound)
    np.testing.assert_allclose(multipliers.sum(axis=1), 0, atol=1e-9)
    reduced = gain - np.einsum("ieg,eg->i", weights, multipliers)
    dual = np.maximum(reduced, 0).mean() + bound * np.maximum(multipliers, 0).sum()
    within = (largest_differences(SUBSETS, weights) <= bound).all(axis=1)
    best = (SUBSETS[within] @ gain).max() / 12
    fractional = np.sum(np.abs(reduced) < 1e-9)
    assert best <= dual + 1e-9
    assert fractional <= multipliers.size
    assert dual - best <= (fractional + 1) * np.abs(gain).max() / 12


@pytest.mark.parametrize("criterion", CRITERIA)
def test_estimated_probabilities_reach_the_known_optimum(criterion):
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.full(4, 0.5), size=200)  # P(y, g|x) for 200 values of x
    x = rng.integers(200, size=40_000)
    y, group = np.divmod((joint.cumsum(axis=1)[x] > rng.random((len(x), 1))).argmax(axis=1), 2)
    clf = ClosedFormClassifier(DecisionTreeClassifier(min_samples_leaf=50), criterion=criterion)
    clf.fit(x[:, None], y, sensitive_features=group)
    gain, mass = gain_and_mass(joint, criterion)
    weights = mass / mass.mean(axis=0)
    for bound in (0.02, 0.1):
        rule = clf.set_bound(bound).predict(np.arange(200)[:, None])
        best = gain > np.einsum("ieg,eg->i", weights, solve(gain, weights, bound))
        assert (largest_differences(rule[None], weights) < bound + 0.02).all()
        assert abs(rule @ gain - best @ gain) / 200 < 0.01

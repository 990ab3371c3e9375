"""A target for the difference between groups instead of eta."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import difference, fit, make, make_data, score_difference
from fairlearn.metrics import equalized_odds_difference
from scipy.optimize import minimize_scalar
from scipy.stats import hmean
from torch.testing import assert_close

from fairbinn_sklearn._data.batches import Batch
from fairbinn_sklearn._training.multipliers import (
    FACTOR_RANGE,
    GAIN,
    MIN_EVENT_WEIGHT,
    event_weights,
    gradient_and_update,
    update_factor,
    weight_of_excess,
)
from fairbinn_sklearn._training.rate_criterion import RateCriterion
from fairbinn_sklearn.exceptions import MissingSensitiveFeaturesWarning
from fairbinn_sklearn.losses import DemographicParity

# A small network and a short window, so that few epochs are enough.
SETTINGS = {
    "max_epochs": 15,
    "batch_size": 128,
    "hidden_layer_sizes": (32,),
    "lr": 5e-3,
    "rate_window": 1500,
}


@pytest.fixture(scope="module")
def trained(large):
    """Return a function that trains on `large` and remembers its models. Do not change these."""

    @functools.cache
    def trained(**params):
        return fit(large, **{**SETTINGS, **params})

    return trained


def absolute_gap(scores, y, groups):
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)
    return rates.max() - rates.min()


@pytest.mark.parametrize(
    "target, method", [(0.2, {}), (0.05, {}), (0.05, {"method": "lagrangian"})]
)
def test_difference_ends_at_the_target(trained, large, target, method):
    clf = trained(fairness_target=target, **method)
    assert difference(clf, large) == pytest.approx(target, abs=0.02)
    assert clf.history_[-1]["eta"] == clf.eta_ > 0
    assert difference(trained(eta=0), large) > 0.3


def test_smaller_targets_lead_to_larger_weights(trained):
    assert trained(fairness_target=0.2).eta_ < trained(fairness_target=0.05).eta_


def test_the_final_weight_as_eta_gives_about_the_same_difference(trained, large):
    under_target = trained(fairness_target=0.05)
    with_eta = trained(eta=under_target.eta_)
    assert with_eta.eta_ == under_target.eta_
    assert difference(with_eta, large) == pytest.approx(difference(under_target, large), abs=0.03)


@pytest.mark.slow
def test_target_applies_to_the_criterion(trained, large):
    clf = trained(fairness_target=0.1, constraint="equalized_odds")
    assert difference(clf, large, equalized_odds_difference) == pytest.approx(0.1, abs=0.03)


@pytest.mark.slow
def test_target_applies_to_the_rates_that_are_equalized(trained, large):
    scores, both = (
        trained(fairness_target=0.05, equalize=name, max_epochs=30) for name in ("scores", "both")
    )
    assert score_difference(scores, large) == pytest.approx(0.05, abs=0.03)
    largest = max(difference(both, large), score_difference(both, large))
    assert largest == pytest.approx(0.05, abs=0.03)
    assert largest < max(difference(scores, large), score_difference(scores, large))
    record = both.history_[-1]
    assert float(both.net_.criterion_.constraint_value()) == max(
        record["decision_difference"], record["score_difference"]
    )


@pytest.mark.slow
def test_target_applies_to_the_value_of_a_function(trained, large):
    clf = trained(fairness_target=0.15, constraint=absolute_gap, max_epochs=25)
    assert score_difference(clf, large) == pytest.approx(0.15, abs=0.05)
    assert score_difference(trained(eta=0), large) > 0.3  # the same function


@pytest.mark.slow
def test_groups_without_a_difference_need_no_weight(trained, large):
    X, y, _ = large
    chance = np.random.default_rng(1).integers(2, size=len(y))
    clf = fit((X, y, chance), fairness_target=0.3, **SETTINGS)
    assert clf.eta_ == 0
    assert clf.score(X, y) == pytest.approx(trained(eta=0).score(X, y), abs=0.02)


def test_partial_fit_continues_with_the_last_weight(large):
    X, y, group = large
    clf, etas = make(fairness_target=0.05), []
    for part in np.array_split(np.arange(3000), 3):
        clf.partial_fit(X[part], y[part], [0, 1], sensitive_features=group[part])
        etas.append(clf.eta_)
    assert etas == [record["eta"] for record in clf.history_]
    assert 0 < etas[0] < etas[1]
    clf.set_params(fairness_target=None, eta=7).partial_fit(X, y, sensitive_features=group)
    assert clf.eta_ == 7
    assert not clf.net_.criterion_.multipliers.any()


def test_a_target_without_groups_warns(biased):
    X, y, _ = biased
    with pytest.warns(MissingSensitiveFeaturesWarning):
        make(fairness_target=0.1, max_epochs=1).fit(X, y)


@pytest.mark.parametrize("target", [0, -0.1, float("nan"), "low"])
def test_invalid_targets_raise(biased, target):
    with pytest.raises(ValueError, match="'fairness_target'"):
        fit(biased, fairness_target=target)


@pytest.mark.slow
def test_a_tight_target_costs_little_accuracy():
    """A weight of the squared gap that reached the target would amplify its noise."""
    data = make_data(6000)
    tight, loose = (fit(data, fairness_target=target, max_epochs=40) for target in (0.002, 0.02))
    assert difference(tight, data) < 0.02
    assert tight.score(*data[:2]) > loose.score(*data[:2]) - 0.03


@pytest.mark.parametrize(
    "combine, aggregation",
    [
        ("separate", "max"),
        pytest.param("separate", "mean", marks=pytest.mark.slow),
        pytest.param("intersection", "max", marks=pytest.mark.slow),
        pytest.param("intersection", "mean", marks=pytest.mark.slow),
    ],
)
def test_target_applies_to_many_groups_of_several_features(combine, aggregation):
    n_samples = 3000 if combine == "separate" else 6000
    X, y, group = make_data(n_samples, groups=tuple("abcde"))
    features = pd.DataFrame({"of five": group, "of two": X[:, 1] + X[:, 0] > 1})
    target = 0.1 if combine == "separate" else 0.2  # rates of ten groups have more noise
    clf = fit(
        (X, y, features),
        fairness_target=target,
        constraint=DemographicParity(aggregation=aggregation),
        combine=combine,
        **(SETTINGS if combine == "separate" else {"max_epochs": 40}),
    )
    predictions = pd.Series(clf.predict(X))
    partitions = [["of five"], ["of two"]] if combine == "separate" else [["of five", "of two"]]
    differences = [
        np.ptp(predictions.groupby([features[name] for name in names]).mean())
        for names in partitions
    ]
    assert max(differences) == pytest.approx(target, abs=0.05)


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
def test_weight_settles_as_the_learning_rate_decays(biased):
    clf = fit(biased, fairness_target=0.01, equalize="scores", max_epochs=20)
    etas = np.log([record["eta"] for record in clf.history_])
    assert abs(etas[-1] - etas[-2]) < 0.1 * abs(etas[1] - etas[0])


# Single steps


def nearest_excess(rates, target):
    """Return the excess of rates (G,) over the best band, found by a search over its centre."""

    def outside(centre):
        return rates - np.clip(rates, centre - target / 2, centre + target / 2)

    best = minimize_scalar(
        lambda c: (outside(c) ** 2).sum(), bounds=(rates.min(), rates.max()), method="bounded"
    )
    return outside(best.x)


def updated_multipliers(multipliers, rates, target, present, step_size):
    target = torch.tensor(target, dtype=rates.dtype)
    _, updated = gradient_and_update(
        DemographicParity(), rates, present, UNIT_WEIGHT, multipliers, target, step_size
    )
    return updated


def excess(rates, target, present):
    target = torch.tensor(target, dtype=rates.dtype)
    scale = torch.ones(1, 1, 1, dtype=rates.dtype)
    return DemographicParity().excess(rates, target, scale, present)


UNIT_WEIGHT = torch.ones(1, 1, 1)
ALL_PRESENT = {n: torch.ones(1, n, 1, dtype=torch.bool) for n in (2, 5, 9)}


@pytest.mark.parametrize("n_groups", [2, 5, 9])
@pytest.mark.parametrize("target", [0.01, 0.3, 2.0])
def test_excess_is_the_distance_to_the_nearest_rates_that_meet_the_target(n_groups, target):
    rates = np.random.default_rng(n_groups).random((3, n_groups))
    result = excess(torch.tensor(rates)[:, None, :, None], target, ALL_PRESENT[n_groups])
    expected = np.stack([nearest_excess(row, target) for row in rates])
    np.testing.assert_allclose(result[:, 0, :, 0], expected, atol=1e-4)
    assert_close(result.sum(-2), torch.zeros_like(result.sum(-2)))
    met = rates - result[:, 0, :, 0].numpy()
    assert (np.ptp(met, axis=1) <= target + 1e-12).all()


def test_absent_groups_have_no_effect_on_the_excess_and_keep_their_multipliers():
    rates, present = torch.rand(2, 1, 5, 1, dtype=torch.double), torch.arange(5) != 3
    among_all = excess(rates, 0.1, present[None, :, None])
    assert_close(among_all[:, :, present], excess(rates[:, :, present], 0.1, torch.ones(1, 4, 1)))
    assert not among_all[:, :, 3].any()
    multipliers = updated_multipliers(
        torch.ones_like(rates), rates, 0.1, present[None, :, None], 0.1
    )
    assert (multipliers[:, :, 3] == 1).all()


def test_gradient_of_half_the_squared_excess_is_the_excess():
    rates = torch.rand(4, 2, 6, 3, dtype=torch.double, requires_grad=True)
    present = torch.ones(2, 6, 1, dtype=torch.bool)
    result = excess(rates, 0.2, present)
    (gradient,) = torch.autograd.grad(result.square().sum() / 2, rates)
    assert_close(gradient, result)


def test_two_groups_multipliers_grow_above_the_target_and_shrink_to_zero_below():
    signs = torch.tensor([1.0, -1.0]).view(1, 2, 1)

    def updated(multiplier, gap):
        rates = 0.4 + gap / 2 * signs
        return updated_multipliers(multiplier * signs, rates, 0.2, ALL_PRESENT[2], 0.1)

    per_gap = 2 * GAIN * 0.1  # the gradient of the gain times the squared excess, times the step
    assert_close(updated(0, 0.3), per_gap * 0.1 * signs)
    assert_close(updated(3, 0.3), (3 + per_gap * 0.1) * signs)
    assert_close(updated(3, 0.0), (3 - per_gap * 0.2) * signs)
    assert_close(updated(3, -0.3), (3 - per_gap * 0.5) * signs)
    assert_close(updated(3, 0.2), 3 * signs)
    assert_close(updated(0.01, 0.0), 0 * signs)


def test_multipliers_converge_to_the_gradient_at_the_nearest_rates():
    """Projected rates minimise half the squared distance, whose gradient is the multiplier."""
    wanted = torch.tensor([0.1, 0.15, 0.4, 0.5, 0.95], dtype=torch.double)[None, :, None]
    multipliers, present = torch.zeros_like(wanted), ALL_PRESENT[5]
    for _ in range(2000):
        rates = wanted - multipliers  # minimise |r - wanted|^2 / 2 + <multipliers, r>
        multipliers = updated_multipliers(multipliers, rates, 0.3, present, 0.05)
    assert_close(multipliers, excess(wanted, 0.3, present), atol=1e-6, rtol=0)
    assert np.ptp((wanted - multipliers).numpy()) == pytest.approx(0.3, abs=1e-6)
    assert multipliers[0, 2, 0] == 0  # the group inside the band
    assert weight_of_excess(wanted, present, UNIT_WEIGHT).item() == GAIN


GROUP_SIZES = torch.tensor([[[300.0], [700.0], [50.0]]])


def test_event_weight_is_the_harmonic_mean_fraction_over_the_number_of_events():
    fractions = torch.tensor([[0.6, 0.9, 0.8], [0.9, 0.6, 0.0]])[..., None]
    expected = [hmean([0.6, 0.9, 0.8]) / 2, hmean([0.9, 0.6]) / 2]
    assert event_weights(fractions * GROUP_SIZES, GROUP_SIZES).flatten().tolist() == pytest.approx(
        expected
    )
    assert event_weights(GROUP_SIZES, GROUP_SIZES).item() == 1.0


@pytest.mark.parametrize("sizes", [GROUP_SIZES, 0 * GROUP_SIZES])
def test_event_weight_has_a_minimum_and_is_1_for_absent_events(sizes):
    assert event_weights(0.01 * GROUP_SIZES, GROUP_SIZES).item() == pytest.approx(MIN_EVENT_WEIGHT)
    assert event_weights(0 * GROUP_SIZES, sizes).item() == 1.0


@pytest.mark.parametrize(
    "n_scores, weight, expected",
    [(1, 1.0, 1.0), (1, 0.25, 0.25), (4, 1.0, 0.25), (4, 0.25, 0.25), (4, 0.2, 0.2)],
)
def test_weight_of_the_excess_uses_the_smaller_of_event_weight_and_1_over_scores(
    n_scores, weight, expected
):
    rates, weight = torch.rand(1, 3, n_scores), torch.full((1, 1, 1), weight)
    result = weight_of_excess(rates, GROUP_SIZES, weight)
    assert result.item() == pytest.approx(4 * GAIN / 2 * expected)  # three groups


@pytest.mark.parametrize(
    "factor, value, expected",
    [
        (1.0, 1.5, np.exp(0.005)),
        (1.0, 9.0, np.exp(0.01)),  # clipped
        (2.0, 0.5, 2 * np.exp(-0.005)),
        (1.0, 1.0, 1.0),
        (FACTOR_RANGE[1], 9.0, FACTOR_RANGE[1]),
        (FACTOR_RANGE[0], 0.0, FACTOR_RANGE[0]),
    ],
)
def test_logarithm_of_the_factor_of_a_function_follows_the_relative_error(factor, value, expected):
    updated = update_factor(torch.tensor(factor), torch.tensor(value), 1.0, 0.01)
    assert float(updated) == pytest.approx(expected)


def batch_of(n_samples):
    """Return logits and a batch whose two groups have the scores 0.5 and 1."""
    groups = torch.arange(n_samples)[:, None] % 2
    return 100.0 * groups, Batch(None, groups[:, 0], groups, None, None)


@pytest.mark.parametrize("lr_scale", [1.0, 0.25])
@pytest.mark.parametrize(
    "n_samples, window, step_size",
    [(100, 10_000, 0.01), (500, 10_000, 0.05), (5000, 10_000, 0.05), (100, 0, 0.05)],
)
def test_step_size_of_multipliers_is_at_most_a_twentieth(n_samples, window, step_size, lr_scale):
    criterion = RateCriterion(DemographicParity(), [2], equalize="scores", window=window)
    criterion.target, criterion.multiplier_lr_scale = 0.1, lr_scale
    logits, batch = batch_of(n_samples)
    criterion.fairness_grad(logits, criterion.prepare(batch))
    excess = 2 * GAIN * (0.5 - 0.1)
    expected = lr_scale * step_size * excess * torch.tensor([-1.0, 1.0])
    assert_close(criterion.multipliers.flatten(), expected)

"""Laws of the measures: penalties, their gradients, and distances to what a target allows."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.testing import assert_close

from fairbinn_sklearn._training.multipliers import gradient_and_update
from fairbinn_sklearn.losses import AccuracyParity, DemographicParity, FalsePositiveRateParity
from fairbinn_sklearn.losses._combined import CombinedLoss

VARIANTS = {
    "pairs": {},
    "ratio": {"measure": "ratio"},
    "minimum": {"measure": "minimum"},
    "overall": {"reference": "overall"},
    "group": {"reference": 1},
}
N_GROUPS = 4
ONES = torch.ones(2, 1, 1, dtype=torch.double)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return VARIANTS[request.param]


@pytest.fixture
def rates():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 2, N_GROUPS, 2, generator=generator, dtype=torch.double)


@pytest.fixture
def counts():
    return torch.tensor([[5.0, 20, 10, 40], [7, 3, 9, 1]], dtype=torch.double)[..., None]


def bound_of(value):
    return torch.tensor(value, dtype=torch.double)


def absent(counts, group):
    """Return counts without a group."""
    counts = counts.clone()
    counts[:, group] = 0
    return counts


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@pytest.mark.parametrize("is_absent", [False, True])
def test_gradient_is_that_of_the_penalty(variant, rates, counts, aggregation, is_absent):
    counts = absent(counts, 2) if is_absent else counts
    loss = DemographicParity(aggregation=aggregation, weight=2.0, **variant)
    rates.requires_grad_()
    (expected,) = torch.autograd.grad(loss.penalty(rates, counts).sum(), rates)
    assert_close(loss.gradient(rates.detach(), counts), expected)
    assert not is_absent or not expected[:, :, 2].any()


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_networks_side_by_side_have_separate_penalties(variant, rates, counts, aggregation):
    loss = DemographicParity(aggregation=aggregation, **variant)
    together = loss.penalty(rates, counts), loss.gradient(rates, counts)
    for k in range(len(rates)):
        assert_close(together[0][k], loss.penalty(rates[k], counts))
        assert_close(together[1][k], loss.gradient(rates[k], counts))
    assert_close(
        loss.difference(rates, counts), torch.stack([loss.difference(r, counts) for r in rates])
    )


def test_parity_has_no_penalty_no_difference_and_no_excess(variant, counts):
    loss = DemographicParity(**variant)
    equal = torch.full((2, N_GROUPS, 2), 0.3, dtype=torch.double)
    if loss.measure == "minimum":
        assert_close(loss.penalty(equal, counts).item(), 2 * 0.7**2)
        equal = torch.ones_like(equal)
    assert loss.penalty(equal, counts).item() == pytest.approx(0, abs=1e-15)
    assert loss.difference(equal, counts).item() == pytest.approx(0, abs=1e-15)
    deviations = loss.deviations(equal, counts)
    assert not loss.excess(deviations, bound_of(0.01), ONES[:1], counts).any()


def test_values_equal_their_definitions():
    rates = torch.tensor([0.2, 0.5, 0.4])[None, :, None]
    counts = torch.tensor([10.0, 30.0, 60.0])[None, :, None]
    expected = {
        "pairs": 0.5 - 0.2,
        "ratio": 1 - 0.2 / 0.5,
        "minimum": 1 - 0.2,
        "overall": 0.41 - 0.2,  # (2 + 15 + 24) / 100
        "group": 0.5 - 0.2,
    }
    for name, value in expected.items():
        loss = DemographicParity(**VARIANTS[name])
        assert loss.difference(rates, counts).item() == pytest.approx(value)


@pytest.mark.parametrize("bound", [0.02, 0.3])
def test_rates_without_their_excess_meet_the_bound(rates, counts, variant, bound):
    loss = DemographicParity(**variant)
    deviations = loss.deviations(rates, counts)
    excess = loss.excess(deviations, bound_of(bound), ONES, counts)
    met = deviations - excess
    if loss.reference == "pairs":
        assert (loss.difference(met, counts) <= bound + 1e-9).all()
    else:
        assert (met.abs() <= bound + 1e-9).all()
    assert not loss.excess(met, bound_of(bound + 1e-9), ONES, counts).any()


def nearest(name, wanted, bound, counts):
    """Return the rates nearest to `wanted` that meet the bound, by quadratic programming."""
    eye = np.eye(len(wanted))
    pairs = [(g, h) for g in range(len(wanted)) for h in range(len(wanted)) if g != h]
    limits = np.full(len(pairs), bound)
    if name == "pairs":
        matrix = np.array([eye[g] - eye[h] for g, h in pairs])
    elif name == "ratio":
        matrix = np.array([(1 - bound) * eye[g] - eye[h] for g, h in pairs])
        limits = np.zeros(len(pairs))
    elif name == "minimum":
        matrix, limits = -eye, np.full(len(wanted), bound - 1)
    else:
        reference = counts / counts.sum() if name == "overall" else eye[VARIANTS[name]["reference"]]
        matrix = np.concatenate([eye - reference, reference - eye])
        limits = np.full(len(matrix), bound)
    return minimize(
        lambda r: ((r - wanted) ** 2).sum(),
        np.full(len(wanted), 0.9),
        jac=lambda r: 2 * (r - wanted),
        constraints={
            "type": "ineq",
            "fun": lambda r: limits - matrix @ r,
            "jac": lambda r: -matrix,
        },
        options={"ftol": 1e-12},
    ).x


@pytest.mark.parametrize("name", ["pairs", "ratio", "minimum"])
def test_excess_is_the_distance_to_the_nearest_allowed_rates(name):
    rates = np.array([0.1, 0.15, 0.4, 0.9])
    counts = torch.ones(1, 4, 1, dtype=torch.double)
    excess = DemographicParity(**VARIANTS[name]).excess(
        torch.from_numpy(rates)[None, :, None], bound_of(0.35), ONES[:1], counts
    )
    expected = rates - nearest(name, rates, 0.35, counts[0, :, 0].numpy())
    np.testing.assert_allclose(excess[0, :, 0], expected, atol=1e-5)


def test_gradient_of_half_the_squared_excess_is_the_excess(variant, rates, counts):
    loss = DemographicParity(**variant)
    rates.requires_grad_()
    bound, scale = bound_of(0.2), ONES
    excess = loss.excess(loss.deviations(rates, counts), bound, scale, counts)
    (gradient,) = torch.autograd.grad(excess.square().sum() / 2, rates)
    assert_close(gradient, loss.adjoint(excess.detach(), counts))


def test_scaled_rates_have_the_scaled_excess(variant, rates, counts):
    loss = DemographicParity(**variant)
    deviations, bound = loss.deviations(rates, counts), bound_of(0.1)
    scale = torch.tensor([0.01, 3.0], dtype=torch.double)[:, None, None]
    scaled = loss.excess(scale * deviations, bound, scale, counts)
    assert_close(scaled, scale * loss.excess(deviations, bound, ONES, counts))


def test_absent_groups_change_nothing(variant, rates, counts):
    loss = DemographicParity(**variant)
    present = [0, 1, 3]
    for function in (loss.penalty, loss.difference):
        assert_close(
            function(rates, absent(counts, 2)), function(rates[:, :, present], counts[:, present])
        )


@pytest.mark.parametrize("name", VARIANTS)
def test_multipliers_lead_to_the_nearest_rates_that_meet_the_target(name):
    """Minimise half the squared distance to `wanted` under the target."""
    loss, bound = DemographicParity(**VARIANTS[name]), bound_of(0.2)
    wanted = torch.tensor([0.3, 0.35, 0.5, 0.95], dtype=torch.double)[None, :, None]
    counts = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.double)[None, :, None]
    rates, multipliers = wanted.clone(), torch.zeros_like(wanted)
    for _ in range(1_000):
        gradient, multipliers = gradient_and_update(
            loss, rates, counts, torch.ones(1, 1, 1), multipliers, bound, 0.05
        )
        rates = rates - 0.03 * (rates - wanted + gradient)
    assert loss.difference(rates, counts).item() == pytest.approx(0.2, abs=1e-3)
    expected = nearest(name, wanted[0, :, 0].numpy(), 0.2, counts[0, :, 0].numpy())
    np.testing.assert_allclose(rates[0, :, 0], expected, atol=1e-3)


def test_combined_losses_have_the_excess_of_each(rates, counts):
    first, second = DemographicParity(reference="overall"), DemographicParity()
    combined = CombinedLoss([first, second])
    rates, bound = rates[0], bound_of(0.1)
    scale = torch.tensor([2.0, 0.5])[:, None, None]
    deviations = combined.deviations(rates, counts)
    excess = combined.excess(deviations, bound, scale, counts)
    for k, loss in enumerate((first, second)):
        part, n = slice(k, k + 1), counts[k : k + 1]
        assert_close(deviations[part], loss.deviations(rates[part], n))
        assert_close(excess[part], loss.excess(deviations[part], bound, scale[part], n))
        gradient = combined.adjoint(rates, counts)[part]
        assert_close(gradient, loss.adjoint(rates[part], n))


@pytest.mark.parametrize(
    "loss, match",
    [
        (FalsePositiveRateParity(measure="minimum"), "measure must not be"),
        (DemographicParity(measure="ratio", reference="overall"), 'reference must be "pairs"'),
        (
            CombinedLoss([DemographicParity(measure="ratio"), AccuracyParity()]),
            "criteria with the same measure",
        ),
        (
            CombinedLoss([DemographicParity(stratum_weight="equal"), AccuracyParity()]),
            "criteria with the same stratum_weight",
        ),
    ],
)
def test_contradictions_are_errors(loss, match):
    with pytest.raises(ValueError, match=match):
        loss.check()


@pytest.mark.parametrize("n_groups", [2, 3, 4])
def test_each_score_has_its_scale(n_groups):
    generator = torch.Generator().manual_seed(0)
    rates = torch.rand(2, 1, n_groups, 3, generator=generator, dtype=torch.double)
    counts = torch.rand(1, n_groups, 3, generator=generator, dtype=torch.double) + 1.0
    scale = torch.tensor([0.1, 1.0, 3.0], dtype=torch.double).reshape(1, 1, 3)
    for params in VARIANTS.values():
        loss = DemographicParity(**params)
        deviations = loss.deviations(rates, counts)
        together = loss.excess(scale * deviations, bound_of(0.1), scale, counts)
        for k in range(3):
            only = slice(k, k + 1)
            part = counts[..., only], scale[..., only]
            alone = loss.excess(part[1] * deviations[..., only], bound_of(0.1), part[1], part[0])
            assert_close(together[..., only], alone)


def test_without_the_reference_group_nothing_is_compared(rates, counts):
    loss = DemographicParity(reference=2)
    without = absent(counts, 2)
    rates = rates.masked_fill(without == 0, 0.0)
    deviations = loss.deviations(rates, without)
    assert not loss.penalty(rates, without).any()
    assert not loss.difference(rates, without).any()
    assert not loss.gradient(rates, without).any()
    assert not loss.excess(deviations - 1.0, bound_of(0.1), ONES, without).any()
    # The other event is still compared.
    counts[0, 2] = 0
    expected = loss.difference(rates[:, 1:], counts[1:])
    assert expected.all()
    assert_close(loss.difference(rates, counts), expected)


def test_parameters_that_a_subclass_does_not_set_have_their_defaults(rates, counts):
    class Strict(DemographicParity):
        def __init__(self, power=1.0):
            self.power = power

    assert not Strict().target_is_lower_bound
    assert_close(Strict().penalty(rates, counts), DemographicParity().penalty(rates, counts))
    assert Strict().get_params() == {"power": 1.0}

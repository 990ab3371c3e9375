"""Running rates, and the losses whose gradients are based on them."""

import math

import pytest
import torch
from torch.autograd import grad
from torch.nn.functional import one_hot
from torch.testing import assert_close

from fairbinn_sklearn._data.batches import Batch
from fairbinn_sklearn._training.criterion import DECISIONS, SCORES
from fairbinn_sklearn._training.function_criterion import FunctionCriterion
from fairbinn_sklearn._training.rate_criterion import SURROGATE_SLOPE, RateCriterion
from fairbinn_sklearn.losses import (
    CONSTRAINTS,
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    PredictiveParity,
)
from fairbinn_sklearn.losses._combined import CombinedLoss

MIXED = CombinedLoss([DemographicParity(), PredictiveParity(), EqualizedOdds(weight=0.5)])


def make_criterion(*n_groups, constraint=None, equalize="scores", window=0.0, n_outputs=1):
    constraint = DemographicParity() if constraint is None else constraint
    return RateCriterion(
        constraint, n_groups or (2,), equalize=equalize, window=window, n_outputs=n_outputs
    ).double()


def make_batch(logits, groups, y=None, sample_weight=None):
    """Return logits (N, C) and a batch without features; groups are (N,) or (N, K)."""
    logits = logits if logits.ndim == 2 else logits[:, None]
    groups = groups if groups.ndim == 2 else groups[:, None]
    y = torch.zeros(len(groups), dtype=torch.long) if y is None else y
    weight = torch.ones(len(groups), dtype=torch.float64)
    return logits, Batch(None, y, groups, weight, sample_weight)


def random_batch(n_samples, n_groups=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_samples, generator=generator, dtype=torch.float64)
    groups = torch.randint(n_groups, (n_samples,), generator=generator)
    y = torch.randint(2, (n_samples,), generator=generator)
    return make_batch(logits + groups, groups, y)


def two_features(n_samples=300):
    """Return a batch with two sensitive features, of 2 and 3 groups."""
    logits, batch = random_batch(n_samples, 2)
    groups = torch.cat([batch.groups, torch.arange(n_samples)[:, None] % 3], 1)
    return logits, batch._replace(groups=groups)


def fairness_grad(criterion, logits, batch):
    return criterion.fairness_grad(logits, criterion.prepare(batch))


def accuracy_loss(criterion, logits, batch):
    return criterion.accuracy_loss(logits, criterion.prepare(batch))


def update_rates(criterion, logits, batch):
    return criterion.update_rates(logits, criterion.prepare(batch))


def indicator(groups, n_groups):
    return one_hot(groups[:, 0], n_groups).double()


# The gradient of the fairness loss


@pytest.mark.parametrize("constraint", [*(c() for c in CONSTRAINTS.values()), MIXED])
@pytest.mark.parametrize("n_groups", [2, 4])
def test_without_a_window_the_gradient_is_that_of_the_loss_of_the_batch(n_groups, constraint):
    logits, batch = random_batch(64, n_groups)
    logits.requires_grad_()
    gradient = fairness_grad(make_criterion(n_groups, constraint=constraint), logits, batch)
    loss = constraint(torch.sigmoid(logits), batch.y, indicator(batch.groups, n_groups))
    assert_close(gradient, grad(loss, logits)[0])


@pytest.mark.parametrize(
    "constraint",
    [PredictiveParity(), DemographicParity(measure="ratio"), DemographicParity(measure="minimum")],
)
def test_a_positive_class_of_code_0_is_that_of_swapped_labels_and_opposite_logits(constraint):
    logits, batch = random_batch(64, 3)
    swapped = RateCriterion(constraint, [3], equalize="scores", positive=0).double()
    gradient = fairness_grad(swapped, logits, batch)
    opposite = fairness_grad(
        make_criterion(3, constraint=constraint), -logits, batch._replace(y=1 - batch.y)
    )
    assert_close(gradient, -opposite)


def strata_and_groups(n_samples, n_strata, n_groups):
    """Return logits, a batch whose groups are cells, and its strata."""
    logits, batch = random_batch(n_samples, n_groups)
    strata = torch.arange(n_samples) % n_strata
    return logits, batch._replace(groups=strata[:, None] * n_groups + batch.groups), strata


@pytest.mark.parametrize("constraint", [DemographicParity(), EqualizedOdds(), PredictiveParity()])
@pytest.mark.parametrize("how", ["size", "equal"])
def test_the_loss_of_strata_is_the_weighted_mean_of_their_losses(constraint, how):
    constraint.stratum_weight = how
    logits, batch, strata = strata_and_groups(120, 3, 2)
    strata[:50] = 0  # unequal sizes
    groups = batch.groups % 2
    groups[strata == 2] = 0  # a stratum of one group
    batch = batch._replace(groups=strata[:, None] * 2 + groups)
    criterion = RateCriterion(constraint, [2], n_strata=3, equalize="scores").double()
    logits.requires_grad_()
    gradient = fairness_grad(criterion, logits, batch)
    sizes = [(strata == s).sum().item() if how == "size" else 1 for s in (0, 1)]
    scores, member = torch.sigmoid(logits), indicator(groups, 2)
    loss = sum(
        n * constraint(scores[strata == s], batch.y[strata == s], member[strata == s])
        for s, n in enumerate(sizes)
    ) / sum(sizes)
    assert_close(gradient, grad(loss, logits)[0])
    assert criterion.summary()["fairness_loss"] == pytest.approx(loss.item())


@pytest.mark.parametrize(
    "constraint", [DemographicParity(), EqualOpportunity(), EqualizedOdds(), PredictiveParity()]
)
def test_multipliers_of_an_absent_stratum_stay_0(constraint):
    logits, batch, _ = strata_and_groups(90, 2, 3)
    criterion = RateCriterion(constraint, [3], n_strata=3, window=300.0).double()
    criterion.target = 0.01
    assert fairness_grad(criterion, logits, batch).isfinite().all()
    present, absent = criterion.multipliers.split([6, 3], -2)
    assert present.any() and not absent.any()


def test_multipliers_move_in_proportion_to_the_fraction_of_positive_labels():
    logits, batch = random_batch(4000, 2)
    batch = batch._replace(sample_weight=torch.rand(4000, dtype=torch.double))
    rare = batch.y * (torch.rand(4000) < 0.6)
    steps, fractions = [], []
    for y in (batch.y, rare):
        criterion = RateCriterion(EqualOpportunity(), [2], window=4000.0).double()
        criterion.target = 0.0
        fairness_grad(criterion, logits, batch._replace(y=y))
        steps.append(criterion.multipliers.abs().max() / criterion.difference(DECISIONS))
        weights = [batch.sample_weight[batch.groups[:, 0] == k] for k in (0, 1)]
        labels = [y[batch.groups[:, 0] == k].double() for k in (0, 1)]
        means = [(w * v).sum() / w.sum() for w, v in zip(weights, labels, strict=True)]
        fractions.append(2 / (1 / means[0] + 1 / means[1]))
    assert_close(steps[1] / steps[0], fractions[1] / fractions[0])
    assert fractions[1] < 0.7 * fractions[0]


@pytest.mark.parametrize("constraint", [DemographicParity(), PredictiveParity()])
@pytest.mark.parametrize("target", [None, 0.05])
@pytest.mark.parametrize("reference", ["pairs", "overall", 1])
def test_local_loss_has_the_gradient_of_fairness_grad_in_strata(constraint, target, reference):
    constraint.reference = reference
    logits, batch, _ = strata_and_groups(150, 2, 3)
    logits.requires_grad_()
    first, second = (
        RateCriterion(constraint, [3], n_strata=2, equalize="both", window=300.0).double()
        for _ in range(2)
    )
    for criterion in (first, second):
        criterion.target, criterion.decision_weight, criterion.steepness = target, 0.7, 0.5
        update_rates(criterion, logits.detach() + 0.3, batch)
    gradient = fairness_grad(first, logits, batch)
    loss = second.local_loss(logits, second.prepare(batch))
    assert_close(grad(loss(logits), logits)[0], gradient)
    assert_close(first.multipliers, second.multipliers)


def test_the_difference_in_strata_is_that_of_the_worst():
    logits, batch, strata = strata_and_groups(200, 2, 3)
    criterion = RateCriterion(DemographicParity(), [3], n_strata=2, equalize="scores").double()
    update_rates(criterion, logits, batch)
    differences = []
    for stratum in (0, 1):
        inside, part = strata == stratum, batch.groups[strata == stratum] % 3
        single = make_criterion(3)
        update_rates(single, *make_batch(logits[inside], part))
        differences.append(single.difference(SCORES))
    assert criterion.constraint_value() == max(differences)
    (_, n_first), (_, n_second) = criterion.widest_gap()
    assert n_first + n_second < 100


def test_distribution_is_steered_by_decisions_at_nine_thresholds():
    logits, batch = random_batch(400, 3)
    criterion = make_criterion(3, equalize="distribution")
    update_rates(criterion, logits, batch)
    scores, groups = torch.sigmoid(logits[:, 0]), batch.groups[:, 0]
    largest = max(
        max(rates) - min(rates)
        for rates in (
            [(scores[groups == g] > k / 10).double().mean().item() for g in range(3)]
            for k in range(1, 10)
        )
    )
    assert criterion.constraint_value().item() == pytest.approx(largest)
    assert criterion.summary()["distribution_difference"] == pytest.approx(largest)


def test_with_a_long_window_batch_gradients_average_to_the_gradient_of_all_samples():
    logits, batch = random_batch(960)
    groups = torch.arange(960) % 3  # so that all batches have the same composition
    logits.requires_grad_()
    loss = DemographicParity()(torch.sigmoid(logits), batch.y, indicator(groups[:, None], 3))
    (expected,) = grad(loss, logits)
    total = torch.zeros_like(logits)
    for part in torch.arange(960).split(48):
        criterion = make_criterion(3, window=math.inf)
        past = make_batch(logits.detach().repeat(1000, 1), groups.repeat(1000))
        update_rates(criterion, *past)  # so many samples that the batch hardly moves the rates
        total[part] += fairness_grad(criterion, *make_batch(logits[part], groups[part])) / 20
    assert_close(total, expected, rtol=2e-3, atol=1e-8)


@pytest.mark.parametrize("equalize", ["decisions", "scores", "both", "distribution"])
@pytest.mark.parametrize("window", [0.0, 500.0])
@pytest.mark.parametrize("target", [None, 0.01, 0.9])
def test_local_loss_has_the_gradient_and_the_effects_of_fairness_grad(equalize, window, target):
    criteria = [make_criterion(4, equalize=equalize, window=window) for _ in range(2)]
    logits, batch = random_batch(200, 4, seed=1)
    logits.requires_grad_()
    for criterion in criteria:
        update_rates(criterion, *random_batch(300, 4))
        criterion.target = target
        if target is not None:
            criterion.multipliers += torch.linspace(-1, 1, 4)[:, None]
    gradient = fairness_grad(criteria[0], logits, batch)
    loss = criteria[1].local_loss(logits, criteria[1].prepare(batch))
    assert_close(grad(loss(logits), logits)[0], gradient)
    assert_close(criteria[0].sums, criteria[1].sums)
    assert_close(criteria[0].multipliers, criteria[1].multipliers)


@pytest.mark.parametrize("equalize", ["decisions", "both"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_local_loss_has_the_gradient_of_fairness_grad_with_a_steep_surrogate(equalize, n_outputs):
    _, batch = random_batch(200, 4)
    logits = torch.randn(200, n_outputs, dtype=torch.float64, requires_grad=True)
    steep, loss_of, plain = (
        make_criterion(4, equalize=equalize, n_outputs=n_outputs, window=500.0) for _ in range(3)
    )
    for criterion in (steep, loss_of, plain):
        criterion.target = 0.01
        criterion.steepness = 0.0 if criterion is plain else 0.7
    gradient = fairness_grad(steep, logits, batch)
    loss = loss_of.local_loss(logits, loss_of.prepare(batch))
    assert_close(grad(loss(logits), logits)[0], gradient)
    assert not torch.allclose(gradient, fairness_grad(plain, logits, batch))


@pytest.mark.parametrize(
    "equalize, n_groups, target, slopes",
    [
        ("decisions", 2, 0.1, [1.0]),
        ("decisions", 3, 0.1, [SURROGATE_SLOPE]),
        ("scores", 3, 0.1, [1.0]),
        ("both", 2, 0.1, [SURROGATE_SLOPE, 1.0]),
        ("both", 3, None, [1.0, 1.0]),
    ],
)
def test_the_surrogate_is_steep_under_a_target_for_both_rates_or_many_groups(
    equalize, n_groups, target, slopes
):
    criterion = make_criterion(n_groups, equalize=equalize)
    criterion.target = target
    assert criterion.surrogate_slopes() == [1.0] * len(slopes)
    criterion.steepness = 1.0
    assert criterion.surrogate_slopes() == slopes


@pytest.mark.parametrize("steepness, meets", [(0.0, False), (1.0, True)])
def test_parity_of_decisions_and_of_scores_needs_two_surrogates(steepness, meets):
    """The gaps are opposite. At slope 1 their gradients cancel at each sample."""
    groups = torch.arange(80) // 40
    first = torch.linspace(-0.8, 1.0, 40, dtype=torch.float64)  # 22 decisions are 1
    second = torch.linspace(-1.0, -0.05, 20, dtype=torch.float64)
    gap = 22 / 40 - 20 / 40
    high = torch.logit((40 * gap + first.sigmoid().sum() - second.sigmoid().sum()) / 20)
    logits = torch.cat([first, second, high.repeat(20)])[:, None]
    criterion = make_criterion(equalize="both")
    criterion.target, criterion.steepness = 0.03, steepness
    update_rates(criterion, *make_batch(logits, groups))
    start = [criterion.difference(kind).item() for kind in (DECISIONS, SCORES)]
    assert start == pytest.approx([gap, gap])
    for _ in range(300):
        logits = logits - 0.5 * fairness_grad(criterion, *make_batch(logits, groups))
    update_rates(criterion, *make_batch(logits, groups))
    end = [criterion.difference(kind).item() for kind in (DECISIONS, SCORES)]
    if meets:
        assert max(end) <= criterion.target
    else:
        assert end == pytest.approx(start)


def test_local_loss_without_a_window_is_the_loss_of_the_batch_at_any_logits():
    logits, batch = random_batch(30, 3)
    loss = make_criterion(3).local_loss(logits, make_criterion(3).prepare(batch))
    elsewhere = (logits + torch.linspace(-1, 1, 30)[:, None]).requires_grad_()

    def expected_loss(logits):
        return DemographicParity()(torch.sigmoid(logits), batch.y, indicator(batch.groups, 3))

    assert_close(loss(elsewhere), expected_loss(elsewhere))
    curvature, expected = (
        torch.autograd.functional.hessian(f, elsewhere.detach()) for f in (loss, expected_loss)
    )
    assert_close(curvature, expected)


@pytest.mark.parametrize("target", [None, 0.01])
def test_equalizing_both_is_the_mean_of_both_losses_and_the_sum_under_a_target(target):
    logits, batch = random_batch(200, 4, seed=1)
    logits.requires_grad_()
    gradients = []
    for equalize in ("decisions", "scores", "both"):
        criterion = make_criterion(4, equalize=equalize, window=500.0)
        update_rates(criterion, *random_batch(300, 4))
        criterion.target = target
        gradients.append(fairness_grad(criterion, logits, batch))
    decisions, scores, both = gradients
    expected = decisions + scores
    assert_close(both, expected / 2 if target is None else expected)
    assert not torch.allclose(decisions, scores)


@pytest.mark.parametrize("window", [0.0, 10_000.0])
def test_gradient_of_a_sample_of_a_rare_group_is_bounded(window):
    criterion = make_criterion(2, window=window)
    for k in range(200):
        groups = torch.zeros(256, dtype=torch.long)
        if k % 50 == 49:
            groups[0] = 1
        logits, batch = make_batch(groups.double(), groups)
        logits.requires_grad_()
        assert fairness_grad(criterion, logits, batch).abs().max() < 0.5


EQUAL_DECISIONS = torch.tensor([2.0, -2.0, 0.15, -0.05], dtype=torch.float64)  # unequal scores
TWO_GROUPS = torch.tensor([0, 0, 1, 1])


def moves_logits(criterion, logits, groups):
    logits, batch = make_batch(logits.clone(), groups)
    logits.requires_grad_()
    gradient = fairness_grad(criterion, logits, batch)
    return bool((gradient.abs() > 1e-9).any())


@pytest.mark.parametrize("equalize, moves", [("decisions", False), ("scores", True)])
def test_equal_decisions_with_unequal_scores_have_a_gradient_only_for_scores(equalize, moves):
    criterion = make_criterion(equalize=equalize)
    assert moves_logits(criterion, EQUAL_DECISIONS, TWO_GROUPS) is moves


def test_decision_weight_moves_steering_rates_from_scores_to_decisions():
    criterion = make_criterion(equalize="decisions")
    update_rates(criterion, *make_batch(EQUAL_DECISIONS, TWO_GROUPS))
    decisions, scores = criterion.rates(DECISIONS), criterion.rates(SCORES)
    for weight in (0.0, 0.25, 1.0):
        criterion.decision_weight = weight
        expected = weight * decisions + (1 - weight) * scores
        assert_close(criterion.steering_rates(), expected[None])
        assert moves_logits(criterion, EQUAL_DECISIONS, TWO_GROUPS) is (weight < 1)


# Running rates


def test_rates_are_exponential_averages_over_samples():
    criterion = make_criterion(window=100.0)
    first, second = random_batch(50, seed=1), random_batch(50, seed=2)
    update_rates(criterion, *first)
    update_rates(criterion, *second)
    for kind, values in ((SCORES, torch.sigmoid), (DECISIONS, lambda z: (z > 0).double())):
        for g in (0, 1):
            sums = counts = 0.0
            for weight, (logits, batch) in ((math.exp(-0.5), first), (1.0, second)):
                member = batch.groups[:, 0] == g
                sums += weight * values(logits[member]).sum()
                counts += weight * member.sum()
            assert_close(criterion.rates(kind)[0, g, 0], sums / counts)


def test_absent_group_keeps_its_rate_until_its_count_has_decayed():
    criterion = make_criterion(2, equalize="decisions", window=256.0).float()
    positive = torch.full((256,), 2.0)
    update_rates(criterion, *make_batch(positive, torch.arange(256) % 2))
    for _ in range(120):
        update_rates(criterion, *make_batch(positive, torch.zeros(256, dtype=torch.long)))
        assert criterion.summary()["decision_difference"] < 1e-6  # all decisions are 1
        assert criterion.summary()["fairness_loss"] < 1e-12
    assert criterion.counts[0, 1] == 0


def test_a_window_reduces_the_variance_of_the_rate_of_a_small_group():
    generator = torch.Generator().manual_seed(0)
    spread = {}
    for window in (0.0, 10_000.0):
        criterion, rates = make_criterion(window=window), []
        for k in range(400):
            # About one sample of the small group in a batch.
            groups = (torch.rand(256, generator=generator) < 0.004).long()
            logits = torch.randn(256, generator=generator, dtype=torch.float64)
            update_rates(criterion, *make_batch(logits, groups))
            if k >= 200:
                rates.append(criterion.rates(DECISIONS)[0, 1, 0])
        spread[window] = torch.stack(rates).std()
    assert spread[10_000.0] < spread[0.0] / 4


def test_absent_groups_add_no_gradient_and_no_nan():
    criterion = make_criterion(3, window=1000.0)
    update_rates(criterion, *random_batch(90, 3))
    logits, _ = random_batch(90, 3)
    logits.requires_grad_()
    one_group = make_batch(logits, torch.zeros(90, dtype=torch.long))
    assert fairness_grad(criterion, *one_group).isfinite().all()
    new = make_criterion(5)
    assert (fairness_grad(new, *one_group) == 0).all()
    assert all(math.isfinite(value) for value in new.summary().values())


def test_new_groups_are_appended_to_each_feature_and_rates_are_kept():
    criterion = make_criterion(2, 3, window=1000.0)
    update_rates(criterion, *two_features())
    before = criterion.rates(SCORES)
    criterion.add_groups([3, 5])
    assert_close(criterion.rates(SCORES)[:, [0, 1, 3, 4, 5]], before)
    assert (criterion.counts[0] > 0).tolist() == [True, True, False, True, True, True, False, False]
    logits, batch = random_batch(90, 3)
    update_rates(criterion, logits, batch._replace(groups=batch.groups + torch.tensor([[0, 2]])))
    assert (criterion.counts > 0).all()
    assert_close(criterion.sizes, criterion.counts)  # demographic parity has all samples


# Several sensitive features


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_losses_of_separate_features_are_summed(aggregation):
    logits, batch = two_features()
    logits.requires_grad_()
    constraint = DemographicParity(aggregation=aggregation)
    criterion = make_criterion(2, 3, constraint=constraint)
    parts = [
        constraint(torch.sigmoid(logits), batch.y, one_hot(codes).double())
        for codes in batch.groups.T
    ]
    gradient = fairness_grad(criterion, logits, batch)
    assert_close(gradient, grad(sum(parts), logits)[0])
    assert criterion.summary()["fairness_loss"] == pytest.approx(sum(parts).item())
    values = []
    for k, n_groups in enumerate((2, 3)):
        single = make_criterion(n_groups)
        update_rates(single, logits.detach(), batch._replace(groups=batch.groups[:, k : k + 1]))
        values.append(single.constraint_value())
    assert criterion.constraint_value() == max(values)


def test_function_as_constraint_is_summed_over_separate_features():
    logits, batch = two_features()
    logits.requires_grad_()
    criterion = FunctionCriterion(DemographicParity(), (2, 3)).double()
    expected = fairness_grad(make_criterion(2, 3), logits, batch)
    assert_close(fairness_grad(criterion, logits, batch), expected)


# Weights, and more than two classes


@pytest.mark.parametrize("window", [0.0, 1000.0])
def test_a_weighted_sample_counts_as_repeated_samples(window):
    logits, batch = random_batch(60, 3)
    weight = torch.arange(60) % 3
    index = torch.arange(60).repeat_interleave(weight)
    weighted, repeated = (make_criterion(3, window=window) for _ in range(2))
    batches = [
        (weighted, logits, batch._replace(sample_weight=weight.double())),
        (repeated, *make_batch(logits[index], batch.groups[index], batch.y[index])),
    ]
    gradients = []
    for criterion, *samples in batches:
        update_rates(criterion, *samples)
        gradients.append(fairness_grad(criterion, *samples))
    assert_close(gradients[0], torch.zeros_like(logits).index_add_(0, index, gradients[1]))
    assert_close(weighted.sums, repeated.sums)


def test_accuracy_loss_is_the_weighted_cross_entropy():
    logits, batch = random_batch(8)
    logits.requires_grad_()
    weight = torch.linspace(0.5, 1.5, 8, dtype=torch.float64)
    p, y = torch.sigmoid(logits[:, 0]), batch.y
    expected = -(weight * (y * p.log() + (1 - y) * (1 - p).log())).mean()
    loss, gradient = accuracy_loss(make_criterion(), logits, batch._replace(weight=weight))
    assert_close(loss, expected)
    assert_close(gradient, grad(expected, logits)[0])


def test_each_of_several_classes_has_a_rate():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(90, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    groups = torch.arange(90) % 2
    y = torch.randint(3, (90,), generator=generator)
    _, batch = make_batch(logits, groups, y)
    for constraint in (DemographicParity(), EqualizedOdds()):
        criterion = make_criterion(2, constraint=constraint, n_outputs=3)
        gradient = fairness_grad(criterion, logits, batch)
        loss = constraint(logits.softmax(1), y, indicator(groups[:, None], 2))
        assert_close(gradient, grad(loss, logits)[0])
    rates = criterion.rates(DECISIONS)
    assert_close(rates.sum(2), torch.ones(3, 2, dtype=torch.float64))
    rate = (logits[(groups == 1) & (y == 2)].argmax(1) == 0).double().mean()
    assert_close(rates[2, 1, 0], rate)
    expected = -logits.softmax(1)[torch.arange(90), y].log().mean()
    loss, gradient = accuracy_loss(criterion, logits, batch)
    assert_close(loss, expected)
    assert_close(gradient, grad(expected, logits)[0])


@pytest.mark.parametrize("constraint", [DemographicParity(), PredictiveParity()])
def test_a_group_whose_count_decayed_is_absent(constraint):
    criterion = make_criterion(3, constraint=constraint, window=10.0)
    logits, batch = random_batch(64, 3)
    update_rates(criterion, logits, batch)
    logits, batch = random_batch(64, 2)
    logits = logits * 0.01 + 1.0  # all are predicted as positive
    for _ in range(8):
        update_rates(criterion, logits, batch)
    two_groups = make_criterion(2, constraint=constraint, window=10.0)
    update_rates(two_groups, logits, batch)
    assert_close(criterion.difference(DECISIONS), two_groups.difference(DECISIONS))


def test_the_widest_gap_names_groups_with_the_denominators_of_their_rates():
    logits, batch = random_batch(200, 3)
    precision = make_criterion(3, constraint=PredictiveParity(), equalize="decisions")
    update_rates(precision, logits, batch)
    predicted = (logits[:, 0] > 0).double()
    member = indicator(batch.groups, 3)
    rates = (member.T @ (predicted * batch.y)) / (member.T @ predicted)
    pairs = [(int(g), float((member.T @ predicted)[g])) for g in (rates.argmax(), rates.argmin())]
    assert precision.widest_gap() == pairs
    level = make_criterion(3, constraint=DemographicParity(measure="minimum"))
    update_rates(level, logits, batch)
    means = (member.T @ logits[:, 0].sigmoid()) / member.sum(0)
    assert [g for g, _ in level.widest_gap()] == [int(means.argmin())] * 2

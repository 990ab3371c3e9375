"""Running rates, and the loss whose gradient they steer."""

import math

import pytest
import torch
from torch.autograd import grad

from fairbinn_sklearn._data.batches import Batch
from fairbinn_sklearn._training.criterion import DECISIONS, SCORES, RateCriterion
from fairbinn_sklearn._training.function_criterion import FunctionCriterion
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds


def make(*n_groups, constraint=None, equalize="scores", window=0.0, n_outputs=1):
    constraint = DemographicParity() if constraint is None else constraint
    return RateCriterion(
        constraint, n_groups or (2,), equalize=equalize, window=window, n_outputs=n_outputs
    ).double()


def rows(logits, groups, y=None, sample_weight=None):
    """Logits of shape (N,) or (N, C) and a batch without columns; groups (N,) or (N, K)."""
    logits = logits if logits.ndim == 2 else logits[:, None]
    groups = groups if groups.ndim == 2 else groups[:, None]
    y = torch.zeros(len(groups), dtype=torch.long) if y is None else y
    weight = torch.ones(len(groups), dtype=torch.float64)
    return logits, Batch(None, y, groups, weight, sample_weight)


def random_rows(n_rows, n_groups=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_rows, generator=generator, dtype=torch.float64)
    groups = torch.randint(n_groups, (n_rows,), generator=generator)
    y = torch.randint(2, (n_rows,), generator=generator)
    return rows(logits + groups, groups, y)


def slopes(criterion, logits, batch):
    """Slopes of the fairness loss in the logits."""
    return criterion.fairness_grad(logits, criterion.prepare(batch))


def observe(criterion, logits, batch):
    return criterion.update_rates(logits, criterion.prepare(batch))


def one_hot(groups, n_groups):
    return torch.nn.functional.one_hot(groups[:, 0], n_groups).double()


@pytest.mark.parametrize("constraint", [DemographicParity(), EqualizedOdds()])
@pytest.mark.parametrize("n_groups", [2, 4])
def test_without_a_window_the_gradient_is_that_of_the_loss_of_the_batch(n_groups, constraint):
    logits, batch = random_rows(64, n_groups)
    logits.requires_grad_()
    criterion = make(n_groups, constraint=constraint)
    gradient = slopes(criterion, logits, batch)
    (expected,) = grad(
        constraint(torch.sigmoid(logits), batch.y, one_hot(batch.groups, n_groups)), logits
    )
    torch.testing.assert_close(gradient, expected)


def test_with_a_window_running_slopes_meet_the_rates_of_the_batch():
    """Batches of one composition: the mean gradient over batches is that on all rows."""
    logits, batch = random_rows(960)
    groups = torch.arange(960) % 3
    logits.requires_grad_()
    loss = DemographicParity()(torch.sigmoid(logits), batch.y, one_hot(groups[:, None], 3))
    (expected,) = grad(loss, logits)
    total = torch.zeros_like(logits)
    for part in torch.arange(960).split(48):
        criterion = make(3, window=math.inf)
        weighty = rows(logits.detach().repeat(1000, 1), groups.repeat(1000))
        observe(criterion, *weighty)  # so many rows that the batch hardly moves the rates
        total[part] += slopes(criterion, *rows(logits[part], groups[part])) / 20
    torch.testing.assert_close(total, expected, rtol=2e-3, atol=1e-8)


@pytest.mark.parametrize("equalize", ["decisions", "scores", "both"])
@pytest.mark.parametrize("window", [0.0, 500.0])
@pytest.mark.parametrize("target", [None, 0.01, 0.9])
def test_both_forms_of_the_loss_have_one_gradient(equalize, window, target):
    criteria = [make(4, equalize=equalize, window=window) for _ in range(2)]
    logits, batch = random_rows(200, 4, seed=1)
    logits.requires_grad_()
    for criterion in criteria:
        observe(criterion, *random_rows(300, 4))
        criterion.target = target
        if target is not None:
            criterion.multipliers += torch.linspace(-1, 1, 4)[:, None]
    gradient = slopes(criteria[0], logits, batch)
    (around,) = grad(criteria[1].local_loss(logits, criteria[1].prepare(batch))(logits), logits)
    torch.testing.assert_close(around, gradient)
    torch.testing.assert_close(criteria[0].sums, criteria[1].sums)
    torch.testing.assert_close(criteria[0].multipliers, criteria[1].multipliers)


@pytest.mark.parametrize("target", [None, 0.01])
def test_both_is_the_mean_of_both_losses_or_under_a_target_their_sum(target):
    logits, batch = random_rows(200, 4, seed=1)
    logits.requires_grad_()
    gradients = []
    for equalize in ("decisions", "scores", "both"):
        criterion = make(4, equalize=equalize, window=500.0)
        observe(criterion, *random_rows(300, 4))
        criterion.target = target
        gradients.append(slopes(criterion, logits, batch))
    together = gradients[0] + gradients[1]
    expected = together / 2 if target is None else together
    torch.testing.assert_close(gradients[2], expected)
    assert not torch.allclose(gradients[0], gradients[1])


def test_the_loss_around_a_batch_is_the_loss_itself_without_a_window():
    """Elsewhere too, and so are its second derivatives."""
    logits, batch = random_rows(30, 3)
    loss = make(3).local_loss(logits, make(3).prepare(batch))
    elsewhere = (logits + torch.linspace(-1, 1, 30)[:, None]).requires_grad_()

    def phi(logits):
        return DemographicParity()(torch.sigmoid(logits), batch.y, one_hot(batch.groups, 3))

    torch.testing.assert_close(loss(elsewhere), phi(elsewhere))
    curvature, expected = (
        torch.autograd.functional.hessian(f, elsewhere.detach()) for f in (loss, phi)
    )
    torch.testing.assert_close(curvature, expected)


def test_a_group_that_stays_away_keeps_its_rate_until_it_is_forgotten():
    criterion = make(2, equalize="decisions", window=256.0).float()
    positive = torch.full((256,), 2.0)
    observe(criterion, *rows(positive, torch.arange(256) % 2))
    for _ in range(120):
        observe(criterion, *rows(positive, torch.zeros(256, dtype=torch.long)))
        assert criterion.summary()["decision_difference"] < 1e-6  # all decisions are 1
        assert criterion.summary()["fairness_loss"] < 1e-12
    assert criterion.counts[0, 1] == 0


@pytest.mark.parametrize("window", [0.0, 10_000.0])
def test_no_row_of_a_rare_group_weighs_more_than_the_group(window):
    """However rare its group, a row's gradient stays within that of the rate of its batch."""
    criterion = make(2, window=window)
    for step in range(200):
        groups = torch.zeros(256, dtype=torch.long)
        if step % 50 == 49:
            groups[0] = 1
        logits, batch = rows(groups.double(), groups)
        logits.requires_grad_()
        gradient = slopes(criterion, logits, batch)
        assert gradient.abs().max() < 0.5


def push(criterion, logits, groups):
    """Whether the fairness loss moves any logit."""
    logits, batch = rows(logits.clone(), groups)
    logits.requires_grad_()
    gradient = slopes(criterion, logits, batch)
    return bool((gradient.abs() > 1e-9).any())


def test_decisions_steer_while_scores_carry_the_gradient():
    """Equal decisions, unequal scores: no push by "decision", a push by "score"."""
    logits = torch.tensor([2.0, -2.0, 0.15, -0.05], dtype=torch.float64)
    groups = torch.tensor([0, 0, 1, 1])
    for equalize, pushes in (("decisions", False), ("scores", True)):
        assert push(make(equalize=equalize), logits, groups) is pushes


def test_decisions_take_over_from_scores():
    logits = torch.tensor([2.0, -2.0, 0.15, -0.05], dtype=torch.float64)
    groups = torch.tensor([0, 0, 1, 1])
    criterion = make(equalize="decisions")
    observe(criterion, *rows(logits, groups))
    decisions, scores = criterion.rates(DECISIONS), criterion.rates(SCORES)
    for decided in (0.0, 0.25, 1.0):
        criterion.decision_weight = decided
        expected = decided * decisions + (1 - decided) * scores
        torch.testing.assert_close(criterion.steering_rates(), expected[None])
        assert push(criterion, logits, groups) is (decided < 1)


def test_window_is_an_exponential_mean_over_rows():
    criterion = make(window=100.0)
    first, second = random_rows(50, seed=1), random_rows(50, seed=2)
    observe(criterion, *first)
    observe(criterion, *second)
    keep = math.exp(-0.5)
    for kind, values in ((SCORES, torch.sigmoid), (DECISIONS, lambda z: (z > 0).double())):
        for g in (0, 1):
            sums = counts = 0.0
            for weight, (logits, batch) in ((keep, first), (1.0, second)):
                member = batch.groups[:, 0] == g
                sums += weight * values(logits[member]).sum()
                counts += weight * member.sum()
            torch.testing.assert_close(criterion.rates(kind)[0, g, 0], sums / counts)


def test_window_steadies_the_rate_of_a_small_group():
    """40 rows in 10,000: about one a batch of 256."""
    generator = torch.Generator().manual_seed(0)
    spread = {}
    for window in (0.0, 10_000.0):
        criterion, rates = make(window=window), []
        for step in range(400):
            groups = (torch.rand(256, generator=generator) < 0.004).long()
            logits = torch.randn(256, generator=generator, dtype=torch.float64)
            observe(criterion, *rows(logits, groups))
            if step >= 200:
                rates.append(criterion.rates(DECISIONS)[0, 1, 0])
        spread[window] = torch.stack(rates).std()
    assert spread[10_000.0] < spread[0.0] / 4


def test_absent_group_adds_nothing_and_no_nan():
    criterion = make(3, window=1000.0)
    observe(criterion, *random_rows(90, 3))
    logits, _ = random_rows(90, 3)
    logits.requires_grad_()
    only_first = rows(logits, torch.zeros(90, dtype=torch.long))
    gradient = slopes(criterion, *only_first)
    assert gradient.isfinite().all()
    never_seen = make(5)
    assert (slopes(never_seen, *only_first) == 0).all()
    assert all(math.isfinite(figure) for figure in never_seen.summary().values())


def test_growing_keeps_what_was_counted():
    criterion = make(2, window=1000.0)
    observe(criterion, *random_rows(90, 2))
    before = criterion.rates(SCORES).clone()
    criterion.add_groups([4])
    assert criterion.rates(SCORES).shape == (1, 4, 1)
    torch.testing.assert_close(criterion.rates(SCORES)[:, :2], before)
    observe(criterion, *random_rows(90, 4))
    assert (criterion.counts > 0).all()


# Several sensitive columns


def two_columns(n_rows=300):
    logits, batch = random_rows(n_rows, 2)
    return logits, batch._replace(
        groups=torch.cat([batch.groups, torch.arange(n_rows)[:, None] % 3], 1)
    )


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_the_losses_of_columns_add_up_and_compare_no_group_of_different_ones(aggregation):
    logits, batch = two_columns()
    logits.requires_grad_()
    constraint = DemographicParity(aggregation=aggregation)
    criterion = make(2, 3, constraint=constraint)
    parts = [
        constraint(torch.sigmoid(logits), batch.y, torch.nn.functional.one_hot(column).double())
        for column in batch.groups.T
    ]
    gradient = slopes(criterion, logits, batch)
    torch.testing.assert_close(gradient, grad(sum(parts), logits)[0])
    assert criterion.summary()["fairness_loss"] == pytest.approx(sum(parts).item())
    alone = []
    for k, n in enumerate((2, 3)):
        one = make(n)
        observe(one, logits.detach(), batch._replace(groups=batch.groups[:, k : k + 1]))
        alone.append(one.constraint_value())
    assert criterion.constraint_value() == max(alone)


def test_growing_one_of_two_columns():
    criterion = make(2, 3, window=1000.0)
    observe(criterion, *two_columns())
    before = criterion.rates(SCORES)
    criterion.add_groups([3, 5])
    after = criterion.rates(SCORES)
    torch.testing.assert_close(after[:, [0, 1, 3, 4, 5]], before)
    assert (criterion.counts[0] > 0).tolist() == [True, True, False, True, True, True, False, False]


def test_a_function_is_added_up_over_columns():
    logits, batch = two_columns()
    logits.requires_grad_()
    criterion = FunctionCriterion(DemographicParity(), (2, 3)).double()
    torch.testing.assert_close(slopes(criterion, logits, batch), slopes(make(2, 3), logits, batch))


# Weights, and more than two classes


@pytest.mark.parametrize("window", [0.0, 1000.0])
def test_a_weight_of_two_is_a_row_given_twice(window):
    logits, batch = random_rows(60, 3)
    weight = torch.arange(60) % 3
    index = torch.arange(60).repeat_interleave(weight)
    weighted = make(3, window=window), (logits, batch._replace(sample_weight=weight.double()))
    repeated = make(3, window=window), rows(logits[index], batch.groups[index], batch.y[index])
    gradients = []
    for criterion, (z, part) in (weighted, repeated):
        observe(criterion, z, part)
        gradients.append(slopes(criterion, z, part))
    gathered = torch.zeros_like(logits).index_add_(0, index, gradients[1])
    torch.testing.assert_close(gradients[0], gathered)
    torch.testing.assert_close(weighted[0].sums, repeated[0].sums)


def test_accuracy_loss_is_the_weighted_cross_entropy():
    logits, batch = random_rows(8)
    logits.requires_grad_()
    weight = torch.linspace(0.5, 1.5, 8, dtype=torch.float64)
    p, y = torch.sigmoid(logits[:, 0]), batch.y
    expected = -(weight * (y * p.log() + (1 - y) * (1 - p).log())).mean()
    loss, to_accuracy = make().accuracy(logits, batch._replace(weight=weight))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(to_accuracy, grad(expected, logits)[0])


def test_several_classes_have_a_rate_each():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(90, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    groups = torch.arange(90) % 2
    y = torch.randint(3, (90,), generator=generator)
    _, batch = rows(logits, groups, y)
    for constraint in (DemographicParity(), EqualizedOdds()):
        criterion = make(2, constraint=constraint, n_outputs=3)
        gradient = slopes(criterion, logits, batch)
        loss = constraint(logits.softmax(1), y, one_hot(groups[:, None], 2))
        torch.testing.assert_close(gradient, grad(loss, logits)[0])
    rates = criterion.rates(DECISIONS)
    torch.testing.assert_close(rates.sum(2), torch.ones(3, 2, dtype=torch.float64))
    share = (logits[(groups == 1) & (y == 2)].argmax(1) == 0).double().mean()
    torch.testing.assert_close(rates[2, 1, 0], share)
    p = logits.softmax(1)[torch.arange(90), y]
    loss, to_accuracy = criterion.accuracy_loss(logits, batch)
    torch.testing.assert_close(loss, -p.log().mean())
    torch.testing.assert_close(to_accuracy, grad(-p.log().mean(), logits)[0])

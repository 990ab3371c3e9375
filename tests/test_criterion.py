"""Running rates, and the loss whose gradient they steer."""

import math

import pytest
import torch

from fairbinn_sklearn._criterion import DECISIONS, SCORES, RateCriterion
from fairbinn_sklearn.losses import DemographicParity


def make(n_groups=2, violation="score", window=0.0):
    criterion = RateCriterion(DemographicParity(), n_groups, violation=violation, window=window)
    return criterion.double()


def random_rows(n_rows, n_groups=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_rows, 1, generator=generator, dtype=torch.float64)
    groups = torch.randint(n_groups, (n_rows,), generator=generator)
    return logits + groups[:, None], torch.zeros(n_rows), groups


@pytest.mark.parametrize("n_groups", [2, 4])
def test_without_a_window_the_gradient_is_that_of_the_loss_of_the_batch(n_groups):
    logits, y, groups = random_rows(64, n_groups)
    logits.requires_grad_()
    criterion = make(n_groups)
    (gradient,) = torch.autograd.grad(criterion.fairness_loss(logits, y, groups), logits)
    loss = DemographicParity()(torch.sigmoid(logits), y, criterion.indicator(groups))
    (expected,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, expected)


def test_with_a_window_running_slopes_meet_the_rates_of_the_batch():
    """Batches of one composition: the mean gradient over batches is that on all rows."""
    logits, y, _ = random_rows(960, 3)
    groups = torch.arange(960) % 3
    logits.requires_grad_()
    loss = DemographicParity()(torch.sigmoid(logits), y, make(3).indicator(groups))
    (expected,) = torch.autograd.grad(loss, logits)
    total = torch.zeros_like(logits)
    for batch in torch.arange(960).split(48):
        criterion = make(3, window=math.inf)
        weighty = [logits.repeat(1000, 1), y.repeat(1000), groups.repeat(1000)]
        criterion.observe(*weighty)  # so many rows that the batch hardly moves the rates
        value = criterion.fairness_loss(logits[batch], y[batch], groups[batch])
        total += torch.autograd.grad(value, logits)[0] / 20
    torch.testing.assert_close(total, expected, rtol=2e-3, atol=1e-8)


def test_a_group_that_stays_away_keeps_its_rate_until_it_is_forgotten():
    criterion = RateCriterion(DemographicParity(), 2, violation="decision", window=256.0)
    positive, y = torch.full((256, 1), 2.0), torch.zeros(256)
    criterion.observe(positive, y, torch.arange(256) % 2)
    for _ in range(120):
        criterion.observe(positive, y, torch.zeros(256, dtype=torch.long))
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
        logits = torch.zeros(256, 1, dtype=torch.float64).add(groups[:, None]).requires_grad_()
        value = criterion.fairness_loss(logits, torch.zeros(256), groups)
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.abs().max() < 0.5


def test_decisions_steer_while_scores_carry_the_gradient():
    """Equal decisions, unequal scores: no push by "decision", a push by "score"."""
    logits = torch.tensor([[2.0], [-2.0], [0.1], [-0.1]], dtype=torch.float64, requires_grad=True)
    logits = logits + torch.tensor([[0.0], [0.0], [0.05], [0.05]])
    groups, y = torch.tensor([0, 0, 1, 1]), torch.zeros(4)
    for violation, pushes in (("decision", False), ("score", True)):
        value = make(violation=violation).fairness_loss(logits, y, groups)
        (gradient,) = torch.autograd.grad(value, logits, retain_graph=True)
        assert bool((gradient.abs() > 1e-9).any()) is pushes


def test_window_is_an_exponential_mean_over_rows():
    criterion = make(window=100.0)
    first, second = random_rows(50, seed=1), random_rows(50, seed=2)
    criterion.observe(*first)
    criterion.observe(*second)
    keep = math.exp(-0.5)
    for kind, values in ((SCORES, torch.sigmoid), (DECISIONS, lambda z: (z > 0).double())):
        for g in (0, 1):
            sums = counts = 0.0
            for weight, (logits, _, groups) in ((keep, first), (1.0, second)):
                sums += weight * values(logits)[groups == g].sum()
                counts += weight * (groups == g).sum()
            torch.testing.assert_close(criterion.rates(kind)[0, g, 0], sums / counts)


def test_window_steadies_the_rate_of_a_small_group():
    """40 rows in 10,000: about one a batch of 256."""
    generator = torch.Generator().manual_seed(0)
    spread = {}
    for window in (0.0, 10_000.0):
        criterion, rates = make(window=window), []
        for step in range(400):
            groups = (torch.rand(256, generator=generator) < 0.004).long()
            logits = torch.randn(256, 1, generator=generator, dtype=torch.float64)
            criterion.observe(logits, torch.zeros(256), groups)
            if step >= 200:
                rates.append(criterion.rates(DECISIONS)[0, 1, 0])
        spread[window] = torch.stack(rates).std()
    assert spread[10_000.0] < spread[0.0] / 4


def test_absent_group_adds_nothing_and_no_nan():
    criterion = make(3, window=1000.0)
    logits, y, groups = random_rows(90, 3)
    criterion.fairness_loss(logits, y, groups)
    logits = logits.clone().requires_grad_()
    only_first = torch.zeros(90, dtype=torch.long)
    value = criterion.fairness_loss(logits, y, only_first)
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.isfinite().all()
    never_seen = make(5)
    assert never_seen.fairness_loss(logits, y, only_first) == 0
    assert all(math.isfinite(figure) for figure in never_seen.summary().values())


def test_growing_keeps_what_was_counted():
    criterion = make(2, window=1000.0)
    criterion.observe(*random_rows(90, 2))
    before = criterion.rates(SCORES).clone()
    criterion.grow(4)
    assert criterion.rates(SCORES).shape == (1, 4, 1)
    torch.testing.assert_close(criterion.rates(SCORES)[:, :2], before)
    criterion.observe(*random_rows(90, 4))
    assert (criterion.counts > 0).all()


def test_accuracy_loss_is_the_weighted_cross_entropy():
    logits, _, _ = random_rows(8)
    y = torch.tensor([0.0, 1] * 4, dtype=torch.float64)
    weight = torch.linspace(0.5, 1.5, 8, dtype=torch.float64)
    p = torch.sigmoid(logits[:, 0])
    expected = -(weight * (y * p.log() + (1 - y) * (1 - p).log())).mean()
    torch.testing.assert_close(make().accuracy_loss(logits, y, weight), expected)

"""Laws of the fairness losses."""

import numpy as np
import pytest
import torch
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate_difference,
    mean_prediction,
    selection_rate,
)
from sklearn.base import clone

from fairbinn_sklearn.losses import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    FairnessLoss,
    FalsePositiveRateParity,
)
from fairbinn_sklearn.losses._combined import CombinedLoss


class LabelParity(FairnessLoss):
    """Three events, one of them all rows."""

    def events(self, y, n_classes):
        return torch.stack([y == 0, y == 1, y == y])


CRITERIA = [
    DemographicParity,
    EqualOpportunity,
    FalsePositiveRateParity,
    EqualizedOdds,
    LabelParity,
]
LOSSES = [
    *(
        criterion(aggregation=aggregation)
        for criterion in CRITERIA
        for aggregation in ("mean", "max")
    ),
    EqualizedOdds(weight=0.5),
    CombinedLoss([DemographicParity(), EqualizedOdds(weight=0.5, aggregation="max")]),
]


def random_batch(n_rows=200, n_groups=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n_rows, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (n_rows,), generator=generator)
    codes = torch.randint(n_groups, (n_rows,), generator=generator)
    return scores, y, torch.nn.functional.one_hot(codes, n_groups).double()


def assert_zero_at_parity(loss):
    scores, y, groups = random_batch()
    twice = torch.cat([scores, scores]), torch.cat([y, y])
    same_rates = torch.eye(2, dtype=torch.float64).repeat_interleave(len(y), 0)  # two copies
    assert loss(*twice, same_rates) < 1e-30
    by_score = torch.eye(2, dtype=torch.float64)[(twice[0] > 0.5).long()]
    assert loss(*twice, by_score) > 0.01


def assert_invariant_to_group_order(loss):
    scores, y, groups = random_batch()
    permuted = groups[:, [2, 0, 3, 1]]
    torch.testing.assert_close(
        loss(scores, y, permuted), loss(scores, y, groups), rtol=1e-12, atol=0
    )


def assert_invariant_to_row_order(loss):
    scores, y, groups = random_batch()
    order = torch.arange(len(y)).flip(0)
    torch.testing.assert_close(
        loss(scores[order], y[order], groups[order]), loss(scores, y, groups), rtol=1e-12, atol=0
    )


def assert_absent_group_is_left_out(loss):
    scores, y, groups = random_batch()
    scores.requires_grad_()
    wider = torch.cat([groups, torch.zeros(len(y), 2, dtype=groups.dtype)], 1)
    value = loss(scores, y, wider)
    torch.testing.assert_close(value, loss(scores, y, groups), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value, scores)
    assert gradient.isfinite().all()


def assert_slopes_are_the_gradient(loss):
    scores, y, groups = random_batch()
    groups = torch.cat([groups, torch.zeros(len(y), 1, dtype=groups.dtype)], 1)
    rates, counts = loss.rates(scores, y, groups)
    rates.requires_grad_()
    (gradient,) = torch.autograd.grad(loss.penalty(rates, counts), rates)
    torch.testing.assert_close(loss.gradient(rates, counts).detach(), gradient)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(
    "law",
    [
        assert_zero_at_parity,
        assert_invariant_to_group_order,
        assert_invariant_to_row_order,
        assert_absent_group_is_left_out,
        assert_slopes_are_the_gradient,
    ],
)
def test_law(law, loss):
    law(loss)


@pytest.mark.parametrize("n_first", [1, 50, 100, 199])
def test_two_groups_give_the_squared_gap_whatever_their_sizes(n_first):
    scores, y, _ = random_batch()
    groups = torch.zeros(len(y), 2, dtype=torch.float64)
    groups[:n_first, 0] = 1
    groups[n_first:, 1] = 1
    gap = scores[:n_first].mean() - scores[n_first:].mean()
    torch.testing.assert_close(DemographicParity()(scores, y, groups), gap**2)


def test_many_groups_give_the_mean_squared_gap_over_pairs():
    scores, y, groups = random_batch(n_groups=5)
    rates = [scores[member.bool()].mean() for member in groups.T]
    gaps = [(rates[g] - rates[h]) ** 2 for g in range(5) for h in range(g)]
    torch.testing.assert_close(DemographicParity()(scores, y, groups), torch.stack(gaps).mean())


def test_largest_gap_over_pairs():
    scores, y, groups = random_batch(n_groups=5)
    rates = torch.stack([scores[member.bool()].mean() for member in groups.T])
    loss = DemographicParity(aggregation="max")
    torch.testing.assert_close(loss(scores, y, groups), (rates.max() - rates.min()) ** 2)


def test_mean_and_max_over_events():
    scores, y, groups = random_batch()
    by_label = torch.stack(
        [
            DemographicParity()(scores[y == label], y[y == label], groups[y == label])
            for label in (0, 1)
        ]
    )
    torch.testing.assert_close(EqualizedOdds()(scores, y, groups), by_label.sum())
    torch.testing.assert_close(FalsePositiveRateParity()(scores, y, groups), by_label[0])
    torch.testing.assert_close(EqualOpportunity()(scores, y, groups), by_label[1])
    largest = [
        criterion(aggregation="max")(scores, y, groups)
        for criterion in (EqualOpportunity, FalsePositiveRateParity)
    ]
    torch.testing.assert_close(
        EqualizedOdds(aggregation="max")(scores, y, groups), torch.stack(largest).max()
    )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_mean_and_max_agree_for_two_groups_and_one_event(criterion):
    scores, y, groups = random_batch(n_groups=2)
    mean, largest = (criterion(aggregation=kind)(scores, y, groups) for kind in ("mean", "max"))
    if criterion in (EqualizedOdds, LabelParity):  # several events, which "mean" adds up
        assert mean > largest
    else:
        torch.testing.assert_close(mean, largest)


def test_weight_is_a_factor_of_the_loss_and_not_of_the_difference():
    scores, y, groups = random_batch()
    plain, weighted = EqualizedOdds(), EqualizedOdds(weight=2.5)
    torch.testing.assert_close(weighted(scores, y, groups), 2.5 * plain(scores, y, groups))
    rates = plain.rates(scores, y, groups)
    torch.testing.assert_close(weighted.difference(*rates), plain.difference(*rates))


def test_combined_losses_add_up():
    scores, y, groups = random_batch()
    parts = [DemographicParity(weight=2), EqualizedOdds(aggregation="max"), EqualOpportunity()]
    combined = CombinedLoss(parts)
    torch.testing.assert_close(
        combined(scores, y, groups), sum(part(scores, y, groups) for part in parts)
    )
    assert combined.difference(*combined.rates(scores, y, groups)) == max(
        part.difference(*part.rates(scores, y, groups)) for part in parts
    )


@pytest.mark.parametrize("n_groups", [2, 5])
@pytest.mark.parametrize(
    "criterion, metric",
    [
        (DemographicParity, demographic_parity_difference),
        (EqualOpportunity, equal_opportunity_difference),
        (FalsePositiveRateParity, false_positive_rate_difference),
        (EqualizedOdds, equalized_odds_difference),
    ],
)
def test_difference_agrees_with_fairlearn(criterion, metric, n_groups):
    scores, y, groups = random_batch(n_groups=n_groups)
    decisions = (scores > 0.6).double()
    loss = criterion()
    expected = metric(y.numpy(), decisions.numpy(), sensitive_features=groups.argmax(1).numpy())
    difference = loss.difference(*loss.rates(decisions, y, groups))
    assert difference.item() == pytest.approx(expected, rel=1e-12)
    assert criterion(aggregation="max")(decisions, y, groups).item() == pytest.approx(expected**2)


@pytest.mark.parametrize("n_present", [0, 1])
def test_fewer_than_two_groups_give_zero(n_present):
    scores, y, groups = random_batch(n_groups=3)
    groups = torch.zeros_like(groups)
    groups[:, :n_present] = 1
    loss = DemographicParity()
    assert loss(scores, y, groups) == 0
    assert loss.difference(*loss.rates(scores, y, groups)) == 0


@pytest.mark.parametrize("kind", ["decisions", "scores"])
@pytest.mark.parametrize("n_groups", [2, 7])
def test_rates_and_difference_agree_with_fairlearn(kind, n_groups):
    scores, y, groups = random_batch(n_groups=n_groups)
    values = (scores > 0.6).double() if kind == "decisions" else scores
    names = groups.argmax(1).numpy()
    rates, counts = DemographicParity().rates(values, y, groups)
    metric = selection_rate if kind == "decisions" else mean_prediction
    frame = MetricFrame(
        metrics=metric, y_true=y.numpy(), y_pred=values.numpy(), sensitive_features=names
    )
    np.testing.assert_allclose(rates[0, :, 0], frame.by_group, rtol=1e-12)
    np.testing.assert_array_equal(counts[0], np.bincount(names))
    difference = DemographicParity().difference(rates, counts)
    assert difference.item() == pytest.approx(frame.difference(), rel=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((5, 1, 1), (5,), (5, 2)), ((5,), (5, 1), (5, 2)), ((5,), (5,), (5,)), ((5,), (4,), (5, 2))],
)
def test_shapes_that_would_broadcast_are_refused(shapes):
    scores, y, groups = (torch.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="scores must have shape"):
        DemographicParity()(scores, y, groups)


def test_a_loss_is_a_scikit_learn_object():
    loss = clone(EqualizedOdds(weight=0.5)).set_params(aggregation="max")
    assert repr(loss) == "EqualizedOdds(aggregation='max', weight=0.5)"


# More than two classes


def random_classes(n_rows=300, n_groups=3, n_classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n_rows, n_classes, generator=generator, dtype=torch.float64).softmax(1)
    y = torch.randint(n_classes, (n_rows,), generator=generator)
    codes = torch.randint(n_groups, (n_rows,), generator=generator)
    return scores, y, torch.nn.functional.one_hot(codes, n_groups).double()


def test_demographic_parity_of_each_class_agrees_with_fairlearn():
    scores, y, groups = random_classes()
    decisions = torch.nn.functional.one_hot(scores.argmax(1), 4).double()
    loss = DemographicParity()
    rates, counts = loss.rates(decisions, y, groups)
    differences = []
    for c in range(4):
        frame = MetricFrame(
            metrics=lambda y_true, y_pred: selection_rate(y_true, y_pred, pos_label=c),  # noqa: B023
            y_true=y.numpy(),
            y_pred=scores.argmax(1).numpy(),
            sensitive_features=groups.argmax(1).numpy(),
        )
        np.testing.assert_allclose(rates[0, :, c], frame.by_group)
        differences.append(frame.difference())
    assert loss.difference(rates, counts).item() == pytest.approx(max(differences))
    by_class = [loss(scores[:, c], y, groups) for c in range(4)]
    torch.testing.assert_close(loss(scores, y, groups), torch.stack(by_class).mean())


def test_equalized_odds_of_several_classes_is_parity_within_each_label():
    scores, y, groups = random_classes()
    within = [
        DemographicParity()(scores[y == label], y[y == label], groups[y == label])
        for label in range(4)
    ]
    torch.testing.assert_close(EqualizedOdds()(scores, y, groups), torch.stack(within).sum())


def test_two_scores_a_row_give_the_loss_of_one():
    scores, y, groups = random_batch()
    both = torch.stack([1 - scores, scores], 1)
    for loss in (DemographicParity(), EqualizedOdds(), EqualOpportunity(aggregation="max")):
        torch.testing.assert_close(loss(both, y, groups), loss(scores, y, groups))


@pytest.mark.parametrize("criterion", [EqualOpportunity, FalsePositiveRateParity])
def test_criteria_of_one_class_need_two(criterion):
    with pytest.raises(ValueError, match=f"{criterion.__name__} needs two classes.*4 classes"):
        criterion()(*random_classes())


def test_weights_of_rows_in_the_indicator_are_rows_given_repeatedly():
    scores, y, groups = random_batch()
    weight = torch.arange(len(y)) % 3
    repeated = [values.repeat_interleave(weight, 0) for values in (scores, y, groups)]
    for loss in (DemographicParity(), EqualizedOdds(aggregation="max")):
        weighted = loss(scores, y, groups * weight[:, None])
        torch.testing.assert_close(weighted, loss(*repeated))
        tiny = loss(scores, y, groups * weight[:, None] * 1e-9)
        torch.testing.assert_close(tiny, weighted)

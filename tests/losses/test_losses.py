"""Laws of the fairness losses, and their agreement with fairlearn."""

import numpy as np
import pandas as pd
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
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_score
from torch.nn.functional import one_hot
from torch.testing import assert_close

from fairbinn_sklearn.losses import (
    CONSTRAINTS,
    AccuracyParity,
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    F1Parity,
    FairnessLoss,
    FalseOmissionRateParity,
    FalsePositiveRateParity,
    PredictiveParity,
    TreatmentEquality,
)
from fairbinn_sklearn.losses._combined import CombinedLoss


class LabelParity(FairnessLoss):
    """Three events, one of them all samples."""

    def events(self, y, n_classes):
        return torch.stack([y == 0, y == 1, y == y])


class JaccardParity(FairnessLoss):
    """A statistic of the user: TP / (TP + FP + FN)."""

    def coefficients(self, label):
        return 0.0, label, label, 1.0 - label


CRITERIA = [*CONSTRAINTS.values(), LabelParity, JaccardParity]
LOSSES = [
    *(
        criterion(aggregation=aggregation)
        for criterion in CRITERIA
        for aggregation in ("mean", "max")
    ),
    EqualizedOdds(weight=0.5),
    CombinedLoss([PredictiveParity(), EqualizedOdds(), AccuracyParity(weight=0.5)]),
    CombinedLoss([DemographicParity(), EqualizedOdds(weight=0.5, aggregation="max")]),
]


def random_batch(n_samples=200, n_groups=4, n_classes=2):
    """Return scores, labels and the indicator of groups; one score per sample for two classes."""
    generator = torch.Generator().manual_seed(0)
    shape = (n_samples,) if n_classes == 2 else (n_samples, n_classes)
    scores = torch.rand(shape, generator=generator, dtype=torch.float64)
    y = torch.randint(n_classes, (n_samples,), generator=generator)
    codes = torch.randint(n_groups, (n_samples,), generator=generator)
    scores = scores if n_classes == 2 else scores.softmax(1)
    return scores, y, one_hot(codes, n_groups).double()


def assert_zero_at_parity(loss):
    scores, y, _ = random_batch()
    repeated = torch.cat([scores, scores]), torch.cat([y, y])
    copies = torch.eye(2, dtype=torch.float64).repeat_interleave(len(y), 0)
    assert loss(*repeated, copies) < 1e-30
    of_group = (repeated[0] + 0.2 * repeated[1] > 0.8).long()
    assert loss(*repeated, torch.eye(2, dtype=torch.float64)[of_group]) > 0.003


def assert_invariant_to_group_order(loss):
    scores, y, groups = random_batch()
    permuted = groups[:, [2, 0, 3, 1]]
    assert_close(loss(scores, y, permuted), loss(scores, y, groups), rtol=1e-12, atol=0)


def assert_invariant_to_sample_order(loss):
    scores, y, groups = batch = random_batch()
    assert_close(loss(*(part.flip(0) for part in batch)), loss(*batch), rtol=1e-12, atol=0)


def assert_absent_groups_are_ignored(loss):
    scores, y, groups = random_batch()
    scores.requires_grad_()
    wider = torch.cat([groups, torch.zeros(len(y), 2, dtype=groups.dtype)], 1)
    value = loss(scores, y, wider)
    assert_close(value, loss(scores, y, groups), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(value, scores)
    assert gradient.isfinite().all()


def assert_gradient_is_that_of_autograd(loss):
    scores, y, groups = random_batch()
    groups = torch.cat([groups, torch.zeros(len(y), 1, dtype=groups.dtype)], 1)
    rates, counts = loss.rates(scores, y, groups)
    rates.requires_grad_()
    (expected,) = torch.autograd.grad(loss.penalty(rates, counts), rates)
    assert_close(loss.gradient(rates, counts).detach(), expected)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(
    "law",
    [
        assert_zero_at_parity,
        assert_invariant_to_group_order,
        assert_invariant_to_sample_order,
        assert_absent_groups_are_ignored,
        assert_gradient_is_that_of_autograd,
    ],
)
def test_law(law, loss):
    law(loss)


@pytest.mark.parametrize("n_first", [1, 50, 199])
def test_loss_of_two_groups_is_the_squared_gap_for_any_group_sizes(n_first):
    scores, y, _ = random_batch()
    groups = one_hot((torch.arange(len(y)) >= n_first).long()).double()
    gap = scores[:n_first].mean() - scores[n_first:].mean()
    assert_close(DemographicParity()(scores, y, groups), gap**2)


def test_mean_and_largest_squared_gap_over_pairs_of_groups():
    scores, y, groups = random_batch(n_groups=5)
    rates = [scores[member.bool()].mean() for member in groups.T]
    gaps = torch.stack([(rates[g] - rates[h]) ** 2 for g in range(5) for h in range(g)])
    assert_close(DemographicParity()(scores, y, groups), gaps.mean())
    assert_close(DemographicParity(aggregation="max")(scores, y, groups), gaps.max())


@pytest.mark.parametrize("n_classes", [2, 4])
def test_equalized_odds_is_demographic_parity_within_each_class(n_classes):
    scores, y, groups = random_batch(n_classes=n_classes)
    for aggregation, combine in (("mean", torch.sum), ("max", torch.amax)):
        parity = DemographicParity(aggregation=aggregation)
        within = torch.stack(
            [
                parity(scores[y == label], y[y == label], groups[y == label])
                for label in range(n_classes)
            ]
        )
        odds = EqualizedOdds(aggregation=aggregation)
        assert_close(odds(scores, y, groups), combine(within))
        if n_classes == 2:
            for label, criterion in ((0, FalsePositiveRateParity), (1, EqualOpportunity)):
                assert_close(criterion(aggregation=aggregation)(scores, y, groups), within[label])


@pytest.mark.parametrize("criterion", CRITERIA)
def test_mean_and_max_agree_for_two_groups_and_one_event(criterion):
    batch = random_batch(n_groups=2)
    mean, largest = (criterion(aggregation=aggregation)(*batch) for aggregation in ("mean", "max"))
    if criterion in (EqualizedOdds, LabelParity):  # several events, which "mean" sums
        assert mean > largest
    else:
        assert_close(mean, largest)


def test_weight_scales_the_loss_but_not_the_difference():
    batch = random_batch()
    plain, weighted = EqualizedOdds(), EqualizedOdds(weight=2.5)
    assert_close(weighted(*batch), 2.5 * plain(*batch))
    rates = plain.rates(*batch)
    assert_close(weighted.difference(*rates), plain.difference(*rates))


def test_combined_loss_is_the_sum_and_its_difference_the_largest():
    batch = random_batch()
    parts = [DemographicParity(weight=2), EqualizedOdds(aggregation="max"), EqualOpportunity()]
    combined = CombinedLoss(parts)
    assert_close(combined(*batch), sum(part(*batch) for part in parts))
    assert combined.difference(*combined.rates(*batch)) == max(
        part.difference(*part.rates(*batch)) for part in parts
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
def test_difference_of_decisions_agrees_with_fairlearn(criterion, metric, n_groups):
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


@pytest.mark.parametrize("metric", [selection_rate, mean_prediction])
def test_rates_and_counts_agree_with_fairlearn(metric):
    scores, y, groups = random_batch(n_groups=7)
    values = (scores > 0.6).double() if metric is selection_rate else scores
    codes = groups.argmax(1).numpy()
    rates, counts = DemographicParity().rates(values, y, groups)
    frame = MetricFrame(
        metrics=metric, y_true=y.numpy(), y_pred=values.numpy(), sensitive_features=codes
    )
    np.testing.assert_allclose(rates[0, :, 0], frame.by_group, rtol=1e-12)
    np.testing.assert_array_equal(counts[0, :, 0], np.bincount(codes))
    difference = DemographicParity().difference(rates, counts)
    assert difference.item() == pytest.approx(frame.difference(), rel=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((5, 1, 1), (5,), (5, 2)), ((5,), (5, 1), (5, 2)), ((5,), (5,), (5,)), ((5,), (4,), (5, 2))],
)
def test_shapes_that_would_broadcast_raise(shapes):
    scores, y, groups = (torch.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match="scores must have shape"):
        DemographicParity()(scores, y, groups)


def test_losses_have_the_parameter_interface_of_scikit_learn():
    loss = clone(EqualizedOdds(weight=0.5)).set_params(aggregation="max")
    assert repr(loss) == "EqualizedOdds(aggregation='max', weight=0.5)"


def test_demographic_parity_of_each_class_agrees_with_fairlearn():
    scores, y, groups = random_batch(300, n_groups=3, n_classes=4)
    decisions = one_hot(scores.argmax(1), 4).double()
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
    assert_close(loss(scores, y, groups), torch.stack(by_class).mean())


def test_scores_of_both_classes_give_the_loss_of_the_positive_class_alone():
    scores, y, groups = random_batch()
    both = torch.stack([1 - scores, scores], 1)
    for loss in (DemographicParity(), EqualizedOdds(), EqualOpportunity(aggregation="max")):
        assert_close(loss(both, y, groups), loss(scores, y, groups))


@pytest.mark.parametrize("criterion", [EqualOpportunity, FalsePositiveRateParity])
def test_criteria_of_one_class_raise_with_several_classes(criterion):
    with pytest.raises(ValueError, match=f"{criterion.__name__} needs two classes.*4 classes"):
        criterion()(*random_batch(n_classes=4))


@pytest.mark.parametrize("loss", [DemographicParity(), EqualizedOdds(aggregation="max")], ids=repr)
def test_a_weighted_sample_counts_as_repeated_samples(loss):
    scores, y, groups = batch = random_batch()
    weight = torch.arange(len(y)) % 3
    repeated = [part.repeat_interleave(weight, 0) for part in batch]
    weighted = loss(scores, y, groups * weight[:, None])
    assert_close(weighted, loss(*repeated))
    tiny = loss(scores, y, groups * weight[:, None] * 1e-9)
    assert_close(tiny, weighted)


def false_omission_rate(y_true, y_pred):
    tn, _, fn, _ = confusion_matrix(y_true, y_pred).ravel()
    return fn / (fn + tn)


def share_of_false_negatives(y_true, y_pred):
    _, fp, fn, _ = confusion_matrix(y_true, y_pred).ravel()
    return fn / (fn + fp)


STATISTICS = [
    (PredictiveParity, precision_score),
    (FalseOmissionRateParity, false_omission_rate),
    (AccuracyParity, accuracy_score),
    (F1Parity, f1_score),
    (TreatmentEquality, share_of_false_negatives),
]


@pytest.mark.parametrize("criterion, statistic", STATISTICS)
def test_rates_of_decisions_are_those_of_scikit_learn(criterion, statistic):
    scores, y, groups = random_batch(300, n_groups=3)
    decisions = (scores > 0.4).double()
    rates, counts = criterion().rates(decisions, y, groups)
    frame = MetricFrame(
        metrics=statistic,
        y_true=y.numpy(),
        y_pred=decisions.numpy(),
        sensitive_features=groups.argmax(1).numpy(),
    )
    np.testing.assert_allclose(rates[0, :, 0], frame.by_group)
    assert criterion().difference(rates, counts).item() == pytest.approx(frame.difference())


@pytest.mark.parametrize("criterion, statistic", STATISTICS)
def test_rates_of_several_classes_are_those_of_each_class_against_the_others(criterion, statistic):
    scores, y, groups = random_batch(300, n_groups=2, n_classes=3)
    decisions = one_hot(scores.argmax(1), 3)
    rates, _ = criterion().rates(decisions.double(), y, groups)
    for g in range(2):
        member = groups[:, g].bool().numpy()
        for c in range(3):
            expected = statistic(y.numpy()[member] == c, decisions[:, c].bool().numpy()[member])
            assert rates[0, g, c].item() == pytest.approx(expected)


def test_share_of_false_negatives_is_equal_where_the_ratio_of_errors_is():
    y = torch.tensor([1, 1, 0, 0, 0] + [1, 1, 1, 1, 0, 0, 0, 0, 0])
    decisions = torch.tensor([0, 1, 1, 1, 0] + [0, 0, 1, 1, 1, 1, 1, 1, 0]).double()
    groups = torch.eye(2)[[0] * 5 + [1] * 9]  # FN / FP is 1 / 2 and 2 / 4
    assert TreatmentEquality()(decisions, y, groups) == 0


def test_a_group_without_positive_predictions_has_no_precision():
    y, groups = torch.tensor([1, 0, 1, 1]), torch.eye(2)[[0, 0, 1, 1]]
    decisions = torch.tensor([1.0, 1, 0, 0])
    rates, counts = PredictiveParity().rates(decisions, y, groups)
    assert counts[0, :, 0].tolist() == [2, 0]
    assert PredictiveParity().difference(rates, counts) == 0


def test_reference_groups_have_names_after_bind():
    names = [pd.Index(["a", "b"], dtype=object)]
    rates = torch.tensor([0.2, 0.5])[None, :, None]
    loss = DemographicParity(reference="b").bind(names)
    deviations = loss.deviations(rates, torch.ones(1, 2, 1))
    assert_close(deviations, torch.tensor([-0.3, 0.0])[None, :, None])
    assert DemographicParity(reference="overall").bind(names).reference == "overall"
    with pytest.raises(ValueError, match="reference must be .* got 'c'"):
        DemographicParity(reference="c").bind(names)
    with pytest.raises(ValueError, match="reference must be .*separate"):
        DemographicParity(reference="b").bind(names * 2)

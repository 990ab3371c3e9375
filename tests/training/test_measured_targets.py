"""Targets for ratios, lowest rates, references and distributions, and fairlearn's bounds."""

import numpy as np
import pytest
from conftest import difference, fit, make, make_data
from fairlearn import reductions
from fairlearn.metrics import MetricFrame, demographic_parity_ratio, selection_rate
from sklearn.base import clone
from sklearn.metrics import accuracy_score, recall_score

from fairbinn_sklearn import fairness_path
from fairbinn_sklearn.losses import AccuracyParity, DemographicParity, EqualOpportunity
from fairbinn_sklearn.metrics import FairnessScorer

SETTINGS = {
    "max_epochs": 20,
    "batch_size": 128,
    "hidden_layer_sizes": (32,),
    "lr": 5e-3,
    "rate_window": 1500,
}


def by_group(clf, data, metric):
    X, y, group = data
    return MetricFrame(
        metrics=metric, y_true=y, y_pred=clf.predict(X), sensitive_features=group
    ).by_group


@pytest.fixture(scope="module")
def three_groups():
    return make_data(3000, groups=("a", "b", "c"))


def test_ratio_ends_at_the_target(large):
    constraint = DemographicParity(measure="ratio")
    clf = fit(large, constraint=constraint, fairness_target=0.8, **SETTINGS)
    assert difference(clf, large, demographic_parity_ratio) == pytest.approx(0.8, abs=0.04)
    assert clf.history_[-1]["decision_difference"] == pytest.approx(0.2, abs=0.04)
    assert difference(fit(large, eta=0, **SETTINGS), large, demographic_parity_ratio) < 0.6


def test_relative_gaps_do_not_depend_on_the_base_rate():
    """A ratio of rare positives has as large a penalty as one of frequent positives."""
    X, y, group = make_data(3000)
    rare = (X.sum(1) > np.quantile(X.sum(1), 0.9)).astype(int)
    data = X, rare, group
    ratio = {"eta": 0.1, "constraint": DemographicParity(measure="ratio")}
    plain, of_ratio = fit(data, eta=0.1, **SETTINGS), fit(data, **ratio, **SETTINGS)
    values = [difference(clf, data, demographic_parity_ratio) for clf in (plain, of_ratio)]
    assert values[1] > values[0] + 0.2


def test_no_group_ends_below_the_lowest_rate_and_none_is_levelled_down(three_groups):
    plain = fit(three_groups, eta=0, **SETTINGS)
    before = by_group(plain, three_groups, recall_score)
    assert before.min() < 0.8
    constraint = EqualOpportunity(measure="minimum")
    clf = fit(three_groups, constraint=constraint, fairness_target=0.9, **SETTINGS)
    after = by_group(clf, three_groups, recall_score)
    assert after.min() == pytest.approx(0.9, abs=0.03)
    assert after.max() > before.max() - 0.02
    scorer = FairnessScorer("equal_opportunity_minimum", sensitive_features=three_groups[2])
    assert scorer(clf, *three_groups[:2]) == after.min()


def test_the_accuracy_of_the_worst_group_grows():
    rng = np.random.default_rng(0)
    group = rng.choice(["many", "few"], 4000, p=[0.9, 0.1])
    X = rng.normal(size=(4000, 2)).astype(np.float32)
    # The groups need opposite weights, and no feature separates them completely.
    sign = np.where(group == "many", 1, -1)
    y = (sign * X[:, 0] + 0.3 * rng.normal(size=4000) > 0).astype(int)
    X[:, 1] = sign + 1.5 * rng.normal(size=4000)
    data = X, y, group
    plain = by_group(fit(data, eta=0, **SETTINGS), data, accuracy_score).min()
    constraint = AccuracyParity(measure="minimum", aggregation="max")
    clf = fit(data, constraint=constraint, eta=10, **SETTINGS)
    assert by_group(clf, data, accuracy_score).min() > plain + 0.1


@pytest.mark.parametrize("reference", ["overall", "b"])
def test_differences_from_a_reference_end_at_the_target(three_groups, reference):
    constraint = DemographicParity(reference=reference)
    clf = fit(three_groups, constraint=constraint, fairness_target=0.1, **SETTINGS)
    rates = by_group(clf, three_groups, selection_rate)
    overall = (clf.predict(three_groups[0]) == 1).mean()
    of_reference = overall if reference == "overall" else rates[reference]
    assert abs(rates - of_reference).max() == pytest.approx(0.1, abs=0.03)


def test_differences_of_the_distribution_decrease_at_all_thresholds(large):
    metric = FairnessScorer("score_distribution_difference", sensitive_features=large[2])
    X, y, _ = large
    plain = fit(large, eta=0, **SETTINGS)
    of_all = fit(large, fairness_target=0.1, equalize="distribution", **SETTINGS)
    assert -metric(of_all, X, y) < 0.14
    assert -metric(plain, X, y) > 0.35


def test_distribution_needs_two_classes():
    X, y, group = make_data(300, n_classes=3)
    with pytest.raises(ValueError, match='equalize must not be "distribution" with more than two'):
        make(equalize="distribution").fit(X, y, sensitive_features=group)


def test_targets_of_ratios_are_ordered_from_loose_to_strict(large):
    X, y, group = large
    estimator = make(constraint=DemographicParity(measure="ratio"), **SETTINGS)
    path = fairness_path(
        X, y, group, targets=[0.6, 0.9], estimator=estimator, warm_start=True, epochs_per_point=5
    )
    ratios = [difference(clf, large, demographic_parity_ratio) for clf in path]
    assert ratios[0] + 0.1 < ratios[1]
    other = fairness_path(
        X, y, group, targets=[0.9, 0.6], estimator=estimator, warm_start=True, epochs_per_point=5
    )
    assert np.array_equal(other[0].decision_function(X), path[1].decision_function(X))


@pytest.mark.parametrize(
    "moment, name",
    [
        (reductions.DemographicParity, "DemographicParity"),
        (reductions.EqualizedOdds, "EqualizedOdds"),
        (reductions.TruePositiveRateParity, "EqualOpportunity"),
        (reductions.FalsePositiveRateParity, "FalsePositiveRateParity"),
        (reductions.ErrorRateParity, "AccuracyParity"),
    ],
)
def test_constraints_of_fairlearn_have_their_criterion_and_bound(biased, moment, name):
    clf = clone(make(constraint=moment(difference_bound=0.3)))
    options = fit(biased, **clf.get_params()).net_.options
    assert type(options.constraint).__name__ == name
    assert options.constraint.reference == "overall"
    assert options.fairness_target == 0.3
    weighted = fit(biased, constraint=moment(difference_bound=0.3), eta=2).net_.options
    assert (weighted.fairness_target, weighted.eta) == (None, 2)
    other = fit(biased, constraint=moment(), fairness_target=0.5).net_.options
    assert other.fairness_target == 0.5


@pytest.mark.parametrize(
    "moment, match",
    [
        (reductions.DemographicParity(ratio_bound=0.8), "constraint must have a difference_bound"),
        (reductions.DemographicParity(difference_bound=0.0), "difference_bound above 0, got 0.0"),
        (reductions.UtilityParity(), "constraint of fairlearn, must be one of"),
    ],
)
def test_other_constraints_of_fairlearn_are_errors(biased, moment, match):
    with pytest.raises(ValueError, match=match):
        fit(biased, constraint=moment)


@pytest.mark.parametrize("value", ["ratio", "minimum"])
def test_a_missed_lower_bound_says_what_was_measured(biased, value):
    name = {"ratio": "smallest ratio", "minimum": "lowest rate"}[value]
    with pytest.warns(UserWarning, match=f"The {name} on the training samples is 0.*, below fair"):
        fit(biased, constraint=DemographicParity(measure=value), fairness_target=0.95, max_epochs=1)


def test_a_reference_is_found_in_groups_of_a_later_call_of_partial_fit():
    X, y, number = make_data(300, (1, 2, 3))
    clf = make(constraint=DemographicParity(reference=2), fairness_target=0.1)
    with pytest.warns(UserWarning, match="sensitive_features is None"):
        clf.partial_fit(X, y, classes=[0, 1])
    clf.partial_fit(X, y, sensitive_features=number)
    criterion = clf.net_.criterion_
    rates = criterion.rates(0)
    expected = (rates - rates[:, 1:2]).abs().max()
    assert float(criterion.difference(0)) == pytest.approx(float(expected))


def test_precisions_of_several_classes_and_groups_take_a_target():
    X, y, group = make_data(400, ("a", "b", "c", "d"), n_classes=3)
    clf = make(constraint="predictive_parity", fairness_target=0.3)
    assert clf.fit(X, y, sensitive_features=group).eta_ > 0

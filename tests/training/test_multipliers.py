"""A target for the difference in place of eta."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn._training.multipliers import (
    FACTOR_RANGE,
    GAIN,
    excess_weight,
    update_factor,
    update_multipliers,
)
from fairbinn_sklearn.losses import DemographicParity


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 20, "device": "cpu", "random_state": 0, **params})


def fit(data, **params):
    X, y, group = data
    return make(**params).fit(X, y, sensitive_features=group)


@pytest.fixture(scope="module")
def large():
    return make_data(6000)


def difference(clf, data, metric=demographic_parity_difference):
    X, y, group = data
    return metric(y, clf.predict(X), sensitive_features=group)


def score_difference(clf, data):
    return np.ptp(pd.Series(clf.predict_proba(data[0])[:, 1]).groupby(data[2]).mean())


@pytest.mark.parametrize("target", [0.2, 0.1, 0.05])
@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_the_difference_ends_at_the_target(large, target, method):
    clf = fit(large, fairness_target=target, method=method)
    assert target - 0.05 < difference(clf, large) < target + 0.02
    assert clf.history_[-1]["eta"] == clf.eta_ > 0
    assert difference(fit(large, eta=0), large) > 0.3


def test_smaller_targets_take_larger_etas(large):
    etas = [fit(large, fairness_target=target).eta_ for target in (0.2, 0.1, 0.05)]
    assert etas[0] < etas[1] < etas[2]


def test_the_eta_found_gives_about_the_same(large):
    found = fit(large, fairness_target=0.1)
    again = fit(large, eta=found.eta_)
    assert again.eta_ == found.eta_
    assert difference(again, large) == pytest.approx(difference(found, large), abs=0.04)


def test_any_criterion_and_violation(large):
    clf = fit(large, fairness_target=0.1, constraint="equalized_odds")
    assert difference(clf, large, equalized_odds_difference) == pytest.approx(0.1, abs=0.03)
    clf = fit(large, fairness_target=0.05, equalize="scores")
    assert score_difference(clf, large) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(
    ("constraint", "target", "not_enough"),
    [("demographic_parity", 0.1, "score"), ("equalized_odds", 0.03, "decision")],
)
def test_a_target_for_decisions_and_scores(large, constraint, target, not_enough):
    def largest(equalize):
        clf = fit(large, fairness_target=target, equalize=equalize, constraint=constraint)
        last = clf.history_[-1]
        differences = [last["decision_difference"], last["score_difference"]]
        assert equalize != "both" or float(clf.net_.criterion_.constraint_value()) == max(
            differences
        )
        return max(differences)

    assert largest("both") == pytest.approx(target, abs=0.03)
    assert largest("both") < largest(not_enough)


def absolute_gap(scores, y, groups):
    rates = (scores @ groups) / groups.sum(0).clamp(min=1)
    return rates.max() - rates.min()


def test_a_function_has_its_value_as_target(large):
    clf = fit(large, fairness_target=0.15, constraint=absolute_gap)
    assert clf.history_[-1]["fairness_loss"] == pytest.approx(0.15, abs=0.05)
    assert fit(large, eta=0, constraint=absolute_gap).history_[-1]["fairness_loss"] > 0.3


def test_a_difference_that_is_small_by_itself_needs_no_weight(large):
    X, y, _ = large
    chance = np.random.default_rng(1).integers(2, size=len(y))
    clf = fit((X, y, chance), fairness_target=0.3)
    assert clf.eta_ == 0
    assert clf.score(X, y) == pytest.approx(fit(large, eta=0).score(X, y), abs=0.01)


def test_parts_go_on_from_the_weight_found(large):
    X, y, group = large
    clf, etas = make(fairness_target=0.05), []
    for part in np.array_split(np.arange(6000), 3):
        clf.partial_fit(X[part], y[part], [0, 1], sensitive_features=group[part])
        etas.append(clf.eta_)
    assert etas == [record["eta"] for record in clf.history_]
    assert 0 < etas[0] < etas[1]
    clf.set_params(fairness_target=None, eta=7).partial_fit(X, y, sensitive_features=group)
    assert clf.eta_ == 7
    assert not clf.net_.criterion_.multipliers.any()


def test_a_target_out_of_reach_is_told(large):
    with pytest.warns(ConvergenceWarning, match="ended at .*, above fairness_target=0.001"):
        fit(large, fairness_target=0.001, max_epochs=1)


def test_a_target_that_any_model_meets(large):
    with pytest.raises(ValueError, match="fairness_target=1.5 is met by any model"):
        fit(large, fairness_target=1.5)


@pytest.mark.parametrize("target", [0, -0.1, float("nan"), "low"])
def test_targets_that_cannot_be(large, target):
    with pytest.raises(ValueError, match="'fairness_target'"):
        fit(large, fairness_target=target)


@pytest.mark.parametrize("eta", [0, 10])
def test_eta_and_target_exclude_each_other(large, eta):
    with pytest.raises(ValueError, match=f"eta={eta} and fairness_target=0.05 exclude each other"):
        fit(large, fairness_target=0.05, eta=eta)


def test_early_stopping_and_target_exclude_each_other(large):
    with pytest.raises(ValueError, match="early_stopping=True and fairness_target=0.05 exclude"):
        fit(large, fairness_target=0.05, early_stopping=True)


def test_a_search_over_eta_under_a_target_says_why_it_fails(large):
    X, y, group = large
    search = GridSearchCV(make(fairness_target=0.1, max_epochs=1), {"eta": [1, 3]}, cv=2)
    with (
        pytest.warns(FitFailedWarning, match="exclude each other"),
        pytest.warns(UserWarning, match="non-finite"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y, sensitive_features=group)
    search.set_params(param_grid={"eta": [3, 10]})
    with pytest.raises(ValueError, match="exclude each other"):
        search.fit(X, y, sensitive_features=group)


def test_no_groups_no_target(large):
    X, y, _ = large
    with pytest.warns(UserWarning, match="sensitive_features is None and fairness_target is 0.1"):
        make(fairness_target=0.1, max_epochs=1).fit(X, y)


def test_weight_of_the_excess():
    weights = excess_weight(torch.tensor([0.0, 0.1, 0.2, 0.4]), 0.2)
    torch.testing.assert_close(weights, GAIN * torch.tensor([0.0, 0.0, 0.0, 0.5]))


def test_multipliers_follow_the_excess_and_end_at_zero():
    def move(multipliers, gap, share=0.1):
        slopes = excess_weight(gap.abs(), 0.2) * 2 * gap * torch.tensor([1.0, -1.0]).view(1, 2, 1)
        return update_multipliers(multipliers, slopes, gap.abs(), 0.2, share)

    ones = torch.tensor([1.0, -1.0]).view(1, 2, 1)
    up, down = GAIN * torch.tensor(0.2), GAIN * torch.tensor(0.4)  # twice the distance to 0.2
    torch.testing.assert_close(move(0 * ones, torch.tensor(0.3)), 0.1 * up * ones)
    torch.testing.assert_close(move(3 * ones, torch.tensor(0.3)), (3 + 0.1 * up) * ones)
    torch.testing.assert_close(move(3 * ones, torch.tensor(-0.3)), (3 - 0.1 * up) * ones)
    torch.testing.assert_close(move(3 * ones, torch.tensor(0.0)), (3 - 0.1 * down) * ones)
    torch.testing.assert_close(move(3 * ones, torch.tensor(0.2)), 3 * ones)
    torch.testing.assert_close(move(0.01 * ones, torch.tensor(0.0)), 0 * ones)


def test_steps_of_the_factor_of_a_function():
    def step(factor, value, share=0.01):
        return float(update_factor(torch.tensor(factor), torch.tensor(value), 1.0, share))

    assert step(1.0, 2.0) == pytest.approx(np.exp(0.01))
    assert step(1.0, 9.0) == pytest.approx(np.exp(0.01))  # clipped
    assert step(2.0, 0.5) == pytest.approx(2 * np.exp(-0.005))
    assert step(1.0, 1.0) == 1.0
    assert step(1e4, 9.0) == FACTOR_RANGE[1]


def test_tight_targets_cost_little_more(large):
    """A weight large enough to hold so small a gap would magnify its noise."""
    tight, loose = (fit(large, fairness_target=target, max_epochs=40) for target in (0.002, 0.02))
    assert difference(tight, large) < 0.02
    assert tight.score(*large[:2]) > loose.score(*large[:2]) - 0.03


@pytest.mark.parametrize("combine", ["intersection", "separate"])
@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_many_groups_and_several_columns(combine, aggregation):
    X, y, group = make_data(6000, groups=tuple("abcde"))
    columns = pd.DataFrame({"of five": group, "of two": X[:, 1] + X[:, 0] > 1})
    constraint = DemographicParity(aggregation=aggregation)
    target = 0.2 if combine == "intersection" else 0.1  # of ten groups, the noise is larger
    settings = {"constraint": constraint, "combine": combine, "max_epochs": 40}
    clf = fit((X, y, columns), fairness_target=target, **settings)
    decided = pd.Series(clf.predict(X))
    by = [[columns["of five"]], [columns["of two"]]]
    if combine == "intersection":
        by = [[columns["of five"], columns["of two"]]]
    found = [np.ptp(decided.groupby(one).mean()) for one in by]
    assert max(found) == pytest.approx(target, abs=0.05)


@pytest.mark.filterwarnings("ignore:The running difference ended")
def test_eta_settles_on_few_batches_too():
    """The last steps are small, as the learning rate is."""
    X, y, group = make_data(800)
    clf = make(fairness_target=0.01, equalize="scores").fit(X, y, sensitive_features=group)
    etas = np.log([record["eta"] for record in clf.history_])
    assert abs(etas[-1] - etas[-2]) < 0.1 * abs(etas[1] - etas[0])

"""Conditional criteria: groups are compared within the values of control features."""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import difference, make, same_model
from fairlearn.metrics import MetricFrame, selection_rate
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn.losses import DemographicParity
from fairbinn_sklearn.metrics import FairnessScorer, best_under, fairness_scoring

# Enough training for the differences within departments to decrease.
SETTINGS = {"max_epochs": 15, "lr": 5e-3, "batch_size": 128, "hidden_layer_sizes": (32,)}


@pytest.fixture(scope="module")
def applications():
    """Return applications, where a group applies to the strict department more often (Simpson)."""
    rng = np.random.default_rng(0)
    n = 3000
    group = rng.choice(["a", "b"], n)
    department = np.where(rng.random(n) < np.where(group == "b", 0.8, 0.3), "strict", "mild")
    skill = rng.normal(size=n)
    X = np.column_stack([skill, department == "strict", group == "a"]).astype(np.float32)
    log_odds = skill + np.where(department == "strict", -1.0, 0.8) + 0.9 * (group == "a")
    y = (log_odds + 0.5 * rng.logistic(size=n) > 0).astype(int)
    return X, y, group, department


def within(clf, applications):
    """Return the difference of selection rates within each department."""
    X, y, group, department = applications
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=group,
        control_features=department,
    )
    return frame.difference().to_numpy()


@pytest.fixture(scope="module")
def fit_applications(applications):
    X, y, group, department = applications

    def fit_applications(control_features=department, **params):
        clf = make(**{**SETTINGS, **params})
        return clf.fit(X, y, sensitive_features=group, control_features=control_features)

    return fit_applications


def test_differences_within_departments_decrease_and_the_marginal_one_remains(
    applications, fit_applications
):
    data = applications[:3]
    plain, marginal, conditional = (
        fit_applications(eta=0),
        fit_applications(None, eta=10),
        fit_applications(eta=10),
    )
    assert within(plain, applications).max() > 0.1
    assert difference(plain, data) > 0.3
    assert within(conditional, applications).max() < 0.05
    assert difference(conditional, data) > 0.25
    assert difference(marginal, data) < 0.1
    assert within(marginal, applications).max() > 0.15
    X, y = data[:2]
    assert conditional.score(X, y) > marginal.score(X, y) + 0.03


def test_a_target_bounds_the_difference_in_each_stratum(applications, fit_applications):
    clf = fit_applications(fairness_target=0.03)
    assert within(clf, applications).max() < 0.05
    assert clf.history_[-1]["decision_difference"] < 0.05


def test_one_stratum_is_the_marginal_criterion(applications, fit_applications):
    X, y, group, _ = applications
    for params in ({"eta": 3}, {"fairness_target": 0.3, "constraint": "predictive_parity"}):
        conditional = fit_applications(["all"] * len(y), max_epochs=3, **params)
        assert same_model(conditional, fit_applications(None, max_epochs=3, **params), X)


def test_strata_of_one_group_and_unknown_values_count_in_the_accuracy_loss_only(
    applications, fit_applications
):
    department = applications[3].astype(object)
    department[:100] = None
    alone = np.flatnonzero(applications[2] == "a")[-40:]
    department[alone] = "new"
    with pytest.warns(UserWarning, match="1 of 3 strata without two groups, such as 'new'. Their"):
        clf = fit_applications(department, eta=10, max_epochs=3)
    counts = clf.net_.criterion_.counts
    assert counts.shape == (1, 6)
    assert (counts == 0).sum() == 1
    # The strata of both groups alone give the same network.
    department[alone] = None
    assert same_model(clf, fit_applications(department, eta=10, max_epochs=3), applications[0])


def test_columns_of_control_features_form_intersections(applications, fit_applications):
    frame = pd.DataFrame({"department": applications[3], "year": np.arange(3000) % 2})
    clf = fit_applications(frame, eta=1, max_epochs=1)
    assert clf.net_.criterion_.n_strata == 4


def test_pickle_path_search_and_cross_validation_take_control_features(applications):
    X, y, group, department = applications
    groups = {"sensitive_features": group, "control_features": department}
    estimator = make(**SETTINGS)
    path = fairness_path(
        X, y, group, etas=[0, 10], control_features=department, warm_start=True, estimator=estimator
    )
    evaluated = path.evaluate(X, y, n_boot=5, random_state=0, **groups).to_frame()
    for k, clf in enumerate(path):
        worst = within(clf, applications).max()
        assert evaluated["demographic_parity_difference"][k] == pytest.approx(worst)
    copied = copy.deepcopy(path[1])
    assert same_model(copied, path[1], X)
    chosen = FairBiNNClassifierCV([0, 10], estimator=estimator, cv=2, bound=0.12).fit(
        X, y, **groups
    )
    assert chosen.eta_ == 10
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), estimator),
            {"fairbinnclassifier__eta": [0, 10]},
            scoring=fairness_scoring(),
            refit=best_under(0.12),
            cv=2,
        ).fit(X, y, **groups)
    assert search.best_params_ == {"fairbinnclassifier__eta": 10}
    scorer = FairnessScorer(sensitive_features=group, control_features=department)
    assert -scorer(search, X, y) == pytest.approx(within(search, applications).max())


@pytest.mark.parametrize(
    "params, fit_params, match",
    [
        ({}, {"control_features": [1, 2]}, "control_features and X must have the same number"),
        ({}, {"sensitive_features": None}, "sensitive_features must be passed with control"),
        (
            {"constraint": lambda scores, y, groups: scores.mean()},
            {},
            "control_features must be None with a function as constraint",
        ),
        (
            {"constraint": DemographicParity(reference="c")},
            {},
            "reference must be .* one of the groups",
        ),
    ],
)
def test_errors_name_the_parameter(applications, params, fit_params, match):
    X, y, group, department = applications
    groups = {"sensitive_features": group, "control_features": department, **fit_params}
    with pytest.raises(ValueError, match=match):
        make(eta=1, **params).fit(X, y, **groups)


def test_partial_fit_does_not_continue_a_conditional_fit(applications, fit_applications):
    X, y, group, _ = applications
    clf = fit_applications(eta=1, max_epochs=1)
    with pytest.raises(ValueError, match="partial_fit must not follow a fit with control_features"):
        clf.partial_fit(X, y, sensitive_features=group)


def test_lowest_rates_count_in_strata_of_one_group(applications, fit_applications):
    department = applications[3].astype(object)
    department[np.flatnonzero(applications[2] == "a")[-40:]] = "new"
    constraint = DemographicParity(measure="minimum")
    clf = fit_applications(department, eta=1, max_epochs=1, constraint=constraint)
    criterion = clf.net_.criterion_
    rates, counts = criterion.rates(0)[0, :, 0], criterion.counts[0]
    strata = [slice(2 * k, 2 * k + 2) for k in range(3)]
    expected = [((1 - rates[s][counts[s] > 0]) ** 2).mean() * counts[s].sum() for s in strata]
    record = criterion.summary()["fairness_loss"]
    assert record == pytest.approx(float(sum(expected) / counts.sum()), rel=1e-4)


def test_the_selection_rate_is_that_of_all_samples(applications, fit_applications):
    X, y, group, department = applications
    clf = fit_applications(department, eta=0, max_epochs=2)
    given = {"sensitive_features": group, "control_features": department}
    expected = clf.predict(X).mean()
    assert FairnessScorer("selection_rate")(clf, X, y, **given) == pytest.approx(expected)
    path = fairness_path(X, y, group, etas=[0], estimator=clf, control_features=department)
    measured = path.evaluate(X, y, **given, n_boot=50, random_state=0)
    assert measured.to_frame()["selection_rate"].item() == pytest.approx(expected)
    assert measured.resampled_means("selection_rate").mean() == pytest.approx(expected, abs=0.01)


def test_metrics_leave_out_strata_without_known_groups(applications, fit_applications):
    X, y, group, department = applications
    clf = fit_applications(department, eta=0, max_epochs=2)
    known = department == "mild"
    path = fairness_path(X, y, group, etas=[0], estimator=clf)
    name = "demographic_parity_difference"
    unknown = np.where(known, group.astype(object), None)
    alone, both = (
        path.evaluate(X[rows], y[rows], sensitive_features=groups[rows], metrics=name, **given)
        for rows, groups, given in (
            (known, group, {}),
            (slice(None), unknown, {"control_features": department, "n_boot": 5}),
        )
    )
    assert both.to_frame()[name].item() == pytest.approx(alone.to_frame()[name].item())
    scorer = FairnessScorer(name, sensitive_features=group, control_features=department)
    weight = np.where(known, 1.0, 0.0)
    assert -scorer(clf, X, y, sample_weight=weight) == pytest.approx(both.to_frame()[name].item())

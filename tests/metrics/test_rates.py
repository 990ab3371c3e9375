"""Metrics that cannot flatter: rates over no samples, folds of one group, constant models."""

import numpy as np
import pytest
import sklearn
from conftest import make, make_data
from fairlearn import metrics as fairlearn_metrics
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score
from sklearn.model_selection import GridSearchCV, KFold, TunedThresholdClassifierCV, cross_val_score

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._training.resolve import CONSTRAINTS
from fairbinn_sklearn.metrics import FairnessScorer, best_under, fairness_scoring

FAIRLEARN = {
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "equal_opportunity",
    "equalized_odds": "equalized_odds",
    "false_positive_rate_parity": "false_positive_rate",
}
STATISTICS = {  # of a group, without a metric of fairlearn
    "predictive_parity": precision_score,
    "false_omission_rate_parity": lambda y, predicted, **weight: (
        1 - precision_score(1 - y, 1 - predicted, **weight)
    ),
    "accuracy_parity": accuracy_score,
    "f1_parity": f1_score,
    "treatment_equality": lambda y, predicted, sample_weight: np.average(
        y[y != predicted], weights=sample_weight[y != predicted]
    ),
}


@pytest.mark.parametrize("kind", ["difference", "ratio"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_each_criterion_has_a_difference_and_a_ratio_that_equal_fairlearn(constraint, kind):
    X, y, group = make_data(400, groups=("a", "b", "c"))
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    clf = LogisticRegression().fit(X, y)
    samples = {"sensitive_features": group, "sample_weight": weight}
    if constraint in FAIRLEARN:
        metric = getattr(fairlearn_metrics, f"{FAIRLEARN[constraint]}_{kind}")
        expected = metric(y, clf.predict(X), **samples)
    else:
        frame = fairlearn_metrics.MetricFrame(
            metrics=STATISTICS[constraint],
            y_true=y,
            y_pred=clf.predict(X),
            sensitive_features=group,
            sample_params={"sample_weight": weight},
        )
        expected = getattr(frame, kind)()
        if constraint in ("accuracy_parity", "f1_parity", "predictive_parity"):
            lowest = FairnessScorer(f"{constraint}_minimum", sensitive_features=group)
            value = lowest(clf, X, y, sample_weight=weight)
            assert value == pytest.approx(frame.by_group.min())
    scorer = FairnessScorer(f"{constraint}_{kind}", sensitive_features=group)
    sign = -1 if kind == "difference" else 1
    assert sign * scorer(clf, X, y, sample_weight=weight) == pytest.approx(expected)


def test_score_distribution_difference_is_the_largest_at_nine_thresholds():
    X, y, group = make_data(400, groups=("a", "b", "c"))
    clf = LogisticRegression().fit(X, y)
    scores = clf.predict_proba(X)[:, 1]
    expected = max(
        fairlearn_metrics.demographic_parity_difference(
            y, scores > k / 10, sensitive_features=group
        )
        for k in range(1, 10)
    )
    scorer = FairnessScorer("score_distribution_difference", sensitive_features=group)
    assert -scorer(clf, X, y) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["demographic_parity_difference", "equal_opportunity_ratio"])
def test_control_features_give_the_worst_of_the_strata_as_fairlearn(metric):
    X, y, group = make_data(900, groups=("a", "b", "c"))
    control = np.random.default_rng(1).choice(["x", "y", "z"], len(y))
    clf = LogisticRegression().fit(X, y)
    statistic = "selection_rate" if metric.startswith("demographic") else "true_positive_rate"
    frame = fairlearn_metrics.MetricFrame(
        metrics=getattr(fairlearn_metrics, statistic),
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=group,
        control_features=control,
    )
    of_strata = frame.ratio() if metric.endswith("ratio") else -frame.difference()
    scorer = FairnessScorer(metric)
    value = scorer(clf, X, y, sensitive_features=group, control_features=control)
    assert value == pytest.approx(of_strata.min())
    unknown = np.where(control == "z", None, control)
    value = scorer(clf, X, y, sensitive_features=group, control_features=unknown)
    assert value == pytest.approx(of_strata[["x", "y"]].min())


@pytest.fixture
def without_positives(biased):
    """Data where group b has no sample of the positive class."""
    X, y, group = biased
    return X, np.where(group == "b", 0, y), group


@pytest.mark.parametrize("metric", ["equal_opportunity_difference", "equal_opportunity_ratio"])
def test_a_rate_over_no_samples_is_left_out(fitted, without_positives, metric):
    X, y, group = without_positives
    with pytest.warns(UserWarning, match=f"{metric} is NaN: fewer than two groups have samples"):
        assert np.isnan(FairnessScorer(metric, sensitive_features=group)(fitted, X, y))
    three = np.where((group == "a") & (X[:, 1] > 0), "c", group)
    expected = FairnessScorer(metric, sensitive_features=three[group == "a"])(
        fitted, X[group == "a"], y[group == "a"]
    )
    value = FairnessScorer(metric, sensitive_features=three)(fitted, X, y)
    assert value == pytest.approx(expected)


def test_a_fold_of_one_group_is_not_fair():
    X, y, group = make_data(600)
    order = np.argsort(group, kind="stable")
    X, y, group = X[order], y[order], group[order]
    n_a = (group == "a").sum()
    folds = [np.arange(n_a // 2), np.arange(n_a // 2, len(y))]
    splits = [(np.setdiff1d(np.arange(len(y)), fold), fold) for fold in folds]
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make(), {"eta": [0, 10]}, scoring=fairness_scoring(), refit=best_under(1), cv=splits
        )
        with pytest.warns(UserWarning) as warned:
            search.fit(X, y, sensitive_features=group)
    messages = [str(warning.message) for warning in warned]
    assert any(message.startswith("demographic_parity_difference is NaN") for message in messages)
    assert any(
        "is NaN in fold(s) 0, and the mean is that of the other folds" in m for m in messages
    )
    name = "test_demographic_parity_difference"
    assert np.isnan(search.cv_results_[f"split0_{name}"]).all()
    assert not np.isnan(search.cv_results_[f"split1_{name}"]).any()


def test_folds_that_all_have_one_group_are_an_error():
    cv_results = {
        "mean_test_accuracy": np.array([0.8, 0.7]),
        "mean_test_demographic_parity_difference": np.array([np.nan, np.nan]),
    }
    with pytest.raises(ValueError, match="'demographic_parity_difference' must not all be NaN"):
        best_under(0.1)(cv_results)


# Constant models


def results(rates):
    return {
        "mean_test_accuracy": np.array([0.85, 0.8, 0.75]),
        "mean_test_demographic_parity_difference": -np.array([0.2, 0.04, 0.0]),
        "mean_test_selection_rate": np.array(rates),
    }


def test_best_under_passes_over_constant_models():
    assert best_under(0.05)(results([0.3, 0.3, 0.0])) == 1
    assert best_under(0.05)(results([0.3, 1.0, 0.2])) == 2


def test_best_under_passes_over_models_that_are_constant_in_each_fold():
    """The mean selection rate of such a model is 0.5 if the class differs between two folds."""
    folds = {"split0_test_selection_rate": [0.3, 0, 0], "split1_test_selection_rate": [0.3, 1, 0.1]}
    assert best_under(0.05)({**results([0.3, 0.5, 0.05]), **folds}) == 2


def test_selection_rate_of_a_constant_model_is_exact_with_weights(biased):
    X, y, group = biased
    constant = DummyClassifier(strategy="constant", constant=1).fit(X, y)
    scorer = FairnessScorer("selection_rate", sensitive_features=group)
    for seed in range(30):
        weight = np.random.default_rng(seed).exponential(size=len(y))
        assert scorer(constant, X, y, sample_weight=weight) == 1


def test_best_under_warns_if_only_constant_models_meet_the_bound():
    with pytest.warns(UserWarning, match="predict one class for all samples"):
        assert best_under(0.05)(results([0.3, 1.0, 0.0])) == 1


def test_tables_have_the_selection_rate(biased):
    X, y, group = biased
    path = fairness_path(X, y, group, etas=[0, 3], estimator=make())
    rates = [(clf.predict(X) == 1).mean() for clf in path]
    assert path.to_frame()["selection_rate"].tolist() == pytest.approx(rates)
    search = FairBiNNClassifierCV([0, 3], estimator=make(), cv=2, bound=1)
    search.fit(X, y, sensitive_features=group)
    assert "mean_test_selection_rate" in search.cv_results_
    constant = DummyClassifier(strategy="constant", constant=1).fit(X, y)
    scorer = FairnessScorer("selection_rate", sensitive_features=group)
    assert scorer(constant, X, y) == 1


# Searches


def test_a_search_under_a_bound_can_be_scored_and_nested(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make(), {"eta": [0, 3]}, scoring=fairness_scoring(), refit=best_under(1), cv=2
        )
        search.fit(X, y, sensitive_features=group)
        assert search.score(X, y) == search.best_estimator_.score(X, y)
        scores = cross_val_score(search, X, y, cv=2, params={"sensitive_features": group})
    assert (scores > 0.5).all()


def test_sensitive_features_that_were_not_passed_are_named(biased):
    X, y, group = biased
    scorer = FairnessScorer(sensitive_features=None)
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match="must be passed to the scorer of demographic_parity"),
    ):
        cross_val_score(
            LogisticRegression(), X, y, scoring=scorer, cv=KFold(2), error_score="raise"
        )


def test_threshold_tuning_raises_with_advice(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        tuned = TunedThresholdClassifierCV(make(), cv=2, scoring=FairnessScorer())
        with pytest.raises(TypeError, match="Choose eta by GridSearchCV or FairBiNNClassifierCV"):
            tuned.fit(X, y, sensitive_features=group)


def test_names_of_criteria_and_misspelt_names_are_recognised(fitted, biased):
    X, y, group = biased
    for name, meant in {
        "demographic_parity": "demographic_parity_difference",
        "false_positive_rate_difference": "false_positive_rate_parity_difference",
    }.items():
        with pytest.raises(ValueError, match=f"Did you mean '{meant}'"):
            FairnessScorer(name, sensitive_features=group)(fitted, X, y)

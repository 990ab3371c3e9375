"""Scorers over fairlearn's metrics, and the choice under a bound."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make_data
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
)
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.metrics import FairnessScorer, best_under, fairness_scoring

DIFFERENCES = {
    "demographic_parity_difference": demographic_parity_difference,
    "equalized_odds_difference": equalized_odds_difference,
    "equal_opportunity_difference": equal_opportunity_difference,
}
ALL = [*DIFFERENCES, "demographic_parity_ratio", "mean_score_difference", "worst_group_accuracy"]


@pytest.fixture(scope="module")
def data():
    return make_data(900, groups=("a", "b", "c"))


@pytest.fixture(scope="module")
def model(data):
    return LogisticRegression().fit(*data[:2])


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 3, "device": "cpu", "random_state": 0, **params})


# The figures


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_are_fairlearns_negated(data, model, name):
    X, y, group = data
    expected = DIFFERENCES[name](y, model.predict(X), sensitive_features=group)
    assert expected > 0.05
    assert FairnessScorer(name)(model, X, y, sensitive_features=group) == -expected


def test_figures_of_which_more_is_better(data, model):
    X, y, group = data
    ratio = demographic_parity_ratio(y, model.predict(X), sensitive_features=group)
    scorer = FairnessScorer("demographic_parity_ratio")
    assert scorer(model, X, y, sensitive_features=group) == ratio < 0.8
    lowest = min(
        accuracy_score(y[group == g], model.predict(X[group == g])) for g in np.unique(group)
    )
    scorer = FairnessScorer("worst_group_accuracy")
    assert scorer(model, X, y, sensitive_features=group) == pytest.approx(lowest)


def test_difference_of_mean_scores(data, model):
    X, y, group = data
    means = pd.Series(model.predict_proba(X)[:, 1]).groupby(group).mean()
    score = FairnessScorer("mean_score_difference")(model, X, y, sensitive_features=group)
    assert score == pytest.approx(-(means.max() - means.min()))


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [2, 7], [-1.0, 1.0]], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_labels_of_any_type(data, model, name, labels):
    X, y, group = data
    named = np.array(labels)[y]
    other = LogisticRegression().fit(X, named)
    scorer = FairnessScorer(name)
    assert scorer(other, X, named, sensitive_features=group) == pytest.approx(
        scorer(model, X, y, sensitive_features=group), rel=1e-6
    )


def test_the_other_class_as_the_positive_one(data, model):
    X, y, group = data
    scorer = FairnessScorer("equal_opportunity_difference", pos_label=0)
    expected = equal_opportunity_difference(1 - y, 1 - model.predict(X), sensitive_features=group)
    assert scorer(model, X, y, sensitive_features=group) == pytest.approx(-expected)
    with pytest.raises(ValueError, match=r"pos_label must be one of the classes \[0, 1\], got 2"):
        FairnessScorer(pos_label=2)(model, X, y, sensitive_features=group)


def test_several_columns_are_scored_by_their_intersection(data, model):
    X, y, group = data
    columns = pd.DataFrame({"g": group, "part": np.arange(900) % 2})
    expected = demographic_parity_difference(y, model.predict(X), sensitive_features=columns)
    for form in (columns, columns.to_numpy(), {"g": group, "part": np.arange(900) % 2}):
        assert FairnessScorer()(model, X, y, sensitive_features=form) == -expected


def test_several_classes(data):
    X, _, group = data
    grade = np.digitize(X.sum(1), [0.0, 2.0])
    model = LogisticRegression().fit(X, np.array(["low", "mid", "top"])[grade])
    truth, decisions = np.array(["low", "mid", "top"])[grade], model.predict(X)
    by_class = [
        demographic_parity_difference(truth == c, decisions == c, sensitive_features=group)
        for c in model.classes_
    ]
    score = FairnessScorer()(model, X, truth, sensitive_features=group)
    assert score == -max(by_class)
    within = [
        demographic_parity_difference(
            truth[truth == k] == c, decisions[truth == k] == c, sensitive_features=group[truth == k]
        )
        for c in model.classes_
        for k in model.classes_
    ]
    odds = FairnessScorer("equalized_odds_difference")
    assert odds(model, X, truth, sensitive_features=group) == -max(within)
    with pytest.raises(ValueError, match="looks at one class of two, got 3 classes"):
        FairnessScorer("equal_opportunity_difference")(model, X, truth, sensitive_features=group)
    for name in ("mean_score_difference", "worst_group_accuracy", "demographic_parity_ratio"):
        assert np.isfinite(FairnessScorer(name)(model, X, truth, sensitive_features=group))


@pytest.mark.parametrize("name", ALL)
def test_weights_of_rows(data, model, name):
    X, y, group = data
    weight = np.arange(900) % 3
    index = np.repeat(np.arange(900), weight)
    scorer = FairnessScorer(name)
    weighted = scorer(model, X, y, sensitive_features=group, sample_weight=weight)
    repeated = scorer(model, X[index], y[index], sensitive_features=group[index])
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"equal_opportunity_difference"}))
def test_rows_without_weight_are_left_out(data, name):
    """A whole group, and all rows of a class."""
    X, _, group = data
    grade = np.digitize(X.sum(1), [0.0, 2.0])
    model, group = LogisticRegression().fit(X, grade), np.where(np.arange(900) < 300, "c", group)
    scorer, counted = FairnessScorer(name), (group != "c") & (grade != 1)
    found = scorer(model, X, grade, sensitive_features=group, sample_weight=1.0 * counted)
    rest = X[counted], grade[counted]
    assert found == pytest.approx(scorer(model, *rest, sensitive_features=group[counted]))
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero"):
        scorer(model, X, grade, sensitive_features=group, sample_weight=np.zeros(900))
    with pytest.raises(ValueError, match="sample_weight"):
        scorer(model, X, grade, sensitive_features=group, sample_weight=np.ones(899))


# scikit-learn's searches


def test_searches(data, routing):
    X, y, group = data
    etas = {"eta": [0, 20]}
    scoring = fairness_scoring("demographic_parity_difference", "mean_score_difference")
    search = GridSearchCV(make(), etas, cv=2, scoring=scoring, refit=best_under(0.3))
    results = search.fit(X, y, sensitive_features=group).cv_results_
    for name in scoring:
        assert np.isfinite(results[f"mean_test_{name}"]).all()
    assert (results["mean_test_demographic_parity_difference"] <= 0).all()
    for kind in (RandomizedSearchCV, HalvingGridSearchCV):
        params = {"n_iter": 2} if kind is RandomizedSearchCV else {"min_resources": 300}
        search = kind(make(), etas, cv=2, scoring=FairnessScorer(), random_state=0, **params)
        search.fit(X, y, sensitive_features=group)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_groups_of_each_fold_reach_the_scorer(data, routing):
    X, y, group = data
    pipe = make_pipeline(StandardScaler(), make())
    found = cross_validate(
        pipe,
        X,
        y,
        scoring=fairness_scoring("worst_group_accuracy"),
        cv=3,
        params={"sensitive_features": group},
        return_estimator=True,
        return_indices=True,
    )
    for fold, rows in enumerate(found["indices"]["test"]):
        frame = MetricFrame(
            metrics=accuracy_score,
            y_true=y[rows],
            y_pred=found["estimator"][fold].predict(X[rows]),
            sensitive_features=group[rows],
        )
        assert found["test_worst_group_accuracy"][fold] == pytest.approx(frame.group_min())


@pytest.mark.parametrize("on", [False, True])
def test_permutation_importance_takes_groups_set_beforehand(data, model, on):
    X, y, group = data
    scorer = FairnessScorer(sensitive_features=group)
    with sklearn.config_context(enable_metadata_routing=on):
        found = permutation_importance(model, X, y, scoring=scorer, n_repeats=2, random_state=0)
    # Without the column that holds the group, decisions differ less: the score is higher.
    assert found.importances_mean.argmin() == 0 and found.importances_mean[0] < -0.1
    with pytest.raises(ValueError, match="same number of rows, got 900 and 10"):
        scorer(model, X[:10], y[:10])


def test_without_routing_the_error_says_what_to_switch_on(data):
    X, y, group = data
    search = GridSearchCV(make(), {"eta": [0, 20]}, cv=2, scoring=FairnessScorer())
    with pytest.warns(UserWarning, match=r"set_config\(enable_metadata_routing=True\) first"):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
            search.fit(X, y, sensitive_features=group)
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match=r"set_config\(enable_metadata_routing=True\) first"):
        search.fit(X, y, sensitive_features=group)
    search.set_params(error_score=np.nan, scoring=fairness_scoring(), refit=best_under(0.1))
    with pytest.raises(ValueError, match="are NaN.*enable_metadata_routing=True"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y, sensitive_features=group)


def test_with_routing_the_error_says_where_to_pass_them(data, model, routing):
    X, y, _ = data
    with pytest.raises(ValueError, match="Pass them to the search or to cross_validate"):
        FairnessScorer()(model, X, y)


def test_scorers_are_scikit_learn_objects():
    scorer = FairnessScorer("equalized_odds_difference", pos_label=1)
    assert repr(clone(scorer)) == "FairnessScorer(metric='equalized_odds_difference', pos_label=1)"
    assert repr(pickle.loads(pickle.dumps(scorer))) == repr(scorer)


def test_names_that_are_not_known(data, model):
    X, y, group = data
    with pytest.raises(ValueError, match="metric must be one of.*got 'parity'"):
        FairnessScorer("parity")(model, X, y, sensitive_features=group)
    with pytest.raises(ValueError, match=r"metrics must be of .*got \['parity'\]"):
        fairness_scoring("parity")
    with pytest.raises(ValueError, match="'exactness'"):
        fairness_scoring(score="exactness")


# The choice


def results(accuracy, difference):
    return {
        "mean_test_accuracy": np.array(accuracy),
        "mean_test_demographic_parity_difference": -np.array(difference),
    }


@pytest.mark.parametrize(
    "bound, accuracy, difference, index",
    [
        (0.1, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0], 1),
        (0.5, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0], 0),
        (0.1, [0.8, 0.8, 0.8], [0.1, 0.02, 0.05], 1),
        (0.1, [0.9, np.nan, 0.7], [0.05, 0.0, np.nan], 0),
        (0.0, [0.9, 0.5], [0.2, 0.0], 1),
    ],
)
def test_best_under_a_bound(bound, accuracy, difference, index):
    assert best_under(bound)(results(accuracy, difference)) == index


def test_nothing_under_the_bound():
    with pytest.warns(UserWarning, match="of 0.01 or less; took the closest, 0.0500"):
        assert best_under(0.01)(results([0.9, 0.8, 0.7], [0.2, 0.05, 0.1])) == 1


def test_choices_that_cannot_be():
    with pytest.raises(ValueError, match="bound must be a number from 0 to 1, got 2"):
        best_under(2)
    with pytest.raises(ValueError, match="metric must be one of.*got 'demographic_parity_ratio'"):
        best_under(0.1, metric="demographic_parity_ratio")
    with pytest.raises(
        ValueError, match=r"best_under needs 'equalized_odds_difference' in scoring"
    ):
        best_under(0.1, metric="equalized_odds_difference")(results([1], [0]))
    assert repr(pickle.loads(pickle.dumps(best_under(0.1)))) == repr(best_under(0.1))

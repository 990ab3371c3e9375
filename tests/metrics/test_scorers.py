"""FairnessScorer and fairness_scoring: metrics of fairlearn as scorers of scikit-learn."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make, make_data
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


# Metrics


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_of_fairlearn_are_negated(data, model, name):
    X, y, group = data
    expected = DIFFERENCES[name](y, model.predict(X), sensitive_features=group)
    assert expected > 0.05
    assert FairnessScorer(name)(model, X, y, sensitive_features=group) == -expected


def test_metrics_of_which_greater_is_better_keep_their_sign(data, model):
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


def test_pos_label(data, model):
    X, y, group = data
    scorer = FairnessScorer("equal_opportunity_difference", pos_label=0)
    expected = equal_opportunity_difference(1 - y, 1 - model.predict(X), sensitive_features=group)
    assert scorer(model, X, y, sensitive_features=group) == pytest.approx(-expected)
    with pytest.raises(ValueError, match=r"pos_label must be one of the classes \[0, 1\], got 2"):
        FairnessScorer(pos_label=2)(model, X, y, sensitive_features=group)


@pytest.mark.parametrize("form", [pd.DataFrame, lambda c: pd.DataFrame(c).to_numpy(), dict])
def test_several_columns_are_combined_to_their_intersection_or_the_worst(data, model, form):
    X, y, group = data
    columns = {"group": group, "part": np.arange(900) % 2}
    expected = {
        name: demographic_parity_difference(y, model.predict(X), sensitive_features=values)
        for name, values in {**columns, "both": pd.DataFrame(columns)}.items()
    }
    assert expected["part"] < expected["group"] < expected["both"]
    scorer = FairnessScorer()
    assert scorer(model, X, y, sensitive_features=form(columns)) == -expected["both"]
    scorer = FairnessScorer(combine="separate")
    assert scorer(model, X, y, sensitive_features=form(columns)) == -expected["group"]
    ratio = FairnessScorer("demographic_parity_ratio", combine="separate")
    assert ratio(model, X, y, sensitive_features=form(columns)) == ratio(
        model, X, y, sensitive_features=group
    )
    with pytest.raises(ValueError, match="combine must be one of .*, got 'each'"):
        FairnessScorer(combine="each")(model, X, y, sensitive_features=form(columns))


def test_groups_are_equal_values_and_not_equal_text(data, model):
    X, y, group = data
    codes = (group == "a").astype(int)
    expected = FairnessScorer()(model, X, y, sensitive_features=codes)
    for dtype in (float, bool):
        values = codes.astype(object)
        values[:50] = codes[:50].astype(dtype)
        assert FairnessScorer()(model, X, y, sensitive_features=values) == expected
    values = np.where(codes, "1", None)
    values[codes == 0] = 1
    assert FairnessScorer()(model, X, y, sensitive_features=values) == expected < -0.1


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
    assert score == pytest.approx(-max(by_class))
    within = [
        demographic_parity_difference(
            truth[truth == k] == c, decisions[truth == k] == c, sensitive_features=group[truth == k]
        )
        for c in model.classes_
        for k in model.classes_
    ]
    odds = FairnessScorer("equalized_odds_difference")
    assert odds(model, X, truth, sensitive_features=group) == pytest.approx(-max(within))
    with pytest.raises(ValueError, match="cannot be taken: .*needs two classes"):
        FairnessScorer("equal_opportunity_difference")(model, X, truth, sensitive_features=group)
    scores = pd.DataFrame(model.predict_proba(X)).groupby(group).mean()
    means = FairnessScorer("mean_score_difference")(model, X, truth, sensitive_features=group)
    assert means == pytest.approx(-(scores.max() - scores.min()).max())
    ratios = [
        demographic_parity_ratio(truth == c, decisions == c, sensitive_features=group)
        for c in model.classes_
    ]
    ratio = FairnessScorer("demographic_parity_ratio")
    assert ratio(model, X, truth, sensitive_features=group) == pytest.approx(min(ratios))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"worst_group_accuracy", "selection_rate"}))
def test_one_group_has_no_differences(data, model, name):
    X, y, _ = data
    with pytest.warns(UserWarning, match=f"{name} is NaN"):
        assert np.isnan(FairnessScorer(name)(model, X, y, sensitive_features=["all"] * len(y)))


@pytest.mark.parametrize("name", ALL)
def test_a_weight_of_2_counts_a_sample_twice(data, model, name):
    X, y, group = data
    weight = np.arange(900) % 3
    index = np.repeat(np.arange(900), weight)
    scorer = FairnessScorer(name)
    weighted = scorer(model, X, y, sensitive_features=group, sample_weight=weight)
    repeated = scorer(model, X[index], y[index], sensitive_features=group[index])
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"equal_opportunity_difference"}))
def test_samples_without_weight_are_left_out(data, name):
    """They are a whole group, and all samples of a class."""
    X, _, group = data
    grade = np.digitize(X.sum(1), [0.0, 2.0])
    model, group = LogisticRegression().fit(X, grade), np.where(np.arange(900) < 300, "c", group)
    scorer, counted = FairnessScorer(name), (group != "c") & (grade != 1)
    value = scorer(model, X, grade, sensitive_features=group, sample_weight=1.0 * counted)
    rest = X[counted], grade[counted]
    assert value == pytest.approx(scorer(model, *rest, sensitive_features=group[counted]))
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero"):
        scorer(model, X, grade, sensitive_features=group, sample_weight=np.zeros(900))
    with pytest.raises(ValueError, match="sample_weight"):
        scorer(model, X, grade, sensitive_features=group, sample_weight=np.ones(899))


# scikit-learn's searches


def test_searches_take_the_scorers(data, routing):
    X, y, group = data
    etas = {"eta": [0, 20]}
    scoring = fairness_scoring("demographic_parity_difference", "mean_score_difference")
    search = GridSearchCV(make(), etas, cv=2, scoring=scoring, refit=best_under(0.3))
    results = search.fit(X, y, sensitive_features=group).cv_results_
    assert set(scoring) <= {key.removeprefix("mean_test_") for key in results}
    differences = results["mean_test_demographic_parity_difference"]
    assert differences[0] < -0.3 < differences[1] < 0
    assert search.best_params_ == {"eta": 20}
    search = HalvingGridSearchCV(
        make(), etas, cv=2, scoring=FairnessScorer(), random_state=0, min_resources=300
    ).fit(X, y, sensitive_features=group)
    assert search.best_params_ == {"eta": 20}


def test_the_groups_of_each_fold_reach_the_scorer(data, routing):
    X, y, group = data
    pipe = make_pipeline(StandardScaler(), make())
    results = cross_validate(
        pipe,
        X,
        y,
        scoring=fairness_scoring("worst_group_accuracy"),
        cv=3,
        params={"sensitive_features": group},
        return_estimator=True,
        return_indices=True,
    )
    for fold, index in enumerate(results["indices"]["test"]):
        frame = MetricFrame(
            metrics=accuracy_score,
            y_true=y[index],
            y_pred=results["estimator"][fold].predict(X[index]),
            sensitive_features=group[index],
        )
        assert results["test_worst_group_accuracy"][fold] == pytest.approx(frame.group_min())


@pytest.mark.parametrize("on", [False, True])
def test_permutation_importance_uses_the_groups_of_the_scorer(data, model, on):
    X, y, group = data
    scorer = FairnessScorer(sensitive_features=group)
    with sklearn.config_context(enable_metadata_routing=on):
        importances = permutation_importance(
            model, X, y, scoring=scorer, n_repeats=2, random_state=0
        )
    # The shuffled first feature no longer depends on the group, so the difference is smaller.
    assert importances.importances_mean.argmin() == 0 and importances.importances_mean[0] < -0.1
    with pytest.raises(ValueError, match="same number of samples, got 900 and 10"):
        scorer(model, X[:10], y[:10])


def search_of(kind, error_score):
    """Return a function of X, y and sensitive features that searches with fairness scorers."""
    clf = make(max_epochs=1)
    settings = {"scoring": fairness_scoring(), "cv": 2, "error_score": error_score}
    choice = {"refit": best_under(0.5), **settings}
    if kind == "cross_validate":
        return lambda X, y, **groups: cross_validate(clf, X, y, params=groups, **settings)
    if kind == "grid of a pipeline":
        clf = make_pipeline(StandardScaler(), clf)
        return GridSearchCV(clf, {"fairbinnclassifier__eta": [1, 20]}, **choice).fit
    if kind == "randomized":
        return RandomizedSearchCV(clf, {"eta": [1, 20]}, n_iter=1, **choice).fit
    return GridSearchCV(clf, {"eta": [1, 20]}, **choice).fit


@pytest.mark.filterwarnings("ignore:sensitive_features is None")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("kind", ["grid", "randomized", "cross_validate", "grid of a pipeline"])
@pytest.mark.parametrize("on", [True, False], ids=["routing", "no routing"])
def test_sensitive_features_that_do_not_reach_the_scorer_are_explained(data, kind, on):
    """With routing, they were not passed. Without routing, they cannot reach the scorer."""
    X, y, group = data
    name = "fairbinnclassifier__sensitive_features" if "pipeline" in kind else "sensitive_features"
    passed = {} if on else {name: group}
    switch, forgotten = r"set_config\(enable_metadata_routing=True\) first", r"Pass them to the sea"
    expected, other = (forgotten, switch) if on else (switch, forgotten)
    with sklearn.config_context(enable_metadata_routing=on):
        with pytest.raises(ValueError, match=f"got None. .*{expected}") as error:
            search_of(kind, "raise")(X, y, **passed)
        assert not re.search(other, str(error.value))
        with pytest.warns(UserWarning, match=expected) as caught:
            if kind == "cross_validate":
                search_of(kind, np.nan)(X, y, **passed)
            else:
                with pytest.raises(ValueError, match=f"must not all be NaN.*{expected}"):
                    search_of(kind, np.nan)(X, y, **passed)
        assert not any(re.search(other, str(warning.message)) for warning in caught)


def test_scorers_are_scikit_learn_objects():
    scorer = FairnessScorer("equalized_odds_difference", pos_label=1)
    assert repr(clone(scorer)) == "FairnessScorer(metric='equalized_odds_difference', pos_label=1)"
    assert repr(pickle.loads(pickle.dumps(scorer))) == repr(scorer)


def test_unknown_names(data, model):
    X, y, group = data
    with pytest.raises(ValueError, match="metric must be one of.*got 'parity'"):
        FairnessScorer("parity")(model, X, y, sensitive_features=group)
    with pytest.raises(ValueError, match=r"metrics must be one of .*got 'parity'"):
        fairness_scoring("parity")
    for name in ("equal_opportunity", "equal_oportunity_difference"):
        with pytest.raises(ValueError, match=f"'{name}'. Did you mean 'equal_opportunity_differ"):
            fairness_scoring(name)
    with pytest.raises(ValueError, match="'exactness'"):
        fairness_scoring(score="exactness")

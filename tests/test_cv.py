"""eta by cross-validation: folds, figures, choice, and what stays on failure."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make_data
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV
from fairbinn_sklearn._cv import strata
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.metrics import best_under, fairness_scoring

SMALL = FairBiNNClassifier(
    hidden_layer_sizes=(8, 8), max_epochs=8, batch_size=256, lr=0.01, random_state=1
)


@pytest.fixture(scope="module")
def biased():
    return make_data(600)


@pytest.fixture(scope="module")
def fitted(biased):
    X, y, group = biased
    clf = FairBiNNClassifierCV([0, 1, 30], estimator=SMALL, cv=3, bound=0.15)
    return clf.fit(X, y, sensitive_features=group)


def test_it_chooses_as_a_search_over_the_same_folds(biased):
    X, y, group = biased
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    etas = [0, 1, 30]
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            *(SMALL, {"eta": etas}),
            scoring=fairness_scoring(),
            refit=best_under(0.15),
            cv=folds,
        ).fit(X, y, sensitive_features=group)
    ours = FairBiNNClassifierCV(etas, estimator=SMALL, cv=folds, bound=0.15)
    ours.fit(X, y, sensitive_features=group)
    assert ours.eta_ == search.best_params_["eta"]
    assert ours.best_index_ == search.best_index_
    for key, values in search.cv_results_.items():
        if "_test_" in key and not key.startswith("rank"):
            np.testing.assert_allclose(ours.cv_results_[key], values, atol=0.02, err_msg=key)
    assert ours.cv_results_["params"] == search.cv_results_["params"]


@pytest.mark.filterwarnings("ignore:The running difference ended")
def test_targets_in_the_place_of_etas(biased):
    X, y, group = biased
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    longer = clone(SMALL).set_params(batch_size="auto", max_epochs=20)
    clf = FairBiNNClassifierCV(
        targets=[0.02, 0.3], estimator=longer, cv=folds, bound=0.12, metric="mean_score_difference"
    )
    clf.fit(X, y, sensitive_features=group)
    differences = -clf.cv_results_["mean_test_mean_score_difference"]
    assert clf.cv_results_["param_fairness_target"].tolist() == [0.02, 0.3]
    assert differences[0] < 0.12 < differences[1]
    assert clf.best_params_ == {"fairness_target": 0.02}
    alone = clone(longer).set_params(fairness_target=0.02).fit(X, y, sensitive_features=group)
    assert clf.eta_ == clf.estimator_.eta_ == pytest.approx(alone.eta_, rel=0.01)
    held_out = [
        clone(alone)
        .fit(X[train], y[train], sensitive_features=group[train])
        .predict_proba(X[test])[:, 1]
        for train, test in folds.split(X, y)
    ]
    means = [
        np.ptp(pd.Series(scores).groupby(group[test]).mean())
        for scores, (_, test) in zip(held_out, folds.split(X, y), strict=True)
    ]
    assert differences[0] == pytest.approx(np.mean(means), abs=0.01)


def test_choice_meets_the_bound_and_is_the_best_that_does(fitted, biased):
    X, _, _ = biased
    means = pd.DataFrame(
        {
            name: fitted.cv_results_[f"mean_test_{name}"]
            for name in ("accuracy", "demographic_parity_difference")
        }
    )
    within = means[-means["demographic_parity_difference"] <= 0.15]
    assert 0 < len(within) < 3
    assert fitted.best_index_ == within["accuracy"].idxmax()
    assert fitted.eta_ == fitted.estimator_.eta == fitted.path_[fitted.best_index_].eta
    np.testing.assert_array_equal(fitted.predict(X), fitted.estimator_.predict(X))
    assert fitted.cv_results_["rank_test_accuracy"].min() == 1


def test_the_model_is_that_of_a_fit_on_all_rows(fitted, biased):
    X, y, group = biased
    alone = clone(SMALL).set_params(eta=fitted.eta_).fit(X, y, sensitive_features=group)
    np.testing.assert_allclose(
        fitted.decision_function(X), alone.decision_function(X), rtol=1e-3, atol=1e-3
    )


def test_folds_are_stratified_by_label_and_group():
    X, y, _ = make_data(400)
    group = np.array(["common", "rare", "single"])[np.r_[np.zeros(380, int), [1] * 19, 2]]
    y[-20:] = np.arange(20) % 2
    codes = strata(SMALL, X, y, pd.DataFrame({"group": group}), 3)
    of_both = pd.crosstab(codes, [y, group])
    assert (of_both > 0).sum().max() == 1  # all rows of a label and group are in one stratum
    common = np.bincount(y[:380])
    common[y[-1]] += 1  # the single row goes with the largest group of its label
    assert sorted(of_both.sum(axis=1)) == sorted([*common, 9, 10])
    for _, test in StratifiedKFold(3).split(X, codes):
        assert (group[test] == "rare").sum() in (6, 7)


def test_given_splitter_gets_the_labels(biased):
    X, y, group = biased
    clf = FairBiNNClassifierCV([1, 3], estimator=SMALL, cv=StratifiedKFold(2), bound=1)
    clf.fit(X, y, sensitive_features=group)
    assert sum(key.startswith("split") and "accuracy" in key for key in clf.cv_results_) == 2
    with pytest.raises(ValueError, match="groups"):
        clone(clf).set_params(cv=GroupKFold(2)).fit(X, y, sensitive_features=group)


def test_several_columns_words_weights_and_other_figures(biased):
    X, y, group = biased
    rng = np.random.default_rng(0)
    columns = {"sex": group, "age": rng.integers(20, 60, len(y))}
    clf = FairBiNNClassifierCV(
        [0, 3],
        estimator=clone(SMALL).set_params(n_bins={"age": 2}, constraint="equalized_odds"),
        cv=2,
        bound=1,
        metric="equal_opportunity_difference",
        scoring="balanced_accuracy",
    )
    words = np.array(["no", "yes"], dtype=object)[y]
    weight = rng.uniform(0.5, 2, len(y))
    clf.fit(X.tolist(), words.tolist(), sensitive_features=columns, sample_weight=weight)
    assert set(clf.predict(X)) <= {"no", "yes"}
    assert np.isfinite(clf.cv_results_["mean_test_equal_opportunity_difference"]).all()
    assert "mean_test_balanced_accuracy" in clf.cv_results_
    assert list(clf.path_.figures)[:2] == ["balanced_accuracy", "equal_opportunity_difference"]


@pytest.mark.parametrize(
    "settings, eta",
    [
        ({}, 1),
        ({"bound": 0.45}, 0),
        ({"metric": "equal_opportunity_difference"}, 0),
        ({"bound": 0.45, "scoring": "precision"}, 1),
        ({"bound": 0.45, "scoring": "roc_auc"}, 0),
    ],
    ids=str,
)
def test_bound_metric_and_scoring_decide(fitted, biased, settings, eta):
    X, y, group = biased
    clf = clone(fitted).set_params(**settings).fit(X, y, sensitive_features=group)
    metric, scoring = f"mean_test_{clf.metric}", f"mean_test_{clf.scoring}"
    within = -clf.cv_results_[metric] <= clf.bound
    assert clf.best_index_ == np.where(within, clf.cv_results_[scoring], -np.inf).argmax()
    assert clf.eta_ == eta


def test_no_eta_meets_the_bound(biased):
    X, y, group = biased
    clf = FairBiNNClassifierCV([0, 30], estimator=SMALL, cv=2, bound=0.0)
    with pytest.warns(UserWarning, match="took the closest"):
        clf.fit(X, y, sensitive_features=group)
    assert clf.eta_ == 30


def test_without_groups_there_is_nothing_to_choose(biased):
    X, y, _ = biased
    clf = FairBiNNClassifierCV([0, 1], estimator=SMALL, cv=2)
    with pytest.warns(UserWarning, match="sensitive_features is None"):
        clf.fit(X, y)
    assert len(clf.path_) == 1 and clf.best_index_ == 0
    strict = clone(SMALL).set_params(missing_sensitive="raise")
    with pytest.raises(ValueError, match="sensitive_features"):
        clone(clf).set_params(estimator=strict).fit(X, y)


def test_in_a_pipeline_within_cross_validation(biased):
    X, y, group = biased
    clf = make_pipeline(
        StandardScaler(), FairBiNNClassifierCV([0, 30], estimator=SMALL, cv=2, bound=0.2)
    )
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(clf, X, y, cv=2, params={"sensitive_features": group})
    assert (scores > 0.6).all()


def test_folds_in_parallel_are_the_same(fitted, biased):
    X, y, group = biased
    parallel = clone(fitted).set_params(n_jobs=2).fit(X, y, sensitive_features=group)
    for key, values in fitted.cv_results_.items():
        np.testing.assert_array_equal(parallel.cv_results_[key], values)


def test_results_are_drawn(fitted):
    display = ParetoFrontDisplay.from_cv_results(fitted.cv_results_, bound=0.15)
    assert [text.get_text() for text in display.texts_] == ["eta 0", "eta 1", "eta 30"]


@pytest.mark.parametrize(
    "settings, error, match",
    [
        ({"etas": [1, -1]}, ValueError, "etas"),
        ({"etas": "many"}, ValueError, "etas"),
        ({"bound": 1.5}, ValueError, "bound"),
        ({"metric": "accuracy"}, ValueError, "metric"),
        ({"scoring": "nothing"}, ValueError, "scoring|nothing"),
        ({"cv": 1}, ValueError, "n_splits"),
        (
            {"estimator": clone(SMALL).set_params(fairness_target=0.1)},
            ValueError,
            "fairness_target=0.1",
        ),
        ({"targets": [0.1]}, ValueError, "etas and targets exclude each other"),
        ({"estimator": make_pipeline(SMALL)}, TypeError, "estimator must be a FairBiNNClassifier"),
    ],
    ids=str,
)
def test_bad_parameters_are_named_and_nothing_is_lost(biased, settings, error, match):
    X, y, group = biased
    clf = FairBiNNClassifierCV([1, 3], estimator=SMALL, cv=2, bound=1)
    before = clf.fit(X, y, sensitive_features=group).predict_proba(X)
    clf.set_params(**settings)
    with pytest.raises(error, match=match):
        clf.fit(X[:100], y[:100], sensitive_features=group[:100])
    clf.set_params(etas=[1, 3], targets=None, estimator=SMALL)
    np.testing.assert_array_equal(clf.predict_proba(X), before)

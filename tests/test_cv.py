"""FairBiNNClassifierCV: folds, metrics, choice, and what remains after an error."""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make
from fairlearn.metrics import demographic_parity_difference
from joblib import parallel_config
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifierCV
from fairbinn_sklearn._cv import strata
from fairbinn_sklearn._data.groups import GroupEncoder
from fairbinn_sklearn.exceptions import MissingSensitiveFeaturesWarning
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.metrics import FairnessScorer, best_under, fairness_scoring

SMALL = make(hidden_layer_sizes=(8, 8), max_epochs=8, batch_size=256, lr=0.01, random_state=1)
DIFFERENCE = "demographic_parity_difference"
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def fitted_cv(biased):
    """Return a classifier chosen among three etas. Do not change it."""
    X, y, group = biased
    clf = FairBiNNClassifierCV([0, 1, 30], estimator=SMALL, cv=FOLDS, bound=0.15, warm_start=False)
    return clf.fit(X, y, sensitive_features=group)


def test_choice_equals_that_of_a_search_over_the_same_folds(fitted_cv, biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            *(SMALL, {"eta": [0, 1, 30]}),
            scoring=fairness_scoring(),
            refit=best_under(0.15),
            cv=FOLDS,
        ).fit(X, y, sensitive_features=group)
    assert fitted_cv.best_params_ == search.best_params_
    assert fitted_cv.best_index_ == search.best_index_
    for key, values in search.cv_results_.items():
        if "_test_" in key and not key.startswith("rank"):
            np.testing.assert_allclose(fitted_cv.cv_results_[key], values, atol=0.02, err_msg=key)
    assert fitted_cv.cv_results_["params"] == search.cv_results_["params"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The difference on the training samples")
def test_targets_instead_of_etas(biased):
    X, y, group = biased
    metric = "mean_score_difference"
    estimator = clone(SMALL).set_params(batch_size="auto", max_epochs=15)
    clf = FairBiNNClassifierCV(
        targets=[0.02, 0.3], estimator=estimator, cv=2, bound=0.12, metric=metric
    )
    clf.fit(X, y, sensitive_features=group)
    differences = -clf.cv_results_[f"mean_test_{metric}"]
    assert clf.cv_results_["param_fairness_target"].tolist() == [0.02, 0.3]
    assert differences[0] < 0.12 < differences[1]
    assert clf.best_params_ == {"fairness_target": 0.02}
    alone = clone(estimator).set_params(fairness_target=0.02).fit(X, y, sensitive_features=group)
    assert clf.eta_ == clf.estimator_.eta_ == pytest.approx(alone.eta_, rel=0.01)


def test_the_choice_has_the_best_score_under_the_bound(fitted_cv, biased):
    X, _, _ = biased
    accuracy, difference = (
        fitted_cv.cv_results_[f"mean_test_{name}"] for name in ("accuracy", DIFFERENCE)
    )
    within = -difference <= 0.15
    assert 0 < within.sum() < 3
    best = fitted_cv.best_index_
    assert best == np.where(within, accuracy, 0).argmax()
    assert fitted_cv.eta_ == fitted_cv.estimator_.eta == fitted_cv.path_[best].eta
    np.testing.assert_array_equal(fitted_cv.predict(X), fitted_cv.estimator_.predict(X))
    assert fitted_cv.cv_results_["rank_test_accuracy"].min() == 1


def test_the_model_equals_a_fit_on_all_samples(fitted_cv, biased):
    X, y, group = biased
    alone = clone(SMALL).set_params(eta=fitted_cv.eta_).fit(X, y, sensitive_features=group)
    np.testing.assert_allclose(
        fitted_cv.decision_function(X), alone.decision_function(X), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_metrics_are_those_of_the_groups_of_training(biased, combine):
    """In path table, folds, scorer and fairlearn; with separate features, those of the worst."""
    X, y, group = biased
    age = np.random.default_rng(1).normal(40, 10, len(y)) + 5 * X[:, 1]
    frame = pd.DataFrame({"group": group, "age": pd.qcut(age, 3)})

    def differences(classifiers, samples):
        columns = [frame] if combine == "intersection" else [frame["group"], frame["age"]]
        return [
            max(
                demographic_parity_difference(
                    y[samples], clf.predict(X[samples]), sensitive_features=column.iloc[samples]
                )
                for column in columns
            )
            for clf in classifiers
        ]

    estimator = clone(SMALL).set_params(combine=combine, max_epochs=3)
    cv = FairBiNNClassifierCV(
        [0, 1], estimator=estimator, cv=StratifiedKFold(2), bound=1, warm_start=False
    )
    cv.fit(X, y, sensitive_features=frame)
    expected = differences(cv.path_, np.arange(len(y)))
    assert min(expected) > 0.1 and expected[0] != expected[1]
    assert cv.path_.figures[DIFFERENCE].tolist() == expected
    scorer = FairnessScorer(combine=combine)
    assert [-scorer(clf, X, y, sensitive_features=frame) for clf in cv.path_] == expected
    train, test = next(StratifiedKFold(2).split(X, y))
    classifiers = [
        clone(clf).fit(X[train], y[train], sensitive_features=frame.iloc[train]) for clf in cv.path_
    ]
    assert (-cv.cv_results_[f"split0_test_{DIFFERENCE}"]).tolist() == pytest.approx(
        differences(classifiers, test), abs=0.01
    )


def test_folds_are_stratified_by_label_and_group():
    group = np.array(["common", "rare", "single"])[np.r_[np.zeros(380, int), [1] * 19, 2]]
    y = np.random.default_rng(0).integers(2, size=400)
    y[-20:] = np.arange(20) % 2
    codes = strata(y, GroupEncoder().fit_transform(pd.DataFrame({"group": group})), 3)
    of_both = pd.crosstab(codes, [y, group])
    assert (of_both > 0).sum().max() == 1  # a label and a group are in one stratum
    common = np.bincount(y[:380])
    common[y[-1]] += 1  # the single sample is in the stratum of the largest group of its label
    assert sorted(of_both.sum(axis=1)) == sorted([*common, 9, 10])
    for _, test in StratifiedKFold(3).split(codes, codes):
        assert (group[test] == "rare").sum() in (6, 7)


def test_cv_is_a_splitter_or_a_number_of_stratified_folds(biased):
    X, y, group = (array[:200] for array in biased)
    clf = FairBiNNClassifierCV([1], estimator=make(lr=0.01), cv=2, bound=1)
    clf.fit(X, y, sensitive_features=group)
    codes = GroupEncoder().fit_transform(pd.DataFrame({"group": group}))
    folds = StratifiedKFold(2, shuffle=True, random_state=0).split(X, strata(y, codes, 2))
    other = clone(clf).set_params(cv=list(folds)).fit(X, y, sensitive_features=group)
    for key, values in clf.cv_results_.items():
        np.testing.assert_array_equal(other.cv_results_[key], values)
    with pytest.raises(ValueError, match="groups"):
        clone(clf).set_params(cv=GroupKFold(2)).fit(X, y, sensitive_features=group)


def test_string_labels_lists_weights_and_other_metrics(biased):
    X, y, group = biased
    words = np.array(["no", "yes"], dtype=object)[y]
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    metric, estimator = "equal_opportunity_difference", clone(SMALL).set_params(max_epochs=3)
    clf = FairBiNNClassifierCV(
        [0, 3], estimator=estimator, cv=2, bound=1, metric=metric, scoring="balanced_accuracy"
    )
    clf.fit(X.tolist(), words.tolist(), sensitive_features=list(group), sample_weight=weight)
    assert set(clf.predict(X)) == {"no", "yes"}
    assert list(clf.path_.figures)[:2] == ["balanced_accuracy", metric]
    scorer = FairnessScorer(metric, sensitive_features=group)
    expected = [-scorer(one, X, words, sample_weight=weight) for one in clf.path_]
    np.testing.assert_allclose(clf.path_.figures[metric], expected)
    unweighted = clone(clf).fit(X, y, sensitive_features=group)
    key = "mean_test_balanced_accuracy"
    assert (unweighted.cv_results_[key] != clf.cv_results_[key]).all()


@pytest.mark.parametrize(
    "params, eta",
    [
        ({"metric": "equal_opportunity_difference"}, 0),
        ({"scoring": "recall"}, 30),
    ],
    ids=str,
)
def test_metric_and_scoring_determine_the_choice(fitted_cv, biased, params, eta):
    assert fitted_cv.eta_ == 1
    X, y, group = biased
    clf = clone(fitted_cv).set_params(**params).fit(X, y, sensitive_features=group)
    metric, scoring = (
        f"mean_test_{clf.metric or 'demographic_parity_difference'}",
        f"mean_test_{clf.scoring}",
    )
    within = -clf.cv_results_[metric] <= clf.bound
    assert clf.best_index_ == np.where(within, clf.cv_results_[scoring], -np.inf).argmax()
    assert clf.eta_ == eta


def test_the_closest_is_chosen_if_none_meets_the_bound(biased):
    X, y, group = biased
    clf = FairBiNNClassifierCV([0, 30], estimator=SMALL, cv=2, bound=0.0)
    with pytest.warns(UserWarning, match="The closest is chosen"):
        clf.fit(X, y, sensitive_features=group)
    assert clf.eta_ == 30


def test_without_sensitive_features_one_network_is_trained(biased):
    X, y, _ = biased
    clf = FairBiNNClassifierCV([0, 1], estimator=make(max_epochs=1), cv=2)
    with pytest.warns(MissingSensitiveFeaturesWarning, match="sensitive_features is None"):
        clf.fit(X, y)
    assert len(clf.path_) == 1 and clf.best_index_ == 0


@pytest.mark.slow
def test_in_a_pipeline_within_cross_validation(biased):
    X, y, group = biased
    clf = make_pipeline(
        StandardScaler(), FairBiNNClassifierCV([0, 30], estimator=SMALL, cv=2, bound=0.2)
    )
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(clf, X, y, cv=2, params={"sensitive_features": group})
    assert (scores > 0.6).all()


def test_folds_in_parallel_are_the_same(fitted_cv, biased):
    X, y, group = biased
    with parallel_config(backend="threading"):
        parallel = clone(fitted_cv).set_params(n_jobs=2).fit(X, y, sensitive_features=group)
    for key, values in fitted_cv.cv_results_.items():
        np.testing.assert_array_equal(parallel.cv_results_[key], values)


def test_results_are_drawn(fitted_cv):
    display = ParetoFrontDisplay.from_cv_results(fitted_cv.cv_results_, bound=0.15)
    assert [text.get_text() for text in display.texts_] == ["eta 0", "eta 1", "eta 30"]


@pytest.mark.parametrize(
    "params, error, match",
    [
        ({"etas": [1, -1]}, ValueError, "etas"),
        ({"etas": "many"}, ValueError, "etas"),
        ({"bound": 1.5}, ValueError, "bound"),
        ({"metric": "accuracy"}, ValueError, "metric"),
        ({"scoring": "nothing"}, ValueError, "scoring|nothing"),
        ({"cv": 1}, ValueError, "n_splits"),
        (
            {"estimator": clone(SMALL).set_params(eta=None, fairness_target=0.1)},
            ValueError,
            "fairness_target=None with etas, got 0.1",
        ),
        ({"targets": [0.1]}, ValueError, "etas and targets cannot both be passed"),
        (
            {"estimator": make_pipeline(DummyClassifier())},
            TypeError,
            "that ends in DummyClassifier",
        ),
    ],
    ids=lambda value: str(list(value)) if isinstance(value, dict) else None,
)
def test_invalid_parameters_leave_the_fitted_classifier_as_it_was(
    fitted_cv, biased, params, error, match
):
    X, y, group = (array[:100] for array in biased)
    clf = copy.copy(fitted_cv).set_params(**params)
    before = {key: value for key, value in vars(clf).items() if key.endswith("_")}
    with pytest.raises(error, match=match):
        clf.fit(X, y, sensitive_features=group)
    assert {key: value for key, value in vars(clf).items() if key.endswith("_")} == before
    np.testing.assert_array_equal(clf.predict(X), fitted_cv.predict(X))


def test_the_choice_follows_the_criterion(biased):
    X, y, group = biased
    clf = FairBiNNClassifierCV(
        [0, 30], estimator=make(constraint="equal_opportunity"), cv=2, bound=0.1
    ).fit(X, y, sensitive_features=group)
    assert clf.metric is None
    differences = -clf.cv_results_["mean_test_equal_opportunity_difference"]
    within = differences <= 0.1
    expected = np.where(within, clf.cv_results_["mean_test_accuracy"], -np.inf).argmax()
    assert clf.best_index_ == (expected if within.any() else differences.argmin())

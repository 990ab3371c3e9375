"""Use within scikit-learn and fairlearn, with metadata routing on and off."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make
from fairlearn.metrics import MetricFrame, demographic_parity_difference, selection_rate
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairbinn_sklearn.metrics import best_under, fairness_scoring


def parity(y_true, y_pred, sensitive_features):
    return -demographic_parity_difference(y_true, y_pred, sensitive_features=sensitive_features)


@pytest.fixture(params=[True, False], ids=["routing", "no routing"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.fixture
def fit_params(biased, routing):
    """Return a function that makes the keyword arguments of fit, for a step of a pipeline."""
    return lambda prefix="": {("" if routing else prefix) + "sensitive_features": biased[2]}


def test_a_pipeline_trains_as_its_steps(biased, fit_params):
    X, y, group = biased
    pipe = make_pipeline(StandardScaler(), make(eta=10))
    pipe.fit(X, y, **fit_params("fairbinnclassifier__"))
    alone = make(eta=10).fit(StandardScaler().fit_transform(X), y, sensitive_features=group)
    np.testing.assert_array_equal(pipe.predict(X), alone.predict(StandardScaler().fit_transform(X)))
    assert list(pipe[-1].groups_) == ["a", "b"]


def test_a_pipeline_on_a_mixed_frame_can_be_audited(biased, fit_params):
    X, y, group = biased
    frame = pd.DataFrame(X, columns=list("pqrs")).assign(group=group)
    columns = make_column_transformer(
        (StandardScaler(), list("pqrs")), (OneHotEncoder(), ["group"])
    ).set_output(transform="default")
    pipe = make_pipeline(columns, make(lr=0.01))
    pipe.fit(frame, y, **fit_params("fairbinnclassifier__"))
    audit = MetricFrame(
        metrics={"selection rate": selection_rate, "accuracy": accuracy_score},
        y_true=y,
        y_pred=pipe.predict(frame),
        sensitive_features=frame["group"],
    )
    assert list(audit.by_group.index) == ["a", "b"]
    assert (audit.by_group["accuracy"] > 0.6).all()
    assert audit.by_group["selection rate"].between(0.05, 0.95).all()


def test_grid_search_over_eta_passes_the_groups_to_the_fits(biased, fit_params):
    X, y, _ = biased
    grid = GridSearchCV(make(), {"eta": [0, 10]}, cv=2, error_score="raise")
    grid.fit(X, y, **fit_params())
    assert grid.best_params_ == {"eta": 0}
    accurate, equal = grid.cv_results_["mean_test_score"]
    assert accurate > equal
    assert list(grid.best_estimator_.groups_) == ["a", "b"]


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_grid_search_has_the_same_scores_with_each_backend(biased, backend):
    X, y, group = biased
    grid = GridSearchCV(
        make(lr=0.01, max_epochs=2),
        {"eta": [0, 10]},
        scoring=fairness_scoring("demographic_parity_difference", "mean_score_difference"),
        refit=best_under(0.5),
        cv=2,
    )
    with sklearn.config_context(enable_metadata_routing=True):
        expected = grid.fit(X, y, sensitive_features=group).cv_results_
        with joblib.parallel_config(backend, n_jobs=2):
            results = grid.fit(X, y, sensitive_features=group).cv_results_
    names = [name for name in expected if "_test_" in name]
    assert len(names) == 4 * (2 + 3)  # scores x (folds, mean, deviation, rank)
    for name in names:
        np.testing.assert_array_equal(results[name], expected[name])


def test_grid_search_over_a_pipeline_with_string_labels(biased, fit_params):
    X, y, _ = biased
    labels = np.where(y == 1, "yes", "no")
    pipe = make_pipeline(StandardScaler(), make())
    grid = GridSearchCV(pipe, {"fairbinnclassifier__eta": [0, 10]}, cv=2, error_score="raise")
    grid.fit(X, labels, **fit_params("fairbinnclassifier__"))
    assert set(grid.predict(X)) == {"yes", "no"}


def test_grid_search_by_a_scorer_of_parity_chooses_the_larger_eta(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(parity).set_score_request(sensitive_features=True)
        grid = GridSearchCV(
            make(max_epochs=8),
            {"eta": [0, 10]},
            scoring={"accuracy": "accuracy", "parity": scorer},
            refit="parity",
            cv=2,
            error_score="raise",
        ).fit(X, y, sensitive_features=group)
    parities, accuracies = (
        grid.cv_results_[f"mean_test_{name}"] for name in ("parity", "accuracy")
    )
    assert grid.best_params_ == {"eta": 10}
    assert parities[1] > parities[0] + 0.1
    assert accuracies[1] < accuracies[0]


def test_randomized_search_tries_etas_of_a_list(biased, fit_params):
    X, y, _ = biased
    search = RandomizedSearchCV(
        make(), {"eta": [1, 3, 10]}, n_iter=2, cv=2, random_state=0, error_score="raise"
    ).fit(X, y, **fit_params())
    etas = list(search.cv_results_["param_eta"])
    assert len(set(etas) & {1, 3, 10}) == 2
    assert search.best_estimator_.eta_ == search.best_params_["eta"]
    assert list(search.best_estimator_.groups_) == ["a", "b"]


def test_cross_validate_passes_the_groups_of_each_fold(biased, fit_params):
    X, y, group = biased
    folds = StratifiedKFold(2)
    results = cross_validate(
        make(eta=10),
        X,
        y,
        cv=folds,
        params=fit_params(),
        return_estimator=True,
        error_score="raise",
    )
    for (train, _), clf in zip(folds.split(X, y), results["estimator"], strict=True):
        alone = make(eta=10).fit(X[train], y[train], sensitive_features=group[train])
        np.testing.assert_array_equal(clf.decision_function(X), alone.decision_function(X))
    predictions = cross_val_predict(make(eta=10), X, y, cv=folds, params=fit_params())
    for (_, test), clf in zip(folds.split(X, y), results["estimator"], strict=True):
        np.testing.assert_array_equal(predictions[test], clf.predict(X[test]))


def test_calibrated_classifiers_are_trained_with_groups(biased, fit_params):
    X, y, _ = biased
    calibrated = CalibratedClassifierCV(make(eta=3), cv=2).fit(X, y, **fit_params())
    probabilities = calibrated.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert all(
        list(inner.estimator.groups_) == ["a", "b"] for inner in calibrated.calibrated_classifiers_
    )


def test_users_may_withdraw_the_request_for_sensitive_features(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(eta=0).set_fit_request(sensitive_features=False)
        pipe = make_pipeline(StandardScaler(), clf)
        with pytest.raises(TypeError, match="sensitive_features"):
            pipe.fit(X, y, sensitive_features=group)

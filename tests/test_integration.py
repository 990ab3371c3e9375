"""At work in scikit-learn and fairlearn, with metadata routing on and off."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from fairlearn.metrics import MetricFrame, demographic_parity_difference, selection_rate
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar, ScoringMonitor
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

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.metrics import best_under, fairness_scoring


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 4, "device": "cpu", "random_state": 0, **params})


def parity(y_true, y_pred, sensitive_features):
    return -demographic_parity_difference(y_true, y_pred, sensitive_features=sensitive_features)


@pytest.fixture(params=[True, False], ids=["routing", "no routing"])
def routing(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.fixture
def fit_params(biased, routing):
    """Builds the keyword arguments of fit for an estimator behind `steps` of a pipeline."""
    return lambda prefix="": {("" if routing else prefix) + "sensitive_features": biased[2]}


def test_pipeline(biased, fit_params):
    X, y, group = biased
    pipe = make_pipeline(StandardScaler(), make(eta=10))
    pipe.fit(X, y, **fit_params("fairbinnclassifier__"))
    alone = make(eta=10).fit(StandardScaler().fit_transform(X), y, sensitive_features=group)
    np.testing.assert_array_equal(pipe.predict(X), alone.predict(StandardScaler().fit_transform(X)))
    assert list(pipe[-1].groups_) == ["a", "b"]


def test_pipeline_on_a_mixed_frame(biased, fit_params):
    X, y, group = biased
    frame = pd.DataFrame(X, columns=list("pqrs")).assign(group=group)
    columns = make_column_transformer(
        (StandardScaler(), list("pqrs")), (OneHotEncoder(), ["group"])
    ).set_output(transform="default")
    pipe = make_pipeline(columns, make()).fit(frame, y, **fit_params("fairbinnclassifier__"))
    assert pipe.predict(frame).shape == y.shape
    audit = MetricFrame(
        metrics={"selection rate": selection_rate, "accuracy": accuracy_score},
        y_true=y,
        y_pred=pipe.predict(frame),
        sensitive_features=frame["group"],
    )
    assert list(audit.by_group.index) == ["a", "b"]
    assert audit.by_group.notna().all(axis=None)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_eta(biased, fit_params, n_jobs):
    X, y, _ = biased
    grid = GridSearchCV(make(), {"eta": [0, 10]}, cv=3, n_jobs=n_jobs, error_score="raise")
    grid.fit(X, y, **fit_params())
    assert grid.best_params_ == {"eta": 0}
    accurate, equal = grid.cv_results_["mean_test_score"]
    assert accurate > equal  # the groups reached the fits
    assert list(grid.best_estimator_.groups_) == ["a", "b"]


def test_grid_search_gives_the_same_scores_with_each_backend(biased):
    X, y, group = biased
    grid = GridSearchCV(
        *(make(lr=0.01), {"eta": [0, 1, 10]}),
        scoring=fairness_scoring("demographic_parity_difference", "mean_score_difference"),
        refit=best_under(0.2),
        cv=3,
    )
    found = []
    with sklearn.config_context(enable_metadata_routing=True):
        for backend in (None, "loky", "threading"):
            grid.set_params(n_jobs=backend and 2)
            with joblib.parallel_config(backend or "sequential"):
                found.append(grid.fit(X, y, sensitive_features=group).cv_results_)
    names = [name for name in found[0] if "_test_" in name]
    assert len(names) == 3 * (3 + 3)
    for name in names:
        np.testing.assert_array_equal(found[0][name], found[1][name])
        np.testing.assert_array_equal(found[0][name], found[2][name])


def test_grid_search_over_a_pipeline_with_string_labels(biased, fit_params):
    X, y, _ = biased
    labels = np.where(y == 1, "yes", "no")
    pipe = make_pipeline(StandardScaler(), make())
    grid = GridSearchCV(pipe, {"fairbinnclassifier__eta": [0, 10]}, cv=2, error_score="raise")
    grid.fit(X, labels, **fit_params("fairbinnclassifier__"))
    assert set(grid.predict(X)) == {"yes", "no"}


def test_grid_search_with_a_parity_scorer(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(parity).set_score_request(sensitive_features=True)
        grid = GridSearchCV(
            make(max_epochs=10),
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


def test_randomized_search(biased, fit_params):
    X, y, _ = biased
    search = RandomizedSearchCV(
        make(), {"eta": [0, 1, 3, 10]}, n_iter=2, cv=2, random_state=0, error_score="raise"
    ).fit(X, y, **fit_params())
    assert search.best_params_["eta"] in (0, 1, 3, 10)


def test_cross_validate_takes_the_groups_of_each_fold(biased, fit_params):
    X, y, group = biased
    folds = StratifiedKFold(3)
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


def test_calibration(biased, fit_params):
    X, y, _ = biased
    calibrated = CalibratedClassifierCV(make(eta=3), cv=2).fit(X, y, **fit_params())
    probabilities = calibrated.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert all(
        list(inner.estimator.groups_) == ["a", "b"] for inner in calibrated.calibrated_classifiers_
    )


def test_users_can_withdraw_the_request(biased):
    X, y, group = biased
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make(eta=0).set_fit_request(sensitive_features=False)
        pipe = make_pipeline(StandardScaler(), clf)
        with pytest.raises(TypeError, match="sensitive_features"):
            pipe.fit(X, y, sensitive_features=group)


# Callbacks of scikit-learn


class Recorder:
    """Counts hooks; ends the training after `stop_after` epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.epochs = []
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append(fitted_estimator)
            return len(self.epochs) == self.stop_after


def test_callbacks_see_each_epoch_with_a_model_of_its_own(biased):
    X, y, group = biased
    recorder = Recorder()
    clf = make().set_callbacks(recorder).fit(X, y, sensitive_features=group)
    assert recorder.calls == ["setup", "teardown"]
    assert len(recorder.epochs) == clf.n_iter_ == 4
    outputs = [model.decision_function(X) for model in recorder.epochs]
    assert not np.array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[-1], clf.decision_function(X))


def test_a_callback_can_end_the_training(biased):
    X, y, group = biased
    clf = make().set_callbacks(Recorder(stop_after=2)).fit(X, y, sensitive_features=group)
    assert clf.n_iter_ == 2


def test_callbacks_are_torn_down_after_a_failure(biased):
    X, y, group = biased
    recorder = Recorder()
    clf = make(lr=1e30).set_callbacks(recorder)
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y, sensitive_features=group)
    assert recorder.calls == ["setup", "teardown"]


def test_scoring_monitor(biased):
    X, y, group = biased
    monitor = ScoringMonitor(scoring="accuracy")
    clf = make().set_callbacks(monitor).fit(X, y, sensitive_features=group)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log["task_name"] == "epoch"]
    assert len(epochs) == 4
    assert epochs["accuracy"].iloc[-1] == clf.score(X, y)


def test_progress_bar(biased, capsys):
    pytest.importorskip("rich")
    X, y, group = biased
    make().set_callbacks(ProgressBar()).fit(X, y, sensitive_features=group)
    shown = capsys.readouterr().out
    assert "FairBiNNClassifier" in shown
    assert "100%" in shown

"""Callbacks of the training, and callbacks of scikit-learn that it serves."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import fit, make, same_model
from sklearn.callback import ProgressBar, ScoringMonitor

from fairbinn_sklearn._training.callbacks import PrintEpochs, StopEarly

# Early stopping


def train(objectives, **params):
    """Return a StopEarly after epochs with these objectives, and the epoch that it stopped at.

    The weight of the module is the number of the epoch.
    """
    module = torch.nn.Linear(1, 1, bias=False)
    net = SimpleNamespace(
        module_=module, run=SimpleNamespace(stop=False, accuracy_epochs=0), history={}
    )
    callback = StopEarly(**{"n_iter_no_change": 3, "tol": 0.0, **params})
    callback.on_train_begin(net)
    for epoch, objective in enumerate(objectives, start=1):
        torch.nn.init.constant_(module.weight, epoch)
        net.history[-1, "validation_objective"] = objective
        callback.on_epoch_end(net)
        if net.run.stop:
            break
    callback.on_train_end(net)
    return epoch, int(module.weight)


@pytest.mark.parametrize(
    "objectives, params, stopped, kept",
    [
        ([5, 4, 3, 2, 1], {}, 5, 5),
        ([5, 6, 7, 8, 1], {}, 4, 1),
        ([5, 6, 7, 4, 5, 6, 7, 1], {}, 7, 4),
        ([5, 6, 1], {"n_iter_no_change": 1}, 2, 1),
        ([5.0, 4.9, 4.8, 4.7, 1.0], {"tol": 0.5}, 4, 4),  # kept although no improvement by tol
        ([5.0, 4.0, 3.5, 3.0, 2.5, 2.0], {"tol": 0.5}, 6, 6),
        ([5, 4, 4, 4, 4, 1], {}, 6, 6),  # with tol=0 an equal objective counts as improvement
    ],
)
def test_training_stops_after_epochs_without_improvement_and_keeps_the_lowest(
    objectives, params, stopped, kept
):
    assert train(objectives, **params) == (stopped, kept)


def test_a_stopped_fit_has_the_model_of_its_best_epoch(biased):
    X = biased[0]
    params = {"eta": 0, "early_stopping": True, "lr_schedule": "constant", "lr": 0.05}
    clf = fit(biased, max_epochs=40, n_iter_no_change=3, **params)
    objectives = [record["validation_objective"] for record in clf.history_]
    best = int(np.argmin(objectives)) + 1
    assert best + 3 == clf.n_iter_ < 40
    assert same_model(clf, fit(biased, max_epochs=best, **params), X)


# Callbacks of scikit-learn


class Recorder:
    """Keep the models of the epochs; end the training after `stop_after` epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.models = []
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.models.append(fitted_estimator)
            return len(self.models) == self.stop_after


def test_callbacks_get_a_fitted_model_of_each_epoch(biased):
    X, y, group = biased
    recorder = Recorder()
    clf = make().set_callbacks(recorder).fit(X, y, sensitive_features=group)
    assert recorder.calls == ["setup", "teardown"]
    assert len(recorder.models) == clf.n_iter_ == 3
    assert not same_model(*recorder.models[:2], X)
    assert same_model(recorder.models[-1], clf, X)
    for epoch, model in enumerate(recorder.models, start=1):
        assert model.history_ == clf.history_[:epoch]
        assert model.n_iter_ == epoch
        assert set(model.predict(X)) <= {0, 1}
        assert list(model.groups_) == ["a", "b"]
        assert model.n_features_in_ == 4


def test_a_callback_may_end_the_training(biased):
    X, y, group = biased
    recorder = Recorder(stop_after=2)
    clf = make().set_callbacks(recorder).fit(X, y, sensitive_features=group)
    assert clf.n_iter_ == 2
    assert same_model(clf, recorder.models[-1], X)


def test_callbacks_are_torn_down_after_a_failure(biased):
    X, y, group = biased
    recorder = Recorder()
    clf = make(lr=1e30).set_callbacks(recorder)
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y, sensitive_features=group)
    assert recorder.calls == ["setup", "teardown"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_scoring_monitor_scores_each_epoch(biased, early_stopping):
    X, y, group = biased
    monitor = ScoringMonitor(scoring="accuracy")
    clf = make(early_stopping=early_stopping).set_callbacks(monitor)
    clf.fit(X, y, sensitive_features=group)
    log = monitor.get_logs().data_as_pandas
    accuracies = log[log["task_name"] == "epoch"]["accuracy"]
    assert len(accuracies) == 3
    assert clf.score(X, y) in (set(accuracies) if early_stopping else [accuracies.iloc[-1]])


def test_progress_bar_counts_the_epochs(biased, capsys):
    pytest.importorskip("rich")
    X, y, group = biased
    make().set_callbacks(ProgressBar()).fit(X, y, sensitive_features=group)
    shown = capsys.readouterr().out
    assert "FairBiNNClassifier" in shown
    assert "100%" in shown


# Printing


@pytest.mark.parametrize(
    "record, weight, line",
    [
        ({"lr": 0.1, "objective": 0.5, "loss": 0.5}, 3.0, "loss 0.5, objective 0.5"),
        (
            {"decision_difference": 1.23456e-5, "fairness_loss": 0.0, "loss": 0.25},
            torch.tensor(2.0),
            "loss 0.25, decision_difference 1.235e-05, fairness_loss 0, eta 2",
        ),
        (
            {"validation_loss": 0.7, "validation_objective": 0.9, "loss": 0.6, "objective": 0.8},
            3.0,
            "loss 0.6, objective 0.8, validation_loss 0.7, validation_objective 0.9",
        ),
        (
            {"fairness_loss": [0.5, 0.5, 0.5], "loss": [0.25, 0.5, 0.125]},
            torch.tensor([1.0, 3.0, 2.0]),
            "loss 0.125 to 0.5, fairness_loss 0.5, eta 1 to 3",
        ),
    ],
    ids=["without groups", "with groups", "early stopping", "side by side"],
)
def test_values_of_an_epoch_are_printed_in_order(capsys, monkeypatch, record, weight, line):
    times = iter([10.0, 12.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    callback = PrintEpochs()
    net = SimpleNamespace(history=[{"epoch": 2, **record}], weight=lambda: weight)
    callback.on_epoch_begin(net)
    callback.on_epoch_end(net)
    assert capsys.readouterr().out == f"epoch 2: {line}, seconds 2.5\n"

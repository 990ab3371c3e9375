"""Parameters of what other parameters name, and learning rates by any schedule."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.optim import lr_scheduler

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn._training import update_rules


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 3, "device": "cpu", "random_state": 0, **params})


def fit(data, **params):
    X, y, group = data
    return make(**params).fit(X, y, sensitive_features=group)


def test_they_are_parameters_as_any_other():
    clf = make(optimizer__betas=(0.8, 0.99))
    assert clf.get_params()["optimizer__betas"] == (0.8, 0.99)
    clf.set_params(fairness_optimizer__momentum=0.5, eta=3)
    copied = clone(clf)
    assert copied.get_params() == clf.get_params()
    assert "optimizer__betas=(0.8, 0.99)" in repr(copied)
    assert "fairness_optimizer__momentum=0.5" in repr(copied)
    pipe = make_pipeline(StandardScaler(), clf)
    pipe.set_params(fairbinnclassifier__optimizer__betas=(0.5, 0.5))
    assert clf.optimizer__betas == (0.5, 0.5)


@pytest.mark.parametrize("name", ["optimiser__betas", "etaa", "optimizer__", "lr__x", "__x"])
def test_others_are_refused(name):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        make(**{name: 1})


@pytest.mark.parametrize(
    "name, meant", [("optimiser__betas", "optimizer"), ("etta", "eta"), ("modul__width", "module")]
)
def test_misspelt_names_are_set_right(name, meant):
    with pytest.raises(TypeError, match=f"Did you mean '{meant}"):
        make(**{name: 1})


@pytest.mark.parametrize("name", ["optimiser__betas", "etaa"])
def test_others_cannot_be_set(name):
    with pytest.raises(ValueError, match="Invalid parameter"):
        make().set_params(**{name: 1})


def test_they_reach_the_optimizers(biased):
    clf = fit(biased, optimizer__betas=(0.8, 0.99), fairness_optimizer__momentum=0.5)
    assert clf.net_.optimizer_.param_groups[0]["betas"] == (0.8, 0.99)
    assert clf.net_.fairness_optimizer_.param_groups[0]["momentum"] == 0.5
    plain = fit(biased)
    assert not np.array_equal(clf.decision_function(biased[0]), plain.decision_function(biased[0]))


def test_grid_search_over_them(biased):
    X, y, group = biased
    grid = {"optimizer": [torch.optim.SGD], "lr": [0.1], "optimizer__momentum": [0.0, 0.9]}
    search = GridSearchCV(make(), grid, cv=2).fit(X, y, sensitive_features=group)
    momentum = search.best_estimator_.net_.optimizer_.param_groups[0]["momentum"]
    assert momentum == search.best_params_["optimizer__momentum"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"optimizer__momentum": 0.9},
            r"optimizer__momentum is no parameter of Adam, which takes \['params', 'lr', 'betas'",
        ),
        ({"optimizer__lr": 0.1}, "optimizer__lr cannot be set; set lr instead"),
        ({"fairness_optimizer__lr": 0.1}, "fairness_optimizer__lr.*set fairness_lr instead"),
        ({"optimizer__weight_decay": 0.1}, "optimizer__weight_decay cannot be set"),
        ({"lr_schedule__gamma": 0.1}, "lr_schedule='cosine' takes no parameters"),
        (
            {"lr_schedule": lr_scheduler.StepLR},
            "parameters lr_schedule__<name>, got .*StepLR.* with {}: .*step_size",
        ),
        (
            {"lr_schedule": lr_scheduler.StepLR, "lr_schedule__step": 2},
            "lr_schedule__step is no parameter of StepLR",
        ),
        ({"optimizer": torch.optim.SGD([torch.zeros(1)])}, "an instance of SGD: pass the class"),
        ({"lr_schedule": torch.optim.SGD}, "lr_schedule must be one of"),
        (
            {"method": "unrolled", "fairness_optimizer": "adam"},
            "needs fairness_optimizer=\"sgd\" without parameters, got 'adam'",
        ),
        (
            {"method": "unrolled", "fairness_optimizer__momentum": 0.5},
            "without parameters, got 'sgd', {'momentum': 0.5}",
        ),
    ],
)
def test_what_does_not_fit(biased, params, message):
    with pytest.raises(ValueError, match=message):
        fit(biased, **params)


def rates(monkeypatch, biased, method="bilevel", **params):
    """Learning rates of both players in each epoch."""
    seen = []
    rule = update_rules.METHODS[method]

    def watched(net, batch):
        seen.append([o.param_groups[0]["lr"] for o in (net.optimizer_, net.fairness_optimizer_)])
        return rule(net, batch)

    monkeypatch.setitem(update_rules.METHODS, method, watched)
    clf = fit(
        biased, method=method, lr=0.1, fairness_lr=0.02, batch_size=600, max_epochs=6, **params
    )
    return clf, np.array(seen)


@pytest.mark.parametrize(
    "schedule, params, factors",
    [
        ("cosine", {}, (1 + np.cos(np.pi * np.arange(6) / 6)) / 2),
        ("constant", {}, np.ones(6)),
        (lr_scheduler.StepLR, {"step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (lr_scheduler.ExponentialLR, {"gamma": 0.9}, 0.9 ** np.arange(6)),
    ],
)
def test_both_players_follow_the_schedule(monkeypatch, biased, schedule, params, factors):
    params = {f"lr_schedule__{name}": value for name, value in params.items()}
    _, seen = rates(monkeypatch, biased, lr_schedule=schedule, **params)
    np.testing.assert_allclose(seen, np.outer(factors, [0.1, 0.02]), rtol=1e-12)


def test_the_followers_rate_keeps_its_ratio_under_absolute_schedules(monkeypatch, biased):
    _, seen = rates(
        monkeypatch,
        biased,
        lr_schedule=lr_scheduler.OneCycleLR,
        lr_schedule__max_lr=0.5,
        lr_schedule__total_steps=7,
    )
    assert 0.4 < seen[:, 0].max() < 0.5
    np.testing.assert_allclose(seen[:, 1] / seen[:, 0], 0.2)


def test_parameters_go_with_the_class_that_they_are_of(biased):
    clf = make(optimizer=torch.optim.SGD, optimizer__momentum=0.9, fairness_optimizer__momentum=0.5)
    clf.set_params(optimizer=torch.optim.SGD)
    assert clf.get_params()["optimizer__momentum"] == 0.9
    clf.set_params(optimizer="adam")
    assert "optimizer__momentum" not in clf.get_params()
    assert clf.get_params()["fairness_optimizer__momentum"] == 0.5
    clf.set_params(optimizer="sgd", optimizer__nesterov=True, optimizer__momentum=0.5)
    assert clf.fit(*biased[:2], sensitive_features=biased[2]).net_.optimizer_.defaults["nesterov"]


@pytest.mark.parametrize("kernel", ["foreach", "differentiable"])
def test_a_choice_of_kernel_is_respected(biased, kernel):
    defaults = fit(biased, **{f"optimizer__{kernel}": kernel == "foreach"}).net_.optimizer_.defaults
    assert not defaults["fused"]


def test_a_schedule_may_watch_the_objective(monkeypatch, biased):
    """The rate falls where the objective has not fallen by a threshold that it cannot meet."""
    clf, seen = rates(
        monkeypatch,
        biased,
        lr_schedule=lr_scheduler.ReduceLROnPlateau,
        lr_schedule__patience=0,
        lr_schedule__factor=0.5,
        lr_schedule__threshold=10.0,
        lr_schedule__threshold_mode="abs",
    )
    np.testing.assert_allclose(seen[:, 0] / 0.1, [1, 1, 0.5, 0.25, 0.125, 0.0625])
    _, early = rates(
        monkeypatch,
        biased,
        early_stopping=True,
        lr_schedule=lr_scheduler.ReduceLROnPlateau,
        lr_schedule__patience=100,
    )
    assert (early[:, 0] == 0.1).all()


def test_the_lagrangian_has_one_rate_and_warns_of_none(monkeypatch, biased):
    _, seen = rates(monkeypatch, biased, method="lagrangian", lr_schedule="cosine")
    assert seen[-1, 0] < 0.01


def test_partial_fit_takes_the_rates_of_the_call(biased):
    X, y, group = biased
    clf = make(lr=0.1)
    for lr in (0.1, 0.03):
        clf.set_params(lr=lr, fairness_lr=lr / 10)
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
        assert clf.net_.optimizer_.param_groups[0]["lr"] == lr
        assert clf.net_.fairness_optimizer_.param_groups[0]["lr"] == lr / 10

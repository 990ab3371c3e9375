"""Parameters of parameters, such as ``optimizer__momentum``."""

import numpy as np
import pytest
import torch
from conftest import fit, make
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.optim import lr_scheduler

from fairbinn_sklearn._training import update_rules


def test_get_params_clone_and_repr_have_them():
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


@pytest.mark.parametrize(
    "name, hint",
    [
        ("optimiser__betas", "Did you mean 'optimizer"),
        ("modul__width", "Did you mean 'module"),
        ("etta", "Did you mean 'eta'?"),
        ("learning_rate", "Did you mean 'lr'?"),
        ("epochs", "Did you mean 'max_epochs'?"),
        ("optimizer__", ""),
        ("lr__x", ""),
        ("__x", ""),
    ],
)
def test_unknown_names_raise_with_the_closest_name(name, hint):
    with pytest.raises(TypeError) as error:
        make(**{name: 1})
    assert f"got an unexpected keyword argument '{name}'." in str(error.value)
    assert hint in str(error.value)


BETAS = {"optimizer": "adam", "optimizer__betas": (0.8, 0.9)}


@pytest.mark.parametrize(
    "params",
    [
        {"optimiser__betas": 1},
        {"optimizer": "sgd", "nonsense": 1},
        {"optimizer__betas": (0.1, 0.1), "eta": 3, "nonsense": 1},
        {"optimizer": "sgd", "eta__x": 3},
    ],
    ids=str,
)
def test_set_params_with_an_unknown_name_sets_nothing(params):
    clf = make(**BETAS)
    before = clf.get_params()
    with pytest.raises((ValueError, AttributeError)):
        clf.set_params(**params)
    assert clf.get_params() == before


@pytest.mark.parametrize(
    "optimizer", ["adam", "".join(["ad", "am"]), np.array(["adam"])[0]], ids=repr
)
def test_setting_an_equal_value_keeps_the_parameters_of_the_parameter(optimizer):
    clf = make(**BETAS).set_params(optimizer=optimizer)
    assert clf.get_params()["optimizer__betas"] == (0.8, 0.9)


def test_setting_another_value_removes_the_parameters_of_the_parameter(biased):
    clf = make(optimizer=torch.optim.SGD, optimizer__momentum=0.9, fairness_optimizer__momentum=0.5)
    clf.set_params(optimizer=torch.optim.SGD)
    assert clf.get_params()["optimizer__momentum"] == 0.9
    clf.set_params(optimizer="adam")
    assert "optimizer__momentum" not in clf.get_params()
    assert clf.get_params()["fairness_optimizer__momentum"] == 0.5
    clf.set_params(optimizer="sgd", optimizer__nesterov=True, optimizer__momentum=0.5)
    clf.fit(*biased[:2], sensitive_features=biased[2])
    assert clf.net_.optimizer_.defaults["nesterov"]


def test_optimizers_are_built_with_them(biased, fitted):
    clf = fit(biased, optimizer__betas=(0.8, 0.99), fairness_optimizer__momentum=0.5)
    assert clf.net_.optimizer_.param_groups[0]["betas"] == (0.8, 0.99)
    assert clf.net_.fairness_optimizer_.param_groups[0]["momentum"] == 0.5
    X = biased[0]
    assert not np.array_equal(clf.decision_function(X), fitted.decision_function(X))


def test_grid_search_over_them(biased):
    X, y, group = biased
    grid = {"optimizer": [torch.optim.SGD], "lr": [0.1], "optimizer__momentum": [0.0, 0.9]}
    search = GridSearchCV(make(), grid, cv=2).fit(X, y, sensitive_features=group)
    momentum = search.best_estimator_.net_.optimizer_.param_groups[0]["momentum"]
    assert momentum == search.best_params_["optimizer__momentum"]
    assert len(set(search.cv_results_["mean_test_score"])) == 2


# Learning rates by a schedule and its parameters


def rates(monkeypatch, data, method="bilevel", **params):
    """Return the learning rates of both players in each epoch."""
    seen = []
    rule = update_rules.METHODS[method]

    def watched(net, batch):
        seen.append([net.leader_lr(), net.follower_lr()])
        return rule(net, batch)

    monkeypatch.setitem(update_rules.METHODS, method, watched)
    settings = {"lr": 0.1, "fairness_lr": 0.02, "batch_size": 600, "max_epochs": 6}
    fit(data, method=method, **settings, **params)
    return np.array(seen)


COSINE = (1 + np.cos(np.pi * np.arange(6) / 6)) / 2


@pytest.mark.parametrize(
    "params, factors",
    [
        ({"lr_schedule": "cosine"}, COSINE),
        ({"lr_schedule": "cosine", "method": "lagrangian"}, COSINE),
        ({"lr_schedule": "constant"}, np.ones(6)),
        (
            {
                "lr_schedule": lr_scheduler.StepLR,
                "lr_schedule__step_size": 2,
                "lr_schedule__gamma": 0.5,
            },
            [1, 1, 0.5, 0.5, 0.25, 0.25],
        ),
        (  # falls where the objective has not fallen by a threshold that it cannot meet
            {
                "lr_schedule": lr_scheduler.ReduceLROnPlateau,
                "lr_schedule__patience": 0,
                "lr_schedule__factor": 0.5,
                "lr_schedule__threshold": 10.0,
                "lr_schedule__threshold_mode": "abs",
            },
            [1, 1, 0.5, 0.25, 0.125, 0.0625],
        ),
        (
            {
                "lr_schedule": lr_scheduler.ReduceLROnPlateau,
                "lr_schedule__patience": 100,
                "early_stopping": True,
            },
            np.ones(6),
        ),
    ],
    ids=["cosine", "lagrangian", "constant", "steps", "plateau", "no plateau"],
)
def test_both_players_follow_the_schedule(monkeypatch, biased, params, factors):
    np.testing.assert_allclose(
        rates(monkeypatch, biased, **params), np.outer(factors, [0.1, 0.02]), rtol=1e-12
    )


def test_the_rate_of_the_follower_keeps_its_ratio_under_absolute_schedules(monkeypatch, biased):
    seen = rates(
        monkeypatch,
        biased,
        lr_schedule=lr_scheduler.OneCycleLR,
        lr_schedule__max_lr=0.5,
        lr_schedule__total_steps=7,
    )
    assert 0.4 < seen[:, 0].max() < 0.5
    np.testing.assert_allclose(seen[:, 1] / seen[:, 0], 0.2)


def test_partial_fit_takes_the_rates_of_the_call(biased):
    X, y, group = biased
    clf = make(lr=0.1)
    for lr in (0.1, 0.03):
        clf.set_params(lr=lr, fairness_lr=lr / 10)
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
        assert clf.net_.optimizer_.param_groups[0]["lr"] == lr
        assert clf.net_.fairness_optimizer_.param_groups[0]["lr"] == lr / 10

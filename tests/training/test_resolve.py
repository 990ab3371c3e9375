"""What parameters mean: names, classes, devices, numbers."""

import numpy as np
import pytest
import torch
from conftest import fit, stable_id
from torch import nn
from torch.optim import lr_scheduler

from fairbinn_sklearn._training.resolve import (
    ACTIVATIONS,
    CONSTRAINTS,
    OPTIMIZERS,
    resolve_activation,
    resolve_class,
    resolve_constraint,
    resolve_device,
    resolve_float,
    resolve_layer_sizes,
    resolve_names,
    resolve_optimizer,
    resolve_position,
    resolve_schedule,
)
from fairbinn_sklearn.losses import DemographicParity, FairnessLoss

CPU = torch.device("cpu")


def test_names_of_optimizers_activations_and_losses_mean_their_classes():
    for table, parent in ((OPTIMIZERS, torch.optim.Optimizer), (ACTIVATIONS, nn.Module)):
        for name, cls in table.items():
            assert name.replace("_", "") in (cls.__name__.lower(), "silu")
            assert resolve_class("x", name, table, parent) is cls
            assert resolve_class("x", cls, table, parent) is cls
    for name, cls in CONSTRAINTS.items():
        assert type(resolve_constraint(name)) is cls
        assert cls.__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("player", ["optimizer", "fairness_optimizer"])
def test_every_named_optimizer_lowers_the_loss(biased, player, name):
    clf = fit(biased, eta=1, lr=0.003, **{player: name})
    assert type(getattr(clf.net_, f"{player}_")) is OPTIMIZERS[name]
    assert clf.history_[-1]["loss"] < clf.history_[0]["loss"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_named_activation_keeps_the_shape(name):
    assert resolve_activation(name, ACTIVATIONS) is ACTIVATIONS[name]


@pytest.mark.parametrize(
    "given, is_fused",
    [({}, True), ({"foreach": True}, False), ({"differentiable": False}, False)],
    ids=stable_id,
)
def test_optimizers_are_fused_unless_another_kernel_is_chosen(given, is_fused):
    build = resolve_optimizer("optimizer", torch.optim.Adam, device=CPU, given=given, lr=0.1)
    optimizer = build([nn.Parameter(torch.zeros(2))])
    assert bool(optimizer.defaults["fused"]) is is_fused


def test_optimizers_without_a_fused_form_are_built_without():
    build = resolve_optimizer("optimizer", torch.optim.NAdam, device=CPU, given={}, lr=0.1)
    assert "fused" not in build.keywords
    mps = torch.device("mps")  # has no fused step
    build = resolve_optimizer("optimizer", torch.optim.Adam, device=mps, given={}, lr=0.1)
    assert "fused" not in build.keywords


class NeedsArguments(torch.optim.Optimizer):
    def __init__(self, params, rate):
        super().__init__(params, {"rate": rate})


@pytest.mark.parametrize(
    "cls, given, message",
    [
        (torch.optim.LBFGS, {}, "optimizer must take lr and weight_decay, and step without a clo"),
        (torch.optim.SparseAdam, {}, "optimizer must take lr and weight_decay"),
        (NeedsArguments, {}, "optimizer must take lr and weight_decay.*got NeedsArguments with {}"),
        (torch.optim.Adam, {"momentum": 0.9}, r"optimizer__momentum must name .*Adam.*\['params',"),
        (torch.optim.Adam, {"lr": 0.1}, "optimizer__lr must not be set; set lr instead"),
        (torch.optim.Adam, {"weight_decay": 1}, "optimizer__weight_decay must not be set; set wei"),
    ],
)
def test_optimizers_that_cannot_be_built_raise(cls, given, message):
    with pytest.raises(ValueError, match=message):
        resolve_optimizer("optimizer", cls, device=CPU, given=given, lr=0.1, weight_decay=0.0)


def test_the_rate_of_the_follower_is_set_by_its_parameter():
    with pytest.raises(ValueError, match="fairness_optimizer__lr must not be.*set fairness_lr"):
        resolve_optimizer(
            "fairness_optimizer", torch.optim.SGD, device=CPU, given={"lr": 1}, lr=0.1
        )


@pytest.mark.parametrize(
    "value, message",
    [
        ("best", r"optimizer must be one of \['adam', .* got 'best'"),
        (3, "or a subclass of torch.optim.optimizer.Optimizer, got 3"),
        (
            torch.optim.SGD([torch.zeros(1)]),
            "an instance of SGD: pass the class, and its",
        ),
    ],
)
def test_values_that_are_no_optimizer_raise(value, message):
    with pytest.raises(ValueError, match=message):
        resolve_class("optimizer", value, OPTIMIZERS, torch.optim.Optimizer)


class FirstFeature(nn.Module):
    def forward(self, X):
        return X[:, :1]


@pytest.mark.parametrize(
    "value, message",
    [
        ("none", "activation must be one of .*'relu'"),
        (torch.relu, "a subclass of torch.nn"),
        (nn.ReLU(), "an instance of ReLU: pass the class.$"),
        (nn.Threshold, "built without arguments"),
        (nn.Module, "take a tensor"),
        (FirstFeature, r"must keep the shape .*turns shape \(2, 3\) into \(2, 1\)"),
    ],
)
def test_values_that_are_no_activation_raise(value, message):
    with pytest.raises(ValueError, match=message):
        resolve_activation(value, ACTIVATIONS)


@pytest.mark.parametrize(
    "value, given, factors",
    [
        ("constant", {}, [1, 1, 1, 1]),
        ("cosine", {}, (1 + np.cos(np.pi * np.arange(4) / 4)) / 2),
        (lr_scheduler.StepLR, {"step_size": 2, "gamma": 0.5}, [1, 1, 0.5, 0.5]),
    ],
)
def test_schedules_are_built_from_an_optimizer_and_a_number_of_epochs(value, given, factors):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = resolve_schedule(value, given)(optimizer, 4)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, factors)


@pytest.mark.parametrize(
    "value, given, message",
    [
        ("linear", {}, "lr_schedule must be one of .*'cosine'"),
        (torch.optim.SGD, {}, "lr_schedule must be one of"),
        ("cosine", {"gamma": 0.1}, r"lr_schedule='cosine' takes no parameters, got \['gamma'\]"),
        (lr_scheduler.StepLR, {}, "parameters lr_schedule__<name>.*StepLR.* with {}: .*step_size"),
        (lr_scheduler.StepLR, {"step": 2}, "lr_schedule__step must name a parameter of StepLR"),
    ],
)
def test_schedules_that_cannot_be_built_raise(value, given, message):
    with pytest.raises(ValueError, match=message):
        resolve_schedule(value, given)


def test_losses_of_a_list_are_combined():
    loss = resolve_constraint(["demographic_parity", DemographicParity(weight=2)])
    scores, y = torch.tensor([1.0, 0.0]), torch.tensor([0, 1])
    assert float(loss(scores, y, torch.eye(2))) == 3.0  # 1 + 2, at a gap of 1


class FairnessLossOf(FairnessLoss):
    def events(self, y, n_classes):
        return (y == y)[None]


@pytest.mark.parametrize(
    "value, message",
    [
        ("parity", "constraint must be one of .*'demographic_parity'.*got 'parity'"),
        ([], "a list of these.*got \\[\\]"),
        (["demographic_parity", "parity"], "got 'parity'"),
        ("equal_opportunity_ratio", "got 'equal_opp.*Did you mean 'equal_opportunity'"),
        (["equalised_odds"], "got 'equalised_odds'. Did you mean 'equalized_odds'"),
        (FairnessLossOf, "Pass an instance"),
        (dict, "a function of scores, y and groups, got <class 'dict'>.$"),
        (
            [FairnessLossOf(), lambda *args: 0],
            "constraint, as a list, must hold names and",
        ),
        (FairnessLossOf(weight=0), "'weight' parameter of FairnessLossOf must be.*Got 0"),
        (FairnessLossOf(weight=np.nan), "'weight' parameter of FairnessLossOf"),
        (FairnessLossOf(aggregation="sum"), "'aggregation' parameter of FairnessLossOf.*'mean'"),
    ],
    ids=stable_id,
)
def test_values_that_are_no_constraint_raise(value, message):
    with pytest.raises(ValueError, match=message):
        resolve_constraint(value)


@pytest.mark.parametrize(
    "position, n_hidden, before",
    [(-1, 2, 2), (2, 2, 2), (0, 2, 0), (-3, 2, 0), (1, 2, 1), (-2, 2, 1), (0, 0, 0), (-1, 0, 0)],
)
def test_negative_positions_count_from_the_end(position, n_hidden, before):
    assert resolve_position(position, n_hidden) == before


@pytest.mark.parametrize("position", [3, -4])
def test_positions_beyond_the_layers_raise(position):
    with pytest.raises(ValueError, match="fairness_position must be from -3 to 2 with 2 hidden"):
        resolve_position(position, 2)


@pytest.mark.parametrize("sizes", [8, [8], (np.int64(8),), np.array([8])])
def test_layer_sizes_are_lists_of_integers(sizes):
    assert resolve_layer_sizes("hidden_layer_sizes", sizes, allow_empty=True) == [8]


@pytest.mark.parametrize("sizes", [0, (8, 0), (1.5,), "128", (True,), None])
def test_layer_sizes_that_are_no_positive_integers_raise(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be a positive integer or a seq"):
        resolve_layer_sizes("hidden_layer_sizes", sizes, allow_empty=True)


def test_only_hidden_layers_may_be_missing():
    assert resolve_layer_sizes("hidden_layer_sizes", (), allow_empty=True) == []
    with pytest.raises(ValueError, match="fairness_layer_sizes .*integers, at least one, got"):
        resolve_layer_sizes("fairness_layer_sizes", (), allow_empty=False)


def test_names_of_submodules_are_a_tuple():
    assert resolve_names("fairness_modules", "gru") == ("gru",)
    assert resolve_names("fairness_modules", ["a", "b.1"]) == ("a", "b.1")
    assert resolve_names("fairness_modules", None) == ()
    for names in ([], [1], 3):
        with pytest.raises(ValueError, match="fairness_modules must be the name of a submodule"):
            resolve_names("fairness_modules", names)


@pytest.mark.parametrize(
    "has_cuda, has_mps, kind", [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_device_auto_is_the_fastest(monkeypatch, has_cuda, has_mps, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert resolve_device("auto").type == kind


def test_devices_may_be_torch_devices():
    assert resolve_device(CPU) == resolve_device("cpu") == CPU


@pytest.mark.parametrize("device", ["gpu", "meta", 3.5])
def test_values_that_are_no_device_raise(device):
    with pytest.raises(ValueError, match=f'device must be "auto", .*got {device!r}'):
        resolve_device(device)


@pytest.mark.parametrize(
    "device, n_devices, kind", [("cpu:7", 1, "cpu"), ("cuda", 0, "cuda"), ("cuda:2", 2, "cuda")]
)
def test_devices_that_are_not_available_raise(monkeypatch, device, n_devices, kind):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_devices)
    message = f"must be available, got '{device}': torch finds {n_devices} .* of type '{kind}'"
    with pytest.raises(ValueError, match=message):
        resolve_device(device)


@pytest.mark.parametrize("name", ["eta", "lr"])
def test_numbers_too_large_for_a_float_raise(name):
    with pytest.raises(ValueError, match=f"{name} must be a number that fits a float"):
        resolve_float(name, 10**400)

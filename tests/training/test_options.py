"""Resolved options: what they hold, what they refuse, what may change between calls."""

import copy

import numpy as np
import pytest
import torch
from conftest import make, stable_id
from torch import nn

from fairbinn_sklearn._training.options import CHANGEABLE, FIXED, TrainingOptions
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds

CPU = torch.device("cpu")


def resolve(**params):
    return TrainingOptions.from_estimator(make(**params))


def any_function(scores, y, groups):
    return (scores @ groups).var()


def test_names_are_resolved_to_the_classes_they_mean():
    options = resolve(
        constraint="equalized_odds", optimizer="adamw", activation="tanh", lr=1, fairness_position=0
    )
    assert isinstance(options.constraint, EqualizedOdds)
    assert options.optimizer is torch.optim.AdamW
    assert options.activation is nn.Tanh
    assert (options.lr, type(options.lr)) == (1.0, float)
    assert options.fairness_position == 0
    assert resolve().fairness_position == 2  # after both hidden layers
    assert options.given["constraint"] == "equalized_odds"


def test_eta_of_none_means_one():
    assert resolve().eta == 1.0
    assert resolve().given["eta"] is None


def test_parameters_of_parameters_are_kept_by_the_name_they_belong_to():
    options = resolve(optimizer__amsgrad=True, fairness_optimizer__momentum=0.9)
    assert options.nested == {
        "module": {},
        "optimizer": {"amsgrad": True},
        "fairness_optimizer": {"momentum": 0.9},
    }
    assert options.given["optimizer__amsgrad"] is True


@pytest.mark.parametrize(
    "params, message",
    [
        ({"eta": 1, "fairness_target": 0.1}, "eta must be None with a fairness_target, got eta=1 "),
        ({"eta": 0, "fairness_target": 0.1}, "eta must be None with a fairness_target, got eta=0 "),
        ({"fairness_target": 1}, "fairness_target must be below 1, got 1: every model meets it"),
        (
            {"fairness_target": 0.1, "early_stopping": True},
            "early_stopping must be False with a fairness_target",
        ),
        (
            {"target_samples": "validation"},
            "target_samples must be \"training\" without a fairness_target, got 'validation'",
        ),
        (
            {
                "target_samples": "validation",
                "fairness_target": 0.1,
                "constraint": any_function,
            },
            "target_samples must be \"training\" with a function as constraint, got 'validation'",
        ),
        (
            {"method": "unrolled", "fairness_optimizer": "adam"},
            "fairness_optimizer must be \"sgd\" without parameters.*got 'adam' with {}",
        ),
        (
            {"method": "unrolled", "fairness_optimizer__momentum": 0.9},
            "without parameters.*got 'sgd' with {'momentum': 0.9}",
        ),
        ({"fairness_modules": "head"}, "fairness_modules must be None without a module"),
        ({"module__width": 3}, "module__width must not be set without a module"),
        ({"module": nn.Module, "activation": "tanh"}, "activation must be left at its default"),
        (
            {"module": nn.Module, "hidden_layer_sizes": (3,)},
            r"hidden_layer_sizes must be left at its default.*got \(3,\)",
        ),
    ],
    ids=stable_id,
)
def test_contradictions_raise(params, message):
    with pytest.raises(ValueError, match=message):
        resolve(**params)


@pytest.mark.parametrize(
    "params",
    [
        {"method": "unrolled", "fairness_optimizer": "sgd"},
        {"method": "unrolled", "fairness_optimizer": torch.optim.SGD},
        {"method": "bilevel", "fairness_optimizer": "adam"},
        {"fairness_target": 3.0, "constraint": any_function},  # its values have no upper bound
        {"module": nn.Module, "hidden_layer_sizes": (128, 128)},  # equal to the default
    ],
    ids=stable_id,
)
def test_similar_combinations_are_accepted(params):
    options = resolve(**params)
    for name, value in params.items():
        assert options.given[name] == value


@pytest.mark.parametrize(
    "params, wants_fairness",
    [({}, True), ({"eta": 0}, False), ({"fairness_target": 0.1}, True)],
    ids=stable_id,
)
def test_options_want_fairness_with_a_positive_eta_or_a_target(params, wants_fairness):
    assert resolve(**params).wants_fairness is wants_fairness


@pytest.mark.parametrize(
    "params, dtype",
    [
        ({"batch_size": 100}, torch.float64),
        ({"batch_size": 99}, torch.float32),
        ({"batch_size": 100, "module": nn.Module}, torch.float32),
        ({"batch_size": 100, "activation": nn.RReLU}, torch.float32),  # draws random numbers
    ],
    ids=stable_id,
)
def test_one_batch_of_all_samples_trains_in_float64(params, dtype):
    assert resolve(**params).dtype(100, CPU) == dtype


def test_devices_without_float64_train_in_float32():
    assert resolve(batch_size=100).dtype(100, torch.device("mps")) == torch.float32


# What may change between two calls of partial_fit


@pytest.mark.parametrize(
    "name, value",
    [
        ("hidden_layer_sizes", [8]),
        ("hidden_layer_sizes", np.array([8])),
        ("fairness_layer_sizes", [8]),
        ("constraint", DemographicParity()),
        ("constraint", [DemographicParity(), "equalized_odds"]),
        ("optimizer__betas", [0.9, 0.99]),
    ],
    ids=stable_id,
)
def test_a_value_changed_in_place_does_not_change_the_options(name, value):
    options = resolve(**{name: value})
    before = repr(options.given[name])
    if isinstance(value, DemographicParity):
        value.weight = 2.0
    elif name == "constraint":
        value[0].weight = 2.0
    else:
        value[-1] = 0.5 if name == "optimizer__betas" else 9
    assert repr(options.given[name]) == before
    with pytest.raises(ValueError, match=f"{name} must stay the same between calls of partial_fit"):
        resolve(**{name: value}).check_unchanged(options)


CHANGES = {
    "constraint": "equalized_odds",
    "equalize": "scores",
    "rate_window": 5,
    "combine": "separate",
    "threshold": 0.3,
    "hidden_layer_sizes": (3,),
    "fairness_layer_sizes": (3,),
    "fairness_position": 0,
    "activation": "tanh",
    "optimizer": "sgd",
    "weight_decay": 0.5,
    "fairness_optimizer": "adam",
    "fairness_optimizer__momentum": 0.5,
    "module": nn.Module,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_shapes_the_network_must_stay_the_same(name):
    plain, changed = resolve(), resolve(**{name: CHANGES[name]})
    for now, before in ((changed, plain), (plain, changed)):
        with pytest.raises(ValueError, match=f"{name} must stay the same.*Call fit to start"):
            now.check_unchanged(before)


def test_all_options_are_fixed_or_changeable():
    assert set(resolve().given) == {*FIXED, *CHANGEABLE}
    others = {"fairness_modules", "pos_label"}
    assert {name for name in CHANGES if "__" not in name} | others == set(FIXED)


def test_how_to_train_may_change():
    changes = {
        "eta": None,
        "fairness_target": 0.1,
        "target_samples": "validation",
        "method": "unrolled",
        "n_unroll_steps": 5,
        "batch_size": 7,
        "lr": 0.5,
        "fairness_lr": 0.5,
        "fairness_max_step": 0.5,
    }
    assert set(changes) == set(CHANGEABLE)
    resolve(**changes).check_unchanged(resolve(eta=3))


def test_equal_values_of_other_types_are_unchanged():
    before = resolve(hidden_layer_sizes=(8, 8), constraint=DemographicParity(), weight_decay=1)
    now = resolve(
        hidden_layer_sizes=np.array([8, 8]), constraint=DemographicParity(), weight_decay=1.0
    )
    now.check_unchanged(before)


def test_copies_share_parameters_unless_the_copied_estimator_has_its_copy():
    options = resolve()
    copied = copy.deepcopy(options)
    assert all(copied.given[name] is value for name, value in options.given.items())
    assert copied.constraint is options.constraint

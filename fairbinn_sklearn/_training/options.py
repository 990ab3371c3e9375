"""From the short names of parameters to the objects that they stand for."""

import inspect
from functools import partial
from numbers import Integral

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR

from .._utils.distributed import Processes
from ..losses import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    FairnessLoss,
    FalsePositiveRateParity,
)
from ..losses._combined import CombinedLoss

CONSTRAINTS = {
    "demographic_parity": DemographicParity,
    "equal_opportunity": EqualOpportunity,
    "equalized_odds": EqualizedOdds,
    "false_positive_rate_parity": FalsePositiveRateParity,
}

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def cosine(optimizer, epochs):
    """Down to 0 along half a cosine."""
    return CosineAnnealingLR(optimizer, T_max=epochs)


def constant(optimizer, epochs):
    """As they are."""
    return ConstantLR(optimizer, factor=1.0)


SCHEDULES = {"cosine": cosine, "constant": constant}


def resolve_class(parameter, value, table, base):
    """Class that a name in the table stands for; a subclass of `base` stands for itself."""
    if isinstance(value, str) and value in table:
        return table[value]
    if isinstance(value, type) and issubclass(value, base):
        return value
    names = f"one of {sorted(table)} or " if table else ""
    got = f"{value!r}."
    if isinstance(value, base):
        got = f"an instance of {type(value).__name__}: pass the class, and its parameters as "
        got += f"{parameter}__<name>." if parameter != "activation" else "a subclass of yours."
    raise ValueError(
        f"{parameter} must be {names}a subclass of {base.__module__}.{base.__qualname__}, got {got}"
    )


def resolve_activation(value, table):
    """Activation class, tried on a tensor."""
    found = resolve_class("activation", value, table, torch.nn.Module)
    try:
        shape = found()(torch.zeros(2, 3)).shape
    except Exception as error:
        raise ValueError(
            f"activation must be built without arguments and take a tensor, got {value!r}: {error}"
        ) from error
    if shape != (2, 3):
        raise ValueError(
            f"activation must keep the shape of its input, got {value!r}, which makes (2, 3) "
            f"{tuple(shape)}."
        )
    return found


def resolve_optimizer(parameter, value, table, *, device, given=None, **settings):
    """Builder of an optimizer, tried on a vector and a matrix; fused where there is such a form.

    `settings` are parameters of ours, `given` those of the form ``<parameter>__<name>``.
    """
    found, given = resolve_class(parameter, value, table, torch.optim.Optimizer), given or {}
    for name in given:
        if name in ("lr", *settings):
            ours = {"lr": settings_name(parameter, "lr")}.get(name, name)
            raise ValueError(f"{parameter}__{name} cannot be set; set {ours} instead.")
    check_names(parameter, found, given)
    takes_fused = "fused" in inspect.signature(found).parameters and device.type != "mps"
    if takes_fused and not given.keys() & {"fused", "foreach", "differentiable"}:
        given = {"fused": True, **given}
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3,), (2, 3))]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    try:
        found(weights, **settings, **given).step()
    except Exception as error:
        raise ValueError(
            f"{parameter} must take {' and '.join(settings)}, and step without a closure on "
            f"vectors and matrices, got {value!r} with {given}: {error}"
        ) from error
    return partial(found, **given)


def check_names(parameter, cls, given):
    """Raise if a parameter of the form ``<parameter>__<name>`` is none of the class's."""
    takes = inspect.signature(cls).parameters
    if any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        return
    if strange := [name for name in given if name not in takes]:
        raise ValueError(
            f"{parameter}__{strange[0]} is no parameter of {cls.__name__}, which takes "
            f"{list(takes)}."
        )


def settings_name(parameter, name):
    """Name of our parameter for a setting of this optimizer."""
    return f"fairness_{name}" if parameter.startswith("fairness") else name


def resolve_schedule(value, table, given):
    """Function of an optimizer and a number of epochs that builds a scheduler, tried once."""
    if isinstance(value, str) and value in table:
        if given:
            raise ValueError(
                f"lr_schedule={value!r} takes no parameters, got {sorted(given)}; name a class of "
                "torch.optim.lr_scheduler for one with parameters."
            )
        return table[value]
    found = resolve_class("lr_schedule", value, table, torch.optim.lr_scheduler.LRScheduler)
    check_names("lr_schedule", found, given)
    build = partial(_build_schedule, found, given)
    try:
        build(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), 2)
    except Exception as error:
        raise ValueError(
            f"lr_schedule must be built from an optimizer and the parameters lr_schedule__<name>, "
            f"got {value!r} with {given}: {error}"
        ) from error
    return build


def _build_schedule(cls, given, optimizer, epochs):
    return cls(optimizer, **given)


def resolve_float(parameter, value):
    """Number as a float."""
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(
            f"{parameter} must be a number that fits a float, got {value!r}."
        ) from error


def resolve_constraint(value):
    """Fairness loss that a name, an object, a function or a list of losses stands for."""
    if isinstance(value, (list, tuple)) and value:
        losses = [resolve_constraint(one) for one in value]
        if functions := [loss for loss in losses if not isinstance(loss, FairnessLoss)]:
            raise ValueError(
                "constraint, as a list, must hold names and FairnessLoss objects; call functions "
                f"from one function instead, got {functions[0]!r} in the list."
            )
        return CombinedLoss(losses)
    if isinstance(value, FairnessLoss):
        value._validate_params()
        return value
    if isinstance(value, str) and value in CONSTRAINTS:
        return CONSTRAINTS[value]()
    if callable(value) and not isinstance(value, type):
        return value
    raise ValueError(
        f"constraint must be one of {sorted(CONSTRAINTS)}, an instance of "
        "fairbinn_sklearn.losses.FairnessLoss, a list of these, or a function of scores, y and "
        f"groups, got {value!r}."
        + (
            " Pass an instance."
            if isinstance(value, type) and issubclass(value, FairnessLoss)
            else ""
        )
    )


def resolve_layer_sizes(parameter, sizes, *, allow_empty):
    """Layer sizes as a list of positive integers."""
    listed = [sizes] if isinstance(sizes, Integral) else sizes
    try:
        listed = list(listed)
        valid = all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in listed)
    except TypeError:
        valid = False
    if not valid or not (listed or allow_empty):
        raise ValueError(
            f"{parameter} must be a positive integer or a sequence of positive integers"
            f"{'' if allow_empty else ', at least one'}, got {sizes!r}."
        )
    return [int(n) for n in listed]


def resolve_names(parameter, names):
    """One name, several or none as a tuple of strings."""
    listed = [names] if isinstance(names, str) else names
    if listed is None:
        return ()
    if (
        not isinstance(listed, (list, tuple))
        or not listed
        or any(not isinstance(name, str) for name in listed)
    ):
        raise ValueError(
            f"{parameter} must be the name of a submodule or a list of such names, got {names!r}."
        )
    return tuple(listed)


def resolve_position(position, n_hidden):
    """Number of hidden layers in front of the fairness layers."""
    if not -n_hidden - 1 <= position <= n_hidden:
        raise ValueError(
            f"fairness_position must be from {-n_hidden - 1} to {n_hidden} with {n_hidden} hidden "
            f"layers, got {position!r}."
        )
    return int(position) % (n_hidden + 1)


def resolve_device(device):
    """Torch device that is there: the fastest for "auto", that of the process for "accelerate"."""
    if isinstance(device, str) and device == "accelerate":
        return Processes().device
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    allowed = 'device must be "auto", "cpu", "cuda", "cuda:<index>", "mps" or "accelerate"'
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{allowed}, got {device!r}.") from error
    n_devices = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if found.type not in n_devices:
        raise ValueError(f"{allowed}, got {device!r}.")
    if (found.index or 0) >= n_devices[found.type]:
        raise ValueError(
            f"device={device!r} is not there: torch sees {n_devices[found.type]} device(s) of type "
            f"{found.type!r}."
        )
    return found

"""Resolution of short names to classes and objects, with one table per parameter."""

import inspect
from functools import partial
from numbers import Integral

import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler

from .._utils.distributed import Processes
from .._utils.identity import is_moment
from .._utils.suggest import did_you_mean
from .._utils.upstream import validate_params_of
from ..losses import (
    CONSTRAINTS,
    AccuracyParity,
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    FairnessLoss,
    FalsePositiveRateParity,
)
from ..losses._combined import CombinedLoss

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


# Criteria by the names of the constraints of fairlearn.reductions.
MOMENTS = {
    "DemographicParity": DemographicParity,
    "EqualizedOdds": EqualizedOdds,
    "TruePositiveRateParity": EqualOpportunity,
    "FalsePositiveRateParity": FalsePositiveRateParity,
    "ErrorRateParity": AccuracyParity,
}


def cosine(optimizer, epochs):
    """Return a schedule that decays to 0 along half a cosine."""
    return CosineAnnealingLR(optimizer, T_max=epochs)


def constant(optimizer, epochs):
    """Return a schedule that changes nothing."""
    return ConstantLR(optimizer, factor=1.0)


SCHEDULES = {"cosine": cosine, "constant": constant}


def resolve_class(parameter, value, table, base):
    """Return the class of a name in the table; return a subclass of `base` unchanged."""
    if isinstance(value, str) and value in table:
        return table[value]
    if isinstance(value, type) and issubclass(value, base):
        return value
    names = f"one of {sorted(table)} or " if table else ""
    got = f"{value!r}."
    if isinstance(value, base):
        got = f"an instance of {type(value).__name__}: pass the class"
        got += "." if parameter == "activation" else f", and its parameters as {parameter}__<name>."
    raise ValueError(
        f"{parameter} must be {names}a subclass of {base.__module__}.{base.__qualname__}, got {got}"
    )


def resolve_activation(value, table):
    """Return the class of an activation, after a trial on a tensor."""
    cls = resolve_class("activation", value, table, nn.Module)
    try:
        shape = cls()(torch.zeros(2, 3)).shape
    except Exception as error:
        raise ValueError(
            f"activation must be built without arguments and take a tensor, got {value!r}: {error}"
        ) from error
    if shape != (2, 3):
        raise ValueError(
            f"activation must keep the shape of its input, got {value!r}, which turns shape (2, 3) "
            f"into {tuple(shape)}."
        )
    return cls


def resolve_optimizer(parameter, cls, *, device, given, **settings):
    """Return a builder of an optimizer, after a trial on a vector and a matrix.

    Parameters
    ----------
    parameter : str
        Name of the estimator's parameter, for errors.

    cls : type
        Class of the optimizer; its fused form is used if it has one.

    device : torch.device
        Where the parameters of the network are.

    given : dict
        Parameters passed as ``<parameter>__<name>``.

    **settings : dict
        Parameters that the estimator sets, such as ``lr``.
    """
    for name in given:
        if name in ("lr", *settings):
            own = "fairness_lr" if parameter == "fairness_optimizer" and name == "lr" else name
            raise ValueError(f"{parameter}__{name} must not be set; set {own} instead.")
    check_names(parameter, cls, given)
    takes_fused = "fused" in inspect.signature(cls).parameters and device.type != "mps"
    if takes_fused and not given.keys() & {"fused", "foreach", "differentiable"}:
        given = {"fused": True, **given}
    weights = [nn.Parameter(torch.zeros(shape)) for shape in ((3,), (2, 3))]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    try:
        cls(weights, **settings, **given).step()
    except Exception as error:
        raise ValueError(
            f"{parameter} must take {' and '.join(settings)}, and step without a closure on "
            f"vectors and matrices, got {cls.__name__} with {given}: {error}"
        ) from error
    return partial(cls, **given)


def check_names(parameter, cls, given):
    """Raise if a parameter passed as ``<parameter>__<name>`` is not one of the class's."""
    accepted = inspect.signature(cls).parameters
    if any(param.kind is param.VAR_KEYWORD for param in accepted.values()):
        return
    if unknown := [name for name in given if name not in accepted]:
        raise ValueError(
            f"{parameter}__{unknown[0]} must name a parameter of {cls.__name__}, which are "
            f"{list(accepted)}."
        )


def resolve_schedule(value, given):
    """Return a function of an optimizer and a number of epochs that builds a scheduler."""
    if isinstance(value, str) and value in SCHEDULES:
        if given:
            raise ValueError(
                f"lr_schedule={value!r} takes no parameters, got {sorted(given)}; pass a class of "
                "torch.optim.lr_scheduler to use parameters."
            )
        return SCHEDULES[value]
    cls = resolve_class("lr_schedule", value, SCHEDULES, LRScheduler)
    check_names("lr_schedule", cls, given)
    build = partial(_build_schedule, cls, given)
    try:
        build(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1), 2)
    except Exception as error:
        raise ValueError(
            f"lr_schedule must be built from an optimizer and the parameters lr_schedule__<name>, "
            f"got {value!r} with {given}: {error}"
        ) from error
    return build


def _build_schedule(cls, given, optimizer, epochs):
    return cls(optimizer, **given)


def resolve_float(parameter, value):
    """Return a number as a float."""
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(
            f"{parameter} must be a number that fits a float, got {value!r}."
        ) from error


def resolve_constraint(value):
    """Return the fairness loss or function of a name, an object, a function or a list."""
    if isinstance(value, (list, tuple)) and value:
        losses = [resolve_constraint(item) for item in value]
        if functions := [loss for loss in losses if not isinstance(loss, FairnessLoss)]:
            raise ValueError(
                "constraint, as a list, must hold names and FairnessLoss objects, got the function "
                f"{functions[0]!r}. Combine functions in one function instead."
            )
        combined = CombinedLoss(losses)
        combined.check()
        return combined
    if isinstance(value, FairnessLoss):
        validate_params_of(value)
        value.check()
        return value
    if isinstance(value, str) and value in CONSTRAINTS:
        return CONSTRAINTS[value]()
    if is_moment(value):
        return _resolve_moment(value)
    is_class = isinstance(value, type)
    if callable(value) and not is_class:
        return value
    raise ValueError(
        f"constraint must be one of {sorted(CONSTRAINTS)}, an instance of "
        "fairbinn_sklearn.losses.FairnessLoss, a list of these, a constraint of "
        f"fairlearn.reductions, or a function of scores, y and groups, got {value!r}."
        + (" Pass an instance." if is_class and issubclass(value, FairnessLoss) else "")
        + (did_you_mean(value, CONSTRAINTS) if isinstance(value, str) else "")
    )


def bound_of_moment(value):
    """Return the difference bound of a constraint of fairlearn, None for other values."""
    return value.eps if is_moment(value) else None


def _resolve_moment(value):
    """Return the fairness loss of a constraint of fairlearn, which compares with all samples."""
    name = type(value).__name__
    if name not in MOMENTS:
        raise ValueError(
            f"constraint, as a constraint of fairlearn, must be one of {sorted(MOMENTS)}, got "
            f"{name}."
        )
    if value.ratio != 1:
        raise ValueError(
            f"constraint must have a difference_bound and no ratio_bound, got {name} with "
            f"ratio_bound={value.ratio}. For ratios, pass "
            f'fairbinn_sklearn.losses.{MOMENTS[name].__name__}(measure="ratio") and '
            "fairness_target."
        )
    return MOMENTS[name](reference="overall")


def resolve_layer_sizes(parameter, sizes, *, allow_empty):
    """Return layer sizes as a list of positive integers."""
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
    """Return a name, several names or none as a tuple of strings."""
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
    """Return the number of hidden layers before the fairness layers."""
    if not -n_hidden - 1 <= position <= n_hidden:
        raise ValueError(
            f"fairness_position must be from {-n_hidden - 1} to {n_hidden} with {n_hidden} hidden "
            f"layers, got {position!r}."
        )
    return int(position) % (n_hidden + 1)


def resolve_device(device):
    """Return a torch device that exists.

    "auto" means CUDA, else MPS, else the CPU; "accelerate" means the device of the process.
    """
    if isinstance(device, str) and device == "accelerate":
        return Processes().device
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    allowed = 'device must be "auto", "cpu", "cuda", "cuda:<index>", "mps" or "accelerate"'
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{allowed}, got {device!r}.") from error
    n_devices = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if resolved.type not in n_devices:
        raise ValueError(f"{allowed}, got {device!r}.")
    if (resolved.index or 0) >= n_devices[resolved.type]:
        raise ValueError(
            f"device must be available, got {device!r}: torch finds {n_devices[resolved.type]} "
            f"device(s) of type {resolved.type!r}."
        )
    return resolved

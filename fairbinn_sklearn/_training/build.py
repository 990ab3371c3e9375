"""From the estimator's parameters to an initialised net."""

import contextlib
import copy
import inspect
from functools import partial
from types import FunctionType

import numpy as np
import torch

from ..losses import FairnessLoss
from .criterion import RateCriterion
from .function_criterion import FunctionCriterion
from .module import FairBiNNModule, players
from .net import TwoPlayerNet, seeded
from .options import (
    ACTIVATIONS,
    OPTIMIZERS,
    check_names,
    resolve_activation,
    resolve_class,
    resolve_constraint,
    resolve_float,
    resolve_layer_sizes,
    resolve_names,
    resolve_optimizer,
    resolve_position,
)
from .state import restore_lasting
from .update_rules import METHODS, accuracy_only

# Parameters of the default net.
LAYERS = ("hidden_layer_sizes", "fairness_layer_sizes", "fairness_position", "activation")

# Parameters that a net keeps for life.
FIXED = (
    "constraint",
    "equalize",
    "rate_window",
    "combine",
    "n_bins",
    "module",
    "fairness_modules",
    *LAYERS,
    "optimizer",
    "weight_decay",
    "fairness_optimizer",
)


def changeable(estimator):
    """Settings that may change from one `partial_fit` to the next."""
    numbers = ("lr", "fairness_lr", "fairness_max_step")
    plain = ("method", "batch_size", "fairness_batch_size", "n_unroll_steps", "verbose")
    target = estimator.fairness_target
    if estimator.method == "unrolled" and (
        estimator.fairness_optimizer != "sgd" or estimator._nested_of("fairness_optimizer")
    ):
        raise ValueError(
            'method="unrolled" differentiates through steps of plain gradient descent and needs '
            'fairness_optimizer="sgd" without parameters, got '
            f"{estimator.fairness_optimizer!r}, {estimator._nested_of('fairness_optimizer')}."
        )
    return {
        **{name: getattr(estimator, name) for name in plain},
        **{name: resolve_float(name, getattr(estimator, name)) for name in numbers},
        "eta": 1.0 if estimator.eta is None else resolve_float("eta", estimator.eta),
        "target": None if target is None else resolve_float("fairness_target", target),
    }


def change(net, estimator):
    """Give the net what may change; under a target it keeps what the last one has led to."""
    vars(net).update(changeable(estimator))
    net.changed = _changed(estimator)
    if net.target is None:
        net.criterion_.release()


def _changed(estimator):
    """Parameters that may change, as they are given."""
    names = ("eta", "fairness_target", "lr", "fairness_lr", "fairness_max_step", "method")
    names += ("batch_size", "fairness_batch_size", "n_unroll_steps", "verbose")
    return {name: getattr(estimator, name) for name in names}


def rebuild_net(estimator, description, state):
    """Net of a `description` in a lasting state; `estimator` has its parameters."""
    net = build_net(
        estimator,
        input_shape=tuple(description["input_shape"]),
        n_classes=description["n_classes"],
        n_groups=description["n_groups"],
        window=description["window"],
        device=torch.device(description["device"]),
        random_state=np.random.RandomState(0),
    )
    restore_lasting(net, state)
    net.rule = METHODS[net.method] if description["fair"] else accuracy_only
    net.n_rows, net.epochs = description["n_rows"], description["epochs"]
    return net


def build_net(estimator, *, input_shape, n_classes, n_groups, window, device, random_state):
    """Net with fresh weights, drawn from `random_state`, on the device."""
    settings = changeable(estimator)
    weight_decay = resolve_float("weight_decay", estimator.weight_decay)
    seed = random_state.randint(np.iinfo(np.int32).max)
    n_outputs = 1 if n_classes == 2 else n_classes
    build = _own_module if estimator.module is not None else _default_module
    module, fairness_modules = build(estimator, input_shape, n_outputs, seed)
    constraint = resolve_constraint(estimator.constraint)
    net = TwoPlayerNet(
        module,
        RateCriterion if isinstance(constraint, FairnessLoss) else FunctionCriterion,
        criterion__constraint=constraint,
        criterion__n_groups=n_groups,
        criterion__n_outputs=n_outputs,
        criterion__equalize=estimator.equalize,
        criterion__window=window,
        optimizer=resolve_optimizer(
            "optimizer",
            estimator.optimizer,
            OPTIMIZERS,
            device=device,
            given=estimator._nested_of("optimizer"),
            lr=settings["lr"],
            weight_decay=weight_decay,
        ),
        optimizer__weight_decay=weight_decay,
        fairness_optimizer=resolve_optimizer(
            "fairness_optimizer",
            estimator.fairness_optimizer,
            OPTIMIZERS,
            device=device,
            given=estimator._nested_of("fairness_optimizer"),
            lr=settings["fairness_lr"],
        ),
        fairness_modules=fairness_modules,
        input_shape=input_shape,
        rng=np.random.default_rng(int(seed)),
        random=estimator.module is not None or isinstance(estimator.activation, type),
        fixed=_fixed(estimator),
        changed=_changed(estimator),
        device=device,
        callbacks="disable",
        train_split=None,
        **settings,
    )
    with seeded(seed, device) if net.random else contextlib.nullcontext():
        return net.initialize()


def _default_module(estimator, input_shape, n_outputs, seed):
    """Builder of the fully connected net; it says itself who owns what."""
    if estimator.fairness_modules is not None:
        raise ValueError(
            "fairness_modules names submodules of a module of your own, but module is None; got "
            f"{estimator.fairness_modules!r}."
        )
    if given := estimator._nested_of("module"):
        raise ValueError(
            f"module__{next(iter(given))} is for a module of your own, but module is None."
        )
    hidden = resolve_layer_sizes(
        "hidden_layer_sizes", estimator.hidden_layer_sizes, allow_empty=True
    )
    fairness = estimator.fairness_layer_sizes
    if fairness is not None:
        fairness = resolve_layer_sizes("fairness_layer_sizes", fairness, allow_empty=False)
    module = partial(
        FairBiNNModule,
        input_shape[0],
        n_outputs,
        hidden_layer_sizes=hidden,
        fairness_layer_sizes=fairness,
        fairness_position=resolve_position(estimator.fairness_position, len(hidden)),
        activation=resolve_activation(estimator.activation, ACTIVATIONS),
        seed=seed,
    )
    return module, ()


def _own_module(estimator, input_shape, n_outputs, seed):
    """Builder of the user's module, tried once, and the names of the follower's submodules."""
    defaults = inspect.signature(type(estimator)).parameters
    for name in LAYERS:
        if not same(_as_tuple(getattr(estimator, name)), defaults[name].default):
            raise ValueError(
                f"{name} says how the default net is built and means nothing to module="
                f"{estimator.module!r}, got {getattr(estimator, name)!r}; parameters of the module "
                "are module__<name>."
            )
    cls = resolve_class("module", estimator.module, {}, torch.nn.Module)
    size = input_shape[0] if len(input_shape) == 1 else input_shape
    given = estimator._nested_of("module")
    check_names("module", cls, given)
    # A submodule among them is built upon in each net: it must not be one and the same.
    module = partial(cls, size, n_outputs, **copy.deepcopy(given))
    names = resolve_names("fairness_modules", estimator.fairness_modules)
    with seeded(seed, torch.device("cpu")):
        _try_module(module, names, estimator, input_shape, n_outputs)
    return module, names


def _try_module(build, names, estimator, input_shape, n_outputs):
    told = f"module={estimator.module!r}"
    try:
        module = build()
    except Exception as error:
        raise ValueError(
            f"{told} must be built from the input size ({build.args[0]}, the columns of X, or the "
            f"shape of a row if X has more than two dimensions), the number of outputs "
            f"({build.args[1]}) and module__ parameters, got {build.keywords}: {error}"
        ) from error
    try:
        leader, follower = players(module, names)
    except AttributeError as error:
        raise ValueError(
            "fairness_modules must name submodules of the follower among "
            f"{[name for name, _ in module.named_modules() if name]}, or {told} must have the "
            "methods accuracy_parameters() and fairness_parameters(), got fairness_modules="
            f"{estimator.fairness_modules!r}: {error}"
        ) from error
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    if idle := [name for name in trained if name not in leader.keys() | follower.keys()]:
        raise ValueError(
            f"{told} gives the parameters {idle} to neither player; name them in "
            "accuracy_parameters() or fairness_parameters(), or freeze them by requires_grad."
        )
    if not leader or not follower or leader.keys() & follower.keys():
        raise ValueError(
            f"{told} must give each player parameters of its own; the leader has {list(leader)}, "
            f"the follower {list(follower)}."
        )
    try:
        with torch.no_grad():
            logits = module.eval()(torch.zeros(2, *input_shape))
    except Exception as error:
        raise ValueError(f"{told} cannot take X of shape (2, {input_shape}): {error}") from error
    if getattr(logits, "shape", None) != (2, n_outputs):
        raise ValueError(
            f"{told} must return logits of shape (N, {n_outputs}), got "
            f"{tuple(getattr(logits, 'shape', ())) or type(logits)} for 2 rows."
        )


def check_fixed(estimator, net):
    """Raise if a parameter changed that the net cannot change."""
    now = _fixed(estimator)
    for name in net.fixed | now:
        before, after = (values.get(name) for values in (net.fixed, now))
        if not same(before, after):
            raise ValueError(
                f"{name} cannot change from {before!r} to {after!r} between calls of partial_fit; "
                "call fit to begin anew."
            )


def _fixed(estimator):
    """Parameters that stay, copied where they could be changed in place."""
    names = [*FIXED, *(name for name in vars(estimator) if estimator._is_nested(name))]
    values = {name: getattr(estimator, name) for name in names}
    mutable = (list, dict, np.ndarray, FairnessLoss)
    return {
        name: copy.deepcopy(value) if isinstance(value, mutable) else value
        for name, value in values.items()
    }


def same(one, other):
    """Whether two parameters mean the same: classes and functions do that have one name."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return type(one) is type(other) and np.array_equal(one, other)
    if isinstance(one, FairnessLoss):
        return type(one) is type(other) and same(one.get_params(), other.get_params())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (type, FunctionType)) and isinstance(other, (type, FunctionType)):
        names = [(value.__module__, value.__qualname__) for value in (one, other)]
        return names[0] == names[1] and "<" not in names[0][1]  # lambdas share theirs
    try:
        return bool(one == other)
    except Exception:
        return False


def _as_tuple(value):
    return tuple(value) if isinstance(value, list) else value

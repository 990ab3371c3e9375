"""From the estimator's parameters to an initialised net."""

import contextlib
import inspect
import re
from functools import partial

import numpy as np
import torch

from ._criterion import FunctionCriterion, RateCriterion
from ._module import ACTIVATIONS, FairBiNNModule, players
from ._net import OPTIMIZERS, TwoPlayerNet, seeded
from ._resolve import (
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
from .losses import FairnessLoss

# Parameters of the default net.
LAYERS = ("hidden_layer_sizes", "fairness_layer_sizes", "fairness_position", "activation")

# Parameters that a net keeps for life.
FIXED = (
    "constraint",
    "violation",
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
    numbers = ("eta", "lr", "fairness_lr", "fairness_max_step")
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
        "target": None if target is None else resolve_float("fairness_target", target),
    }


def change(net, estimator):
    """Give the net what may change; under a target it keeps the eta that it has found."""
    settings = changeable(estimator)
    if settings["target"] is not None:
        del settings["eta"]
    vars(net).update(settings)


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
        criterion__violation=estimator.violation,
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
        rng=np.random.default_rng(seed),
        random=estimator.module is not None or isinstance(estimator.activation, type),
        fixed=_fixed(estimator),
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
        if _told(getattr(estimator, name)) != _told(defaults[name].default):
            raise ValueError(
                f"{name} says how the default net is built and means nothing to module="
                f"{estimator.module!r}, got {getattr(estimator, name)!r}; parameters of the module "
                "are module__<name>."
            )
    cls = resolve_class("module", estimator.module, {}, torch.nn.Module)
    size = input_shape[0] if len(input_shape) == 1 else input_shape
    given = estimator._nested_of("module")
    check_names("module", cls, given)
    module = partial(cls, size, n_outputs, **given)
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
        if now.get(name) != net.fixed.get(name):
            raise ValueError(
                f"{name} cannot change from {net.fixed.get(name)} to {now.get(name)} between "
                "calls of partial_fit; call fit to begin anew."
            )


def _fixed(estimator):
    names = [*FIXED, *(name for name in vars(estimator) if estimator._is_nested(name))]
    return {name: _told(getattr(estimator, name)) for name in names}


def _told(value):
    """Parameter as text without addresses, which differ from one process to the next."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))

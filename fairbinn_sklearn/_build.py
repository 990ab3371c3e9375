"""From the estimator's parameters to an initialised net."""

import re

import numpy as np

from ._criterion import FunctionCriterion, RateCriterion
from ._module import ACTIVATIONS, FairBiNNModule
from ._net import OPTIMIZERS, TwoPlayerNet
from ._resolve import (
    resolve_activation,
    resolve_constraint,
    resolve_float,
    resolve_layer_sizes,
    resolve_optimizer,
    resolve_position,
)
from .losses import FairnessLoss

# Parameters that a net keeps for life.
FIXED = (
    "constraint",
    "violation",
    "rate_window",
    "hidden_layer_sizes",
    "fairness_layer_sizes",
    "fairness_position",
    "activation",
    "optimizer",
    "weight_decay",
    "fairness_optimizer",
)


def players(estimator):
    """Settings that may change from one `partial_fit` to the next."""
    numbers = ("eta", "lr", "fairness_lr", "fairness_max_step")
    return {
        "method": estimator.method,
        "batch_size": estimator.batch_size,
        "verbose": estimator.verbose,
        **{name: resolve_float(name, getattr(estimator, name)) for name in numbers},
    }


def build_net(estimator, *, n_groups, window, device, random_state):
    """Net with fresh weights, drawn from `random_state`, on the device."""
    settings = players(estimator)
    weight_decay = resolve_float("weight_decay", estimator.weight_decay)
    seed = random_state.randint(np.iinfo(np.int32).max)
    hidden = resolve_layer_sizes(
        "hidden_layer_sizes", estimator.hidden_layer_sizes, allow_empty=True
    )
    fairness = estimator.fairness_layer_sizes
    if fairness is not None:
        fairness = resolve_layer_sizes("fairness_layer_sizes", fairness, allow_empty=False)
    constraint = resolve_constraint(estimator.constraint)
    net = TwoPlayerNet(
        FairBiNNModule,
        RateCriterion if isinstance(constraint, FairnessLoss) else FunctionCriterion,
        module__n_features=estimator.n_features_in_,
        module__n_outputs=1,
        module__hidden_layer_sizes=hidden,
        module__fairness_layer_sizes=fairness,
        module__fairness_position=resolve_position(estimator.fairness_position, len(hidden)),
        module__activation=resolve_activation(estimator.activation, ACTIVATIONS),
        module__seed=seed,
        criterion__constraint=constraint,
        criterion__n_groups=n_groups,
        criterion__violation=estimator.violation,
        criterion__window=window,
        optimizer=resolve_optimizer(
            "optimizer",
            estimator.optimizer,
            OPTIMIZERS,
            device=device,
            lr=settings["lr"],
            weight_decay=weight_decay,
        ),
        optimizer__weight_decay=weight_decay,
        fairness_optimizer=resolve_optimizer(
            "fairness_optimizer",
            estimator.fairness_optimizer,
            OPTIMIZERS,
            device=device,
            lr=settings["fairness_lr"],
        ),
        rng=np.random.default_rng(seed),
        fixed={name: _told(estimator, name) for name in FIXED},
        device=device,
        callbacks="disable",
        train_split=None,
        **settings,
    )
    return net.initialize()


def check_fixed(estimator, net):
    """Raise if a parameter changed that the net cannot change."""
    for name, before in net.fixed.items():
        if (now := _told(estimator, name)) != before:
            raise ValueError(
                f"{name} cannot change from {before} to {now} between calls of partial_fit; call "
                "fit to begin anew."
            )


def _told(estimator, name):
    """Parameter as text without addresses, which differ from one process to the next."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(getattr(estimator, name)))

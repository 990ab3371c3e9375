"""From the estimator's parameters to an initialised net."""

import inspect
from functools import partial

import numpy as np
import torch

from ._criterion import TwoPlayerCriterion
from ._module import ACTIVATIONS, FairBiNNModule
from ._net import OPTIMIZERS, TwoPlayerNet
from ._resolve import (
    resolve_class,
    resolve_constraint,
    resolve_device,
    resolve_layer_sizes,
    resolve_position,
)


def players(estimator):
    """Settings of the two players that may change from one `partial_fit` to the next."""
    return {
        "method": estimator.method,
        "eta": float(estimator.eta),
        "lr": estimator.lr,
        "fairness_lr": estimator.fairness_lr,
        "fairness_max_step": estimator.fairness_max_step,
        "batch_size": estimator.batch_size,
        "verbose": estimator.verbose,
    }


def build_net(estimator, *, n_groups, window, random_state):
    """Net with fresh weights, drawn from `random_state`, on the estimator's device."""
    seed = random_state.randint(np.iinfo(np.int32).max)
    device = resolve_device(estimator.device)
    hidden = resolve_layer_sizes(
        "hidden_layer_sizes", estimator.hidden_layer_sizes, allow_empty=True
    )
    fairness = estimator.fairness_layer_sizes
    if fairness is not None:
        fairness = resolve_layer_sizes("fairness_layer_sizes", fairness, allow_empty=False)
    net = TwoPlayerNet(
        FairBiNNModule,
        TwoPlayerCriterion,
        module__n_features=estimator.n_features_in_,
        module__n_outputs=1,
        module__hidden_layer_sizes=hidden,
        module__fairness_layer_sizes=fairness,
        module__fairness_position=resolve_position(estimator.fairness_position, len(hidden)),
        module__activation=resolve_class(
            "activation", estimator.activation, ACTIVATIONS, torch.nn.Module
        ),
        module__seed=seed,
        criterion__constraint=resolve_constraint(estimator.constraint),
        criterion__n_groups=n_groups,
        criterion__violation=estimator.violation,
        criterion__window=window,
        optimizer=_optimizer(estimator, "optimizer", device),
        optimizer__weight_decay=estimator.weight_decay,
        fairness_optimizer=_optimizer(estimator, "fairness_optimizer", device),
        rng=np.random.default_rng(seed),
        device=device,
        callbacks="disable",
        train_split=None,
        **players(estimator),
    )
    return net.initialize()


def _optimizer(estimator, parameter, device):
    """Optimizer class, in its fused form where there is one, which is faster."""
    found = resolve_class(
        parameter, getattr(estimator, parameter), OPTIMIZERS, torch.optim.Optimizer
    )
    accepted = inspect.signature(found).parameters
    if not {"lr", "weight_decay"} <= set(accepted):
        raise ValueError(
            f"{parameter} must take lr and weight_decay, and step without a closure; "
            f"{found.__name__} does not."
        )
    return partial(found, fused=True) if "fused" in accepted and device.type != "mps" else found

"""Options of one training: the parameters of the estimator, resolved and checked."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from .._data.batches import samples_per_batch
from .._utils.identity import is_same
from ..losses import FairnessLoss
from .few_samples import WEIGHT_DECAY
from .resolve import (
    ACTIVATIONS,
    OPTIMIZERS,
    bound_of_moment,
    resolve_activation,
    resolve_class,
    resolve_constraint,
    resolve_float,
    resolve_layer_sizes,
    resolve_names,
    resolve_position,
)

# Parameters of the default module, with their defaults.
LAYERS = {
    "hidden_layer_sizes": (128, 128),
    "fairness_layer_sizes": None,
    "fairness_position": -1,
    "activation": "relu",
}

TARGET_SAMPLES = ("training", "validation")

# Parameters that shape the network and its optimizers, and stay between calls of `partial_fit`.
FIXED = (
    "constraint",
    "equalize",
    "rate_window",
    "combine",
    "pos_label",
    "threshold",
    "module",
    "fairness_modules",
    *LAYERS,
    "optimizer",
    "weight_decay",
    "fairness_optimizer",
)

# Parameters that may change between calls of `partial_fit`.
CHANGEABLE = (
    "eta",
    "fairness_target",
    "target_samples",
    "method",
    "n_unroll_steps",
    "batch_size",
    "lr",
    "fairness_lr",
    "fairness_max_step",
)

# Parameters that have parameters, such as ``optimizer__betas``.
WITH_PARAMETERS = ("module", "optimizer", "fairness_optimizer")


@dataclass(frozen=True, eq=False)
class TrainingOptions:
    """Resolved options of a training.

    `given` contains the parameters as the user passed them, copied if they could be changed in
    place. `nested` contains parameters such as ``optimizer__betas``, by the name of the parameter
    they belong to. The other fields have the names of the estimator's parameters, with short names
    replaced by classes and objects, and numbers by floats. Networks trained side by side share one
    options object whose `eta` or `fairness_target` is a tensor with one value per network.
    """

    given: dict
    nested: dict
    eta: float | torch.Tensor
    fairness_target: float | torch.Tensor | None
    target_samples: str
    constraint: FairnessLoss | Callable
    method: str
    n_unroll_steps: int
    equalize: str
    rate_window: int
    combine: str
    threshold: float | str
    module: type | None
    fairness_modules: tuple
    hidden_layer_sizes: list
    fairness_layer_sizes: list | None
    fairness_position: int
    activation: type
    optimizer: type
    lr: float
    weight_decay: float
    fairness_optimizer: type
    fairness_lr: float
    fairness_max_step: float
    batch_size: int | str

    @classmethod
    def from_estimator(cls, estimator):
        """Resolve the parameters of an estimator; raise if they contradict each other."""
        params = estimator.get_params(deep=False)
        options = cls.from_params(params)
        if options.fairness_target is not None and params["early_stopping"]:
            raise ValueError(
                "early_stopping must be False with a fairness_target, got True: the objectives of "
                "two epochs cannot be compared while the weight of the fairness loss changes."
            )
        return options

    @classmethod
    def from_params(cls, params):
        """Resolve a dict of parameters, which has at least those of `given`."""
        nested = {name: nested_params(params, name) for name in WITH_PARAMETERS}
        names = [
            *FIXED,
            *CHANGEABLE,
            *(f"{name}__{key}" for name in WITH_PARAMETERS for key in nested[name]),
        ]
        given = {name: _own_copy(params[name]) for name in names}
        constraint = resolve_constraint(given["constraint"])
        target = given["fairness_target"]
        if target is None and given["eta"] is None:
            target = bound_of_moment(given["constraint"])
            if target is not None and target <= 0:
                raise ValueError(
                    f"constraint must have a difference_bound above 0, got {target}: it is used as "
                    "the fairness_target. Set a small bound such as 0.01, or eta."
                )
        _check_eta(given["eta"], target, constraint)
        _check_target_samples(given["target_samples"], target, constraint)
        optimizers = {
            name: resolve_class(name, given[name], OPTIMIZERS, torch.optim.Optimizer)
            for name in ("optimizer", "fairness_optimizer")
        }
        _check_unrolled(given, optimizers["fairness_optimizer"], nested["fairness_optimizer"])
        return cls(
            given=given,
            nested=nested,
            eta=1.0 if given["eta"] is None else resolve_float("eta", given["eta"]),
            fairness_target=None if target is None else resolve_float("fairness_target", target),
            constraint=constraint,
            **_module_options(given, nested["module"]),
            **optimizers,
            **{
                name: resolve_float(name, given[name])
                for name in ("lr", "fairness_lr", "fairness_max_step")
            },
            weight_decay=(
                WEIGHT_DECAY
                if given["weight_decay"] == "auto"
                else resolve_float("weight_decay", given["weight_decay"])
            ),
            **{
                name: given[name]
                for name in (
                    "target_samples",
                    "method",
                    "n_unroll_steps",
                    "equalize",
                    "rate_window",
                    "combine",
                    "threshold",
                    "batch_size",
                )
            },
        )

    def __deepcopy__(self, memo):
        """Return options that hold the copies of parameters which the estimator's copy holds."""

        def copied(params):
            return {name: memo.get(id(value), value) for name, value in params.items()}

        nested = {name: copied(params) for name, params in self.nested.items()}
        return replace(self, given=copied(self.given), nested=nested)

    @property
    def wants_fairness(self):
        """Whether the options ask for a fairness loss."""
        return self.fairness_target is not None or self.eta > 0

    @property
    def has_rates(self):
        """Whether the constraint is a gap between rates, and not a function of a batch."""
        return isinstance(self.constraint, FairnessLoss)

    @property
    def bound(self):
        """Bound on the difference that the target sets; None without a target."""
        if self.fairness_target is None or not self.has_rates:
            return self.fairness_target
        return self.constraint.largest_value(self.fairness_target)

    @property
    def draws_random_numbers(self):
        """Whether the module may draw random numbers while it trains."""
        return self.module is not None or isinstance(self.given["activation"], type)

    def dtype(self, n_samples, device):
        """Return the floating-point type of a fit: float64 if one batch holds all samples.

        It costs almost nothing there, and makes a weight of 2 exactly equal to a repeated sample.
        """
        is_plain = not self.draws_random_numbers and device.type != "mps"
        one_batch = n_samples <= samples_per_batch(self.batch_size, n_samples)
        return torch.float64 if is_plain and one_batch else torch.float32

    def check_unchanged(self, fitted):
        """Raise if an option that a fitted network cannot change differs from its options."""
        for name in self.given | fitted.given:
            if name in CHANGEABLE:
                continue
            now, before = self.given.get(name), fitted.given.get(name)
            if not is_same(now, before):
                raise ValueError(
                    f"{name} must stay the same between calls of partial_fit, got {now!r} after "
                    f"{before!r}. Call fit to start a new network."
                )


def nested_params(params, name):
    """Return the parameters that were passed as ``<name>__<key>``, by key."""
    prefix = f"{name}__"
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}


def _own_copy(value):
    return (
        copy.deepcopy(value) if isinstance(value, (list, dict, np.ndarray, FairnessLoss)) else value
    )


def _check_eta(eta, target, constraint):
    if target is None:
        return
    if eta is not None:
        raise ValueError(
            f"eta must be None with a fairness_target, got eta={eta} and fairness_target={target}. "
            "Remove eta, or remove fairness_target to train with a fixed weight."
        )
    if isinstance(constraint, FairnessLoss) and target >= 1:
        reason = "every model meets it, as a difference between rates is at most 1"
        if constraint.target_is_lower_bound:
            reason = "a ratio or a rate of exactly 1 cannot be reached by training"
        raise ValueError(f"fairness_target must be below 1, got {target}: {reason}.")


def _check_target_samples(target_samples, target, constraint):
    if target_samples == "training":
        return
    if target is None:
        raise ValueError(
            f'target_samples must be "training" without a fairness_target, got {target_samples!r}. '
            "Set fairness_target, or leave target_samples at its default."
        )
    if not isinstance(constraint, FairnessLoss):
        raise ValueError(
            'target_samples must be "training" with a function as constraint, got '
            f"{target_samples!r}: a function has no rates to compare. Use a FairnessLoss."
        )


def _check_unrolled(given, optimizer, nested):
    if given["method"] == "unrolled" and (optimizer is not torch.optim.SGD or nested):
        raise ValueError(
            'fairness_optimizer must be "sgd" without parameters with method="unrolled", which '
            "differentiates through steps of plain gradient descent; got "
            f"{given['fairness_optimizer']!r} with {nested}."
        )


def _module_options(given, nested):
    """Resolve the options of the module: the layers of the default module, or a custom class."""
    names = given["fairness_modules"]
    if given["module"] is not None:
        _check_no_layers(given)
        return {
            **{name: given[name] for name in LAYERS},
            "module": resolve_class("module", given["module"], {}, torch.nn.Module),
            "fairness_modules": resolve_names("fairness_modules", names),
        }
    if names is not None:
        raise ValueError(
            f"fairness_modules must be None without a module, got {names!r}: it names submodules "
            "of a custom module."
        )
    if nested:
        raise ValueError(
            f"module__{next(iter(nested))} must not be set without a module, whose parameter it is."
        )
    hidden = resolve_layer_sizes(
        "hidden_layer_sizes", given["hidden_layer_sizes"], allow_empty=True
    )
    fairness = given["fairness_layer_sizes"]
    if fairness is not None:
        fairness = resolve_layer_sizes("fairness_layer_sizes", fairness, allow_empty=False)
    return {
        "module": None,
        "fairness_modules": (),
        "hidden_layer_sizes": hidden,
        "fairness_layer_sizes": fairness,
        "fairness_position": resolve_position(given["fairness_position"], len(hidden)),
        "activation": resolve_activation(given["activation"], ACTIVATIONS),
    }


def _check_no_layers(given):
    for name, default in LAYERS.items():
        if not is_same(given[name], default):
            raise ValueError(
                f"{name} must be left at its default with a custom module, got "
                f"{given[name]!r}. Parameters of the module are passed as module__<name>."
            )

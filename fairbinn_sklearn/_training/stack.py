"""Nets that differ in eta or in the target alone, trained side by side in one pass.

A step of one small net is mostly overhead. Side by side, K nets share the rows of a batch, and
their parameters, losses, rates and optimizer states have an axis of models in front: (K, ...).
"""

import copy
import warnings

import torch
from torch import nn
from torch.func import functional_call, vmap

from .function_criterion import FunctionCriterion
from .module import players
from .options import OPTIMIZERS


class Stack(nn.Module):
    """K nets of one architecture, from one beginning; logits of shape (K, N, C).

    A net that draws random numbers draws the same for all, as K nets of one seed do.
    """

    def __init__(self, module, n_models, fairness_modules):
        super().__init__()
        self._one = [copy.deepcopy(module)]  # in a list, as no submodule: not its weights train
        leader, follower = players(module, fairness_modules)
        self.names = [name for name, _ in module.named_parameters()]
        self.owners = [list(leader), list(follower)]
        self.weights = nn.ParameterList(
            nn.Parameter(side_by_side(one, n_models), requires_grad=one.requires_grad)
            for one in module.parameters()
        )

    def forward(self, X):
        """Logits of each net for the same rows."""
        (module,) = self._one
        named = dict(zip(self.names, self.weights, strict=True))

        def logits(weights):
            return functional_call(module, weights, (X,))

        return vmap(logits, randomness="same")(named)

    def train(self, mode=True):
        """Set the mode of the nets, too."""
        self._one[0].train(mode)
        return super().train(mode)

    def accuracy_parameters(self):
        """The leaders' parameters."""
        return self._of(self.owners[0])

    def fairness_parameters(self):
        """The followers' parameters."""
        return self._of(self.owners[1])

    def _of(self, names):
        return [self.weights[self.names.index(name)] for name in names]


def side_by_side(tensor, n_models, axis=0):
    """Copies of a tensor along a new axis of models."""
    return torch.stack([tensor.detach()] * n_models, axis)


def why_not_stacked(estimator, net):
    """Why nets like this one cannot train side by side; None if they can."""
    if estimator.early_stopping:
        return "early_stopping=True ends the training of each net at an epoch of its own"
    if getattr(estimator, "_skl_callbacks", None):
        return "callbacks are told of the epochs of one net"
    if isinstance(net.criterion_, FunctionCriterion):
        return "a function as constraint takes the scores of one net"
    for name in ("optimizer", "fairness_optimizer"):
        if (found := getattr(net, name).func) not in OPTIMIZERS.values():
            return (
                f"{name}={found.__name__} is not known to treat each weight for itself, as "
                f"{sorted(OPTIMIZERS)} do"
            )
    if estimator.lr_schedule is torch.optim.lr_scheduler.ReduceLROnPlateau:
        return "lr_schedule=ReduceLROnPlateau sets the learning rate by the loss of one net"
    if any(True for _ in net.module_.buffers()):
        return "the module has buffers, such as those of batch normalisation"
    try:
        with warnings.catch_warnings(), torch.random.fork_rng([]), torch.no_grad():
            warnings.simplefilter("error")  # torch warns where it runs one net after another
            like = next(net.module_.parameters())
            Stack(net.module_, 2, net.fairness_modules)(like.new_zeros(2, *net.input_shape))
    except Exception as error:
        return f"torch.vmap cannot run the module: {error}"
    return None


def stacked(net, values, dtype):
    """Net of many models that start where this one stands.

    `values` are the etas, or under a target the targets, one for each model.
    """
    many = copy.deepcopy(net)
    values = torch.tensor(values, dtype=dtype, device=net.device)
    setattr(many, "eta" if net.target is None else "target", values)
    many.model_axes = 1
    many.module_ = Stack(net.module_, len(values), net.fairness_modules)
    many.fairness_modules = ()
    many.criterion_.sums = side_by_side(net.criterion_.sums, len(values), axis=1)
    many.criterion_.multipliers = side_by_side(net.criterion_.multipliers, len(values), axis=1)
    many.initialize_optimizer()
    return many


# What training leaves on a net besides weights, rates, optimizers, history and eta.
_LEFT_BY_TRAINING = ("rule", "follows", "epochs", "stop", "n_rows", "interrupted")


def unstacked(many, net, k):
    """Net k of many as if it had trained alone, but for its eta or target; all began as `net`."""
    one = copy.deepcopy(net)
    weights = one.module_.parameters(), many.module_.weights
    with torch.no_grad():
        for its, theirs in zip(*weights, strict=True):
            its.copy_(theirs[k])
    one.criterion_.counts = many.criterion_.counts.clone()
    one.criterion_.sums = many.criterion_.sums[:, k].clone()
    one.criterion_.multipliers = many.criterion_.multipliers[:, k].clone()
    one.criterion_.decided = many.criterion_.decided
    for name in ("optimizer_", "fairness_optimizer_"):
        getattr(one, name).load_state_dict(_optimizer_of(getattr(many, name).state_dict(), k))
    one.history = type(many.history)(
        {
            key: value[k] if isinstance(value, list) and key != "batches" else value
            for key, value in record.items()
        }
        for record in many.history
    )
    one.rng = copy.deepcopy(many.rng)
    vars(one).update({name: getattr(many, name) for name in _LEFT_BY_TRAINING})
    return one


def _optimizer_of(state_dict, k):
    """State of one model: a slice of what has an axis of models, a copy of what has none."""

    def of_one(value):
        has_models = isinstance(value, torch.Tensor) and value.ndim  # a count of steps has none
        return value[k].clone() if has_models else copy.deepcopy(value)

    return {
        "state": {
            index: {name: of_one(value) for name, value in slots.items()}
            for index, slots in state_dict["state"].items()
        },
        "param_groups": state_dict["param_groups"],
    }

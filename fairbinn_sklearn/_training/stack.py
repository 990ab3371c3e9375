"""Networks that differ only in eta or in the target, trained side by side in one pass.

A step of one small network is mostly overhead. Side by side, K networks share the samples of a
batch; their parameters, losses, rates and optimizer states have a leading axis of networks.
"""

import copy
import dataclasses
import warnings

import torch
from torch import nn
from torch.func import functional_call, vmap

from .function_criterion import FunctionCriterion
from .module import players
from .rate_criterion import COUNT_BUFFERS
from .resolve import OPTIMIZERS


class Stack(nn.Module):
    """K networks of one architecture and one initial state; logits have the shape (K, N, C).

    A module that draws random numbers draws the same for all, as K networks of one seed do.
    """

    def __init__(self, module, n_networks, fairness_modules):
        super().__init__()
        self._module = [copy.deepcopy(module)]  # in a list, so that it is not a submodule
        leader, follower = players(module, fairness_modules)
        self.names = [name for name, _ in module.named_parameters()]
        self.owners = [list(leader), list(follower)]
        self.weights = nn.ParameterList(
            nn.Parameter(side_by_side(param, n_networks), requires_grad=param.requires_grad)
            for param in module.parameters()
        )

    def forward(self, X):
        """Return the logits of each network for the same samples."""
        (module,) = self._module
        named = dict(zip(self.names, self.weights, strict=True))

        def logits(weights):
            return functional_call(module, weights, (X,))

        return vmap(logits, randomness="same")(named)

    def train(self, mode=True):
        """Set the mode of the networks, too."""
        self._module[0].train(mode)
        return super().train(mode)

    def accuracy_parameters(self):
        """Return the leaders' parameters."""
        return self._of(self.owners[0])

    def fairness_parameters(self):
        """Return the followers' parameters."""
        return self._of(self.owners[1])

    def _of(self, names):
        return [self.weights[self.names.index(name)] for name in names]


def side_by_side(tensor, n_networks, axis=0):
    """Return copies of a tensor along a new axis of networks."""
    return torch.stack([tensor.detach()] * n_networks, axis)


def why_not_stacked(net, schedule):
    """Return the reason why networks like this one cannot train side by side, None if they can."""
    if isinstance(net.criterion_, FunctionCriterion):
        return "a function as constraint takes the scores of a single network"
    for name in ("optimizer", "fairness_optimizer"):
        if (cls := getattr(net.options, name)) not in OPTIMIZERS.values():
            return (
                f"{name}={cls.__name__} may not treat each weight separately, as "
                f"{sorted(OPTIMIZERS)} do"
            )
    if isinstance(schedule(net.optimizer_, 1), torch.optim.lr_scheduler.ReduceLROnPlateau):
        return "lr_schedule=ReduceLROnPlateau follows the loss of a single network"
    if any(True for _ in net.module_.buffers()):
        return "the module has buffers, such as those of batch normalization"
    try:
        with warnings.catch_warnings(), torch.random.fork_rng([]), torch.no_grad():
            warnings.simplefilter("error")  # torch warns where vmap runs networks one by one
            param = next(net.module_.parameters())
            Stack(net.module_, 2, net.fairness_modules)(param.new_zeros(2, *net.input_shape))
    except Exception as error:
        return f"torch.vmap cannot run the module: {error}"
    return None


def stacked(net, values, dtype):
    """Return a network of many networks that start from the state of `net`.

    `values` are the etas, or under a target the targets, one for each network.
    """
    many = copy.deepcopy(net)
    varied = "eta" if net.options.fairness_target is None else "fairness_target"
    values = torch.tensor(values, dtype=dtype, device=net.device)
    many.options = dataclasses.replace(net.options, **{varied: values})
    many.model_axes = 1
    many.module_ = Stack(net.module_, len(values), net.fairness_modules)
    many.fairness_modules = ()
    for name in _sums_of_networks(net):
        side = side_by_side(getattr(net.criterion_, name), len(values), axis=1)
        setattr(many.criterion_, name, side)
    many.criterion_.logit_threshold = side_by_side(net.criterion_.logit_threshold, len(values))
    many.initialize_optimizer()
    return many


def unstacked(many, net, options, k):
    """Return network k of many as if it had been trained alone; all started from `net`."""
    single = copy.deepcopy(net)
    single.options = options
    with torch.no_grad():
        params = zip(single.module_.parameters(), many.module_.weights, strict=True)
        for param, weights in params:
            param.copy_(weights[k])
    for name in COUNT_BUFFERS:
        setattr(single.criterion_, name, getattr(many.criterion_, name).clone())
    for name in _sums_of_networks(net):
        setattr(single.criterion_, name, getattr(many.criterion_, name)[:, k].clone())
    single.criterion_.logit_threshold = many.criterion_.logit_threshold[k].clone()
    single.criterion_.decision_weight = many.criterion_.decision_weight
    for name in ("optimizer_", "fairness_optimizer_"):
        state = _optimizer_state_of(getattr(many, name).state_dict(), k)
        getattr(single, name).load_state_dict(state)
    single.history = type(many.history)(
        {
            key: value[k] if isinstance(value, list) and key != "batches" else value
            for key, value in record.items()
        }
        for record in many.history
    )
    single.rng = copy.deepcopy(many.rng)
    single.last_run = many.last_run
    return single


def _sums_of_networks(net):
    """Return the names of the criterion's buffers that have an axis of networks."""
    return [name for name in net.criterion_.state_names() if name not in COUNT_BUFFERS]


def _optimizer_state_of(state_dict, k):
    """Return the state of network k: a slice of each tensor with an axis of networks."""

    def of_network(value):
        has_axis = isinstance(value, torch.Tensor) and value.ndim  # a count of steps has none
        return value[k].clone() if has_axis else copy.deepcopy(value)

    return {
        "state": {
            index: {name: of_network(value) for name, value in slots.items()}
            for index, slots in state_dict["state"].items()
        },
        "param_groups": state_dict["param_groups"],
    }

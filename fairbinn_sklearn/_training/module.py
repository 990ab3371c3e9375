"""The default net: base layers, fairness layers, head."""

import math

import torch
from torch import nn


class FairBiNNModule(nn.Module):
    """Fully connected net whose fairness layers belong to the follower.

    The first `fairness_position` hidden layers are the base, the others belong to the head; both
    are the leader's. Weights are drawn from a generator of their own,
    as :class:`torch.nn.Linear` draws them, so that no global state is read or changed.
    """

    def __init__(
        self,
        n_features,
        n_outputs,
        *,
        hidden_layer_sizes,
        fairness_layer_sizes,
        fairness_position,
        activation,
        seed,
    ):
        super().__init__()
        before = hidden_layer_sizes[:fairness_position]
        behind = hidden_layer_sizes[fairness_position:]
        width = before[-1] if before else n_features
        fairness = [width] if fairness_layer_sizes is None else fairness_layer_sizes
        generator = torch.Generator().manual_seed(seed)

        def stack(n_inputs, sizes):
            layers = []
            for n_in, n_out in zip([n_inputs, *sizes], sizes, strict=False):
                layers += [_linear(n_in, n_out, generator), activation()]
            return nn.Sequential(*layers)

        self.base = stack(n_features, before)
        self.fairness = stack(width, fairness)
        self.head = stack(fairness[-1], behind)
        self.head.append(_linear([*fairness, *behind][-1], n_outputs, generator))

    def forward(self, X):
        """Logits of shape (N, n_outputs)."""
        return self.head(self.fairness(self.base(X)))

    def accuracy_parameters(self):
        """The leader's parameters, theta_a."""
        return [*self.base.parameters(), *self.head.parameters()]

    def fairness_parameters(self):
        """The follower's parameters, theta_s."""
        return list(self.fairness.parameters())


def _linear(n_in, n_out, generator):
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, device="cpu", dtype=torch.float32)
    bound = 1 / math.sqrt(n_in)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def players(module, fairness_modules=()):
    """Parameters that train, by name: the leader's, and the follower's.

    The follower owns the submodules of these names; without names, the module itself says who owns
    what.
    """
    named = {name: one for name, one in module.named_parameters() if one.requires_grad}
    if fairness_modules:
        owned = {id(p) for one in fairness_modules for p in module.get_submodule(one).parameters()}
        follower = {name: p for name, p in named.items() if id(p) in owned}
        leader = {name: p for name, p in named.items() if id(p) not in owned}
    else:
        names = {id(parameter): name for name, parameter in named.items()}
        leader, follower = (
            {names[id(p)]: p for p in parameters if id(p) in names}
            for parameters in (module.accuracy_parameters(), module.fairness_parameters())
        )
    return leader, follower

"""The default module: base layers, fairness layers, head."""

import itertools
import math

import torch
from torch import nn
from torch.nn.functional import linear

MANY_FEATURES = 100  # with more features, the initial scale is below 1
# Upper bound on the number of features that count, per mean squared norm of the samples.
FEATURES_PER_SQUARED_NORM = 30.0


class ScaledLinear(nn.Linear):
    r"""First layer, with a learned scale for each feature: :math:`Z = X (W \odot s)^T + b`.

    Weight decay on both factors penalises :math:`\sum_j \lVert W_{:j} s_j \rVert`, a group lasso
    over the features [1]_, which shrinks all weights of an uninformative feature together. This
    matters most for wide encodings with few samples per feature.

    The initial scale is 1, and with more than 100 features it is 100 divided by their number. A
    step of Adam changes each weight by about the learning rate. With a constant scale, the output
    would therefore change faster with more features [2]_. If samples are mostly zeros, as counts of
    words are, few features change the output, and a small scale would stop the training. The number
    of features is then replaced by 30 times the mean squared norm of the samples.

    References
    ----------
    .. [1] Ziyin, L., and Wang, Z. (2023). spred: Solving L1 Penalty with SGD. ICML.
           https://arxiv.org/abs/2210.01212.
    .. [2] Yang, G., et al. (2021). Tuning Large Neural Networks via Zero-Shot Hyperparameter
           Transfer. NeurIPS. https://arxiv.org/abs/2203.03466. For hidden layers, they
           divide Adam's learning rate by the number of inputs.
    """

    def __init__(self, n_in, n_out, device=None, dtype=None):
        super().__init__(n_in, n_out, device=device, dtype=dtype)
        self.scale = nn.Parameter(torch.empty(n_in, device=device, dtype=dtype))

    @property
    def scaled_weight(self):
        """Return W times s, of shape (n_out, n_in)."""
        return self.weight * self.scale

    def forward(self, X):
        """Return the outputs, of shape (N, n_out)."""
        return linear(X, self.scaled_weight, self.bias)


class FairBiNNModule(nn.Module):
    """Fully connected module whose fairness layers are updated by the follower.

    The hidden layers before `fairness_position` are the base, the others are in the head; the
    leader updates both. The first layer of the network is a `ScaledLinear`. Initial weights have
    the distribution of :class:`torch.nn.Linear`, but come from a separate generator, so that no
    global state is read or changed.
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
        base = hidden_layer_sizes[:fairness_position]
        head = hidden_layer_sizes[fairness_position:]
        width = base[-1] if base else n_features
        fairness = [width] if fairness_layer_sizes is None else fairness_layer_sizes
        generator = torch.Generator().manual_seed(seed)

        layer_types = itertools.chain([ScaledLinear], itertools.repeat(nn.Linear))

        def chain(n_inputs, sizes):
            layers = []
            for n_in, n_out in zip([n_inputs, *sizes], sizes, strict=False):
                layers += [_linear(next(layer_types), n_in, n_out, generator), activation()]
            return nn.Sequential(*layers)

        self.base = chain(n_features, base)
        self.fairness = chain(width, fairness)
        self.head = chain(fairness[-1], head)
        self.head.append(_linear(nn.Linear, [*fairness, *head][-1], n_outputs, generator))

    def forward(self, X):
        """Return logits of shape (N, n_outputs)."""
        return self.head(self.fairness(self.base(X)))

    def first_layer(self):
        """Return the layer that takes X."""
        return next(layer for layer in self.modules() if isinstance(layer, ScaledLinear))

    def accuracy_parameters(self):
        """Return the leader's parameters, theta_a."""
        return [*self.base.parameters(), *self.head.parameters()]

    def fairness_parameters(self):
        """Return the follower's parameters, theta_s."""
        return list(self.fairness.parameters())


def initial_scale(n_features, squared_norm=math.inf):
    """Return the initial scale, from the number of features and the mean squared norm."""
    n_effective = math.ceil(min(n_features, FEATURES_PER_SQUARED_NORM * squared_norm))
    return MANY_FEATURES / max(n_effective, MANY_FEATURES)


def _linear(layer_type, n_in, n_out, generator):
    """Return a layer whose weights are drawn by a generator."""
    layer = nn.utils.skip_init(layer_type, n_in, n_out, device="cpu", dtype=torch.float32)
    bound = 1 / math.sqrt(n_in)
    with torch.no_grad():
        if layer_type is ScaledLinear:
            layer.scale.fill_(initial_scale(n_in))
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def players(module, fairness_modules=()):
    """Return the leader's and the follower's trained parameters, by name.

    The follower updates the submodules named by `fairness_modules`. Without names, the methods
    ``accuracy_parameters`` and ``fairness_parameters`` of the module define the players.
    """
    named = {name: param for name, param in module.named_parameters() if param.requires_grad}
    if fairness_modules:
        submodules = [module.get_submodule(name) for name in fairness_modules]
        ids = {id(param) for submodule in submodules for param in submodule.parameters()}
        follower = {name: param for name, param in named.items() if id(param) in ids}
        leader = {name: param for name, param in named.items() if id(param) not in ids}
    else:
        names = {id(param): name for name, param in named.items()}
        leader, follower = (
            {names[id(p)]: p for p in params if id(p) in names}
            for params in (module.accuracy_parameters(), module.fairness_parameters())
        )
    return leader, follower

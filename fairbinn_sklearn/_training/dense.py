r"""Hand-written gradients of both players in the default module.

The default module is a chain of linear layers and elementwise activations :math:`\sigma`. For the
samples :math:`H_0 = X` of shape (B, n_features),

.. math::

    Z_k = H_{k-1} W_k^T + b_k, \qquad H_k = \sigma(Z_k), \qquad k = 1, \dots, K,

except that the last layer has no activation: :math:`H_K = Z_K` are the logits. The first layer has
a scale :math:`s` of each feature, so its weights are :math:`W_1 \odot s`. A loss with the gradient
:math:`D_K` in the logits has the gradients

.. math::

    \frac{\partial}{\partial W_k} = D_k^T H_{k-1}, \qquad
    \frac{\partial}{\partial b_k} = \sum_b D_{kb}, \qquad
    D_{k-1} = D_k W_k \odot \sigma'(Z_{k-1}) ,

and with :math:`G = D_1^T X`, those of the first layer are :math:`G \odot s` in :math:`W_1` and
:math:`\sum_i (G \odot W_1)_{ij}` in :math:`s_j`.

Each player has a separate loss, and therefore a separate :math:`D_k`. Each layer belongs to one
player, and the :math:`D_k` of this player gives the gradients of the layer. The :math:`D_k` of a
player is computed down to the lowest layer that the player owns. If the fairness layers are the
last before the output, both players together need as many large matrix products as one player.

The arrays of a step are written to buffers that are reused until the training ends. Automatic
differentiation would allocate new arrays in each step.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import elu_, hardtanh_, leaky_relu_

from .flat import views
from .module import players

LEADER, FOLLOWER = 0, 1
aten = torch.ops.aten


class Activation(NamedTuple):
    """An elementwise function, and the operation that multiplies by its derivative.

    ``apply(Z, H)`` writes sigma(Z) to H. ``multiply(D, S)`` multiplies D by the derivative, in
    place. If `in_place` is true, H and Z are the same array, and S is the output H of the
    function. Otherwise S is its input Z.
    """

    apply: Callable
    multiply: Callable
    in_place: bool = True


# The derivatives are the operations that autograd uses, so the results agree to the last digit.
ACTIVATIONS = {
    nn.Identity: Activation(lambda Z, H: None, lambda D, H: None),
    nn.ReLU: Activation(
        lambda Z, H: torch.relu_(Z),
        lambda D, H: aten.threshold_backward.grad_input(D, H, 0.0, grad_input=D),
    ),
    nn.Tanh: Activation(
        lambda Z, H: torch.tanh_(Z),
        lambda D, H: aten.tanh_backward.grad_input(D, H, grad_input=D),
    ),
    nn.Sigmoid: Activation(
        lambda Z, H: torch.sigmoid_(Z),
        lambda D, H: aten.sigmoid_backward.grad_input(D, H, grad_input=D),
    ),
    nn.LeakyReLU: Activation(
        lambda Z, H: leaky_relu_(Z, 0.01),
        lambda D, H: aten.leaky_relu_backward.grad_input(D, H, 0.01, True, grad_input=D),
    ),
    nn.ReLU6: Activation(
        lambda Z, H: hardtanh_(Z, 0.0, 6.0),
        lambda D, H: aten.hardtanh_backward.grad_input(D, H, 0.0, 6.0, grad_input=D),
    ),
    nn.ELU: Activation(
        lambda Z, H: elu_(Z),
        lambda D, H: aten.elu_backward.grad_input(D, 1.0, 1.0, 1.0, True, H, grad_input=D),
    ),
    nn.GELU: Activation(
        lambda Z, H: aten.gelu.out(Z, out=H),
        lambda D, Z: aten.gelu_backward.grad_input(D, Z, grad_input=D),
        in_place=False,
    ),
    nn.SiLU: Activation(
        lambda Z, H: aten.silu.out(Z, out=H),
        lambda D, Z: aten.silu_backward.grad_input(D, Z, grad_input=D),
        in_place=False,
    ),
    nn.Softplus: Activation(
        lambda Z, H: aten.softplus.out(Z, out=H),
        lambda D, Z: aten.softplus_backward.grad_input(D, Z, 1.0, 20.0, grad_input=D),
        in_place=False,
    ),
}


class Layer(NamedTuple):
    """A linear layer: its parameters, their gradients, and the player that owns them.

    `flat` stores W transposed, so `transposed` and its gradient are contiguous.
    """

    weight: torch.Tensor  # W, (n_out, n_in)
    transposed: torch.Tensor
    bias: torch.Tensor  # b, (n_out,)
    transposed_grad: torch.Tensor
    bias_grad: torch.Tensor
    owner: int


class Scale(NamedTuple):
    """Scale of the features in the first layer: the parameter and its gradient, and W times s.

    The product is of shape (n_in, n_out), as the transposed weights.
    """

    scale: torch.Tensor
    grad: torch.Tensor
    product: torch.Tensor


class Buffers(NamedTuple):
    """Arrays of a batch: Z and H of each layer, and D of each layer for each player."""

    Z: list
    H: list
    leader: list
    follower: list


class DenseBackprop:
    """Forward pass and gradients of the default module; see the top of this file.

    It has the methods of `AutogradBackprop`, for one flat parameter of each player. The arrays that
    they return are valid until the next call.

    Parameters
    ----------
    module : FairBiNNModule
        Module in training, whose activation is a key of `ACTIVATIONS`.

    activation : torch.nn.Module class
        Activation of the module.

    flat_params : tuple of two lists of one torch.nn.Parameter
        Flat parameters of the leader and of the follower. The parameters of the module are views of
        them.
    """

    def __init__(self, module, activation, flat_params):
        self.activation = ACTIVATIONS[activation]
        self.flat_grads = [torch.zeros_like(flat.detach()) for (flat,) in flat_params]
        grads = {}
        for flat_grad, params in zip(self.flat_grads, players(module), strict=True):
            grads |= dict(zip(params, views(flat_grad, params.values()), strict=True))
        self.layers = [
            Layer(
                layer.weight.detach(),
                layer.weight.detach().T,
                layer.bias.detach(),
                grads[f"{name}.weight"].T,
                grads[f"{name}.bias"],
                FOLLOWER if name.startswith("fairness.") else LEADER,
            )
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear)
        ]
        first = module.first_layer()
        (name,) = (name for name, layer in module.named_modules() if layer is first)
        self.scale = Scale(
            first.scale.detach(),
            grads[f"{name}.scale"],
            torch.empty_like(self.layers[0].transposed),
        )
        self.largest = self._allocated(0)
        self.views = {}  # of the largest buffers, by batch size

    @torch.no_grad()
    def forward(self, X):
        """Return the logits, and keep the arrays of all layers for `backward`."""
        Z, H, *_ = self._buffers_of(X.shape[0])
        self.inputs = [X, *H]
        first = torch.mul(
            self.layers[0].transposed, self.scale.scale[:, None], out=self.scale.product
        )
        weights = [first, *(layer.transposed for layer in self.layers[1:])]
        for layer, weight, H_in, Z_out, H_out in zip(
            self.layers, weights, self.inputs, Z, [*H, None], strict=True
        ):
            torch.addmm(layer.bias, H_in, weight, out=Z_out)
            if H_out is not None:
                self.activation.apply(Z_out, H_out)
        return Z[-1]

    @torch.no_grad()
    def backward(self, leader_grad=None, follower_grad=None):
        """Return the gradients in the parameters of both players, as `AutogradBackprop` does."""
        is_one_loss = leader_grad is follower_grad
        owners = [LEADER if is_one_loss else layer.owner for layer in self.layers]
        grads = [leader_grad, None if is_one_loss else follower_grad]
        Z, H, *D = self._buffers_of(self.inputs[0].shape[0])
        S = H if self.activation.in_place else Z
        for k in reversed(range(len(self.layers))):
            layer, grad = self.layers[k], grads[owners[k]]
            if grad is not None:
                torch.mm(self.inputs[k].T, grad, out=layer.transposed_grad)
                torch.sum(grad, 0, out=layer.bias_grad)
                if k == 0:
                    self._scale_first_gradient()
            for player in (LEADER, FOLLOWER):
                if grads[player] is not None and player in owners[:k]:
                    grads[player] = torch.mm(grads[player], layer.weight, out=D[player][k - 1])
                    self.activation.multiply(grads[player], S[k - 1])
        logit_grads = leader_grad, follower_grad
        return tuple(
            [] if logit_grad is None else [flat_grad]
            for logit_grad, flat_grad in zip(logit_grads, self.flat_grads, strict=True)
        )

    def _scale_first_gradient(self):
        """Convert the gradient in W times s of the first layer to the gradients in W and in s."""
        (first, *_), scale = self.layers, self.scale
        torch.mul(first.transposed_grad, first.transposed, out=scale.product)
        torch.sum(scale.product, 1, out=scale.grad)
        first.transposed_grad.mul_(scale.scale[:, None])

    def _buffers_of(self, n_samples):
        """Return the buffers for a batch size."""
        if n_samples not in self.views:
            if n_samples > len(self.largest.Z[0]):
                self.largest, self.views = self._allocated(n_samples), {}
            self.views[n_samples] = Buffers(*([a[:n_samples] for a in b] for b in self.largest))
        return self.views[n_samples]

    def _allocated(self, n_samples):
        """Return new buffers for batches of at most `n_samples` samples."""

        def arrays(layers):
            return [layer.weight.new_empty(n_samples, len(layer.bias)) for layer in layers]

        hidden = self.layers[:-1]
        Z = arrays(self.layers)
        H = Z[:-1] if self.activation.in_place else arrays(hidden)
        return Buffers(Z, H, arrays(hidden), arrays(hidden))

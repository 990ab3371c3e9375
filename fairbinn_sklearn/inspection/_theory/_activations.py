r"""Lipschitz constants of activations in the l2 norm, and which activations are bounded.

An elementwise activation has the constant :math:`\sup_x |f'(x)|`. Softmax has the Jacobian
:math:`\mathrm{diag}(p) - p p^\top`. Its norm is at most 1/2, which two classes of probability 1/2
reach. Constants without a closed form are rounded up in the sixth decimal.
"""

import math

import torch
from torch import nn

# x Phi(x) has the slope Phi(x) + x phi(x), largest at the square root of 2.
_GELU = {"none": (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi), "tanh": 1.128994}
_SELU = 1.0507009873554805 * 1.6732632423543772  # scale * alpha, the slope just below 0


def _softplus(module):
    # Above its threshold torch returns x itself, so the function jumps there. At the default
    # threshold the jump is below the precision of float32.
    jump = math.log1p(math.exp(-module.threshold))
    return 1.0 if jump <= module.threshold * torch.finfo(torch.float32).eps else math.inf


# Constants by type: a number or a function of the module; infinite if none exists.
CONSTANTS = {
    nn.CELU: lambda module: 1.0 if module.alpha > 0 else math.inf,
    nn.ELU: lambda module: max(1.0, abs(module.alpha)),
    nn.GELU: lambda module: _GELU[module.approximate],
    nn.GLU: math.inf,  # a product of its inputs
    nn.Hardshrink: lambda module: math.inf if module.lambd > 0 else 1.0,
    nn.Hardsigmoid: 1 / 6,  # Keras defines it differently, with 0.2
    nn.Hardswish: 1.5,
    nn.Hardtanh: 1.0,
    nn.LeakyReLU: lambda module: max(1.0, abs(module.negative_slope)),
    nn.LogSigmoid: 1.0,
    nn.Mish: 1.088499,
    nn.PReLU: lambda module: max(1.0, module.weight.detach().abs().max().item()),
    nn.ReLU: 1.0,
    nn.ReLU6: 1.0,
    nn.RReLU: lambda module: max(1.0, abs(module.lower + module.upper) / 2),  # in evaluation mode
    nn.SELU: _SELU,
    nn.SiLU: 1.099840,
    nn.Sigmoid: 1 / 4,
    nn.Softmax: 1 / 2,
    nn.Softmin: 1 / 2,
    nn.Softplus: _softplus,
    nn.Softshrink: 1.0,
    nn.Softsign: 1.0,
    nn.Tanh: 1.0,
    nn.Tanhshrink: 1.0,
    nn.Threshold: lambda module: 1.0 if module.value == module.threshold else math.inf,
}

# Activations whose outputs lie in a fixed interval.
BOUNDED = {
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.ReLU6,
    nn.Sigmoid,
    nn.Softmax,
    nn.Softmin,
    nn.Softsign,
    nn.Tanh,
}

# Activations with f(c x) = c f(x) for c > 0.
HOMOGENEOUS = {nn.LeakyReLU, nn.PReLU, nn.ReLU, nn.RReLU}


def constant(cls, module):
    """Return the Lipschitz constant of a module of a known type."""
    value = CONSTANTS[cls]
    return value(module) if callable(value) else value

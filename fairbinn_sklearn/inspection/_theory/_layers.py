"""Layers of a network in the order of the forward pass, with bounds of their constants."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from ..._training.module import FairBiNNModule, ScaledLinear
from . import _activations

# Modules whose forward pass runs their children one after the other.
COMPOSITIONS = (nn.Sequential, FairBiNNModule)

# Modules that return their input unchanged in evaluation mode, up to its shape.
PASSES = {
    nn.AlphaDropout,
    nn.Dropout,
    nn.Dropout1d,
    nn.FeatureAlphaDropout,
    nn.Flatten,
    nn.Identity,
    nn.Unflatten,
}

# Kinds whose outputs cannot be judged.
OPAQUE = ("unknown", "own forward")


@dataclass(frozen=True)
class Layer:
    """A layer, or a module of unknown type or with a `forward` that cannot be read.

    `kind` is "linear", "normalisation", "activation" or "pass"; "unknown" for unknown types, and
    "own forward" for modules with children that are not known to run one after the other.
    `lipschitz` is an upper bound of the constant in evaluation mode: NaN if unknown, infinite if
    none exists. `bounded` says whether the outputs are bounded for any weights of the layers
    before it: None if unknown.
    """

    block: str
    name: str
    module: nn.Module
    kind: str
    lipschitz: float
    bounded: bool | None
    how: str

    @property
    def type_name(self):
        """Return the name of the type, as in torch."""
        return type_before_parametrizations(self.module).__name__


def read_layers(network):
    """Return the layers of a network; children of a module with its own forward follow it."""
    layers, bounded = [], True  # X does not depend on weights
    for block, name, module, composed in _walk(network):
        kind, lipschitz, bounds, how = _read(module)
        if composed:
            if kind in OPAQUE:
                bounded = None
            elif kind == "linear":
                bounded = False
            else:
                bounded = bounded or bounds
        bounded_here = bounded if composed else None
        layers.append(Layer(block, name, module, kind, lipschitz, bounded_here, how))
    return layers


def lipschitz_bound(layers):
    """Return a bound for layers that run one after the other; NaN if a constant is unknown."""
    return math.prod((layer.lipschitz for layer in layers), start=1.0)


def _walk(module, block="", name="", composed=True):
    """Yield block, name and module of each layer, and whether all its parents are compositions."""
    if any(type(module).forward is known.forward for known in COMPOSITIONS):
        children = module._modules.items()  # unlike named_children, repeats a repeated module
    else:
        yield block, name or "(network)", module, composed
        children, composed = module.named_children(), False
        if _known_type(module):
            return  # its children are parametrizations of its weights
    for child_name, child in children:
        path = f"{name}.{child_name}" if name else child_name
        yield from _walk(child, block or child_name, path, composed)


def _known_type(module):
    """Return the type of the module if it is known, else None."""
    cls = type_before_parametrizations(module)
    return cls if cls in _activations.CONSTANTS.keys() | LAYERS.keys() | PASSES else None


def _read(module):
    """Return kind, bound of the constant, whether outputs are bounded, and how it was found."""
    if (cls := _known_type(module)) is None:
        if next(module.children(), None) is None:
            return "unknown", math.nan, False, "unknown type"
        return "own forward", math.nan, False, "its forward may use its layers in any way"
    if cls in PASSES:
        return "pass", 1.0, False, "returns its input"
    if cls in LAYERS:
        return LAYERS[cls](module)
    bounds = cls in _activations.BOUNDED
    return "activation", _activations.constant(cls, module), bounds, "largest slope"


def _linear(module):
    weight = module.scaled_weight if isinstance(module, ScaledLinear) else module.weight
    weight = weight.detach().cpu().double()  # MPS has no float64
    largest = torch.linalg.matrix_norm(weight, ord=2).item()
    return "linear", largest, False, "largest singular value of the weights, exact"


def _convolution(module):
    if module.padding_mode != "zeros":
        return "unknown", math.nan, False, f"padding_mode {module.padding_mode!r}"
    weight = module.weight.detach().cpu().double()  # (out, in, *kernel)
    by_group = weight.flatten(2).unflatten(0, (module.groups, -1))  # (groups, out, in, offsets)
    norms = torch.linalg.matrix_norm(by_group.movedim(-1, 0), ord=2)  # (offsets, groups)
    # Each offset of the kernel shifts the input, which keeps its norm, and mixes channels.
    largest = norms.amax(1).sum().item()
    return "linear", largest, False, "sum over the kernel of largest singular values"


def _sample_norm(module):
    # If all values of a sample are equal, LayerNorm divides by the square root of eps alone.
    eps = torch.finfo(torch.float32).eps if module.eps is None else module.eps
    steepest = _largest(module.weight) / math.sqrt(eps) if eps > 0 else math.inf
    return "normalisation", steepest, True, "largest |weight| / sqrt(eps), at a constant sample"


def _batch_norm(module):
    if module.running_var is None:
        return "unknown", math.nan, False, "uses the statistics of each batch"
    scale = (module.running_var.cpu().double() + module.eps).rsqrt()
    if module.weight is not None:
        scale = scale * module.weight.detach().cpu()
    # With running statistics this is a fixed affine map, so its outputs are unbounded.
    return "normalisation", _largest(scale), False, "largest |weight| / sqrt(running_var + eps)"


def _largest(scale):
    return 1.0 if scale is None else scale.detach().abs().max().item()


LAYERS = {
    nn.BatchNorm1d: _batch_norm,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.LayerNorm: _sample_norm,
    nn.Linear: _linear,
    nn.RMSNorm: _sample_norm,
    ScaledLinear: _linear,
}

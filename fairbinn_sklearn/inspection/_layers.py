"""Layers of a net in the order of its forward pass, each with a bound of its Lipschitz constant."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from .._training.module import FairBiNNModule
from . import _activations

# Modules whose forward pass runs their children one after the other, in their order.
COMPOSITIONS = (nn.Sequential, FairBiNNModule)

# What passes its input on, at least outside training.
PASSES = {
    nn.AlphaDropout,
    nn.Dropout,
    nn.Dropout1d,
    nn.FeatureAlphaDropout,
    nn.Flatten,
    nn.Identity,
    nn.Unflatten,
}

# Kinds that say nothing of their outputs.
OPAQUE = ("unknown", "own forward")


@dataclass(frozen=True)
class Layer:
    """A layer, or a module in the way of a bound.

    `kind` is "linear", "normalisation", "activation" or "pass"; "unknown" for types that are not
    known, and "own forward" for modules that use their layers in a way that is not known.
    `lipschitz` is a bound of its constant outside training: NaN if unknown, infinite if there is
    none. `bounded` says whether its outputs are bounded whatever the weights before it: None if
    unknown.
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
        """Name of the type, as in torch."""
        return type_before_parametrizations(self.module).__name__


def read_layers(net):
    """List the layers of a net; those inside a module with its own forward follow that module."""
    layers, bounded = [], True  # X is what it is
    for block, name, module, composed in _walk(net):
        kind, lipschitz, bounds, how = _read(module)
        if composed:
            if kind in OPAQUE:
                bounded = None
            elif kind == "linear":
                bounded = False
            else:
                bounded = bounded or bounds
        known = bounded if composed else None
        layers.append(Layer(block, name, module, kind, lipschitz, known, how))
    return layers


def composes(module):
    """Whether the forward pass runs the children one after the other."""
    return any(type(module).forward is known.forward for known in COMPOSITIONS)


def bound(layers):
    """Bound of the constant of layers that run one after the other: NaN if one is unknown."""
    return math.prod((layer.lipschitz for layer in layers), start=1.0)


def _walk(module, block="", name="", composed=True):
    """Block, name and module of each layer, and whether the net is a composition down to it."""
    if composes(module):
        children = module._modules.items()  # one module may stand at several places
    else:
        yield block, name or "(net)", module, composed
        children, composed = module.named_children(), False
        if _known(module):
            return  # its children are parametrizations of its weights
    for child_name, child in children:
        path = f"{name}.{child_name}" if name else child_name
        yield from _walk(child, block or child_name, path, composed)


def _known(module):
    """Type of the module if it is known, else None."""
    found = type_before_parametrizations(module)
    return found if found in _activations.CONSTANTS.keys() | LAYERS.keys() | PASSES else None


def _read(module):
    """Kind, bound of the constant, whether it bounds its outputs, and where the bound is from."""
    if (known := _known(module)) is None:
        if next(module.children(), None) is None:
            return "unknown", math.nan, False, "type is not known"
        return "own forward", math.nan, False, "its forward may use its layers in any way"
    if known in PASSES:
        return "pass", 1.0, False, "passes its input on"
    if known in LAYERS:
        return LAYERS[known](module)
    bounds = known in _activations.BOUNDED
    return "activation", _activations.constant(known, module), bounds, "largest slope"


def _linear(module):
    weight = module.weight.detach().cpu().double()  # MPS has no float64
    largest = torch.linalg.matrix_norm(weight, ord=2).item()
    return "linear", largest, False, "largest singular value of the weights, exact"


def _convolution(module):
    if module.padding_mode != "zeros":
        return "unknown", math.nan, False, f"padding_mode {module.padding_mode!r}"
    weight = module.weight.detach().cpu().double()  # (out, in, *kernel)
    by_group = weight.flatten(2).unflatten(0, (module.groups, -1))  # (groups, out, in, offsets)
    norms = torch.linalg.matrix_norm(by_group.movedim(-1, 0), ord=2)  # (offsets, groups)
    # Each offset of the kernel shifts the input, which does not raise its norm, and mixes channels.
    largest = norms.amax(1).sum().item()
    return "linear", largest, False, "sum over the kernel of largest singular values"


def _row_norm(module):
    # Where all numbers of a row are equal, LayerNorm divides by the square root of eps alone.
    eps = torch.finfo(torch.float32).eps if module.eps is None else module.eps
    steepest = _largest(module.weight) / math.sqrt(eps) if eps > 0 else math.inf
    return "normalisation", steepest, True, "largest |weight| / sqrt(eps), at a constant row"


def _batch_norm(module):
    if module.running_var is None:
        return "unknown", math.nan, False, "uses the statistics of each batch"
    scale = (module.running_var.cpu().double() + module.eps).rsqrt()
    if module.weight is not None:
        scale = scale * module.weight.detach().cpu()
    # With running statistics it is a fixed affine map, which bounds nothing.
    return "normalisation", _largest(scale), False, "largest |weight| / sqrt(running_var + eps)"


def _largest(scale):
    return 1.0 if scale is None else scale.detach().abs().max().item()


LAYERS = {
    nn.BatchNorm1d: _batch_norm,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.LayerNorm: _row_norm,
    nn.Linear: _linear,
    nn.RMSNorm: _row_norm,
}

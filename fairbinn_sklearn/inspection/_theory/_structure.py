"""Assumptions that the layers of the network decide."""

import math

from ..._training.module import ScaledLinear
from .._report import FAILS, HOLDS, UNKNOWN, Finding, judge
from ._activations import HOMOGENEOUS
from ._layers import OPAQUE, lipschitz_bound

MANY_BLOCKS = 5  # list the bounds of the blocks one by one if there are fewer


def block_bounds(module, layers):
    """Return the Lipschitz bounds of the children of the module, by name."""
    return {
        block: lipschitz_bound([layer for layer in layers if layer.block == block])
        for block in module._modules
    }


def check_activations(layers):
    """Judge the slopes of the activations."""
    return _check_constants(
        layers,
        ["activation"],
        check="activations",
        statement="Activations are Lipschitz",
        how="largest slope of each type, from its formula",
    )


def check_layers(layers):
    """Judge the constants of the layers with weights."""
    return _check_constants(
        layers,
        ["linear", "normalisation"],
        check="layers",
        statement="Layers are Lipschitz",
        how="largest singular value of the weights; for normalisation the largest scale",
    )


def check_network(layers, block_bounds, lower):
    """Judge the Lipschitz constant of the network between its two bounds."""
    upper = lipschitz_bound(layers)
    is_known = not math.isnan(upper)
    product = " x ".join(f"{name} {value:.3g}" for name, value in block_bounds.items())
    product = f", {product}" if is_known and len(block_bounds) < MANY_BLOCKS else ""
    return Finding(
        check="network",
        statement="The network is Lipschitz in its input",
        value=upper,
        result=("no gradient" if math.isnan(lower) else f"at least {lower:.3g}")
        + (f", at most {upper:.3g}" if is_known else ""),
        how=(
            f"at most the product of the bounds of all layers{product}; at least the largest "
            "gradient of the logits on X"
        ),
        **_judge_constants(layers, [upper]),
    )


def check_outputs(layers, largest_outputs):
    """Judge whether the inputs of all linear layers are bounded for any weights before them."""
    unbounded, bounded = [], True
    for layer in layers:
        if layer.kind == "linear" and bounded is False:
            unbounded.append(layer.name)
        bounded = layer.bounded
    is_unknown = any(layer.bounded is None for layer in layers)
    peak = max(largest_outputs, key=largest_outputs.get, default=None)
    return Finding(
        check="bounded_outputs",
        statement="Outputs of layers are bounded",
        verdict=UNKNOWN if is_unknown and not unbounded else judge(not unbounded),
        value=largest_outputs.get(peak, math.nan),
        result=(
            f"largest on X {largest_outputs[peak]:.3g}: {peak}" if largest_outputs else "none seen"
        ),
        how="a bounded activation or LayerNorm between linear layers bounds any input",
        advice=(
            f"The inputs of {_listed(unbounded)} are bounded only by weights. Use tanh, sigmoid or "
            "relu6, or raise weight_decay."
            if unbounded
            else "Check by hand whether the outputs of the modules of unknown type are bounded."
        ),
    )


def check_convexity(layers, history):
    """Judge strict convexity, which some structures rule out."""
    known = {
        "check": "strict_convexity",
        "statement": "The loss of the leader is strictly convex",
    }
    if (pair := _rescalable(layers, history.leader)) is None:
        how = "needs second derivatives in all parameters of the leader"
        return Finding(**known, verdict=UNKNOWN, result="not checked", how=how)
    return Finding(
        **known,
        verdict=FAILS,
        result=f"constant between {pair[0]} and {pair[1]}",
        how=(
            "multiplying the first by c > 0 and dividing the second by c does not change the "
            "network, so the loss is constant along a curve through each optimum"
        ),
        advice=(
            "No action needed: such networks can be rescaled without changing their output. "
            f"Weight decay (now {history.weight_decay:g}) selects one network of each curve."
        ),
    )


def _check_constants(layers, kinds, **known):
    """Judge the constants of the layers of some kinds by the largest one."""
    bounds = {layer: layer.lipschitz for layer in layers if layer.kind in kinds}
    steepest = max(bounds, key=bounds.get, default=None)
    return Finding(
        **known,
        value=bounds.get(steepest, math.nan),
        result=(
            f"at most {steepest.lipschitz:.4g}: {steepest.name}, {steepest.type_name}"
            if bounds
            else "none"
        ),
        **_judge_constants(layers, bounds.values()),
    )


def _judge_constants(layers, constants):
    """Return verdict and advice on constants that should be finite."""
    if math.inf in constants:
        steep = [layer.type_name for layer in layers if layer.lipschitz == math.inf]
        advice = f"Replace {_listed(steep)}: its slopes are unbounded."
        return {"verdict": FAILS, "advice": advice}
    if opaque := [layer.type_name for layer in layers if layer.kind in OPAQUE]:
        advice = (
            f"No bound is known for {_listed(opaque)}. Derive one by hand, or build the network as "
            "a torch.nn.Sequential of known layers."
        )
        return {"verdict": UNKNOWN, "advice": advice}
    return {"verdict": HOLDS}


def _rescalable(layers, leader):
    """Return the names of two factors of the leader that can trade their scale, or None.

    These are the weights and the scale of a `ScaledLinear`, or two linear layers with a homogeneous
    activation between them.
    """
    if any(layer.kind in OPAQUE for layer in layers):
        return None
    leader_ids = {id(parameter) for parameter in leader}
    for layer in layers:
        if isinstance(layer.module, ScaledLinear) and id(layer.module.scale) in leader_ids:
            return f"{layer.name}.weight", f"{layer.name}.scale"
    chain = [
        layer for layer in layers if layer.kind != "pass" and type(layer.module) not in HOMOGENEOUS
    ]
    for first, second in zip(chain, chain[1:], strict=False):
        parameters = [
            parameter
            for layer in (first, second)
            if layer.kind == "linear"
            for parameter in (layer.module.weight, layer.module.bias)
            if parameter is not None
        ]
        if first.kind == second.kind == "linear" and leader_ids.issuperset(map(id, parameters)):
            return first.name, second.name
    return None


def _listed(names):
    return ", ".join(dict.fromkeys(names))

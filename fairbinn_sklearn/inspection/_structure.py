"""Assumptions that the layers of the net decide."""

import math

from ._activations import HOMOGENEOUS
from ._layers import OPAQUE, bound
from ._report import FAILS, HOLDS, UNKNOWN, Check, judge

MANY_BLOCKS = 5  # blocks from which on their bounds are not listed one by one


def block_bounds(net, layers):
    """Bounds of the children of the net."""
    return {
        block: bound([layer for layer in layers if layer.block == block]) for block in net._modules
    }


def check_structure(layers, blocks, seen, largest):
    """Verdicts on constants and outputs; `seen` and `largest` were measured on the rows."""
    return [
        _check_kind(
            layers,
            ["activation"],
            check="activations",
            statement="Activations are Lipschitz",
            how="largest slope of each type, from its formula",
        ),
        _check_kind(
            layers,
            ["linear", "normalisation"],
            check="layers",
            statement="Layers are Lipschitz",
            how="largest singular value of the weights; of normalisation the largest scale",
        ),
        _check_net(layers, blocks, seen),
        _check_outputs(layers, largest),
    ]


def check_convexity(layers, leader, weight_decay):
    """Verdict on strict convexity, which some structures rule out."""
    known = {
        "check": "strict_convexity",
        "kind": "assumption",
        "statement": "The leader's loss is strictly convex",
    }
    if (pair := _rescalable(layers, leader)) is None:
        how = "takes second derivatives in all of the leader's parameters"
        return Check(**known, verdict=UNKNOWN, figure="not checked", how=how)
    return Check(
        **known,
        verdict=FAILS,
        figure=f"flat between {pair[0]} and {pair[1]}",
        how=(
            "the first layer times c and the second divided by c > 0 make the same net, so that "
            "the loss is constant along a curve through each optimum"
        ),
        change=(
            "Nothing has to: nets of ReLU layers have such curves. With weight_decay above 0 (now "
            f"{weight_decay:g}) one point of each is the best; tanh layers have none of them."
        ),
    )


def _check_kind(layers, kinds, **known):
    """Verdict on the layers of some kinds, with the largest of their bounds."""
    bounds = {layer: layer.lipschitz for layer in layers if layer.kind in kinds}
    steepest = max(bounds, key=bounds.get, default=None)
    return Check(
        **known,
        kind="assumption",
        value=bounds.get(steepest, math.nan),
        figure=(
            f"at most {steepest.lipschitz:.4g}: {steepest.name}, {steepest.type_name}"
            if bounds
            else "none seen"
        ),
        **_verdict(layers, bounds.values()),
    )


def _check_net(layers, blocks, seen):
    upper = bound(layers)
    known = not math.isnan(upper)
    product = " x ".join(f"{name} {value:.3g}" for name, value in blocks.items())
    product = f", {product}" if known and len(blocks) < MANY_BLOCKS else ""
    return Check(
        check="net",
        kind="assumption",
        statement="The net is Lipschitz in its input",
        value=upper,
        figure=("not seen" if math.isnan(seen) else f"at least {seen:.3g}")
        + (f", at most {upper:.3g}" if known else ""),
        how=(
            f"at most the product of the bounds of all layers{product}; at least the largest "
            "gradient of the logits on X"
        ),
        **_verdict(layers, [upper]),
    )


def _verdict(layers, constants):
    """Verdict on constants that should be finite, and what to change."""
    if math.inf in constants:
        endless = [layer.type_name for layer in layers if layer.lipschitz == math.inf]
        change = f"Replace {_listed(endless)}: no constant bounds its slopes."
        return {"verdict": FAILS, "change": change}
    if opaque := [layer.type_name for layer in layers if layer.kind in OPAQUE]:
        change = (
            f"Of {_listed(opaque)} no bound is known. Find one by hand, or build the net as a "
            "torch.nn.Sequential of known layers."
        )
        return {"verdict": UNKNOWN, "change": change}
    return {"verdict": HOLDS}


def _check_outputs(layers, largest):
    """Verdict on the inputs of the linear layers: the outputs of what stands before them."""
    unbounded, before = [], True
    for layer in layers:
        if layer.kind == "linear" and before is False:
            unbounded.append(layer.name)
        before = layer.bounded
    unknown = any(layer.bounded is None for layer in layers)
    peak = max(largest, key=largest.get, default=None)
    return Check(
        check="bounded_outputs",
        kind="assumption",
        statement="Outputs of layers are bounded",
        verdict=UNKNOWN if unknown and not unbounded else judge(not unbounded),
        value=largest.get(peak, math.nan),
        figure=f"largest on X {largest[peak]:.3g}: {peak}" if largest else "none seen",
        how=(
            "bounded activations or LayerNorm stand between linear layers, so that no weights "
            "before them matter"
        ),
        change=(
            f"Only the weights bound the inputs of {_listed(unbounded)}. Bound them by tanh, "
            "sigmoid or relu6, or hold the weights down by weight_decay."
            if unbounded
            else "Look at the outputs of the modules whose type is not known."
        ),
    )


def _rescalable(layers, leader):
    """Names of two linear layers of the leader that can trade their scale, or None."""
    if any(layer.kind in OPAQUE for layer in layers):
        return None
    owned = {id(parameter) for parameter in leader}
    chain = [
        layer for layer in layers if layer.kind != "pass" and type(layer.module) not in HOMOGENEOUS
    ]
    for first, second in zip(chain, chain[1:], strict=False):
        if first.kind == second.kind == "linear" and owned.issuperset(
            id(parameter)
            for layer in (first, second)
            for parameter in (layer.module.weight, layer.module.bias)
            if parameter is not None
        ):
            return first.name, second.name
    return None


def _listed(names):
    return ", ".join(dict.fromkeys(names))

"""Values as JSON and tensors, and back: no code is stored, and none is run."""

import math
import os

import numpy as np
import pandas as pd
import torch

from .. import losses

LOSSES = {name: getattr(losses, name) for name in losses.__all__ if name != "FairnessLoss"}
# Classes that a file may name: those of torch, found by name in these modules.
NAMESPACES = {
    "torch.nn": torch.nn,
    "torch.optim": torch.optim,
    "torch.optim.lr_scheduler": torch.optim.lr_scheduler,
}


class NotPlain(Exception):
    """A value that cannot be stored without code."""


def encode(value, tensors, key=""):
    """Value as what JSON knows; tensors go to the dict `tensors` under a key."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return {"numpy": str(value.dtype), "value": encode(value.item(), tensors, key)}
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, torch.Tensor):
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, (list, tuple)):
        items = [encode(one, tensors, f"{key}.{k}") for k, one in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        pairs = [
            [encode(name, tensors), encode(one, tensors, f"{key}.{name}" if key else str(name))]
            for name, one in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufUO":
            raise NotPlain
        items = encode(value.ravel().tolist(), tensors, key)
        return {"array": items, "dtype": str(value.dtype), "shape": list(value.shape)}
    return _encode_object(value, tensors)


def _encode_object(value, tensors):
    if isinstance(value, (torch.device, os.PathLike)):
        return str(value)
    if isinstance(value, pd.Interval):
        return {"interval": encode([value.left, value.right], tensors), "closed": value.closed}
    if isinstance(value, pd.Timestamp):
        return {"timestamp": value.isoformat()}
    if type(value) in LOSSES.values():
        params = encode(value.get_params(deep=False), tensors)
        return {"loss": type(value).__name__, "params": params}
    if isinstance(value, type):
        for name, module in NAMESPACES.items():
            if getattr(module, value.__name__, None) is value:
                return {"class": f"{name}.{value.__name__}"}
    raise NotPlain


def decode(value, tensors):
    """Value behind what `encode` made of it."""
    if isinstance(value, list):
        return [decode(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value))
    return _DECODERS[kind](value, tensors)


def _class(value, tensors):
    module, _, name = value["class"].rpartition(".")
    found = getattr(NAMESPACES[module], name)
    if not isinstance(found, type):
        raise KeyError(name)
    return found


def _array(value, tensors):
    array = np.empty(len(value["array"]), dtype=value["dtype"])
    array[:] = decode(value["array"], tensors)
    return array.reshape(value["shape"])


_DECODERS = {
    "numpy": lambda v, t: np.dtype(v["numpy"]).type(decode(v["value"], t)),
    "float": lambda v, t: float(v["float"]),
    "tensor": lambda v, t: t[v["tensor"]],
    "tuple": lambda v, t: tuple(decode(v["tuple"], t)),
    "dict": lambda v, t: {decode(name, t): decode(one, t) for name, one in v["dict"]},
    "array": _array,
    "interval": lambda v, t: pd.Interval(*decode(v["interval"], t), closed=v["closed"]),
    "timestamp": lambda v, t: pd.Timestamp(v["timestamp"]),
    "loss": lambda v, t: LOSSES[v["loss"]](**decode(v["params"], t)),
    "class": _class,
}

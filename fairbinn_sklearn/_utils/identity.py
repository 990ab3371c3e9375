"""Whether two values mean the same, within a process and across processes."""

import hashlib
import os
from numbers import Number

import numpy as np
import torch


class NoNameError(Exception):
    """Raised for a value that another process cannot recognise."""


def canonical(value):
    """Return a value of JSON types that is equal in two processes if the values mean the same.

    Classes and functions are represented by the name under which they can be imported, objects
    with `get_params` by their class and parameters.

    Raises
    ------
    NoNameError
        If the value is a lambda, a local class or an object without parameters.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (Number, np.bool_)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, dict):
        return {repr(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [canonical(item) for item in value]
    if isinstance(value, (os.PathLike, torch.device)):
        return str(value)
    if isinstance(value, torch.Tensor):
        return digest(value)
    if hasattr(value, "get_params") and not isinstance(value, type):
        return [canonical(type(value)), canonical(value.get_params(deep=False))]
    if is_moment(value) and hasattr(value, "eps"):
        return [canonical(type(value)), canonical(value.eps), canonical(value.ratio)]
    name = getattr(value, "__qualname__", "<>")
    if "<" in name:  # a lambda, or defined in a function
        raise NoNameError(repr(value))
    return f"{value.__module__}.{name}"


def is_moment(value):
    """Return whether a value is a constraint of fairlearn.reductions, without importing it."""
    return type(value).__module__.startswith("fairlearn.reductions")


def is_same(first, second):
    """Return whether two values mean the same; values without a name must be equal."""
    if first is second:
        return True
    try:
        return canonical(first) == canonical(second)
    except NoNameError:
        try:
            return bool(first == second)
        except Exception:  # whatever the comparison of a user's class raises
            return False


def digest(values, *more):
    """Return a short digest of an array, a tensor or a sparse matrix, and of further values."""
    if hasattr(values, "toarray"):
        values = values.tocsr()
        more = (*more, digest(values.indices), digest(values.indptr))
        values = values.data
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    hasher = hashlib.blake2b(repr(more).encode(), digest_size=16)
    if values is not None:
        hasher.update(np.ascontiguousarray(values))
    return hasher.hexdigest()

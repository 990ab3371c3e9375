"""Sensitive features as group codes."""

import contextlib
import warnings

import numpy as np
import pandas as pd
import scipy.sparse as sp


def group_index(sensitive_features, n_rows):
    """Group of each row: an Index, a MultiIndex for several columns (their intersection).

    Rows are taken by position; the index of a Series or DataFrame plays no part.
    """
    frame = _as_frame(sensitive_features)
    if frame.shape[1] == 0:
        raise ValueError("sensitive_features must have at least one column, got none.")
    if len(frame) != n_rows:
        raise ValueError(
            f"sensitive_features and X must have the same number of rows, got {len(frame)} "
            f"and {n_rows}."
        )
    for name, column in frame.items():
        if n_missing := int(column.isna().sum()):
            raise ValueError(
                f"sensitive_features must not have missing values, got {n_missing} in column "
                f"{name!r}. Drop these rows, or make missing a group of its own, such as "
                "'unknown'."
            )
    columns = [frame.iloc[:, j].astype(object) for j in range(frame.shape[1])]
    if len(columns) == 1:
        return pd.Index(columns[0], dtype=object, name=frame.columns[0])
    with _hashable_only():
        return pd.MultiIndex.from_arrays(columns, names=frame.columns)


def _as_frame(sensitive_features):
    if sp.issparse(sensitive_features):
        raise ValueError("sensitive_features must be dense, got a sparse matrix.")
    if isinstance(sensitive_features, np.ma.MaskedArray):
        raise ValueError("sensitive_features must not be a masked array; fill or drop its holes.")
    if isinstance(sensitive_features, pd.Index):
        return sensitive_features.to_frame(index=False)
    if isinstance(sensitive_features, (pd.DataFrame, pd.Series)):
        return pd.DataFrame(sensitive_features)
    if isinstance(sensitive_features, dict):
        columns = {name: _as_frame(column) for name, column in sensitive_features.items()}
        shapes = {frame.shape for frame in columns.values()}
        if len(shapes) > 1 or any(n_columns != 1 for _, n_columns in shapes):
            raise ValueError(
                "sensitive_features, as a dict, must hold columns of one length, got the shapes "
                f"{ {name: frame.shape for name, frame in columns.items()} }."
            )
        return pd.DataFrame({name: frame.iloc[:, 0].to_numpy() for name, frame in columns.items()})
    if isinstance(sensitive_features, str):
        raise ValueError(
            "sensitive_features must hold values, one a row, and not the name of a column, got "
            f"{sensitive_features!r}; pass X[{sensitive_features!r}] or the like."
        )
    dtype = object if isinstance(sensitive_features, (list, tuple)) else None  # [1, "a"] as it is
    array = np.asarray(sensitive_features, dtype=dtype)
    if array.ndim not in (1, 2):
        raise ValueError(
            "sensitive_features must be an array, list, Series, DataFrame or dict of columns with "
            f"one or two dimensions, got {array.ndim} dimensions."
        )
    return pd.DataFrame(array)


@contextlib.contextmanager
def _hashable_only():
    try:
        yield
    except TypeError as error:
        raise ValueError(
            f"sensitive_features must hold values such as strings or numbers: {error}."
        ) from error


def encode_groups(index, known=None):
    """Codes of shape (N,) and the names behind them: those known first, then new ones.

    Codes depend on the values alone, not on the order of the rows, where values can be sorted.
    """
    try:
        codes, names = index.factorize(sort=True)
    except TypeError:  # values without an order among them
        with _hashable_only():
            codes, names = index.factorize()
    names = names.set_names(index.names)
    if known is None:
        return codes, names
    if known.nlevels != names.nlevels:
        raise ValueError(
            f"sensitive_features must have {known.nlevels} column(s) as before, got "
            f"{names.nlevels}."
        )
    told = [*known.names, *names.names]
    if all(isinstance(name, str) for name in told) and list(known.names) != list(names.names):
        raise ValueError(
            f"sensitive_features must have the columns {list(known.names)} as before, got "
            f"{list(names.names)}."
        )
    all_names = known.append(names[~names.isin(known)])
    return all_names.get_indexer(names)[codes], all_names


def warn_of_small_groups(codes, names):
    """Warn where there is nothing to equalise, or next to nothing to estimate a rate from."""
    if len(names) == 1:
        warnings.warn(
            f"sensitive_features has one group only, {names[0]!r}: there is nothing to equalise, "
            "and the net is trained for accuracy alone.",
            UserWarning,
            stacklevel=2,
        )
    elif len(tiny := names[np.bincount(codes, minlength=len(names)) < 2]):
        shown = ", ".join(repr(name) for name in tiny[:5]) + (", ..." if len(tiny) > 5 else "")
        warnings.warn(
            f"sensitive_features has {len(tiny)} group(s) of fewer than 2 rows: {shown}. Their "
            "rates mean nothing; merge them with others, or bin a continuous column first.",
            UserWarning,
            stacklevel=2,
        )

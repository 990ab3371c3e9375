"""Sensitive features as group codes."""

import contextlib
import warnings
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
import pandas as pd
import scipy.sparse as sp

COMBINATIONS = ("intersection", "separate")
TIMES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "period")


def sensitive_frame(sensitive_features, n_rows):
    """Sensitive features as a DataFrame without missing values, a column each.

    Rows are taken by position; the index of a Series or DataFrame plays no part.
    """
    frame = _as_frame(sensitive_features).reset_index(drop=True)
    if frame.shape[1] == 0:
        raise ValueError("sensitive_features must have at least one column, got none.")
    if len(frame) != n_rows:
        names = isinstance(sensitive_features, (list, tuple)) and len(frame) < 10
        names = names and all(isinstance(value, str) for value in sensitive_features)
        raise ValueError(
            f"sensitive_features and X must have the same number of rows, got {len(frame)} "
            f"and {n_rows}."
            + (" For names of columns, pass X[[...]] or the like." if names else "")
        )
    for name, column in frame.items():
        if n_missing := int(column.isna().sum()):
            raise ValueError(
                f"sensitive_features must not have missing values, got {n_missing} in column "
                f"{name!r}. Drop these rows, or make missing a group of its own, such as "
                "'unknown'."
            )
    return frame


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


def cut_into_bins(frame, n_bins, max_groups, *, weight=None, known=None, goes_on=False):
    """Numeric columns of many values cut into bins, and the edges by name of the column.

    Edges are learned from the rows, at quantiles of their weights, unless they are `known`. A bin
    holds its upper edge; the first and the last bin are open to values that were not seen. Words
    among the numbers, such as "unknown", stay as they are. If later parts may bring more values,
    `goes_on`, few values are cut as well.
    """
    wanted = _bins_by_column(frame, n_bins)
    edges = {} if known is None else known
    if strange := [name for name in edges if name not in frame.columns]:
        raise ValueError(
            f"sensitive_features must have the column(s) {strange} as before, got "
            f"{list(frame.columns)}."
        )
    columns = []
    for name, column in frame.items():
        is_cut = name in wanted or name in edges
        if not is_cut and _is_plain(column) and column.nunique() <= max_groups:
            columns.append(column)
            continue
        is_number = _is_number(column)
        numbers = column[is_number].to_numpy(dtype=np.float64)
        n_values = len(np.unique(numbers))
        if known is None and name in wanted:
            values, share = numbers, None if weight is None else weight[is_number]
            if share is not None and share.any():  # rows without weight do not count
                values, share = values[share > 0], share[share > 0]
            else:
                share = None
            if goes_on or len(np.unique(values)) > wanted[name]:
                edges[name] = _quantile_edges(_finite(name, values), wanted[name], share)
        if name in edges:
            column = column.astype(object)
            bins = pd.cut(_finite(name, numbers), edges[name])
            column[is_number] = np.asarray(bins.astype(object))
        elif n_values > max_groups:
            raise ValueError(
                f"sensitive_features has {n_values} distinct values in the numeric column "
                f"{name!r}, more than max_groups={max_groups}: set n_bins to cut it into fewer "
                "bins, or raise max_groups if each value is a group."
            )
        elif pd.api.types.infer_dtype(column) in TIMES and column.nunique() > max_groups:
            raise ValueError(
                f"sensitive_features has {column.nunique()} distinct times in the column {name!r}, "
                f"more than max_groups={max_groups}: cut it into bins by pandas.cut beforehand, or "
                "raise max_groups if each time is a group."
            )
        columns.append(column.astype(object))
    return pd.concat(columns, axis=1, keys=range(len(columns))).set_axis(
        frame.columns, axis=1
    ), edges


def _bins_by_column(frame, n_bins):
    """Number of bins of the columns to cut, by their names."""
    if n_bins is None:
        return {}
    columns = list(frame.columns)
    numeric = [name for j, name in enumerate(columns) if _is_number(frame.iloc[:, j]).any()]
    wanted = n_bins if isinstance(n_bins, dict) else dict.fromkeys(numeric, n_bins)
    if strange := [name for name in wanted if name not in columns]:
        raise ValueError(f"n_bins names the columns {strange}; sensitive_features has {columns}.")
    if words := [name for name in wanted if name not in numeric]:
        raise ValueError(f"n_bins can cut numeric columns only, got {words}, which are not.")
    if repeated := [name for name in wanted if columns.count(name) > 1]:
        raise ValueError(f"n_bins needs columns of different names, got {repeated} repeatedly.")
    if odd := {k: v for k, v in wanted.items() if not isinstance(v, Integral) or v < 2}:
        raise ValueError(f"n_bins must be an integer from 2, or a dict of these, got {odd}.")
    return wanted


def _is_plain(column):
    """Whether a column holds plain numbers; as objects they would take much memory."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"


def _is_number(column):
    """Mark the numbers of a column; a column of categories has none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.zeros(len(column), dtype=bool)
    if column.dtype == object:
        return np.array(
            [isinstance(v, (Real, Decimal)) and not isinstance(v, bool) for v in column]
        )
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return np.full(len(column), numeric)


def _finite(name, values):
    if not np.isfinite(values).all():
        raise ValueError(
            f"sensitive_features must be finite where n_bins cuts them, got infinity in {name!r}."
        )
    return values


def _quantile_edges(values, n_bins, weight):
    """Edges of at most `n_bins` bins of about equally many rows; fewer if values repeat."""
    shares = np.linspace(0, 1, n_bins + 1)[1:-1]
    inner = np.unique(np.quantile(values, shares, method="inverted_cdf", weights=weight))
    below = values[values < values.max()]
    if len(below):
        inner = np.unique(inner.clip(max=below.max()))
    return np.array([-np.inf, *inner[inner < values.max()], np.inf])


def encode_groups(frame, combine, known=None):
    """Codes of shape (N, K) and the names behind them: those known first, then new ones.

    With `combine` "separate" there are K columns; their names make one Index with a level for the
    column if K is above 1. With "intersection" all columns make one, and K is 1. Codes depend on
    the values alone, not on the order of the rows, where values can be sorted.
    """
    if combine == "intersection" or frame.shape[1] == 1:
        codes, names = _encode(_index_of(frame), known)
        return codes[:, None], names
    if not frame.columns.is_unique:
        raise ValueError(
            'sensitive_features must have columns of different names with combine="separate", got '
            f"{list(frame.columns)}."
        )
    before = [None] * frame.shape[1]
    if known is not None:
        told = list(known.get_level_values(0).unique()) if known.nlevels > 1 else [known.name]
        if told != list(frame.columns):
            raise ValueError(
                f"sensitive_features must have the columns {told} as before, got "
                f"{list(frame.columns)}."
            )
        before = names_by_column(known, combine)
    codes, names = zip(
        *(_encode(_index_of(frame[[name]]), one) for name, one in zip(frame, before, strict=True)),
        strict=True,
    )
    pairs = [(column, value) for column, one in zip(frame, names, strict=True) for value in one]
    return np.stack(codes, 1), pd.MultiIndex.from_tuples(pairs, names=["column", "group"])


def names_by_column(names, combine):
    """Names of the groups of each column, or of the one intersection; none without groups."""
    if names is None:
        return []
    if combine == "intersection" or names.nlevels == 1:
        return [names]
    columns, values = names.get_level_values(0), names.get_level_values(1).astype(object)
    return [values[columns == name].rename(name) for name in columns.unique()]


def plain_names(names):
    """Names of groups as lists, for files; see `names_of_plain`."""
    if names is None or names.nlevels == 1:
        return None if names is None else {"values": names.tolist(), "name": names.name}
    return {
        "levels": [level.tolist() for level in names.levels],
        "types": [str(level.dtype) for level in names.levels],
        "codes": [codes.tolist() for codes in names.codes],
        "names": list(names.names),
    }


def names_of_plain(plain):
    """Names of groups from what `plain_names` made of them."""
    if plain is None:
        return None
    if "values" in plain:
        return pd.Index(plain["values"], dtype=object, name=plain["name"], tupleize_cols=False)
    levels = zip(plain["levels"], plain["types"], strict=True)
    levels = [pd.Index(values, dtype=dtype) for values, dtype in levels]
    return pd.MultiIndex(levels=levels, codes=plain["codes"], names=plain["names"])


def _index_of(frame):
    if frame.shape[1] == 1:
        column = frame.iloc[:, 0]
        column = column if _is_plain(column) else column.astype(object)
        return pd.Index(column, dtype=column.dtype, name=frame.columns[0])
    columns = [frame.iloc[:, j].astype(object) for j in range(frame.shape[1])]
    with _hashable_only():
        return pd.MultiIndex.from_arrays(columns, names=frame.columns)


@contextlib.contextmanager
def _hashable_only():
    try:
        yield
    except TypeError as error:
        raise ValueError(
            f"sensitive_features must hold values such as strings or numbers: {error}."
        ) from error


def _encode(index, known=None):
    """Codes of shape (N,) of one Index and its names."""
    try:
        codes, names = index.factorize(sort=True)
    except TypeError:  # values without an order among them
        with _hashable_only():
            codes, names = index.factorize()
    if names.nlevels == 1:
        names = names.astype(object)
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
    new = names[~names.isin(known)]
    all_names = known.append(new) if len(new) else known
    return all_names.get_indexer(names)[codes], all_names


def warn_of_small_groups(codes, names, weight=None):
    """Warn where there is nothing to equalise, or next to nothing to estimate a rate from.

    Codes of shape (N, K), the names of the groups of each of K columns, and weights of the rows.
    """
    alone = all(len(one) == 1 for one in names)
    for column, one in zip(codes.T, names, strict=True):
        which = "" if len(names) == 1 else f" in column {one.name!r}"
        tiny = one[np.bincount(column, minlength=len(one)) < 2]
        weightless = [] if weight is None else one[np.bincount(column, weight) == 0]
        message = None
        if len(weightless):
            message = (
                f"{len(weightless)} group(s) whose rows all have sample_weight 0{which}, such as "
                f"{weightless[0]!r}: nothing is measured of them, and nothing equalised."
            )
        elif len(one) == 1:
            message = f"one group only{which}, {one[0]!r}: there is nothing to equalise" + (
                ", and the net is trained for accuracy alone." if alone else " by it."
            )
        elif len(tiny):
            shown = ", ".join(repr(name) for name in tiny[:5]) + (", ..." if len(tiny) > 5 else "")
            message = (
                f"{len(tiny)} group(s) of fewer than 2 rows{which}: {shown}. Their rates mean "
                "nothing; merge them with others, or set n_bins for a continuous column."
            )
        if message:
            warnings.warn(f"sensitive_features has {message}", UserWarning, stacklevel=2)

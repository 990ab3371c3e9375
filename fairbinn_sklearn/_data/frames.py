"""Conversion of data of any library to pandas or numpy, and checks of columns and order."""

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd


def to_pandas(values):
    """Return data frames and columns of any library as pandas objects, other values unchanged."""
    if isinstance(values, (np.ndarray, pd.DataFrame, pd.Series, pd.Index)):
        return values
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return pd.Series(values)
    frame = nw.from_native(values, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        columns = frame.to_dict(as_series=False)
        return pd.DataFrame({name: _as_series(column) for name, column in columns.items()})
    if isinstance(frame, nw.Series):
        return _as_series(frame.to_list()).rename(frame.name)
    if hasattr(values, "to_pylist"):  # an Array of Arrow, which narwhals does not support
        return _as_series(values.to_pylist())
    return values


def _as_series(values):
    """Return a list as a Series of an inferred dtype, or of dtype object if values are missing.

    pandas would convert integers with missing values to floats, which cannot hold large integers.
    """
    series = pd.Series(values, dtype=object)
    return series if series.hasnans else series.infer_objects()


def to_container(values):
    """Return values as a pandas object, or as an array without a mask.

    Values of lists keep their types, so that [1, "a"] contains a number and [None, "a"] a None.
    """
    values = to_pandas(values)
    if isinstance(values, (pd.DataFrame, pd.Series, pd.Index)):
        return values
    if isinstance(values, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(values), None, values.data)
    return np.asarray(values, dtype=object if isinstance(values, (list, tuple)) else None)


def nan_if_missing(X):
    """Return features in which masked values and missing values of all types are NaN.

    numpy converts None to NaN, but neither NA nor NaT, and it ignores masks.
    """
    if isinstance(X, np.ma.MaskedArray):
        return X.astype(float).filled(np.nan)
    X = np.asarray(X) if isinstance(X, (list, tuple)) else X
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":
        return np.where(pd.isna(X), np.nan, X)
    if isinstance(X, pd.DataFrame) and any(dtype.kind not in "biufc" for dtype in X.dtypes):
        return X.astype(object).where(X.notna(), np.nan)
    return X


def time_columns(X):
    """Return the names of the columns whose type is a date, a time or a time span.

    numpy converts these types to numbers, such as nanoseconds, without a warning.
    """
    if isinstance(X, pd.DataFrame):
        return [name for name, dtype in X.dtypes.items() if dtype.kind in "mM"]
    if isinstance(X, np.ndarray):
        return list(range(X.shape[-1])) if X.ndim and X.dtype.kind in "mM" else []
    frame = nw.from_native(X, pass_through=True)
    if not isinstance(frame, (nw.DataFrame, nw.LazyFrame)):
        return []
    return [name for name, dtype in frame.collect_schema().items() if dtype.is_temporal()]


def non_numeric_columns(X):
    """Return the names, or positions, of the columns that contain values other than numbers."""
    X = to_pandas(X)
    if not isinstance(X, pd.DataFrame):
        X = np.asarray(X, dtype=object)
        if X.ndim != 2:
            return []
    return [
        name
        for name, column in pd.DataFrame(X, dtype=object).items()
        if pd.to_numeric(column, errors="coerce").isna().sum() > column.isna().sum()
    ]


def check_order(sensitive_features, *, of="sensitive_features", **others):
    """Raise if pandas objects have the same index labels in another order.

    Parameters
    ----------
    sensitive_features : array-like
        Sensitive or control features. They are checked if they are a pandas object.

    of : str, default="sensitive_features"
        Name of the argument that contains them.

    **others : array-like
        X and y by name.
    """
    index = _index(sensitive_features)
    if index is None:
        return
    for name, values in others.items():
        other = _index(values)
        if (
            other is not None
            and len(other) == len(index)
            and not other.equals(index)
            and index.is_unique
            and other.isin(index).all()
        ):
            raise ValueError(
                f"{of} must have its samples in the order of {name}, got the same "
                "index labels in another order. Align them by "
                f"{of}.loc[{name}.index], or pass arrays if the order is right."
            )


def _index(values):
    return values.index if isinstance(values, (pd.DataFrame, pd.Series)) else None

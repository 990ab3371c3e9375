"""Conversion of data frames to pandas, and a check that samples are in the same order."""

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd


def to_pandas(values):
    """Return a data frame or series of any library as pandas, other values unchanged."""
    if isinstance(values, (np.ndarray, pd.DataFrame, pd.Series, pd.Index)):
        return values
    frame = nw.from_native(values, allow_series=True, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        return pd.DataFrame(frame.to_dict(as_series=False))
    if isinstance(frame, nw.Series):
        return pd.Series(frame.to_list(), name=frame.name)
    return values


def check_order(sensitive_features, **others):
    """Raise if pandas objects have the same index labels in another order.

    Parameters
    ----------
    sensitive_features : array-like
        Sensitive features; they are compared if they are a pandas object.

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
                f"sensitive_features must have its samples in the order of {name}, got the same "
                "index labels in another order. Align them by "
                f"sensitive_features.loc[{name}.index], or pass arrays if the order is right."
            )


def _index(values):
    return values.index if isinstance(values, (pd.DataFrame, pd.Series)) else None

"""Bootstrap intervals, from the counts of rows that are alike."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

_CONSTRAINTS = {
    "n_boot": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


def check_bootstrap(caller, **params):
    """Refuse parameters that are not valid."""
    validate_parameter_constraints(_CONSTRAINTS, params, caller_name=caller)


def resample(counts, n_boot, random_state):
    """Counts of as many rows drawn with replacement, of shape (n_boot, *counts.shape).

    What is asked of rows that are alike depends on their number only, and the numbers in a
    resample of all rows are multinomial.
    """
    counts = np.asarray(counts)
    n_rows = int(counts.sum())
    shares = counts.ravel() / n_rows
    drawn = check_random_state(random_state).multinomial(n_rows, shares, size=n_boot)
    return drawn.reshape(n_boot, *counts.shape)


def percentiles(values, confidence_level):
    """Ends of the middle part of values (n_boot, ...), of shape (2, ...), leaving NaN out."""
    unknown = np.isnan(values).all(axis=0)
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    ends = np.nanquantile(np.where(unknown, 0.0, values), tails, axis=0)
    return np.where(unknown, np.nan, ends)


def spread(values, axis=-1):
    """Largest minus smallest value along an axis, leaving NaN out; NaN if there is no other."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=axis)
    lowest = np.where(np.isnan(values), np.inf, values).min(axis=axis)
    return np.where(np.isinf(highest), np.nan, highest - np.where(np.isinf(highest), 0, lowest))

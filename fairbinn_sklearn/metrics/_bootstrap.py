"""Bootstrap resamples and percentile intervals."""

from numbers import Integral, Real

import numpy as np

from .._utils.upstream import Interval, validate_parameter_constraints

_BOOTSTRAP = {
    "n_boot": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


def check_bootstrap(caller, **params):
    """Raise if a parameter of the bootstrap is not valid."""
    validate_parameter_constraints(_BOOTSTRAP, params, caller_name=caller)


def resampled_totals(cell_of, weight, n_boot, random_state):
    """Return the total weight of each cell, in the samples and each resample (1 + n_boot, M)."""
    n_samples, counts = len(cell_of), np.bincount(cell_of)
    if (weight == weight[0]).all():  # the samples of a cell are equal: draw their counts at once
        drawn = random_state.multinomial(n_samples, counts / n_samples, n_boot)
        return np.concatenate([counts[None], drawn]).astype(float)
    totals = [np.bincount(cell_of, weight)]
    for _ in range(n_boot):
        index = random_state.randint(n_samples, size=n_samples)
        totals.append(np.bincount(cell_of[index], weight[index], len(counts)))
    return np.stack(totals)


def interval(values, confidence_level):
    """Return the percentile interval (2, ...) of values (1 + n_boot, ...), leaving NaN out.

    It is extended to contain the first value, that of the samples: resampling increases
    differences, so near parity all resamples can lie above it.
    """
    resampled = np.where(np.isnan(values[1:]).all(axis=0), 0.0, values[1:])
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    low, high = np.nanquantile(resampled, tails, axis=0)
    return np.stack([np.minimum(low, values[0]), np.maximum(high, values[0])])

"""Rates of groups on given samples, with bootstrap intervals."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.nn.functional import one_hot

from .._data.groups import UNKNOWN, GroupEncoder, sensitive_frame
from .._utils.upstream import Interval, validate_parameter_constraints

_BOOTSTRAP = {
    "n_boot": [Interval(Integral, 1, None, closed="left")],
    "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


def check_bootstrap(caller, **params):
    """Raise if a parameter of the bootstrap is not valid."""
    validate_parameter_constraints(_BOOTSTRAP, params, caller_name=caller)


@dataclass(frozen=True)
class GroupRates:
    """Rates of predictions by event and group, on the samples and on resamples of them.

    `rates` has an array (1 + n_boot, E, G, C) for each sensitive column, the samples first; a rate
    over no samples is NaN. `n_samples` has an array (E, G) for each column: the samples of a rate.
    """

    rates: list
    n_samples: list

    def difference(self):
        """Return the largest difference between two groups, of shape (1 + n_boot,).

        The largest over columns, events and classes; NaN if fewer than two groups have samples.
        """
        spreads = [spread(rates, axis=2).reshape(len(rates), -1) for rates in self.rates]
        values = np.concatenate(spreads, axis=1)  # (1 + n_boot, K * E * C)
        largest = np.where(np.isnan(values), -np.inf, values).max(axis=1)
        return np.where(np.isinf(largest), np.nan, largest)

    def fewest_samples(self):
        """Return the number of samples of the smallest rate that has a rate to compare with."""
        fewest = []
        for n_of_event in (n for column in self.n_samples for n in column):
            present = n_of_event[n_of_event > 0]
            fewest += [int(present.min())] if len(present) > 1 else []
        return min(fewest, default=0)


def group_rates(constraint, n_classes, truth, predictions, codes, *, n_boot, random_state):
    """Count the samples of each group, label and prediction, and resample the counts.

    `truth` and `predictions` are class codes of shape (N,), `codes` group codes (N, K). Samples of
    unknown groups count in no rate. The rates depend on the samples only through the counts of
    equal ones, so resampling the samples means drawing the counts from a multinomial distribution.
    """
    samples = np.column_stack([truth, predictions, codes])
    cells, counts = np.unique(samples, axis=0, return_counts=True)  # (M, 2 + K), (M,)
    n_samples = int(counts.sum())
    drawn = check_random_state(random_state).multinomial(n_samples, counts / n_samples, n_boot)
    counts = np.concatenate([counts[None], drawn]).astype(float)  # (R, M)
    truth, predictions, *columns = torch.from_numpy(cells).unbind(1)
    scores = one_hot(predictions, n_classes).double()  # (M, C)
    scores = (scores[:, 1:] if n_classes == 2 else scores).numpy()
    rates, n_of_rates = [], []
    for column in columns:
        known = column != UNKNOWN
        indicator = one_hot(column.clamp(min=0)) * known[:, None].double()
        member = constraint.membership(truth, indicator, n_classes).movedim(1, 0).numpy()
        n = np.tensordot(counts, member, 1)  # (R, E, G)
        sums = np.tensordot(counts, member[..., None] * scores[:, None, None], 1)  # (R, E, G, C)
        with np.errstate(invalid="ignore"):  # no samples: NaN
            rates.append(sums / n[..., None])
        n_of_rates.append(n[0].astype(int))
    return GroupRates(rates, n_of_rates)


def interval(values, confidence_level):
    """Return the percentile interval (2, ...) of values (1 + n_boot, ...), leaving NaN out.

    It is extended to contain the first value, that of the samples: resampling increases
    differences, so near parity all resamples can lie above it.
    """
    resampled = np.where(np.isnan(values[1:]).all(axis=0), 0.0, values[1:])
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    low, high = np.nanquantile(resampled, tails, axis=0)
    return np.stack([np.minimum(low, values[0]), np.maximum(high, values[0])])


def spread(values, axis):
    """Return the largest minus the smallest value along an axis, leaving NaN out.

    It is NaN if fewer than two values are known.
    """
    is_nan = np.isnan(values)
    highest = np.where(is_nan, -np.inf, values).max(axis=axis)
    lowest = np.where(is_nan, np.inf, values).min(axis=axis)
    few = (~is_nan).sum(axis=axis) < 2
    return np.where(few, np.nan, np.where(few, 0, highest) - np.where(few, 0, lowest))


def encode_groups(sensitive_features, n_samples, combine="intersection"):
    """Return group codes (N, K), and for each column of codes the names of its groups."""
    frame = sensitive_frame(sensitive_features, n_samples)
    encoder = GroupEncoder(combine).fit(frame)
    return encoder.transform(frame), encoder.names_by_partition

"""Rates of groups on given samples, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.nn.functional import one_hot

from .._data.groups import UNKNOWN, GroupEncoder, sensitive_frame
from .._data.labels import plain_weights
from ..losses import FairnessLoss
from ..metrics._bootstrap import resampled_totals


@dataclass(frozen=True)
class GroupRates:
    """Rates of predictions by event and group, on the samples and on resamples of them.

    `rates` has an array (1 + n_boot, E, G, C) for each sensitive column, the samples first; a rate
    with the denominator 0 is NaN. `denominators` has arrays of the same shape. `n_samples` has an
    array (E, G, C) for each column: the samples in the denominator of a rate.
    """

    constraint: FairnessLoss
    rates: list
    n_samples: list
    denominators: list

    def difference(self):
        """Return the value that a target bounds, of shape (1 + n_boot,).

        It is the largest value over columns, events and classes, and NaN if fewer than two groups
        have a rate.
        """
        values = []
        for rates, denominators in zip(self.rates, self.denominators, strict=True):
            known = ~np.isnan(rates)
            counts = torch.from_numpy(np.where(known, denominators, 0.0))
            rates = torch.from_numpy(np.nan_to_num(rates))
            value = self.constraint.difference(rates, counts).numpy()
            needed = 1 if self.constraint.measures_level else 2
            values.append(np.where((known.sum(2) >= needed).any((1, 2)), value, np.nan))
        return np.fmax.reduce(values)

    def fewest_samples(self):
        """Return the number of samples of the smallest rate that has a rate to compare with."""
        fewest = []
        for column in self.n_samples:
            n_of_groups = np.moveaxis(column, 1, -1)  # (E, C, G)
            for n_of_rate in n_of_groups.reshape(-1, n_of_groups.shape[-1]):
                present = n_of_rate[n_of_rate > 0]
                fewest += [int(present.min())] if len(present) > 1 else []
        return min(fewest, default=0)


def group_rates(constraint, n_classes, truth, predictions, codes, weight, *, n_boot, random_state):
    """Count the samples of each group, label and prediction, and resample the counts.

    `truth` and `predictions` are class codes (N,), and `codes` are group codes (N, K). `weight`
    (N,) contains the weights in the rates, > 0. Samples of unknown groups count in no rate.
    """
    cells, cell_of = np.unique(
        np.column_stack([truth, predictions, codes]), axis=0, return_inverse=True
    )
    cell_of = cell_of.ravel()
    n_of_cells = np.bincount(cell_of).astype(float)
    totals = resampled_totals(cell_of, weight, n_boot, check_random_state(random_state))
    truth, predictions, *columns = torch.from_numpy(cells).unbind(1)
    scores = one_hot(predictions, n_classes).double()  # (M, C)
    scores = (scores[:, 1:] if n_classes == 2 else scores).numpy()
    a, b, c, d = constraint.expanded_coefficients(truth, scores.shape[1], torch.float64).numpy()
    rates, n_of_rates, denominators = [], [], []
    n_groups = int(codes.max()) + 1  # the same in all columns, for the position of a reference
    for column in columns:
        known = column != UNKNOWN
        indicator = one_hot(column.clamp(min=0), n_groups) * known[:, None].double()
        member = constraint.membership(truth, indicator, n_classes).movedim(1, 0).numpy()
        sums, total = (  # (R, E, G, C)
            np.tensordot(totals, member[..., None] * values.swapaxes(0, 1)[:, :, None], 1)
            for values in (a + b * scores, c + d * scores)
        )
        with np.errstate(invalid="ignore"):  # no samples: NaN
            rates.append(np.where(total > 1e-12, sums / total, np.nan))
        denominators.append(total)
        counted = member[..., None] * (c + d * scores > 0).swapaxes(0, 1)[:, :, None]
        n_of_rates.append(np.tensordot(n_of_cells, counted, 1).astype(int))
    return GroupRates(constraint, rates, n_of_rates, denominators)


def spread(values, axis):
    """Return the largest minus the smallest value along an axis, leaving NaN out.

    It is NaN if fewer than two values are known.
    """
    is_nan = np.isnan(values)
    highest = np.where(is_nan, -np.inf, values).max(axis=axis)
    lowest = np.where(is_nan, np.inf, values).min(axis=axis)
    few = (~is_nan).sum(axis=axis) < 2
    return np.where(few, np.nan, np.where(few, 0, highest) - np.where(few, 0, lowest))


def rate_weights(sample_weight, samples):
    """Check weights as `fit` does, and return them scaled to a maximum of 1."""
    weight = plain_weights(1.0 if sample_weight is None else sample_weight, samples)
    return weight / weight.max()  # the sum of huge weights would overflow


def encode_groups(sensitive_features, is_counted, combine="intersection"):
    """Return group codes (N, K), and for each column of codes the names of its groups.

    Samples that are not counted are left out, and so are groups without counted samples.
    """
    frame = sensitive_frame(sensitive_features, len(is_counted))[is_counted]
    encoder = GroupEncoder(combine).fit(frame)
    return encoder.transform(frame), encoder.names_by_partition

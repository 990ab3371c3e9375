"""Penalties of group rates, the mean or the largest squared gap, and their gradients.

Rates have the shape (..., E, G, C) of events, groups and scores. `present`, of the shape
(..., E, G, 1) or (..., E, G, C), says which groups have a rate.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import one_hot


class Aggregation(NamedTuple):
    """Penalty of rates, and its gradient in the rates."""

    penalty: Callable
    gradient: Callable


def mean_gap(rates, present):
    """Return the mean squared gap over pairs of groups and scores, summed over events."""
    deviation, scale = _deviation(rates, present)
    return (scale * deviation.square()).sum((-3, -2, -1))


def mean_gap_gradient(rates, present):
    """Return the gradient of `mean_gap` in the rates."""
    deviation, scale = _deviation(rates, present)
    return deviation.mul_(2.0 * scale)


def _deviation(rates, present):
    """Return rates minus their mean over groups, and the factor that makes a mean over pairs."""
    # If all groups are present, a fifth of the operations is sufficient. This matters because
    # training calls the function at each step. The shortcut is for CPUs only, because other devices
    # would have to wait for the result of the test.
    if present.device.type == "cpu" and present.all():
        n_pairs_factor = 2.0 / rates.shape[-1] / max(present.shape[-2] - 1, 1)
        return rates - rates.mean(-2, keepdim=True), n_pairs_factor
    n_present = present.sum(-2, keepdim=True).to(rates.dtype)  # (..., E, 1, 1)
    mean = (rates * present).sum(-2, keepdim=True) / n_present.clamp(min=1)
    return (rates - mean) * present, 2.0 / rates.shape[-1] / (n_present - 1).clamp(min=1)


def largest_gap(rates, present):
    """Return the largest squared gap over pairs of groups, events and scores."""
    return gap_of_extremes(rates, present)[0].square().amax((-2, -1))


def largest_gap_gradient(rates, present):
    """Return the gradient of `largest_gap` in the rates."""
    gap, highest, lowest = gap_of_extremes(rates, present)  # (..., E, C)
    n_groups = rates.shape[-2]
    flat = gap.flatten(-2)
    is_largest = one_hot(flat.argmax(-1), flat.shape[-1]).reshape(gap.shape)
    signs = one_hot(highest, n_groups) - one_hot(lowest, n_groups)  # (..., E, C, G)
    gradient = (2.0 * gap * is_largest)[..., None] * signs
    return gradient.transpose(-2, -1)


def gap_of_extremes(rates, present):
    """Return the gap between the highest and the lowest rate, and the groups that have them.

    All three have the shape (..., E, C).
    """
    high, highest = rates.masked_fill(~present, -torch.inf).max(-2)
    low, lowest = rates.masked_fill(~present, torch.inf).min(-2)
    return (high - low).clamp(min=0.0), highest, lowest


def divide(sums, counts):
    """Return the quotient, 0 where the count is 0."""
    return sums / counts.masked_fill(counts == 0, 1.0)


AGGREGATIONS = {
    "mean": Aggregation(mean_gap, mean_gap_gradient),
    "max": Aggregation(largest_gap, largest_gap_gradient),
}

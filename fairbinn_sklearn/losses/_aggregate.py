"""From the rates of groups to a loss and its slopes: of the mean or of the largest squared gap.

Rates have the shape (..., E, G, C) of events, groups and scores, with a leading axis where many
models are trained together; `present` (E, G, 1) says which groups have rows.
"""

import torch
from torch.nn.functional import one_hot


def mean_gap(rates, present):
    """Squared gap, mean over pairs of groups and over scores, summed over events."""
    deviation, scale = _deviation(rates, present)
    return (scale * deviation.square()).sum((-3, -2, -1))


def mean_gap_gradient(rates, present):
    """Gradient of `mean_gap` in the rates."""
    deviation, scale = _deviation(rates, present)
    return 2.0 * scale * deviation


def _deviation(rates, present):
    """Rates less their mean over groups, and the factor that makes a mean over pairs."""
    n_present = present.sum(1, keepdim=True).to(rates.dtype)  # (E, 1, 1)
    mean = (rates * present).sum(-2, keepdim=True) / n_present.clamp(min=1)
    return (rates - mean) * present, 2.0 / rates.shape[-1] / (n_present - 1).clamp(min=1)


def largest_gap(rates, present):
    """Largest squared gap over pairs of groups, events and scores."""
    return widest(rates, present)[0].square().amax((-2, -1))


def largest_gap_gradient(rates, present):
    """Gradient of `largest_gap` in the rates."""
    gap, top, bottom = widest(rates, present)  # (..., E, C)
    n_groups = rates.shape[-2]
    flat = gap.flatten(-2)
    largest = one_hot(flat.argmax(-1), flat.shape[-1]).reshape(gap.shape)
    pair = one_hot(top, n_groups) - one_hot(bottom, n_groups)  # (..., E, C, G)
    slopes = (2.0 * gap * largest)[..., None] * pair
    return slopes.transpose(-2, -1)


def widest(rates, present):
    """Gap between the highest and the lowest group of each event and score, and who they are."""
    highest, top = rates.masked_fill(~present, -torch.inf).max(-2)
    lowest, bottom = rates.masked_fill(~present, torch.inf).min(-2)
    return (highest - lowest).clamp(min=0.0), top, bottom


def divide(sums, counts):
    """Quotient, and 0 where nothing was counted."""
    return sums / counts.masked_fill(counts == 0, 1.0)


AGGREGATIONS = {
    "mean": (mean_gap, mean_gap_gradient),
    "max": (largest_gap, largest_gap_gradient),
}

r"""Group metrics for any number of classes, from weighted counts of samples.

:math:`N_{gyp}` is the total weight of the samples of group g, label y and prediction p. An event e
is a set of labels. The rate of class c at the event e is

.. math::

    r_{egc} = \frac{\sum_{y \in e} N_{gyc}}{\sum_{y \in e} \sum_p N_{gyp}} .

A rate over no samples is unknown and left out. If all rates are known, the values equal those of
fairlearn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .._utils.suggest import did_you_mean
from ..losses import CONSTRAINTS


@dataclass(frozen=True)
class Metric:
    """A group metric: its function, the response method it needs, and its direction.

    `function` takes the weighted counts (G, C, C) of groups, labels and predictions, or for
    `response_method` "predict_proba" the mean scores (G, C) of groups. With two classes the second
    is the positive class.
    """

    function: Callable
    response_method: str = "predict"
    greater_is_better: bool = False

    @property
    def worst(self):
        """Return the function that selects the worst of several values, NaN if all are."""
        return np.fmin.reduce if self.greater_is_better else np.fmax.reduce


def rates(counts, constraint):
    """Return the rates (E, G, C) of the events of a criterion, NaN over no samples.

    With two classes C is 1: the rate of the positive class.
    """
    n_classes = counts.shape[-1]
    events = constraint.events(torch.arange(n_classes), n_classes).numpy()
    selected = np.einsum("ey,gyp->egp", events, counts)
    total = selected.sum(-1, keepdims=True)
    selected = selected[..., 1:] if n_classes == 2 else selected
    return np.divide(selected, total, out=np.full(selected.shape, np.nan), where=total > 0)


def largest_difference(values):
    """Return the largest difference between groups (..., G, C), NaN if fewer than two are known."""
    highest, lowest, n_known = _extremes(values)
    return _worst(np.where(n_known > 1, highest - lowest, np.nan), np.fmax)


def smallest_ratio(values):
    """Return the smallest ratio between groups (..., G, C), NaN if fewer than two are known."""
    highest, lowest, n_known = _extremes(values)
    known = (n_known > 1) & (highest > 0)
    ratios = np.divide(lowest, highest, out=np.full(lowest.shape, np.nan), where=known)
    return _worst(ratios, np.fmin)


def worst_group_accuracy(counts):
    """Return the lowest accuracy of a group."""
    correct, total = np.trace(counts, axis1=1, axis2=2), counts.sum((1, 2))
    accuracy = np.divide(correct, total, out=np.full(len(total), np.nan), where=total > 0)
    return _worst(accuracy, np.fmin)


def selection_rate(counts):
    """Return the fraction of positive predictions; of several classes, the largest fraction."""
    totals = counts.sum((0, 1))
    shares = totals / totals.sum()  # exactly 0 or 1 for a constant model, whatever the weights
    return float(shares[1] if len(shares) == 2 else shares.max())


def _extremes(values):
    known = ~np.isnan(values)
    highest = np.where(known, values, -np.inf).max(-2)
    lowest = np.where(known, values, np.inf).min(-2)
    return highest, lowest, known.sum(-2)


def _worst(values, ufunc):
    return float(ufunc.reduce(values, axis=None, initial=np.nan))


def count(y_true, y_pred, groups, weight, n_classes):
    """Return the weighted counts (G, C, C) of groups, labels and predictions, all as codes."""
    n_groups = groups.max(initial=-1) + 1
    cells = (groups * n_classes + y_true) * n_classes + y_pred
    counts = np.bincount(cells, weight, minlength=n_groups * n_classes**2)
    return counts.reshape(n_groups, n_classes, n_classes)


def mean_scores(scores, groups, weight):
    """Return the weighted mean scores (G, C) of groups; with two classes of the positive class."""
    scores = scores[:, 1:] if scores.shape[1] == 2 else scores
    total = np.bincount(groups, weight)
    sums = np.column_stack([np.bincount(groups, weight * column) for column in scores.T])
    known = total[:, None] > 0
    return np.divide(sums, total[:, None], out=np.full(sums.shape, np.nan), where=known)


def _of_constraint(name, summary):
    def function(counts):
        return summary(rates(counts, CONSTRAINTS[name]()))

    return function


METRICS = {
    **{
        f"{name}_difference": Metric(_of_constraint(name, largest_difference))
        for name in CONSTRAINTS
    },
    **{
        f"{name}_ratio": Metric(_of_constraint(name, smallest_ratio), greater_is_better=True)
        for name in CONSTRAINTS
    },
    "mean_score_difference": Metric(largest_difference, response_method="predict_proba"),
    "worst_group_accuracy": Metric(worst_group_accuracy, greater_is_better=True),
    "selection_rate": Metric(selection_rate, greater_is_better=True),
}

DIFFERENCES = sorted(name for name in METRICS if name.endswith("_difference"))
BOUNDED = sorted(set(METRICS) - {"selection_rate"})  # metrics that have a best value


def check_metrics(parameter, names, allowed=METRICS):
    """Raise if a name is not the name of a metric; suggest a similar name."""
    for name in names:
        if name not in allowed:
            difference = f"{name}_difference"  # the metric, if the name is that of a constraint
            raise ValueError(
                f"{parameter} must be one of {sorted(allowed)}, got {name!r}."
                + did_you_mean(difference if difference in allowed else name, allowed)
            )

r"""Group metrics for any number of classes, from weighted counts of samples.

:math:`N_{gyp}` is the total weight of the samples of group g, label y and prediction p. An event e
is a set of labels. With the coefficients a, b, c and d of a criterion, the rate of class c at the
event e is

.. math::

    r_{egc} = \frac{\sum_{y \in e} \sum_p N_{gyp}\,(a_{yc} + b_{yc} [p = c])}
                  {\sum_{y \in e} \sum_p N_{gyp}\,(c_{yc} + d_{yc} [p = c])} .

A rate whose denominator is 0 is unknown and left out. If all rates are known, the values equal
those of fairlearn and scikit-learn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .._utils.suggest import did_you_mean
from ..losses import CONSTRAINTS

THRESHOLDS = np.arange(1, 10) / 10  # of the score distribution


@dataclass(frozen=True)
class Metric:
    """A group metric: its function, the response method it needs, and its direction.

    `function` takes the weighted counts (G, C, C) of groups, labels and predictions, or for
    `response_method` "predict_proba" the means (G, K) over groups of the values (N, K) that
    `of_scores` returns for the scores (N, C). With two classes the second is the positive class.
    """

    function: Callable
    response_method: str = "predict"
    greater_is_better: bool = False
    of_scores: Callable | None = None

    @property
    def worst(self):
        """Return the function that selects the worst of several values, NaN if all are."""
        return np.fmin.reduce if self.greater_is_better else np.fmax.reduce


def rates(counts, constraint):
    """Return the rates (E, G, C) of the events of a criterion, NaN where the denominator is 0.

    With two classes C is 1: the rate of the positive class.
    """
    n_classes = counts.shape[-1]
    n_scores = 1 if n_classes == 2 else n_classes
    y = torch.arange(n_classes)
    events = constraint.events(y, n_classes).numpy()
    a, b, c, d = constraint.expanded_coefficients(y, n_scores, torch.float64).numpy()
    labels = np.einsum("ey,gyp->egy", events, counts)  # total weight of each label
    predicted = np.einsum("ey,gyp->egyp", events, counts)
    predicted = predicted[..., 1:] if n_classes == 2 else predicted
    numerator = np.einsum("eyc,egy->egc", a, labels) + np.einsum("eyc,egyc->egc", b, predicted)
    total = np.einsum("eyc,egy->egc", c, labels) + np.einsum("eyc,egyc->egc", d, predicted)
    known = total > 1e-12 * labels.sum(-1, keepdims=True)  # sums of weights are rounded
    return np.divide(numerator, total, out=np.full(total.shape, np.nan), where=known)


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


def smallest_rate(values):
    """Return the smallest rate of a group (..., G, C), NaN if none is known."""
    return _worst(values, np.fmin)


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


def scores_of_classes(scores):
    """Return the scores (N, C) of the classes; with two classes those of the positive class."""
    return scores[:, 1:] if scores.shape[1] == 2 else scores


def decisions_at_thresholds(scores):
    """Return which scores exceed the thresholds 0.1, 0.2, ..., 0.9 (N, 9 C)."""
    return (scores_of_classes(scores)[:, :, None] > THRESHOLDS).reshape(len(scores), -1)


def mean_scores(scores, groups, weight):
    """Return the weighted means (G, K) over groups of values (N, K)."""
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
    **{
        f"{name}_minimum": Metric(_of_constraint(name, smallest_rate), greater_is_better=True)
        for name, criterion in CONSTRAINTS.items()
        if not criterion._lower_is_better
    },
    "mean_score_difference": Metric(
        largest_difference, response_method="predict_proba", of_scores=scores_of_classes
    ),
    "score_distribution_difference": Metric(
        largest_difference, response_method="predict_proba", of_scores=decisions_at_thresholds
    ),
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

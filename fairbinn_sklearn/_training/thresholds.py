"""Thresholds of decisions between two classes, as logits."""

import numpy as np
from scipy.special import logit

ROUNDING = 5e-7  # relative difference of logits that may be due to rounding in float32


def logit_threshold(threshold, n_classes, positive):
    """Return the logit above which class code 1 is predicted.

    Parameters
    ----------
    threshold : float or "rate"
        Probability of the positive class above which it is predicted. "rate" starts at 0.5.

    n_classes : int
        Number of classes.

    positive : {0, 1}
        Code of the positive class of two.
    """
    if n_classes > 2 and threshold != 0.5:
        raise ValueError(
            f"threshold must be 0.5 with {n_classes} classes, got {threshold!r}. With more than "
            "two classes, the class with the highest probability is predicted."
        )
    if threshold == "rate":
        return 0.0
    return float(logit(threshold)) if positive == 1 else -float(logit(threshold))


def threshold_at_rate(logits, weight, rate):
    """Return the threshold that a given fraction of the logits exceeds.

    Parameters
    ----------
    logits : ndarray of shape (N,)
        Logits.

    weight : ndarray of shape (N,)
        Weights of the samples.

    rate : float
        Fraction of the weight, from 0 to 1.

    Returns
    -------
    threshold : float
        Midpoint between two different logits, or a value beyond all of them, for which the fraction
        above is closest to `rate`. Logits that differ by rounding only are on the same side.
    """
    order = np.argsort(-logits, kind="stable")
    ordered, total = logits[order], np.cumsum(weight[order])
    gaps = ordered[:-1] - ordered[1:]
    places = np.flatnonzero(gaps > ROUNDING * (1.0 + np.abs(ordered[1:])))
    midpoints = (ordered[places] + ordered[places + 1]) / 2.0
    thresholds = np.concatenate([[ordered[0] + 1.0], midpoints, [ordered[-1] - 1.0]])
    fractions = np.concatenate([[0.0], total[places] / total[-1], [1.0]])
    return float(thresholds[np.argmin(np.abs(fractions - rate))])

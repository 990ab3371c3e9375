"""Thresholds of decisions between two classes, as logits."""

import torch
from scipy.special import logit


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
    logits : torch.Tensor of shape (..., N)
        Logits.

    weight : torch.Tensor of shape (N,) or None
        Weights of the samples.

    rate : float
        Fraction of the weight, from 0 to 1.

    Returns
    -------
    threshold : torch.Tensor of shape (...)
        Midpoint between two neighbouring logits. The fraction above it is the largest possible one
        that does not exceed `rate`. Equal logits are on the same side.
    """
    ordered, order = logits.sort(-1, descending=True)
    if weight is None:
        weight = torch.ones(logits.shape[-1], device=logits.device)
    fraction = weight[order].double().cumsum(-1) / weight.double().sum()
    n_above = (fraction <= rate + 1e-9).sum(-1, keepdim=True)  # 1e-9: rounding of the sums
    highest_below = ordered.gather(-1, n_above.clamp(max=ordered.shape[-1] - 1))
    lowest_above = ordered.gather(-1, (n_above - 1).clamp(min=0))
    middle = torch.lerp(highest_below, lowest_above, 0.5)
    return torch.where(middle < lowest_above, middle, highest_below)[..., 0]

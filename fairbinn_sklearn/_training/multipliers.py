"""A target for the difference in place of eta."""

import torch

FACTOR_RANGE = 1e-3, 1e4
GAIN = 4.0  # weight of the squared excess over the target
LARGEST_SHARE = 0.05  # of the way in one step: a net follows over many steps


def excess_weight(difference, target):
    """Weight of the slopes of phi at a difference: `GAIN` times the share of it above the target.

    For two groups and one event the slopes are then those of `GAIN` times the squared excess.
    """
    tiny = torch.finfo(difference.dtype).tiny
    return GAIN * (1.0 - target / difference.clamp(min=tiny)).clamp(min=0.0)


def moved_multipliers(multipliers, slopes, difference, target, share):
    r"""Multipliers of the rates after a step of the method of multipliers.

    The follower's loss is an augmented Lagrangian [1]_ of the condition that the difference d is
    no larger than the target t: the squared excess, and :math:`\langle\mu, r\rangle` for rates r.
    While d is above t, :math:`\mu` grows by the slopes of the former, times `share`; while it is
    below, the largest entry shrinks by as much, no further than to 0. So :math:`\mu` comes to rest
    where the difference is the target; a large weight of the squared gap, which would magnify the
    noise of batches and the delay of running rates, is not needed.

    `slopes` and `multipliers` have the shape (..., E, G, C), `difference` and `target` (...).

    References
    ----------
    .. [1] Hestenes, M. R. (1969). Multiplier and gradient methods. Journal of Optimization Theory
       and Applications 4, 303-320.
    """
    tiny = torch.finfo(multipliers.dtype).tiny
    below = 2.0 * GAIN * (target - difference).clamp(min=0.0)
    largest = multipliers.abs().amax((-3, -2, -1)).clamp(min=tiny)
    kept = (1.0 - share * below / largest).clamp(min=0.0)
    return kept[..., None, None, None] * multipliers + share * slopes


def moved_factor(factor, value, target, share):
    r"""Factor of a function after a step of dual ascent on its logarithm.

    :math:`\log` of the factor grows by :math:`s\,\mathrm{clip}(v / t - 1, -1, 1)` for a value v of
    the function and a target t: its scale is not known, but it falls about as 1 / factor.
    """
    error = (value / target - 1.0).clamp(-1.0, 1.0)
    return (factor * torch.exp(share * error)).clamp(*FACTOR_RANGE)

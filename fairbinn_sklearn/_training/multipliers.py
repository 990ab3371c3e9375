"""Augmented Lagrangian: multipliers that replace eta under a fairness target."""

import torch

FACTOR_RANGE = 1e-3, 1e4
GAIN = 4.0  # weight of the squared excess, for demographic parity between two groups
MIN_EVENT_WEIGHT = 0.2  # because with smaller weights, the multipliers need too many steps
MAX_STEP = 0.05  # largest step size, because a network needs many steps to follow


def weight_of_excess(rates, counts, event_weight):
    """Return the weight (..., E, 1, 1) or (..., E, 1, C) of the excess in the gradient.

    For demographic parity between two groups, the weighted excess is the gradient of `GAIN` times
    the squared excess of the difference. The weight is smaller for more groups and more scores, as
    in the mean over pairs. It is proportional to the weight of the event or to 1 / C for C scores,
    whichever is smaller.
    """
    n_others = ((counts > 0).sum(-2, keepdim=True) - 1).clamp(min=1)
    return 4.0 * GAIN * event_weight.clamp(max=1.0 / rates.shape[-1]) / n_others.to(rates.dtype)


def event_weights(counts, sizes):
    """Return a weight between `MIN_EVENT_WEIGHT` and 1 for each event (..., E, 1, 1).

    The weight is the harmonic mean over groups of the fraction of samples in the event, divided by
    the number of events. Groups without samples in the event are left out. A rare event has few
    samples. A large weight would change their scores too fast, and the rates of all events would
    oscillate.

    Parameters
    ----------
    counts : torch.Tensor of shape (..., E, G, 1)
        Weights of the samples of each event and group.

    sizes : torch.Tensor of shape (..., 1, G, 1)
        Weights of all samples of each group.
    """
    present = counts > 0
    inverse = torch.where(present, sizes / counts, 0.0).sum(-2, keepdim=True)
    # 0 / 0 where no group has samples in the event
    fractions = (present.sum(-2, keepdim=True) / inverse).nan_to_num(1.0)
    return (fractions / counts.shape[-3]).clamp(min=MIN_EVENT_WEIGHT)


def squared_excess(constraint, rates, counts, event_weight, multipliers, bound):
    """Return the two terms of the augmented Lagrangian, both of the shape (..., E, G, C).

    These are half the weighted squared excess, and the product of multipliers and deviations. The
    parameters are those of `gradient_and_update`.
    """
    weight = weight_of_excess(rates, counts, event_weight)
    deviations = constraint.deviations(rates, counts)
    outside = constraint.excess(deviations, bound, torch.ones_like(weight), counts)
    return 0.5 * weight * outside.square(), multipliers * deviations


def gradient_and_update(constraint, rates, counts, event_weight, multipliers, bound, step_size):
    r"""Return the gradient of the augmented Lagrangian, and the multipliers after a step.

    The follower's loss is an augmented Lagrangian [1]_ of the constraint that the rates r of all
    groups meet the bound: half the weighted squared excess, plus :math:`\langle\mu, r\rangle`. With
    the excess :math:`e(\cdot)`, and s the step size times the weight of the excess, the step is

    .. math::

        \mu \leftarrow s\, e(r + \mu / s) .

    The page :ref:`multipliers` describes the effect, with :math:`s \rho_e` instead of s. For two
    groups, the largest multiplier changes by s / 2 times the difference minus the target, and stays
    at least 0. With a reference rate, r is replaced by the deviations from it.

    Parameters
    ----------
    constraint : FairnessLoss
        Criterion, which defines the excess.

    rates, multipliers : torch.Tensor of shape (..., E, G, C)
        Rates and multipliers.

    counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
        Denominators of the rates. A group with 0 keeps its multiplier.

    event_weight : torch.Tensor of shape (..., E, 1, 1)
        Weight of each event, from `event_weights`.

    bound : torch.Tensor of shape () or (..., 1, 1, 1)
        Bound on the difference.

    step_size : float
        Step size.

    Returns
    -------
    gradient : torch.Tensor of shape (..., E, G, C)
        Gradient of the loss in the rates.
    multipliers : torch.Tensor of shape (..., E, G, C)
        Multipliers for the next batch.

    References
    ----------
    .. [1] Hestenes, M. R. (1969). Multiplier and gradient methods. Journal of Optimization Theory
       and Applications 4, 303-320.
    """
    weight = weight_of_excess(rates, counts, event_weight)
    # s e(r + mu / s) equals e(s r + mu) for a bound that is scaled by s. Use the second form,
    # because it avoids a division by a small s.
    s = step_size * weight
    scales = torch.stack([torch.ones_like(s), s])
    scales = scales.reshape(2, *(1,) * (rates.ndim - s.ndim), *s.shape)
    deviations = constraint.deviations(rates, counts)
    values = torch.stack([deviations, multipliers + s * deviations])
    now, moved = constraint.excess(values, bound, scales, counts)
    gradient = constraint.adjoint(weight * now + multipliers, counts)
    return gradient, torch.where(counts > 0, moved, multipliers)


def update_factor(factor, value, target, step_size):
    r"""Return the weight of a function after a step of dual ascent on its logarithm.

    :math:`\log` of the weight grows by :math:`s\,\mathrm{clip}(v / t - 1, -1, 1)` for a value v of
    the function, a target t and the step size s. The logarithm is used because the scale of the
    function is not known.
    """
    error = (value / target - 1.0).clamp(-1.0, 1.0)
    return (factor * torch.exp(step_size * error)).clamp(*FACTOR_RANGE)

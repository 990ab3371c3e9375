"""Augmented Lagrangian: multipliers that replace eta under a fairness target."""

import torch

FACTOR_RANGE = 1e-3, 1e4
GAIN = 4.0  # weight of the squared excess over the target, for two groups
MAX_STEP = 0.05  # largest step size, because a network needs many steps to follow


def excess(rates, target, present):
    r"""Return the signed distances from rates to the nearest rates that meet the target.

    For each event and score, the rates :math:`r_g` meet the target t if all of them lie in a band
    of width t. The nearest such rates are :math:`\mathrm{clip}(r_g, c - t/2, c + t/2)`. The centre
    c of the band is the point at which the sum of all excesses is 0. The sum is linear in c between
    neighbouring ends of the intervals :math:`r_g \pm t/2`, so c is found by interpolation.

    Parameters
    ----------
    rates : torch.Tensor of shape (..., E, G, C)
        Rates of each event and group.

    target : torch.Tensor
        Largest difference that is allowed, in a shape that matches (..., E, 1, 1).

    present : torch.Tensor of shape (E, G, 1)
        Whether a group has samples. A group without samples has no effect, and its excess is 0.

    Returns
    -------
    excess : torch.Tensor of shape (..., E, G, C)
        The distances: positive above the band, negative below it. Their sum over groups is 0.
    """
    if rates.shape[-2] == 2:  # a closed form with a third of the operations
        gap = rates[..., :1, :] - rates[..., 1:, :]
        above = 0.5 * (gap - gap.clamp(-target, target)) * present.all(1, keepdim=True)
        return torch.cat([above, -above], -2)
    rates, present, half = rates.mT, present.mT, 0.5 * target

    def outside(values):
        return (values - values.clamp(-half, half)) * present

    ends = torch.cat([rates - half, rates + half], -1).sort(-1).values
    total = outside(rates - ends.movedim(-1, 0)[..., None]).sum(-1).movedim(0, -1)
    k = ((total >= 0).sum(-1, keepdim=True) - 1).clamp(0, ends.shape[-1] - 2)
    at = torch.cat([k, k + 1], -1)
    left, right = ends.gather(-1, at).split(1, -1)
    above, below = total.gather(-1, at).split(1, -1)
    tiny = torch.finfo(rates.dtype).tiny
    fraction = (above / (above - below).clamp(min=tiny)).clamp(0.0, 1.0)
    return outside(rates - torch.lerp(left, right, fraction)).mT


def weight_of_excess(rates, present):
    """Return the weight (E, 1, 1) of the excess in the gradient.

    For two groups and one event, the weighted excess is the gradient of `GAIN` times the squared
    excess of the difference. The weight decreases with the numbers of groups and scores, as the
    mean over pairs does.
    """
    n_pairs_factor = (present.sum(1, keepdim=True) - 1).clamp(min=1) * rates.shape[-1]
    return 4.0 * GAIN / n_pairs_factor.to(rates.dtype)


def gradient_and_update(multipliers, rates, target, present, step_size):
    r"""Return the gradient of the squared excess, and the multipliers after a step.

    The follower's loss is an augmented Lagrangian [1]_ of the constraint that the rates r of all
    groups lie in a band as wide as the target: half the weighted squared excess, plus
    :math:`\langle\mu, r\rangle`. With the excess :math:`e(\cdot)`, and s the step size times the
    weight of the excess, the step is

    .. math::

        \mu \leftarrow s\, e(r + \mu / s) .

    The page :ref:`multipliers` describes the effect, with :math:`s \rho_G` instead of s. For two
    groups, the largest multiplier changes by s / 2 times the difference minus the target, and stays
    at least 0.

    Parameters
    ----------
    multipliers, rates : torch.Tensor of shape (..., E, G, C)
        Multipliers and rates.

    target : torch.Tensor of shape () or (..., 1, 1, 1)
        Largest difference that is allowed.

    present : torch.Tensor of shape (E, G, 1)
        Whether a group has samples.

    step_size : float
        Step size.

    Returns
    -------
    gradient : torch.Tensor of shape (..., E, G, C)
        Gradient of half the weighted squared excess in the rates.
    multipliers : torch.Tensor of shape (..., E, G, C)
        Multipliers for the next batch.

    References
    ----------
    .. [1] Hestenes, M. R. (1969). Multiplier and gradient methods. Journal of Optimization Theory
       and Applications 4, 303-320.
    """
    weight = weight_of_excess(rates, present)
    # s e(r + mu / s) equals e(s r + mu) for bands of width s t. Use the second form, because it
    # avoids a division by a small s.
    s = step_size * weight
    widths = torch.stack([torch.ones_like(s), s])
    widths = target * widths.reshape(2, *(1,) * (rates.ndim - 3), *s.shape)
    now, moved = excess(torch.stack([rates, multipliers + s * rates]), widths, present)
    return weight * now, torch.where(present, moved, multipliers)


def update_factor(factor, value, target, step_size):
    r"""Return the weight of a function after a step of dual ascent on its logarithm.

    :math:`\log` of the weight grows by :math:`s\,\mathrm{clip}(v / t - 1, -1, 1)` for a value v of
    the function, a target t and the step size s. The logarithm is used because the scale of the
    function is not known.
    """
    error = (value / target - 1.0).clamp(-1.0, 1.0)
    return (factor * torch.exp(step_size * error)).clamp(*FACTOR_RANGE)

"""Augmented Lagrangian: multipliers that replace eta under a fairness target."""

import torch

FACTOR_RANGE = 1e-3, 1e4
GAIN = 4.0  # weight of the squared excess over the target
MAX_STEP = 0.05  # largest step size, because a network needs many steps to follow


def excess_weight(difference, target):
    """Return the weight of the gradient of phi: `GAIN` times the relative excess.

    For two groups and one event the weighted gradient is that of `GAIN` times the squared excess.
    """
    tiny = torch.finfo(difference.dtype).tiny
    return GAIN * (1.0 - target / difference.clamp(min=tiny)).clamp(min=0.0)


def update_multipliers(multipliers, grad, difference, target, step_size):
    r"""Return the multipliers of the rates after a step of the method of multipliers.

    The follower's loss is an augmented Lagrangian [1]_ of the constraint :math:`d \le t` for the
    difference d and the target t: the squared excess, plus :math:`\langle\mu, r\rangle` for rates
    r. With step size s and the gradient g of the squared excess,

    .. math::

        \mu \leftarrow \max\Bigl(0,\, 1 - s\,\frac{2 \cdot GAIN\,(t - d)_+}{\max|\mu|}\Bigr)\,\mu
            + s\,g .

    While d is above t, :math:`\mu` grows; while d is below, its largest entry shrinks towards 0. So
    :math:`\mu` converges when the difference equals the target. The squared gap needs no large
    weight, which would amplify the noise of batches and the delay of running rates.

    Parameters
    ----------
    multipliers, grad : torch.Tensor of shape (..., E, G, C)
        Multipliers, and gradient of the squared excess in the rates.

    difference, target : torch.Tensor of shape (...)
        Difference and target.

    step_size : float
        Step size.

    Returns
    -------
    multipliers : torch.Tensor of shape (..., E, G, C)
        Multipliers for the next batch.

    References
    ----------
    .. [1] Hestenes, M. R. (1969). Multiplier and gradient methods. Journal of Optimization Theory
       and Applications 4, 303-320.
    """
    tiny = torch.finfo(multipliers.dtype).tiny
    below = 2.0 * GAIN * (target - difference).clamp(min=0.0)
    largest = multipliers.abs().amax((-3, -2, -1)).clamp(min=tiny)
    decay = (1.0 - step_size * below / largest).clamp(min=0.0)
    return decay[..., None, None, None] * multipliers + step_size * grad


def update_factor(factor, value, target, step_size):
    r"""Return the weight of a function after a step of dual ascent on its logarithm.

    :math:`\log` of the weight grows by :math:`s\,\mathrm{clip}(v / t - 1, -1, 1)` for a value v of
    the function, a target t and the step size s. The logarithm is used because the scale of the
    function is not known.
    """
    error = (value / target - 1.0).clamp(-1.0, 1.0)
    return (factor * torch.exp(step_size * error)).clamp(*FACTOR_RANGE)

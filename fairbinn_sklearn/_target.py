"""A target for the difference in place of eta."""

import torch

ETA_RANGE = 1e-3, 1e4
GAIN = 1.0  # natural logarithm that eta moves by in an epoch of the largest error
LARGEST_SHARE = 0.05  # of an epoch in one step: a net follows eta over many steps, not epochs


def raise_or_lower(eta, difference, target, share, factor):
    r"""Eta after a share of an epoch: higher if the difference is above the target, else lower.

    Dual ascent on the logarithm of eta, with the error relative to the target and clipped:
    :math:`\log\eta` grows by :math:`\gamma\, s\, \mathrm{clip}(d / t - 1, -1, 1)` in a share s of
    an epoch. The difference falls about as 1 / eta, so equal steps of the logarithm mean equal
    parts of the difference, whatever its scale. `factor`, the learning rate as a share of the
    first one, lets eta settle as the learning rates do: later there is nothing left to follow it.
    """
    error = (difference / target - 1.0).clamp(-1.0, 1.0)
    step = GAIN * min(share, LARGEST_SHARE) * min(factor, 1.0)
    return (eta * torch.exp(step * error)).clamp(*ETA_RANGE)

r"""Measures: the value, the penalty and the excess of the rates of groups.

Rates have the shape (..., E, G, C) of events, groups and scores. Leading axes are networks that are
trained side by side, and strata. `counts`, of the shape (..., E, G, 1) or (..., E, G, C), are the
denominators of the rates; 0 means that a group has no rate, and it is then ignored.

The value of a measure is at most 1. For differences and ratios, 0 means parity. The excess is the
signed distance from the rates, or from their deviations from a reference, to the nearest rates or
deviations that meet a bound t. It scales with the rates: for a positive number s,
``excess(s * rates, t, s, counts)`` equals ``s * excess(rates, t, 1, counts)``.
"""

import torch

from ._aggregate import AGGREGATIONS, divide, gap_of_extremes


class Measure:
    """Base class of the measures."""

    def deviations(self, rates, counts):
        """Return the values whose excess is computed: the rates, unless a subclass differs."""
        return rates

    def adjoint(self, gradient, counts):
        """Return the gradient in the rates from that in the deviations."""
        return gradient


class Difference(Measure):
    """Differences between all pairs of groups."""

    def value(self, rates, counts):
        """Return the largest difference between two groups."""
        return gap_of_extremes(rates, counts > 0)[0].amax((-2, -1))

    def penalty(self, aggregation, rates, counts):
        """Return the mean or the largest squared difference."""
        return AGGREGATIONS[aggregation].penalty(rates, counts > 0)

    def gradient(self, aggregation, rates, counts):
        """Return the gradient of `penalty` in the rates."""
        return AGGREGATIONS[aggregation].gradient(rates, counts > 0)

    def excess(self, values, bound, scale, counts):
        r"""Return the signed distances to the nearest rates in a band of width t.

        The nearest rates are :math:`\mathrm{clip}(r_g, c - t/2, c + t/2)`. The centre c of the band
        is the point at which the sum of all excesses is 0. The sum is linear in c between
        neighbouring ends of the intervals :math:`r_g \pm t/2`, so c is found by interpolation.
        """
        present, width = counts > 0, bound * scale
        if values.shape[-2] == 2:  # a closed form with a third of the operations
            gap = values[..., :1, :] - values[..., 1:, :]
            above = 0.5 * (gap - gap.clamp(-width, width)) * present.all(-2, keepdim=True)
            return torch.cat([above, -above], -2)
        values, present, half = values.mT, present.mT, 0.5 * width.mT

        def outside(values):
            return (values - values.clamp(-half, half)) * present

        ends = torch.cat([values - half, values + half], -1).sort(-1).values
        total = outside(values - ends.movedim(-1, 0)[..., None]).sum(-1).movedim(0, -1)
        return outside(values - root_between(ends, total)).mT


class Ratio(Measure):
    r"""Ratios between all pairs of groups: the measure is 1 minus the smallest ratio.

    The penalty is that of `Difference` for relative rates, so it does not depend on the scale of
    the rates. With `aggregation` "mean", rates are divided by the mean rate of the groups; with
    "max", they are divided by the highest rate.
    """

    def value(self, rates, counts):
        """Return 1 minus the smallest ratio between two groups."""
        high, low = _extreme_rates(rates, counts)
        return (1.0 - _quotient(low, high)).amax((-2, -1))

    def penalty(self, aggregation, rates, counts):
        """Return the mean squared relative difference, or the square of `value`."""
        if aggregation == "max":
            return self.value(rates, counts).square()
        return Difference().penalty("mean", rates / _mean_rate(rates, counts), counts)

    def gradient(self, aggregation, rates, counts):
        """Return the gradient of `penalty` in the rates."""
        if aggregation == "max":
            gap, highest, lowest = gap_of_extremes(rates, counts > 0)
            high, low = _extreme_rates(rates, counts)
            disparity = 1.0 - _quotient(low, high)
            is_largest = _first_largest(disparity)
            factor = 2.0 * disparity * is_largest / high.clamp(min=TINY)
            group = torch.arange(rates.shape[-2], device=rates.device)[:, None]
            return (
                factor[..., None, :]
                * (
                    (group == highest[..., None, :]) * _quotient(low, high)[..., None, :]
                    - (group == lowest[..., None, :]).to(rates.dtype)
                )
                * (gap > 0)[..., None, :]
            )
        present = counts > 0
        mean = _mean_rate(rates, counts)
        relative = rates / mean
        gradient = Difference().gradient("mean", relative, counts)
        n_present = present.sum(-2, keepdim=True).clamp(min=1)
        # The mean depends on each rate: d(r_g / m) = dr_g / m - r_g dm / m^2.
        shared = (gradient * relative).sum(-2, keepdim=True) / n_present
        return (gradient - shared) * present / mean

    def excess(self, values, bound, scale, counts):
        r"""Return the signed distances to the nearest rates with a ratio of at least 1 - t.

        With :math:`\rho = 1 - t`, the nearest rates are
        :math:`\mathrm{clip}(r_g, \rho c, c)`. The highest rate c is the root of
        :math:`\sum_g (r_g - c)^+ - \rho\,(\rho c - r_g)^+`, which is linear between neighbouring
        values of :math:`r_g` and :math:`r_g / \rho`. Because rates are at least 0, so is c.
        """
        present = (counts > 0).mT
        values = values.mT
        ratio = 1.0 - torch.as_tensor(bound, dtype=values.dtype, device=values.device)
        ratio = ratio.expand(*values.shape[:-1], 1)

        def outside(highest):
            above = (values - highest).clamp(min=0.0) * present
            below = (ratio * highest - values).clamp(min=0.0) * present
            return above, below

        ends = torch.cat([values, values / ratio.clamp(min=TINY), torch.zeros_like(ratio)], -1)
        ends = ends.clamp(min=0.0).sort(-1).values
        above, below = (part.sum(-1) for part in outside(ends.movedim(-1, 0)[..., None]))
        total = (above - ratio[..., 0] * below).movedim(0, -1)
        above, below = outside(root_between(ends, total))
        return (above - below).mT


class Minimum(Measure):
    """The lowest rate of a group: the value is 1 minus this rate. Groups are not compared."""

    def value(self, rates, counts):
        """Return 1 minus the lowest rate."""
        return _shortfall(rates, counts).amax((-3, -2, -1))

    def penalty(self, aggregation, rates, counts):
        """Return the mean over groups and scores, or the largest, of the squares of 1 - rate."""
        squared = _shortfall(rates, counts).square()
        if aggregation == "max":
            return squared.amax((-3, -2, -1))
        return (squared / _number_of_rates(rates, counts)).sum((-3, -2, -1))

    def gradient(self, aggregation, rates, counts):
        """Return the gradient of `penalty` in the rates."""
        shortfall = _shortfall(rates, counts)
        if aggregation == "max":
            flat = shortfall.flatten(-3)
            return -2.0 * shortfall * _first_largest(flat, 1).reshape(shortfall.shape)
        return -2.0 * shortfall / _number_of_rates(rates, counts)

    def excess(self, values, bound, scale, counts):
        """Return the rates minus the lowest allowed rate where this is negative, else 0."""
        shortfall = (values - (1.0 - bound) * scale).clamp(max=0.0)
        return shortfall * (counts > 0)


class Reference(Measure):
    """Differences from a reference rate: of all samples, or of one group.

    Parameters
    ----------
    position : int, default=None
        Position of the group that is the reference; None means the rate of all samples.
    """

    def __init__(self, position=None):
        self.position = position

    def value(self, rates, counts):
        """Return the largest difference from the reference."""
        return self.deviations(rates, counts).abs().amax((-3, -2, -1))

    def penalty(self, aggregation, rates, counts):
        """Return the mean over groups and scores, or the largest, of the squared differences."""
        squared = self.deviations(rates, counts).square()
        if aggregation == "max":
            return squared.amax((-3, -2, -1))
        return (squared / self._number(rates, counts)).sum((-3, -2, -1))

    def gradient(self, aggregation, rates, counts):
        """Return the gradient of `penalty` in the rates."""
        deviations = self.deviations(rates, counts)
        if aggregation == "max":
            flat = deviations.abs().flatten(-3)
            grad = 2.0 * deviations * _first_largest(flat, 1).reshape(deviations.shape)
        else:
            grad = 2.0 * deviations / self._number(rates, counts)
        return self.adjoint(grad, counts)

    def deviations(self, rates, counts):
        """Return the differences from the reference, 0 if one of both has no rate."""
        reference = (self._weights(rates, counts) * rates).sum(-2, keepdim=True)
        return (rates - reference) * self._compared(counts)

    def adjoint(self, gradient, counts):
        """Return the gradient in the rates from that in the deviations."""
        gradient = gradient * self._compared(counts)
        return gradient - self._weights(gradient, counts) * gradient.sum(-2, keepdim=True)

    def excess(self, values, bound, scale, counts):
        """Return the part of the deviations that lies outside the range from -bound to bound."""
        width = bound * scale
        return (values - values.clamp(-width, width)) * self._compared(counts)

    def _compared(self, counts):
        """Return which groups have a rate, none of them if the reference group has none."""
        present = counts > 0
        if self.position is None:
            return present
        return present & present[..., self.position : self.position + 1, :]

    def _weights(self, rates, counts):
        """Return the weight of each group in the reference."""
        if self.position is not None:
            group = torch.arange(rates.shape[-2], device=rates.device)[:, None]
            return (group == self.position).to(rates.dtype)
        return divide(counts, counts.sum(-2, keepdim=True))

    def _number(self, rates, counts):
        """Return the number of groups that are compared, times the number of scores."""
        n_present = (counts > 0).sum(-2, keepdim=True).to(rates.dtype)
        return (n_present - float(self.position is not None)).clamp(min=1) * rates.shape[-1]


TINY = torch.finfo(torch.float32).tiny


def root_between(ends, total):
    """Return the root of a decreasing, piecewise linear function.

    Parameters
    ----------
    ends : torch.Tensor of shape (..., K)
        Sorted ends of the linear pieces.

    total : torch.Tensor of shape (..., K)
        Values of the function at the ends.

    Returns
    -------
    root : torch.Tensor of shape (..., 1)
        The root, or the first or last end if the function has no root between them.
    """
    k = ((total >= 0).sum(-1, keepdim=True) - 1).clamp(0, ends.shape[-1] - 2)
    at = torch.cat([k, k + 1], -1)
    left, right = ends.gather(-1, at).split(1, -1)
    above, below = total.gather(-1, at).split(1, -1)
    tiny = torch.finfo(ends.dtype).tiny
    fraction = (above / (above - below).clamp(min=tiny)).clamp(0.0, 1.0)
    return torch.lerp(left, right, fraction)


def _extreme_rates(rates, counts):
    """Return the highest and the lowest rates (..., E, C); both are 1 if no group has a rate."""
    present = counts > 0
    some = present.any(-2).expand(rates.shape[:-2] + rates.shape[-1:])
    high = rates.masked_fill(~present, -torch.inf).amax(-2)
    low = rates.masked_fill(~present, torch.inf).amin(-2)
    return high.where(some, 1.0), low.where(some, 1.0)


def _quotient(low, high):
    """Return low / high, and 1 where both are 0."""
    return torch.where(high > 0, low / high.clamp(min=TINY), 1.0)


def _mean_rate(rates, counts):
    """Return the mean rate of the groups (..., E, 1, C), at least a tiny number."""
    present = counts > 0
    total = (rates * present).sum(-2, keepdim=True)
    return (total / present.sum(-2, keepdim=True).clamp(min=1)).clamp(min=1e-6)


def _shortfall(rates, counts):
    return (1.0 - rates) * (counts > 0)


def _number_of_rates(rates, counts):
    """Return the number of groups that have a rate, times the number of scores."""
    n_present = (counts > 0).sum(-2, keepdim=True).to(rates.dtype)
    return n_present.clamp(min=1) * rates.shape[-1]


def _first_largest(values, n_axes=2):
    """Return 1 at the first occurrence of the largest value over the last axes, else 0."""
    flat = values.flatten(-n_axes) if n_axes > 1 else values
    index = torch.arange(flat.shape[-1], device=values.device)
    return (index == flat.argmax(-1, keepdim=True)).to(values.dtype).reshape(values.shape)

"""The base class of the criteria: everything except the events."""

from abc import ABCMeta, abstractmethod
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator

from .._utils.upstream import Interval, StrOptions
from ._aggregate import AGGREGATIONS, divide, gap_of_extremes


def n_classes_of(scores):
    """Return the number of classes that scores of shape (..., C) belong to: 2 for one score."""
    return max(scores.shape[-1], 2)


class FairnessLoss(BaseEstimator, metaclass=ABCMeta):
    r"""Base class of the fairness losses: squared gaps between the rates of groups.

    A subclass defines `events` only. In all shapes, N is the number of samples, G of groups, E of
    events and C of scores per sample: one score per class, or with two classes the score of the
    positive class alone.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0. It matters where several losses are combined.

    aggregation : {"mean", "max"}, default="mean"
        How squared gaps make one loss. "mean" is their mean over pairs of groups and over scores,
        summed over events; it moves every group. "max" is the largest one; it moves two groups at
        a time, and is the square of the difference that an audit reports. With two groups and one
        event both are the squared gap, whatever the sizes of the groups.

    See Also
    --------
    DemographicParity : Compare groups among all samples.
    EqualOpportunity : Compare groups among the samples of the positive class.
    FalsePositiveRateParity : Compare groups among the samples of the negative class.
    EqualizedOdds : Compare groups among the samples of each class.

    Examples
    --------
    A custom criterion: equal rates among the samples with a positive label. (The package has this
    one as `EqualOpportunity`.)

    >>> import torch
    >>> from fairbinn_sklearn.losses import FairnessLoss
    >>> class PositiveSamples(FairnessLoss):
    ...     def events(self, y, n_classes):
    ...         return (y == 1)[None, :]
    >>> scores = torch.tensor([0.9, 0.1, 0.5, 0.3])
    >>> y = torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(PositiveSamples()(scores, y, groups)), 6)
    0.16
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, np.inf, closed="neither")],
        "aggregation": [StrOptions(set(AGGREGATIONS))],
    }

    def __init__(self, weight=1.0, aggregation="mean"):
        self.weight = weight
        self.aggregation = aggregation

    @abstractmethod
    def events(self, y, n_classes):
        """Mark the samples of each event.

        The number of events must not depend on the samples.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Labels, encoded as 0 .. n_classes - 1.
        n_classes : int
            Number of classes, at least 2.

        Returns
        -------
        events : torch.Tensor of shape (E, N)
            Booleans: true where the sample lies in the event.
        """

    def membership(self, y, groups, n_classes):
        """Mark the samples of each event and group.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1, times the weight of the sample if samples have weights.
        n_classes : int
            Number of classes, at least 2.

        Returns
        -------
        membership : torch.Tensor of shape (E, N, G)
            The indicator where the sample lies in the event, else 0.
        """
        return self.events(y.long(), n_classes).to(groups.dtype)[:, :, None] * groups

    def rates(self, scores, y, groups):
        """Compute the mean score of the samples of each event and group.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores, or decisions as 0 and 1.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1, times the weight of the sample if samples have weights.

        Returns
        -------
        rates : torch.Tensor of shape (E, G, C)
            Mean scores; 0 where a group has no sample in an event.
        counts : torch.Tensor of shape (E, G)
            Number of samples of each rate, or the sum of their weights.

        Raises
        ------
        ValueError
            If the shapes do not match.
        """
        if scores.ndim == 1:
            scores = scores[:, None]
        n_samples = len(scores)
        if (
            scores.ndim != 2
            or y.shape != (n_samples,)
            or groups.ndim != 2
            or len(groups) != n_samples
        ):
            raise ValueError(
                "scores must have shape (N,) or (N, C), y (N,) and groups (N, G), got "
                f"{tuple(scores.shape)}, {tuple(y.shape)} and {tuple(groups.shape)}."
            )
        membership = self.membership(y, groups.to(scores.dtype), n_classes_of(scores))
        counts = membership.sum(1)  # (E, G)
        sums = membership.transpose(1, 2) @ scores  # (E, G, C)
        return divide(sums, counts[..., None]), counts

    def penalty(self, rates, counts):
        r"""Compute the loss of given rates.

        With `aggregation` "mean" it is the mean of the squared gaps over scores and pairs of
        groups, summed over events. The mean over pairs is computed as
        :math:`\frac{2}{G - 1} \sum_g (r_g - \bar r)^2`, where :math:`\bar r` is the mean rate of
        the G groups that are present. With "max" it is the largest squared gap.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Number of samples of each rate. Groups without samples are ignored.

        Returns
        -------
        penalty : torch.Tensor of shape (...)
            The loss, at least 0; 0 exactly at parity or with fewer than two groups.
        """
        penalty = AGGREGATIONS[self.aggregation].penalty
        return self.weight * penalty(rates, (counts > 0)[..., None])

    def gradient(self, rates, counts):
        """Compute the gradient of `penalty` with respect to the rates.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Number of samples of each rate.

        Returns
        -------
        gradient : torch.Tensor of shape (..., E, G, C)
            The partial derivatives; 0 for groups without samples.
        """
        gradient = AGGREGATIONS[self.aggregation].gradient
        return self.weight * gradient(rates, (counts > 0)[..., None])

    def difference(self, rates, counts):
        """Compute the largest difference between two groups, over all events and scores.

        With decisions as scores this is the value of fairlearn's difference metrics, such as
        :func:`fairlearn.metrics.demographic_parity_difference`. It does not depend on `weight` and
        `aggregation`.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Number of samples of each rate. Groups without samples are ignored.

        Returns
        -------
        difference : torch.Tensor of shape (...)
            The difference, from 0 to 1 for scores from 0 to 1; 0 if no group is present.
        """
        return gap_of_extremes(rates, (counts > 0)[..., None])[0].amax((-2, -1))

    def __call__(self, scores, y, groups):
        """Compute the loss of a batch, differentiable in the scores.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1, times the weight of the sample if samples have weights.

        Returns
        -------
        loss : torch.Tensor of shape ()
            `penalty` of the rates of the batch.
        """
        return self.penalty(*self.rates(scores, y, groups))

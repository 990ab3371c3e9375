"""The base class: everything about a criterion but the rows that it looks at."""

from abc import ABCMeta, abstractmethod
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator

from .._utils.upstream import Interval, StrOptions
from ._aggregate import AGGREGATIONS, divide, widest


def n_classes_of(scores):
    """Count the classes behind scores of shape (..., C): one score stands for two classes."""
    return max(scores.shape[-1], 2)


class FairnessLoss(BaseEstimator, metaclass=ABCMeta):
    r"""Base class of the fairness losses: squared gaps between the rates of groups.

    A subclass defines `events`, and nothing else. In all shapes N counts rows, G groups, E
    events and C scores a row: one for each class, but for two classes that of the positive class
    alone may do, so C is 1.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0; matters where several losses are combined.

    aggregation : {"mean", "max"}, default="mean"
        Which squared gaps make the loss: their mean over pairs of groups and over scores, added
        up over events, which moves every group; or the largest, which moves two groups at a time
        and is what the differences of an audit look at. With two groups and one event both are
        the squared gap, whatever the sizes of the groups.

    See Also
    --------
    DemographicParity : Looks at all rows.
    EqualOpportunity : Looks at the rows of the positive class.
    FalsePositiveRateParity : Looks at the rows of the negative class.
    EqualizedOdds : Looks at the rows of either class.

    Examples
    --------
    A criterion of one's own: equal rates among the rows whose label is positive. (The package has
    it: `EqualOpportunity`.)

    >>> import torch
    >>> from fairbinn_sklearn.losses import FairnessLoss
    >>> class PositiveRows(FairnessLoss):
    ...     def events(self, y, n_classes):
    ...         return (y == 1)[None, :]
    >>> scores = torch.tensor([0.9, 0.1, 0.5, 0.3])
    >>> y = torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(PositiveRows()(scores, y, groups)), 6)
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
        """Mark the rows that each event looks at.

        The number of events must not depend on the rows.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Labels, encoded as 0 .. n_classes - 1.
        n_classes : int
            Number of classes, 2 at least.

        Returns
        -------
        events : torch.Tensor of shape (E, N)
            Booleans: true where the row counts for the event.
        """

    def membership(self, y, groups, n_classes):
        """Mark the rows that lie in each event and group.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups: the weight of the row, 1 without weights, in its group, else 0.
        n_classes : int
            Number of classes, 2 at least.

        Returns
        -------
        membership : torch.Tensor of shape (E, N, G)
            Weight of the row where it counts for the event and belongs to the group, else 0.
        """
        return self.events(y.long(), n_classes).to(groups.dtype)[:, :, None] * groups

    def rates(self, scores, y, groups):
        """Mean score of the rows of each event and group.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores, or decisions as 0 and 1.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1; times the weights of the rows if they have any.

        Returns
        -------
        rates : torch.Tensor of shape (E, G, C)
            Mean scores; 0 where a group has no row in an event.
        counts : torch.Tensor of shape (E, G)
            Numbers of rows behind the rates, or their summed weights.

        Raises
        ------
        ValueError
            If the shapes do not fit each other.
        """
        if scores.ndim == 1:
            scores = scores[:, None]
        n_rows = len(scores)
        if scores.ndim != 2 or y.shape != (n_rows,) or groups.ndim != 2 or len(groups) != n_rows:
            raise ValueError(
                "scores must have shape (N,) or (N, C), y (N,) and groups (N, G); got "
                f"{tuple(scores.shape)}, {tuple(y.shape)} and {tuple(groups.shape)}."
            )
        membership = self.membership(y, groups.to(scores.dtype), n_classes_of(scores))
        counts = membership.sum(1)  # (E, G)
        sums = membership.transpose(1, 2) @ scores  # (E, G, C)
        return divide(sums, counts[..., None]), counts

    def penalty(self, rates, counts):
        r"""Loss at given rates.

        With `aggregation` "mean" it is the mean over scores and pairs of groups of the squared gap,
        added up over events. The mean over pairs is computed as
        :math:`\frac{2}{G - 1} \sum_g (r_g - \bar r)^2`, with :math:`\bar r` the mean rate of the G
        groups that are present. With "max" it is the largest squared gap.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates. Groups without a row are left out.

        Returns
        -------
        penalty : torch.Tensor of shape (...)
            The loss, at least 0; 0 exactly at parity or with fewer than two groups.
        """
        return self._aggregate(0, rates, counts)

    def gradient(self, rates, counts):
        """Gradient of `penalty` with respect to the rates.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates.

        Returns
        -------
        slopes : torch.Tensor of shape (..., E, G, C)
            The partial derivatives; 0 for groups without a row.
        """
        return self._aggregate(1, rates, counts)

    def _aggregate(self, which, rates, counts):
        """Weighted penalty, 0, or its slopes, 1."""
        value = AGGREGATIONS[self.aggregation][which](rates, (counts > 0)[..., None])
        return value if self.weight == 1 else self.weight * value

    def difference(self, rates, counts):
        """Largest difference between two groups that are present, over all events and scores.

        With decisions as scores this is what fairlearn's difference metrics report, such as
        :func:`fairlearn.metrics.demographic_parity_difference`, whatever `weight` and
        `aggregation`.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates.

        Returns
        -------
        difference : torch.Tensor of shape (...)
            The difference, from 0 to 1 for scores from 0 to 1; 0 if no group is present.
        """
        return widest(rates, (counts > 0)[..., None])[0].amax((-2, -1))

    def __call__(self, scores, y, groups):
        """Loss of a batch, differentiable in the scores.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1; times the weights of the rows if they have any.

        Returns
        -------
        loss : torch.Tensor of shape ()
            `penalty` at the rates of the batch.
        """
        return self.penalty(*self.rates(scores, y, groups))

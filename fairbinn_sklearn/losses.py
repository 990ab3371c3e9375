r"""Fairness losses: what the follower minimises.

A criterion says at which rows it looks, its *events*; everything else is shared. With
:math:`M_{eng} = 1` where row :math:`n` lies in event :math:`e` and group :math:`g`, and
scores :math:`s_{nc}`, the rates and the loss are

.. math::

    r_{egc} = \frac{\sum_n M_{eng}\, s_{nc}}{\sum_n M_{eng}}, \qquad
    \varphi(r) = \operatorname*{mean}_{e,\,c}\;
        \operatorname*{mean}_{g < h} \;(r_{egc} - r_{ehc})^2 ,

the squared gap between two groups, averaged over all pairs of groups that are present.
"""

from abc import ABCMeta, abstractmethod

import torch
from sklearn.base import BaseEstimator

__all__ = ["DemographicParity", "FairnessLoss"]


class FairnessLoss(BaseEstimator, metaclass=ABCMeta):
    r"""Base class of the fairness losses: squared gaps between the rates of groups.

    A subclass defines `events`, and nothing else. In all shapes N counts rows, G groups, E
    events and C scores a row (1 for binary labels: the score of the positive class).

    See Also
    --------
    DemographicParity : The criterion that looks at all rows.

    Examples
    --------
    A criterion of one's own: equal rates among the rows of the positive class.

    >>> import torch
    >>> from fairbinn_sklearn.losses import FairnessLoss
    >>> class PositiveRows(FairnessLoss):
    ...     def events(self, y):
    ...         return (y == 1)[None, :]
    >>> scores = torch.tensor([0.9, 0.1, 0.5, 0.3])
    >>> y = torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(PositiveRows()(scores, y, groups)), 6)
    0.16
    """

    @abstractmethod
    def events(self, y):
        """Mark the rows that each event looks at.

        The number of events must not depend on the rows.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Labels, encoded as 0 .. n_classes - 1.

        Returns
        -------
        events : torch.Tensor of shape (E, N)
            Booleans: true where the row counts for the event.
        """

    def membership(self, y, groups):
        """Mark the rows that lie in each event and group.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1.

        Returns
        -------
        membership : torch.Tensor of shape (E, N, G)
            1 where the row counts for the event and belongs to the group, else 0.
        """
        return self.events(y.long()).to(groups.dtype)[:, :, None] * groups

    def rates(self, scores, y, groups):
        """Mean score of the rows of each event and group.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores, or decisions as 0 and 1.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1.

        Returns
        -------
        rates : torch.Tensor of shape (E, G, C)
            Mean scores; 0 where a group has no row in an event.
        counts : torch.Tensor of shape (E, G)
            Numbers of rows behind the rates.

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
        membership = self.membership(y, groups.to(scores.dtype))
        counts = membership.sum(1)  # (E, G)
        sums = membership.transpose(1, 2) @ scores  # (E, G, C)
        return sums / counts.clamp(min=1.0)[..., None], counts

    def penalty(self, rates, counts):
        r"""Mean over events, scores and pairs of groups of the squared gap.

        Computed as :math:`\frac{2}{G - 1} \sum_g (r_g - \bar r)^2`, which equals the mean over
        the pairs, with :math:`\bar r` the mean rate of the G groups that are present. With two
        groups it is the squared gap, whatever their sizes.

        Parameters
        ----------
        rates : torch.Tensor of shape (E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates. Groups without a row are left out.

        Returns
        -------
        penalty : torch.Tensor of shape ()
            The loss, at least 0; 0 exactly at parity or with fewer than two groups.
        """
        deviation, scale = self._deviation(rates, counts)
        return (scale * deviation.square()).sum()

    def slopes(self, rates, counts):
        """Gradient of `penalty` with respect to the rates.

        Parameters
        ----------
        rates : torch.Tensor of shape (E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates.

        Returns
        -------
        slopes : torch.Tensor of shape (E, G, C)
            The partial derivatives; 0 for groups without a row.
        """
        deviation, scale = self._deviation(rates, counts)
        return 2.0 * scale * deviation

    def _deviation(self, rates, counts):
        """Deviations from the mean rate of the groups present, and the weight of their squares."""
        present = (counts > 0).to(rates.dtype)[..., None]  # (E, G, 1)
        n_present = present.sum(1, keepdim=True)  # (E, 1, 1)
        mean = (rates * present).sum(1, keepdim=True) / n_present.clamp(min=1.0)
        scale = 2.0 / (n_present - 1.0).clamp(min=1.0) / (rates.shape[0] * rates.shape[2])
        return (rates - mean) * present, scale

    def difference(self, rates, counts):
        """Largest difference between two groups that are present, over all events and scores.

        With decisions as scores this is what fairlearn's difference metrics report, such as
        :func:`fairlearn.metrics.demographic_parity_difference`.

        Parameters
        ----------
        rates : torch.Tensor of shape (E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (E, G)
            Rows behind the rates.

        Returns
        -------
        difference : torch.Tensor of shape ()
            The difference, from 0 to 1 for scores from 0 to 1; 0 if no group is present.
        """
        absent = (counts == 0)[..., None]
        highest = rates.masked_fill(absent, -torch.inf).amax(1)
        lowest = rates.masked_fill(absent, torch.inf).amin(1)
        return (highest - lowest).clamp(min=0.0).amax()

    def __call__(self, scores, y, groups):
        """Loss of a batch, differentiable in the scores.

        Parameters
        ----------
        scores : torch.Tensor of shape (N,) or (N, C)
            Scores.
        y : torch.Tensor of shape (N,)
            Encoded labels.
        groups : torch.Tensor of shape (N, G)
            Indicator of the groups, 0 or 1.

        Returns
        -------
        loss : torch.Tensor of shape ()
            `penalty` at the rates of the batch.
        """
        return self.penalty(*self.rates(scores, y, groups))


class DemographicParity(FairnessLoss):
    r""":math:`P(\hat Y = 1 \mid A = a) = P(\hat Y = 1)` for all groups a.

    The criterion of the FairBiNN paper [1]_, there as an absolute gap, here as a squared one
    (smooth at parity); over more than two groups the mean over all pairs.

    References
    ----------
    .. [1] Yazdani-Jahromi, M., et al. (2024). Fair Bilevel Neural Network (FairBiNN): On
       Balancing fairness and accuracy via Stackelberg Equilibrium. NeurIPS 2024.
       https://arxiv.org/abs/2410.16432

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import DemographicParity
    >>> scores = torch.tensor([0.9, 0.7, 0.5, 0.3])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(DemographicParity()(scores, torch.zeros(4), groups)), 6)  # (0.8 - 0.4) ** 2
    0.16
    """

    def events(self, y):
        """All rows: one event.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels; their values are not looked at.

        Returns
        -------
        events : torch.Tensor of shape (1, N)
            True everywhere.
        """
        return torch.ones_like(y, dtype=torch.bool)[None, :]


CONSTRAINTS = {"demographic_parity": DemographicParity}

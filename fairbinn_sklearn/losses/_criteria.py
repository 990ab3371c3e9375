"""The criteria: each defines the events within which groups are compared."""

import torch

from ._base import FairnessLoss


class DemographicParity(FairnessLoss):
    r""":math:`P(\hat Y = c \mid A = a) = P(\hat Y = c)` for all groups a and classes c.

    This is the criterion of the FairBiNN paper [1]_. The paper uses the absolute gap; the squared
    gap used here is smooth at parity.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups; the paper uses the largest.

    See Also
    --------
    fairlearn.metrics.demographic_parity_difference : Metric of the same criterion.

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

    def events(self, y, n_classes):
        """Mark all samples: one event.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels; only their number is used.
        n_classes : int
            Number of classes, not used.

        Returns
        -------
        events : torch.Tensor of shape (1, N)
            True everywhere.
        """
        return torch.ones_like(y, dtype=torch.bool)[None, :]


class EqualOpportunity(FairnessLoss):
    r""":math:`P(\hat Y = 1 \mid A = a, Y = 1) = P(\hat Y = 1 \mid Y = 1)` for all groups a.

    Equal true positive rates [1]_, for two classes, of which the second is positive.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    See Also
    --------
    fairlearn.metrics.equal_opportunity_difference : Metric of the same criterion.

    References
    ----------
    .. [1] Hardt, M., Price, E., Srebro, N. (2016). Equality of Opportunity in Supervised Learning.
       NeurIPS 2016. https://arxiv.org/abs/1610.02413

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import EqualOpportunity
    >>> scores, y = torch.tensor([0.9, 0.7, 0.5, 0.3]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(EqualOpportunity()(scores, y, groups)), 6)  # (0.9 - 0.5) ** 2
    0.16
    """

    def events(self, y, n_classes):
        """Mark the samples of the positive class: one event.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        n_classes : int
            Number of classes, which must be 2.

        Returns
        -------
        events : torch.Tensor of shape (1, N)
            True where y is 1.

        Raises
        ------
        ValueError
            If there are more than two classes.
        """
        _check_two_classes(self, n_classes)
        return (y == 1)[None, :]


class FalsePositiveRateParity(FairnessLoss):
    r""":math:`P(\hat Y = 1 \mid A = a, Y = 0) = P(\hat Y = 1 \mid Y = 0)` for all groups a.

    Equal false positive rates, also called predictive equality [1]_, for two classes, of which the
    second is positive.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    See Also
    --------
    fairlearn.metrics.false_positive_rate_difference : Metric of the same criterion.

    References
    ----------
    .. [1] Corbett-Davies, S., et al. (2017). Algorithmic Decision Making and the Cost of Fairness.
       KDD 2017. https://arxiv.org/abs/1701.08230

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import FalsePositiveRateParity
    >>> scores, y = torch.tensor([0.9, 0.7, 0.5, 0.3]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(FalsePositiveRateParity()(scores, y, groups)), 6)  # (0.7 - 0.3) ** 2
    0.16
    """

    def events(self, y, n_classes):
        """Mark the samples of the negative class: one event.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        n_classes : int
            Number of classes, which must be 2.

        Returns
        -------
        events : torch.Tensor of shape (1, N)
            True where y is 0.

        Raises
        ------
        ValueError
            If there are more than two classes.
        """
        _check_two_classes(self, n_classes)
        return (y == 0)[None, :]


class EqualizedOdds(FairnessLoss):
    r""":math:`P(\hat Y = c \mid A = a, Y = y) = P(\hat Y = c \mid Y = y)` for all a, c and y.

    With two classes these are equal true positive rates and equal false positive rates [1]_. The
    loss is the sum of the losses of `EqualOpportunity` and `FalsePositiveRateParity`. With
    `aggregation` "max" it is the larger of the two, as in the FairBiNN paper.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean squared gap over pairs of groups, summed over the classes of the label, or the largest
        squared gap.

    See Also
    --------
    fairlearn.metrics.equalized_odds_difference : Metric of the same criterion.

    References
    ----------
    .. [1] Hardt, M., Price, E., Srebro, N. (2016). Equality of Opportunity in Supervised Learning.
       NeurIPS 2016. https://arxiv.org/abs/1610.02413

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import EqualizedOdds
    >>> scores, y = torch.tensor([0.9, 0.7, 0.5, 0.5]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(EqualizedOdds()(scores, y, groups)), 6)  # 0.4 ** 2 + 0.2 ** 2
    0.2
    >>> round(float(EqualizedOdds(aggregation="max")(scores, y, groups)), 6)
    0.16
    """

    def events(self, y, n_classes):
        """Mark the samples of each class: one event per class.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        n_classes : int
            Number of classes.

        Returns
        -------
        events : torch.Tensor of shape (n_classes, N)
            True in row c where y is c.
        """
        return y == torch.arange(n_classes, device=y.device)[:, None]


def _check_two_classes(loss, n_classes):
    """Raise if there are more than two classes."""
    if n_classes > 2:
        raise ValueError(
            f"constraint {type(loss).__name__} needs two classes, because it compares the samples "
            f"of one of them, got y with {n_classes} classes. Use DemographicParity or "
            "EqualizedOdds, which take any number of classes."
        )

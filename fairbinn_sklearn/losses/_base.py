"""The base class of the criteria: everything except events and coefficients."""

import copy
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator

from .._utils.upstream import Interval, StrOptions
from ._aggregate import AGGREGATIONS, divide
from ._measures import Difference, Minimum, Ratio, Reference

_DEFAULTS = {
    "weight": 1.0,
    "aggregation": "mean",
    "measure": "difference",
    "reference": "pairs",
    "stratum_weight": "size",
}
MEASURES = {"difference": Difference, "ratio": Ratio, "minimum": Minimum}


def n_classes_of(scores):
    """Return the number of classes that scores of shape (..., C) belong to: 2 for one score."""
    return max(scores.shape[-1], 2)


def indicator_of_labels(y, n_scores):
    """Return whether the label is the class of each score (N, C); one score is that of class 1."""
    classes = torch.arange(n_scores, device=y.device) if n_scores > 1 else y.new_ones(1)
    return y[:, None] == classes


class FairnessLoss(BaseEstimator):
    r"""Base class of the fairness losses: a statistic of each group, and how groups are compared.

    The statistic of a group is a rate that is linear-fractional in the scores s of its samples,

    .. math::

        r_{egc} = \frac{\sum_n M_{eng}\,(a_{nc} + b_{nc} s_{nc})}
                      {\sum_n M_{eng}\,(c_{nc} + d_{nc} s_{nc})},

    where :math:`M_{eng} = 1` if sample n lies in event e and group g. A subclass defines the
    events, the coefficients, or both. Without them the rate is the mean score of all samples of the
    group. With decisions as scores it is a rate of the confusion matrix.

    In all shapes, N is the number of samples, G of groups, E of events and C of scores per sample:
    one score per class, or with two classes the score of the positive class alone.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0. It matters where several losses are combined.

    aggregation : {"mean", "max"}, default="mean"
        How squared gaps are combined into one loss. "mean" is their mean over pairs of groups and
        over scores, summed over events; every group has a gradient. "max" is the largest squared
        gap, the square of the difference that an audit reports; only two groups at a time have a
        gradient. With two groups and one event both are the squared gap, whatever the sizes of the
        groups.

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates of the groups. A `fairness_target` bounds it.

        - "difference": the largest difference between two groups, at most the target.
        - "ratio": the smallest ratio between two groups, at least the target. A target of 0.8 is
          the four-fifths rule. The penalty compares rates relative to their mean, so it does not
          depend on their level.
        - "minimum": the lowest rate of a group, at least the target. Groups are not compared, and
          no group has to become worse (levelling up). The penalty is the squared distance of the
          rates to 1. With `AccuracyParity` and `aggregation` "max" it minimises the error rate of
          the worst group.

        .. versionadded:: 0.2

    reference : "pairs", "overall" or a group, default="pairs"
        With `measure` "difference", what the rate of a group is compared with: the rate of each
        other group, the rate of all samples, or the rate of one group. Groups have the names of
        `groups_`; in direct calls of the loss, pass the position of the group. With "overall" or
        a group, the measure is the largest difference from the reference.

        .. versionadded:: 0.2

    stratum_weight : {"size", "equal"}, default="size"
        How the strata of `control_features` are weighted: by their number of samples, or equally.

        .. versionadded:: 0.2

    See Also
    --------
    DemographicParity : Compare groups among all samples.
    EqualOpportunity : Compare groups among the samples of the positive class.
    EqualizedOdds : Compare groups among the samples of each class.
    PredictiveParity : Compare the precision of groups.
    AccuracyParity : Compare the accuracy of groups.

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

    A custom statistic: the Jaccard index, TP / (TP + FP + FN).

    >>> class JaccardParity(FairnessLoss):
    ...     def coefficients(self, label):
    ...         return 0.0, label, label, 1.0 - label
    >>> round(float(JaccardParity()(scores, y, groups)), 4)  # (0.9 / 1.1 - 0.5 / 1.3) ** 2
    0.188
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, np.inf, closed="neither")],
        "aggregation": [StrOptions(set(AGGREGATIONS))],
        "measure": [StrOptions(set(MEASURES))],
        "reference": "no_validation",
        "stratum_weight": [StrOptions({"size", "equal"})],
    }

    _lower_is_better = False  # whether a group is better off with a lower rate

    def __init__(
        self,
        weight=1.0,
        aggregation="mean",
        measure="difference",
        reference="pairs",
        stratum_weight="size",
    ):
        self.weight = weight
        self.aggregation = aggregation
        self.measure = measure
        self.reference = reference
        self.stratum_weight = stratum_weight

    def __getattr__(self, name):
        """Return the default of a parameter that the constructor of a subclass does not set."""
        if name in _DEFAULTS:
            return _DEFAULTS[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def events(self, y, n_classes):
        """Mark the samples of each event; by default, one event with all samples.

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
        return torch.ones_like(y, dtype=torch.bool)[None, :]

    def coefficients(self, label):
        """Return the coefficients of the rate; by default, those of the mean score.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            The numerator is the sum of a + b s over samples with scores s, and the denominator is
            the sum of c + d s. The denominator must be at least 0 for scores from 0 to 1.
        """
        return 0.0, 1.0, 1.0, 0.0

    @property
    def is_mean(self):
        """Whether all rates are mean scores."""
        return type(self).coefficients is FairnessLoss.coefficients

    @property
    def target_is_lower_bound(self):
        """Whether a fairness target is a lower bound, as for a ratio or a minimum."""
        return self.measure != "difference"

    @property
    def measures_level(self):
        """Whether the level of each group is measured, and not a gap between groups."""
        return self.measure == "minimum"

    @property
    def measure_name(self):
        """Return the name of the value that a fairness target bounds, in words."""
        return {
            "difference": "largest difference",
            "ratio": "smallest ratio",
            "minimum": "lowest rate",
        }[self.measure]

    def largest_value(self, target):
        """Return the bound on `difference` that a fairness target sets.

        Parameters
        ----------
        target : float or torch.Tensor
            Fairness target.

        Returns
        -------
        bound : float or torch.Tensor
            The target; 1 minus the target if it is a lower bound.
        """
        return 1.0 - target if self.target_is_lower_bound else target

    def check(self):
        """Raise if parameters contradict each other.

        Raises
        ------
        ValueError
            If `measure` is "minimum" for rates that are better if they are lower, or a `reference`
            is set with a `measure` other than "difference".
        """
        if self.measure == "minimum" and self._lower_is_better:
            raise ValueError(
                f'measure must not be "minimum" for {type(self).__name__}, because a lower rate is '
                'better for the group. Use "difference" or "ratio".'
            )
        is_pairs = isinstance(self.reference, str) and self.reference == "pairs"
        if self.measure != "difference" and not is_pairs:
            raise ValueError(
                f'reference must be "pairs" with measure={self.measure!r}, got {self.reference!r}. '
                "A reference applies to differences only."
            )

    def bind(self, names):
        """Return a copy that knows the position of the reference group.

        Parameters
        ----------
        names : list of pandas.Index
            Names of the groups of each sensitive feature, or of their combinations.

        Returns
        -------
        bound : FairnessLoss
            The copy, or the loss itself if its reference is not a group.

        Raises
        ------
        ValueError
            If the reference is not one of the groups.
        """
        if isinstance(self.reference, str) and self.reference in ("pairs", "overall"):
            return self
        if len(names) != 1:
            raise ValueError(
                'reference must be "pairs" or "overall" for sensitive features with '
                f'combine="separate", got {self.reference!r}.'
            )
        found = names[0].get_indexer_for([self.reference])
        if len(found) != 1 or found[0] < 0:
            raise ValueError(
                f'reference must be "pairs", "overall" or one of the groups {list(names[0])}, got '
                f"{self.reference!r}."
            )
        bound = copy.copy(self)
        bound._position = int(found[0])
        return bound

    @property
    def _measure(self):
        """Return the object that compares the rates of groups."""
        if self.measure != "difference":
            return MEASURES[self.measure]()
        if isinstance(self.reference, str) and self.reference == "pairs":
            return Difference()
        if isinstance(self.reference, str) and self.reference == "overall":
            return Reference()
        return Reference(vars(self).get("_position", self.reference))

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
        """Compute the rate of each event and group.

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
            Rates; 0 where a group has no sample in an event, or the denominator is 0.
        counts : torch.Tensor of shape (E, G, 1) or (E, G, C)
            Denominators of the rates. For mean scores, they are the numbers of samples, or the sums
            of their weights. For other rates, each score has a separate denominator.

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
        n_classes = n_classes_of(scores)
        membership = self.membership(y, groups.to(scores.dtype), n_classes).transpose(1, 2)
        if self.is_mean:
            counts = membership.sum(2, keepdim=True)  # (E, G, 1)
            return divide(membership @ scores, counts), counts
        a, b, c, d = self.expanded_coefficients(y, scores.shape[1], scores.dtype)
        counts = membership @ (c + d * scores)  # (E, G, C)
        return divide(membership @ (a + b * scores), counts), counts

    def expanded_coefficients(self, y, n_scores, dtype):
        """Return the coefficients of each event, as one tensor.

        Parameters
        ----------
        y : torch.Tensor of shape (N,)
            Encoded labels.
        n_scores : int
            Number of scores per sample: 1 for the second of two classes, otherwise one per class.
        dtype : torch.dtype
            Type of the result.

        Returns
        -------
        coefficients : torch.Tensor of shape (4, E, N, C)
            The coefficients a, b, c and d.
        """
        label = indicator_of_labels(y, n_scores).to(dtype)
        n_classes = max(n_scores, 2)
        n_events = len(self.events(torch.arange(n_classes), n_classes))
        ones = torch.ones_like(label)
        stacked = torch.stack([coefficient * ones for coefficient in self.coefficients(label)])
        return stacked[:, None].expand(4, n_events, *label.shape)

    def penalty(self, rates, counts):
        r"""Compute the loss of given rates.

        For differences between pairs, `aggregation` "mean" is the mean of the squared gaps over
        scores and pairs of groups, summed over events. The mean over pairs is computed as
        :math:`\frac{2}{G - 1} \sum_g (r_g - \bar r)^2`, where :math:`\bar r` is the mean rate of
        the G groups that are present. With "max" it is the largest squared gap.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates. Groups with 0 are ignored.

        Returns
        -------
        penalty : torch.Tensor of shape (...)
            The loss, at least 0. For a difference or a ratio it is 0 exactly at parity or with
            fewer than two groups.
        """
        return self.weight * self._measure.penalty(self.aggregation, rates, counts)

    def gradient(self, rates, counts):
        """Compute the gradient of `penalty` with respect to the rates.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates.

        Returns
        -------
        gradient : torch.Tensor of shape (..., E, G, C)
            The partial derivatives; 0 for groups without a rate.
        """
        return self.weight * self._measure.gradient(self.aggregation, rates, counts)

    def difference(self, rates, counts):
        """Compute the value that a fairness target bounds, over all events and scores.

        With decisions as scores and the default parameters this is the value of fairlearn's
        difference metrics, such as :func:`fairlearn.metrics.demographic_parity_difference`. It does
        not depend on `weight` and `aggregation`.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates. Groups with 0 are ignored.

        Returns
        -------
        difference : torch.Tensor of shape (...)
            The largest difference. With `measure` "ratio" or "minimum", 1 minus the smallest ratio
            or rate. It lies between 0 and 1 for scores from 0 to 1; 0 if no group is present.
        """
        return self._measure.value(rates, counts)

    def deviations(self, rates, counts):
        """Return the values that a target bounds: the rates, or differences from the reference.

        Parameters
        ----------
        rates : torch.Tensor of shape (..., E, G, C)
            Rates of each event and group.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates.

        Returns
        -------
        deviations : torch.Tensor of shape (..., E, G, C)
            A linear function of the rates.
        """
        return self._measure.deviations(rates, counts)

    def adjoint(self, gradient, counts):
        """Return the gradient in the rates from the gradient in the deviations.

        Parameters
        ----------
        gradient : torch.Tensor of shape (..., E, G, C)
            Gradient in the deviations.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates.

        Returns
        -------
        gradient : torch.Tensor of shape (..., E, G, C)
            Gradient in the rates.
        """
        return self._measure.adjoint(gradient, counts)

    def excess(self, values, bound, scale, counts):
        """Return the signed distances from scaled deviations to the nearest allowed ones.

        Parameters
        ----------
        values : torch.Tensor of shape (..., E, G, C)
            Deviations times `scale`.
        bound : torch.Tensor
            Bound on `difference`, in a shape that matches the values.
        scale : torch.Tensor of shape (..., E, 1, 1) or (..., E, 1, C)
            Positive numbers.
        counts : torch.Tensor of shape (..., E, G, 1) or (..., E, G, C)
            Denominators of the rates. The excess of a group with 0 is 0.

        Returns
        -------
        excess : torch.Tensor of shape (..., E, G, C)
            The distances; 0 where the bound is met.
        """
        return self._measure.excess(values, bound, scale, counts)

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

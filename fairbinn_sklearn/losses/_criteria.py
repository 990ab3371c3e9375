"""The criteria: each defines which samples of the groups are compared, or by which statistic."""

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

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

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


class EqualOpportunity(FairnessLoss):
    r""":math:`P(\hat Y = 1 \mid A = a, Y = 1) = P(\hat Y = 1 \mid Y = 1)` for all groups a.

    Equal true positive rates [1]_, for two classes, of which the second is positive.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

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

    measure : {"difference", "ratio"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

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

    _lower_is_better = True

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

    measure : {"difference", "ratio"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

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

    _lower_is_better = True

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


class PredictiveParity(FairnessLoss):
    r""":math:`P(Y = c \mid A = a, \hat Y = c) = P(Y = c \mid \hat Y = c)` for all a and c.

    .. versionadded:: 0.2

    Equal precision [1]_, also called equal positive predictive value: a positive prediction means
    the same in every group. With several classes each class is compared against the others. The
    rate of a group is

    .. math::

        \frac{\sum_n y_n s_n}{\sum_n s_n} .

    Use it when somebody acts on positive predictions and trusts them equally in all groups. If base
    rates differ, it contradicts equalized odds [1]_.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

    See Also
    --------
    sklearn.metrics.precision_score : The rate of a group, for decisions.

    References
    ----------
    .. [1] Chouldechova, A. (2017). Fair Prediction with Disparate Impact: A Study of Bias in
       Recidivism Prediction Instruments. Big Data 5(2). https://arxiv.org/abs/1703.00056

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import PredictiveParity
    >>> scores, y = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(PredictiveParity()(scores, y, groups)), 6)  # (1 / 2 - 1) ** 2
    0.25
    """

    def coefficients(self, label):
        """Return the coefficients of the precision.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            0, the label, 0 and 1.
        """
        return 0.0, label, 0.0, 1.0


class FalseOmissionRateParity(FairnessLoss):
    r""":math:`P(Y = c \mid A = a, \hat Y \ne c) = P(Y = c \mid \hat Y \ne c)` for all a and c.

    .. versionadded:: 0.2

    Equal false omission rates: the fraction of positive samples among those predicted as negative.
    Together with `PredictiveParity` it is called conditional use accuracy equality [1]_. The rate
    of a group is

    .. math::

        \frac{\sum_n y_n (1 - s_n)}{\sum_n (1 - s_n)} .

    Use it when a negative prediction withholds help, and must be equally trustworthy in all groups.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

    See Also
    --------
    PredictiveParity : The same for positive predictions.

    References
    ----------
    .. [1] Berk, R., Heidari, H., Jabbari, S., Kearns, M., Roth, A. (2021). Fairness in Criminal
       Justice Risk Assessments: The State of the Art. Sociological Methods & Research 50(1).
       https://arxiv.org/abs/1703.09207

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import FalseOmissionRateParity
    >>> scores, y = torch.tensor([0.0, 0.0, 0.0, 1.0]), torch.tensor([1, 0, 0, 1])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(FalseOmissionRateParity()(scores, y, groups)), 6)  # (1 / 2 - 0) ** 2
    0.25
    """

    _lower_is_better = True

    def coefficients(self, label):
        """Return the coefficients of the false omission rate.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            The label, minus the label, 1 and -1.
        """
        return label, -label, 1.0, -1.0


class AccuracyParity(FairnessLoss):
    r""":math:`P(\hat Y = Y \mid A = a) = P(\hat Y = Y)` for all groups a.

    .. versionadded:: 0.2

    Equal accuracy, or equal error rates, also called overall accuracy equality [1]_. With several
    classes it is the accuracy of each class against the others. The rate of a group is

    .. math::

        \frac{1}{N_a} \sum_n y_n s_n + (1 - y_n)(1 - s_n) .

    Use it when errors of both kinds cost the same and no group may bear more of them. It can be met
    by making errors in the group with the higher accuracy; `measure` "minimum" avoids this.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

    See Also
    --------
    fairlearn.reductions.ErrorRateParity : Constraint of the same criterion.

    References
    ----------
    .. [1] Berk, R., Heidari, H., Jabbari, S., Kearns, M., Roth, A. (2021). Fairness in Criminal
       Justice Risk Assessments: The State of the Art. Sociological Methods & Research 50(1).
       https://arxiv.org/abs/1703.09207

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import AccuracyParity
    >>> scores, y = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(AccuracyParity()(scores, y, groups)), 6)  # (1 / 2 - 1) ** 2
    0.25
    """

    def coefficients(self, label):
        """Return the coefficients of the accuracy.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            1 minus the label, 2 times the label minus 1, 1 and 0.
        """
        return 1.0 - label, 2.0 * label - 1.0, 1.0, 0.0


class F1Parity(FairnessLoss):
    r"""Equal F1 scores of all groups.

    .. versionadded:: 0.2

    The F1 score is the harmonic mean of precision and true positive rate [1]_. With several
    classes, each class is compared against the others. The rate of a group is

    .. math::

        \frac{2 \sum_n y_n s_n}{\sum_n (y_n + s_n)} .

    Use it when positives are rare and the quality of their detection must be equal in all groups.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio", "minimum"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

    See Also
    --------
    sklearn.metrics.f1_score : The rate of a group, for decisions.

    References
    ----------
    .. [1] Buyl, M., Defrance, M., De Bie, T. (2024). fairret: a Framework for Differentiable
       Fairness Regularization Terms. ICLR 2024. https://arxiv.org/abs/2310.17256

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import F1Parity
    >>> scores, y = torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(F1Parity()(scores, y, groups)), 6)  # (2 / 3 - 1) ** 2
    0.111111
    """

    def coefficients(self, label):
        """Return the coefficients of the F1 score.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            0, 2 times the label, the label and 1.
        """
        return 0.0, 2.0 * label, label, 1.0


class TreatmentEquality(FairnessLoss):
    r"""Equal shares of false negatives among the errors in all groups.

    .. versionadded:: 0.2

    Treatment equality [1]_ compares the ratio of false negatives to false positives, FN / FP, which
    has no upper limit. The rate used here is FN / (FN + FP), which lies between 0 and 1. Two groups
    have the same rate if and only if they have the same ratio. With several classes, each class is
    compared against the others. The rate of a group is

    .. math::

        \frac{\sum_n y_n (1 - s_n)}{\sum_n y_n (1 - s_n) + (1 - y_n) s_n} .

    Use it when errors are accepted but must have the same direction in all groups: no group may be
    mainly overestimated and another underestimated.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, > 0.

    aggregation : {"mean", "max"}, default="mean"
        Mean or largest squared gap over pairs of groups.

    measure : {"difference", "ratio"}, default="difference"
        The value that is computed from the rates, see `FairnessLoss`.

    reference : "pairs", "overall" or a group, default="pairs"
        What the rate of a group is compared with, see `FairnessLoss`.

    stratum_weight : {"size", "equal"}, default="size"
        How strata of `control_features` are weighted.

    See Also
    --------
    AccuracyParity : Compare the numbers of errors.

    References
    ----------
    .. [1] Berk, R., Heidari, H., Jabbari, S., Kearns, M., Roth, A. (2021). Fairness in Criminal
       Justice Risk Assessments: The State of the Art. Sociological Methods & Research 50(1).
       https://arxiv.org/abs/1703.09207

    Examples
    --------
    >>> import torch
    >>> from fairbinn_sklearn.losses import TreatmentEquality
    >>> scores, y = torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.tensor([1, 0, 1, 0])
    >>> groups = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(float(TreatmentEquality()(scores, y, groups)), 6)  # (1 / 2 - 1) ** 2
    0.25
    """

    _lower_is_better = True

    def coefficients(self, label):
        """Return the coefficients of the share of false negatives among the errors.

        Parameters
        ----------
        label : torch.Tensor of shape (N, C)
            1 where the label of the sample is the class of the score, else 0.

        Returns
        -------
        a, b, c, d : float or torch.Tensor of shape (N, C)
            The label, minus the label, the label, and 1 minus 2 times the label.
        """
        return label, -label, label, 1.0 - 2.0 * label


def _check_two_classes(loss, n_classes):
    """Raise if there are more than two classes."""
    if n_classes > 2:
        raise ValueError(
            f"constraint {type(loss).__name__} needs two classes, because it compares the samples "
            f"of one of them, got y with {n_classes} classes. Use DemographicParity or "
            "EqualizedOdds, which take any number of classes."
        )

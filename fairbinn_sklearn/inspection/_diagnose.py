"""The public function `diagnose`: findings by priority, and one consistent list of advice."""

from dataclasses import replace

from .._data.frames import check_order
from .._data.groups import columns_by_stratum, strata_of
from .._data.labels import label_codes
from .._training.outcome import decide
from ..losses import FairnessLoss
from ..metrics._bootstrap import check_bootstrap, interval
from . import _checks
from ._audit import encode_groups, group_rates, rate_weights
from ._history import TrainingHistory, split_pipeline
from ._report import FAILS, InspectionReport

# A network that fails these checks has not learned the labels, so the others mean little.
ROOT_CAUSES = ("loss", "predictions")


def diagnose(
    clf,
    X,
    y=None,
    sensitive_features=None,
    *,
    sample_weight=None,
    control_features=None,
    n_boot=1000,
    confidence_level=0.95,
    random_state=None,
):
    """Diagnose training and predictions of a fitted classifier, and say what to change first.

    .. versionadded:: 0.2

    The report looks for signs of trouble: features that are not scaled, a loss no better than that
    of constant predictions, constant predictions, overfitting, a difference between groups that is
    too large, accuracy lost without effect, and steps of the follower that are always shortened.

    Parameters
    ----------
    clf : FairBiNNClassifier or Pipeline
        Fitted classifier, or a fitted pipeline that ends in one.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, as for `predict`; preferably held-out samples, not used for training.

    y : array-like of shape (n_samples,), default=None
        Labels of the samples. Without them the report cannot judge overfitting.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Sensitive features of the samples, as in `fit`. With them, and with `y`, the report contains
        an audit: the difference between groups on `X`, in the rates of the `constraint`, with a
        bootstrap interval. Samples of unknown groups count in no rate.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the loss on `X` and in the audit, >= 0. Samples of weight 0 count
        only in the check of the features.

    control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Features within whose values groups are compared in the audit, as in `fit`. Pass them if
        they were passed to `fit`, because a `fairness_target` then applies within their values.

    n_boot : int, default=1000
        Number of bootstrap resamples, >= 1.

    confidence_level : float, default=0.95
        Confidence level of the interval, in (0, 1).

    random_state : int, RandomState instance or None, default=None
        Source of the resamples.

    Returns
    -------
    report : InspectionReport
        One finding for each check, by priority. With an audit, `details` contains the "difference",
        the interval from "low" to "high", and "fewest_samples", the smallest number of samples in
        a rate.

    Raises
    ------
    TypeError
        If `clf` is not a FairBiNNClassifier or a pipeline that ends in one.

    NotFittedError
        If `clf` is not fitted.

    ValueError
        If `X` does not fit `clf`, if `sensitive_features` is passed without `y`, or if another
        argument is not valid.

    See Also
    --------
    check_assumptions : Check the assumptions of the paper.
    AuditDisplay : Draw the rates of each group with their intervals.
    TrainingDisplay : Draw the history of the training.

    Notes
    -----
    The advice never contradicts itself. The checks are ordered by priority, and each piece of
    advice has one or two topics, such as the weight of the fairness loss or the length of the
    training. If two findings have a common topic, only the first gives advice; the other stays in
    the table without advice. If the network has not learned the labels (checks "loss" and
    "predictions"), later findings give no advice.

    Thresholds are conventions that separate clear cases. A difference is small if it is at most
    0.05; under a `fairness_target`, if it exceeds the target by at most a quarter of the target or
    by at most 0.01.

    The differences in "difference", "decrease", "price" and "scores_agree" are those of the
    training samples, measured while the weights changed. The interval of the audit is computed as
    in :class:`AuditDisplay`, with the same limitations. If `sample_weight` was passed to `fit`,
    pass the weights of these samples too, because otherwise the losses cannot be compared.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.inspection import diagnose
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 1000)
    >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
    >>> y = (X.sum(axis=1) + rng.normal(size=1000) > 1.5).astype(int)
    >>> clf = FairBiNNClassifier(eta=0.1, random_state=0).fit(X, y, sensitive_features=group)
    >>> frame = diagnose(clf, X, y, group, random_state=0).to_frame()
    >>> frame.loc["difference", ["verdict", "advice"]].tolist()
    ['does not hold', 'Raise eta (now 0.1).']
    """
    bootstrap = {"n_boot": n_boot, "random_state": random_state}
    check_bootstrap("diagnose", confidence_level=confidence_level, **bootstrap)
    check_order(sensitive_features, X=X, y=y)
    check_order(control_features, of="control_features", X=X, y=y)
    clf, X, samples = split_pipeline(clf, X)
    history = TrainingHistory.of(clf)
    logits = clf.decision_function(X)
    if y is None and sensitive_features is not None:
        raise ValueError("y must be passed with sensitive_features, got None.")
    if control_features is not None and sensitive_features is None:
        raise ValueError("sensitive_features must be passed with control_features, got None.")
    weight = rate_weights(sample_weight, logits)
    is_counted = weight > 0
    logits, weight = logits[is_counted], weight[is_counted]
    predictions = decide(clf.net_, logits)
    truth = None if y is None else label_codes(X, y, clf.classes_)[is_counted]
    features = _checks.check_features(samples, getattr(clf, "feature_names_in_", None))
    is_scaled = features.verdict != FAILS
    findings = [
        features,
        _checks.check_loss(history, truth, weight, is_scaled),
        _checks.check_predictions(history, predictions, truth),
        _checks.check_overfitting(history, logits, truth, weight),
        _checks.check_difference(history),
    ]
    details = {}
    if sensitive_features is not None:
        if isinstance(history.constraint, FairnessLoss):
            codes, names = encode_groups(sensitive_features, is_counted, history.combine)
            constraint = history.constraint.bind(names)
            if control_features is not None:
                strata, _ = strata_of(control_features, len(is_counted))
                codes = columns_by_stratum(codes, strata[is_counted])
            n_classes = len(clf.classes_)
            labels = (truth, predictions)
            if history.positive == 0:  # the criterion expects the positive class as code 1
                labels = (1 - truth, 1 - predictions)
            rates = group_rates(constraint, n_classes, *labels, codes, weight, **bootstrap)
            difference = rates.difference()
            values = map(float, (difference[0], *interval(difference, confidence_level)))
            details = dict(zip(("difference", "low", "high"), values, strict=True))
            details["fewest_samples"] = rates.fewest_samples()
        findings.append(_checks.check_audit(history, details, confidence_level))
    findings += [
        _checks.check_decrease(history),
        _checks.check_price(history),
        _checks.check_agreement(history),
        _checks.check_step_bound(history),
    ]
    return InspectionReport(
        _prioritise(findings),
        title=f"Training and predictions of a FairBiNN classifier, on {len(predictions):,} samples",
        advice_title="What to do first",
        details=details,
    )


def _prioritise(findings):
    """Keep only the first advice on each topic, and no advice after a root cause."""
    advised, is_blocked, prioritised = set(), False, []
    for finding in findings:
        if is_blocked or advised.intersection(finding.topics):
            finding = replace(finding, advice="")
        if finding.advice:
            advised.update(finding.topics)
        is_blocked |= finding.check in ROOT_CAUSES and finding.verdict == FAILS
        prioritised.append(finding)
    return prioritised

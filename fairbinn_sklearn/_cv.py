"""Choice of eta, or of a target, by cross-validation under a bound."""

import warnings
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from ._classifier import FairBiNNClassifier
from ._data.groups import GroupEncoder, sensitive_frame
from ._data.labels import plain_labels, plain_weights
from ._path import FairnessPath
from ._points import fit_points, points_of, refuse_target, seeds_of, split_pipeline
from ._utils.fit_warnings import SharedWarnings, warn_of_many, warnings_of
from ._utils.upstream import HasMethods, Interval, StrOptions, fit_context, safe_indexing
from .metrics import best_under
from .metrics._measure import default_metrics, measure, sign, trained_metric


class FairBiNNClassifierCV(SharedWarnings, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """`FairBiNNClassifier` whose eta or target is chosen by cross-validation under a bound.

    For each fold, and then for all samples, the networks of all etas or targets are trained by
    `fairness_path`. Among the values whose mean difference over the folds meets the bound, the
    value with the best mean score is chosen.

    Parameters
    ----------
    etas : array-like of shape (n_etas,), default=None
        Weights of the fairness loss, >= 0. None means 0, 0.3, 1, 3, 10 and 30, unless `targets` are
        set.

    targets : array-like of shape (n_targets,), default=None
        Values of `fairness_target`, instead of etas. A target is met on the training samples;
        cross-validation finds a target that meets the bound on held-out samples.

    estimator : FairBiNNClassifier or Pipeline, default=None
        All other parameters; it is not fitted itself. The other steps of a pipeline are fitted
        anew in each fold. None means ``FairBiNNClassifier()``.

    cv : int or cross-validation generator, default=5
        Number of folds, or a splitter of scikit-learn, which receives the labels. With a number,
        folds are stratified by label and group together, and shuffled by the `random_state` of
        `estimator`.

    bound : float, default=0.05
        Largest mean difference over the folds, or smallest mean ratio, from 0 to 1.

    metric : str, default=None
        Name of a difference or ratio, as in `fairbinn_sklearn.metrics.FairnessScorer`. None means
        the metric of `constraint`, such as "equal_opportunity_difference", or
        "equal_opportunity_ratio" if its `measure` is "ratio". For lists, custom criteria
        and functions it means "demographic_parity_difference". If `measure` is "minimum", the bound
        is the lowest rate allowed.

        .. versionchanged:: 0.2 The default follows the constraint.

    scoring : str, default="accuracy"
        Name of a scorer of scikit-learn.

    warm_start : bool or "auto", default="auto"
        Whether each network starts from the one before it, as in `fairness_path`.

    epochs_per_point : int, default=None
        Number of epochs from one network to the next, as in `fairness_path`.

    n_jobs : int, default=None
        Number of folds to train at the same time, by joblib. None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 means all cores.

    Attributes
    ----------
    best_params_ : dict
        The chosen value, with the key "eta" or "fairness_target".

    eta_ : float
        The chosen eta; for a target, the weight that training found.

    estimator_ : FairBiNNClassifier or Pipeline
        Classifier with the chosen value, fitted on all samples.

    path_ : FairnessPath
        Classifiers of all etas or targets, fitted on all samples, with their metrics on the same
        samples. To compare them, use `cv_results_`, which has metrics of held-out samples.

    cv_results_ : dict of str to array
        Metrics on the held-out samples of the folds, with the keys of
        :class:`sklearn.model_selection.GridSearchCV`; differences are negated.

    best_score_ : float
        Mean score of the chosen value on the held-out samples of the folds.

    best_index_ : int
        Index of the chosen value in `etas` or `targets`.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had names.

    See Also
    --------
    fairness_path : Train the path without choosing.
    fairbinn_sklearn.metrics.best_under : Make the same choice in scikit-learn's searches.

    Notes
    -----
    A search over `eta` by GridSearchCV can apply the same rule and also tune other parameters and
    the preprocessing, but needs a fit for each candidate and fold. With sample weights the metrics
    are weighted, too.

    Without sensitive features nothing can be chosen: one network is trained for accuracy alone.

    Save or export `estimator_` with skops or ONNX; this class also holds the other classifiers.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 2000)
    >>> X = rng.normal(size=(2000, 4))
    >>> X[:, 0] += 2 * (group == "a")
    >>> y = X.sum(axis=1) + rng.normal(size=2000) > 1
    >>> settings = FairBiNNClassifier(max_epochs=10, lr=0.01, random_state=0)
    >>> clf = FairBiNNClassifierCV(etas=[0, 10], estimator=settings, cv=3, bound=0.1)
    >>> clf.fit(X, y, sensitive_features=group).eta_
    10.0
    """

    _parameter_constraints = {
        "etas": ["array-like", None],
        "targets": ["array-like", None],
        "estimator": [HasMethods("fit"), None],
        "cv": ["cv_object"],
        "bound": [Interval(Real, 0, 1, closed="both")],
        "metric": [str, None],
        "scoring": [str],
        "warm_start": ["boolean", StrOptions({"auto"})],
        "epochs_per_point": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
    }

    # Metadata routing: what users would otherwise request by set_fit_request.
    __metadata_request__fit = {
        "sensitive_features": True,
        "control_features": True,
        "groups": True,
    }

    def __init__(
        self,
        etas=None,
        *,
        targets=None,
        estimator=None,
        cv=5,
        bound=0.05,
        metric=None,
        scoring="accuracy",
        warm_start="auto",
        epochs_per_point=None,
        n_jobs=None,
    ):
        self.etas = etas
        self.targets = targets
        self.estimator = estimator
        self.cv = cv
        self.bound = bound
        self.metric = metric
        self.scoring = scoring
        self.warm_start = warm_start
        self.epochs_per_point = epochs_per_point
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        *,
        sensitive_features=None,
        sample_weight=None,
        control_features=None,
        groups=None,
    ):
        """Train the networks on the folds and on all samples, and choose eta or the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training samples, numeric and scaled unless `estimator` is a pipeline that encodes them.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), \
                default=None
            Sensitive features, as in `FairBiNNClassifier.fit`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, as in `FairBiNNClassifier.fit`.

        control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Features within whose values groups are compared, as in `FairBiNNClassifier.fit`.
            Each metric is then the worst value over their strata.

            .. versionadded:: 0.2

        groups : array-like of shape (n_samples,), default=None
            Groups for a splitter such as :class:`sklearn.model_selection.GroupKFold`: samples of
            one group, such as one person, stay in one fold. They are not sensitive features.

        Returns
        -------
        self : FairBiNNClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid, or if training diverges. An estimator that
            was fitted before remains unchanged.

        TypeError
            If `estimator` is not a `FairBiNNClassifier`, or a pipeline that ends in one.

        Warns
        -----
        UserWarning
            If no point meets the bound. The closest is then chosen.
        UserWarning, ConvergenceWarning, MissingSensitiveFeaturesWarning
            The warnings of `FairBiNNClassifier.fit`, one of each kind. A warning names the fits on
            all samples that it concerns. If it concerns none of them, it names the fits in folds.
        """
        estimator, classifier = self.estimator, split_pipeline(self.estimator)[1]
        if self.targets is None:
            refuse_target(classifier)
        metric = trained_metric(classifier) if self.metric is None else self.metric
        choose = best_under(self.bound, metric, self.scoring)
        points, (seed,) = points_of(self.etas, self.targets), seeds_of(None, classifier)
        metrics = list(dict.fromkeys([metric, *default_metrics(classifier)]))
        if sensitive_features is None:
            points, metrics = points[-1:], []  # nothing to choose; the classifier warns of that
        scoring = {"metrics": metrics, "score": self.scoring}
        training = {"warm_start": self.warm_start, "epochs_per_point": self.epochs_per_point}
        classifiers, reason, named_warnings = fit_points(
            estimator,
            points,
            [seed],
            X,
            y,
            sensitive_features,
            sample_weight,
            control_features,
            **training,
        )
        with warnings_of(self):
            warn_of_many(named_warnings, len(points))
        table = measure(
            classifiers,
            X,
            y,
            sensitive_features,
            sample_weight=sample_weight,
            control_features=control_features,
            **scoring,
        )
        path = FairnessPath(classifiers, table, reason, of_training=True)
        fit_and_measure = partial(_fold, estimator, points, seed, training, scoring)
        results, of_folds, n_folds = self._cross_validate(
            fit_and_measure,
            path.by,
            points,
            seed,
            X,
            y,
            sensitive_features,
            sample_weight,
            control_features,
            groups,
        )
        kinds = {warning.kind for _, warning in named_warnings}
        of_folds = [(name, warning) for name, warning in of_folds if warning.kind not in kinds]
        with warnings_of(self):
            warn_of_many(of_folds, len(points) * n_folds)
        best = choose(results) if sensitive_features is not None else 0

        self.path_, self.cv_results_, self.best_index_ = path, results, best
        self.best_params_ = results["params"][best]
        self.best_score_ = results[f"mean_test_{self.scoring}"][best]
        self.estimator_ = path[best]
        self.eta_ = split_pipeline(self.estimator_)[1].eta_
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _cross_validate(
        self,
        fit_and_measure,
        by,
        points,
        seed,
        X,
        y,
        sensitive_features,
        weight,
        control_features,
        groups,
    ):
        """Return metrics on the held-out samples, with the keys of scikit-learn's searches.

        Also return pairs of the name of a fit and a warning of the fit, and the number of folds.
        """
        X, y = indexable(X, plain_labels(y))
        frame = None
        if sensitive_features is not None:
            frame = sensitive_frame(sensitive_features, len(y))
        weight = plain_weights(weight, y)
        control = None
        if control_features is not None:
            control = sensitive_frame(control_features, len(y))
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_and_measure)(train, test, X, y, frame, weight, control)
            for train, test in self._split(seed, X, y, frame, groups)
        )
        tables = [table for table, _ in folds]
        named_warnings = [
            (f"{name} in fold {i}", warning)
            for i, (_, of_fold) in enumerate(folds)
            for name, warning in of_fold
        ]
        values = [eta if target is None else target for eta, target in points]
        results = {f"param_{by}": np.ma.array(values, dtype=object)}
        results["params"] = [{by: value} for value in values]
        for name in tables[0]:
            scores = np.array([sign(name) * table[name] for table in tables])
            for i, fold_scores in enumerate(scores):
                results[f"split{i}_test_{name}"] = fold_scores
            results[f"mean_test_{name}"] = scores.mean(axis=0)
            results[f"std_test_{name}"] = scores.std(axis=0)
            results[f"rank_test_{name}"] = rankdata(-scores.mean(axis=0), method="min").astype(int)
        return results, named_warnings, len(folds)

    def _split(self, seed, X, y, frame, groups):
        """Return the folds; stratify them by label and group if `cv` is a number."""
        if not isinstance(self.cv, Integral):
            return check_cv(self.cv, y, classifier=True).split(X, y, groups)
        codes = None
        if frame is not None:
            combine = split_pipeline(self.estimator)[1].combine
            codes = GroupEncoder(combine).fit_transform(frame)
        folds = StratifiedKFold(self.cv, shuffle=True, random_state=seed)
        return folds.split(np.zeros(len(y)), strata(y, codes, self.cv))

    def decision_function(self, X):
        """Return logits, as `FairBiNNClassifier.decision_function`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; with two classes one per sample.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def predict_log_proba(self, X):
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Fraction of samples whose predicted label is correct.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y, sample_weight)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The class with the highest probability.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        estimator = FairBiNNClassifier() if self.estimator is None else self.estimator
        if hasattr(estimator, "__sklearn_tags__"):
            tags.input_tags = estimator.__sklearn_tags__().input_tags
        return tags


def strata(y, codes, n_folds):
    """Return codes of label and group together, for stratified folds.

    If a group has fewer samples of a label than there are folds, these samples are merged with the
    largest group of the label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    codes : ndarray of shape (n_samples, n_partitions) or None
        Codes of the groups.

    n_folds : int
        Number of folds.
    """
    target = np.unique(y, return_inverse=True)[1]
    if codes is None:
        return target
    both = np.column_stack([target, codes])
    _, combined, counts = np.unique(both, axis=0, return_inverse=True, return_counts=True)
    rare = counts[combined] < n_folds
    for label in np.unique(target):
        has_label = target == label
        combined[has_label & rare] = np.bincount(combined[has_label]).argmax()
    return combined


def _fold(estimator, points, seed, training, scoring, train, test, X, y, frame, weight, control):
    """Return metrics on the held-out samples of one fold, one row per point, and warnings."""
    arguments = X, y, frame, weight, control
    parts = [
        [None if data is None else safe_indexing(data, index) for data in arguments]
        for index in (train, test)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training on all samples has warned already
        classifiers, _, named_warnings = fit_points(
            estimator, points, [seed], *parts[0], **training
        )
        *data, weight, control = parts[1]
        table = measure(
            classifiers, *data, sample_weight=weight, control_features=control, **scoring
        )
        return table, named_warnings

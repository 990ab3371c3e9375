"""Choice of eta, or of a target, by cross-validation under a bound."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ._data.groups import sensitive_frame
from ._data.labels import plain_labels
from ._data.validation import training_rows
from ._path import FairnessPath, fit_points, points_of, refuse_target, seeds_of, template
from .metrics import best_under
from .metrics._measure import METRICS, measure, sign


class FairBiNNClassifierCV(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """`FairBiNNClassifier` whose eta or target is chosen by cross-validation under a bound.

    For each fold, and at last for all rows, the nets of all etas, or of all targets, are trained
    side by side, as by `fairness_path`. Of those whose mean difference over the folds meets the
    bound, the classifier is the one with the best mean score.

    Parameters
    ----------
    etas : array-like of shape (n_etas,), default=None
        Weights of the fairness loss, >= 0. None means 0, 0.3, 1, 3, 10 and 30, if there are no
        `targets`.

    targets : array-like of shape (n_targets,), default=None
        Values of `fairness_target` in the place of etas. A target is met on the training rows; the
        choice tells which one meets the bound on rows that are not.

    estimator : FairBiNNClassifier, default=None
        All other parameters; it is not fitted itself. None means ``FairBiNNClassifier()``.

    cv : int or cross-validation generator, default=5
        Number of folds, stratified by label and group together, or a splitter of scikit-learn,
        which gets the labels. Folds of an integer are shuffled by `random_state` of `estimator`.

    bound : float, default=0.05
        Largest mean difference over the folds, from 0 to 1.

    metric : str, default="demographic_parity_difference"
        Name of a difference, as in `fairbinn_sklearn.metrics.FairnessScorer`.

    scoring : str, default="accuracy"
        Name of a scorer of scikit-learn.

    n_jobs : int, default=None
        Number of folds to train at once, by joblib. None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 all cores. One training uses several cores
        already.

    Attributes
    ----------
    best_params_ : dict
        The eta or the `fairness_target` chosen, by its name.

    eta_ : float
        The eta chosen; of a target, the weight that it led to.

    estimator_ : FairBiNNClassifier
        Classifier of this choice, fitted on all rows.

    path_ : FairnessPath
        Classifiers of all etas or targets, fitted on all rows; its figures are those of these rows.

    cv_results_ : dict of str to array
        Figures on the held-out rows of the folds, with the keys of
        :class:`sklearn.model_selection.GridSearchCV`; differences are negated there.

    best_index_ : int
        Index of the choice in `etas` or `targets`.

    classes_ : ndarray of shape (n_classes,)
        The labels.

    n_features_in_ : int
        Number of columns.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had names.

    See Also
    --------
    fairness_path : The path without a choice.
    fairbinn_sklearn.metrics.best_under : The choice, for scikit-learn's searches.

    Notes
    -----
    A search over `eta` by GridSearchCV chooses alike, tunes other parameters and the preprocessing
    as well, and takes a fit for each candidate and fold. With sample weights the figures are
    weighted, too.

    Without sensitive features there is nothing to choose: one net is trained for accuracy alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 2000)
    >>> X = rng.normal(size=(2000, 3)) + (group == "a")[:, None]
    >>> y = X.sum(axis=1) + rng.normal(size=2000) > 1.5
    >>> settings = FairBiNNClassifier(max_epochs=10, lr=0.01, random_state=0)
    >>> clf = FairBiNNClassifierCV(etas=[0, 1, 30], estimator=settings, cv=3, bound=0.1)
    >>> clf.fit(X, y, sensitive_features=group).eta_
    30.0
    """

    _parameter_constraints = {
        "etas": ["array-like", None],
        "targets": ["array-like", None],
        "estimator": [HasMethods("fit"), None],
        "cv": ["cv_object"],
        "bound": [Interval(Real, 0, 1, closed="both")],
        "metric": [str],
        "scoring": [str],
        "n_jobs": [Integral, None],
    }

    # scikit-learn's metadata routing: what users would else ask for by set_fit_request.
    __metadata_request__fit = {"sensitive_features": True}

    def __init__(
        self,
        etas=None,
        *,
        targets=None,
        estimator=None,
        cv=5,
        bound=0.05,
        metric="demographic_parity_difference",
        scoring="accuracy",
        n_jobs=None,
    ):
        self.etas = etas
        self.targets = targets
        self.estimator = estimator
        self.cv = cv
        self.bound = bound
        self.metric = metric
        self.scoring = scoring
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Train the nets, on folds and on all rows, and choose.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, encoded as numbers and scaled.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), \
                default=None
            Sensitive features, as in `FairBiNNClassifier.fit`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, as in `FairBiNNClassifier.fit`.

        Returns
        -------
        self : FairBiNNClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid, or if training diverges. An estimator that
            was fitted before stays as it was.

        TypeError
            If `estimator` is not a `FairBiNNClassifier`.

        Warns
        -----
        UserWarning
            If no point meets the bound; the closest is taken.
        """
        settings = template(self.estimator)
        if self.targets is None:
            refuse_target(settings)
        choose = best_under(self.bound, self.metric, self.scoring)
        points, (seed,) = points_of(self.etas, self.targets), seeds_of(None, settings)
        metrics = list(dict.fromkeys([self.metric, *METRICS]))
        if sensitive_features is None:
            points, metrics = points[-1:], []  # nothing to choose; the classifier warns
        wanted = {"metrics": metrics, "score": self.scoring}
        given = X, y, sensitive_features, sample_weight
        classifiers, reason = fit_points(settings, points, [seed], *given)
        figures = measure(
            classifiers, X, y, sensitive_features, sample_weight=sample_weight, **wanted
        )
        path = FairnessPath(classifiers, figures, reason)
        results = self._cross_validate(path.by, settings, points, seed, wanted, *given)
        best = choose(results) if sensitive_features is not None else 0

        self.path_, self.cv_results_, self.best_index_ = path, results, best
        self.best_params_ = results["params"][best]
        self.estimator_ = path[best]
        self.eta_ = self.estimator_.eta_
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _cross_validate(self, by, settings, points, seed, wanted, X, y, sensitive_features, weight):
        """Figures of the held-out rows, with the keys of scikit-learn's searches."""
        X, y = indexable(X, plain_labels(y))
        frame = None
        if sensitive_features is not None:
            frame = sensitive_frame(sensitive_features, len(y))
        if weight is not None:
            weight = _check_sample_weight(weight, X)
        tables = Parallel(n_jobs=self.n_jobs)(
            delayed(_fold)(settings, points, seed, wanted, train, test, X, y, frame, weight)
            for train, test in self._split(settings, seed, X, y, frame)
        )
        values = [eta if target is None else target for eta, target in points]
        results = {f"param_{by}": np.ma.array(values, dtype=object)}
        results["params"] = [{by: value} for value in values]
        for name in tables[0]:
            scores = np.array([sign(name) * table[name] for table in tables])
            for i, of_fold in enumerate(scores):
                results[f"split{i}_test_{name}"] = of_fold
            results[f"mean_test_{name}"] = scores.mean(axis=0)
            results[f"std_test_{name}"] = scores.std(axis=0)
            results[f"rank_test_{name}"] = rankdata(-scores.mean(axis=0), method="min").astype(int)
        return results

    def _split(self, settings, seed, X, y, frame):
        """Rows of the folds, stratified by label and group."""
        if not isinstance(self.cv, Integral):
            return check_cv(self.cv, y, classifier=True).split(X, y)
        return StratifiedKFold(self.cv, shuffle=True, random_state=seed).split(
            np.zeros(len(y)), strata(settings, X, y, frame, self.cv)
        )

    def decision_function(self, X):
        """Logits, as `FairBiNNClassifier.decision_function`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; of two classes one a row.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The class of highest probability.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = template(self.estimator).__sklearn_tags__().input_tags
        return tags


def strata(settings, X, y, frame, n_folds):
    """Codes of label and group together; groups too rare for the folds go with the largest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training on all rows has told of small groups
        rows = training_rows(copy.copy(settings), X, y, frame, None)
    target = rows.y.cpu().numpy()
    if rows.groups is None:
        return target
    both = np.column_stack([target, rows.groups.cpu().numpy()])
    _, codes, counts = np.unique(both, axis=0, return_inverse=True, return_counts=True)
    rare = counts[codes] < n_folds
    for label in np.unique(target):
        of_label = target == label
        codes[of_label & rare] = np.bincount(codes[of_label]).argmax()
    return codes


def _fold(settings, points, seed, wanted, train, test, X, y, frame, weight):
    """Figures on the held-out rows of one fold, a row for each point."""
    parts = [
        [None if one is None else _safe_indexing(one, rows) for one in (X, y, frame, weight)]
        for rows in (train, test)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training on all rows tells
        classifiers, _ = fit_points(settings, points, [seed], *parts[0])
        *data, weight = parts[1]
        return measure(classifiers, *data, sample_weight=weight, **wanted)

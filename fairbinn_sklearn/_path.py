"""The whole trade-off curve: a classifier for each eta or target, trained side by side."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ._classifier import FairBiNNClassifier, set_fitted
from ._data.frames import check_order
from ._data.labels import plain_labels
from ._training.build import net_for
from ._training.callbacks import PrintRanges
from ._training.options import TrainingOptions, nested_params
from ._training.outcome import warn_of_outcome
from ._training.resolve import resolve_schedule
from ._training.setup import training_data
from ._training.stack import stacked, unstacked, why_not_stacked
from ._utils.torch_state import neutral_torch_state
from ._utils.upstream import validate_params_of
from .metrics import best_under
from .metrics._bound import dominated
from .metrics._measure import measure

ETAS = (0, 0.3, 1, 3, 10, 30)


def fairness_path(
    X,
    y,
    sensitive_features,
    *,
    etas=None,
    targets=None,
    seeds=None,
    estimator=None,
    sample_weight=None,
    n_jobs=None,
):
    """Fit a classifier for each `eta` or target, all in one pass over the samples.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training samples, numeric and scaled unless `estimator` is a pipeline that encodes them.

    y : array-like of shape (n_samples,)
        Labels.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Sensitive features, as in `FairBiNNClassifier.fit`.

    etas : array-like of shape (n_etas,), default=None
        Weights of the fairness loss, >= 0. None means 0, 0.3, 1, 3, 10 and 30, unless `targets` are
        passed.

    targets : array-like of shape (n_targets,), default=None
        Values of `fairness_target`, instead of etas.

    seeds : int or array-like of shape (n_seeds,), default=None
        Values of `random_state`; each one produces a separate curve. None means the `random_state`
        of `estimator`.

    estimator : FairBiNNClassifier or Pipeline, default=None
        All other parameters; it is not fitted itself. The other steps of a pipeline are fitted
        once, and the points are pipelines that share these steps. None means
        ``FairBiNNClassifier()``.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, as in `FairBiNNClassifier.fit`.

    n_jobs : int, default=None
        Number of seeds to train at the same time, by joblib. None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 means all cores. A single training already uses
        several cores.

    Returns
    -------
    path : FairnessPath
        Fitted classifiers, and their metrics on the training samples.

    Raises
    ------
    ValueError
        If a parameter is not valid, if `estimator` has a `fairness_target` and no `targets` are
        passed, or if training diverges at one of the points.

    TypeError
        If `estimator` is not a `FairBiNNClassifier`, or a pipeline that ends in one.

    See Also
    --------
    FairBiNNClassifierCV : Choose eta or a target by cross-validation under a bound.

    Notes
    -----
    Each classifier equals the one that `fit` returns at its eta and seed, up to the rounding of
    float32. Sums in another order differ in the last digit, and over many epochs this can change
    the networks by as much as another seed does.

    The networks of one seed start from the same weights and see the same batches. So they are
    trained side by side, as one network whose parameters have a leading axis of networks
    (:func:`torch.vmap`). They are trained one after another, and `FairnessPath.reason` reports why,
    if the parameters include `early_stopping`, callbacks, a function as `constraint`, an optimizer
    class other than the named ones, `ReduceLROnPlateau`, or a module with buffers or with
    operations that vmap does not support. A network at eta 0 is trained alone, because it has only
    one player. Seeds see different batches and are trained one after another.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier, fairness_path
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 1000)
    >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
    >>> y = X.sum(axis=1) + rng.normal(size=1000) > 1.5
    >>> estimator = FairBiNNClassifier(random_state=0)
    >>> path = fairness_path(X, y, group, etas=[0, 1, 10], estimator=estimator)
    >>> differences = path.to_frame()["demographic_parity_difference"]
    >>> bool(differences[0] > 0.3 > 0.1 > differences[2])
    True
    >>> path.best_under(0.1).eta
    10
    """
    if sensitive_features is None:
        raise ValueError("sensitive_features must be passed for a path, got None.")
    classifier = split_pipeline(estimator)[1]
    if targets is None:
        refuse_target(classifier)
    estimators, reason = fit_points(
        estimator,
        points_of(etas, targets),
        seeds_of(seeds, classifier),
        X,
        y,
        sensitive_features,
        sample_weight,
        n_jobs,
    )
    metrics = measure(estimators, X, y, sensitive_features, sample_weight=sample_weight)
    return FairnessPath(estimators, metrics, reason)


def fit_points(estimator, points, seeds, X, y, sensitive_features, sample_weight, n_jobs=None):
    """Fit a classifier for each seed and point.

    Parameters
    ----------
    estimator : FairBiNNClassifier, Pipeline or None
        All other parameters.

    points : list of (eta, fairness_target)
        Points of the path.

    seeds : list of int
        Values of `random_state`.

    X, y, sensitive_features, sample_weight, n_jobs
        As in `fairness_path`.

    Returns
    -------
    estimators : list of FairBiNNClassifier or Pipeline
        Fitted classifiers, ordered by seed and then by point.

    reason : str or None
        Why they were not trained side by side. None if they were.
    """
    steps, classifier = split_pipeline(estimator)
    if classifier.checkpoint is not None:
        raise ValueError(
            "checkpoint must be None if several networks are trained, as it is the file of one "
            f"fit, got {str(classifier.checkpoint)!r}."
        )
    if steps is not None:
        check_order(sensitive_features, X=X, y=y)
        steps, y = clone(steps), plain_labels(y)
        X = steps.fit_transform(X, y)
    runs = Parallel(n_jobs=n_jobs)(
        delayed(_fit_seed)(classifier, points, seed, X, y, sensitive_features, sample_weight)
        for seed in seeds
    )
    fitted = [clf for classifiers, _ in runs for clf in classifiers]
    if steps is not None:
        name = estimator.steps[-1][0]
        fitted = [Pipeline([*steps.steps, (name, clf)]) for clf in fitted]
    return fitted, runs[0][1]


def _fit_seed(estimator, points, seed, X, y, sensitive_features, sample_weight):
    """Fit the classifiers of one seed, side by side if possible."""
    classifiers = []
    for eta, target in points:
        clf = clone(estimator).set_params(eta=eta, fairness_target=target, random_state=seed)
        validate_params_of(clf)
        classifiers.append(clf)
    together = [clf for clf in classifiers if clf.eta != 0]
    reason = None
    if len(together) > 1:
        with neutral_torch_state():
            reason = _fit_together(together, X, y, sensitive_features, sample_weight)
    for clf in classifiers:
        if not hasattr(clf, "net_"):
            clf.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight)
    return classifiers, reason


def _fit_together(classifiers, X, y, sensitive_features, sample_weight):
    """Fit classifiers that differ only in eta or target; return why if that is not possible."""
    options = [TrainingOptions.from_estimator(clf) for clf in classifiers]
    first = clone(classifiers[0])
    data = training_data(first, X, y, sensitive_features, sample_weight, options=options[0])
    if not data.has_groups:
        return "there is one group only"
    samples = data.samples
    net = net_for(options[0], data, samples, check_random_state(first.random_state))
    reason = why_not_stacked(
        net,
        early_stopping=first.early_stopping,
        has_callbacks=bool(getattr(classifiers[0], "_skl_callbacks", None)),
        lr_schedule=first.lr_schedule,
    )
    if reason is not None:
        return reason
    nested = nested_params(first.get_params(deep=False), "lr_schedule")
    varied = "eta" if options[0].fairness_target is None else "fairness_target"
    many = stacked(net, [getattr(point, varied) for point in options], samples.dtype)
    many.train(
        samples,
        epochs=first.max_epochs,
        schedule=resolve_schedule(first.lr_schedule, nested),
        fair=True,
        callbacks=[PrintRanges()] if first.verbose else [],
    )
    for k, (clf, point) in enumerate(zip(classifiers, options, strict=True)):
        set_fitted(clf, unstacked(many, net, point, k), data)
        warn_of_outcome(clf.net_, clf.classes_, samples)
    return None


def split_pipeline(estimator):
    """Return the steps of a pipeline before its classifier, None without any, and the classifier.

    The classifier has the parameters that all points share. None means ``FairBiNNClassifier()``.
    """
    if estimator is None:
        return None, FairBiNNClassifier()
    steps, classifier = None, estimator
    if isinstance(estimator, Pipeline):
        steps, classifier = estimator[:-1] if len(estimator) > 1 else None, estimator[-1]
    if not isinstance(classifier, FairBiNNClassifier):
        raise TypeError(
            "estimator must be a FairBiNNClassifier, or a Pipeline that ends in one, got "
            f"{type(estimator).__name__}"
            + (
                f" that ends in {type(classifier).__name__}."
                if classifier is not estimator
                else "."
            )
        )
    return steps, classifier


def refuse_target(estimator):
    """Raise if the estimator has a target, which etas would silently replace."""
    if estimator.fairness_target is not None:
        raise ValueError(
            f"estimator must have fairness_target=None with etas, got {estimator.fairness_target}. "
            "Pass targets instead of etas."
        )


def points_of(etas, targets):
    """Return the points of a path as pairs of eta and fairness_target."""
    if targets is not None:
        if etas is not None:
            raise ValueError(
                f"etas and targets cannot both be passed, got etas={etas!r} and "
                f"targets={targets!r}."
            )
        return [(None, target) for target in _numbers("targets", targets)]
    return [(eta, None) for eta in _numbers("etas", ETAS if etas is None else etas)]


def _numbers(name, values):
    """Return values as a list, in their order and unchanged."""
    listed = list(values) if np.iterable(values) and not isinstance(values, str) else None
    if not listed or any(
        not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < np.inf
        for value in listed
    ):
        raise ValueError(f"{name} must be a sequence of finite numbers, >= 0, got {values!r}.")
    if len(set(listed)) < len(listed):
        raise ValueError(f"{name} must have no value twice, got {values!r}.")
    return listed


def seeds_of(seeds, estimator):
    """Return seeds as a list; None means that of the estimator."""
    if seeds is None:
        random_state = estimator.random_state
        if isinstance(random_state, Integral):
            return [int(random_state)]
        return [int(check_random_state(random_state).randint(np.iinfo(np.int32).max))]
    listed = [seeds] if isinstance(seeds, Integral) else seeds
    if not (np.iterable(listed) and len(listed)) or any(
        not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < 2**32
        for seed in listed
    ):
        raise ValueError(
            "seeds must be an integer or a sequence of integers from 0 to 2**32 - 1, got "
            f"{seeds!r}."
        )
    if len(set(listed)) < len(listed):
        raise ValueError(f"seeds must have no value twice, got {seeds!r}.")
    return [int(seed) for seed in listed]


class FairnessPath:
    """Fitted classifiers along the trade-off, and their metrics on some samples.

    `fairness_path` returns it. ``path[i]`` is the classifier of row i of `to_frame`. ``len(path)``
    is the number of classifiers, and a loop iterates over them.

    Parameters
    ----------
    estimators : list of FairBiNNClassifier or Pipeline
        Fitted classifiers, or pipelines that end in them.

    figures : DataFrame of shape (n_points, n_metrics)
        Their metrics.

    reason : str, default=None
        Why they were trained one after another; None if they were trained side by side.

    Attributes
    ----------
    by : str
        Name of the parameter in which the points differ: "eta" or "fairness_target".

    See Also
    --------
    fairness_path : Train the classifiers.
    fairbinn_sklearn.inspection.ParetoFrontDisplay.from_path : Draw them.
    """

    def __init__(self, estimators, figures, reason=None):
        self.estimators = estimators
        self.figures = figures
        self.reason = reason
        target = self._classifiers()[0].fairness_target
        self.by = "eta" if target is None else "fairness_target"

    def evaluate(
        self,
        X,
        y,
        *,
        sensitive_features,
        sample_weight=None,
        metrics=None,
        score="accuracy",
        pos_label=None,
    ):
        """Measure the same classifiers on other samples, such as a validation set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, preferably not those of training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Sensitive features. Several of them are combined as in training, by `combine`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the metrics.

        metrics : str or list of str, default=None
            Names of metrics, as in `fairbinn_sklearn.metrics.FairnessScorer`. None means the
            differences of demographic parity, of equalized odds and of mean scores.

        score : str, default="accuracy"
            Name of a scorer of scikit-learn.

        pos_label : label, default=None
            Positive class of a problem with two classes. None means the `pos_label` of the
            classifiers.

        Returns
        -------
        path : FairnessPath
            The same classifiers with their metrics on these samples.

        Raises
        ------
        ValueError
            If an argument is not valid.
        """
        figures = measure(
            self.estimators,
            X,
            y,
            sensitive_features,
            sample_weight=sample_weight,
            metrics=metrics,
            score=score,
            pos_label=pos_label,
        )
        return FairnessPath(self.estimators, figures, self.reason)

    def __len__(self):
        """Return the number of points."""
        return len(self.estimators)

    def __getitem__(self, index):
        """Return the classifier of a point, or a list of classifiers for a slice."""
        return self.estimators[index]

    def __repr__(self):
        """Return the name and values of the parameter, and the number of seeds."""
        values = ", ".join(f"{value:g}" for value in self._values().unique())
        seeds = len(self._seeds().unique())
        return f"FairnessPath({self.by} {values}; {seeds} seed{'s' if seeds > 1 else ''})"

    def to_frame(self):
        """Return a table of the points.

        Returns
        -------
        frame : DataFrame of shape (n_points, n_metrics + 2)
            Eta or target, seed, and metrics; differences are positive. With targets, the column
            `eta_` contains the weights that training found.
        """
        frame = pd.DataFrame({self.by: self._values(), "seed": self._seeds()})
        if self.by == "fairness_target":
            frame["eta_"] = [clf.eta_ for clf in self._classifiers()]
        return pd.concat([frame, self.figures], axis=1)

    def summary(self):
        """Return mean and standard deviation over the seeds.

        Returns
        -------
        summary : DataFrame of shape (n_values, 2 * n_metrics)
            Indexed by eta or target, with columns (metric, "mean") and (metric, "std"). The
            standard deviation is taken over the seeds and is 0 for one seed.
        """
        grouped = self.figures.groupby(self._values(), sort=False)
        parts = {"mean": grouped.mean(), "std": grouped.std(ddof=0)}
        return pd.concat(parts, axis=1).swaplevel(axis=1)[list(self.figures)]

    def nondominated(self, metric="demographic_parity_difference", score=None):
        """Return the points that no other point dominates, by their means over the seeds.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first metric.

        Returns
        -------
        points : DataFrame of shape (n_nondominated, 2)
            Means of difference and score by eta or target, sorted by difference.

        Raises
        ------
        ValueError
            If the table has no such metric.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)[[metric, score]]
        return means[~dominated(means[metric], means[score])].sort_values(metric)

    def hypervolume(
        self, metric="demographic_parity_difference", score=None, *, reference=(1.0, 0.0)
    ):
        """Return the area that the points of each seed dominate, by moocore.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first metric.

        reference : tuple of two floats, default=(1.0, 0.0)
            Difference and score of the worst point that counts.

        Returns
        -------
        area : Series of shape (n_seeds,)
            Area by seed, from 0 to 1 with the default reference; larger is better.

        Raises
        ------
        ValueError
            If the table has no such metric.

        ImportError
            If moocore is not installed.
        """
        metric, score = self._columns(metric, score)
        try:
            from moocore import hypervolume
        except ImportError as error:
            raise ImportError(
                'FairnessPath.hypervolume needs moocore: pip install "fairbinn-sklearn[examples]".'
            ) from error
        corner = [reference[0], -reference[1]]
        points = np.column_stack([self.figures[metric], -self.figures[score]])
        return pd.Series(
            {
                seed: hypervolume(points[positions], ref=corner)
                for seed, positions in self.figures.groupby(
                    self._seeds(), sort=False
                ).indices.items()
            },
            name="hypervolume",
        ).rename_axis("seed")

    def best_under(self, bound, metric="demographic_parity_difference", score=None):
        """Choose the classifier with the best score among those whose difference meets a bound.

        With several seeds, eta or the target is chosen by the means over the seeds, and the
        classifier of the first seed is returned: the best seed is best by chance.

        Parameters
        ----------
        bound : float
            Largest difference allowed, from 0 to 1.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first metric.

        Returns
        -------
        classifier : FairBiNNClassifier or Pipeline
            The fitted classifier. Models that predict one class for all samples are passed over,
            unless no other model meets the bound. If no point meets the bound, the closest is
            returned, with a warning.

        Raises
        ------
        ValueError
            If the bound is not valid, or the table has no such metric.

        Notes
        -----
        The metrics are those of the samples on which the path was measured. Before choosing, call
        `evaluate` with samples that were not used for training. Audit the chosen classifier on a
        third set of samples.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)
        results = {f"mean_test_{metric}": -means[metric], f"mean_test_{score}": means[score]}
        if "selection_rate" in means:
            results["mean_test_selection_rate"] = means["selection_rate"]
        value = means.index[best_under(bound, metric, score)(results)]
        return self.estimators[int(np.flatnonzero(self._values() == value)[0])]

    def predict(self, X):
        """Predict labels by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_points, n_samples)
            Labels.
        """
        return np.stack([clf.predict(X) for clf in self.estimators])

    def predict_proba(self, X):
        """Predict probabilities by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_points, n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        return np.stack([clf.predict_proba(X) for clf in self.estimators])

    def _classifiers(self):
        return [split_pipeline(estimator)[1] for estimator in self.estimators]

    def _values(self):
        return pd.Series([getattr(clf, self.by) for clf in self._classifiers()], name=self.by)

    def _seeds(self):
        return pd.Series([clf.random_state for clf in self._classifiers()], name="seed")

    def _columns(self, metric, score):
        score = self.figures.columns[0] if score is None else score
        for parameter, name in (("metric", metric), ("score", score)):
            if name not in self.figures:
                raise ValueError(
                    f"{parameter} must be one of {list(self.figures)}, got {name!r}. "
                    "Call FairnessPath.evaluate to compute other metrics."
                )
        return metric, score

"""The whole trade-off curve: a classifier for each eta or target."""

import warnings

import numpy as np
import pandas as pd

from ._points import fit_points, points_of, refuse_target, seeds_of, split_pipeline
from ._utils.fit_warnings import warn_of_many
from .metrics import best_under
from .metrics._bootstrap import check_bootstrap, interval
from .metrics._bound import dominated
from .metrics._measure import measure, sign, trained_metric


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
    control_features=None,
    warm_start="auto",
    epochs_per_point=None,
    n_jobs=None,
):
    """Fit a classifier for each `eta` or target.

    With many samples on a CPU, the first network is trained for accuracy. Each further network
    starts from the one before it and needs few epochs. The order is that of decreasing differences:
    increasing etas or decreasing targets.

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

    seeds : array-like of shape (n_seeds,), default=None
        Values of `random_state`, such as ``range(3)``; each seed produces a separate curve.
        None means the `random_state` of `estimator`.

    estimator : FairBiNNClassifier or Pipeline, default=None
        All other parameters; it is not fitted itself. The other steps of a pipeline are fitted
        once, and the points are pipelines that share these steps. None means
        ``FairBiNNClassifier()``.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, as in `FairBiNNClassifier.fit`.

    control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Features within whose values groups are compared, as in `FairBiNNClassifier.fit`.

        .. versionadded:: 0.2

    warm_start : bool or "auto", default="auto"
        Whether each network starts from the one before it. If False, each network is trained from
        initial weights, as by `fit`; on a GPU, the networks are trained side by side. "auto" means
        True on a CPU with 4,096 samples or more, otherwise False. With fewer samples, the network
        that is trained for accuracy overfits, and a path that starts from it is worse. "auto" also
        means False in two more cases. With more than two groups, continued networks have a worse
        trade-off (:ref:`path-benchmark`). If `targets` apply to decisions and scores together, a
        few epochs are not enough to converge (:ref:`surrogate-slope`).

        .. versionchanged:: 0.2 "auto" means False in these two cases.

    epochs_per_point : int, default=None
        Number of epochs from one network to the next, >= 1. None means a tenth of `max_epochs`, but
        at least 2 epochs and 220 steps; twice as many with `targets`; and at most `max_epochs`. A
        number implies ``warm_start=True``.

    n_jobs : int, default=None
        Number of seeds to train at the same time, by joblib. None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 means all cores.

    Returns
    -------
    path : FairnessPath
        Fitted classifiers, and their metrics on the training samples.

    Raises
    ------
    ValueError
        If an argument is not valid, if `estimator` has a `fairness_target` and no `targets` are
        passed, or if training diverges at one of the points.

    TypeError
        If `estimator` is not a `FairBiNNClassifier`, or a pipeline that ends in one.

    Warns
    -----
    UserWarning, ConvergenceWarning
        The warnings of `FairBiNNClassifier.fit`, one of each kind. A warning names the fits that it
        concerns.

    See Also
    --------
    FairBiNNClassifierCV : Choose eta or a target by cross-validation under a bound.

    Notes
    -----
    With ``warm_start=True``, the first network is trained with ``eta=0`` for `max_epochs`.
    Optimizers, running rates and, under targets, multipliers continue from point to point. The
    learning rates of a point decrease quickly. They start lower if eta is above 3, or under a
    target. Each eta then has nearly the same effect as in `fit`; see :ref:`path-benchmark`. A
    classifier depends on the points before it, so it changes if other etas or targets are passed.

    With ``warm_start=False``, a classifier equals that of `fit` with its eta or target and seed. On
    a GPU, both are equal up to the rounding of float32. The networks of one seed start from the
    same weights and see the same batches. They are trained side by side, as one network whose
    parameters have a leading axis of networks (:func:`torch.vmap`). Sums in another order differ in
    the last digit, and over many epochs this can change the networks by as much as another seed.

    With `early_stopping`, callbacks or a single group, each network is trained by a separate fit,
    and `FairnessPath.reason` reports why. Networks are not trained side by side with a function as
    `constraint`, an optimizer class other than the named ones, `ReduceLROnPlateau`, or a module
    with buffers or with operations that vmap does not support.

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
    >>> new = rng.normal(size=(500, 3))
    >>> of_new = rng.choice(["a", "b"], 500)
    >>> new[of_new == "a"] += 1
    >>> y_new = new.sum(axis=1) + rng.normal(size=500) > 1.5
    >>> path.evaluate(new, y_new, sensitive_features=of_new).best_under(0.15).eta
    10
    """
    if sensitive_features is None:
        raise ValueError("sensitive_features must be passed for a path, got None.")
    classifier = split_pipeline(estimator)[1]
    if targets is None:
        refuse_target(classifier)
    estimators, reason, named_warnings = fit_points(
        estimator,
        points_of(etas, targets),
        seeds_of(seeds, classifier),
        X,
        y,
        sensitive_features,
        sample_weight,
        control_features,
        warm_start=warm_start,
        epochs_per_point=epochs_per_point,
        n_jobs=n_jobs,
    )
    warn_of_many(named_warnings, len(estimators))
    metrics = measure(
        estimators,
        X,
        y,
        sensitive_features,
        sample_weight=sample_weight,
        control_features=control_features,
    )
    return FairnessPath(estimators, metrics, reason, of_training=True)


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
        Why each classifier was trained by a separate fit; None if they were trained together.

    resamples : dict of str to ndarray of shape (n_points, n_boot), default=None
        Metrics on bootstrap resamples, by name, if the path was evaluated with `n_boot`.

    of_training : bool, default=False
        Whether the metrics are those of the training samples. `best_under` then warns.

        .. versionadded:: 0.2

    Attributes
    ----------
    by : str
        Name of the parameter in which the points differ: "eta" or "fairness_target".

    See Also
    --------
    fairness_path : Train the classifiers.
    fairbinn_sklearn.inspection.ParetoFrontDisplay.from_path : Draw them.
    """

    def __init__(self, estimators, figures, reason=None, resamples=None, of_training=False):
        self.estimators = estimators
        self.figures = figures
        self.reason = reason
        self.resamples = resamples
        self.of_training = of_training
        target = self._classifiers()[0].fairness_target
        self.by = "eta" if target is None else "fairness_target"

    def evaluate(
        self,
        X,
        y,
        *,
        sensitive_features,
        sample_weight=None,
        control_features=None,
        metrics=None,
        score="accuracy",
        pos_label=None,
        n_boot=None,
        random_state=None,
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

        control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Features within whose values (strata) groups are compared. A metric is then the worst
            value over the strata.

            .. versionadded:: 0.2

        metrics : str or list of str, default=None
            Names of metrics, as in `fairbinn_sklearn.metrics.FairnessScorer`. None means the
            differences of demographic parity, of equalized odds, of mean scores, and the metric of
            `constraint`.

        score : str, default="accuracy"
            Name of a scorer of scikit-learn.

        pos_label : label, default=None
            Positive class of a problem with two classes. None means the `pos_label` of the
            classifiers.

        n_boot : int, default=None
            Number of bootstrap resamples of the samples, >= 1, for `intervals`, for the
            `confidence` of `best_under`, and for the error bars of a display. They cover accuracy
            and all metrics of predictions. None means no resamples.

            .. versionadded:: 0.2

        random_state : int, RandomState instance or None, default=None
            Draws the resamples.

        Returns
        -------
        path : FairnessPath
            The same classifiers with their metrics on these samples.

        Raises
        ------
        ValueError
            If an argument is not valid.
        """
        if n_boot is not None:
            check_bootstrap("FairnessPath.evaluate", n_boot=n_boot, random_state=random_state)
        measured = measure(
            self.estimators,
            X,
            y,
            sensitive_features,
            sample_weight=sample_weight,
            control_features=control_features,
            metrics=metrics,
            score=score,
            pos_label=pos_label,
            n_boot=n_boot,
            random_state=random_state,
        )
        figures, resamples = (measured, None) if n_boot is None else measured
        return FairnessPath(self.estimators, figures, self.reason, resamples)

    def intervals(self, confidence_level=0.95):
        """Return bootstrap intervals of the metrics of each point.

        Parameters
        ----------
        confidence_level : float, default=0.95
            Coverage of the percentile intervals, between 0 and 1.

        Returns
        -------
        intervals : DataFrame of shape (n_points, 2 * n_metrics)
            Columns (metric, "low") and (metric, "high"), in the order of `to_frame`. An interval
            contains the value on the samples.

        Raises
        ------
        ValueError
            If the path was not evaluated with `n_boot`, or `confidence_level` is not valid.

        Notes
        -----
        Resampling increases differences. Near parity, and with many groups, the intervals of
        differences therefore lie too high.
        """
        check_bootstrap("FairnessPath.intervals", confidence_level=confidence_level)
        self._check_resamples()
        columns = {}
        for name, values in self.resamples.items():
            both = np.column_stack([self.figures[name], values]).T
            columns[name, "low"], columns[name, "high"] = interval(both, confidence_level)
        return pd.DataFrame(columns)

    def resampled_means(self, name):
        """Return the means over seeds of a metric on resamples.

        Parameters
        ----------
        name : str
            Name of accuracy or of a metric of predictions.

        Returns
        -------
        means : ndarray of shape (n_values, n_boot)
            Means by eta or target, in the order of `summary`.

        Raises
        ------
        ValueError
            If the path has no resamples of the metric.
        """
        self._check_resamples(name)
        frame = pd.DataFrame(self.resamples[name])
        return frame.groupby(self._values().to_numpy(), sort=False).mean().to_numpy()

    def _check_resamples(self, name=None):
        if self.resamples is None:
            raise ValueError(
                "The path must be evaluated with n_boot for intervals. Call "
                "FairnessPath.evaluate(..., n_boot=1000)."
            )
        if name is not None and name not in self.resamples:
            raise ValueError(
                f"metric must be one of {list(self.resamples)}, the metrics with resamples, got "
                f"{name!r}. Only accuracy and metrics of predictions are resampled."
            )

    def __len__(self):
        """Return the number of points."""
        return len(self.estimators)

    def __getitem__(self, index):
        """Return the classifier of a point, or a list of classifiers for a slice."""
        return self.estimators[index]

    def __repr__(self):
        """Return the values of the parameter, the number of seeds, and what was measured."""
        values = ", ".join(f"{value:g}" for value in self._values().unique())
        seeds = len(self._seeds().unique())
        measured = "; measured on its training samples" if self.of_training else ""
        return f"FairnessPath({self.by} {values}; {seeds} seed{'s' if seeds > 1 else ''}{measured})"

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

    def nondominated(self, metric=None, score=None):
        """Return the points that no other point dominates, by their means over the seeds.

        Parameters
        ----------
        metric : str, default=None
            Name of a difference in the table. None means that of `constraint`, such as
            "equal_opportunity_difference". For lists, custom criteria and functions it means
            "demographic_parity_difference".

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
        metric, score = self._columns(metric, score, difference=True)
        means = self.summary().xs("mean", axis=1, level=1)[[metric, score]]
        return means[~dominated(means[metric], means[score])].sort_values(metric)

    def hypervolume(self, metric=None, score=None, *, reference=(1.0, 0.0)):
        """Return the area that the points of each seed dominate, by moocore.

        Parameters
        ----------
        metric : str, default=None
            Name of a difference in the table. None means that of `constraint`, such as
            "equal_opportunity_difference". For lists, custom criteria and functions it means
            "demographic_parity_difference".

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
        metric, score = self._columns(metric, score, difference=True)
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

    def best_under(self, bound, metric=None, score=None, *, confidence=None):
        """Choose the classifier with the best score among those whose difference meets a bound.

        With several seeds, eta or the target is chosen by the means over the seeds, and the
        classifier of the first seed is returned: the best seed is best by chance.

        Parameters
        ----------
        bound : float
            Largest difference allowed, or smallest ratio, from 0 to 1.

        metric : str, default=None
            Name of a difference or ratio in the table. None means that of `constraint`, such as
            "equal_opportunity_difference", or "equal_opportunity_ratio" if its `measure` is
            "ratio". For lists, custom criteria and functions it means
            "demographic_parity_difference". If `measure` is "minimum", the bound is the lowest
            rate allowed.

            .. versionchanged:: 0.2 The default follows the constraint.

        score : str, default=None
            Name of a score in the table. None means its first metric.

        confidence : float, default=None
            If it is set, the upper confidence limit of a difference must meet the bound, or the
            lower limit of a ratio, instead of the value itself. It is the one-sided coverage of the
            bootstrap limit, between 0 and 1, such as 0.9. `evaluate` needs `n_boot`.

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

        Warns
        -----
        UserWarning
            If the metrics are those of the training samples, or no point meets the bound.

        Notes
        -----
        The metrics are those of the samples on which the path was measured. Before choosing, call
        `evaluate` with samples that were not used for training. Audit the chosen classifier on a
        third set of samples.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)
        results = {f"mean_test_{name}": sign(name) * means[name] for name in (metric, score)}
        choose = best_under(bound, metric, score)
        if confidence is not None:
            choose.statistic = "confidence limit of"
            results[f"mean_test_{metric}"] = self._limits(metric, means[metric], confidence)
        if "selection_rate" in means:
            rates = self.figures["selection_rate"].groupby([self._values(), self._seeds()])
            by_seed = rates.first().unstack().loc[means.index]
            names = [f"split{i}_test_selection_rate" for i in range(by_seed.shape[1])]
            results |= dict(zip(names, by_seed.to_numpy().T, strict=True))
        if self.of_training:
            warnings.warn(
                "best_under compared metrics of the training samples, which are too optimistic: "
                "the chosen classifier may exceed the bound on new samples. "
                "First call evaluate with samples that were not used for training.",
                stacklevel=2,
            )
        value = means.index[choose(results)]
        return self.estimators[int(np.flatnonzero(self._values() == value)[0])]

    def _limits(self, metric, means, confidence):
        """Return the confidence limits of a metric by eta or target, negated for differences."""
        check_bootstrap("FairnessPath.best_under", confidence_level=confidence)
        worst = -sign(metric) * self.resampled_means(metric)  # larger is worse
        limits = np.nanquantile(worst, confidence, axis=1)
        return -np.maximum(limits, -sign(metric) * means.to_numpy())

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

    def _columns(self, metric, score, *, difference=False):
        if metric is None:
            metric = trained_metric(self._classifiers()[0], difference=difference)
        score = self.figures.columns[0] if score is None else score
        for parameter, name in (("metric", metric), ("score", score)):
            if name not in self.figures:
                raise ValueError(
                    f"{parameter} must be one of {list(self.figures)}, got {name!r}. "
                    "Call FairnessPath.evaluate to compute other metrics."
                )
        return metric, score

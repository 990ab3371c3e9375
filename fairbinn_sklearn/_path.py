"""The whole trade-off curve: one classifier for each eta, trained side by side."""

import copy
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ._classifier import FairBiNNClassifier
from ._data.validation import training_rows
from ._training.callbacks import PrintRanges
from ._training.options import SCHEDULES, resolve_schedule
from ._training.outcome import warn_of_outcome
from ._training.stack import stacked, unstacked, why_not_stacked
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
    """Fit a classifier for each `eta`, all in one pass over the rows.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows, encoded as numbers and scaled.

    y : array-like of shape (n_samples,)
        Labels.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Sensitive features, as in `FairBiNNClassifier.fit`.

    etas : array-like of shape (n_etas,), default=None
        Weights of the fairness loss, >= 0. None means 0, 0.3, 1, 3, 10 and 30, if there are no
        `targets`.

    targets : array-like of shape (n_targets,), default=None
        Values of `fairness_target` in the place of etas.

    seeds : int or array-like of shape (n_seeds,), default=None
        Values of `random_state`; each makes a curve of its own. None means that of `estimator`.

    estimator : FairBiNNClassifier, default=None
        All other parameters; it is not fitted itself. None means ``FairBiNNClassifier()``.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, as in `FairBiNNClassifier.fit`.

    n_jobs : int, default=None
        Number of seeds to train at once, by joblib. None means 1 unless in a
        :func:`joblib.parallel_config` context, -1 all cores. One training uses several cores
        already.

    Returns
    -------
    path : FairnessPath
        Fitted classifiers, and their figures on the training rows.

    Raises
    ------
    ValueError
        If a parameter is not valid, `estimator` has a `fairness_target` and there are no `targets`,
        or training diverges at one of the etas.

    TypeError
        If `estimator` is not a `FairBiNNClassifier`.

    See Also
    --------
    FairBiNNClassifierCV : Chooses eta or a target by cross-validation under a bound.

    Notes
    -----
    Each classifier is what `fit` gives at its eta and seed, up to the rounding of float32: a sum in
    another order differs in the last digit, and over many epochs nets drift apart by as much as for
    another seed.

    The nets of one seed begin alike and see the same batches, so all update rules train side by
    side, as one net whose parameters have an axis of models in front (:func:`torch.vmap`). These
    are trained one after another instead, and `FairnessPath.reason` says why: `early_stopping`;
    callbacks; a function as `constraint`; an optimizer that is none of the named ones;
    `ReduceLROnPlateau`; a module with buffers or with operations that vmap does not know. A net at
    eta 0 is trained by itself: it has one player only. Seeds see other batches, and follow one
    after another.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier, fairness_path
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 2000)
    >>> X = rng.normal(size=(2000, 3)) + (group == "a")[:, None]
    >>> y = X.sum(axis=1) + rng.normal(size=2000) > 1.5
    >>> settings = FairBiNNClassifier(random_state=0)
    >>> path = fairness_path(X, y, group, etas=[0, 1, 10], estimator=settings)
    >>> differences = path.to_frame()["demographic_parity_difference"]
    >>> bool(differences[0] > 0.3 > 0.1 > differences[2])
    True
    >>> path.best_under(0.1).eta
    10
    """
    if sensitive_features is None:
        raise ValueError("sensitive_features must be given for a path, got None.")
    estimator = template(estimator)
    if targets is None:
        refuse_target(estimator)
    values = points_of(etas, targets)
    seeds = seeds_of(seeds, estimator)
    classifiers, reason = fit_points(
        estimator, values, seeds, X, y, sensitive_features, sample_weight, n_jobs
    )
    figures = measure(classifiers, X, y, sensitive_features, sample_weight=sample_weight)
    return FairnessPath(classifiers, figures, reason)


def fit_points(estimator, values, seeds, X, y, sensitive_features, sample_weight, n_jobs=None):
    """Classifiers for each seed and each pair of `values`, and why they were not stacked."""
    if estimator.checkpoint is not None:
        raise ValueError(
            "checkpoint must be None where several nets are trained, as it is the file of one fit, "
            f"got {str(estimator.checkpoint)!r}."
        )
    runs = Parallel(n_jobs=n_jobs)(
        delayed(_fit_seed)(estimator, values, seed, X, y, sensitive_features, sample_weight)
        for seed in seeds
    )
    return [one for run, _ in runs for one in run], runs[0][1]


def _fit_seed(estimator, values, seed, X, y, sensitive_features, sample_weight):
    """Classifiers of one seed, side by side where they can."""
    points = [
        clone(estimator).set_params(**dict(zip(("eta", "fairness_target"), pair, strict=True)))
        for pair in values
    ]
    for one in points:
        one.set_params(random_state=seed)._validate_params()
    together = [one for one in points if one.eta != 0]
    reason = None
    if len(together) > 1:
        with torch.inference_mode(False), torch.enable_grad():
            reason = _fit_together(together, X, y, sensitive_features, sample_weight)
    data = {"sensitive_features": sensitive_features, "sample_weight": sample_weight}
    for one in points:
        if not hasattr(one, "net_"):
            one.fit(X, y, **data)
    return points, reason


def _fit_together(points, X, y, sensitive_features, sample_weight):
    """Fit classifiers that differ in eta or target alone; say why if they cannot be stacked."""
    first = copy.copy(points[0])
    rows = training_rows(first, X, y, sensitive_features, sample_weight)
    if not first._is_fair(rows):
        return "there is one group only"
    net = first._build(rows, first._window(rows), check_random_state(first.random_state))
    if reason := why_not_stacked(first, net):
        return reason
    learned = {name: value for name, value in vars(first).items() if name not in vars(points[0])}
    schedule = resolve_schedule(first.lr_schedule, SCHEDULES, first._nested_of("lr_schedule"))
    values = [one.eta if net.target is None else one.fairness_target for one in points]
    many = stacked(net, values, rows.dtype)
    with many.in_precision_of(rows):
        many.train(
            rows,
            epochs=first.max_epochs,
            schedule=schedule,
            fair=True,
            callbacks=[PrintRanges()] if first.verbose else [],
        )
    for k, (one, value) in enumerate(zip(points, values, strict=True)):
        vars(one).update(copy.deepcopy(learned))
        own = unstacked(many, net, k)
        setattr(own, "eta" if net.target is None else "target", value)
        name = "eta" if net.target is None else "fairness_target"
        own.changed = {**own.changed, name: value}
        one._learn(own)
        warn_of_outcome(one, rows)
    return None


def template(estimator):
    """Settings that all points share."""
    if estimator is None:
        return FairBiNNClassifier()
    if not isinstance(estimator, FairBiNNClassifier):
        raise TypeError(
            f"estimator must be a FairBiNNClassifier, got {type(estimator).__name__}; if it is a "
            "pipeline, transform X first and pass its last step."
        )
    return estimator


def refuse_target(estimator):
    """Raise if the estimator has a target, which etas would silently replace."""
    if estimator.fairness_target is not None:
        raise ValueError(
            f"estimator has fairness_target={estimator.fairness_target}, which finds an eta by "
            "itself; set it to None, or give targets in the place of etas."
        )


def points_of(etas, targets):
    """Pairs of eta and fairness_target."""
    if targets is not None:
        if etas is not None:
            raise ValueError(
                f"etas and targets exclude each other, got etas={etas!r} and targets={targets!r}."
            )
        return [(None, one) for one in _numbers("targets", targets)]
    return [(one, None) for one in _numbers("etas", ETAS if etas is None else etas)]


def _numbers(name, values):
    """Values as a list, in their order and as they are."""
    listed = list(values) if np.iterable(values) and not isinstance(values, str) else None
    if not listed or any(
        not isinstance(one, Real) or isinstance(one, bool) or not 0 <= one < np.inf
        for one in listed
    ):
        raise ValueError(f"{name} must be a sequence of finite numbers, >= 0, got {values!r}.")
    if len(set(listed)) < len(listed):
        raise ValueError(f"{name} must have no value twice, got {values!r}.")
    return listed


def seeds_of(seeds, estimator):
    """Seeds as a list; that of the estimator if there are none."""
    if seeds is None:
        given = estimator.random_state
        if isinstance(given, Integral):
            return [int(given)]
        return [int(check_random_state(given).randint(np.iinfo(np.int32).max))]
    listed = [seeds] if isinstance(seeds, Integral) else seeds
    if not (np.iterable(listed) and len(listed)) or any(
        not isinstance(one, Integral) or isinstance(one, bool) or not 0 <= one < 2**32
        for one in listed
    ):
        raise ValueError(
            "seeds must be an integer or a sequence of integers from 0 to 2**32 - 1, got "
            f"{seeds!r}."
        )
    if len(set(listed)) < len(listed):
        raise ValueError(f"seeds must have no value twice, got {seeds!r}.")
    return [int(one) for one in listed]


class FairnessPath:
    """Fitted classifiers along the trade-off, and their figures on some rows.

    `fairness_path` makes it. ``path[i]`` is the fitted classifier of row i of `to_frame`;
    ``len(path)`` counts them, and a loop goes over them.

    Parameters
    ----------
    estimators : list of FairBiNNClassifier
        Fitted classifiers, those of one seed behind each other.

    figures : DataFrame of shape (n_points, n_figures)
        Their figures.

    reason : str, default=None
        Why they were trained one after another; None if they were trained side by side.

    Attributes
    ----------
    by : str
        Name of the parameter that the points differ in: "eta" or "fairness_target".

    See Also
    --------
    fairness_path : Trains them.
    fairbinn_sklearn.inspection.ParetoFrontDisplay.from_path : The picture.
    """

    def __init__(self, estimators, figures, reason=None):
        self.estimators = estimators
        self.figures = figures
        self.reason = reason
        self.by = "eta" if estimators[0].fairness_target is None else "fairness_target"

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
        """Measure the same classifiers on other rows, such as a validation part.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, best others than those of training.

        y : array-like of shape (n_samples,)
            Labels.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Groups of the rows; several columns make intersections.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the figures.

        metrics : str or list of str, default=None
            Names of figures, as in `fairbinn_sklearn.metrics.FairnessScorer`. None means the
            differences of demographic parity, of equalized odds and of mean scores.

        score : str, default="accuracy"
            Name of a scorer of scikit-learn.

        pos_label : label, default=None
            The positive one of two classes. None means the last of `classes_`.

        Returns
        -------
        path : FairnessPath
            The same classifiers with the figures on these rows.

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
        """Number of points."""
        return len(self.estimators)

    def __getitem__(self, index):
        """Fitted classifier of a point, or a list of them for a slice."""
        return self.estimators[index]

    def __repr__(self):
        """Say how many points of which parameter."""
        values = ", ".join(f"{one:g}" for one in self._values().unique())
        seeds = len(self._seeds().unique())
        return f"FairnessPath({self.by} {values}; {seeds} seed{'s' if seeds > 1 else ''})"

    def to_frame(self):
        """Make a table of the points.

        Returns
        -------
        frame : DataFrame of shape (n_points, n_figures + 2)
            Eta or target, seed, and figures; differences are positive. With targets, `eta_` is
            the weight that was found.
        """
        frame = pd.DataFrame({self.by: self._values(), "seed": self._seeds()})
        if self.by == "fairness_target":
            frame["eta_"] = [one.eta_ for one in self.estimators]
        return pd.concat([frame, self.figures], axis=1)

    def summary(self):
        """Mean and standard deviation over the seeds.

        Returns
        -------
        summary : DataFrame of shape (n_values, 2 * n_figures)
            Indexed by eta or target, with columns (figure, "mean") and (figure, "std"); the
            deviation is that of the seeds given, 0 for one seed.
        """
        grouped = self.figures.groupby(self._values(), sort=False)
        parts = {"mean": grouped.mean(), "std": grouped.std(ddof=0)}
        return pd.concat(parts, axis=1).swaplevel(axis=1)[list(self.figures)]

    def nondominated(self, metric="demographic_parity_difference", score=None):
        """List the points whose mean over the seeds no other point beats.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        Returns
        -------
        points : DataFrame of shape (n_nondominated, 2)
            Means of difference and score by eta or target, from the smallest difference.

        Raises
        ------
        ValueError
            If the table has no such figure.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)[[metric, score]]
        return means[~dominated(means[metric], means[score])].sort_values(metric)

    def hypervolume(
        self, metric="demographic_parity_difference", score=None, *, reference=(1.0, 0.0)
    ):
        """Area that the points of each seed dominate, by moocore.

        Parameters
        ----------
        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        reference : tuple of two floats, default=(1.0, 0.0)
            Difference and score of the corner that the area is measured from: of the worst point
            that counts.

        Returns
        -------
        area : Series of shape (n_seeds,)
            Area by seed, from 0 to 1 with the default reference; larger is better.

        Raises
        ------
        ValueError
            If the table has no such figure.

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
                seed: hypervolume(points[rows], ref=corner)
                for seed, rows in self.figures.groupby(self._seeds(), sort=False).indices.items()
            },
            name="hypervolume",
        ).rename_axis("seed")

    def best_under(self, bound, metric="demographic_parity_difference", score=None):
        """Choose the classifier of the best score whose difference meets a bound.

        With several seeds, eta or the target is chosen by the means over them, and the classifier
        is that of the first seed: the best of the seeds would be a choice by chance.

        Parameters
        ----------
        bound : float
            Largest difference allowed, from 0 to 1.

        metric : str, default="demographic_parity_difference"
            Name of a difference in the table.

        score : str, default=None
            Name of a score in the table. None means its first figure.

        Returns
        -------
        classifier : FairBiNNClassifier
            The fitted classifier. If no point meets the bound it is the closest, with a warning.

        Raises
        ------
        ValueError
            If the bound is not valid, or the table has no such figure.

        Notes
        -----
        The figures are those of the rows that the path was measured on: call `evaluate` on rows
        that the nets were not trained on before choosing, and audit the choice on still others.
        """
        metric, score = self._columns(metric, score)
        means = self.summary().xs("mean", axis=1, level=1)
        results = {f"mean_test_{metric}": -means[metric], f"mean_test_{score}": means[score]}
        return self.estimators[best_under(bound, metric, score)(results)]

    def predict(self, X):
        """Predict labels by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_points, n_samples)
            Labels.
        """
        return np.stack([one.predict(X) for one in self.estimators])

    def predict_proba(self, X):
        """Predict probabilities by each classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_points, n_samples, n_classes)
            Probabilities in the order of `classes_`.
        """
        return np.stack([one.predict_proba(X) for one in self.estimators])

    def _values(self):
        return pd.Series([getattr(one, self.by) for one in self.estimators], name=self.by)

    def _seeds(self):
        return pd.Series([one.random_state for one in self.estimators], name="seed")

    def _columns(self, metric, score):
        score = self.figures.columns[0] if score is None else score
        for parameter, name in (("metric", metric), ("score", score)):
            if name not in self.figures:
                raise ValueError(
                    f"{parameter} must be one of {list(self.figures)}, got {name!r}; "
                    "FairnessPath.evaluate measures others."
                )
        return metric, score

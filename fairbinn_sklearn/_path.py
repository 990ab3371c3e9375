"""The whole trade-off curve: one classifier for each eta, trained side by side."""

import copy
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ._classifier import FairBiNNClassifier
from ._data import training_rows
from ._front import FairnessPath
from ._measure import measure
from ._outcome import warn_of_outcome
from ._resolve import resolve_schedule
from ._schedules import SCHEDULES
from ._stack import PrintRanges, stacked, unstacked, why_not_stacked

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
    together = [one for one in points if one.fairness_target is not None or one.eta > 0]
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
        return [(1.0, one) for one in _numbers("targets", targets)]
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

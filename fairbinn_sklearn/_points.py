"""Training of the points of a path: a classifier for each eta or target."""

from dataclasses import replace
from numbers import Integral, Real
from operator import itemgetter

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ._classifier import FairBiNNClassifier, set_fitted
from ._data.frames import check_order
from ._data.labels import plain_labels, split_validation
from ._training import length
from ._training.build import net_for
from ._training.callbacks import PrintEpochs
from ._training.continuation import continued
from ._training.few_samples import with_weight_decay
from ._training.options import TrainingOptions, nested_params
from ._training.outcome import warn_of_outcome
from ._training.resolve import resolve_schedule
from ._training.setup import training_data
from ._training.stack import stacked, unstacked, why_not_stacked
from ._utils.fit_warnings import collected_warnings
from ._utils.torch_state import neutral_torch_state
from ._utils.upstream import validate_params_of

ETAS = (0, 0.3, 1, 3, 10, 30)
# Device types on which networks are trained side by side. On a CPU, one at a time is faster.
SIDE_BY_SIDE = ("cuda", "mps")
# With fewer samples, a network trained for accuracy overfits, and a path that starts from it is
# worse than separate fits: see examples/benchmarks/continuation.py.
MIN_SAMPLES = 4096


def fit_points(
    estimator,
    points,
    seeds,
    X,
    y,
    sensitive_features,
    sample_weight,
    control_features=None,
    *,
    warm_start="auto",
    epochs_per_point=None,
    n_jobs=None,
):
    """Fit a classifier for each seed and point.

    Parameters
    ----------
    estimator : FairBiNNClassifier, Pipeline or None
        All other parameters.

    points : list of (eta, fairness_target)
        Points of the path.

    seeds : list of int
        Values of `random_state`.

    X, y, sensitive_features, sample_weight, control_features, warm_start, epochs_per_point, n_jobs
        As in `fairness_path`.

    Returns
    -------
    estimators : list of FairBiNNClassifier or Pipeline
        Fitted classifiers, ordered by seed and then by point.

    reason : str or None
        Why each classifier was trained by a separate fit. None if they were trained together.

    named_warnings : list of (str, FitWarning)
        Pairs of the name of a classifier and a warning of its fit. The warnings are not shown here.
    """
    warm_start = check_warm_start(warm_start, epochs_per_point)
    steps, classifier = split_pipeline(estimator)
    if classifier.checkpoint is not None:
        raise ValueError(
            "checkpoint must be None if several networks are trained, because a checkpoint belongs "
            f"to a single fit, got {str(classifier.checkpoint)!r}."
        )
    if steps is not None:
        check_order(sensitive_features, X=X, y=y)
        check_order(control_features, of="control_features", X=X, y=y)
        steps, y = clone(steps), plain_labels(y)
        X = steps.fit_transform(X, y)
    arguments = X, y, sensitive_features, sample_weight, control_features
    runs = Parallel(n_jobs=n_jobs)(
        delayed(_fit_seed)(classifier, points, seed, arguments, warm_start, epochs_per_point)
        for seed in seeds
    )
    fitted = [clf for classifiers, _, _ in runs for clf in classifiers]
    named_warnings = [
        (_point_name(*points[k], seed if len(seeds) > 1 else None), warning)
        for seed, (_, _, of_seed) in zip(seeds, runs, strict=True)
        for k, warning in of_seed
    ]
    if steps is not None:
        name = estimator.steps[-1][0]
        fitted = [Pipeline([*steps.steps, (name, clf)]) for clf in fitted]
    return fitted, runs[0][1], named_warnings


def check_warm_start(warm_start, epochs_per_point):
    """Return `warm_start`, or True if `epochs_per_point` is set; raise if they are not valid."""
    if not (isinstance(warm_start, (bool, np.bool_)) or warm_start == "auto"):
        raise ValueError(f'warm_start must be "auto", True or False, got {warm_start!r}.')
    if epochs_per_point is None:
        return warm_start if warm_start == "auto" else bool(warm_start)
    is_integer = isinstance(epochs_per_point, Integral) and not isinstance(epochs_per_point, bool)
    if not is_integer or epochs_per_point < 1:
        raise ValueError(
            f"epochs_per_point must be None or an integer, at least 1, got {epochs_per_point!r}."
        )
    if not warm_start:
        raise ValueError(
            f"epochs_per_point must be None with warm_start=False, got {epochs_per_point!r}: each "
            "network is then trained for the max_epochs of the estimator."
        )
    return True


def _point_name(eta, target, seed):
    """Return the name of a point for warnings, without the seed if it is None."""
    name = f"eta {eta:g}" if target is None else f"fairness_target {target:g}"
    return name if seed is None else f"{name} with seed {seed}"


def _fit_seed(estimator, points, seed, arguments, warm_start, epochs_per_point):
    """Fit the classifiers of one seed, together if possible.

    Returns the classifiers, the reason why they were not trained together or None, and pairs of the
    position of a point and a warning.
    """
    classifiers = []
    for eta, target in points:
        clf = clone(estimator).set_params(eta=eta, fairness_target=target, random_state=seed)
        validate_params_of(clf)
        classifiers.append(clf)
    reason, fit_warnings = None, []
    if len(classifiers) > 1:
        with neutral_torch_state():
            reason, fit_warnings = _fit_together(
                estimator, classifiers, arguments, warm_start, epochs_per_point
            )
    X, y, sensitive_features, sample_weight, control_features = arguments
    for k, clf in enumerate(classifiers):
        if not hasattr(clf, "net_"):
            with collected_warnings() as of_fit:
                clf.fit(
                    X,
                    y,
                    sensitive_features=sensitive_features,
                    sample_weight=sample_weight,
                    control_features=control_features,
                )
            fit_warnings += [(k, warning) for warning in of_fit]
    return classifiers, reason, sorted(fit_warnings, key=itemgetter(0))


def _fit_together(estimator, classifiers, arguments, warm_start, epochs_per_point):
    """Fit classifiers that differ only in eta or target, if possible.

    Returns the reason why this is not possible or None, and pairs of the position of a classifier
    and a warning.
    """
    if estimator.early_stopping:
        return "early_stopping=True ends the training of each network at a different epoch", []
    if getattr(classifiers[0], "_skl_callbacks", None):
        return "callbacks expect the epochs of a single network", []
    options = [TrainingOptions.from_estimator(clf) for clf in classifiers]
    first = clone(classifiers[0])
    with collected_warnings() as of_data:
        data = training_data(
            first, *arguments[:4], control_features=arguments[4], options=options[0]
        )
    if not data.has_groups:
        return "there is only one group", []
    trainer = _choose_trainer(warm_start, data, options[0])
    if isinstance(trainer, str):
        return trainer, []
    nested = nested_params(first.get_params(deep=False), "lr_schedule")
    random_state = check_random_state(first.random_state)
    samples, held_out = data.samples, None
    if options[0].target_samples == "validation":
        samples, held_out = split_validation(samples, first.validation_fraction, random_state)
    options = [with_weight_decay(point, samples, data.n_groups) for point in options]
    reason, networks = trainer(
        options,
        data,
        samples,
        held_out,
        random_state=random_state,
        epochs_per_point=epochs_per_point,
        max_epochs=first.max_epochs,
        schedule=resolve_schedule(first.lr_schedule, nested),
        callbacks=[PrintEpochs()] if first.verbose else [],
    )
    fit_warnings = []
    for k, net in networks:
        set_fitted(classifiers[k], net, data)
        with collected_warnings() as of_outcome:
            warn_of_outcome(net, data, samples, held_out)
        fit_warnings += [(k, warning) for warning in of_data + of_outcome]
    return reason, fit_warnings


def _choose_trainer(warm_start, data, options):
    """Return the function that trains several networks, or the reason to use separate fits."""
    samples, device = data.samples, data.samples.device.type
    if warm_start is True:
        return _continue
    if device in SIDE_BY_SIDE:
        return _train_side_by_side
    if warm_start is False:
        return f"on a device of type {device!r}, training one network at a time is faster"
    if len(samples) < MIN_SAMPLES:
        return f"there are {len(samples)} training samples, fewer than {MIN_SAMPLES}"
    if max(data.n_groups) > 2:
        return "with more than two groups, separate fits have the better trade-off"
    if options.fairness_target is not None and options.equalize == "both":
        return "targets for decisions and scores together need more epochs than a point has"
    return _continue


def _continue(
    options,
    data,
    samples,
    held_out,
    *,
    random_state,
    epochs_per_point,
    max_epochs,
    schedule,
    callbacks,
):
    """Train for accuracy, and then from point to point, towards smaller differences.

    Returns None as the reason, and pairs of a position and a network.
    """
    weight_decay = max(point.weight_decay for point in options)
    accuracy = replace(options[0], eta=0.0, fairness_target=None, weight_decay=weight_decay)
    net = net_for(accuracy, data, samples, random_state)
    epochs, fair_epochs = (
        length.number_of_epochs(max_epochs, accuracy, samples, len(data.classes), n_groups)
        for n_groups in ([], data.n_groups)
    )
    net.train(samples, held_out, epochs=epochs, schedule=schedule, fair=False, callbacks=callbacks)
    if epochs_per_point is None:
        epochs_per_point = length.epochs_per_point(fair_epochs, options[0], len(samples))
    networks = []
    for k in sorted(range(len(options)), key=lambda k: _strictness(options[k])):
        if options[k].wants_fairness:
            net = continued(
                net, options[k], samples, data.n_groups, epochs_per_point, callbacks, held_out
            )
        else:
            net.options = replace(options[k], weight_decay=weight_decay)
        networks.append((k, net))
    return None, networks


def _strictness(options):
    """Return a number that is larger for a point with a smaller difference."""
    return options.eta if options.fairness_target is None else -options.bound


def _train_side_by_side(
    options,
    data,
    samples,
    held_out,
    *,
    random_state,
    epochs_per_point,
    max_epochs,
    schedule,
    callbacks,
):
    """Train networks from initial weights, side by side, except those with eta 0.

    A network with eta 0 has one player only, and is left to a separate fit. Returns the reason why
    training side by side is not possible or None, and pairs of a position and a network.
    """
    places = [k for k, point in enumerate(options) if point.wants_fairness]
    if len(places) < 2:
        return "fewer than two points have a fairness loss", []
    net = net_for(options[places[0]], data, samples, random_state)
    if reason := why_not_stacked(net, schedule):
        return reason, []
    varied = "eta" if net.options.fairness_target is None else "fairness_target"
    many = stacked(net, [getattr(options[k], varied) for k in places], samples.dtype)
    n_classes = len(data.classes)
    epochs = length.number_of_epochs(max_epochs, net.options, samples, n_classes, data.n_groups)
    many.train(
        samples,
        held_out,
        epochs=epochs,
        accuracy_epochs=length.epochs_for_accuracy(net.options, samples, n_classes, epochs),
        schedule=schedule,
        fair=True,
        callbacks=callbacks,
    )
    networks = [(k, unstacked(many, net, options[k], i)) for i, k in enumerate(places)]
    return None, networks


def split_pipeline(estimator):
    """Return the steps of a pipeline before its classifier, or None, and the classifier.

    The classifier has the parameters that all points share. If `estimator` is None, it is
    ``FairBiNNClassifier()``.
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
    """Return seeds as a list; None means the seed of the estimator."""
    if seeds is None:
        random_state = estimator.random_state
        if isinstance(random_state, Integral):
            return [int(random_state)]
        return [int(check_random_state(random_state).randint(np.iinfo(np.int32).max))]
    if not (np.iterable(seeds) and len(seeds)) or any(
        not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < 2**32
        for seed in seeds
    ):
        raise ValueError(
            f"seeds must be a sequence of integers from 0 to 2**32 - 1, got {seeds!r}. For three "
            "seeds, pass range(3)."
        )
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must have no value twice, got {seeds!r}.")
    return [int(seed) for seed in seeds]

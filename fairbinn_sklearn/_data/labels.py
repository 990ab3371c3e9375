"""Labels, weights and the validation split."""

from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from .._utils.upstream import check_sample_weight, check_y
from .frames import to_container

# Values of `infer_dtype` for labels that scikit-learn accepts, or refuses with a clear error.
LABEL_TYPES = {"string", "boolean", "integer", "floating", "mixed-integer-float"}
LABEL_TYPES |= {"complex", "empty"}


def plain_labels(y, name="y"):
    """Return labels as a one-dimensional array of strings, numbers or booleans.

    All functions that take labels call this one first, so that they accept and refuse the same
    labels. A single column is flattened, with scikit-learn's DataConversionWarning.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels, in a container of any library. None is returned unchanged; scikit-learn refuses it.

    name : str, default="y"
        Name for errors.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Labels, without missing or infinite values.
    """
    if y is None:
        return None
    labels = to_container(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = column_or_1d(labels, warn=True)
    if labels.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got the shape {labels.shape}.")
    labels = _as_array(labels, "biufcU")
    if n_missing := int(pd.isna(labels).sum()):
        raise ValueError(f"{name} must not have missing values, got {n_missing}.")
    if labels.dtype.kind not in "biufcU":
        labels = pd.Series(labels, dtype=object).infer_objects().to_numpy()
        if labels.dtype == object:  # pandas 2 keeps NumPy scalars of strings
            plain = (label.item() if isinstance(label, np.generic) else label for label in labels)
            labels = np.fromiter(plain, dtype=object, count=len(labels))
        if (kind := infer_dtype(labels)) not in LABEL_TYPES:
            raise ValueError(
                f"{name} must have labels of one type, strings, numbers or booleans, got {kind}. "
                f"Convert them, for example by pandas.Series({name}).astype(str)."
            )
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name=name)
    return labels


def _as_array(values, kinds):
    """Return an array of objects, or of the numpy dtype of values if its kind is in `kinds`.

    Times keep their dtype, because numpy may convert them to integers in an array of objects.
    """
    dtype = getattr(values, "dtype", None)
    is_plain = isinstance(dtype, np.dtype) and dtype.kind in kinds + "mM"
    return np.asarray(values, dtype=None if is_plain else object)


def plain_weights(sample_weight, y):
    """Return sample weights as floats, None unchanged.

    All functions that take weights call this one first, so that they accept and refuse the same
    weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        Weights, in a container of any library.

    y : ndarray of shape (n_samples,)
        Labels of the same samples.

    Returns
    -------
    weight : ndarray of shape (n_samples,) or None
        Finite weights, >= 0 and not all 0.
    """
    if sample_weight is None:
        return None
    if not isinstance(sample_weight, Real):
        sample_weight = _as_array(to_container(sample_weight), "biuf")
    if np.asarray(sample_weight).dtype.kind not in "biuf":
        try:
            missing = pd.isna(sample_weight)
            sample_weight = np.where(missing, np.nan, sample_weight).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"sample_weight must have numbers only: {error}.") from error
    return check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)


def positive_code(pos_label, classes):
    """Return the code of the positive class of two; None means the second class."""
    classes = np.asarray(classes).tolist()
    if pos_label is None:
        return 1
    if len(classes) != 2:
        raise ValueError(
            f"pos_label must be None with {len(classes)} classes, got {pos_label!r}: the rates of "
            "all classes are equalised."
        )
    if pos_label not in classes:
        raise ValueError(f"pos_label must be one of the classes {classes}, got {pos_label!r}.")
    return classes.index(pos_label)


def trained_pos_label(estimator):
    """Return the `pos_label` of the classifier inside pipelines and searches, None without one."""
    return getattr(inner_classifier(estimator), "pos_label", None)


def inner_classifier(estimator):
    """Return the first estimator with a `pos_label` inside pipelines and searches, or None."""
    while not hasattr(estimator, "pos_label"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator_"):
            estimator = estimator.estimator_
        else:
            return None
    return estimator


def label_codes(X, y, classes, name="y"):
    """Return labels as codes of the classes of a fitted classifier, after the checks of `fit`.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples; only their number is used.

    y : array-like of shape (n_samples,) or (n_samples, 1)
        Labels or predictions.

    classes : ndarray of shape (n_classes,)
        Classes of the classifier, in any order.

    name : str, default="y"
        Name for errors.
    """
    if y is None:
        raise ValueError(f"{name} must be passed, got None.")
    labels = plain_labels(y, name)
    order = np.argsort(classes)
    known = np.asarray(classes)[order]
    codes = _codes_of_known(labels, known)
    if codes is None:
        labels = check_y(labels)
    check_consistent_length(X, labels)
    return order[encode_labels(labels, None, known, name)[1] if codes is None else codes]


def _codes_of_known(labels, known):
    """Return the codes of labels if all are known and have the known type, otherwise None.

    The shortcut avoids checks that take longer than the computation of a metric.
    """
    kinds = {labels.dtype.kind, known.dtype.kind}
    comparable = kinds <= {"O", "U"} or kinds in ({"b"}, {"i"}, {"u"})
    if not comparable or labels.ndim != 1 or not len(labels):
        return None
    try:
        codes = np.searchsorted(known, labels).clip(max=len(known) - 1)
    except TypeError:  # values of several types have no order
        return None
    return codes if (known[codes] == labels).all() else None


def encode_labels(y, classes, known, name="y"):
    """Return the classes, and the labels as codes 0, 1, ...

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    classes : array-like of shape (n_classes,) or None
        Classes that the caller announces.

    known : ndarray of shape (n_classes,) or None
        Classes of earlier calls, sorted.

    name : str, default="y"
        Name of the labels for errors.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted classes.

    codes : ndarray of shape (n_samples,)
        Positions of the labels in `classes`.
    """
    seen = distinct_labels(name, y)
    announced = seen if classes is None else distinct_labels("classes", classes)
    if known is None:
        if len(announced) < 2:
            raise ValueError(
                f"{name} must have two classes or more, got one class only: {announced.tolist()}."
            )
        known = announced
    elif classes is not None and announced.tolist() != known.tolist():
        raise ValueError(
            f"classes must be those of the first call, {known.tolist()}, got {announced.tolist()}."
        )
    allowed = known.tolist()
    if unknown := [label for label in seen.tolist() if label not in allowed]:
        raise ValueError(f"{name} must have the classes {allowed} and no others, got {unknown}.")
    return known, np.searchsorted(known, y)


def distinct_labels(name, labels):
    """Return the sorted distinct labels; raise if they are not labels of classes."""
    labels = plain_labels(labels, name)
    check_classification_targets(labels)
    return np.unique(labels)


def sample_weights(class_weight, classes, target, sample_weight, scale):
    """Return the weights of the samples in the accuracy loss and in the rates of groups.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        Weights of the classes; they enter the accuracy loss only.

    classes : ndarray of shape (n_classes,)
        Classes.

    target : ndarray of shape (n_samples,)
        Codes of the labels.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights that the user passed.

    scale : bool
        Whether to scale both to mean 1.

    Returns
    -------
    accuracy_weight, rate_weight : ndarray of shape (n_samples,) or None
        The weights; None if all are 1.
    """

    def scaled(weight):
        if not scale:
            return weight
        weight = weight / weight.max()  # the sum of huge weights would overflow
        return weight / weight.mean()

    if sample_weight is None and class_weight is None:
        return None, None
    weight = np.ones(len(target)) if sample_weight is None else sample_weight
    rate_weight = None if sample_weight is None else scaled(weight)
    if class_weight is not None:
        with np.errstate(divide="ignore"):  # a class whose samples all have weight 0
            by_class = compute_class_weight(
                class_weight, classes=classes, y=classes[target], sample_weight=sample_weight
            )
        weight = weight * np.where(weight > 0, by_class[target], 1.0)
        valid = np.isfinite(weight).all() and (weight >= 0).all()
        if not valid or (scale and not weight.any()):
            raise ValueError(
                "class_weight must be finite, >= 0 and not 0 for all training samples, got "
                f"{class_weight!r}."
            )
    return scaled(weight), rate_weight


def split_validation(samples, fraction, random_state):
    """Split samples for training and validation, stratified by label, and by group if possible."""
    target = samples.y.cpu().numpy()
    both = target[:, None]
    if samples.groups is not None:
        both = np.concatenate([both, samples.groups.cpu().numpy()], 1)
    for strata in (np.unique(both, axis=0, return_inverse=True)[1], target):
        try:
            train, validation = train_test_split(
                np.arange(len(samples)),
                test_size=fraction,
                random_state=random_state,
                stratify=strata,
            )
        except ValueError as error:
            failure = error
        else:
            return samples.subset(np.sort(train)), samples.subset(np.sort(validation))
    raise ValueError(
        f"validation_fraction must leave samples of each class on both sides, got {fraction} of "
        f"{len(samples)} samples: {failure}"
    ) from failure

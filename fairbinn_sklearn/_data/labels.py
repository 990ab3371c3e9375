"""Labels, class weights and the validation part: from what users pass to what the net takes."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets


def columns_of_words(X):
    """Names of the columns of a DataFrame that hold no numbers."""
    if not isinstance(X, pd.DataFrame):
        return []
    return [
        name
        for name, column in X.items()
        if pd.to_numeric(column.astype(object), errors="coerce").isna().sum() > column.isna().sum()
    ]


def plain_labels(y):
    """Labels of object or extension dtype as those of a plain dtype; others as they are."""
    labels = y if hasattr(y, "dtype") else np.asarray(y)
    if labels.ndim != 1 or (labels.dtype != object and isinstance(labels.dtype, np.dtype)):
        return y
    labels = pd.Series(labels, dtype=object)
    if n_missing := int(labels.isna().sum()):
        raise ValueError(f"y must not have missing values, got {n_missing}.")
    return labels.infer_objects().to_numpy()


def encode_labels(y, classes, known):
    """The classes, and the labels as codes 0, 1, ...

    `classes` are those the caller announces, `known` those of earlier calls; both may be None.
    """
    seen = distinct_labels("y", y)
    announced = seen if classes is None else distinct_labels("classes", classes)
    if known is None:
        if len(announced) < 2:
            raise ValueError(
                f"y must have two classes or more, got one class only: {announced.tolist()}."
            )
        known = announced
    allowed = known.tolist()
    if strange := [label for label in seen.tolist() + announced.tolist() if label not in allowed]:
        raise ValueError(f"y must have the classes {allowed} and no others, got {strange}.")
    return known, np.searchsorted(known, y)


def distinct_labels(name, labels):
    """Sorted labels without repetition, checked to be labels of classes."""
    labels = plain_labels(labels)
    if np.ndim(labels) != 1:
        raise ValueError(f"{name} must have one dimension, got {np.ndim(labels)}.")
    try:
        check_classification_targets(labels)
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(f"{name} must have labels of one type: {error}.") from error


def row_weights(class_weight, classes, target, sample_weight, scale):
    """Weights of the rows in the accuracy loss and in the rates; None if all are 1.

    `class_weight` enters the first alone; both have mean 1 if `scale`.
    """

    def scaled(weight):
        if not scale:
            return weight
        weight = weight / weight.max()  # a sum of huge weights overflows
        return weight / weight.mean()

    if sample_weight is None and class_weight is None:
        return None, None
    weight = np.ones(len(target)) if sample_weight is None else sample_weight
    of_rates = None if sample_weight is None else scaled(weight)
    if class_weight is not None:
        with np.errstate(divide="ignore"):  # a class whose rows all have weight 0
            of_classes = compute_class_weight(
                class_weight, classes=classes, y=classes[target], sample_weight=sample_weight
            )
        weight = weight * np.where(weight > 0, of_classes[target], 1.0)
        valid = np.isfinite(weight).all() and (weight >= 0).all()
        if not valid or (scale and not weight.any()):
            raise ValueError(
                "class_weight must give finite weights, >= 0 and not all 0 on the training rows, "
                f"got {class_weight!r}."
            )
    return scaled(weight), of_rates


def hold_out(rows, fraction, random_state):
    """Training rows and validation rows, stratified by label, and by group where they suffice."""
    target = rows.y.cpu().numpy()
    both = target[:, None]
    if rows.groups is not None:
        both = np.concatenate([both, rows.groups.cpu().numpy()], 1)
    for strata in (np.unique(both, axis=0, return_inverse=True)[1], target):
        try:
            train, validation = train_test_split(
                np.arange(len(rows)),
                test_size=fraction,
                random_state=random_state,
                stratify=strata,
            )
        except ValueError as error:
            failure = error
        else:
            return rows.subset(np.sort(train)), rows.subset(np.sort(validation))
    raise ValueError(
        f"early_stopping=True cannot set validation_fraction={fraction} of {len(rows)} rows "
        f"aside: {failure}"
    ) from failure

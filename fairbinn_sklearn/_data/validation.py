"""What users pass to fit, checked and encoded as rows for the net."""

import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    validate_data,
)

from .._training.options import resolve_constraint, resolve_device
from .._utils.distributed import Processes
from ..losses import FairnessLoss
from .batches import Rows, rows_of_a_batch
from .groups import (
    cut_into_bins,
    encode_groups,
    names_by_column,
    sensitive_frame,
    warn_of_small_groups,
)
from .labels import columns_of_words, encode_labels, plain_labels, row_weights
from .sources import as_source


def check_data(estimator, X, *y, reset):
    """X, and y if it is given, as scikit-learn checks them; X in float32, or a `Source`."""
    if (source := as_source(X)) is not None:
        return _check_source(estimator, source, *y, reset=reset)
    try:
        # What is too large for float32 becomes infinite, and is refused.
        with np.errstate(over="ignore", invalid="ignore"):
            checked = validate_data(
                estimator,
                X,
                *y,
                accept_sparse="csr",
                dtype=np.float32,
                order="C",
                allow_nd=estimator.module is not None,
                reset=reset,
            )
    except ValueError as error:
        if words := columns_of_words(X):
            raise ValueError(
                f"X must have numeric columns, got {words}; encode them, for example by "
                f"OneHotEncoder in a pipeline. ({error})"
            ) from error
        if estimator.module is None and "with dim" in str(error):
            raise ValueError(
                f"X must have two dimensions, unless module is a net of your own. {error}"
            ) from error
        raise
    _check_row_shape(estimator, checked[0] if y else checked, reset)
    return checked


def _check_source(estimator, source, *y, reset):
    """The same for X that is read later, and checked then."""
    if len(source.shape) > 2 and estimator.module is None:
        raise ValueError(
            "X must have two dimensions, unless module is a net of your own, got the shape "
            f"{source.shape}."
        )
    names = source.feature_names
    _check_feature_names(
        estimator, source if names is None else pd.DataFrame(columns=list(names)), reset=reset
    )
    _check_n_features(estimator, source, reset=reset)
    _check_row_shape(estimator, source, reset)
    if not y:
        return source
    labels = _check_y(*y, estimator=estimator)
    check_consistent_length(source, labels)
    return source, labels


def _check_row_shape(estimator, X, reset):
    if not reset and X.shape[1:] != estimator.net_.input_shape:
        raise ValueError(
            f"X must have rows of shape {estimator.net_.input_shape} as in fit, got {X.shape[1:]}."
        )


def training_rows(
    estimator, X, y, sensitive_features, sample_weight, *, classes=None, previous=None, whole=True
):
    """Check and encode rows, all or a part for partial_fit; learn `classes_` and `groups_`."""
    goes_on = previous is not None and not whole
    device = torch.device(previous.device) if goes_on else resolve_device(estimator.device)
    X, y = check_data(estimator, X, y if y is None else plain_labels(y), reset=not goes_on)
    known = None if previous is None else estimator.classes_
    estimator.classes_, target = encode_labels(y, classes, known)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(
            sample_weight, target, dtype=np.float64, ensure_non_negative=True
        )
        if not isinstance(resolve_constraint(estimator.constraint), FairnessLoss):
            raise ValueError(
                "sample_weight cannot be used with a function as constraint, which knows of no "
                "weights; make it a subclass of FairnessLoss."
            )
    groups = _encode_groups(
        estimator, sensitive_features, len(target), sample_weight, goes_on, whole
    )
    weights = row_weights(
        estimator.class_weight, estimator.classes_, target, sample_weight, scale=whole
    )
    dtype = _precision(estimator, len(target), device, whole)
    rows = Rows(X, target, groups, *weights, device, dtype)
    if isinstance(estimator.device, str) and estimator.device == "accelerate":
        rows.processes = Processes()
        rows.processes.check(rows, estimator)
    return rows


def _precision(estimator, n_rows, device, whole):
    """Type of the arithmetic of training: float64 if one batch holds all rows.

    That costs next to nothing, and makes a weight of 2 the same as a row given twice.
    """
    plain = (
        estimator.module is None and isinstance(estimator.activation, str) and device.type != "mps"
    )
    one_batch = n_rows <= rows_of_a_batch(estimator.batch_size, n_rows)
    return torch.float64 if whole and plain and one_batch else torch.float32


def _encode_groups(estimator, sensitive_features, n_rows, sample_weight, goes_on, whole):
    """Learn `groups_` and `bin_edges_`, or go on from them; return the codes of the rows."""
    known = estimator.groups_ if goes_on else None
    if sensitive_features is not None:
        frame, estimator.bin_edges_ = cut_into_bins(
            sensitive_frame(sensitive_features, n_rows),
            estimator.n_bins,
            estimator.max_groups,
            weight=sample_weight,
            known=None if known is None else estimator.bin_edges_,
            goes_on=not whole,
        )
        codes, estimator.groups_ = encode_groups(frame, estimator.combine, known)
        if known is None and wants_fairness(estimator):
            warn_of_small_groups(codes, _names_by_column(estimator), sample_weight)
        return codes
    estimator.groups_ = known
    estimator.bin_edges_ = estimator.bin_edges_ if goes_on else {}
    if wants_fairness(estimator):
        wish, off = "eta", "eta=0"
        if estimator.fairness_target is not None:
            wish, off = "fairness_target", "fairness_target=None and eta=0"
        message = (
            f"sensitive_features is None and {wish} is {getattr(estimator, wish)}: without groups "
            "there is nothing to equalise, and the net is trained for accuracy alone. Pass "
            f"fit(X, y, sensitive_features=...), or set {off}."
        )
        if estimator.missing_sensitive == "raise":
            raise ValueError(message)
        warnings.warn(message, UserWarning, stacklevel=2)
    return None


def wants_fairness(estimator):
    """Whether the parameters ask for a fairness loss; an error if they contradict each other."""
    if estimator.fairness_target is None:
        return estimator.eta is None or estimator.eta > 0
    told = f"fairness_target={estimator.fairness_target}"
    if estimator.eta is not None:
        raise ValueError(
            f"eta={estimator.eta} and {told} exclude each other: with a target, eta is found and "
            "ends in eta_. Leave eta=None, also in searches over parameters, or set "
            "fairness_target=None."
        )
    rates = isinstance(resolve_constraint(estimator.constraint), FairnessLoss)
    if rates and estimator.fairness_target >= 1:
        raise ValueError(
            f"{told} is met by any model, as a difference of rates is at most 1; set one below 1."
        )
    if estimator.early_stopping:
        raise ValueError(
            f"early_stopping=True and {told} exclude each other: the objective of an epoch cannot "
            "be compared with that of another while eta moves. Set early_stopping=False."
        )
    return True


def n_groups(estimator):
    """Numbers of groups, of each sensitive column or of the one intersection."""
    return [len(names) for names in _names_by_column(estimator)]


def _names_by_column(estimator):
    return names_by_column(estimator.groups_, estimator.combine)

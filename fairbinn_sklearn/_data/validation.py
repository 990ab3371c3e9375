"""Checks of the arguments of `fit`, and their encoding as training samples."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_consistent_length, validate_data

from .._utils.fit_warnings import FitWarning, warn
from .._utils.upstream import check_feature_names, check_n_features, check_y
from ..exceptions import MissingSensitiveFeaturesWarning
from .batches import Samples
from .frames import nan_if_missing, non_numeric_columns, time_columns
from .groups import UNKNOWN, GroupEncoder, cells_of, sensitive_frame, strata_of
from .labels import encode_labels, plain_weights, sample_weights
from .sources import as_source


@dataclass(frozen=True)
class TrainingData:
    """Encoded samples, with their classes, groups and features."""

    samples: Samples
    classes: np.ndarray
    group_encoder: GroupEncoder | None
    features: dict
    n_strata: int = 1

    @property
    def group_codes(self):
        """Return the group codes of the samples (N, K), without their strata."""
        cells = self.samples.groups
        sizes = torch.as_tensor(self.n_groups, device=cells.device)
        return torch.where(cells == UNKNOWN, UNKNOWN, cells % sizes)

    @property
    def n_groups(self):
        """Return the number of groups of each partition; empty without sensitive features."""
        return [] if self.group_encoder is None else self.group_encoder.n_groups

    @property
    def n_unknown(self):
        """Return the number of samples with an unknown group."""
        groups = self.samples.groups
        return 0 if groups is None else int((groups == UNKNOWN).any(1).sum())

    @property
    def has_groups(self):
        """Return whether the samples have groups that can be equalised."""
        return self.samples.groups is not None and max(self.n_groups) > 1


def check_data(estimator, X, *y, reset, input_shape=None):
    """Return X, and y if it is passed, after scikit-learn's checks.

    Parameters
    ----------
    estimator : FairBiNNClassifier
        Estimator on which scikit-learn stores or compares the number and names of the features.

    X : {array-like, sparse matrix, torch Dataset}
        Features.

    *y : array-like of shape (n_samples,)
        Labels, if any.

    reset : bool
        Whether to learn the features instead of comparing them.

    input_shape : tuple, default=None
        Shape of a sample of the fitted network, to compare with.

    Returns
    -------
    X : ndarray of float32, CSR matrix or Source
        Features.

    y : ndarray of shape (n_samples,)
        Labels, if they were passed.
    """
    if (source := as_source(X)) is not None:
        return _check_source(estimator, source, *y, reset=reset, input_shape=input_shape)
    if not y and not reset and (plain := _plain_samples(estimator, X, input_shape)) is not None:
        return plain
    try:
        checked = numeric_features(
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
        if "X contains NaN" in str(error):
            raise ValueError(
                "X must not have missing values. Fill them in, or begin a pipeline with "
                "tabular_preprocessor, which encodes missing values of a DataFrame. "
                f"({str(error).splitlines()[0]})"
            ) from error
        if estimator.module is None and "with dim" in str(error):
            raise ValueError(
                f"X must have two dimensions unless module is a custom module. {error}"
            ) from error
        raise
    _check_sample_shape(checked[0] if y else checked, input_shape)
    return checked


def _plain_samples(estimator, X, input_shape):
    """Return a float array of finite samples as float32, and None for every other X.

    Such an array passes scikit-learn's checks unchanged, and the checks take longer than the
    prediction of one sample.
    """
    if type(X) is not np.ndarray or X.dtype.kind != "f" or hasattr(estimator, "feature_names_in_"):
        return None
    if not len(X) or X.ndim != 2 or X.shape[1:] != input_shape:
        return None
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(X, dtype=np.float32)
    return X if np.isfinite(X).all() else None


def numeric_features(estimator, X, *y, **checks):
    """Validate X, and y if it is passed; errors name the columns that are not numeric.

    Values that are too large for the dtype become infinite.
    """
    refuse_times(time_columns(X))
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(estimator, nan_if_missing(X), *y, **checks)
    except (ValueError, TypeError) as error:
        if columns := non_numeric_columns(X):
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"X must have numeric columns, got {columns}. Encode them, for example by "
                f"tabular_preprocessor in a pipeline. ({error})"
            ) from error
        raise


def refuse_times(columns):
    """Raise if X has columns of dates, times or time spans."""
    if columns:
        raise ValueError(
            f"X must not have columns of dates, times or time spans, got {columns}. "
            "Convert them to numbers, such as days since a date, or drop them."
        )


def _check_source(estimator, source, *y, reset, input_shape):
    """Return a source whose values are checked when they are read, and labels."""
    if len(source.shape) > 2 and estimator.module is None:
        raise ValueError(
            "X must have two dimensions unless module is a custom module, got the shape "
            f"{source.shape}."
        )
    names = source.feature_names
    check_feature_names(
        estimator, source if names is None else pd.DataFrame(columns=list(names)), reset=reset
    )
    check_n_features(estimator, source, reset=reset)
    _check_sample_shape(source, input_shape)
    if not y:
        return source
    labels = check_y(*y, estimator=estimator)
    check_consistent_length(source, labels)
    return source, labels


def _check_sample_shape(X, input_shape):
    if input_shape is not None and X.shape[1:] != input_shape:
        raise ValueError(
            f"X must have samples of shape {input_shape} as in fit, got {X.shape[1:]}."
        )


def encode_training_data(
    X,
    y,
    sensitive_features,
    sample_weight,
    *,
    control_features=None,
    options,
    class_weight,
    device,
    dtype,
    features,
    classes=None,
    known_classes=None,
    known_groups=None,
    is_fit=True,
):
    """Encode checked X and y, sensitive features and weights as the samples of a training.

    Parameters
    ----------
    X, y : ndarray, CSR matrix or Source; ndarray
        Values that `check_data` returned.

    sensitive_features, sample_weight, control_features : array-like or None
        As users pass them to `fit`.

    options : TrainingOptions
        Options of the training.

    class_weight : dict, "balanced" or None
        Weights of the classes in the accuracy loss.

    device : torch.device
        Device of the network.

    dtype : torch.dtype
        Floating-point type of the training.

    features : dict
        Number and names of the features, by the names of the estimator's attributes.

    classes : array-like, default=None
        Classes that the caller announces.

    known_classes : ndarray, default=None
        Classes of a fitted estimator.

    known_groups : GroupEncoder, default=None
        Groups of a fitted estimator; new groups are added to a copy.

    is_fit : bool, default=True
        Whether these are all samples, as in `fit`. Weights are then scaled to mean 1.

    Returns
    -------
    data : TrainingData
        Encoded samples, classes and groups.
    """
    classes, target = encode_labels(y, classes, known_classes)
    sample_weight = plain_weights(sample_weight, target)
    if sample_weight is not None and not options.has_rates:
        raise ValueError(
            "sample_weight must be None with a function as constraint, because the function takes "
            "no weights. To use weights, pass a FairnessLoss as constraint."
        )
    if control_features is not None:
        _check_control_features(control_features, sensitive_features, options)
    encoder, codes = known_groups, None
    if sensitive_features is not None:
        frame = sensitive_frame(sensitive_features, len(target))
        encoder = (known_groups or GroupEncoder(options.combine)).extended(frame)
        codes = encoder.transform(frame)
    elif options.wants_fairness:
        _warn_of_missing_groups(options)
    n_strata = 1
    if control_features is not None:
        strata, n_strata = _strata(control_features, codes, options.constraint.measures_level)
        codes = cells_of(codes, strata, encoder.n_groups)
    weights = sample_weights(class_weight, classes, target, sample_weight, scale=is_fit)
    samples = Samples(X, target, codes, *weights, device, dtype)
    return TrainingData(samples, classes, encoder, features, n_strata)


def _check_control_features(control_features, sensitive_features, options):
    if sensitive_features is None:
        raise ValueError(
            "sensitive_features must be passed with control_features, which condition the "
            "comparison of groups, got None."
        )
    if not options.has_rates:
        raise ValueError(
            "control_features must be None with a function as constraint, got "
            f"{type(control_features).__name__}. To use strata, pass a FairnessLoss as constraint."
        )


def _strata(control_features, codes, measures_level):
    """Return the stratum of each sample, and the number of strata; warn of strata of one group."""
    strata, names = strata_of(control_features, len(codes))
    if measures_level:  # groups are not compared
        return strata, len(names)
    is_alone = np.ones(len(names), dtype=bool)
    for column in codes.T:
        known = (column != UNKNOWN) & (strata != UNKNOWN)
        pairs = np.unique(np.column_stack([strata, column])[known], axis=0)
        is_alone &= np.bincount(pairs[:, 0], minlength=len(names)) < 2
    if is_alone.any():
        n_left_out = int(is_alone[strata[strata != UNKNOWN]].sum())
        warn(
            FitWarning(
                "strata",
                f"control_features has {is_alone.sum()} of {len(names)} strata without two groups, "
                f"such as {names[is_alone][0]!r}. Their {n_left_out} samples count in the accuracy "
                "loss only. Merge small strata.",
            )
        )
    return strata, len(names)


def _warn_of_missing_groups(options):
    name, off = "eta", "eta=0"
    if options.fairness_target is not None:
        name, off = "fairness_target", "fairness_target=None and eta=0"
    value = getattr(options, name)
    warn(
        FitWarning(
            "no sensitive features",
            f"sensitive_features is None and {name} is {value}: the network is trained for "
            f"accuracy alone. Pass fit(X, y, sensitive_features=...), or set {off}.",
            MissingSensitiveFeaturesWarning,
        )
    )

"""Scales of the features."""

import numpy as np
import scipy.sparse as sp
import torch

from .._utils.fit_warnings import FitWarning, warn

SCALED = 10.0  # root mean square of a feature above which it counts as not scaled


def feature_scales(X):
    """Return the root mean square of each feature of an array, CSR matrix or tensor."""
    if sp.issparse(X):
        squares = X.astype(np.float64).power(2).sum(axis=0)
    else:
        X = X.cpu().numpy() if isinstance(X, torch.Tensor) else X
        X = X.reshape(len(X), -1)
        squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    return np.sqrt(np.asarray(squares).ravel() / X.shape[0])


def name_of_feature(k, names):
    """Return the name of a feature, or its position if features have no names."""
    return k if names is None else names[k]


def warn_of_scales(X, options, features):
    """Warn if a feature is not scaled; a custom module may take codes or pixels and is not checked.

    Parameters
    ----------
    X : ndarray, CSR matrix or tensor of shape (n_samples, ...)
        Some training samples.

    options : TrainingOptions
        Options of the training.

    features : dict
        Fitted attributes of the features, with "feature_names_in_" if they have names.
    """
    if options.module is not None:
        return
    scales = feature_scales(X)
    n_unscaled = int((scales > SCALED).sum())
    if not n_unscaled:
        return
    k = int(scales.argmax())
    name = name_of_feature(k, features.get("feature_names_in_"))
    warn(
        FitWarning(
            "scales",
            f"X has {n_unscaled} feature(s) that are not scaled, such as {name!r} with a root mean "
            f"square of {scales[k]:.3g} (1 for a standardized feature). Networks learn slowly or "
            "not at all from features of very different scales. Scale X, for example by "
            "StandardScaler or tabular_preprocessor in a pipeline.",
        )
    )

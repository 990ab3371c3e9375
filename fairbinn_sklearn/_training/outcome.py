"""Predictions of a network, and warnings of training that ended badly."""

import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from .._data.batches import as_tensor, rows_of_a_batch
from .._data.sources import Source
from .update_rules import accuracy_only


def decide(logits):
    """Class codes of logits of shape (N,) for two classes or (N, C)."""
    return (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(1)


@torch.inference_mode()
def predict_logits(module, X):
    """Logits of X as a float64 array of shape (N, C), from chunks that all have one shape.

    A matrix product may round differently for another number of rows. Chunks padded to one
    size make the figure of a row independent of the rows it is predicted with.
    """
    module.eval()
    like = next(module.parameters())
    size = max(64, min(1024, 2**24 // math.prod(X.shape[1:])))  # at most 64 MiB, or X is very wide
    logits, end = None, 0
    for rows in X.in_order() if isinstance(X, Source) else [X]:
        for start in range(0, rows.shape[0], size):
            chunk = as_tensor(rows[start : start + size], like.device, like.dtype)
            missing = chunk.new_zeros(size - len(chunk), *chunk.shape[1:])
            padded = torch.cat([chunk, missing])  # a copy: a net may work in place
            found = module(padded)[: len(chunk)]
            if logits is None:
                logits = found.new_empty(X.shape[0], *found.shape[1:])
            logits[end : end + len(chunk)] = found
            end += len(chunk)
    return logits.cpu().double().numpy()  # MPS has no float64


def warn_of_outcome(estimator, rows, n_rows=10_000):
    """Warn of one decision for everybody, looking at some rows, and of a target missed."""
    if estimator.net_.rule is accuracy_only:
        return
    logits = predict_logits(estimator.module_, rows.sample_of_rows(n_rows))
    decisions = decide(logits[:, 0] if logits.shape[1] == 1 else logits)
    if (decisions == decisions[0]).all():
        label = estimator.classes_.tolist()[decisions[0]]
        batch_size = rows_of_a_batch(estimator.net_.batch_size, estimator.net_.n_rows)
        weight = f"lower eta (now {estimator.eta_:.4g})"
        if estimator.fairness_target is not None:
            weight = f"raise fairness_target (now {estimator.fairness_target})"
        warnings.warn(
            f"All decisions on {len(decisions)} training rows are {label!r}: their differences "
            "are small because the net tells nothing. Scale the columns of X if they are not, "
            f"train longer (max_epochs, now {estimator.max_epochs}), {weight}, raise batch_size "
            f"(now {batch_size}) or shorten rate_window; a module of your own must return logits.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if (target := estimator.fairness_target) is not None:
        difference = float(estimator.net_.criterion_.measured())
        if difference > max(1.25 * target, target + 0.01):
            warnings.warn(
                f"The running difference ended at {difference:.4f}, above fairness_target="
                f"{target}: train longer (max_epochs, now {estimator.max_epochs}).",
                ConvergenceWarning,
                stacklevel=2,
            )

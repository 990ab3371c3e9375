"""Decisions, and warnings of training that ended badly."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._batches import predict_logits, rows_of_a_batch
from ._rules import accuracy_only


def decide(logits):
    """Class codes of logits of shape (N,) for two classes or (N, C)."""
    return (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(1)


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

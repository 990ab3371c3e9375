"""Predictions of a network, and warnings about its result after training."""

import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from .._data.batches import as_tensor, samples_per_batch
from .._data.sources import Source


def decide(logits):
    """Return class codes of logits, of shape (N,) for two classes or (N, C)."""
    return (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(1)


@torch.inference_mode()
def predict_logits(module, X):
    """Return logits of X as a float64 array of shape (N, C).

    Chunks are padded to one size, because a matrix product may round differently for another
    number of samples. So the logits of a sample do not depend on the samples predicted with it.
    """
    module.eval()
    param = next(module.parameters())
    size = max(64, min(1024, 2**24 // math.prod(X.shape[1:])))  # 64 MiB, unless X is very wide
    logits, end = None, 0
    for part in X.in_order() if isinstance(X, Source) else [X]:
        for start in range(0, part.shape[0], size):
            chunk = as_tensor(part[start : start + size], param.device, param.dtype)
            padding = chunk.new_zeros(size - len(chunk), *chunk.shape[1:])
            padded = torch.cat([chunk, padding])  # a copy, as a module may work in place
            chunk_logits = module(padded)[: len(chunk)]
            if logits is None:
                logits = chunk_logits.new_empty(X.shape[0], *chunk_logits.shape[1:])
            logits[end : end + len(chunk)] = chunk_logits
            end += len(chunk)
    return logits.cpu().double().numpy()  # MPS has no float64


def warn_of_outcome(net, classes, samples):
    """Warn if the model predicts one class only, or missed its target.

    Parameters
    ----------
    net : TwoPlayerNet
        Trained network.

    classes : ndarray of shape (n_classes,)
        Classes.

    samples : Samples
        Training samples, of which about 10,000 are predicted.
    """
    if net.last_run.fair:
        _warn_of_constant_predictions(net, classes, samples.thinned(10_000))
        _warn_of_missed_target(net)


def _warn_of_constant_predictions(net, classes, X):
    logits = predict_logits(net.module_, X)
    codes = decide(logits[:, 0] if logits.shape[1] == 1 else logits)
    if (codes != codes[0]).any():
        return
    options, run = net.options, net.last_run
    batch_size = samples_per_batch(options.batch_size, run.n_samples)
    weight = f"lower eta (now {options.eta:.4g})"
    if options.fairness_target is not None:
        weight = f"raise fairness_target (now {options.fairness_target})"
    warnings.warn(
        f"The model predicts {classes.tolist()[codes[0]]!r} for all {len(codes)} training samples, "
        "so its group differences are trivially small. Scale the features of X if they are not "
        f"scaled, train longer (max_epochs, now {run.epochs}), {weight}, raise batch_size (now "
        f"{batch_size}) or lower rate_window; a custom module must return logits.",
        ConvergenceWarning,
        stacklevel=2,
    )


def _warn_of_missed_target(net):
    target = net.options.fairness_target
    if target is None:
        return
    difference = float(net.criterion_.constraint_value())
    if difference > max(1.25 * target, target + 0.01):
        warnings.warn(
            f"The running difference ended at {difference:.4f}, above fairness_target={target}: "
            f"train longer (max_epochs, now {net.last_run.epochs}).",
            ConvergenceWarning,
            stacklevel=2,
        )

"""Regularisation of networks that are trained for fairness on few samples per feature and group.

Such a network equalises the rates of its training samples by memorising them, and the rates of
other samples differ. A stronger weight decay, which shrinks all weights of a feature together,
counteracts this.
"""

from dataclasses import replace

WEIGHT_DECAY = 3e-4
STRONG_WEIGHT_DECAY = 1e-3
FEW = 2.0  # samples per feature and group
MIN_SAMPLES = 1000  # with fewer samples, 20 epochs have too few steps to memorise them


def has_few_samples(options, samples, n_groups):
    """Return whether the training has few samples per feature and group.

    It is False for a custom module, which may share weights between features.

    Parameters
    ----------
    options : TrainingOptions
        Options of the training.

    samples : Samples
        Samples to train on.

    n_groups : list of int
        Number of groups of each partition; empty without a fairness loss.
    """
    if options.module is not None or not n_groups or len(samples) < MIN_SAMPLES:
        return False
    return len(samples) < FEW * samples.X.shape[1] * max(n_groups)


def with_weight_decay(options, samples, n_groups):
    """Return options whose weight decay "auto" is the number that suits the samples."""
    if options.given["weight_decay"] != "auto":
        return options
    is_strong = has_few_samples(options, samples, n_groups)
    return replace(options, weight_decay=STRONG_WEIGHT_DECAY if is_strong else WEIGHT_DECAY)

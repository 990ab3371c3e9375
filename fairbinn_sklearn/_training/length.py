"""Number of epochs of a training, and of its parts."""

import math

from .._data.batches import samples_per_batch

EPOCHS = 20
FAIR_STEPS = 300  # with a fairness loss, fewer steps on few samples end in one predicted class
RARE_STEPS = 1000  # a rare class is learned late
MIN_EPOCHS, MIN_STEPS = 2, 220  # of a point of a path
RARE = 0.1  # frequency of a class, relative to 1 / n_classes, below which the class is rare


def steps_per_epoch(options, n_samples):
    """Return the number of batches of an epoch."""
    return math.ceil(n_samples / samples_per_batch(options.batch_size, n_samples))


def number_of_epochs(max_epochs, options, samples, n_classes, fair):
    """Return `max_epochs`, or if it is "auto" the number of epochs that it means.

    It is 20. It is larger where 20 epochs have fewer steps than a fairness loss or a rare class
    needs.
    """
    if max_epochs != "auto":
        return max_epochs
    n_steps = RARE_STEPS if has_rare_class(samples, n_classes) else FAIR_STEPS if fair else 0
    return max(EPOCHS, math.ceil(n_steps / steps_per_epoch(options, len(samples))))


def epochs_per_point(max_epochs, options, n_samples):
    """Return the default number of epochs from one point of a path to the next.

    It is a tenth of `max_epochs`, but at least `MIN_EPOCHS` and `MIN_STEPS`. Under a target it is
    twice as many epochs, because the multipliers have to converge, too. It is at most `max_epochs`.
    """
    enough = math.ceil(MIN_STEPS / steps_per_epoch(options, n_samples))
    epochs = max(max_epochs // 10, MIN_EPOCHS, enough)
    return min(max_epochs, epochs if options.fairness_target is None else 2 * epochs)


def epochs_for_accuracy(samples, n_classes, epochs):
    """Return the number of epochs of a training before its fairness loss is used.

    It is half of the epochs if a class is rare, otherwise 0. A new network predicts no rare class
    at first, so the decisions of all groups are equal. If the fairness loss kept them equal, the
    network would never learn to predict the rare class.
    """
    return epochs // 2 if has_rare_class(samples, n_classes) else 0


def has_rare_class(samples, n_classes):
    """Return whether a class has little weight in the accuracy loss."""
    totals = samples.label_totals(n_classes)
    return bool(totals.min() * n_classes < RARE * totals.sum())

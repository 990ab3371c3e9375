"""Numbers of epochs of a fit, of its first part, and of a point of a path."""

import math

from .._data.batches import samples_per_batch

EPOCHS = 20
FAIR_STEPS = 200  # with fewer steps and a fairness loss, networks predict one class only
RARE_STEPS = 1000  # networks learn a rare class late
MIN_EPOCHS, MIN_STEPS = 2, 220  # of a point of a path
RARE = 0.1  # a class is rare if its frequency is below RARE / n_classes


def steps_per_epoch(options, n_samples):
    """Return the number of batches of an epoch."""
    return math.ceil(n_samples / samples_per_batch(options.batch_size, n_samples))


def number_of_epochs(max_epochs, options, samples, n_classes, n_groups):
    """Return the number of epochs of a fit.

    It is `max_epochs`. "auto" means `EPOCHS`, or more if these have too few steps: fewer than
    `RARE_STEPS` with a rare class, or fewer than `FAIR_STEPS` with a fairness loss. `n_groups` is
    the number of groups of each partition, and empty without a fairness loss.
    """
    if max_epochs != "auto":
        return max_epochs
    n_steps = RARE_STEPS if has_rare_class(samples, n_classes) else FAIR_STEPS if n_groups else 0
    return max(EPOCHS, math.ceil(n_steps / steps_per_epoch(options, len(samples))))


def epochs_per_point(max_epochs, options, n_samples):
    """Return the default number of epochs from one point of a path to the next.

    It is a tenth of `max_epochs`, but at least `MIN_EPOCHS` and `MIN_STEPS`. Under a target it is
    twice as large, because the multipliers must converge too. It is at most `max_epochs`.
    """
    enough = math.ceil(MIN_STEPS / steps_per_epoch(options, n_samples))
    epochs = max(max_epochs // 10, MIN_EPOCHS, enough)
    return min(max_epochs, epochs if options.fairness_target is None else 2 * epochs)


def epochs_for_accuracy(options, samples, n_classes, epochs):
    """Return the number of epochs of a fit before the fairness loss is used.

    It is half of the epochs if a class is rare. At first, a network does not predict a rare class,
    so the decisions of all groups are equal. A fairness loss from the first epoch could keep them
    equal, and the network would never learn to predict the rare class.

    It is a fifth of the epochs if the lowest rate of a group is measured. At first, the rates of
    all groups are low. Multipliers would grow to many times the value that is needed later.
    Otherwise it is 0.
    """
    if has_rare_class(samples, n_classes):
        return epochs // 2
    return epochs // 5 if options.has_rates and options.constraint.measures_level else 0


def has_rare_class(samples, n_classes):
    """Return whether a class is rare, by the weights of the accuracy loss."""
    totals = samples.label_totals(n_classes)
    return bool(totals[totals > 0].min() * n_classes < RARE * totals.sum())

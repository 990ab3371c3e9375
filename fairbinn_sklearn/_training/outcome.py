"""Predictions of a network, and warnings about its result after training."""

import math
import weakref
from operator import itemgetter

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from .._data.batches import as_tensor, samples_per_batch
from .._data.scales import warn_of_scales
from .._data.sources import Source
from .._utils.fit_warnings import FitWarning, warn
from .few_samples import has_few_samples
from .length import steps_per_epoch
from .module import FairBiNNModule

NO_WORSE = 1.05  # multiple of the loss of the label frequencies above which a loss is worse
ENOUGH_STEPS = 1_000  # with fewer steps, the likely cause of a missed target is short training
ENOUGH_EPOCHS = 5  # with fewer epochs, it is not known whether the weight still grows
FEW_SAMPLES = 100  # with fewer samples in a rate, one sample changes it by more than 0.01
MISSED = 1.25, 0.01  # difference under a target: multiple of the target, and excess over it
_ROUNDS_ALIKE = weakref.WeakKeyDictionary()  # results of `_rounds_alike` by module


def largest_met(bound):
    """Return the largest difference that counts as meeting a bound."""
    factor, excess = MISSED
    return max(factor * bound, bound + excess)


def decide(net, logits):
    """Return the class codes that a network predicts, from its logits.

    The logits have the shape (N,) for two classes, and otherwise (N, C).
    """
    if logits.ndim == 2:
        return logits.argmax(1)
    return (logits > float(net.criterion_.logit_threshold)).astype(np.intp)


@torch.inference_mode()
def predict_logits(module, X):
    """Return logits of X as a float64 array of shape (N, C).

    Chunks are padded to one size, because a matrix product may round differently for another
    number of samples. So the logits of a sample do not depend on the samples predicted with it.
    A chunk of few samples is padded to a smaller size if the module rounds equally for both sizes.
    """
    if module.training:
        module.eval()
    param = next(module.parameters())
    size = max(64, min(1024, 2**24 // math.prod(X.shape[1:])))  # 64 MiB, unless X is very wide
    logits, done = None, 0
    for part in X.in_order() if isinstance(X, Source) else [X]:
        for start in range(0, part.shape[0], size):
            chunk = as_tensor(part[start : start + size], param.device, param.dtype)
            padded = chunk.new_zeros(_padded_size(module, len(chunk), size), *chunk.shape[1:])
            padded[: len(chunk)] = chunk  # a copy, as a module may work in place
            output = module(padded)[: len(chunk)]
            if logits is None:  # a list of many small outputs would fragment the memory
                logits = output.new_empty(X.shape[0], *output.shape[1:])
            logits[done : done + len(chunk)] = output
            done += len(chunk)
    return logits.cpu().double().numpy()  # MPS has no float64


def _padded_size(module, n_samples, size):
    """Return the smallest size of a chunk for which the module rounds as for `size` samples."""
    smaller = max(16, 1 << (n_samples - 1).bit_length())
    # In a custom module, the number of samples may have other effects than on the rounding.
    if smaller >= size or not isinstance(module, FairBiNNModule):
        return size
    results = _ROUNDS_ALIKE.setdefault(module, {})
    key = smaller, size, torch.get_num_threads()
    if key not in results:
        results[key] = _rounds_alike(module, smaller, size)
    return smaller if results[key] else size


def _rounds_alike(module, smaller, size):
    """Return whether each layer rounds equally for chunks of two sizes.

    The shapes determine the order of the additions in a matrix product, and thereby the rounding.
    The values do not affect the order, so a comparison on random values is sufficient.
    """
    weight = next(module.parameters())
    if weight.device.type != "cpu":
        return False  # a GPU is not faster for fewer samples
    generator = torch.Generator().manual_seed(0)
    for layer in [*module.base, *module.fairness, *module.head]:
        if isinstance(layer, nn.Linear):
            width = layer.in_features
        X = torch.randn(size, width, generator=generator, dtype=weight.dtype)
        first, last = layer(X[:smaller].clone()), layer(X[-smaller:].clone())
        outputs = layer(X)
        if not (torch.equal(outputs[:smaller], first) and torch.equal(outputs[-smaller:], last)):
            return False
        width = outputs.shape[1]
    return True


def warn_of_outcome(net, data, samples, held_out=None):
    """Warn if the result of a training is poor.

    Warnings report a loss above that of predicting the label frequencies, predictions of one class
    only, or a missed target. If X is a `Source`, features that are not scaled are reported here
    too.

    Parameters
    ----------
    net : TwoPlayerNet
        Trained network.

    data : TrainingData
        Classes and features.

    samples : Samples
        Training samples, of which about 10,000 are predicted.

    held_out : Samples, default=None
        Samples set aside, on which a target is measured instead of the training samples.
    """
    _warn_of_loss(net, samples, len(data.classes))
    if not net.last_run.fair:
        return
    X = samples.thinned(10_000)
    if isinstance(samples.X, Source):  # other X was checked before training
        warn_of_scales(X, net.options, data.features)
    _warn_of_constant_predictions(net, data.classes, X)
    if held_out is None:
        _warn_of_missed_target(net, samples, data.group_encoder)
    else:
        _warn_of_target_missed_on(held_out, net, samples, data.group_encoder)


def _warn_of_loss(net, samples, n_classes):
    """Warn if the loss of the last or the kept epoch is worse than without features."""
    record = net.history[-1]
    if "validation_objective" in record:  # early stopping kept the best epoch
        record = min(net.history, key=lambda record: record.get("validation_objective", math.inf))
    totals = samples.label_totals(n_classes)
    constant = float(totals.sum() * entropy(totals)) / len(samples)
    if not constant or record["loss"] <= NO_WORSE * constant:  # 0: one class has all the weight
        return
    less_fair = f", {_less_fairness(net.options)}" if net.last_run.fair else ""
    warn(
        FitWarning(
            "loss",
            f"The accuracy loss ended at {record['loss']:.3g}, above {constant:.3g}, the loss of "
            "predicting the label frequencies for every sample: the predictions are worse than "
            "without features. Try in this order: scale the features of X, lower lr (now "
            f"{net.options.lr:g}), {net.last_run.longer}{less_fair}.",
            ConvergenceWarning,
        )
    )


def _warn_of_constant_predictions(net, classes, X):
    logits = predict_logits(net.module_, X)
    codes = decide(net, logits[:, 0] if logits.shape[1] == 1 else logits)
    if (codes != codes[0]).any():
        return
    options, run = net.options, net.last_run
    batch_size = samples_per_batch(options.batch_size, run.n_samples)
    warn(
        FitWarning(
            "predictions",
            f"The model predicts {classes.tolist()[codes[0]]!r} for all {len(codes)} training "
            "samples, so its group differences are trivially small. Scale the features of X if "
            f"they are not scaled, {run.longer}, {_less_fairness(options)}, raise batch_size (now "
            f"{batch_size}) or lower rate_window; a custom module must return logits.",
            ConvergenceWarning,
        )
    )


def _warn_of_missed_target(net, samples, group_encoder):
    options = net.options
    if options.fairness_target is None:
        return
    # Measure again, because noise of the running rates makes the difference of many groups larger.
    criterion = net.criterion_on(samples)
    difference = float(criterion.constraint_value())
    if difference > largest_met(options.bound):
        name, value, side = _measured(difference, options)
        cause = _why_missed_in_training(net, criterion, samples, group_encoder)
        text = (
            f"The {name} on the training samples is {value:.4f}, {side} "
            f"fairness_target={options.fairness_target}. {cause}"
        )
        warn(FitWarning("target", text, ConvergenceWarning))


def _warn_of_target_missed_on(held_out, net, samples, group_encoder):
    options = net.options
    criterion = net.criterion_on(held_out)
    difference = float(criterion.constraint_value())
    if difference <= largest_met(options.bound):
        return
    training = net.criterion_on(samples)
    name, value, side = _measured(difference, options)
    in_training = _measured(float(training.constraint_value()), options)[1]
    text = (
        f"The {name} on the {len(held_out):,} samples set aside is {value:.4f}, {side} "
        f"fairness_target={options.fairness_target}; on the training samples it is "
        f"{in_training:.4f}. {_why_missed_on(criterion, net, training, group_encoder)}"
    )
    warn(FitWarning("target", text, ConvergenceWarning))


def _measured(difference, options):
    """Return the name and value of the measure that a target bounds, and its side if missed."""
    if options.has_rates and options.constraint.target_is_lower_bound:
        return options.constraint.measure_name, 1 - difference, "below"
    return "difference", difference, "above"


def _why_missed_on(criterion, net, training, group_encoder):
    """Return the likely cause of a target missed on samples set aside, and one remedy."""
    options, run = net.options, net.last_run
    group, count = min(criterion.widest_gap(), key=itemgetter(1))
    if count < FEW_SAMPLES:
        return (
            f"Group {group_encoder.names_[group]!r}, one of the two groups that differ most, has "
            f"too few samples set aside to control its rate: {count:.0f}. Raise "
            "validation_fraction, or merge the group with another."
        )
    if training.offset_range(criterion) > MISSED[1]:
        return (
            "The network overfits: group rates of the training samples differ from those of other "
            f"samples by more than sampling explains. Train shorter ({run.name_of_epochs}, now "
            f"{run.epochs}), raise weight_decay (now {options.weight_decay:g}), or use fewer and "
            "smaller layers."
        )
    if float(training.constraint_value()) <= largest_met(options.bound):
        return (
            "The target is met on the training samples, and sampling alone explains the difference "
            "on the samples set aside. Raise validation_fraction to measure the difference on more "
            "samples."
        )
    return _why_missed(net, training, group_encoder)


def _why_missed_in_training(net, criterion, samples, group_encoder):
    """Return the likely cause of a target missed on the training samples, and one remedy."""
    n_groups = net.criterion_.n_groups
    if not has_few_samples(net.options, samples, n_groups):
        return _why_missed(net, criterion, group_encoder)
    ratio = len(samples) / (samples.X.shape[1] * max(n_groups))
    advice = _relax_target(net.options)
    return (
        f"There are only {ratio:.1f} samples per feature and group. Longer training would meet the "
        "target on the training samples by memorising them. Pass more samples or fewer features, "
        f"merge groups, or {advice[0].lower()}{advice[1:]}."
    )


def _why_missed(net, criterion, group_encoder):
    """Return the likely cause of a missed target, and one remedy."""
    run, options = net.last_run, net.options
    n_steps = run.epochs * steps_per_epoch(options, run.n_samples)
    longer = f"{run.longer.capitalize()}."
    if n_steps < ENOUGH_STEPS:
        return f"Training took only {n_steps} steps. {longer}"
    if run.epochs < ENOUGH_EPOCHS:
        return f"Training took only {run.epochs} epochs. {longer}"
    if options.has_rates:
        group, count = min(criterion.widest_gap(), key=itemgetter(1))
        if count < FEW_SAMPLES:
            name = group_encoder.names_[group]
            return (
                f"Group {name!r}, one of the two groups that differ most, has only {count:.0f} "
                "samples in its rate, too few to control the rate. Merge it with another group."
            )
    running = [record["eta"] for record in net.history]
    if running[-1] > 1.02 * running[-1 - len(running) // 5]:
        return f"The weight of the fairness loss was still growing. {longer}"
    return (
        "Longer training is unlikely to help, because the weight of the fairness loss no longer "
        f"grows. {_relax_target(options)}, or check whether the labels allow the target."
    )


def _less_fairness(options):
    """Return the advice to give the fairness loss less weight."""
    if options.fairness_target is not None:
        advice = _relax_target(options)
        return f"{advice[0].lower()}{advice[1:]} (now {options.fairness_target})"
    return f"lower eta (now {options.eta:.4g})"


def _relax_target(options):
    """Return the advice to choose a target that is easier to meet."""
    is_lower = options.has_rates and options.constraint.target_is_lower_bound
    return "Lower fairness_target" if is_lower else "Raise fairness_target"

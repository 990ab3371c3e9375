"""Signs of trouble in a training and in predictions; each check returns one finding."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import entropy
from sklearn.utils import compute_class_weight

from .._data.groups import MIN_SAMPLES
from .._data.scales import SCALED, feature_scales, name_of_feature
from .._training.outcome import NO_WORSE, largest_met
from ._history import DIFFERENCES
from ._report import NOT_APPLICABLE, UNKNOWN, Finding, judge
from ._theory._players import at_bound, no_follower

# Thresholds. They are conventions that separate clear cases; no theory gives them.
ALIKE = 0.99  # fraction of the most frequent prediction above which predictions are nearly constant
OVERFITTED = 1.25, 0.02  # loss on X: multiple of the training loss, and excess over it
PARITY = 0.05  # difference that counts as small
LARGE = 0.1  # difference that counts as large
FIRST_EPOCHS = 3  # epochs whose largest difference is where the difference starts from
DECREASED = 0.75  # fraction of a difference below which it counts as decreased
INCREASED = 1.05  # multiple of its minimum above which the loss counts as increased
OFTEN = 0.5  # fraction of epochs above which steps count as always shortened

NOT_RECORDED = "history_ has no differences: no groups were passed, or constraint is a function"


def check_features(samples, names):
    """Judge whether the features have a common scale, on the first samples."""
    scales = feature_scales(samples[:10_000])
    k = int(scales.argmax())
    return Finding(
        check="features",
        statement="Features are scaled",
        verdict=judge(scales[k] <= SCALED),
        value=scales[k],
        result=f"largest {scales[k]:.3g}: feature {name_of_feature(k, names)!r}",
        how=f"root mean square of each feature on X, at most {SCALED:g}",
        advice="Scale the features, for example by StandardScaler in a pipeline, and fit again.",
        topics=("features",),
    )


def check_loss(history, truth, weight, is_scaled):
    """Compare the training loss with that of constant predictions."""
    loss = history.column("loss")
    n_classes = len(history.classes)
    constant, source = np.log(n_classes), f"log({n_classes}), the loss of equal probabilities"
    if truth is not None and len(truth) >= MIN_SAMPLES:
        share = np.bincount(truth, _loss_weights(history, truth, weight), minlength=n_classes)
        if share.all():
            constant, source = entropy(share), "that of the label frequencies of X"
    if not is_scaled:
        advice = {"topics": ("features",)}  # the finding on the features gives the advice
    elif loss[-1] <= INCREASED * loss.min():
        advice = _train(history, longer=True)
    elif history.trained_for_fairness:
        advice = _weigh_fairness(history, more=False)
    else:
        advice = {"advice": f"Lower lr (now {history.records[0]['lr']:g}).", "topics": ("lr",)}
    return Finding(
        check="loss",
        statement="The loss beats constant predictions",
        verdict=judge(loss[-1] <= NO_WORSE * constant),
        value=loss[-1],
        result=f"{loss[-1]:.3f}, constant predictions {constant:.3f}",
        how=f"training loss, at most {NO_WORSE:g} times {source}",
        **advice,
    )


def check_predictions(history, predictions, truth):
    """Judge whether the predictions differ between samples."""
    n_samples, counts = len(predictions), np.bincount(predictions)
    share, label = counts.max() / n_samples, history.classes.tolist()[counts.argmax()]
    label_share = 0.0 if truth is None else np.bincount(truth).max() / n_samples
    if history.trained_for_fairness:
        advice = _weigh_fairness(history, more=False)
    elif history.class_weight is None:
        advice = {"advice": 'Set class_weight="balanced".', "topics": ("class_weight",)}
    else:
        advice = _train(history, longer=True)
    if n_samples < MIN_SAMPLES:
        verdict, advice = UNKNOWN, _more_samples()
    elif ALIKE < share < 1 and truth is None:
        verdict = UNKNOWN
        advice = {
            "advice": "Pass y, to compare with the label frequencies.",
            "topics": ("samples",),
        }
    else:
        verdict = judge(share <= ALIKE or ALIKE < label_share and share < 1)
    return Finding(
        check="predictions",
        statement="Predictions differ between samples",
        verdict=verdict,
        value=share,
        result=f"{counts.max():,} of {n_samples:,} are {label!r}",
        how=(
            f"fraction of the most frequent prediction on X, at most {ALIKE:.0%}, or below 100% if "
            "the labels are as uneven"
        ),
        **advice,
    )


def check_overfitting(history, logits, truth, weight):
    """Compare the loss on the samples with the training loss."""
    factor, excess = OVERFITTED
    known = {
        "check": "overfitting",
        "statement": "The loss on X is close to the training loss",
        "how": (
            f"loss on X less two standard errors, at most {factor:g} times the training loss or "
            f"{excess:g} above it; needs y"
        ),
    }
    if truth is None:
        return Finding(**known, verdict=UNKNOWN, result="no labels")
    if logits.ndim == 1:
        losses = np.logaddexp(0, logits) - truth * logits
    else:
        losses = logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth]
    weight = _loss_weights(history, truth, weight)
    loss = np.average(losses, weights=weight)
    error = np.sqrt(np.sum((weight * (losses - loss)) ** 2)) / weight.sum()
    trained = history.column("loss")[-1]
    if history.early_stopping:
        advice = {
            "advice": "Raise weight_decay, or use fewer and smaller layers.",
            "topics": ("size",),
        }
    else:
        advice = _train(history, longer=False)
    verdict = judge(loss - 2 * error <= max(factor * trained, trained + excess))
    if len(truth) < MIN_SAMPLES:
        verdict, advice = UNKNOWN, _more_samples()
    return Finding(
        **known,
        verdict=verdict,
        value=loss,
        result=f"{loss:.3f} on X, {trained:.3f} in training",
        **advice,
    )


def check_difference(history):
    """Compare the difference at the end of training with what counts as small."""
    known = {"check": "difference", "statement": "The difference in training is small"}
    if (differences := _recorded_differences(history)) is None:
        return _no_differences(history, known)
    if _has_no_limit(history):
        return _no_limit(known)
    last, limit = differences[-1], _limit(history)
    return Finding(
        **known,
        verdict=judge(last <= limit),
        value=last,
        result=f"{last:.3f} in the last epoch",
        how=f"{_difference_name(history)} in history_, at most {limit:.3g}",
        **_reduce_difference(history),
    )


def check_audit(history, audit, confidence_level):
    """Compare the interval of the difference on the samples with what counts as small."""
    known = {"check": "audit", "statement": "The difference on X is small"}
    if not audit:
        return Finding(**known, verdict=UNKNOWN, result="unknown", how="constraint is a function")
    fewest, limit = audit["fewest_samples"], _limit(history)
    if fewest == 0 or np.isnan(audit["difference"]):
        how = "no rate has samples of two groups"
        return Finding(**known, verdict=UNKNOWN, result="unknown", how=how)
    if _has_no_limit(history):
        return _no_limit(known)
    difference, low, high = audit["difference"], audit["low"], audit["high"]
    is_unclear = low <= limit < high or (high <= limit and fewest < MIN_SAMPLES)
    advice = _weigh_fairness(history, more=True)
    if is_unclear:
        advice = {"advice": "Pass more samples, or merge small groups.", "topics": ("samples",)}
    return Finding(
        **known,
        verdict=UNKNOWN if is_unclear else judge(high <= limit),
        value=difference,
        result=f"{difference:.3f} [{low:.3f}, {high:.3f}], rates of at least {fewest:,} samples",
        how=(
            f"{_measured(history)} of predictions in the rates of constraint, with a bootstrap "
            f"interval of level {confidence_level:g}; upper end at most {limit:.3g}, unknown if "
            f"the interval contains that or a rate has fewer than {MIN_SAMPLES} samples"
        ),
        **advice,
    )


def check_decrease(history):
    """Compare the difference at the end of training with that of the first epochs."""
    known = {"check": "decrease", "statement": "The difference decreased in training"}
    if (differences := _recorded_differences(history)) is None:
        return _no_differences(history, known)
    if len(differences) <= FIRST_EPOCHS:
        how = f"needs more than {FIRST_EPOCHS} epochs"
        return Finding(**known, verdict=UNKNOWN, result=f"epochs: {len(differences)}", how=how)
    first, last = differences[:FIRST_EPOCHS].max(), differences[-1]
    was_small = max(first, last) <= _limit(history)
    return Finding(
        **known,
        verdict=NOT_APPLICABLE if was_small else judge(last < DECREASED * first),
        value=last - first,
        result=f"from {first:.3f} to {last:.3f}" + (", always small" if was_small else ""),
        how=(
            f"{_difference_name(history)} in the last epoch, below {DECREASED:.0%} of its largest "
            f"value in the first {FIRST_EPOCHS} epochs"
        ),
        **_reduce_difference(history),
    )


def check_price(history):
    """Judge whether an increase of the loss after its minimum reduced the difference."""
    known = {"check": "price", "statement": "Loss of accuracy reduced the difference"}
    if (differences := _recorded_differences(history)) is None:
        return _no_differences(history, known)
    loss = history.column("loss")
    best = loss.argmin()
    if best == len(loss) - 1:
        how = "the loss was lowest in the last epoch"
        return Finding(**known, verdict=NOT_APPLICABLE, result="the loss never increased", how=how)
    ratio = loss[-1] / max(loss[best], np.finfo(float).tiny)
    return Finding(
        **known,
        verdict=judge(ratio <= INCREASED or differences[-1] < DECREASED * differences[best]),
        value=ratio - 1,
        result=f"loss {ratio - 1:+.1%}, difference {differences[-1] - differences[best]:+.3f}",
        how=(
            f"change since epoch {history.records[best]['epoch']}, where the loss was lowest: at "
            f"most {INCREASED - 1:+.0%}, or the difference below {DECREASED:.0%} of that epoch's"
        ),
        **_weigh_fairness(history, more=False),
    )


def check_agreement(history):
    """Judge whether decisions and scores are both at parity, or both not."""
    known = {"check": "scores_agree", "statement": "Decisions and scores agree on parity"}
    decisions, scores = (history.column(name) for name in DIFFERENCES["both"])
    if decisions is None or scores is None:
        return Finding(**known, verdict=UNKNOWN, result="not recorded", how=NOT_RECORDED)
    if getattr(history.constraint, "measures_level", False):
        how = "the lowest rate is measured, and not parity"
        return Finding(**known, verdict=NOT_APPLICABLE, result="no parity", how=how)
    last = {"decisions": decisions[-1], "scores": scores[-1]}
    small, large = sorted(last, key=last.get)
    if history.equalize in ("both", large):
        advice = _reduce_difference(history)
    else:
        advice = {"advice": f'If {large} matter, set equalize="{large}" or "both".'}
        advice["topics"] = ("equalize",)
    return Finding(
        **known,
        verdict=judge(not (last[small] <= PARITY and last[large] >= LARGE)),
        value=last[large] - last[small],
        result=f"differences {last['decisions']:.3f} and {last['scores']:.3f}",
        how=f"in the last epoch, not one at most {PARITY:g} and the other at least {LARGE:g}",
        **advice,
    )


def check_step_bound(history):
    """Judge whether the bound of the follower's steps was reached in most epochs."""
    known = {"check": "step_bound", "statement": "Steps of the follower stay below their bound"}
    if (steps := history.steps()) is None:
        return no_follower(known)
    share = at_bound(steps, history.max_step).mean()
    return Finding(
        **known,
        verdict=judge(share <= OFTEN),
        value=share,
        result=f"at the bound in {share:.0%} of the epochs",
        how=f"epochs whose longest step was shortened to the bound, at most {OFTEN:.0%}",
        advice=(
            f"Lower fairness_lr: the bound fairness_max_step (now {history.max_step:g}) determines "
            "the steps, not the fairness loss."
        ),
        # Lowering fairness_lr weakens the fairness loss, so it contradicts raising eta.
        topics=("fairness",),
    )


def _loss_weights(history, truth, weight):
    """Return the weights of the samples in the loss, by `class_weight` and `sample_weight`."""
    if history.class_weight is None:
        return weight
    present, codes = np.unique(truth, return_inverse=True)
    by_class = compute_class_weight(
        history.class_weight,
        classes=history.classes[present],
        y=history.classes[truth],
        sample_weight=weight,
    )
    return weight * by_class[codes]


def _recorded_differences(history):
    return history.differences() if history.trained_for_fairness else None


def _no_differences(history, known):
    if history.trained_for_fairness:
        return Finding(**known, verdict=UNKNOWN, result="not recorded", how=NOT_RECORDED)
    how = "no fairness loss: eta is 0, or fewer than two groups were passed"
    return Finding(**known, verdict=NOT_APPLICABLE, result="no fairness loss", how=how)


def _difference_name(history):
    names = DIFFERENCES[history.equalize]
    return names[0] if len(names) == 1 else f"the larger of {' and '.join(names)}"


def _measured(history):
    """Return the words for what is compared with the limit."""
    constraint = history.constraint
    if not getattr(constraint, "target_is_lower_bound", False):
        return "largest difference"
    return f"1 minus the {constraint.measure_name}"


def _has_no_limit(history):
    """Return whether no value counts as small: the lowest rate is measured without a target."""
    return history.bound is None and getattr(history.constraint, "measures_level", False)


def _no_limit(known):
    how = "the lowest rate has no limit without a fairness_target"
    return Finding(**known, verdict=NOT_APPLICABLE, result="no limit", how=how)


def _limit(history):
    """Return the largest difference that counts as small."""
    return PARITY if history.bound is None else largest_met(history.bound)


def _reduce_difference(history):
    """Return the advice against a difference that is large in training."""
    if history.target is None:
        return _weigh_fairness(history, more=True)
    # Longer training aims at the current target, so it contradicts advice to change the target.
    return {**_train(history, longer=True), "topics": ("epochs", "fairness")}


def _weigh_fairness(history, more):
    """Return the advice to give the fairness loss more weight, or less."""
    if history.target is None:
        advice = f"{'Raise' if more else 'Lower'} eta (now {history.eta:g})."
    else:
        is_lower = getattr(history.constraint, "target_is_lower_bound", False)
        change = "Raise" if more == is_lower else "Lower"
        advice = f"{change} fairness_target (now {history.target:g})."
    return {"advice": advice, "topics": ("fairness",)}


def _train(history, longer):
    """Return the advice to train more epochs, or fewer."""
    advice = f"Train {'longer' if longer else 'shorter'} (now {len(history.records)} epochs)"
    if not longer and history.target is None:
        advice += ", for example with early_stopping=True"
    return {"advice": f"{advice}.", "topics": ("epochs",)}


def _more_samples():
    return {"advice": f"Pass at least {MIN_SAMPLES} samples.", "topics": ("samples",)}

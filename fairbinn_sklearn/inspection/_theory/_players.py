"""Assumptions on the two players: steps, number of parameters, and the loss at the end."""

import math

import numpy as np

from .._report import NOT_APPLICABLE, UNKNOWN, Finding, judge

# Thresholds. They are conventions that separate clear cases; the theory gives none.
SMALL_STEP = 0.05  # longest step of the follower that counts as small, relative to |theta_s|
AT_BOUND = 0.99  # fraction of fairness_max_step above which a step counts as shortened
MIN_EPOCHS = 5  # fewer epochs are too few to judge whether the loss has settled
LAST_PART = 0.2  # part of the sum of learning rates over which the loss should be constant
SETTLED = 0.1  # range of the loss in that part that counts as constant, relative to its whole range


def check_small_steps(history):
    """Compare the longest step of the follower with the norm of its parameters."""
    known = {"check": "small_steps", "statement": "Steps of the follower are small"}
    steps, bound = history.steps(), history.max_step
    if steps is None:
        return no_follower(known)
    longest = steps.max()
    squares = [parameter.detach().square().sum().item() for parameter in history.follower]
    norm = math.sqrt(sum(squares))
    ratio = longest / norm if norm else math.inf
    return Finding(
        **known,
        verdict=judge(ratio <= SMALL_STEP),
        value=longest,
        result=(
            f"longest {longest:.2g}, {'at' if at_bound(longest, bound) else 'below'} bound "
            f"{bound:g}"
        ),
        how=(
            f"longest step of all epochs: {ratio:.2%} of the norm of theta_s after training, at "
            f"most {SMALL_STEP:.0%}"
        ),
        advice=f"Lower fairness_max_step (now {bound:g}) or fairness_lr.",
    )


def check_leader_size(history):
    """Compare the number of the leader's parameters with that of the training samples."""
    size = sum(parameter.numel() for parameter in history.leader)
    return Finding(
        check="overparameterised",
        statement="The leader has a parameter for each sample",
        verdict=judge(size >= history.n_samples),
        value=size / history.n_samples,
        result=f"{size:,} parameters, {history.n_samples:,} samples",
        how="trainable parameters of the leader; samples of the last training",
        advice="If accuracy is too low, widen the layers of the leader.",
    )


def check_settled(history):
    """Compare the range of the loss at the end of training with its whole range."""
    loss = history.column("loss")
    known = {
        "check": "settled",
        "statement": "The loss of the leader has settled",
        "how": (
            f"range of the loss over the last {LAST_PART:.0%} of the sum of the learning rates, at "
            f"most {SETTLED:.0%} of its whole range"
        ),
    }
    if len(loss) < MIN_EPOCHS:
        advice = f"Train at least {MIN_EPOCHS} epochs."
        return Finding(**known, verdict=UNKNOWN, result=f"epochs: {len(loss)}", advice=advice)
    if not np.ptp(loss):
        return Finding(**known, verdict=UNKNOWN, result="the loss is constant", advice="Raise lr.")
    remaining = history.schedule()[::-1].cumsum()
    n_last = int(np.argmax(remaining >= LAST_PART * remaining[-1])) + 1
    moved = np.ptp(loss[-1 - n_last :]) / np.ptp(loss)
    return Finding(
        **known,
        verdict=judge(moved <= SETTLED),
        value=moved,
        result=f"moved by {moved:.1%} in the last {n_last} of {len(loss)} epochs",
        advice=f"Raise {history.name_of_epochs}. If the loss oscillates, lower lr or eta instead.",
    )


def at_bound(steps, bound):
    """Mark the steps that were shortened to the bound."""
    return steps >= AT_BOUND * bound


def no_follower(known):
    """Return the finding on steps where no follower took part."""
    how = "no follower: eta is 0, fewer than two groups were passed, or the method has none"
    return Finding(**known, verdict=NOT_APPLICABLE, result="no follower", how=how)

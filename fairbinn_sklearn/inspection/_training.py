"""Assumptions on both players, and the course of training."""

import math

import numpy as np

from ._report import NO_PART, UNKNOWN, Check, judge

# Thresholds. They are conventions that tell clear cases apart; no theory gives them.
SMALL_STEP = 0.05  # longest step of the follower that counts as small, as a share of |theta_s|
AT_BOUND = 0.99  # share of fairness_max_step from which on a step counts as shortened to it
OFTEN = 0.5  # share of epochs with shortened steps above which the bound sets the pace
MIN_EPOCHS = 5  # epochs without which nothing is said of the course of the loss
LAST_PART = 0.2  # part of the way, as the sum of learning rates, on which the loss should stand
SETTLED = 0.1  # range of the loss on it that counts as standing, as a share of its whole range


def check_leader_size(leader, n_rows, told):
    """Compare the number of the leader's parameters with that of the training rows."""
    size = sum(parameter.numel() for parameter in leader)
    return Check(
        check="overparameterised",
        kind="assumption",
        statement="The leader has a parameter for each row",
        verdict=judge(size >= n_rows),
        value=size / n_rows,
        figure=f"{size:,} parameters, {n_rows:,} rows",
        how="parameters of the leader that train; rows of "
        + ("the last training" if told else "X, as those of the training are not recorded"),
        change="Widen the leader's layers, where accuracy is too low.",
    )


def check_small_steps(course, follower):
    """Compare the longest step of the follower with the norm of its parameters."""
    known = {
        "check": "small_steps",
        "kind": "assumption",
        "statement": "The follower's steps are small",
    }
    if (steps := course.steps()) is None:
        return _no_follower(known)
    longest, bound = steps.max(), course.max_step
    norm = math.sqrt(sum(parameter.detach().square().sum().item() for parameter in follower))
    share = longest / norm if norm else math.inf
    return Check(
        **known,
        verdict=judge(share <= SMALL_STEP),
        value=longest,
        figure=f"longest {longest:.2g}, {'at' if _at_bound(longest, bound) else 'below'} bound "
        f"{bound:g}",
        how=(
            f"longest step of all epochs; it is {share:.2%} of the norm of theta_s after training, "
            f"of at most {SMALL_STEP:.0%}"
        ),
        change=f"Lower fairness_max_step (now {bound:g}) or fairness_lr.",
    )


def check_step_room(course):
    """Look whether the bound of the follower's steps was reached again and again."""
    known = {
        "check": "step_room",
        "kind": "training",
        "statement": "Steps stay below their bound",
    }
    if (steps := course.steps()) is None:
        return _no_follower(known)
    share = _at_bound(steps, course.max_step).mean()
    return Check(
        **known,
        verdict=judge(share <= OFTEN),
        value=share,
        figure=f"at the bound in {share:.0%} of epochs",
        how=f"epochs whose longest step was shortened to the bound, at most {OFTEN:.0%}",
        change=(
            "The bound sets the length of the follower's steps, whatever the loss. Lower "
            f"fairness_lr, or raise fairness_max_step (now {course.max_step:g})."
        ),
    )


def check_settled(course):
    """Compare the range of the loss over the last part of the way with its whole range."""
    loss = course.column("loss")
    known = {
        "check": "settled",
        "kind": "assumption",
        "statement": "The leader's loss has settled",
        "how": (
            f"range of the loss over the last {LAST_PART:.0%} of the way (the sum of the learning "
            f"rates), at most {SETTLED:.0%} of its whole range"
        ),
    }
    if len(loss) < MIN_EPOCHS:
        figure, change = f"epochs: {len(loss)}", f"Train {MIN_EPOCHS} epochs at least."
        return Check(**known, verdict=UNKNOWN, figure=figure, change=change)
    if not np.ptp(loss):
        return Check(**known, verdict=UNKNOWN, figure="it never moved", change="Raise lr.")
    way = course.rates[::-1].cumsum()
    n_last = int(np.argmax(way >= LAST_PART * way[-1])) + 1
    moved = np.ptp(loss[-1 - n_last :]) / np.ptp(loss)
    return Check(
        **known,
        verdict=judge(moved <= SETTLED),
        value=moved,
        figure=f"moved by {moved:.1%} in the last {n_last} of {len(loss)} epochs",
        change="Raise max_epochs; if the loss goes up and down, lower lr or eta.",
    )


def _at_bound(steps, bound):
    return steps >= AT_BOUND * bound


def _no_follower(known):
    how = "no follower took part: eta is 0, there are no two groups, or the method has none"
    return Check(**known, verdict=NO_PART, figure="no follower", how=how)

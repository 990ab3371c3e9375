"""Signs of trouble in the decisions and in the differences between groups."""

import numpy as np

from ._report import NO_PART, UNKNOWN, Check, judge

# Thresholds. They are conventions that tell clear cases apart; no theory gives them.
ALIKE = 0.99  # share of the most frequent decision above which the others may be accidents
MIN_ROWS = 30  # rows without which nothing is said of shares
PARITY = 0.05  # difference that counts as small
APART = 0.1  # difference that counts as large
MET = 1.25  # multiple of fairness_target up to which it counts as met
FALLEN = 0.9  # share of a difference below which it counts as fallen
RISEN = 1.05  # multiple of its minimum above which the loss counts as risen


def check_decisions(decisions, course):
    """Look whether the decisions on the rows differ."""
    labels, counts = np.unique(decisions, return_counts=True)
    n_rows, largest = len(decisions), counts.max()
    share = largest / n_rows
    if course.fair:
        change = f"{course.weigh(more=False)}, train longer, or shorten rate_window."
    else:
        change = "Train longer, scale the columns of X, or set class_weight."
    if n_rows < MIN_ROWS:
        verdict, change = UNKNOWN, f"Pass {MIN_ROWS} rows at least."
    elif ALIKE < share < 1:
        verdict, change = UNKNOWN, f"Unless the labels are as uneven: {change}"
    else:
        verdict = judge(share < 1)
    return Check(
        check="decisions",
        kind="training",
        statement="Decisions differ between rows",
        verdict=verdict,
        value=share,
        figure=f"{largest:,} of {n_rows:,} are {labels.tolist()[counts.argmax()]!r}",
        how=f"share of the most frequent decision on X, below 100%; in doubt above {ALIKE:.0%}",
        change=change,
    )


def check_difference(course):
    """Look whether the difference between groups fell, or is small."""
    known = {
        "check": "difference",
        "kind": "training",
        "statement": "The difference fell, or is small",
    }
    differences = course.differences()
    if not course.fair or differences is None:
        return _left_out(known, course)
    last, largest = differences[-1], differences.max()
    enough = PARITY if course.target is None else max(PARITY, MET * course.target)
    longer = "train longer" if course.target is None else "raise max_epochs"
    return Check(
        **known,
        verdict=judge(last <= enough or last < FALLEN * largest),
        value=last,
        figure=f"{last:.3f} at the end, {largest:.3f} at most",
        how=(
            f"{course.counted_as()} in history_, at the end at most {enough:g} or below "
            f"{FALLEN:.0%} of its largest value"
        ),
        change=f"{course.weigh(more=True)} or {longer}, and compare with a net of eta=0.",
    )


def check_audit(difference, ends, fewest, confidence_level, course):
    """Look whether the difference of decisions on the rows is small, given its interval."""
    known = {
        "check": "audit",
        "kind": "training",
        "statement": "The difference on X is small",
    }
    if difference is None:
        return Check(**known, verdict=UNKNOWN, figure="not known", how="constraint is a function")
    if fewest == 0:
        how = "there are no two groups to compare in the rows"
        return Check(**known, verdict=UNKNOWN, figure="not known", how=how)
    enough = PARITY if course.target is None else max(PARITY, MET * course.target)
    low, high = ends
    in_doubt = high > enough >= low or (high <= enough and fewest < MIN_ROWS)
    return Check(
        **known,
        verdict=UNKNOWN if in_doubt else judge(high <= enough),
        value=difference,
        figure=f"{difference:.3f}, from {low:.3f} to {high:.3f}, {fewest:,} rows or more a rate",
        how=(
            "largest difference of decisions in the rates of constraint, with the bootstrap "
            f"interval of level {confidence_level:g}; the upper end at most {enough:g}, in doubt "
            f"where the interval holds that or a rate has fewer than {MIN_ROWS} rows"
        ),
        change=(
            f"{course.weigh(more=True)}. If the interval is what is wide, pass more rows, or merge "
            "small groups."
        ),
    )


def check_price(course):
    """Look whether the loss rose after its minimum without a fall of the difference."""
    known = {"check": "price", "kind": "training", "statement": "Loss of accuracy buys parity"}
    differences = course.differences()
    if not course.fair or differences is None:
        return _left_out(known, course)
    loss = course.column("loss")
    best = loss.argmin()
    risen = loss[-1] / max(loss[best], np.finfo(float).tiny)
    if best == len(loss) - 1:
        how = "the loss was lowest in the last epoch"
        return Check(**known, verdict=NO_PART, figure="the loss never rose", how=how)
    return Check(
        **known,
        verdict=judge(risen <= RISEN or differences[-1] < FALLEN * differences[best]),
        value=risen - 1,
        figure=f"loss {risen - 1:+.1%}, difference {differences[-1] - differences[best]:+.3f}",
        how=(
            f"change since epoch {course.history[best]['epoch']}, where the loss was lowest; if "
            f"the loss rose by more than {RISEN - 1:.0%}, the difference fell below {FALLEN:.0%} "
            "of what it was"
        ),
        change=f"{course.weigh(more=False)} or lower lr, lengthen rate_window, or train shorter.",
    )


def check_agreement(course):
    """Look whether one of decisions and scores is at parity while the other is far from it."""
    known = {
        "check": "scores_agree",
        "kind": "training",
        "statement": "Decisions and scores agree on parity",
    }
    decisions, scores = course.column("decision_difference"), course.column("score_difference")
    if decisions is None or scores is None:
        return Check(**known, verdict=UNKNOWN, figure="not recorded", how=NOT_RECORDED)
    gaps = {"decision": decisions[-1], "score": scores[-1]}
    small, large = sorted(gaps, key=gaps.get)
    lower = f'If they are {large}s, set equalize="{large}s", or "both".'
    if course.equalize in ("both", f"{large}s"):
        lower = f"{course.weigh(more=True)} if they are {large}s."
    return Check(
        **known,
        verdict=judge(not (gaps[small] <= PARITY and gaps[large] >= APART)),
        value=gaps[large] - gaps[small],
        figure=f"differences {decisions[-1]:.3f} and {scores[-1]:.3f}",
        how=f"in the last epoch, not one at most {PARITY} while the other is {APART} or more",
        change=f"Parity of {small}s is not parity of {large}s. Audit those that are used. {lower}",
    )


NOT_RECORDED = "history_ has no differences: there are no groups, or constraint is a function"


def _left_out(known, course):
    if course.fair:
        return Check(**known, verdict=UNKNOWN, figure="not recorded", how=NOT_RECORDED)
    how = "the fairness loss took no part: eta is 0, or there are no two groups"
    return Check(**known, verdict=NO_PART, figure="no fairness loss", how=how)

"""The losses of both players, and the running rates behind the follower's."""

import copy
import math

import torch
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    one_hot,
    pad,
    threshold_,
)

from ..losses._aggregate import divide
from .multipliers import LARGEST_SHARE, excess_weight, moved_multipliers

DECISIONS, SCORES = 0, 1  # rows of the running sums
EQUALIZE = {"decisions": [DECISIONS], "scores": [SCORES], "both": [DECISIONS, SCORES]}
FORGOTTEN = 1e-20  # decayed count below which a group counts as absent


class Criterion(nn.Module):
    """What both kinds of criterion share: the leader's loss, groups, and exponential weights.

    `n_groups` lists the number of groups of each sensitive column, or of the one intersection. One
    logit a row stands for two classes, else there is one for each class. Logits have the shape
    (..., B, C): where many models are trained together they have an axis in front, and so have the
    losses and the sums, but not the counts.
    """

    def __init__(self, constraint, n_groups, *, n_outputs=1, equalize="decisions", window=0.0):
        super().__init__()
        self.constraint = constraint
        self.n_groups = list(n_groups)
        self.n_outputs = n_outputs
        self.n_classes = max(n_outputs, 2)
        self.equalize = equalize
        self.kinds = EQUALIZE[equalize]
        self.window = window
        self.n_events = 1
        # A difference to hold; if there is one, each loss that is taken moves what leads there, by
        # a share of which `pace` is a factor.
        self.target, self.pace = None, 1.0
        self.processes = None  # that train together, if there are several

    @torch.no_grad()
    def accuracy(self, logits, batch):
        """Weighted mean cross-entropy, the leader's loss L_acc, and its slopes in the logits."""
        scores = self.scores(logits)
        if self.n_outputs == 1:
            y = batch.y.to(logits.dtype)
            losses = binary_cross_entropy_with_logits(
                logits[..., 0], y.expand(logits.shape[:-1]), reduction="none"
            )
            slopes = scores - y[:, None]
        else:
            y = batch.y.expand(logits.shape[:-1])
            losses = cross_entropy(logits.movedim(-1, 1), y, reduction="none")
            slopes = scores - one_hot(batch.y, self.n_outputs).to(scores.dtype)
        if batch.weight is not None:
            losses, slopes = batch.weight * losses, batch.weight[:, None] * slopes
        return losses.sum(-1) / batch.n_rows, slopes / batch.n_rows

    def scores(self, logits):
        """Probabilities of shape (B, C): of the positive class, or of each of several."""
        return torch.sigmoid(logits) if self.n_outputs == 1 else torch.softmax(logits, -1)

    def decisions(self, logits):
        """Decisions of shape (B, C), 0 or 1, in the place of the scores."""
        if self.n_outputs == 1:
            return (logits > 0).to(logits.dtype)
        return one_hot(logits.argmax(-1), self.n_outputs).to(logits.dtype)

    def through_scores(self, slopes, scores):
        """Slopes in the logits from slopes in the scores."""
        if self.n_outputs == 1:
            return slopes * scores * (1.0 - scores)
        return scores * (slopes - (slopes * scores).sum(-1, keepdim=True))

    def indicator(self, batch):
        """Indicator of the groups of all columns, of shape (B, G), times the rows' weights."""
        columns = [
            codes[:, None] == torch.arange(n, device=codes.device)
            for codes, n in zip(batch.groups.unbind(1), self.n_groups, strict=True)
        ]
        member = torch.cat(columns, 1).to(next(self.buffers()).dtype)
        return member if batch.sample_weight is None else member * batch.sample_weight[:, None]

    def prepare(self, batch):
        """Batch with its membership, which does not depend on the net."""
        if batch.groups is None:
            return batch
        return batch._replace(membership=self.membership(batch))

    def membership(self, batch):
        """Weights of the rows in each event and group, of shape (B, E, G): all rows, one event."""
        return self.indicator(batch)[:, None]

    def keep(self, batch):
        """Share of what was counted that a batch of so many rows, or of such weight, leaves."""
        if not self.window:
            return 0.0
        if batch.sample_weight is None:
            return math.exp(-batch.n_rows / self.window)
        (weight,) = self.summed(batch.sample_weight.sum())
        return torch.exp(-weight / self.window)

    def summed(self, *tensors):
        """Sums over the processes."""
        return tensors if self.processes is None else self.processes.sum(*tensors)

    def share(self, batch):
        """How far a batch moves what a target leads to: its rows by those of the window."""
        return self.pace * min(batch.n_rows / (self.window or 1.0), LARGEST_SHARE)

    def fresh(self):
        """Copy that has counted nothing, forgets nothing and has no target."""
        copied = copy.deepcopy(self)
        copied.window, copied.target, copied.processes = math.inf, None, None
        for buffer in copied.buffers():
            buffer.zero_()
        return copied

    def grow(self, n_groups):
        """Make room for groups that were not seen before."""
        self.n_groups = list(n_groups)


class RateCriterion(Criterion):
    r"""Leader's loss, follower's loss, and exponentially weighted group rates.

    A batch of 256 with 60 rows of a small group tells its rate with a standard error of 0.05;
    the square of such a gap is noise that pushes all scores to a constant. So counts decay
    over about `window` rows, by :math:`e^{-B / window}` a batch of B rows, and the loss enters
    by its slopes at these running rates :math:`\bar r`, times the rates :math:`r` of the batch:

    .. math::

        \sum_{e,g,c} \frac{\partial\varphi}{\partial r_{egc}}(\bar r)\; r_{egc}

    Its gradient is that of :math:`\varphi`, but for the noise. A group that is absent from the
    batch adds exactly 0, so groups that most batches lack weigh less. The losses of several
    columns add up.

    Rates of decisions jump where those of scores slide, and a net that is steered by them from the
    start may swing between extremes or end at one decision for everybody. So where they count, the
    slopes move from the rates of scores to those of decisions, by `decided`.

    With `equalize` "both" the loss is the mean of two, one for each kind of rates; under a target,
    which both have to meet, their sum. What steers has an axis of the K kinds in front.
    """

    def __init__(self, constraint, n_groups, **settings):
        super().__init__(constraint, n_groups, **settings)
        self.decided = 1.0
        self.n_events = n_events = len(check_events(constraint, self.n_classes))
        n_all = sum(self.n_groups)
        shapes = {
            "counts": (n_events, n_all),
            "sums": (2, n_events, n_all, self.n_outputs),
        }
        shapes["multipliers"] = (len(self.kinds), *shapes["sums"][1:])
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))

    def membership(self, batch):
        """Weights of the rows in each event and group, of shape (B, E, G)."""
        indicator = self.indicator(batch)
        return self.constraint.membership(batch.y, indicator, self.n_classes).transpose(0, 1)

    @torch.no_grad()
    def fairness(self, logits, batch):
        """Count the batch, then return slopes of the follower's loss in the logits.

        Under a target the multipliers move on, too.
        """
        scores = self.scores(logits)  # (B, C)
        counts = self.observe(logits, batch, scores)
        slopes, _, multipliers = self._steer(batch)
        if self.target is not None:
            slopes = slopes + multipliers
        pull = divide(slopes.sum(0), counts[..., None])
        per_row = batch.membership.flatten(1) @ pull.flatten(-3, -2)
        return self.through_scores(per_row, scores)

    def loss_around(self, logits, batch):
        """Count the batch, then return phi as a function of the batch's logits.

        A batch moves the running rates by as much as its own. At `logits` the slopes are those of
        `fairness`; this form has the right second derivatives too, at a higher price. Under a
        target the multipliers move on, too.
        """
        scores = self.scores(logits.detach())
        counts = self.observe(logits, batch, scores)
        _, factors, multipliers = self._steer(batch)

        def batch_rates(scores):
            return divide(self.sums_of(batch, scores), counts[..., None])

        anchor = self.steering_rates() - batch_rates(scores)

        def loss(logits):
            rates = anchor + batch_rates(self.scores(logits))
            penalties = self._by_column(self.constraint.penalty, rates)
            weighted = sum(factor * one for factor, one in zip(factors, penalties, strict=True))
            return (weighted + (multipliers * rates).sum((-3, -2, -1))).sum(0)

        return loss

    @torch.no_grad()
    def _steer(self, batch):
        """Slopes at the steering rates, factors of phi by column and kind, and the multipliers.

        Without a target the factors make the mean over the kinds. Under a target they are those of
        the excess over it, and the multipliers move on for the next batch.
        """
        rates = self.steering_rates()
        slopes = self._by_column(self.constraint.slopes, rates)
        multipliers = self.multipliers
        if self.target is None:
            share = 1.0 / len(self.kinds)
            slopes = slopes[0] if len(slopes) == 1 else torch.cat(slopes, -2)
            slopes = slopes if share == 1.0 else share * slopes
            return slopes, [share] * len(self.n_groups), multipliers
        differences = self._by_column(self.constraint.difference, rates)
        factors = [excess_weight(one, self.target) for one in differences]
        slopes = [
            factor[..., None, None, None] * one for factor, one in zip(factors, slopes, strict=True)
        ]
        columns = multipliers.split(self.n_groups, -2), slopes, differences
        moved = [
            moved_multipliers(*column, self.target, self.share(batch))
            for column in zip(*columns, strict=True)
        ]
        self.multipliers = torch.cat(moved, -2)
        return torch.cat(slopes, -2), factors, multipliers

    @torch.no_grad()
    def observe(self, logits, batch, scores=None):
        """Count a batch; return its counts (E, G)."""
        scores = self.scores(logits) if scores is None else scores
        values = torch.stack([self.decisions(logits), scores])  # (2, ..., B, C)
        counts, sums = self.summed(batch.membership.sum(0), self.sums_of(batch, values))
        keep = self.keep(batch)
        threshold_(self.counts.mul_(keep).add_(counts), FORGOTTEN, 0.0)
        self.sums.mul_(keep).add_(sums)
        return counts

    def sums_of(self, batch, values):
        """Sums of values (..., B, C) over the rows of each event and group: (..., E, G, C)."""
        _, n_events, n_groups = batch.membership.shape
        return (batch.membership.flatten(1).T @ values).unflatten(-2, (n_events, n_groups))

    def rates(self, kind):
        """Running rates of shape (..., E, G, C) of decisions or scores."""
        return self.sums[kind] / self.counts.clamp(min=FORGOTTEN)[..., None]

    def steering_rates(self):
        """Rates whose slopes steer the training, of shape (K, ..., E, G, C)."""
        if self.equalize == "scores":
            return self.rates(SCORES)[None]
        decisions, scores = self.rates(slice(None))
        decisions = torch.lerp(scores, decisions, self.decided)
        if self.equalize == "decisions":
            return decisions[None]
        return torch.stack([decisions, scores])

    def difference(self, kind):
        """Largest difference between two groups of a column, of decisions or scores."""
        return torch.stack(self._by_column(self.constraint.difference, self.rates(kind))).amax(0)

    def measured(self):
        """What a target is set for: the largest difference of what the rates count."""
        return torch.stack([self.difference(kind) for kind in self.kinds]).amax(0)

    def weight(self, target):
        """Weight of a squared gap whose slopes at the target are the multipliers."""
        if not self.multipliers.numel():
            return torch.zeros(())
        return self.multipliers.abs().amax((-3, -2, -1)).sum(0) / (2.0 * target)

    def release(self):
        """Forget what a target has led to."""
        self.multipliers.zero_()

    def grow(self, n_groups):
        """Make room for groups that were not seen before."""
        before = self.n_groups or [0] * len(n_groups)
        super().grow(n_groups)
        if not n_groups:
            return
        for name in ("counts", "sums", "multipliers"):
            buffer = getattr(self, name)
            axis = 1 if name == "counts" else buffer.ndim - 2
            parts = buffer.split(before, axis)
            behind = (0, 0) * (buffer.ndim - 1 - axis)
            wider = [
                pad(part, (*behind, 0, now - was))
                for part, was, now in zip(parts, before, n_groups, strict=True)
            ]
            setattr(self, name, torch.cat(wider, axis))

    def summary(self):
        """Loss at the running rates, and the differences of decisions and of scores."""
        rates = torch.stack([self.rates(kind) for kind in self.kinds])
        penalties = self._by_column(self.constraint.penalty, rates)
        return {
            "fairness_loss": sum(penalties).mean(0).tolist(),
            "decision_difference": self.difference(DECISIONS).tolist(),
            "score_difference": self.difference(SCORES).tolist(),
        }

    def _by_column(self, function, rates):
        """Values of a function of rates and counts, for the groups of each sensitive column."""
        if len(self.n_groups) == 1:
            return [function(rates, self.counts)]
        parts = rates.split(self.n_groups, -2), self.counts.split(self.n_groups, 1)
        return [function(*part) for part in zip(*parts, strict=True)]


def check_events(constraint, n_classes):
    """Events of one row of each class, checked on some more rows too."""
    told = f"{type(constraint).__name__}.events"
    y = torch.arange(n_classes)
    events, more = (constraint.events(rows, n_classes) for rows in (y, y.repeat(2)))
    for found, n_rows in ((events, n_classes), (more, 2 * n_classes)):
        if (
            not isinstance(found, torch.Tensor)
            or found.dtype != torch.bool
            or found.ndim != 2
            or found.shape[1] != n_rows
        ):
            got = f"{tuple(found.shape)}, {found.dtype}" if hasattr(found, "shape") else found
            raise ValueError(
                "constraint must have events that are a tensor of booleans of shape (E, N); "
                f"{told} gave {got} for {n_rows} rows."
            )
    if len(events) != len(more):
        raise ValueError(
            f"constraint must have the same number of events for any rows; {told} gave "
            f"{len(events)} for {n_classes} rows and {len(more)} for {2 * n_classes}."
        )
    return events

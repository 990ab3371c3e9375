"""The losses of both players, and the running rates behind the follower's."""

import copy
import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

DECISIONS, SCORES = 0, 1  # rows of the running sums
VIOLATIONS = {"decision": DECISIONS, "score": SCORES}
FORGOTTEN = 1e-20  # decayed count below which a group counts as absent


class Criterion(nn.Module):
    """What both kinds of criterion share: the leader's loss, groups, and exponential weights."""

    def __init__(self, constraint, n_groups, *, window):
        super().__init__()
        self.constraint = constraint
        self.n_groups = n_groups
        self.window = window

    def accuracy_loss(self, logits, y, weight):
        """Weighted mean cross-entropy, the leader's loss L_acc."""
        losses = binary_cross_entropy_with_logits(logits[:, 0], y, reduction="none")
        return (weight * losses).mean()

    def indicator(self, groups, dtype=torch.float32):
        """Group codes of shape (B,) as an indicator of shape (B, G)."""
        return (groups[:, None] == torch.arange(self.n_groups, device=groups.device)).to(dtype)

    def keep(self, n_rows):
        """Share of what was counted that a batch of so many rows leaves."""
        return math.exp(-n_rows / self.window) if self.window else 0.0

    def fresh(self):
        """Copy that has counted nothing and forgets nothing."""
        copied = copy.deepcopy(self)
        copied.window = math.inf
        for buffer in copied.buffers():
            buffer.zero_()
        return copied

    def grow(self, n_groups):
        """Make room for groups that were not seen before."""
        self.n_groups = n_groups


class RateCriterion(Criterion):
    r"""Leader's loss, follower's loss, and exponentially weighted group rates.

    A batch of 256 with 60 rows of a small group tells its rate with a standard error of 0.05;
    the square of such a gap is noise that pushes all scores to a constant. So counts decay
    over about `window` rows, by :math:`e^{-B / window}` a batch of B rows, and the loss enters
    by its slopes at these running rates :math:`\bar r`, times the rates :math:`r` of the batch:

    .. math::

        \sum_{e,g,c} \frac{\partial\varphi}{\partial r_{egc}}(\bar r)\; r_{egc}

    Its gradient is that of :math:`\varphi`, but for the noise. A group that is absent from the
    batch adds exactly 0, so groups that most batches lack weigh less.
    """

    def __init__(self, constraint, n_groups, *, n_outputs=1, violation="decision", window=0.0):
        super().__init__(constraint, n_groups, window=window)
        self.violation = VIOLATIONS[violation]
        events = constraint.events(torch.arange(2))
        if getattr(events, "ndim", None) != 2 or events.shape[1] != 2:
            raise ValueError(
                f"constraint must have events of shape (E, N); {type(constraint).__name__}.events "
                f"gave {tuple(getattr(events, 'shape', ())) or type(events)} for 2 rows."
            )
        shapes = {
            "counts": (len(events), n_groups),
            "sums": (2, len(events), n_groups, n_outputs),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))

    def fairness_loss(self, logits, y, groups):
        """Count the batch, then return the follower's loss: its gradient is that of phi."""
        scores = torch.sigmoid(logits)  # (B, C)
        with torch.no_grad():
            membership, counts = self.observe(logits, y, groups, scores)
            slopes = self.constraint.slopes(self.rates(self.violation), self.counts)
            per_row = (membership @ (slopes / counts.clamp(min=1.0)[..., None])).sum(0)  # (B, C)
        return (per_row * scores).sum()

    @torch.no_grad()
    def observe(self, logits, y, groups, scores=None):
        """Count a batch; return its membership (E, B, G) and counts (E, G)."""
        scores = torch.sigmoid(logits) if scores is None else scores
        membership = self.constraint.membership(y, self.indicator(groups, scores.dtype))
        counts = membership.sum(1)
        values = torch.stack([(logits > 0).to(scores.dtype), scores])  # (2, B, C)
        keep = self.keep(len(scores))
        self.counts.mul_(keep).add_(counts)
        self.counts.masked_fill_(self.counts < FORGOTTEN, 0.0)
        self.sums.mul_(keep).add_(membership.transpose(1, 2) @ values[:, None])
        return membership, counts

    def rates(self, kind):
        """Running rates of shape (E, G, C) of decisions or scores."""
        return self.sums[kind] / self.counts.clamp(min=FORGOTTEN)[..., None]

    def grow(self, n_groups):
        """Make room for groups that were not seen before."""
        n_new = n_groups - self.n_groups
        super().grow(n_groups)
        self.counts = nn.functional.pad(self.counts, (0, n_new))
        self.sums = nn.functional.pad(self.sums, (0, 0, 0, n_new))

    def summary(self):
        """Loss at the running rates, and the differences of decisions and of scores."""
        decisions, scores = self.rates(DECISIONS), self.rates(SCORES)
        return {
            "fairness_loss": self.constraint.penalty(
                self.rates(self.violation), self.counts
            ).item(),
            "decision_difference": self.constraint.difference(decisions, self.counts).item(),
            "score_difference": self.constraint.difference(scores, self.counts).item(),
        }


class FunctionCriterion(Criterion):
    """Leader's loss, and a follower's loss that is a function of one batch."""

    def __init__(self, constraint, n_groups, *, n_outputs=1, violation="decision", window=0.0):
        super().__init__(constraint, n_groups, window=window)
        self.register_buffer("rows", torch.zeros((), dtype=torch.float32))
        self.register_buffer("total", torch.zeros((), dtype=torch.float32))

    def fairness_loss(self, logits, y, groups):
        """Value of the function on the batch."""
        scores = torch.sigmoid(logits[:, 0])
        value = self.constraint(scores, y.long(), self.indicator(groups, scores.dtype))
        if not isinstance(value, torch.Tensor) or value.ndim or value.requires_grad is False:
            raise ValueError(
                "constraint, as a function, must return a scalar tensor that depends on the scores "
                f"by torch operations, got {value!r}."
            )
        keep = self.keep(len(y))
        self.rows.mul_(keep).add_(len(y))
        self.total.mul_(keep).add_(len(y) * value.detach())
        return value

    def observe(self, logits, y, groups):
        """Count a batch whose loss nobody steps along."""
        with torch.enable_grad():
            self.fairness_loss(logits.detach().requires_grad_(), y, groups)

    def summary(self):
        """Mean of the values over the window."""
        return {"fairness_loss": (self.total / self.rows).item()}

"""The losses of both players, and the running rates behind the follower's."""

import copy
import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

DECISIONS, SCORES = 0, 1  # rows of the running sums
VIOLATIONS = {"decision": DECISIONS, "score": SCORES}


FORGOTTEN = 1e-20  # decayed count below which a group counts as absent


class TwoPlayerCriterion(nn.Module):
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
        super().__init__()
        self.constraint = constraint
        self.violation = VIOLATIONS[violation]
        self.window = window
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

    def accuracy_loss(self, logits, y, weight):
        """Weighted mean cross-entropy, the leader's loss L_acc."""
        losses = binary_cross_entropy_with_logits(logits[:, 0], y, reduction="none")
        return (weight * losses).mean()

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
        membership = self.constraint.membership(y, self.indicator(groups))
        counts = membership.sum(1)
        values = torch.stack([(logits > 0).to(scores.dtype), scores])  # (2, B, C)
        keep = math.exp(-len(scores) / self.window) if self.window else 0.0
        self.counts.mul_(keep).add_(counts)
        self.counts.masked_fill_(self.counts < FORGOTTEN, 0.0)
        self.sums.mul_(keep).add_(membership.transpose(1, 2) @ values[:, None])
        return membership, counts

    def indicator(self, groups):
        """Group codes of shape (B,) as an indicator of shape (B, G)."""
        names = torch.arange(self.counts.shape[1], device=groups.device)
        return (groups[:, None] == names).to(self.counts.dtype)

    def rates(self, kind):
        """Running rates of shape (E, G, C) of decisions or scores."""
        return self.sums[kind] / self.counts.clamp(min=FORGOTTEN)[..., None]

    def fresh(self):
        """Copy that has counted nothing and forgets nothing."""
        copied = copy.deepcopy(self)
        copied.window = math.inf
        for buffer in copied.buffers():
            buffer.zero_()
        return copied

    def grow(self, n_groups):
        """Make room for groups that were not seen before."""
        n_new = n_groups - self.counts.shape[1]
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

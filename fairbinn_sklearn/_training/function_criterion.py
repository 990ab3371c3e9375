"""The follower's loss as a function of one batch, in the place of rates."""

import torch
from torch.autograd import grad

from .criterion import Criterion
from .multipliers import moved_factor


class FunctionCriterion(Criterion):
    """Leader's loss, and a follower's loss that is a function of one batch."""

    def __init__(self, constraint, n_groups, **settings):
        super().__init__(constraint, n_groups, **settings)
        self.register_buffer("rows", torch.zeros((), dtype=torch.float32))
        self.register_buffer("total", torch.zeros((), dtype=torch.float32))
        self.register_buffer("factor", torch.ones((), dtype=torch.float32))

    def fairness(self, logits, batch):
        """Slopes in the logits of the function on the batch."""
        with torch.enable_grad():
            logits = logits.detach().requires_grad_()
            return grad(self.fairness_loss(logits, batch), logits)[0]

    def fairness_loss(self, logits, batch):
        """Value of the function on the batch, added up over the sensitive columns."""
        if self.processes is not None and self.processes.n > 1:
            raise ValueError(
                "constraint, as a function, takes the scores of a whole batch and cannot be used "
                f"in {self.processes.n} processes; make it a subclass of FairnessLoss."
            )
        scores = self.scores(logits)
        if self.n_outputs == 1:
            scores = scores[:, 0]
        columns = batch.membership[:, 0].split(self.n_groups, 1)
        values = [self._call(scores, batch.y, groups) for groups in columns]
        value, keep = sum(values), self.keep(batch)
        self.rows.mul_(keep).add_(batch.n_rows)
        self.total.mul_(keep).add_(batch.n_rows * value.detach())
        factor = self.factor
        if self.target is not None:
            self.factor = moved_factor(factor, self.measured(), self.target, self.share(batch))
        return factor * value

    def _call(self, scores, y, groups):
        try:
            value = self.constraint(scores, y, groups)
        except Exception as error:
            raise ValueError(
                "constraint, as a function, must take scores, y and groups of shapes "
                f"{tuple(scores.shape)}, {tuple(y.shape)} and {tuple(groups.shape)}, got "
                f"{self.constraint!r}, which raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(value, torch.Tensor) or value.ndim or not value.requires_grad:
            got = f"a tensor of shape {tuple(value.shape)}" if getattr(value, "ndim", 0) else value
            raise ValueError(
                "constraint, as a function, must return a scalar tensor that depends on the scores "
                f"by torch operations, got {got!r}."
            )
        return value

    def loss_around(self, logits, batch):
        """Count the batch, then return the function of the batch's logits."""
        uncounted = self.fresh()
        uncounted.factor.copy_(self.factor)
        self.observe(logits, batch)
        return lambda logits: uncounted.fairness_loss(logits, batch)

    def observe(self, logits, batch):
        """Count a batch whose loss nobody steps along."""
        self.fairness(logits, batch)

    def measured(self):
        """What a target is set for: the mean of the values over the window."""
        return self.total / self.rows

    def weight(self, target):
        """Weight of the function."""
        return self.factor

    def release(self):
        """Forget what a target has led to."""
        self.factor.fill_(1.0)

    def summary(self):
        """Mean of the values over the window."""
        return {"fairness_loss": self.measured().item()}

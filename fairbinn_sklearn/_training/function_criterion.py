"""Criterion whose fairness loss is a user's function of one batch instead of rates."""

import torch
from torch.autograd import grad

from .criterion import Criterion
from .multipliers import update_factor


class FunctionCriterion(Criterion):
    """Criterion of a function of one batch; `rate_window` averages its values for `history_`."""

    def __init__(self, constraint, n_groups, **settings):
        super().__init__(constraint, n_groups, **settings)
        self.register_buffer("n_samples", torch.zeros((), dtype=torch.float32))
        self.register_buffer("total", torch.zeros((), dtype=torch.float32))
        self.register_buffer("factor", torch.ones((), dtype=torch.float32))

    def fairness_grad(self, logits, batch, scores=None):
        """Return the gradient of the function on the batch in the logits."""
        with torch.enable_grad():
            logits = logits.detach().requires_grad_()
            return grad(self.fairness_loss(logits, batch), logits)[0]

    def fairness_loss(self, logits, batch):
        """Return the value of the function on the batch, summed over the sensitive features."""
        if self.processes is not None and self.processes.n > 1:
            raise ValueError(
                "constraint must be a subclass of FairnessLoss in several processes, got a "
                f"function with {self.processes.n} processes: a function needs the whole batch."
            )
        scores = self.scores(logits)
        if self.n_outputs == 1:
            scores = scores[:, 0] if self.positive == 1 else 1.0 - scores[:, 0]
        partitions = batch.membership.split(self.n_groups, 1)
        value = sum(self._call(scores, self.labels(batch), groups) for groups in partitions)
        decay = self.decay(batch)
        self.n_samples.mul_(decay).add_(batch.n_samples)
        self.total.mul_(decay).add_(batch.n_samples * value.detach())
        factor = self.factor
        if self.target is not None:
            step = self.multiplier_step(batch)
            self.factor = update_factor(factor, self.constraint_value(), self.target, step)
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

    def local_loss(self, logits, batch):
        """Count the batch, then return the loss as a function of the batch's logits."""
        uncounted = self.empty_copy()
        uncounted.factor.copy_(self.factor)
        self.update_rates(logits, batch)
        return lambda logits: uncounted.fairness_loss(logits, batch)

    def update_rates(self, logits, batch):
        """Count a batch without taking a step."""
        self.fairness_grad(logits, batch)

    def constraint_value(self):
        """Return the value that a target bounds: the mean of the function over the window."""
        return self.total / self.n_samples

    def weight(self, target):
        """Return the weight of the function."""
        return self.factor

    def reset_multipliers(self):
        """Set the weight of the function to 1."""
        self.factor.fill_(1.0)

    def summary(self):
        """Return the mean of the function over the window."""
        return {"fairness_loss": self.constraint_value().item()}

"""The leader's loss, and the base of both criteria of the follower."""

import copy
import math

import torch
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    one_hot,
)

from .multipliers import MAX_STEP

DECISIONS, SCORES = 0, 1  # positions of the kinds of rates in the running sums
THRESHOLDS = [k / 10 for k in range(1, 10)]  # of decisions that "distribution" equalises
EQUALIZE = {  # positions of the kinds of rates that are equalised
    "decisions": [DECISIONS],
    "scores": [SCORES],
    "both": [DECISIONS, SCORES],
    "distribution": [2 + k for k in range(len(THRESHOLDS))],
}


class Criterion(nn.Module):
    """Base of both criteria: the leader's loss, the groups, and exponential weights.

    One logit per sample means two classes, otherwise there is one for each class. Logits have the
    shape (..., B, C). Where several networks are trained side by side, logits, losses and sums have
    an axis of networks in front; `counts` and `sizes` have none.

    Parameters
    ----------
    constraint : FairnessLoss or callable
        Criterion that the follower equalises.

    n_groups : list of int
        Number of groups of each sensitive feature, or of their combinations.

    n_outputs : int, default=1
        Number of logits per sample, C.

    n_strata : int, default=1
        Number of strata within which groups are compared.

    equalize : {"decisions", "scores", "both", "distribution"}, default="decisions"
        Which rates are equalised.

    window : float, default=0.0
        Number of samples over which rates are averaged; 0 means each batch alone.

    positive : {0, 1}, default=1
        Code of the positive class of two.

    Attributes
    ----------
    target : float, tensor or None
        Fairness target, as users set it. If it is set, each call of `fairness_grad` also updates
        the multipliers.

    multiplier_lr_scale : float
        Factor of the multipliers' step size.

    decision_weight : float
        Weight of the rates of decisions relative to those of scores, from 0 to 1: it grows while
        training changes from scores to decisions.

    steepness : float
        Position between 1 and `SURROGATE_SLOPE` of the slope of the surrogate of decisions, from 0
        to 1: it grows during training.

    processes : Processes or None
        Processes that train together.

    logit_threshold : torch.Tensor of shape (...)
        With two classes, the logit above which the decision is class code 1.

    needs_autograd : bool
        Whether `fairness_grad` may need automatic differentiation.
    """

    needs_autograd = True

    def __init__(
        self,
        constraint,
        n_groups,
        *,
        n_strata=1,
        n_outputs=1,
        equalize="decisions",
        window=0.0,
        positive=1,
    ):
        super().__init__()
        self.constraint = constraint
        self.n_groups = list(n_groups)
        self.n_strata = n_strata
        self.n_outputs = n_outputs
        self.n_classes = max(n_outputs, 2)
        self.equalize = equalize
        self.kinds = EQUALIZE[equalize]
        self.window = window
        self.positive = positive
        self.n_events = 1
        self.target = None
        self.multiplier_lr_scale = 1.0
        self.decision_weight = 1.0
        self.steepness = 0.0
        self.processes = None
        self.register_buffer("logit_threshold", torch.zeros((), dtype=torch.float32))

    @property
    def n_cells(self):
        """Number of pairs of a stratum and a group, for each sensitive feature."""
        return [self.n_strata * n for n in self.n_groups]

    @torch.no_grad()
    def accuracy_loss(self, logits, batch, scores=None):
        """Return the weighted mean cross-entropy L_acc and its gradient in the logits.

        Pass `scores`, the scores of the logits, if they are already known.
        """
        scores = self.scores(logits) if scores is None else scores
        if self.n_outputs == 1:
            losses = binary_cross_entropy_with_logits(
                logits, batch.y_indicator.expand_as(logits), reduction="none"
            )[..., 0]
        else:
            y = batch.y.expand(logits.shape[:-1])
            losses = cross_entropy(logits.movedim(-1, 1), y, reduction="none")
        grad = scores - batch.y_indicator
        if batch.weight is not None:
            losses, grad = batch.weight * losses, batch.weight[:, None] * grad
        return losses.sum(-1) / batch.n_samples, grad / batch.n_samples

    def scores(self, logits):
        """Return probabilities (B, C): of the second of two classes, or of each class."""
        return torch.sigmoid(logits) if self.n_outputs == 1 else torch.softmax(logits, -1)

    def decisions(self, logits):
        """Return decisions (B, C): 0 or 1 for each probability of `scores`."""
        if self.n_outputs == 1:
            return (logits > self.logit_threshold[..., None, None]).to(logits.dtype)
        return one_hot(logits.argmax(-1), self.n_outputs).to(logits.dtype)

    def logit_grad(self, score_grad, scores):
        """Return the gradient in the logits from the gradient in the scores."""
        if self.n_outputs == 1:
            return score_grad * scores * (1.0 - scores)
        return scores * (score_grad - (score_grad * scores).sum(-1, keepdim=True))

    def labels(self, batch):
        """Return the class codes (B,) in the order that the constraint expects."""
        return batch.y if self.positive == 1 else 1 - batch.y

    def indicator(self, batch):
        """Return the indicator of all cells (B, G), multiplied by the weights of the samples."""
        columns = [
            codes[:, None] == torch.arange(n, device=codes.device)
            for codes, n in zip(batch.groups.unbind(1), self.n_cells, strict=True)
        ]
        member = torch.cat(columns, 1).to(next(self.buffers()).dtype)
        return member if batch.sample_weight is None else member * batch.sample_weight[:, None]

    def prepare(self, batch):
        """Return the batch with the fields that do not depend on the network."""
        y = batch.y[:, None] if self.n_outputs == 1 else one_hot(batch.y, self.n_outputs)
        return batch._replace(
            y_indicator=y.to(next(self.buffers()).dtype),
            membership=None if batch.groups is None else self.membership(batch),
        )

    def membership(self, batch):
        """Return the weight of each sample in each group (B, G), as there is only one event."""
        return self.indicator(batch)

    def decay(self, batch):
        """Return the factor by which a batch of this size, or weight, shrinks earlier counts."""
        if not self.window:
            return 0.0
        if batch.sample_weight is None:
            return math.exp(-batch.n_samples / self.window)
        (weight,) = self.summed(batch.sample_weight.sum())
        return torch.exp(-weight / self.window)

    def summed(self, *tensors):
        """Return the sums of tensors over the processes."""
        return tensors if self.processes is None else self.processes.sum(*tensors)

    def multiplier_step(self, batch):
        """Return the multipliers' step size: samples of the batch per sample of the window."""
        step = min(batch.n_samples / (self.window or 1.0), MAX_STEP)
        return self.multiplier_lr_scale * step

    def empty_copy(self):
        """Return a copy with zero counts, an infinite window and no target, for validation."""
        copied = copy.deepcopy(self)
        copied.window, copied.target, copied.processes = math.inf, None, None
        for name, buffer in copied.named_buffers():
            if name != "logit_threshold":
                buffer.zero_()
        return copied

    def reset_offsets(self):
        """Do nothing, because only rates have offsets."""

    def add_groups(self, n_groups):
        """Make room for groups that appear in a later call of `partial_fit`."""
        self.n_groups = list(n_groups)

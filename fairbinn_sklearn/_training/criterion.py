"""The losses of both players, and exponential moving averages of the rates (running rates)."""

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

from ..losses import FairnessLoss
from ..losses._aggregate import divide, gap_of_extremes
from .multipliers import MAX_STEP, excess, gradient_and_update, weight_of_excess
from .offsets import offsets_of

DECISIONS, SCORES = 0, 1  # positions in the running sums
EQUALIZE = {"decisions": [DECISIONS], "scores": [SCORES], "both": [DECISIONS, SCORES]}
MIN_COUNT = 1e-20  # decayed count below which a group counts as absent
SURROGATE_SLOPE = 4.0  # slope of the surrogate of decisions at the end of training


class Criterion(nn.Module):
    """Base of both criteria: the leader's loss, the groups, and exponential weights.

    One logit per sample means two classes, otherwise there is one for each class. Logits have the
    shape (..., B, C). Where several networks are trained side by side, logits, losses and sums have
    an axis of networks in front; counts have none.

    Parameters
    ----------
    constraint : FairnessLoss or callable
        Criterion that the follower equalises.

    n_groups : list of int
        Number of groups of each sensitive feature, or of their combinations.

    n_outputs : int, default=1
        Number of logits per sample, C.

    equalize : {"decisions", "scores", "both"}, default="decisions"
        Which rates are equalised.

    window : float, default=0.0
        Number of samples over which rates are averaged; 0 means each batch alone.

    positive : {0, 1}, default=1
        Code of the positive class of two.

    Attributes
    ----------
    target : float, tensor or None
        Fairness target. If it is set, each call of `fairness_grad` also updates the multipliers.

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
        n_outputs=1,
        equalize="decisions",
        window=0.0,
        positive=1,
    ):
        super().__init__()
        self.constraint = constraint
        self.n_groups = list(n_groups)
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
        """Return the indicator of all groups (B, G), multiplied by the weights of the samples."""
        columns = [
            codes[:, None] == torch.arange(n, device=codes.device)
            for codes, n in zip(batch.groups.unbind(1), self.n_groups, strict=True)
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


class RateCriterion(Criterion):
    r"""Criterion of gaps between group rates, with exponential moving averages of the rates.

    With 60 samples of a group in a batch of 256, the estimated rate has a standard error of about
    0.05. The square of such a gap is noise that pushes all scores to a constant. So counts decay
    over about `window` samples, by :math:`e^{-B / window}` for a batch of B samples. The loss of a
    batch is linear in its rates :math:`r`, with the gradient of :math:`\varphi` at the running
    rates :math:`\bar r`:

    .. math::

        \sum_{e,g,c} \frac{\partial\varphi}{\partial r_{egc}}(\bar r)\; r_{egc}

    Its gradient is that of :math:`\varphi` with less noise. A group that is absent from the batch
    adds exactly 0, so groups that most batches lack weigh less. The losses of several sensitive
    features add up.

    Rates of decisions change discontinuously, those of scores smoothly. Using decision rates from
    the first epoch makes training oscillate or collapse to one class. So where decisions are
    equalised, :math:`\bar r` moves from the rates of scores to those of decisions, by
    `decision_weight`.

    With `equalize` "both" the loss is the mean of two losses, one for each kind of rates; under a
    target, which both must meet, it is their sum. The rates :math:`\bar r` at which the loss is
    evaluated (steering rates) have a leading axis of length K, one entry per kind of rate.
    """

    def __init__(self, constraint, n_groups, **settings):
        super().__init__(constraint, n_groups, **settings)
        self.n_events = n_events = len(check_events(constraint, self.n_classes))
        n_all = sum(self.n_groups)
        shapes = {
            "counts": (n_events, n_all),
            "sums": (2, n_events, n_all, self.n_outputs),
            "multipliers": (len(self.kinds), n_events, n_all, self.n_outputs),
            "offsets": (2, n_events, n_all, self.n_outputs),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))

    @property
    def needs_autograd(self):
        """Whether a loss overrides `gradient`, perhaps by automatic differentiation."""
        losses = getattr(self.constraint, "losses", [self.constraint])
        return any(type(loss).gradient is not FairnessLoss.gradient for loss in losses)

    def membership(self, batch):
        """Return the weight of each sample in each event and group (B, E * G)."""
        indicator = self.indicator(batch)
        # Two classes have the same gaps between rates, so only the events depend on which class
        # is positive.
        y = self.labels(batch)
        member = self.constraint.membership(y, indicator, self.n_classes)
        return member.transpose(0, 1).flatten(1)

    @torch.no_grad()
    def fairness_grad(self, logits, batch, scores=None):
        """Update the rates, then return the gradient of the follower's loss in the logits.

        Under a target the multipliers are updated too. Pass `scores` (B, C), the scores of the
        logits, if they are already known. The gradient is written by hand, because autograd of both
        losses takes 23 to 40 % of the time of a fit.
        """
        scores = self.scores(logits) if scores is None else scores
        counts = self.update_rates(logits, batch, scores)
        rate_grad, _ = self._steer(batch)
        slopes = self.surrogate_slopes()
        is_one_surrogate = set(slopes) == {1.0}
        rate_grad = rate_grad.sum(0) if is_one_surrogate else rate_grad
        # The count of an empty group has no effect, because no sample receives its gradient.
        group_grad = rate_grad / counts.clamp(min=MIN_COUNT)[..., None]
        score_grads = batch.membership @ group_grad.flatten(-3, -2)
        if is_one_surrogate:
            return self.logit_grad(score_grads, scores)
        return sum(
            slope * self.logit_grad(grad, self.surrogate(slope, logits))
            for slope, grad in zip(slopes, score_grads, strict=True)
        )

    def local_loss(self, logits, batch):
        """Update the rates, then return phi as a differentiable function of the batch's logits.

        The running rates change with the rates of the batch. At `logits` the gradient equals that
        of `fairness_grad`; this form also has correct second derivatives, at a higher cost.
        """
        counts = self.update_rates(logits, batch)
        _, loss_of_rates = self._steer(batch)
        slopes = self.surrogate_slopes()

        def batch_rates(logits):
            surrogates = torch.stack([self.surrogate(slope, logits) for slope in slopes])
            return divide(self.sums_of(batch, surrogates), counts[..., None])

        anchor = self.steering_rates() - batch_rates(logits.detach())
        return lambda logits: loss_of_rates(anchor + batch_rates(logits)).sum(0)

    def surrogate(self, slope, logits):
        """Return the smooth function that replaces decisions; the scores if the slope is 1."""
        if slope == 1.0:
            return self.scores(logits)
        threshold = self.logit_threshold[..., None, None]
        return self.scores(threshold + slope * (logits - threshold))

    def surrogate_slopes(self):
        """Return the slope of the surrogate for each kind of rate; 1 for scores."""
        # Keep slope 1 for decisions of two groups: it reaches the target, and their mean scores
        # stay closer.
        is_easy = self.equalize == "decisions" and max(self.n_groups, default=0) <= 2
        if self.target is None or is_easy:
            return [1.0] * len(self.kinds)
        slope = 1.0 + (SURROGATE_SLOPE - 1.0) * self.steepness
        return [slope if kind == DECISIONS else 1.0 for kind in self.kinds]

    @torch.no_grad()
    def _steer(self, batch):
        """Return the gradient of the loss at the steering rates, and the loss as a function.

        The function maps rates to the loss.

        Without a target the loss is the mean over the kinds of rates. Under a target it is the
        augmented Lagrangian, and the multipliers are updated for the next batch.
        """
        rates = self.steering_rates()
        target, multipliers = self.target, self.multipliers
        if target is None:
            scale = 1.0 / len(self.kinds)
            grads = self._by_partition(self.constraint.gradient, rates)
            grad = grads[0] if len(grads) == 1 else torch.cat(grads, -2)

            def mean_penalty(rates):
                return scale * sum(self._by_partition(self.constraint.penalty, rates))

            return (grad if scale == 1.0 else scale * grad), mean_penalty
        target = torch.as_tensor(target, dtype=rates.dtype, device=rates.device)
        target = target[..., None, None, None] if target.ndim else target

        def half_squared_excess(rates, counts):
            present = (counts > 0)[..., None]
            squared = excess(rates, target, present).square()
            return (0.5 * weight_of_excess(rates, present) * squared).sum((-3, -2, -1))

        def lagrangian(rates):
            penalties = self._by_partition(half_squared_excess, rates)
            return sum(penalties) + (multipliers * rates).sum((-3, -2, -1))

        parts = [values.split(self.n_groups, -2) for values in (multipliers, rates)]
        step_size = self.multiplier_step(batch)
        grads, updated = zip(
            *(
                gradient_and_update(mu, part, target, (counts > 0)[..., None], step_size)
                for mu, part, counts in zip(
                    *parts, self.counts.split(self.n_groups, 1), strict=True
                )
            ),
            strict=True,
        )
        self.multipliers = torch.cat(updated, -2)
        return torch.cat(grads, -2) + multipliers, lagrangian

    @torch.no_grad()
    def update_rates(self, logits, batch, scores=None):
        """Add a batch to the running sums; return its counts (E, G)."""
        scores = self.scores(logits) if scores is None else scores
        values = torch.stack([self.decisions(logits), scores])  # (2, ..., B, C)
        counts = batch.membership.sum(0).view(self.counts.shape)
        counts, sums = self.summed(counts, self.sums_of(batch, values))
        decay = self.decay(batch)
        threshold_(self.counts.mul_(decay).add_(counts), MIN_COUNT, 0.0)
        self.sums.mul_(decay).add_(sums)
        return counts

    def sums_of(self, batch, values):
        """Return sums of values (..., B, C) over the samples of each event and group."""
        return (batch.membership.T @ values).unflatten(-2, self.counts.shape)

    def rates(self, kind):
        """Return the running rates (..., E, G, C) of decisions or scores."""
        return self.sums[kind] / self.counts.clamp(min=MIN_COUNT)[..., None]

    def steering_rates(self):
        """Return the rates (K, ..., E, G, C) at which the loss is evaluated."""
        if self.equalize == "scores":
            return (self.rates(SCORES) + self.offsets[SCORES])[None]
        decisions, scores = (self.rates(kind) + self.offsets[kind] for kind in (DECISIONS, SCORES))
        decisions = torch.lerp(scores, decisions, self.decision_weight)
        if self.equalize == "decisions":
            return decisions[None]
        return torch.stack([decisions, scores])

    def update_offsets(self, training, held_out):
        """Set the offsets of the steering rates, from criteria with the rates of all samples."""
        self.offsets = training.offsets_to(held_out)

    def offsets_to(self, held_out):
        """Return the offsets (2, ..., E, G, C) from the rates to those of samples set aside."""
        parts = []
        for criterion in (self, held_out):
            rates = torch.stack([criterion.rates(kind) for kind in (DECISIONS, SCORES)])
            parts += [rates.split(self.n_groups, -2), criterion.counts.split(self.n_groups, 1)]
        return torch.cat([offsets_of(*part) for part in zip(*parts, strict=True)], -2)

    def offset_range(self, held_out):
        """Return the largest difference between the offsets of two groups, in equalised rates."""
        parts = self.offsets_to(held_out)[self.kinds].split(self.n_groups, -2)
        return max(float((part.amax(-2) - part.amin(-2)).max()) for part in parts)

    def difference(self, kind):
        """Return the largest difference between two groups, of decisions or scores."""
        differences = self._by_partition(self.constraint.difference, self.rates(kind))
        return torch.stack(differences).amax(0)

    def widest_gap(self):
        """Return the two groups with the largest difference of the equalised rates.

        The result is a list of two pairs: the position of a group, and its count in the rate.
        """
        found = []
        for rates in (self.rates(kind) for kind in self.kinds):
            parts = rates.split(self.n_groups, -2), self.counts.split(self.n_groups, 1)
            first = 0
            for part_rates, counts in zip(*parts, strict=True):
                gap, *groups = gap_of_extremes(part_rates, (counts > 0)[..., None])
                event, score = divmod(int(gap.argmax()), gap.shape[-1])
                positions = [int(group[event, score]) for group in groups]
                pairs = [(first + g, float(counts[event, g])) for g in positions]
                found.append((float(gap.max()), pairs))
                first += counts.shape[1]
        return max(found)[1]

    def constraint_value(self):
        """Return the value that a target bounds: the largest difference of the equalised rates."""
        return torch.stack([self.difference(kind) for kind in self.kinds]).amax(0)

    def weight(self, target):
        """Return the weight of a squared gap with the multipliers as gradient at the target."""
        if not self.multipliers.numel():
            return torch.zeros(())
        return self.multipliers.abs().amax((-3, -2, -1)).sum(0) / (2.0 * target)

    def reset_multipliers(self):
        """Set the multipliers to 0."""
        self.multipliers.zero_()

    def reset_offsets(self):
        """Set the offsets to 0."""
        self.offsets.zero_()

    def add_groups(self, n_groups):
        """Make room for groups that appear in a later call of `partial_fit`."""
        before = self.n_groups or [0] * len(n_groups)
        super().add_groups(n_groups)
        if not n_groups:
            return
        for name in ("counts", "sums", "multipliers", "offsets"):
            buffer = getattr(self, name)
            axis = 1 if name == "counts" else buffer.ndim - 2
            parts = buffer.split(before, axis)
            later_axes = (0, 0) * (buffer.ndim - 1 - axis)
            wider = [
                pad(part, (*later_axes, 0, n_now - n_before))
                for part, n_before, n_now in zip(parts, before, n_groups, strict=True)
            ]
            setattr(self, name, torch.cat(wider, axis))

    def summary(self):
        """Return the loss at the running rates, and the differences of decisions and scores."""
        rates = torch.stack([self.rates(kind) for kind in self.kinds])
        penalties = self._by_partition(self.constraint.penalty, rates)
        return {
            "fairness_loss": sum(penalties).mean(0).tolist(),
            "decision_difference": self.difference(DECISIONS).tolist(),
            "score_difference": self.difference(SCORES).tolist(),
        }

    def _by_partition(self, function, rates):
        """Return the values of a function of rates and counts, for each partition of groups."""
        if len(self.n_groups) == 1:
            return [function(rates, self.counts)]
        parts = rates.split(self.n_groups, -2), self.counts.split(self.n_groups, 1)
        return [function(*part) for part in zip(*parts, strict=True)]


def check_events(constraint, n_classes):
    """Return the events of one sample per class; raise if a user's criterion is not valid."""
    method = f"{type(constraint).__name__}.events"
    y = torch.arange(n_classes)
    events, more = (constraint.events(labels, n_classes) for labels in (y, y.repeat(2)))
    for value, n_samples in ((events, n_classes), (more, 2 * n_classes)):
        if (
            not isinstance(value, torch.Tensor)
            or value.dtype != torch.bool
            or value.ndim != 2
            or value.shape[1] != n_samples
        ):
            got = f"{tuple(value.shape)}, {value.dtype}" if hasattr(value, "shape") else value
            raise ValueError(
                "constraint must have events that are a tensor of booleans of shape (E, N), but "
                f"{method} returned {got} for {n_samples} samples."
            )
    if len(events) != len(more):
        raise ValueError(
            f"constraint must have the same number of events for any samples, but {method} "
            f"returned {len(events)} for {n_classes} samples and {len(more)} for {2 * n_classes}."
        )
    return events

"""Criterion of gaps between group rates, with exponential moving averages (running rates)."""

import math

import torch
from torch.nn.functional import pad, threshold_

from ..losses import FairnessLoss
from ..losses._aggregate import divide, gap_of_extremes
from .criterion import DECISIONS, SCORES, THRESHOLDS, Criterion
from .multipliers import event_weights, gradient_and_update, squared_excess
from .offsets import offsets_of
from .partitions import Partitions, stratum_weights

COUNT_BUFFERS = ["counts", "sizes"]  # buffers that do not depend on the network
MIN_COUNT = 1e-20  # decayed count below which a group counts as absent
MIN_DENOMINATOR = 1e-6  # smallest mean denominator of a sample, in gradients
SURROGATE_SLOPE = 4.0  # slope of the surrogate of decisions at the end of training


class RateCriterion(Criterion):
    r"""Criterion of gaps between group rates, with exponential moving averages of the rates.

    With 60 samples of a group in a batch of 256, the estimated rate has a standard error of about
    0.05. The square of such a gap is noise that pushes all scores to a constant. So numerators,
    denominators and counts decay over about `window` samples, by :math:`e^{-B / window}` for a
    batch of B samples. The loss of a batch is linear in its rates :math:`r`, with the gradient of
    :math:`\varphi` at the running rates :math:`\bar r`:

    .. math::

        \sum_{e,g,c} \frac{\partial\varphi}{\partial r_{egc}}(\bar r)\; r_{egc}

    Its gradient is that of :math:`\varphi` with less noise. A group that is absent from the batch
    adds exactly 0, so groups that are missing from most batches have less influence. The losses of
    several sensitive features are added.

    For a rate :math:`\sum (a + b s) / \sum (c + d s)` the gradient in the score of a sample of
    group g is, by the quotient rule,

    .. math::

        \frac{b - \bar r_g d}{\bar q_g n_g},

    where :math:`n_g` is the number of samples of the group in the batch and :math:`\bar q_g` the
    running mean of the denominator over samples. For mean scores it is :math:`1 / n_g`.

    Rates of decisions change discontinuously, those of scores smoothly. Using decision rates from
    the first epoch makes training oscillate or collapse to one class. So where decisions are
    equalised, :math:`\bar r` moves from the rates of scores to those of decisions, by
    `decision_weight`.

    With several kinds of rates, as with `equalize` "both", the loss is the mean of one loss for
    each kind; under a target, which all must meet, it is their sum. The rates :math:`\bar r` at
    which the loss is evaluated (steering rates) have a leading axis of length K, one entry per kind
    of rate.
    """

    def __init__(self, constraint, n_groups, **settings):
        super().__init__(constraint, n_groups, **settings)
        if self.equalize == "distribution" and self.n_outputs > 1:
            raise ValueError(
                'equalize must not be "distribution" with more than two classes, got '
                f'{self.n_classes} classes. Use "scores" or "both".'
            )
        self.n_events = n_events = len(check_events(constraint, self.n_classes))
        # With two classes, mean scores of both classes have the same gaps. All other rates must be
        # those of the positive class.
        has_gaps = not constraint.target_is_lower_bound
        self.is_mean = constraint.is_mean and (self.positive == 1 or has_gaps)
        n_cells, n_sums = sum(self.n_cells), max(self.kinds + [SCORES]) + 1
        shapes = {
            "counts": (n_events, n_cells),
            "sizes": (1, n_cells),
            "sums": (n_sums, n_events, n_cells, self.n_outputs),
            "multipliers": (len(self.kinds), n_events, n_cells, self.n_outputs),
            "offsets": (n_sums, n_events, n_cells, self.n_outputs),
        }
        if not self.is_mean:
            shapes["denominators"] = shapes["sums"]
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float32))
        self.has_offsets = False
        self.partitions = Partitions(self.n_groups, self.n_strata)

    @property
    def needs_autograd(self):
        """Whether a loss overrides `gradient`, perhaps by automatic differentiation."""
        losses = getattr(self.constraint, "losses", [self.constraint])
        return any(type(loss).gradient is not FairnessLoss.gradient for loss in losses)

    def prepare(self, batch):
        """Return the batch with the fields that do not depend on the network."""
        if batch.groups is not None:
            batch = batch._replace(cells=self.indicator(batch))
        batch = super().prepare(batch)
        if self.is_mean or batch.groups is None:
            return batch
        dtype = batch.membership.dtype
        a, b, c, d = self.constraint.expanded_coefficients(
            self.labels(batch), self.n_outputs, dtype
        )
        if self.positive == 0:  # the score of the positive class is 1 - s
            a, b, c, d = a + b, -b, c + d, -d
        coefficients = torch.stack([a, b, c, d]).permute(2, 0, 1, 3).contiguous()
        return batch._replace(coefficients=coefficients)

    def membership(self, batch):
        """Return the weight of each sample in each event and cell (B, E * cells)."""
        member = self.constraint.membership(self.labels(batch), batch.cells, self.n_classes)
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
        score_grads = self._score_grad(rate_grad, counts, batch, is_summed=is_one_surrogate)
        if is_one_surrogate:
            return self.logit_grad(score_grads, scores)
        return sum(
            slope * self.logit_grad(grad, self.surrogate(kind, slope, logits))
            for kind, slope, grad in zip(self.kinds, slopes, score_grads, strict=True)
        )

    def _score_grad(self, rate_grad, counts, batch, *, is_summed):
        """Return the gradient in the scores (K, ..., B, C), or its sum over the kinds of rates.

        `rate_grad` (K, ..., E, cells, C) is the gradient in the rates, and `counts` (E, cells) are
        the counts of the batch.
        """
        # The count of an empty group has no effect, because no sample receives its gradient.
        counts = counts.clamp(min=MIN_COUNT)[..., None]
        if self.is_mean:
            group_grad = (rate_grad.sum(0) if is_summed else rate_grad) / counts
            return batch.membership @ group_grad.flatten(-3, -2)
        numerator_grad = rate_grad / (self._mean_denominators() * counts)
        denominator_grad = -numerator_grad * self._running_rates()
        if is_summed:
            numerator_grad, denominator_grad = numerator_grad.sum(0), denominator_grad.sum(0)
        _, b, _, d = batch.coefficients.permute(1, 2, 0, 3)
        member = batch.membership.T.unflatten(0, self.counts.shape).mT  # (E, B, cells)
        return (b * (member @ numerator_grad) + d * (member @ denominator_grad)).sum(-3)

    def local_loss(self, logits, batch):
        """Update the rates, then return phi as a differentiable function of the batch's logits.

        The running rates change with the rates of the batch. At `logits` the gradient equals that
        of `fairness_grad`; this form also has correct second derivatives, at a higher cost.
        """
        counts = self.update_rates(logits, batch)[..., None]
        _, loss_of_rates = self._steer(batch)
        slopes, rates = self.surrogate_slopes(), self._running_rates()

        def batch_rates(logits):
            surrogates = torch.stack(
                [
                    self.surrogate(kind, slope, logits)
                    for kind, slope in zip(self.kinds, slopes, strict=True)
                ]
            )
            numerators, denominators = self.sums_of(batch, surrogates)
            if self.is_mean:
                return divide(numerators, counts)
            linear = numerators - rates * denominators
            return divide(linear, self._mean_denominators() * counts)

        anchor = self.steering_rates() - batch_rates(logits.detach())
        return lambda logits: loss_of_rates(anchor + batch_rates(logits)).sum(0)

    def surrogate(self, kind, slope, logits):
        """Return the smooth function that replaces decisions; the scores if the slope is 1."""
        if slope == 1.0:
            return self.scores(logits)
        threshold = self._threshold(kind)
        return self.scores(threshold + slope * (logits - threshold))

    def surrogate_slopes(self):
        """Return the slope of the surrogate for each kind of rate; 1 for scores."""
        # Keep slope 1 for decisions of two groups: it reaches the target, and their mean scores
        # stay closer.
        is_easy = self.equalize == "decisions" and max(self.n_groups, default=0) <= 2
        if self.equalize != "distribution" and (self.target is None or is_easy):
            return [1.0] * len(self.kinds)
        slope = 1.0 + (SURROGATE_SLOPE - 1.0) * self.steepness
        return [1.0 if kind == SCORES else slope for kind in self.kinds]

    @torch.no_grad()
    def _steer(self, batch):
        """Return the gradient of the loss at the steering rates, and the loss as a function.

        The function maps rates to the loss.

        Without a target the loss is the mean over the kinds of rates. Under a target it is the
        augmented Lagrangian, and the multipliers are updated for the next batch.
        """
        rates, multipliers = self.steering_rates(), self.multipliers
        counts, n_samples = self._counts_of(SCORES), self.counts[..., None]
        if self.target is None:
            scale = 1.0 / len(self.kinds)
            grads = self._by_partition(self._gradient, rates, counts, n_samples)
            grad = self.partitions.join(grads)

            def mean_penalty(rates):
                return scale * sum(self._by_partition(self._penalty, rates, counts, n_samples))

            return (grad if scale == 1.0 else scale * grad), mean_penalty

        bound, step_size = self._bound(rates), self.multiplier_step(batch)
        inputs = (counts, n_samples, self.sizes[..., None], multipliers)

        def map_parts(function, rates, *args):
            def apply(rates, counts, n_samples, sizes, multipliers):
                weight = event_weights(n_samples, sizes)
                return function(self.constraint, rates, counts, weight, multipliers, bound, *args)

            return zip(*self._by_partition(apply, rates, *inputs), strict=True)

        def lagrangian(rates):
            squared, linear = map_parts(squared_excess, rates)
            axes = (-3, -2, -1) if self.n_strata == 1 else (-4, -3, -2, -1)
            return sum(part.sum(axes) for part in squared + linear)

        grads, updated = map_parts(gradient_and_update, rates, step_size)
        self.multipliers = self.partitions.join(updated)
        return self.partitions.join(grads), lagrangian

    @torch.no_grad()
    def update_rates(self, logits, batch, scores=None):
        """Add a batch to the running sums; return its counts (E, cells)."""
        scores = self.scores(logits) if scores is None else scores
        values = [self.decisions(logits), scores]
        if self.equalize == "distribution":
            values += [(logits > self._threshold(k)).to(scores.dtype) for k in self.kinds]
        sums, denominators = self.sums_of(batch, torch.stack(values))  # (2, ..., E, cells, C)
        counts = batch.membership.sum(0).view(self.counts.shape)
        sizes = batch.cells.sum(0)
        decay = self.decay(batch)
        if self.is_mean:
            counts, sizes, sums = self.summed(counts, sizes, sums)
        else:
            counts, sizes, sums, denominators = self.summed(counts, sizes, sums, denominators)
            threshold_(self.denominators.mul_(decay).add_(denominators), MIN_COUNT, 0.0)
        threshold_(self.counts.mul_(decay).add_(counts), MIN_COUNT, 0.0)
        self.sizes.mul_(decay).add_(sizes)
        self.sums.mul_(decay).add_(sums)
        return counts

    def sums_of(self, batch, values):
        """Return numerators and denominators of values (..., B, C) for each event and cell.

        The denominators are None for mean scores, whose denominators are the counts.
        """
        if self.is_mean:
            return (batch.membership.T @ values).unflatten(-2, self.counts.shape), None
        a, b, c, d = batch.coefficients.permute(1, 2, 0, 3)
        member = batch.membership.T.unflatten(0, self.counts.shape)  # (E, cells, B)
        values = values[..., None, :, :]
        return member @ (a + b * values), member @ (c + d * values)

    def rates(self, kind):
        """Return the running rates (..., E, cells, C) of decisions or scores."""
        return self.sums[kind] / self._counts_of(kind).clamp(min=MIN_COUNT)

    def steering_rates(self):
        """Return the rates (K, ..., E, cells, C) at which the loss is evaluated.

        With offsets they are estimates of the rates of samples that are set aside.
        """
        rates = self._running_rates()
        if self.target is None or not self.has_offsets:
            return rates
        offsets = self._of_kinds(self.offsets)
        return rates + torch.lerp(self.offsets[SCORES], offsets, self.decision_weight)

    def _running_rates(self):
        """Return the running rates (K, ..., E, cells, C) of the kinds that are equalised."""
        scores = self.rates(SCORES)
        if self.equalize == "scores":
            return scores[None]
        rates = []
        for kind in self.kinds:
            decisions = self.rates(kind)
            if not self.is_mean:  # use scores where the denominator of decisions is 0
                decisions = torch.where(self.denominators[kind] > MIN_COUNT, decisions, scores)
            rates.append(torch.lerp(scores, decisions, self.decision_weight))
        return rates[0][None] if len(rates) == 1 else torch.stack(rates)

    def update_offsets(self, training, held_out):
        """Set the offsets of the steering rates, from criteria with the rates of all samples."""
        self.has_offsets = True
        self.offsets = training.offsets_to(held_out)

    def offsets_to(self, held_out):
        """Return the offsets (..., E, cells, C) from the rates to those of samples set aside."""
        kinds = range(len(self.sums))
        values = []
        for criterion in (self, held_out):
            values.append(torch.stack([criterion.rates(kind) for kind in kinds]))
            counts = torch.stack([criterion._counts_of(kind) for kind in kinds])
            values.append(counts[0] if self.is_mean else counts)
        return self.partitions.join(self._by_partition(offsets_of, *values))

    def offset_range(self, held_out):
        """Return the largest difference between the offsets of two groups, in equalised rates."""
        offsets = self._of_kinds(self.offsets_to(held_out))
        ranges = self._by_partition(lambda part: part.amax(-2) - part.amin(-2), offsets)
        return max(float(part.max()) for part in ranges)

    def reset_offsets(self):
        """Set the offsets to 0."""
        self.has_offsets = False
        self.offsets.zero_()

    def difference(self, kind):
        """Return the value that a target bounds, of decisions or scores."""
        values = self._by_partition(
            self.constraint.difference, self.rates(kind), self._counts_of(kind)
        )
        if self.n_strata > 1:
            values = [value.amax(-1) for value in values]
        return torch.stack(values).amax(0)

    def widest_gap(self):
        """Return the two groups with the largest difference of the equalised rates.

        The result is a list of two pairs: the position of a group, and the denominator of its rate.
        If the lowest rate is measured, both are the group with this rate.
        """
        found = []
        for kind in self.kinds:
            parts = self._by_partition(lambda *part: part, self.rates(kind), self._counts_of(kind))
            first = 0
            for (rates, counts), n_groups in zip(parts, self.n_groups, strict=True):
                gap, highest, lowest = gap_of_extremes(rates, counts > 0)  # (..., E, C)
                if self.constraint.measures_level:
                    gap = 1.0 - rates.masked_fill(counts <= 0, 1.0).amin(-2)
                    highest = lowest
                *place, score = torch.unravel_index(gap.argmax(), gap.shape)
                positions = [int(group[(*place, score)]) for group in (highest, lowest)]
                counts = counts.expand_as(rates)
                pairs = [(first + g, float(counts[(*place, g, score)])) for g in positions]
                found.append((float(gap.max()), pairs))
                first += n_groups
        return max(found)[1]

    def constraint_value(self):
        """Return the value that a target bounds: the largest difference of the equalised rates."""
        return torch.stack([self.difference(kind) for kind in self.kinds]).amax(0)

    def weight(self, target):
        """Return the weight of a squared gap with the multipliers as gradient at the target."""
        if not self.multipliers.numel():
            return torch.zeros(())
        bound = self.constraint.largest_value(target)
        return self.multipliers.abs().amax((-3, -2, -1)).sum(0) / (2.0 * bound)

    def reset_multipliers(self):
        """Set the multipliers to 0."""
        self.multipliers.zero_()

    def add_groups(self, n_groups):
        """Make room for groups that appear in a later call of `partial_fit`."""
        if list(n_groups) == self.n_groups:
            return
        before = self.n_groups or [0] * len(n_groups)
        super().add_groups(n_groups)
        self.partitions = Partitions(self.n_groups, self.n_strata)
        for name in self.state_names():
            buffer = getattr(self, name)
            axis = 1 if name in COUNT_BUFFERS else buffer.ndim - 2
            parts = buffer.split(before, axis)
            later_axes = (0, 0) * (buffer.ndim - 1 - axis)
            wider = [
                pad(part, (*later_axes, 0, n_now - n_before))
                for part, n_before, n_now in zip(parts, before, n_groups, strict=True)
            ]
            setattr(self, name, torch.cat(wider, axis))

    def state_names(self):
        """Return the names of the buffers that have an axis of cells."""
        names = [*COUNT_BUFFERS, "sums", "multipliers", "offsets"]
        return names if self.is_mean else [*names, "denominators"]

    def summary(self):
        """Return the loss at the running rates, and the differences of decisions and scores."""
        rates = torch.stack([self.rates(kind) for kind in self.kinds])
        counts = torch.stack([self._counts_of(kind) for kind in self.kinds])
        if self.is_mean:
            counts = counts[0]
        penalties = self._by_partition(self._penalty, rates, counts, self.counts[..., None])
        record = {
            "fairness_loss": sum(penalties).mean(0).tolist(),
            "decision_difference": self.difference(DECISIONS).tolist(),
            "score_difference": self.difference(SCORES).tolist(),
        }
        if self.equalize == "distribution":
            record["distribution_difference"] = self.constraint_value().tolist()
        return record

    def _of_kinds(self, values):
        """Return the values of the kinds of rates that are equalised, which are neighbours."""
        # With a list as index, the host would wait for a GPU.
        return values[self.kinds[0] : self.kinds[-1] + 1]

    def _counts_of(self, kind):
        """Return the running denominators (E, cells, 1) or (..., E, cells, C) of rates."""
        return self.counts[..., None] if self.is_mean else self.denominators[kind]

    def _mean_denominators(self):
        """Return the running means over samples of the denominators of scores."""
        mean = self.denominators[SCORES] / self.counts.clamp(min=MIN_COUNT)[..., None]
        return mean.clamp(min=MIN_DENOMINATOR)

    def _threshold(self, kind):
        """Return the logit above which a decision of this kind is 1."""
        if kind in (DECISIONS, SCORES):
            return self.logit_threshold[..., None, None]
        return math.log(THRESHOLDS[kind - 2] / (1.0 - THRESHOLDS[kind - 2]))

    def _bound(self, rates):
        """Return the bound on the differences, in a shape that matches the parts of rates."""
        target = self.target
        if not isinstance(target, torch.Tensor):
            # Fill on the device, because the host waits if torch.as_tensor copies a value to a GPU.
            target = rates.new_full((), target)
        bound = self.constraint.largest_value(target)
        n_axes = 3 if self.n_strata == 1 else 4
        return bound.reshape(*bound.shape, *(1,) * n_axes) if bound.ndim else bound

    def _penalty(self, rates, counts, n_samples):
        """Return the penalty; with strata their weighted mean."""
        penalty = self.constraint.penalty(rates, counts)
        if self.n_strata == 1:
            return penalty
        return (self._stratum_weights(n_samples) * penalty).sum(-1)

    def _gradient(self, rates, counts, n_samples):
        """Return the gradient of `_penalty` in the rates."""
        gradient = self.constraint.gradient(rates, counts)
        if self.n_strata == 1:
            return gradient
        return self._stratum_weights(n_samples)[:, None, None, None] * gradient

    def _stratum_weights(self, n_samples):
        """Return the weight of each stratum (S,) in the loss."""
        n_needed = 1 if self.constraint.measures_level else 2
        return stratum_weights(n_samples, self.constraint.stratum_weight, n_needed)

    def _by_partition(self, function, *values):
        """Return the results of a function of the parts of values, for each partition."""
        parts = [self.partitions.split(value) for value in values]
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

"""Several criteria at once."""

import torch

from ._base import FairnessLoss, n_classes_of


class CombinedLoss(FairnessLoss):
    """Sum of losses, each with its events, `weight` and `aggregation`.

    The difference is the largest of the losses' differences.
    """

    def __init__(self, losses):
        self.losses = losses

    def events(self, y, n_classes):
        """Return the events of all losses, in the order of the losses: (E_1 + E_2 + ..., N)."""
        return torch.cat([loss.events(y, n_classes) for loss in self.losses])

    @property
    def is_mean(self):
        """Whether all rates of all losses are mean scores."""
        return all(loss.is_mean for loss in self.losses)

    @property
    def target_is_lower_bound(self):
        """Whether a fairness target is a lower bound."""
        return self.losses[0].target_is_lower_bound

    @property
    def measures_level(self):
        """Whether the level of each group is measured, and not a gap between groups."""
        return self.losses[0].measures_level

    @property
    def measure_name(self):
        """Return the words for what a fairness target bounds."""
        return self.losses[0].measure_name

    @property
    def stratum_weight(self):
        """How strata are weighted."""
        return self.losses[0].stratum_weight

    def check(self):
        """Raise if parameters contradict each other."""
        for name in ("measure", "stratum_weight"):
            values = [getattr(loss, name) for loss in self.losses]
            if len(set(values)) > 1:
                raise ValueError(
                    f"constraint, as a list, must hold criteria with the same {name}, got {values}."
                )
        for loss in self.losses:
            loss.check()

    def bind(self, names):
        """Return a copy whose losses know the names of the groups."""
        return CombinedLoss([loss.bind(names) for loss in self.losses])

    def expanded_coefficients(self, y, n_scores, dtype):
        """Return the coefficients of the events of all losses (4, E_1 + E_2 + ..., N, C)."""
        parts = [loss.expanded_coefficients(y, n_scores, dtype) for loss in self.losses]
        return torch.cat(parts, 1)

    def penalty(self, rates, counts):
        """Return the sum of the penalties."""
        return sum(loss.penalty(*part) for loss, *part in self._parts(counts, rates))

    def gradient(self, rates, counts):
        """Return the gradient of the sum: that of each loss in the rates of its events."""
        return torch.cat([loss.gradient(*part) for loss, *part in self._parts(counts, rates)], -3)

    def difference(self, rates, counts):
        """Return the largest difference of the losses."""
        values = [loss.difference(*part) for loss, *part in self._parts(counts, rates)]
        return torch.stack(values).amax(0)

    def deviations(self, rates, counts):
        """Return the deviations of each loss."""
        return torch.cat([loss.deviations(*part) for loss, *part in self._parts(counts, rates)], -3)

    def adjoint(self, gradient, counts):
        """Return the gradient in the rates from the gradient in the deviations."""
        return torch.cat([loss.adjoint(*part) for loss, *part in self._parts(counts, gradient)], -3)

    def excess(self, values, bound, scale, counts):
        """Return the excess of each loss; the scale has an axis of events."""
        parts = self._parts(counts, values, scale)
        return torch.cat(
            [
                loss.excess(part, bound, scale_part, counts_part)
                for loss, part, counts_part, scale_part in parts
            ],
            -3,
        )

    def _parts(self, counts, *tensors):
        """Return the losses, and the parts of tensors and counts that belong to their events."""
        n_classes = n_classes_of(tensors[0])
        sizes = [len(loss.events(torch.arange(n_classes), n_classes)) for loss in self.losses]
        first, *others = tensors
        return zip(
            self.losses,
            *(tensor.split(sizes, -3) for tensor in (first, counts, *others)),
            strict=True,
        )

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

    def penalty(self, rates, counts):
        """Return the sum of the penalties."""
        return sum(loss.penalty(*part) for loss, *part in self._parts(rates, counts))

    def gradient(self, rates, counts):
        """Return the gradient of the sum: that of each loss in the rates of its events."""
        return torch.cat([loss.gradient(*part) for loss, *part in self._parts(rates, counts)], -3)

    def difference(self, rates, counts):
        """Return the largest difference of the losses."""
        return torch.stack(
            [loss.difference(*part) for loss, *part in self._parts(rates, counts)]
        ).amax(0)

    def _parts(self, rates, counts):
        """Return the losses, and the rates and counts of their events."""
        n_classes = n_classes_of(rates)
        sizes = [len(loss.events(torch.arange(n_classes), n_classes)) for loss in self.losses]
        return zip(self.losses, rates.split(sizes, -3), counts.split(sizes, -2), strict=True)

"""Several criteria at once."""

import torch

from ._base import FairnessLoss, n_classes_of


class CombinedLoss(FairnessLoss):
    """Sum of losses, each at the events of its own; `weight` and `aggregation` are theirs.

    The difference is the largest of theirs.
    """

    def __init__(self, losses):
        self.losses = losses

    def events(self, y, n_classes):
        """Events of all losses, one loss behind the other: (E_1 + E_2 + ..., N)."""
        return torch.cat([loss.events(y, n_classes) for loss in self.losses])

    def difference(self, rates, counts):
        """Largest difference of any of the losses."""
        return torch.stack(
            [loss.difference(*part) for loss, *part in self._parts(rates, counts)]
        ).amax(0)

    def penalty(self, rates, counts):
        """Sum of the penalties."""
        return sum(loss.penalty(*part) for loss, *part in self._parts(rates, counts))

    def gradient(self, rates, counts):
        """Slopes of all losses, each in the rates of its own events."""
        return torch.cat([loss.gradient(*part) for loss, *part in self._parts(rates, counts)], -3)

    def _parts(self, rates, counts):
        n_classes = n_classes_of(rates)
        sizes = [len(loss.events(torch.arange(n_classes), n_classes)) for loss in self.losses]
        return zip(self.losses, rates.split(sizes, -3), counts.split(sizes, -2), strict=True)

"""The axis of cells: groups of each sensitive feature, in each stratum."""

import torch


class Partitions:
    """Split tensors of all cells into tensors of the groups of each sensitive feature.

    The cells of a sensitive feature of G groups in S strata are the pairs (s, g), in the order
    ``s * G + g``. Criteria treat strata as an axis before that of the events.

    Parameters
    ----------
    n_groups : list of int
        Number of groups of each sensitive feature, or of their combinations.

    n_strata : int, default=1
        Number of strata.
    """

    def __init__(self, n_groups, n_strata=1):
        self.n_groups = n_groups
        self.n_strata = n_strata
        self.sizes = [n_strata * n for n in n_groups]
        self.is_single = len(n_groups) == 1 and n_strata == 1

    def split(self, values):
        """Return the parts of values (..., E, cells, C), one part for each sensitive feature.

        A part has the shape (..., S, E, G, C), or (..., E, G, C) if there is one stratum.
        """
        if self.is_single:
            return [values]
        parts = values.split(self.sizes, -2)
        if self.n_strata == 1:
            return list(parts)
        return [
            part.unflatten(-2, (self.n_strata, n)).transpose(-4, -3)
            for part, n in zip(parts, self.n_groups, strict=True)
        ]

    def join(self, parts):
        """Return the values (..., E, cells, C) of parts that `split` returned."""
        if self.is_single:
            return parts[0]
        if self.n_strata > 1:
            parts = [part.transpose(-4, -3).flatten(-3, -2) for part in parts]
        return torch.cat(parts, -2)


def stratum_weights(counts, how, n_needed=2):
    """Return the weight of each stratum (S,) in the loss, 0 for strata with too few groups.

    Parameters
    ----------
    counts : torch.Tensor of shape (S, E, G, 1)
        Number of samples of each stratum, event and group.

    how : {"size", "equal"}
        Whether the weights are proportional to the number of samples, or equal.

    n_needed : int, default=2
        Number of groups that a stratum needs.
    """
    size = counts.sum((-3, -2, -1))
    compared = ((counts > 0).sum(-2) >= n_needed).any(-2)[..., 0]
    weights = compared * (size if how == "size" else torch.ones_like(size))
    return weights / weights.sum().clamp(min=torch.finfo(counts.dtype).tiny)

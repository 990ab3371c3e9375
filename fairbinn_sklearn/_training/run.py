"""The state of one call of train, and its summary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .backprop import AutogradBackprop
from .dense import DenseBackprop


@dataclass
class TrainingRun:
    """State of one call of `TwoPlayerNet.train`, dropped when it ends.

    `rule` is the update rule, and `has_follower` is True if it has a fairness player.
    `player_params` caches the parameters of both players, to avoid a lookup in each batch. They are
    one flat parameter each if `is_flat` is True. `backprop` computes the logits and the gradients
    of both players. `first_lr` is the leader's first learning rate. If `is_continued` is True, the
    network was trained before, and the schedule steps after each batch. `largest_step` is the
    largest norm of the follower's steps in this epoch. A callback sets `stop` to end the training
    after this epoch.
    """

    rule: Callable | None = None
    has_follower: bool = False
    n_samples: int = 0
    epochs: int = 0
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    player_params: tuple | None = None
    is_flat: bool = False
    backprop: AutogradBackprop | DenseBackprop | None = None
    first_lr: float = 0.0
    is_continued: bool = False
    largest_step: torch.Tensor | None = None
    stop: bool = False
    interrupted: bool = False


@dataclass(frozen=True)
class RunSummary:
    """Summary of the last training.

    `fair` is True if the fairness loss was used, `n_samples` and `epochs` are its length,
    `interrupted` is True if the user ended it, and `is_continued` is True if the network was
    trained before.
    """

    fair: bool
    n_samples: int
    epochs: int
    interrupted: bool = False
    is_continued: bool = False

    @property
    def name_of_epochs(self):
        """Return the name of the parameter that sets the number of epochs."""
        return "epochs_per_point" if self.is_continued else "max_epochs"

    @property
    def longer(self):
        """Return the advice to train longer."""
        return f"train longer ({self.name_of_epochs}, now {self.epochs})"

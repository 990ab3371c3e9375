"""The state of one call of train, and its summary."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .._data.batches import samples_per_batch
from .._utils.torch_state import one_thread
from .backprop import AutogradBackprop
from .dense import DenseBackprop

SMALL_STEP = 10**8  # samples times parameters of a step; below it, more threads save little time


@dataclass
class TrainingRun:
    """State of one call of `TwoPlayerNet.train`, dropped when it ends.

    `fair_rule` is the update rule, and `has_follower` is True if it has a fairness player. `rule`
    is the rule of the current epoch: the first `accuracy_epochs` epochs train for accuracy alone,
    and the others use `fair_rule`. `player_params` caches the
    parameters of both players, to avoid a lookup in each batch. If `is_flat` is True, each player
    has one flat parameter. `backprop` computes the logits and the gradients of both players.
    `first_lr` is the leader's first learning rate. If `is_continued` is True, the network was
    trained before, and the schedule steps after each batch. `largest_step` is the largest norm of
    the follower's steps in this epoch. A callback sets `stop` to end the training after this epoch.
    """

    rule: Callable | None = None
    fair_rule: Callable | None = None
    has_follower: bool = False
    n_samples: int = 0
    epochs: int = 0
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    player_params: tuple | None = None
    is_flat: bool = False
    backprop: AutogradBackprop | DenseBackprop | None = None
    first_lr: float = 0.0
    accuracy_epochs: int = 0
    is_continued: bool = False
    largest_step: torch.Tensor | None = None
    stop: bool = False
    interrupted: bool = False


@dataclass(frozen=True)
class RunSummary:
    """Summary of the last training.

    `fair` is True if the fairness loss was used. `n_samples` and `epochs` are the numbers of
    samples and epochs. `interrupted` is True if the user ended the training, and `is_continued` is
    True if the network was trained before.
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


def limit_threads(net):
    """Return a context that limits torch to one thread if the steps of a network are small.

    Threads wait for each other after each operation. If the operations are short or other processes
    use the cores, they wait for longer than they compute. The work of a custom module cannot be
    estimated from its parameters, so its threads are not limited.
    """
    n_samples = net.run.n_samples
    n_params = sum(param.numel() for params in net.players() for param in params)
    work = min(samples_per_batch(net.options.batch_size, n_samples), n_samples) * n_params
    is_small = net.options.module is None and work < SMALL_STEP
    return one_thread() if is_small else contextlib.nullcontext()

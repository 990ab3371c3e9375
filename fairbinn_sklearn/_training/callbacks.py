"""Callbacks of the training: early stopping, the last epoch, scikit-learn's callbacks."""

import copy
import math
import time

import numpy as np
import torch
from skorch.callbacks import Callback

from .state import state_of

PRINTED = ("loss", "decision_difference", "score_difference", "fairness_loss", "objective")


class StopTraining(Exception):  # noqa: N818  (not an error)
    """Raised to end the training between two epochs."""


class ForwardToSklearn(Callback):
    """Report each epoch to the callbacks of the estimator, which may end the training.

    Parameters
    ----------
    estimator : FairBiNNClassifier
        The estimator in training.

    context : sklearn.callback.CallbackContext
        Its context of the call of `fit`.

    X, y : array-like
        Arguments of `fit`.

    fitted_attributes : callable
        Function of a network that returns the attributes of an estimator fitted with it.
    """

    def __init__(self, estimator, context, X, y, fitted_attributes):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y
        self.fitted_attributes = fitted_attributes

    def on_epoch_begin(self, net, **kwargs):
        """Open a task of the estimator's context."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net, **kwargs):
        """Close the task and pass on the model as if the training ended here."""
        net.run.stop |= self.epoch.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=lambda: self.fitted_attributes(copy.deepcopy(net)),
        )


class KeepLast(Callback):
    """Keep the state of the last complete epoch, which is restored after an interrupt."""

    def __init__(self):
        self.kept = None

    def on_epoch_end(self, net, **kwargs):
        """Keep the state."""
        self.kept = state_of(net)


class StopEarly(Callback):
    """Keep the weights of the lowest validation objective; stop when it no longer falls.

    As in scikit-learn's neural networks, an epoch counts as no improvement unless it lowers the
    objective by at least `tol`. Weights are kept for any decrease, however small.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without improvement after which to stop.

    tol : float
        Smallest improvement.
    """

    def __init__(self, n_iter_no_change, tol):
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol

    def on_train_begin(self, net, **kwargs):
        """Start without a best epoch."""
        self.lowest, self.weights, self.n_no_improvement = math.inf, None, 0

    def state(self):
        """Return the state on which later epochs depend."""
        names = ("lowest", "weights", "n_no_improvement")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state):
        """Load a state that `state` returned."""
        vars(self).update(state)

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best one, after the epochs that train for accuracy alone."""
        if len(net.history) <= net.run.accuracy_epochs:
            return
        objective = net.history[-1, "validation_objective"]
        improved = objective <= self.lowest - self.tol
        self.n_no_improvement = 0 if improved else self.n_no_improvement + 1
        if objective < self.lowest:
            self.lowest = objective
            self.weights = copy.deepcopy(net.module_.state_dict())
        net.run.stop |= self.n_no_improvement >= self.n_iter_no_change

    def on_train_end(self, net, **kwargs):
        """Restore the weights of the best epoch."""
        net.module_.load_state_dict(self.weights)


class PrintEpochs(Callback):
    """Print one line per epoch; for networks side by side, it contains the range of each value."""

    def on_epoch_begin(self, net, **kwargs):
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        """Print losses and differences, then the validation values, eta and the time."""
        record = net.history[-1]
        names = [prefix + name for prefix in ("", "validation_") for name in PRINTED]
        values = {name: record[name] for name in names if name in record}
        if "fairness_loss" in record:
            values["eta"] = net.weight()
        values["seconds"] = time.perf_counter() - self.start
        print(
            f"epoch {record['epoch']}:",
            ", ".join(f"{name} {_as_range(value)}" for name, value in values.items()),
            flush=True,
        )


def _as_range(value):
    """Return a number as text, or the lowest and the highest of several numbers."""
    numbers = np.ravel(value.tolist() if isinstance(value, torch.Tensor) else value).tolist()
    return " to ".join(f"{number:.4g}" for number in sorted({min(numbers), max(numbers)}))

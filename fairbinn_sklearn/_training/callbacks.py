"""Callbacks of the training: stop early, keep the last epoch, report to scikit-learn."""

import copy
import math

from skorch.callbacks import Callback

from .state import state_of


class ForwardToSklearn(Callback):
    """Tell each epoch to the callbacks of the estimator; one of them may end the training."""

    def __init__(self, estimator, context, X, y):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y

    def on_epoch_begin(self, net, **kwargs):
        """Open a task of the estimator's context."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def on_epoch_end(self, net, **kwargs):
        """Close the task, offering the model as if training ended here."""
        net.stop |= self.epoch.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=lambda: {"net_": copy.deepcopy(net)},
        )


class StopTraining(Exception):
    """Ends training between two epochs; not an error."""


class KeepLast(Callback):
    """Keep the state of the last epoch that was finished, for an interrupt to go back to."""

    def __init__(self):
        self.kept = None

    def on_epoch_end(self, net, **kwargs):
        """Keep the state."""
        self.kept = state_of(net)


class StopEarly(Callback):
    """Keep the weights of the lowest validation objective, and stop when it no longer falls.

    Patience counts as in scikit-learn's nets: an epoch is in vain unless it lowers the objective
    by `tol` at least; the best weights are those of the lowest objective, by however little.
    """

    def __init__(self, n_iter_no_change, tol):
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol

    def on_train_begin(self, net, **kwargs):
        """Start without a best epoch."""
        self.lowest, self.weights, self.in_vain = math.inf, None, 0

    def state(self):
        """What later epochs depend on."""
        return {"lowest": self.lowest, "weights": self.weights, "in_vain": self.in_vain}

    def set_state(self, state):
        """Go on from there."""
        vars(self).update(state)

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best one."""
        objective = net.history[-1, "validation_objective"]
        self.in_vain = self.in_vain + 1 if objective > self.lowest - self.tol else 0
        if objective < self.lowest:
            self.lowest = objective
            self.weights = copy.deepcopy(net.module_.state_dict())
        net.stop |= self.in_vain >= self.n_iter_no_change

    def on_train_end(self, net, **kwargs):
        """Go back to the best epoch."""
        net.module_.load_state_dict(self.weights)


class PrintRanges(Callback):
    """One line an epoch: the lowest and the highest figure of all models."""

    def on_epoch_end(self, net, **kwargs):
        """Print the figures of the epoch."""
        record = net.history[-1]
        figures = {key: v for key, v in record.items() if key != "batches" and isinstance(v, list)}
        told = [f"{key} {min(v):.4f} to {max(v):.4f}" for key, v in figures.items()]
        print(f"epoch {record['epoch']}: {', '.join(told)}", flush=True)

"""The skorch net behind the estimator: two players, and epochs without per-batch records."""

import copy
import math

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from ._batches import Batches
from ._rules import METHODS, accuracy_only

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def cosine(progress):
    """Learning rate factor from 1 to 0 along half a cosine."""
    return (1.0 + math.cos(math.pi * progress)) / 2.0


def constant(progress):
    """Learning rate factor 1 throughout."""
    return 1.0


SCHEDULES = {"cosine": cosine, "constant": constant}


class TwoPlayerNet(NeuralNet):
    """skorch net whose training step is one round of the leader and the follower."""

    def __init__(
        self,
        module,
        criterion,
        *,
        method,
        eta,
        fairness_optimizer,
        fairness_lr,
        fairness_max_step,
        rng,
        fixed,
        **kwargs,
    ):
        self.method = method
        self.eta = eta
        self.fairness_optimizer = fairness_optimizer
        self.fairness_lr = fairness_lr
        self.fairness_max_step = fairness_max_step
        self.rng = rng
        self.fixed = fixed
        super().__init__(module, criterion, **kwargs)

    def initialize_optimizer(self):
        """One optimizer a player; the leader's knows all parameters, for rules without follower."""
        super().initialize_optimizer()
        self.fairness_optimizer_ = self.fairness_optimizer(
            self.module_.fairness_parameters(), lr=self.fairness_lr
        )
        return self

    def get_iterator(self, dataset, training=False):
        """Batches of the rows: shuffled to train, in order to validate."""
        return Batches(dataset, self.batch_size, self.rng if training else None)

    def train(self, rows, validation=None, *, epochs, schedule, fair, callbacks=()):
        """Train `epochs` more epochs; `fair` says whether the fairness loss takes part."""
        self.rule = METHODS[self.method] if fair else accuracy_only
        self.schedule, self.epochs, self.stop = SCHEDULES[schedule], epochs, False
        self.callbacks_ = [(type(callback).__name__, callback) for callback in callbacks]
        self.train_split = None if validation is None else predefined_split(validation)
        try:
            for callback in callbacks:
                callback.initialize()
            self.notify("on_train_begin", X=rows)
            try:
                self.fit_loop(rows, epochs=epochs)
            except StopTraining:
                pass
            self.notify("on_train_end", X=rows)
        finally:
            self.callbacks_, self.train_split = [], None
        return self

    def __getstate__(self):
        """State without what belongs to one training only: callbacks and validation rows."""
        return {**super().__getstate__(), "callbacks_": [], "train_split": None}

    def on_epoch_begin(self, net, **kwargs):
        """Set both players' learning rates by one schedule, unless a callback asked to stop.

        If only the leader's rate decays, the follower wins in the end and the net collapses to
        the majority class.
        """
        if self.stop:
            raise StopTraining
        factor = self.schedule(len(self.history) / self.epochs)
        for optimizer, lr in (
            (self.optimizer_, self.lr),
            (self.fairness_optimizer_, self.fairness_lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = factor * lr
        super().on_epoch_begin(net, **kwargs)

    def losses(self, batch):
        """Accuracy loss and eta times the fairness loss of a batch, from one forward pass."""
        X, y, groups, weight = batch
        logits = self.module_(X)
        accuracy_loss = self.criterion_.accuracy_loss(logits, y, weight)
        return accuracy_loss, self.eta * self.criterion_.fairness_loss(logits, y, groups)

    def train_step(self, batch, **fit_params):
        """One round of the update rule; the loss is the leader's, before the step."""
        return {"loss": self.rule(self, batch).detach()}

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass over the rows; figures stay on the device and are read once, at its end."""
        if iterator is None:
            return
        self._set_training(training)
        total, n_rows = 0.0, len(iterator.rows)
        if training:
            for batch in iterator:
                total += step_fn(batch)["loss"] * len(batch[1])
            self._record("", float(total) / n_rows, iterator.rows, self.criterion_)
        else:
            criterion = self.criterion_.fresh()
            for batch in iterator:
                total += self._observe(criterion, batch) * len(batch[1])
            self._record("validation_", float(total) / n_rows, iterator.rows, criterion)

    @torch.no_grad()
    def _observe(self, criterion, batch):
        X, y, groups, weight = batch
        logits = self.module_(X)
        if groups is not None:
            criterion.observe(logits, y, groups)
        return criterion.accuracy_loss(logits, y, weight)

    def _record(self, prefix, loss, rows, criterion):
        record = {"loss": loss}
        if rows.groups is not None:
            record |= criterion.summary()
        record["objective"] = loss + self.eta * record.get("fairness_loss", 0.0)
        weights_finite = all(bool(p.isfinite().all()) for p in self.module_.parameters())
        if not (weights_finite and all(map(math.isfinite, record.values()))):
            raise ValueError(
                f"Training diverged in epoch {len(self.history)}: the loss is {loss} and the "
                f"weights are {'finite' if weights_finite else 'not finite'}. Lower lr (now "
                f"{self.lr}), fairness_lr (now {self.fairness_lr}) or eta (now {self.eta}), or "
                "scale the columns of X."
            )
        for key, value in record.items():
            self.history.record(prefix + key, value)


class StopTraining(Exception):
    """Ends training between two epochs; not an error."""


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

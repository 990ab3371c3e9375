"""The skorch net behind the estimator: two players, and epochs without per-batch records."""

import contextlib
import copy
import math
import warnings

import numpy as np
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split

from .._data.batches import Batches, endless, rows_of_a_batch
from .callbacks import KeepLast, StopTraining
from .module import players
from .state import restore
from .update_rules import METHODS, accuracy_only, bounded_step, broadcast


class TwoPlayerNet(NeuralNet):
    """skorch net whose training step is one round of the leader and the follower.

    `input_shape` is that of a row. `random` says that the module may draw random numbers while it
    trains. `fixed` holds the parameters that `partial_fit` cannot change, `changed` the others.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        method,
        eta,
        target,
        n_unroll_steps,
        fairness_modules,
        fairness_optimizer,
        fairness_lr,
        fairness_max_step,
        fairness_batch_size,
        input_shape,
        rng,
        random,
        fixed,
        changed,
        **kwargs,
    ):
        self.method = method
        self.eta = eta
        self.target = target
        self.n_unroll_steps = n_unroll_steps
        self.fairness_modules = fairness_modules
        self.fairness_optimizer = fairness_optimizer
        self.fairness_lr = fairness_lr
        self.fairness_max_step = fairness_max_step
        self.fairness_batch_size = fairness_batch_size
        self.input_shape = input_shape
        self.rng = rng
        self.random = random
        self.fixed = fixed
        self.changed = changed
        self.owned = None
        self.processes = None
        self.model_axes = 0  # axes of models in front of those of a parameter
        super().__init__(module, criterion, **kwargs)

    def initialize_optimizer(self):
        """One optimizer a player; the leader's knows all parameters, for rules without follower."""
        super().initialize_optimizer()
        self.fairness_optimizer_ = self.fairness_optimizer(self.players()[1], lr=self.fairness_lr)
        return self

    def players(self):
        """The leader's parameters and the follower's, as two lists."""
        if self.owned is not None:
            return self.owned
        return tuple(list(one.values()) for one in players(self.module_, self.fairness_modules))

    def follower_names(self):
        """Names of the follower's parameters in the module."""
        return list(players(self.module_, self.fairness_modules)[1])

    def leader_lr(self):
        """The leader's learning rate of this epoch."""
        return self.optimizer_.param_groups[0]["lr"]

    def follower_lr(self):
        """The follower's learning rate of this epoch."""
        return self.fairness_optimizer_.param_groups[0]["lr"]

    def get_iterator(self, dataset, training=False):
        """Batches of the rows: shuffled to train, in order to validate."""
        # of the same size in both, so that figures of a batch can be compared
        batch_size = rows_of_a_batch(self.batch_size, self.n_rows)
        return self._batches(dataset, batch_size, self.rng if training else None)

    def _batches(self, rows, batch_size, rng):
        criterion = self.criterion_
        row_size = math.prod(self.input_shape)
        if rows.groups is not None:
            row_size += criterion.n_events * sum(criterion.n_groups)
        # All processes validate on all rows.
        processes = None if rng is None else self.processes
        return Batches(rows, batch_size, rng, criterion.prepare, row_size, processes)

    def train(self, rows, validation=None, *, epochs, schedule, fair, callbacks=(), state=None):
        """Train `epochs` more epochs; `fair` says whether the fairness loss takes part.

        With the `state` of an interrupted training only those that it lacks.
        """
        self.rule = METHODS[self.method] if fair else accuracy_only
        self.follows = fair and self.method != "lagrangian"
        self.epochs, self.stop, self.n_rows = epochs, False, len(rows)
        self.callbacks_ = [(type(callback).__name__, callback) for callback in callbacks]
        self.train_split = None if validation is None else predefined_split(validation)
        self.fair_batches = None
        self.fair_rows = rows if fair and self.fairness_batch_size is not None else None
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr
        self.scheduler = schedule(self.optimizer_, epochs)
        self.owned = self.players()
        self.criterion_.target = self.target if fair else None
        self.processes = self.criterion_.processes = rows.processes
        try:
            for callback in callbacks:
                callback.initialize()
            with self._randomness(), contextlib.suppress(StopTraining), _single_rows_told():
                self.notify("on_train_begin", X=rows)
                if state is not None:
                    restore(self, state)
                    epochs -= len(self.history)
                self._loop(rows, epochs)
            self.notify("on_train_end", X=rows)
            self.eta = _plain(self.eta)
        finally:
            vars(self).update(self._AFTER_TRAINING)
            self.criterion_.processes = None
        return self

    def _loop(self, rows, epochs):
        """Epochs one after another; where the last one is kept, an interrupt ends them there."""
        self.interrupted = False
        try:
            self.fit_loop(rows, epochs=epochs)
        except KeyboardInterrupt:
            kept = [one.kept for _, one in self.callbacks_ if isinstance(one, KeepLast)]
            if not any(kept):
                raise
            restore(self, kept[0])
            self.interrupted = True
            warnings.warn(
                f"Training was interrupted in epoch {len(self.history) + 1} of {self.epochs}; the "
                f"model is that of epoch {len(self.history)}.",
                UserWarning,
                stacklevel=2,
            )

    # What belongs to one training only: callbacks, validation rows, iterators, the schedule, and
    # the parameters of both players, which need not be looked up for each batch.
    _AFTER_TRAINING = {
        "callbacks_": [],
        "train_split": None,
        "fair_rows": None,
        "fair_batches": None,
        "scheduler": None,
        "largest_step": None,
        "owned": None,
        "processes": None,
    }

    def __getstate__(self):
        """State without what belongs to one training only."""
        return {**super().__getstate__(), **self._AFTER_TRAINING}

    def __deepcopy__(self, memo):
        """Copy without pickling, so that criteria and modules may be defined anywhere."""
        memo[id(self)] = copied = type(self).__new__(type(self))
        vars(copied).update(copy.deepcopy({**vars(self), **self._AFTER_TRAINING}, memo))
        return copied

    @contextlib.contextmanager
    def in_precision_of(self, rows):
        """Train in the arithmetic of the rows; weights and optimizers end in float32."""
        if rows.dtype == torch.float32:
            yield
            return
        self._cast(rows.dtype)
        yield
        self._cast(torch.float32)

    def _cast(self, dtype):
        for part in (self.module_, self.criterion_):
            part.to(dtype)
        for optimizer in (self.optimizer_, self.fairness_optimizer_):
            optimizer.load_state_dict(optimizer.state_dict())  # to the type of the weights

    def _randomness(self):
        """Random numbers for a module that draws some."""
        if not self.random:
            return contextlib.nullcontext()
        (seed,) = self.rng.bit_generator.seed_seq.spawn(1)[0].generate_state(1)
        return seeded(int(seed), torch.device(self.device))

    def on_epoch_begin(self, net, **kwargs):
        """Stop if a callback asked to; set what depends on the epoch."""
        if self.stop:
            raise StopTraining
        # By one schedule: if only the leader's rate decays, the follower wins in the end and the
        # net collapses to the majority class.
        for group in self.fairness_optimizer_.param_groups:
            group["lr"] = self.fairness_lr * self.leader_lr() / self.lr
        if self.fair_rows is not None:
            size = self.fairness_batch_size
            self.fair_batches = endless(self._batches(self.fair_rows, size, self.rng))
        last = self.epochs - 1
        self.criterion_.decided = len(self.history) / last if last else 1.0
        # What a target leads to slows down too: later there is nothing left to follow it.
        self.criterion_.pace = min(self.leader_lr() / self.lr, 1.0)
        self.largest_step = torch.zeros((), device=self.device)
        super().on_epoch_begin(net, **kwargs)

    def on_epoch_end(self, net, **kwargs):
        """Move the leader's learning rate on; the follower's goes with it."""
        super().on_epoch_end(net, **kwargs)
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            record = self.history[-1]
            self.scheduler.step(record.get("validation_objective", record["objective"]))
        else:
            self.scheduler.step()

    def fairness_batch(self, batch):
        """Batch for the fairness loss: one of its own if it has a batch size of its own."""
        return batch if self.fair_batches is None else next(self.fair_batches)

    def fairness_slopes(self, batch):
        """Logits where the net stands, and slopes of eta times the fairness loss in them."""
        batch = self.fairness_batch(batch)
        logits = self.module_(batch.X)
        return logits, self._weighted(self.criterion_.fairness(logits, batch))

    def slopes(self, batch):
        """Accuracy loss, and logits and slopes of both losses, from one forward pass if it can."""
        logits = self.module_(batch.X)
        loss, to_accuracy = self.criterion_.accuracy(logits, batch)
        if self.fair_batches is not None:
            return loss, (logits, to_accuracy), self.fairness_slopes(batch)
        to_fairness = self._weighted(self.criterion_.fairness(logits, batch))
        return loss, (logits, to_accuracy), (logits, to_fairness)

    def _weighted(self, slopes):
        eta = self.eta  # a number, or one for each model
        return (broadcast(eta, slopes) if isinstance(eta, torch.Tensor) else eta) * slopes

    def gradient(self, pairs, parameters, retain_graph=False):
        """Gradient in the parameters of what has the given slopes in the logits.

        `pairs` of logits and slopes, one for each forward pass. Several processes add up theirs.
        """
        logits, slopes = zip(*pairs, strict=True)
        alone = self.processes is None
        found = torch.autograd.grad(
            *(logits, parameters, slopes),
            retain_graph=retain_graph,
            allow_unused=True,
            materialize_grads=not alone,
        )
        return found if alone else self.processes.sum(*found)

    def follow(self, follower, gradient):
        """The follower's bounded step."""
        norm = bounded_step(
            self.fairness_optimizer_, follower, gradient, self.fairness_max_step, self.model_axes
        )
        self.largest_step = torch.maximum(self.largest_step, norm)

    def train_step(self, batch, **fit_params):
        """One round of the update rule; the loss is the leader's, before the step."""
        return {"loss": self.rule(self, batch)}

    def weight(self):
        """Weight of the fairness loss: eta, or the one that a target has led to."""
        return self.eta if self.target is None else self.criterion_.weight(self.target)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass over the rows; figures stay on the device and are read once, at its end."""
        if iterator is None:
            return
        self._set_training(training)
        total = 0.0
        if training:
            for batch in iterator:
                total += step_fn(batch)["loss"] * batch.n_rows
            if self.processes is not None:
                (total,) = self.processes.sum(total)
            self._record("", total, iterator.rows, self.criterion_)
            self.history.record("lr", self.leader_lr())
            if self.follows:
                self.history.record("fairness_step", self.largest_step.tolist())
        else:
            criterion = self.criterion_.fresh()
            for batch in iterator:
                total += self._observe(criterion, batch) * batch.n_rows
            self._record("validation_", total, iterator.rows, criterion)

    @torch.no_grad()
    def _observe(self, criterion, batch):
        logits = self.module_(batch.X)
        if batch.groups is not None:
            criterion.observe(logits, batch)
        return criterion.accuracy(logits, batch)[0]

    def _record(self, prefix, total, rows, criterion):
        """Record figures of an epoch: numbers, or lists of one for each model."""
        eta = _plain(self.weight())
        record = {"loss": np.divide(total.tolist(), len(rows)).tolist()}
        if rows.groups is not None:
            record |= criterion.summary()
        fairness_loss = record.get("fairness_loss", 0.0)
        record["objective"] = (record["loss"] + np.multiply(eta, fairness_loss)).tolist()
        weights_finite = all(bool(p.isfinite().all()) for p in self.module_.parameters())
        figures = [record["loss"]] if self.rule is accuracy_only else record.values()
        if not (weights_finite and all(np.isfinite(value).all() for value in figures)):
            raise ValueError(
                f"Training diverged in epoch {len(self.history)}: the loss is {record['loss']}, "
                f"the fairness loss {fairness_loss} and the weights are "
                f"{'finite' if weights_finite else 'not finite'}. Lower lr (now {self.lr}), "
                f"fairness_lr (now {self.fairness_lr}) or eta (now {eta}), or scale the columns of "
                "X; a function as constraint must be finite if a batch lacks a group."
            )
        if self.target is not None and not prefix:
            record["eta"] = eta
        for key, value in record.items():
            self.history.record(prefix + key, value)


def _plain(value):
    """Number or list of numbers behind a tensor; a number as it is."""
    return value.tolist() if isinstance(value, torch.Tensor) else value


@contextlib.contextmanager
def seeded(seed, device):
    """Random numbers of torch from a seed; the global state is as before afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _single_rows_told():
    """Say in our words what batch normalisation says of a batch of one row."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "module normalises batches and got one of a single row: raise batch_size or "
            f"fairness_batch_size, or pass more rows. {error}"
        ) from error

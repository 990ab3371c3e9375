"""The skorch network of the estimator: two players and their epochs."""

import contextlib
import copy
import math
import warnings

import numpy as np
import torch
from skorch import NeuralNet
from skorch.helper import predefined_split

from .._data.batches import Batches, samples_per_batch
from .backprop import AutogradBackprop
from .callbacks import KeepLast, StopTraining
from .dense import ACTIVATIONS, DenseBackprop
from .flat import flatten, unflatten
from .module import players
from .resolve import OPTIMIZERS
from .run import RunSummary, TrainingRun, limit_threads
from .state import restore
from .thresholds import threshold_at_rate
from .update_rules import METHODS, accuracy_only, bounded_step, broadcast

EVALUATION_SIZE = 4096  # samples at a time without gradients
DECISION_SPEEDUP = 2.0  # decisions count fully after half of the epochs (target, several events)


class TwoPlayerNet(NeuralNet):
    """skorch network whose training step is one round of the leader and the follower.

    It is internal: training starts by `train`, and skorch's `fit` and `predict` are not used.

    Parameters
    ----------
    module, criterion : torch.nn.Module class or callable
        Class or factory of the module, and of the criterion.

    options : TrainingOptions
        Options of the training.

    fairness_modules : tuple of str
        Names of the follower's submodules; empty if methods of the module define the players.

    fairness_optimizer : callable
        Factory of the follower's optimizer.

    input_shape : tuple
        Shape of a sample.

    rng : numpy.random.Generator
        Draws the batches.

    Attributes
    ----------
    run : TrainingRun or None
        State of the training in progress.

    last_run : RunSummary or None
        Summary of the last training.

    model_axes : int
        Number of leading axes of networks of each parameter: 1 if networks are trained side by
        side, otherwise 0.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        options,
        fairness_modules,
        fairness_optimizer,
        input_shape,
        rng,
        **kwargs,
    ):
        self.options = options
        self.fairness_modules = fairness_modules
        self.fairness_optimizer = fairness_optimizer
        self.input_shape = input_shape
        self.rng = rng
        self.run = None
        self.last_run = None
        self.model_axes = 0
        super().__init__(module, criterion, **kwargs)

    def initialize_optimizer(self):
        """Build both optimizers; the leader's has all parameters, for rules without a follower."""
        super().initialize_optimizer()
        self.fairness_optimizer_ = self.fairness_optimizer(
            self.players()[1], lr=self.options.fairness_lr
        )
        return self

    def players(self):
        """Return the leader's parameters and the follower's, as two lists."""
        if self.run is not None and self.run.player_params is not None:
            return self.run.player_params
        named = players(self.module_, self.fairness_modules)
        return tuple(list(params.values()) for params in named)

    def follower_names(self):
        """Return the names of the follower's parameters in the module."""
        return list(players(self.module_, self.fairness_modules)[1])

    def leader_lr(self):
        """Return the leader's learning rate of this epoch."""
        return self.optimizer_.param_groups[0]["lr"]

    def follower_lr(self):
        """Return the follower's learning rate of this epoch."""
        return self.fairness_optimizer_.param_groups[0]["lr"]

    def get_iterator(self, dataset, training=False):
        """Return batches of the samples: shuffled for training, in order for validation."""
        # The size is the same in both, so that losses per batch can be compared.
        batch_size = samples_per_batch(self.options.batch_size, self.run.n_samples)
        criterion = self.criterion_
        sample_size = math.prod(self.input_shape)
        if dataset.groups is not None:
            sample_size += (criterion.n_events + 1) * sum(criterion.n_cells)
        # All processes validate on all samples.
        rng, processes = (self.rng, dataset.processes) if training else (None, None)
        return Batches(dataset, batch_size, rng, criterion.prepare, sample_size, processes)

    def train(
        self,
        samples,
        validation=None,
        *,
        epochs,
        schedule,
        fair,
        callbacks=(),
        state=None,
        lr_scale=1.0,
        is_continued=False,
        accuracy_epochs=0,
    ):
        """Train for some epochs.

        Parameters
        ----------
        samples, validation : Samples, Samples or None
            Samples for training and for the validation loss.

        epochs : int
            Number of epochs; with `state`, including the epochs of the interrupted training.

        schedule : callable
            Function of an optimizer and a number of epochs that builds a scheduler.

        fair : bool
            Whether to train with the fairness loss.

        callbacks : sequence of skorch.callbacks.Callback, default=()
            Callbacks.

        state : dict, default=None
            State of an interrupted training to resume from.

        lr_scale : float, default=1.0
            Factor of the learning rates of both players.

        is_continued : bool, default=False
            Whether the network was trained before. If True, the schedule steps after each batch
            instead of each epoch, and decisions are equalised from the first epoch.

        accuracy_epochs : int, default=0
            Number of epochs before the fairness loss is used.
        """
        options = self.options
        self.callbacks_ = [(type(callback).__name__, callback) for callback in callbacks]
        self.train_split = None if validation is None else predefined_split(validation)
        for group in self.optimizer_.param_groups:
            group["lr"] = options.lr * lr_scale
        self.run = TrainingRun(
            fair_rule=METHODS[options.method] if fair else accuracy_only,
            has_follower=fair and options.method != "lagrangian",
            n_samples=len(samples),
            epochs=epochs,
            scheduler=schedule(self.optimizer_, epochs),
            player_params=self.players(),
            first_lr=options.lr * lr_scale,
            is_continued=is_continued,
            accuracy_epochs=accuracy_epochs,
        )
        self.criterion_.target = options.fairness_target if fair else None
        self.criterion_.processes = samples.processes
        try:
            for callback in callbacks:
                callback.initialize()
            with (
                self._precision(samples.dtype),
                self._random_numbers(),
                _batch_norm_advice(),
                self._backprop(),
                limit_threads(self),
            ):
                self.notify("on_train_begin", X=samples)
                if state is not None:
                    restore(self, state)
                    epochs -= len(self.history)
                self._loop(samples, epochs)
                self.notify("on_train_end", X=samples)
                self._keep_rate(samples)
            run = self.run
            self.last_run = RunSummary(
                fair, len(samples), run.epochs, run.interrupted, run.is_continued
            )
        finally:
            vars(self).update(self._idle_state())
            self.criterion_.processes = None
        return self

    def _loop(self, samples, epochs):
        """Run the epochs; an interrupt ends them after the last one that a callback has kept."""
        try:
            with contextlib.suppress(StopTraining):
                self.fit_loop(samples, epochs=epochs)
        except KeyboardInterrupt:
            kept = [c.kept for _, c in self.callbacks_ if isinstance(c, KeepLast) and c.kept]
            if not kept:
                raise
            restore(self, kept[0])
            self.run.interrupted = True
            warnings.warn(
                f"Training was interrupted in epoch {len(self.history) + 1} of {self.run.epochs}; "
                f"the model is that of epoch {len(self.history)}.",
                UserWarning,
                stacklevel=2,
            )

    def _idle_state(self):
        """Return the attributes that only a running training uses, with their idle values."""
        return {"run": None, "callbacks_": [], "train_split": None}

    def __getstate__(self):
        """Return the state without a running training."""
        return {**super().__getstate__(), **self._idle_state()}

    def __deepcopy__(self, memo):
        """Copy without pickling, so that criteria and modules need not be importable."""
        memo[id(self)] = copied = type(self).__new__(type(self))
        vars(copied).update(copy.deepcopy({**vars(self), **self._idle_state()}, memo))
        if self.run is not None and self.run.is_flat:
            unflatten(copied)
        return copied

    @contextlib.contextmanager
    def _precision(self, dtype):
        """Train in a floating-point type; parameters and optimizer states end in float32."""
        if dtype == torch.float32:
            yield
            return
        self._cast(dtype)
        yield
        self._cast(torch.float32)

    def _cast(self, dtype):
        for part in (self.module_, self.criterion_):
            part.to(dtype)
        for optimizer in (self.optimizer_, self.fairness_optimizer_):
            optimizer.load_state_dict(optimizer.state_dict())  # casts to the parameters' type

    def _random_numbers(self):
        """Seed torch for a module that draws random numbers."""
        if not self.options.draws_random_numbers:
            return contextlib.nullcontext()
        (seed,) = self.rng.bit_generator.seed_seq.spawn(1)[0].generate_state(1)
        return seeded(int(seed), torch.device(self.device))

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Stop if a callback requested it; set the values that depend on the epoch."""
        run = self.run
        if run.stop:
            raise StopTraining
        n_fair = len(self.history) - run.accuracy_epochs  # previous epochs with the fairness loss
        run.rule = accuracy_only if n_fair < 0 else run.fair_rule
        last = run.epochs - 1 - run.accuracy_epochs
        progress = max(n_fair, 0) / last if last > 0 else 0.0
        # The mean scores of a group say little about the level of its decisions.
        of_level = self.options.has_rates and self.options.constraint.measures_level
        is_last = run.is_continued or not last or of_level
        # Change to decisions earlier under a target with several events, because their rates can
        # agree for scores and differ for decisions, and the multipliers need time to correct this.
        is_early = self.options.fairness_target is not None and self.criterion_.n_events > 1
        decision_weight = min(progress * (DECISION_SPEEDUP if is_early else 1.0), 1.0)
        self.criterion_.decision_weight = 1.0 if is_last else decision_weight
        # Increase the slope slowly, because a steep slope from the first epoch can end in one
        # predicted class. A point of a path keeps slope 1, because it has too few epochs.
        self.criterion_.steepness = 0.0 if run.is_continued else progress
        self._follow_leader_lr()
        if run.fair_rule is not accuracy_only:
            self._keep_rate(dataset_train)
        if run.rule is not accuracy_only and self.options.target_samples == "validation":
            measured = [self._measured_on(part) for part in (dataset_train, dataset_valid)]
            self.criterion_.update_offsets(*measured)
        run.largest_step = torch.zeros((), device=self.device)
        datasets = {"dataset_train": dataset_train, "dataset_valid": dataset_valid}
        super().on_epoch_begin(net, **datasets, **kwargs)

    @torch.no_grad()
    def _keep_rate(self, samples):
        """Set the threshold of "rate": as many positive predictions as positive labels."""
        if self.options.threshold != "rate":
            return
        self._set_training(False)
        logits = [self.module_(batch.X)[..., 0] for batch in Batches(samples, EVALUATION_SIZE)]
        logits = torch.cat(logits, -1).cpu().double().numpy()
        weight = np.ones(len(samples))
        if samples.sample_weight is not None:
            weight = samples.sample_weight.cpu().double().numpy()
        rate = np.average(samples.y.cpu(), weights=weight)
        found = np.apply_along_axis(threshold_at_rate, -1, logits, weight, rate)
        threshold = torch.as_tensor(found, dtype=torch.float32)
        self.criterion_.logit_threshold.copy_(threshold)

    def on_epoch_end(self, net, **kwargs):
        """Update the learning rates."""
        super().on_epoch_end(net, **kwargs)
        scheduler = self.run.scheduler
        if self.run.is_continued:
            return
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            record = self.history[-1]
            scheduler.step(record.get("validation_objective", record["objective"]))
        else:
            scheduler.step()

    def _follow_leader_lr(self):
        """Scale the follower's learning rate and multiplier updates with the leader's rate."""
        options, lr = self.options, self.leader_lr()
        # Both players share one schedule. If only the leader's rate decayed, the follower would
        # dominate late in training and the network would predict the majority class only.
        for group in self.fairness_optimizer_.param_groups:
            group["lr"] = options.fairness_lr * lr / options.lr
        # Scale multiplier updates with the learning rate, because near rate 0 the network can no
        # longer react to them.
        self.criterion_.multiplier_lr_scale = min(lr / self.run.first_lr, 1.0)

    def fairness_grad(self, logits, batch, scores=None):
        """Return the gradient of eta times the fairness loss in the logits."""
        grad = self.criterion_.fairness_grad(logits, batch, scores)
        eta = self.options.eta  # a number, or one per network
        return (broadcast(eta, grad) if isinstance(eta, torch.Tensor) else eta) * grad

    def logits(self, X):
        """Return the logits of a batch, and keep the intermediate values for `param_grads`."""
        return self.run.backprop.forward(X)

    def loss_grads(self, batch):
        """Return the accuracy loss, and the gradients of both losses in the logits."""
        logits = self.logits(batch.X)
        scores = self.criterion_.scores(logits)
        loss, accuracy_grad = self.criterion_.accuracy_loss(logits, batch, scores)
        return loss, accuracy_grad, self.fairness_grad(logits, batch, scores)

    def param_grads(self, leader_grad, follower_grad):
        """Return the gradients of each player's loss in its parameters, as two lists.

        `leader_grad` and `follower_grad` are the gradients of these losses in the logits, None for
        a player that does not step. With several processes, the gradients of all processes are
        added.
        """
        gradients = self.run.backprop.backward(leader_grad, follower_grad)
        processes = self.criterion_.processes
        if processes is None:
            return gradients
        summed = processes.sum(*gradients[0], *gradients[1])
        n_leader = len(gradients[0])
        return summed[:n_leader], summed[n_leader:]

    @property
    def is_dense(self):
        """Whether hand-written gradients are used: for the default module with named optimizers.

        Method "unrolled" needs second derivatives, and therefore automatic differentiation.
        """
        options = self.options
        optimizers = {options.optimizer, options.fairness_optimizer}
        return (
            options.module is None
            and options.method != "unrolled"
            and options.activation in ACTIVATIONS
            and optimizers <= set(OPTIMIZERS.values())
            and not self.model_axes
            and torch.device(self.device).type != "mps"
            and all(param.requires_grad for param in self.module_.parameters())
        )

    @contextlib.contextmanager
    def _backprop(self):
        """Return a context that sets the forward and backward pass of the run."""
        if not self.is_dense:
            params = self.players()
            self.run.backprop = AutogradBackprop(self.module_, params, self.criterion_.processes)
            yield
            return
        self.run.player_params = flatten(self)
        self.run.is_flat = True
        self.run.backprop = DenseBackprop(
            self.module_, self.options.activation, self.run.player_params
        )
        try:
            yield
        finally:
            unflatten(self)

    @contextlib.contextmanager
    def _inference_mode(self):
        """Return a context without autograd's records, if training does not need them.

        It saves a tenth of the time of a step on 256 samples.
        """
        criterion = self.criterion_
        needs_autograd = criterion.needs_autograd or criterion.processes is not None
        try:
            with torch.inference_mode(self.run.is_flat and not needs_autograd):
                yield
        finally:
            for name, buffer in criterion.named_buffers():
                if buffer.is_inference():  # could not be changed in place later
                    setattr(criterion, name, buffer.clone())

    def step_follower(self, params, gradient):
        """Take the follower's bounded step and keep its norm if it is the largest."""
        max_step = self.options.fairness_max_step
        norm = bounded_step(self.fairness_optimizer_, params, gradient, max_step, self.model_axes)
        self.run.largest_step = torch.maximum(self.run.largest_step, norm)

    def train_step(self, batch, **fit_params):
        """Take one round of the update rule; the loss is the leader's, before the step."""
        loss = self.run.rule(self, batch)
        if self.run.is_continued:
            self.run.scheduler.step()
            self._follow_leader_lr()
        return {"loss": loss}

    def weight(self):
        """Return the weight of the fairness loss: eta, or the weight found under a target."""
        target = self.options.fairness_target
        return self.options.eta if target is None else self.criterion_.weight(target)

    def criterion_on(self, samples):
        """Return a criterion with the rates of all samples at the final weights.

        For a function as constraint, return the criterion of the training, because the values of
        the function depend on the batches.
        """
        if not self.options.has_rates:
            return self.criterion_
        with self._precision(samples.dtype):
            return self._measured_on(samples)

    @torch.no_grad()
    def _measured_on(self, samples):
        """Return a criterion with the rates of all samples at the present weights."""
        self._set_training(False)
        criterion = self.criterion_.empty_copy()
        for batch in Batches(samples, EVALUATION_SIZE, prepare=criterion.prepare):
            criterion.update_rates(self.module_(batch.X), batch)
        return criterion

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Pass over the samples once.

        Losses stay on the device and are read once, at the end of the epoch.
        """
        if iterator is None:
            return
        self._set_training(training)
        total = 0.0
        if training:
            with self._inference_mode():
                for batch in iterator:
                    total += step_fn(batch)["loss"] * batch.n_samples
            if iterator.processes is not None:
                (total,) = iterator.processes.sum(total)
            self._record("", total, iterator.samples, self.criterion_)
            self.history.record("lr", self.leader_lr())
            if self.run.has_follower:
                self.history.record("fairness_step", self.run.largest_step.tolist())
        else:
            criterion = self.criterion_.empty_copy()
            for batch in iterator:
                total += self._validation_loss(criterion, batch) * batch.n_samples
            self._record("validation_", total, iterator.samples, criterion)

    @torch.no_grad()
    def _validation_loss(self, criterion, batch):
        logits = self.module_(batch.X)
        if batch.groups is not None:
            criterion.update_rates(logits, batch)
        return criterion.accuracy_loss(logits, batch)[0]

    def _record(self, prefix, total, samples, criterion):
        """Record the losses and differences of an epoch: numbers, or lists of one per network."""
        eta = _as_number(self.weight())
        record = {"loss": np.divide(total.tolist(), len(samples)).tolist()}
        if samples.groups is not None:
            record |= criterion.summary()
        fairness_loss = record.get("fairness_loss", 0.0)
        # Early stopping compares the epochs with a fairness loss only. Under a target, objectives
        # cannot be compared, because the weight of the fairness loss changes.
        is_compared = self.run.rule is self.run.fair_rule and self.options.fairness_target is None
        if not prefix or is_compared:
            record["objective"] = (record["loss"] + np.multiply(eta, fairness_loss)).tolist()
        self._check_finite(record, eta)
        if self.options.fairness_target is not None and not prefix:
            record["eta"] = eta
        for key, value in record.items():
            self.history.record(prefix + key, value)

    def _check_finite(self, record, eta):
        # Convert to bool once, because the host waits for a GPU at each conversion.
        finite = torch.stack([p.isfinite().all() for p in self.module_.parameters()])
        weights_finite = bool(finite.all())
        values = [record["loss"]] if self.run.rule is accuracy_only else record.values()
        if weights_finite and all(np.isfinite(value).all() for value in values):
            return
        options = self.options
        raise ValueError(
            f"Training diverged in epoch {len(self.history)}: the loss is {record['loss']}, the "
            f"fairness loss {record.get('fairness_loss', 0.0)} and the weights are "
            f"{'finite' if weights_finite else 'not finite'}. Lower lr (now {options.lr}), "
            f"fairness_lr (now {options.fairness_lr}) or eta (now {eta}), or scale the features of "
            "X; a function as constraint must be finite for a batch that lacks a group."
        )


def _as_number(value):
    """Return a tensor as a number or a list of numbers, a number unchanged."""
    return value.tolist() if isinstance(value, torch.Tensor) else value


@contextlib.contextmanager
def seeded(seed, device):
    """Seed torch's random numbers, and restore the global state at the end."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _batch_norm_advice():
    """Re-raise torch's batch-norm error for batches of one sample, with advice."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "batch_size must leave two samples or more in each batch for a module with batch "
            f"normalization, got a batch of one sample. Raise it or pass more samples. {error}"
        ) from error

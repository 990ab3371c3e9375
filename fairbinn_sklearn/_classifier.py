"""The estimator: validate, encode, build, train."""

import copy
import functools
import os
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import PrintLog

from ._data.batches import rows_of_a_batch
from ._data.groups import COMBINATIONS, names_of_plain, plain_names
from ._data.labels import hold_out
from ._data.validation import check_data, n_groups, training_rows, wants_fairness
from ._training.build import build_net, change, check_fixed, rebuild_net
from ._training.callbacks import ForwardToSklearn, KeepLast, StopEarly
from ._training.checkpoint import Checkpoint, fingerprint
from ._training.criterion import EQUALIZE
from ._training.net import TwoPlayerNet
from ._training.options import SCHEDULES, resolve_device, resolve_schedule
from ._training.outcome import decide, predict_logits, warn_of_outcome
from ._training.state import description, lasting_state, with_arrays, with_tensors
from ._training.update_rules import METHODS
from ._utils.nested_params import NestedParams


def _all_or_nothing(method):
    """Train whatever torch's gradient mode is; leave the estimator as it was on failure."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper


class FairBiNNClassifier(NestedParams, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    r"""Neural net classifier trained by two players, for accuracy and for parity of groups.

    FairBiNN [1]_ splits a net into base layers, fairness layers and a head. The accuracy player
    (leader) owns base and head, :math:`\theta_a`; the fairness player (follower) owns the fairness
    layers, :math:`\theta_s`. With the cross-entropy :math:`L_{acc}` and the fairness loss
    :math:`\varphi`, the squared gap between the positive rates of groups, it seeks

    .. math::

        \min_{\theta_a} L_{acc}(\theta_a, \theta_s^*) \quad\text{with}\quad
        \theta_s^* \in \arg\min_{\theta_s} \eta\,\varphi(\theta_a, \theta_s) .

    Sensitive features are needed to fit, never to predict. Their influence on the result is
    a difference that was measured, not a promise: audit it on rows that were not trained on.

    Parameters
    ----------
    eta : float, default=None
        Weight of the fairness loss, >= 0. With 0 the net is trained for accuracy alone. None means
        1.0, or under a `fairness_target` the weight that is found, which ends in `eta_`.

    fairness_target : float, default=None
        In place of `eta`, the difference to train for, > 0. Multipliers of the groups' rates grow
        while the running difference of what `equalize` counts is above the target, and shrink
        while it is below (method of multipliers, :ref:`multipliers`). `eta_` ends with the weight
        that has the same effect at the target. For a function as `constraint`, the target is for
        the value of the function, and its weight rises and falls. `eta` must be None then,
        and `early_stopping` off.

    constraint : str, FairnessLoss, list of these, or callable, default="demographic_parity"
        What the follower equalises between groups.

        - "demographic_parity": positive rates among all rows.
        - "equal_opportunity": positive rates among the rows of the positive class.
        - "false_positive_rate_parity": positive rates among the rows of the negative class.
        - "equalized_odds": both of the last two.

        With more than two classes, "demographic_parity" equalises the rate of each class, and
        "equalized_odds" that among the rows of each class; the other two need two classes.

        The positive class is ``classes_[1]``, the last of the sorted labels: "denied" of
        "approved" and "denied". Encode labels as 0 and 1 where that is not what you mean.

        An object of :mod:`fairbinn_sklearn.losses` says more: its weight, mean or largest gap, or
        a criterion of your own. A list adds losses up, as in
        ``[DemographicParity(), EqualizedOdds(weight=0.5)]``. A function
        ``(scores, y, groups) -> loss`` of tensors of shape (N,) or (N, n_classes), (N,) and
        (N, n_groups), the last an indicator, returns the loss of a batch; `equalize` plays no part
        then, and `rate_window` only in what `history_` reports.

    method : {"bilevel", "alternating", "unrolled", "lagrangian"}, default="bilevel"
        The update rule.

        - "bilevel": the leader steps along the gradient of :math:`L_{acc} + \eta\varphi` in
          :math:`\theta_a`, the follower along that of :math:`\eta\varphi` in :math:`\theta_s`,
          each with its own optimizer. The leader anticipates the follower: where the follower
          holds :math:`\varphi` at its level, and its layers balance both losses, this is the
          leader's total derivative.
        - "alternating": algorithm 1 of [1]_ to the letter. The leader steps along the gradient of
          :math:`L_{acc}`, then the follower along that of :math:`\eta\varphi` where the leader now
          stands.
        - "unrolled": section 3 of [1]_. The leader steps along the gradient of :math:`L_{acc}` at
          the place where `n_unroll_steps` steps of the follower would lead, through these steps;
          the follower along that of :math:`\eta\varphi`.
        - "lagrangian": one optimizer steps along the gradient of :math:`L_{acc} + \eta\varphi` in
          all parameters. The baseline that the paper compares with.

    n_unroll_steps : int, default=1
        Steps of the follower that the leader differentiates through with `method` "unrolled". Each
        costs a forward and a backward pass.

    equalize : {"decisions", "scores", "both"}, default="decisions"
        What the rates of groups count: the thresholded decisions that an audit sees, as in the
        proxy-Lagrangian of [2]_, or the mean scores, as in [1]_, or both, with the mean of both
        losses; a `fairness_target` then holds both differences. The gradient flows through the
        scores in any case. With "decisions" and "both", `fit` begins with the scores and moves over
        to the decisions linearly in `max_epochs`; decisions from the start let nets swing between
        extremes.

    rate_window : int, default=10000
        About how many of the last training rows the rates of groups are averaged over
        (exponentially weighted; at most one epoch). Longer windows have less noise, above all for
        small groups, but lag behind the net: if training collapses to one decision, shorten it. 0
        takes each batch for itself, as in [1]_.

    combine : {"intersection", "separate"}, default="intersection"
        What several sensitive columns mean: groups are the combinations of their values that
        occur, or each column has groups of its own and the losses of the columns add up.

    n_bins : int or dict, default=None
        Bins to cut numeric sensitive columns into, at quantiles of the training rows; an int for
        all numeric columns with more values than that, a dict from names of columns to ints for
        some. `bin_edges_` has the edges. With `partial_fit`, the first call decides.

    max_groups : int, default=50
        Most values of a sensitive column of numbers or times that is not cut into bins: more of
        them are an error, as they are likely no groups.

    module : torch.nn.Module class, default=None
        A net of your own in place of the default one. It is built by
        ``module(input_size, n_outputs, **module__params)``: the columns of X, or the shape of a row
        if X has more than two dimensions, and the number of logits, 1 for two classes. Its methods
        ``accuracy_parameters()`` and ``fairness_parameters()`` say which player owns what, unless
        `fairness_modules` does. Parameters of the constructor are given as ``module__<name>``.

    fairness_modules : str or list of str, default=None
        Names of the submodules of `module` that the follower owns, as in "gru" or "blocks.1"; the
        leader owns all else.

    hidden_layer_sizes : int or sequence of int, default=(128, 128)
        Widths of the hidden layers of base and head; may be empty.

    fairness_layer_sizes : int or sequence of int, default=None
        Widths of the fairness layers. None means one layer as wide as its input.

    fairness_position : int, default=-1
        Where the fairness layers go among the hidden layers, as an index: 0 in front of the first,
        1 behind the first, -1 behind the last, just before the output.

    activation : str or torch.nn.Module class, default="relu"
        Activation behind each layer but the last: "relu", "tanh", "sigmoid", "leaky_relu",
        "relu6", "elu", "gelu", "silu", "softplus", "identity", or a class that can be called
        without arguments.

    optimizer : str or torch.optim.Optimizer class, default="adam"
        The leader's optimizer, and that of all parameters where there is no follower: "adam",
        "adamw", "nadam", "rmsprop", "sgd", or a class. Further parameters of it are given as
        ``optimizer__<name>``, as in ``optimizer__betas=(0.9, 0.99)``.

    lr : float, default=1e-3
        The leader's learning rate, > 0.

    weight_decay : float, default=3e-4
        Weight decay of the leader's optimizer, >= 0.

    fairness_optimizer : str or torch.optim.Optimizer class, default="sgd"
        The follower's optimizer, as for `optimizer`; further parameters are given as
        ``fairness_optimizer__<name>``, as in ``fairness_optimizer__momentum=0.9``. Adaptive ones
        such as "adam" rescale the gradient, so that `eta` hardly reaches the follower.

    fairness_lr : float, default=1e-3
        The follower's learning rate, > 0.

    fairness_max_step : float, default=0.01
        Largest norm of a follower's step, > 0: longer ones are shortened to it. The
        paper's theory asks for small steps.

    fairness_batch_size : int, default=None
        Rows of a batch of its own, at most, on which the fairness loss is taken, drawn apart from
        those of the accuracy loss. None takes it on the same rows.

    lr_schedule : str or torch.optim.lr_scheduler.LRScheduler class, default="cosine"
        Course of both learning rates over `max_epochs`: "cosine", down to 0 along half a cosine,
        "constant", or a class that steps once an epoch, with parameters as in
        ``lr_schedule__step_size=5``. It sets the leader's rate; the follower's keeps its ratio to
        it. `partial_fit` uses constant rates.

    max_epochs : int, default=20
        Passes over the training rows.

    batch_size : int or "auto", default="auto"
        Rows of one step, at most: rows are dealt to batches of near-equal size. "auto" is a power
        of 2: 64 below 2,048 training rows, 128 below 4,096, 256 below 512,000, and then at most a
        thousandth of them, up to 4,096. With `partial_fit` the rows of the call count.

    early_stopping : bool, default=False
        Whether to set `validation_fraction` of the rows aside, stop when the objective
        :math:`L_{acc} + \eta\varphi` on them no longer falls, and keep the epoch where it was
        lowest. That epoch is the one of `history_` with the lowest "validation_objective".

    validation_fraction : float, default=0.1
        Share of rows set aside if `early_stopping`, in (0, 1); stratified by label, and by group
        where each group has two rows of each label or more.

    n_iter_no_change : int, default=10
        Epochs without progress after which to stop if `early_stopping`.

    tol : float, default=1e-4
        Fall of the objective that counts as progress if `early_stopping`, >= 0.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the accuracy loss, as in scikit-learn. `fit` scales them to mean
        1 over the training rows, so that `eta` keeps its meaning; `partial_fit` takes them as they
        are. The rates of groups stay unweighted.

    missing_sensitive : {"warn", "raise"}, default="warn"
        What to do when `eta` is above 0 and no sensitive features are given: train for accuracy
        alone and warn, or raise a ValueError.

    device : str or torch.device, default="auto"
        Where to train and predict: "auto" (CUDA, else MPS, else CPU), "cpu", "cuda", "cuda:1",
        "mps"; or "accelerate", for the processes of an ``accelerate launch``, each of which takes
        its share of every batch (:ref:`several-processes`).

    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit, with new optimizers.

    checkpoint : str or path-like, default=None
        File for the state of the training. `fit` writes it, goes on from what it finds there of the
        same fit, with the same parameters and rows, and removes it in the end. So a script that
        was killed is run again, and gives the model of an uninterrupted run, to the bit. It needs
        an integer as `random_state`. A file of another fit is an error: give each fit a file of
        its own.

    checkpoint_every : int, default=1
        Epochs from one writing of `checkpoint` to the next.

    verbose : int, default=0
        Above 0, print a row of figures each epoch. For progress bars, see `set_callbacks`.

    random_state : int, RandomState instance or None, default=None
        Draws the first weights, the batches and the validation part. With an int, the same
        machine gives the same model to the bit. Global states of torch are neither read nor
        changed; that of numpy only if None. A `module` that draws random numbers while it trains
        borrows torch's global generator, so do not train such nets in several threads at once.

    **module__params : dict
        Parameters of what others name: ``optimizer__<name>``, ``fairness_optimizer__<name>``,
        ``lr_schedule__<name>`` and ``module__<name>``. `set_params` and searches take them too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels; of two, the second is the positive class.

    groups_ : pandas.Index or None
        Names of the groups. With more than one sensitive column a MultiIndex: of their values, or,
        if `combine` is "separate", of the name of a column and its value. None without sensitive
        features.

    bin_edges_ : dict
        Edges of the bins of each sensitive column that `n_bins` cut, by its name:
        ``pandas.cut(values, edges)`` gives the groups.

    eta_ : float
        Weight of the fairness loss: `eta`; under a `fairness_target`, the weight of a squared gap
        whose slopes at the target are the multipliers at the end, 0 if none was needed; the sum of
        two weights if `equalize` is "both".

    history_ : list of dict
        One record an epoch of the last `fit`, or of all calls of `partial_fit`: "epoch", "loss"
        (:math:`L_{acc}`, mean over the steps; with `method` "unrolled" at the place that the leader
        looks at), "fairness_loss" (:math:`\varphi` at the running
        rates), "decision_difference" and "score_difference" (largest difference between groups,
        over all events of the criteria, of the running rates of decisions and of mean scores; not
        if `constraint` is a function),
        "objective" (loss + eta * fairness loss), and the same with prefix ``"validation_"`` if
        `early_stopping`; "eta" under a `fairness_target`; "fairness_step" (largest norm of the
        follower's steps) if there is a follower; "lr" (the leader's learning rate). Use
        ``pandas.DataFrame(clf.history_)``.

    n_iter_ : int
        Epochs in `history_`.

    module_ : torch.nn.Module
        The net: with submodules ``base``, ``fairness`` and ``head``, or an instance of `module`.

    net_ : skorch.NeuralNet
        The skorch net that trained it.

    n_features_in_ : int
        Number of columns of X: its second dimension.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if it was a DataFrame with names that are all strings.

    See Also
    --------
    fairbinn_sklearn.datasets.load_adult : The data set of the example in the user guide.
    fairlearn.metrics.MetricFrame : Audit of a fitted model.

    Notes
    -----
    Scale the columns of X, as for every neural net. The threshold of decisions stays at 0.5.
    Parity of decisions does not mean parity of scores: look at both differences.

    The fairness loss weighs all groups alike, whatever their sizes. Groups of a handful of rows
    have rates of little meaning; merge them with others.

    References
    ----------
    .. [1] Yazdani-Jahromi, M., Khodabandeh Yalabadi, A., Rajabi, A., Tayebi, A., Garibay, I.,
       Ozmen Garibay, O. (2024). Fair Bilevel Neural Network (FairBiNN): On Balancing fairness and
       accuracy via Stackelberg Equilibrium. NeurIPS 2024. https://arxiv.org/abs/2410.16432

    .. [2] Cotter, A., Jiang, H., Sridharan, K. (2019). Two-Player Games for Efficient Non-Convex
       Constrained Optimization. ALT 2019. https://arxiv.org/abs/1804.06500

    Examples
    --------
    Labels that depend on a group in the training data, and decisions that hardly do:

    >>> import numpy as np
    >>> from fairlearn.metrics import demographic_parity_difference
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 4000)
    >>> X = rng.normal(size=(4000, 4))
    >>> X[:, 0] += 2 * (group == "a")
    >>> y = np.where(X.sum(1) + rng.normal(size=4000) > 1, "yes", "no")
    >>> for eta in (0, 10):
    ...     clf = FairBiNNClassifier(eta=eta, random_state=0)
    ...     decisions = clf.fit(X, y, sensitive_features=group).predict(X) == "yes"
    ...     difference = demographic_parity_difference(
    ...         y == "yes", decisions, sensitive_features=group
    ...     )
    ...     print(f"eta {eta}: accuracy {clf.score(X, y):.2f}, difference {difference:.2f}")
    eta 0: accuracy 0.87, difference 0.35
    eta 10: accuracy 0.78, difference 0.04
    """

    # scikit-learn's metadata routing: what users would else ask for by set_fit_request.
    __metadata_request__fit = {"sensitive_features": True}
    __metadata_request__partial_fit = {"sensitive_features": True}

    _nested = ("optimizer", "fairness_optimizer", "lr_schedule", "module")

    # Numbers and plain choices; names that stand for objects are checked where they are resolved.
    _parameter_constraints = {
        "eta": [Interval(Real, 0, np.inf, closed="left"), None],
        "fairness_target": [Interval(Real, 0, np.inf, closed="neither"), None],
        "method": [StrOptions(set(METHODS))],
        "n_unroll_steps": [Interval(Integral, 1, None, closed="left")],
        "equalize": [StrOptions(set(EQUALIZE))],
        "rate_window": [Interval(Integral, 0, None, closed="left")],
        "combine": [StrOptions(set(COMBINATIONS))],
        "n_bins": [Interval(Integral, 2, None, closed="left"), dict, None],
        "max_groups": [Interval(Integral, 2, None, closed="left")],
        "fairness_position": [Integral],
        "lr": [Interval(Real, 0, np.inf, closed="neither")],
        "weight_decay": [Interval(Real, 0, np.inf, closed="left")],
        "fairness_lr": [Interval(Real, 0, np.inf, closed="neither")],
        "fairness_max_step": [Interval(Real, 0, np.inf, closed="neither")],
        "fairness_batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, np.inf, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "missing_sensitive": [StrOptions({"warn", "raise"})],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        eta=None,
        *,
        fairness_target=None,
        constraint="demographic_parity",
        method="bilevel",
        n_unroll_steps=1,
        equalize="decisions",
        rate_window=10_000,
        combine="intersection",
        n_bins=None,
        max_groups=50,
        module=None,
        fairness_modules=None,
        hidden_layer_sizes=(128, 128),
        fairness_layer_sizes=None,
        fairness_position=-1,
        activation="relu",
        optimizer="adam",
        lr=1e-3,
        weight_decay=3e-4,
        fairness_optimizer="sgd",
        fairness_lr=1e-3,
        fairness_max_step=0.01,
        fairness_batch_size=None,
        lr_schedule="cosine",
        max_epochs=20,
        batch_size="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        missing_sensitive="warn",
        device="auto",
        warm_start=False,
        checkpoint=None,
        checkpoint_every=1,
        verbose=0,
        random_state=None,
        **module__params,  # and the like; scikit-learn's checks want a name that is valid
    ):
        self.eta = eta
        self.fairness_target = fairness_target
        self.constraint = constraint
        self.method = method
        self.n_unroll_steps = n_unroll_steps
        self.equalize = equalize
        self.rate_window = rate_window
        self.combine = combine
        self.n_bins = n_bins
        self.max_groups = max_groups
        self.module = module
        self.fairness_modules = fairness_modules
        self.hidden_layer_sizes = hidden_layer_sizes
        self.fairness_layer_sizes = fairness_layer_sizes
        self.fairness_position = fairness_position
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.fairness_optimizer = fairness_optimizer
        self.fairness_lr = fairness_lr
        self.fairness_max_step = fairness_max_step
        self.fairness_batch_size = fairness_batch_size
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.class_weight = class_weight
        self.missing_sensitive = missing_sensitive
        self.device = device
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.verbose = verbose
        self.random_state = random_state
        self._store_nested(module__params)

    @_all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Train the net.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Training rows, without missing values. Sparse rows are made dense a few batches at a
            time, and rows of a :class:`numpy.memmap` or a torch Dataset are read so
            (:ref:`larger-than-memory`). With a `module` of your own, X may have more than two
            dimensions.

        y : array-like of shape (n_samples,)
            Labels of two classes or more, of any type.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), \
                default=None
            Values of any type that can be hashed; `combine` and `n_bins` say how they form groups.
            Array, list, Series, DataFrame, or dict of columns; rows are matched by position.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the accuracy loss and in the rates of groups, >= 0, scaled to
            mean 1. Not with a function as `constraint`.

        Returns
        -------
        self : FairBiNNClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid, or if training diverges. An estimator that
            was fitted before stays as it was.

        OSError
            If `checkpoint` cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the fairness loss has left one decision for everybody, or the running difference
            ends above `fairness_target` by more than a quarter of it and more than 0.01.
        UserWarning
            If the user interrupts the training (Ctrl-C) after its first epoch: the model is then
            that of the last epoch that was finished.
        """
        random_state = check_random_state(self.random_state)
        schedule = resolve_schedule(self.lr_schedule, SCHEDULES, self._nested_of("lr_schedule"))
        previous = vars(self).get("net_") if self.warm_start else None
        train = training_rows(self, X, y, sensitive_features, sample_weight, previous=previous)
        checkpoint = self._checkpoint(train, previous)
        validation = None
        if self.early_stopping:
            train, validation = hold_out(train, self.validation_fraction, random_state)
        net = self._build(train, self._window(train), random_state)
        if previous is not None:
            self._load_weights(net, previous)

        context = self._init_callback_context(max_subtasks=self.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        callbacks, state = [ForwardToSklearn(self, context, X, y)], None
        if validation is not None:
            callbacks.append(StopEarly(self.n_iter_no_change, self.tol))
        if checkpoint is not None:
            state = checkpoint.read()
            callbacks.append(checkpoint)
        callbacks.append(KeepLast())  # behind those whose state it keeps
        with net.in_precision_of(train):
            self._train(net, train, validation, self.max_epochs, schedule, callbacks, state)
        if checkpoint is not None and not net.interrupted:
            checkpoint.remove()
        warn_of_outcome(self, train)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    @_all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, *, sensitive_features=None, sample_weight=None):
        """Train one epoch on the given rows, at constant learning rates.

        Optimizers, rates of groups, the multipliers of a `fairness_target`, and batches go on
        from the last call. In between, `eta`, `fairness_target`, `method`, `n_unroll_steps`,
        `batch_size`, `fairness_batch_size`, `class_weight`, `lr`, `fairness_lr` and
        `fairness_max_step` may be changed. Groups that were not seen before are added. Deal the
        groups out to all calls: a group that stays away for long keeps its last rate, towards which
        the others are drawn.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Training rows, as in `fit`.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels; needed in the first call, may be left out afterwards.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), \
                default=None
            As in `fit`.

        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`, but not scaled.

        Returns
        -------
        self : FairBiNNClassifier
            The estimator, trained further.

        Raises
        ------
        ValueError
            As `fit`; also if `classes` is missing in the first call, or differs from before.
        """
        if self.early_stopping:
            raise ValueError(
                "partial_fit has no validation part; set early_stopping=False, got True."
            )
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all rows at once; for partial_fit give a dict.'
            )
        previous = vars(self).get("net_")
        if previous is None and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit, got None.")
        if previous is not None:
            check_fixed(self, previous)
        rows = training_rows(
            self,
            X,
            y,
            sensitive_features,
            sample_weight,
            classes=classes,
            previous=previous,
            whole=False,
        )
        if previous is None:
            net = self._build(rows, self.rate_window, check_random_state(self.random_state))
        else:
            # The parameters that stay are those of the estimator, not copies that compare unequal.
            net = copy.deepcopy(previous, {id(value): value for value in previous.fixed.values()})
            change(net, self)
            net.criterion_.grow(n_groups(self))
        return self._train(net, rows, None, 1, SCHEDULES["constant"])

    @property
    def module_(self):
        """The net: with submodules ``base``, ``fairness`` and ``head``, or your own module."""
        return self.net_.module_

    def decision_function(self, X):
        """Logits: of two classes that of the positive one, above 0 for ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Rows, without sensitive features unless X held them in `fit`.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits, in float64; of two classes one a row.

        Raises
        ------
        ValueError
            If X does not fit the columns of `fit`, is not finite, or lets the net overflow.
        """
        check_is_fitted(self, "net_")
        logits = predict_logits(self.module_, check_data(self, X, reset=False))
        if not np.isfinite(logits).all():
            raise ValueError("X has values so large that the net overflows; scale its columns.")
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`. The figure of a row does not depend on the
            rows that are predicted with it.
        """
        logits = self.decision_function(X)
        if logits.ndim == 2:
            return softmax(logits, axis=1)
        return np.column_stack([expit(-logits), expit(logits)])

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The class of highest probability.
        """
        decisions = decide(self.decision_function(X))
        return self.classes_[decisions]

    def _build(self, rows, window, random_state):
        return build_net(
            self,
            input_shape=tuple(rows.X.shape[1:]),
            n_classes=len(self.classes_),
            n_groups=n_groups(self),
            window=window,
            device=rows.device,
            random_state=random_state,
        )

    def _window(self, rows):
        """Rows over which rates are counted: an epoch's at most, of those of the fairness loss."""
        an_epoch = len(rows)
        if self.fairness_batch_size is not None:
            n_steps = -(-an_epoch // rows_of_a_batch(self.batch_size, an_epoch))
            an_epoch = n_steps * min(self.fairness_batch_size, an_epoch)
        return min(self.rate_window, an_epoch)

    def _load_weights(self, net, previous):
        try:
            net.module_.load_state_dict(previous.module_.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True needs the layers and columns of the last fit, which differ; set "
                "warm_start=False or restore hidden_layer_sizes, fairness_layer_sizes, "
                f"fairness_position and the columns of X. {error}"
            ) from error

    def _checkpoint(self, rows, previous):
        if self.checkpoint is None:
            return None
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                "random_state must be an integer where checkpoint is given, for a fit that goes on "
                f"to be the same, got {self.random_state!r}."
            )
        return Checkpoint(
            self.checkpoint,
            self.checkpoint_every,
            fingerprint(self, rows, previous),
            writes=rows.processes is None or rows.processes.rank == 0,
        )

    def _train(self, net, rows, validation, epochs, schedule, callbacks=(), state=None):
        """Train the net and learn what depends on it."""
        first = rows.processes is None or rows.processes.rank == 0
        log = [PrintLog()] if self.verbose and first else []
        net.train(
            rows,
            validation,
            epochs=epochs,
            schedule=schedule,
            fair=self._is_fair(rows),
            callbacks=[*callbacks, *log],
            state=state,
        )
        return self._learn(net)

    def _is_fair(self, rows):
        """Whether the fairness loss takes part."""
        return rows.groups is not None and wants_fairness(self) and max(n_groups(self)) > 1

    def _learn(self, net):
        """Take a trained net."""
        self.net_ = net
        self.eta_ = float(net.weight())
        self.history_ = [
            {key: value for key, value in record.items() if key != "batches"}
            for record in net.history
        ]
        self.n_iter_ = len(self.history_)
        return self

    def __getstate__(self):
        """State for pickle and the like; the default net as arrays, so that it needs no code."""
        state = super().__getstate__()
        net = state.get("net_")
        if net is None or self.module is not None or not isinstance(net, TwoPlayerNet):
            return state
        plain = {"net_": [description(net), with_arrays(lasting_state(net))]}
        return {**state, **plain, "groups_": plain_names(self.groups_)}

    def __setstate__(self, state):
        """Take a state; the net comes back on the device that it was on, if that is there."""
        net = state.get("net_")
        super().__setstate__(state)
        if isinstance(net, list):
            about, lasting = net
            like = FairBiNNClassifier(**about["params"])
            try:
                resolve_device(about["device"])
            except ValueError:
                about = {**about, "device": str(resolve_device("auto"))}
            self.net_ = rebuild_net(like, about, with_tensors(lasting))
            self.groups_ = names_of_plain(state["groups_"])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = self.module is not None
        return tags

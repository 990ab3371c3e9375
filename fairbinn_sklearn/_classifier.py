"""The estimator: options, data, network, training, fitted attributes."""

import functools
import os
from numbers import Integral, Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._data.groups import COMBINATIONS, GroupEncoder
from ._data.labels import label_codes, plain_weights, split_validation
from ._data.validation import check_data
from ._training.build import describe, names_of_groups, net_for, rebuild_net, updated_net
from ._training.callbacks import ForwardToSklearn, KeepLast, PrintEpochs, StopEarly
from ._training.checkpoint import Checkpoint, fingerprint
from ._training.criterion import EQUALIZE
from ._training.few_samples import with_weight_decay
from ._training.length import epochs_for_accuracy, number_of_epochs
from ._training.net import TwoPlayerNet
from ._training.options import TARGET_SAMPLES, TrainingOptions
from ._training.outcome import decide, predict_logits, warn_of_outcome
from ._training.resolve import SCHEDULES, resolve_device, resolve_schedule
from ._training.setup import training_data
from ._training.state import lasting_state, with_arrays, with_tensors
from ._training.update_rules import METHODS
from ._utils.fit_warnings import SharedWarnings, warnings_of
from ._utils.nested_params import NestedParams
from ._utils.torch_state import neutral_torch_state
from ._utils.upstream import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)


def _all_or_nothing(method):
    """Train independently of the caller's torch state; keep the estimator as it was on failure."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        try:
            with neutral_torch_state(), warnings_of(self):
                return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper


def fitted_attributes(net, data):
    """Return the fitted attributes of a classifier.

    Parameters
    ----------
    net : TwoPlayerNet
        Trained network.

    data : TrainingData
        Classes, groups and features of the training.

    Returns
    -------
    attributes : dict
        Names and values.
    """
    history = [{k: value for k, value in epoch.items() if k != "batches"} for epoch in net.history]
    return {
        "net_": net,
        "classes_": data.classes,
        "group_encoder_": data.group_encoder,
        "n_unknown_": data.n_unknown,
        **data.features,
        "eta_": float(net.weight()),
        "history_": history,
        "n_iter_": len(history),
    }


def set_fitted(clf, net, data):
    """Set the fitted attributes of a classifier and return it."""
    vars(clf).update(fitted_attributes(net, data))
    return clf


class FairBiNNClassifier(
    NestedParams, SharedWarnings, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    r"""Neural network classifier trained with two players, for accuracy and for group fairness.

    FairBiNN [1]_ splits a network into base layers, fairness layers and a head. The accuracy player
    (leader) updates base and head, with parameters :math:`\theta_a`. The fairness player (follower)
    updates the fairness layers, with parameters :math:`\theta_s`. :math:`L_{acc}` is the
    cross-entropy, and the fairness loss :math:`\varphi` is the squared gap between the positive
    rates of groups. The problem is

    .. math::

        \min_{\theta_a} L_{acc}(\theta_a, \theta_s^*) \quad\text{with}\quad
        \theta_s^* \in \arg\min_{\theta_s} \eta\,\varphi(\theta_a, \theta_s) .

    Sensitive features are needed to fit, never to predict. Training reduces the difference on the
    training samples and guarantees nothing on others: audit the model on other samples.

    The parameters come in five parts, in this order:

    - fairness: `eta`, `fairness_target`, `target_samples`, `constraint`, `method`,
      `n_unroll_steps`, `equalize`, `rate_window`;
    - groups and classes: `combine`, `pos_label`, `threshold`;
    - network: `hidden_layer_sizes`, `fairness_layer_sizes`, `fairness_position`, `activation`,
      `module`, `fairness_modules`;
    - optimization: `optimizer`, `lr`, `weight_decay`, `fairness_optimizer`, `fairness_lr`,
      `fairness_max_step`, `lr_schedule`, `max_epochs`, `batch_size`, `class_weight`,
      `early_stopping`, `validation_fraction`, `n_iter_no_change`, `tol`;
    - running: `device`, `warm_start`, `checkpoint`, `verbose`, `random_state`.

    Parameters
    ----------
    eta : float, default=None
        Weight of the fairness loss, >= 0. Larger values reduce the difference between groups, at
        some cost in accuracy; 0 trains for accuracy alone. None means 1.0, or under a
        `fairness_target` the weight that training finds. `eta_` contains the weight used.

        .. versionchanged:: 0.2 The default is None instead of 1.0.

    fairness_target : float, default=None
        The difference to train for, > 0, instead of a fixed `eta`. Multipliers of the group rates
        grow while the running difference is above the target and shrink while it is below
        (augmented Lagrangian, :ref:`multipliers`). If `measure` of the criterion is "ratio" or
        "minimum", the target is the lowest ratio or rate that is allowed, such as 0.8. The
        parameters `weight`, `aggregation` and `stratum_weight` of losses have no effect under a
        target. For a function as `constraint`, the target bounds the value of the function. It
        cannot be combined with `eta` or `early_stopping`.

    target_samples : {"training", "validation"}, default="training"
        Samples on which a `fairness_target` is measured.

        - "training": the training samples.
        - "validation": `validation_fraction` of the samples, which are set aside [3]_. The
          multipliers act on the running rates of the training samples plus an offset, the
          difference between the rates of both parts. Use it if the network overfits, so that it
          meets the target on the training samples only; see :ref:`target-samples`. It needs a
          `fairness_target` and a `constraint` that is not a function.

        .. versionadded:: 0.2

    constraint : str, FairnessLoss, list, fairlearn Moment or callable, default="demographic_parity"
        The criterion that the follower equalises between groups.

        - "demographic_parity": positive rates of all samples.
        - "equal_opportunity": positive rates of the samples of the positive class.
        - "false_positive_rate_parity": positive rates of the samples of the negative class.
        - "equalized_odds": the last two together.
        - "predictive_parity": precisions.
        - "false_omission_rate_parity": fractions of positive samples among those predicted as
          negative.
        - "accuracy_parity": accuracies.
        - "f1_parity": F1 scores.
        - "treatment_equality": shares of false negatives among the errors.

        The positive class is `pos_label`. With more than two classes, each class is compared
        against the others; "equal_opportunity" and "false_positive_rate_parity" need two classes.

        An object of :mod:`fairbinn_sklearn.losses` sets the weight of the loss, selects the mean or
        the largest gap, measures ratios or the lowest rate, compares with a reference, or defines
        another criterion. The losses of a list are added up, as in
        ``[DemographicParity(), EqualizedOdds(weight=0.5)]``.

        A constraint of :mod:`fairlearn.reductions`, such as
        ``DemographicParity(difference_bound=0.02)``, compares each group with all samples, as
        fairlearn does. Its bound is the `fairness_target` if `eta` and `fairness_target` are None.

        A function ``(scores, y, groups) -> loss`` returns the loss of a batch. It takes tensors:
        scores of shape (N,) or (N, n_classes), labels of shape (N,), and an indicator of the groups
        of shape (N, n_groups). `equalize` is then not used, and `rate_window` affects `history_`
        only.

    method : {"bilevel", "alternating", "unrolled", "lagrangian"}, default="bilevel"
        The update rule; see :ref:`update-rules`.

        - "bilevel": both players step from the same point, each with a separate optimizer. The
          leader steps along the gradient of :math:`L_{acc} + \eta\varphi` in :math:`\theta_a`, the
          follower along the gradient of :math:`\eta\varphi` in :math:`\theta_s`.
        - "alternating": algorithm 1 of [1]_. The leader steps along the gradient of
          :math:`L_{acc}`, then the follower along the gradient of :math:`\eta\varphi`.
        - "unrolled": section 3 of [1]_. The leader differentiates :math:`L_{acc}` through the next
          `n_unroll_steps` steps of the follower.
        - "lagrangian": one optimizer steps along the gradient of :math:`L_{acc} + \eta\varphi` in
          all parameters. The baseline of the paper.

    n_unroll_steps : int, default=1
        Number of steps that `method` "unrolled" differentiates through, >= 1. Each costs a forward
        and a backward pass.

    equalize : {"decisions", "scores", "both", "distribution"}, default="decisions"
        Which rates are equalised.

        - "decisions": rates of predictions at `threshold`, which an audit measures, as in the
          proxy-Lagrangian of [2]_.
        - "scores": rates of scores, such as mean scores, as in [1]_.
        - "both": decisions and scores.
        - "distribution": rates of decisions at the thresholds 0.1, 0.2, ..., 0.9, for scores that
          are ranked, or cut at a threshold that is chosen later. Two classes only.

        With several kinds of rates, the loss is the mean of their losses, and a `fairness_target`
        applies to each. Except with "scores", `fit` starts from the rates of scores and changes to
        the rates of decisions, linearly over the epochs.

    rate_window : int, default=10000
        Number of training samples over which the rates of groups are averaged (exponential moving
        average, at most one epoch), >= 0. Longer windows have less noise, which matters most for
        small groups, but follow the network with a delay: lower it if the model predicts one class
        only. 0 uses the rates of each batch, as in [1]_.

    combine : {"intersection", "separate"}, default="intersection"
        How to combine several sensitive features: groups are the combinations of values that occur,
        or each feature has separate groups and the losses of the features are added up.

    pos_label : label, default=None
        Positive class of a problem with two classes, for `constraint`, scorers, paths and displays.
        `threshold` applies to the probability of this class. The order of `classes_` does not
        depend on it. None means ``classes_[1]``, the last of the sorted labels: "denied" if the
        labels are "approved" and "denied". With more than two classes it must be None.

        .. versionadded:: 0.2

    threshold : float or "rate", default=0.5
        Probability of the positive class above which `predict` returns it, in (0, 1). Training
        equalises the rates of these decisions. With "rate", the model predicts as many positives
        among the training samples as there are positive labels, both counted by `sample_weight`. It
        suits rare labels, for which a threshold of 0.5 may select nobody. This threshold is
        computed from all training samples, before each epoch and after the last. `threshold_`
        contains the final threshold. With more than two classes it must be 0.5. See
        :ref:`thresholds`.

        .. versionadded:: 0.2

    hidden_layer_sizes : int or sequence of int, default=(128, 128)
        Widths of the hidden layers of base and head; may be empty.

    fairness_layer_sizes : int or sequence of int, default=None
        Widths of the fairness layers. None means one layer as wide as its input.

    fairness_position : int, default=-1
        Number of hidden layers before the fairness layers; negative values count from the end, so
        that -1 places the fairness layers just before the output.

    activation : str or torch.nn.Module class, default="relu"
        Activation after each layer except the last: "relu", "tanh", "sigmoid", "leaky_relu",
        "relu6", "elu", "gelu", "silu", "softplus", "identity", or a class that can be called
        without arguments.

    module : torch.nn.Module class, default=None
        Custom module instead of the default layers, built by
        ``module(input_size, n_outputs, **module__params)``. ``input_size`` is the number of
        features, or the shape of a sample if X has more than two dimensions. ``n_outputs`` is the
        number of logits: 1 for two classes, otherwise one per class. Parameters of its constructor
        are passed as ``module__<name>``. Its methods ``accuracy_parameters()`` and
        ``fairness_parameters()`` return the parameters of each player, unless `fairness_modules`
        is set.

    fairness_modules : str or list of str, default=None
        Names of the submodules of `module` that the follower updates, such as "gru" or "blocks.1".
        The leader updates all others.

    optimizer : str or torch.optim.Optimizer class, default="adam"
        The leader's optimizer, used for all parameters if there is no follower: "adam", "adamw",
        "nadam", "rmsprop", "sgd", or a class. Its parameters are passed as ``optimizer__<name>``,
        such as ``optimizer__betas=(0.9, 0.99)``.

    lr : float, default=1e-3
        The leader's learning rate, > 0.

    weight_decay : float or "auto", default="auto"
        Weight decay of the leader's optimizer, >= 0. "auto" is 3e-4, or 1e-3 with a fairness loss,
        1,000 samples or more, and fewer than 2 samples per feature and group, where networks
        overfit. It is 3e-4 in `partial_fit` and with a custom `module`.

        .. versionchanged:: 0.2 The default is "auto" instead of 3e-4.

    fairness_optimizer : str or torch.optim.Optimizer class, default="sgd"
        The follower's optimizer, as for `optimizer`. Adaptive optimizers such as "adam" rescale the
        gradient, so that `eta` has little effect on the follower.

    fairness_lr : float, default=1e-3
        The follower's learning rate, > 0.

    fairness_max_step : float, default=0.01
        Largest norm of a step of the follower, > 0; longer steps are shortened to it. The paper's
        theory assumes small steps.

    lr_schedule : str or torch.optim.lr_scheduler.LRScheduler class, default="cosine"
        Schedule of both learning rates over `max_epochs`: "cosine" decays to 0, "constant" does not
        change, or a class that steps once per epoch, with parameters such as
        ``lr_schedule__step_size=5``. It sets the leader's learning rate, and the follower's stays
        proportional to it. `partial_fit` uses constant learning rates.

    max_epochs : int or "auto", default="auto"
        Number of passes over the training samples, >= 1. "auto" is 20, or more if 20 epochs have
        fewer than 200 steps with a fairness loss, or fewer than 1,000 steps with a rare class.
        If a class is rare, the first half of the epochs of `fit` trains for accuracy alone; see
        :ref:`thresholds`.

        .. versionchanged:: 0.2 The default is "auto" instead of 20.

    batch_size : int or "auto", default="auto"
        Largest number of samples in a step; batches have near-equal sizes. "auto" is a power of 2:
        64 below 2,048 training samples, 128 below 4,096, 256 below 512,000, and then at most a
        thousandth of them, up to 4,096. `partial_fit` counts the samples of the call.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the accuracy loss, as in scikit-learn. `fit` scales them to mean 1
        over the training samples, so that they do not change the effect of `eta`; `partial_fit`
        does not. The rates of groups stay unweighted.

    early_stopping : bool, default=False
        Whether to set `validation_fraction` of the samples aside, stop when their objective
        :math:`L_{acc} + \eta\varphi` no longer falls, and keep the weights of the epoch with the
        lowest "validation_objective" in `history_`.

    validation_fraction : float, default=0.1
        Fraction of samples to set aside for `early_stopping`, or for `target_samples` "validation",
        in (0, 1). The split is stratified by label, and by group where each group has two samples
        of each label or more.

    n_iter_no_change : int, default=10
        Number of epochs without improvement after which `early_stopping` ends the training, >= 1.

    tol : float, default=1e-4
        Smallest decrease of the objective that counts as an improvement, >= 0.

    device : str or torch.device, default="auto"
        Where to train and predict: "auto" (CUDA, else MPS, else CPU), "cpu", "cuda", "cuda:1",
        "mps"; or "accelerate" for the processes of an ``accelerate launch``, each of which takes a
        shard of every batch (:ref:`several-processes`).

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit, with new optimizers.

    checkpoint : str or path-like, default=None
        Path to a checkpoint file. `fit` writes it after each epoch. If it exists and belongs to the
        same fit, with the same parameters and samples, training resumes from it and ends in the
        same model, to the bit; a file of another fit raises an error. The file is deleted when
        training completes. `random_state` must be an integer.

    verbose : int, default=0
        If above 0, print one line per epoch, with losses, differences, eta and seconds. For
        progress bars, see `set_callbacks`.

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the batches and the validation split. With an int, the same
        machine always produces a bit-identical model. The global random states of torch are neither
        read nor changed; that of numpy is used only if None. A `module` that draws random numbers
        in training uses torch's global generator, so do not train such modules in several threads
        at once.

    **module__params : dict
        Parameters of other parameters: ``optimizer__<name>``, ``fairness_optimizer__<name>``,
        ``lr_schedule__<name>`` and ``module__<name>``. `set_params` and searches take them too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.

    groups_ : pandas.Index of length n_groups or None
        Names of the groups. With several sensitive features it is a MultiIndex: of their values, or
        of pairs of a feature name and a value if `combine` is "separate". None without sensitive
        features.

    n_unknown_ : int
        Number of samples of the last training with a missing sensitive feature. They count in the
        accuracy loss and in no rate. If `combine` is "separate", they count in the rates of the
        sensitive features that are known.

    eta_ : float
        Weight of the fairness loss: `eta`, or under a `fairness_target` the weight of a squared gap
        whose gradient at the target equals the final multipliers. It is 0 if the final multipliers
        are 0. Refitting with this weight as `eta` may give another difference, because the
        multipliers may have been larger before. With `equalize` "both" it is the sum of two
        weights.

    history_ : list of dict
        One record per epoch of the last `fit`, or of all calls of `partial_fit`. Convert it by
        ``pandas.DataFrame(clf.history_)``.

        - "epoch": number of the epoch.
        - "loss": :math:`L_{acc}`, mean over the steps.
        - "fairness_loss": :math:`\varphi` at the running rates.
        - "decision_difference", "score_difference": largest difference between groups of the
          running rates of decisions and of scores, over all events of the criterion; with
          `measure` "ratio" or "minimum", 1 minus the smallest ratio or rate. Absent if
          `constraint` is a function.
        - "distribution_difference": with `equalize` "distribution", the largest difference of
          decisions over its thresholds.
        - "objective": loss + eta * fairness loss.
        - "validation_loss" and so on: the same for the samples that are set aside. Under a target
          there is no "validation_objective".
        - "eta": weight of the fairness loss, under a `fairness_target`.
        - "fairness_step": largest norm of the follower's steps, if there is a follower.
        - "lr": the leader's learning rate.

    threshold_ : float or None
        Probability of the positive class above which it is predicted; None with more than two
        classes.

    n_iter_ : int
        Number of epochs in `history_`.

    module_ : torch.nn.Module
        The default module with submodules ``base``, ``fairness`` and ``head``, or an instance of
        `module`.

    net_ : skorch.NeuralNet
        The skorch network that trained it. It is internal and may change in any release: use the
        methods of the estimator to train and predict.

    group_encoder_ : GroupEncoder or None
        The groups of the training. It is internal: use `groups_` for their names.

    n_features_in_ : int
        Number of features: the second dimension of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame whose column names are all strings.

    See Also
    --------
    fairness_path : Train a classifier for each of several etas or targets.
    FairBiNNClassifierCV : Choose eta or a target by cross-validation.
    fairlearn.metrics.MetricFrame : Audit a fitted model.

    Notes
    -----
    Scale the features of X, as for every neural network. Parity of decisions does not imply parity
    of scores, or of decisions at another threshold: look at both differences.

    The fairness loss weighs all groups alike, whatever their sizes. Rates of groups of a few
    samples cannot be estimated; merge such groups with others.

    References
    ----------
    .. [1] Yazdani-Jahromi, M., Khodabandeh Yalabadi, A., Rajabi, A., Tayebi, A., Garibay, I.,
       Ozmen Garibay, O. (2024). Fair Bilevel Neural Network (FairBiNN): On Balancing fairness and
       accuracy via Stackelberg Equilibrium. NeurIPS 2024. https://arxiv.org/abs/2410.16432

    .. [2] Cotter, A., Jiang, H., Sridharan, K. (2019). Two-Player Games for Efficient Non-Convex
       Constrained Optimization. ALT 2019. https://arxiv.org/abs/1804.06500

    .. [3] Cotter, A., Gupta, M., Jiang, H., Srebro, N., Sridharan, K., Wang, S., Woodworth, B.,
       You, S. (2019). Training Well-Generalizing Classifiers for Fairness Metrics and Other
       Data-Dependent Constraints. ICML 2019. https://arxiv.org/abs/1807.00028

    Examples
    --------
    Labels that depend on a group, and predictions that hardly do:

    >>> import numpy as np
    >>> from fairlearn.metrics import demographic_parity_difference
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 1000)
    >>> X = rng.normal(size=(1000, 4))
    >>> X[:, 0] += 2 * (group == "a")
    >>> y = np.where(X.sum(1) + rng.normal(size=1000) > 1, "yes", "no")
    >>> for eta in (0, 10):
    ...     clf = FairBiNNClassifier(eta=eta, random_state=0)
    ...     predicted = clf.fit(X, y, sensitive_features=group).predict(X) == "yes"
    ...     difference = demographic_parity_difference(
    ...         y == "yes", predicted, sensitive_features=group
    ...     )
    ...     print(f"eta {eta}: accuracy {clf.score(X, y):.2f}, difference {difference:.2f}")
    eta 0: accuracy 0.86, difference 0.33
    eta 10: accuracy 0.78, difference 0.04
    """

    # Metadata routing: what users would otherwise request by set_fit_request.
    __metadata_request__fit = {"sensitive_features": True, "control_features": True}
    __metadata_request__partial_fit = {"sensitive_features": True}

    _nested = ("optimizer", "fairness_optimizer", "lr_schedule", "module")

    # Numbers and choices. TrainingOptions checks the parameters that name classes or objects.
    _parameter_constraints = {
        "eta": [Interval(Real, 0, np.inf, closed="left"), None],
        "fairness_target": [Interval(Real, 0, np.inf, closed="neither"), None],
        "target_samples": [StrOptions(set(TARGET_SAMPLES))],
        "method": [StrOptions(set(METHODS))],
        "n_unroll_steps": [Interval(Integral, 1, None, closed="left")],
        "equalize": [StrOptions(set(EQUALIZE))],
        "rate_window": [Interval(Integral, 0, None, closed="left")],
        "combine": [StrOptions(set(COMBINATIONS))],
        "threshold": [Interval(Real, 0, 1, closed="neither"), StrOptions({"rate"})],
        "fairness_position": [Integral],
        "lr": [Interval(Real, 0, np.inf, closed="neither")],
        "weight_decay": [Interval(Real, 0, np.inf, closed="left"), StrOptions({"auto"})],
        "fairness_lr": [Interval(Real, 0, np.inf, closed="neither")],
        "fairness_max_step": [Interval(Real, 0, np.inf, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, np.inf, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        eta=None,
        *,
        fairness_target=None,
        target_samples="training",
        constraint="demographic_parity",
        method="bilevel",
        n_unroll_steps=1,
        equalize="decisions",
        rate_window=10_000,
        combine="intersection",
        pos_label=None,
        threshold=0.5,
        hidden_layer_sizes=(128, 128),
        fairness_layer_sizes=None,
        fairness_position=-1,
        activation="relu",
        module=None,
        fairness_modules=None,
        optimizer="adam",
        lr=1e-3,
        weight_decay="auto",
        fairness_optimizer="sgd",
        fairness_lr=1e-3,
        fairness_max_step=0.01,
        lr_schedule="cosine",
        max_epochs="auto",
        batch_size="auto",
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        device="auto",
        warm_start=False,
        checkpoint=None,
        verbose=0,
        random_state=None,
        **module__params,  # any nested parameter; scikit-learn's checks need a valid name
    ):
        self.eta = eta
        self.fairness_target = fairness_target
        self.target_samples = target_samples
        self.constraint = constraint
        self.method = method
        self.n_unroll_steps = n_unroll_steps
        self.equalize = equalize
        self.rate_window = rate_window
        self.combine = combine
        self.pos_label = pos_label
        self.threshold = threshold
        self.hidden_layer_sizes = hidden_layer_sizes
        self.fairness_layer_sizes = fairness_layer_sizes
        self.fairness_position = fairness_position
        self.activation = activation
        self.module = module
        self.fairness_modules = fairness_modules
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.fairness_optimizer = fairness_optimizer
        self.fairness_lr = fairness_lr
        self.fairness_max_step = fairness_max_step
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.verbose = verbose
        self.random_state = random_state
        self._store_nested(module__params)

    @_all_or_nothing
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sensitive_features=None, sample_weight=None, control_features=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Training samples, without missing values. Sparse matrices are made dense a few batches
            at a time; a :class:`numpy.memmap` or a torch Dataset is read a part at a time
            (:ref:`larger-than-memory`). With a custom `module`, X may have more than two
            dimensions.

        y : array-like of shape (n_samples,)
            Labels of two classes or more: strings, numbers or booleans.

        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), \
                default=None
            Values of any hashable type, as an array, list, Series, DataFrame, or dict of columns,
            of any library of data frames. Samples are matched by position. If X or y is a pandas
            object with the same index labels in another order, an error is raised. A missing value
            means that the group of the sample is unknown: the sample counts in the accuracy loss
            and in no rate. In an array of strings, numpy converts NaN to the text "nan", which
            forms a group; a warning reports this. A column with more than 50 distinct numbers must
            be cut into groups before `fit`, for example by :func:`pandas.qcut`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the accuracy loss and in the rates of groups, >= 0, scaled to
            mean 1. Not with a function as `constraint`.

        control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Features that may explain a difference between groups, as in
            :class:`fairlearn.metrics.MetricFrame`. They may have the same types as sensitive
            features. Groups are compared within each combination of their values (stratum), and
            `stratum_weight` of the criterion weights the strata. A `fairness_target` bounds the
            difference in every stratum. Strata without two groups are left out. A sample with a
            missing value counts in the accuracy loss only. Control features are not used for
            prediction.

            .. versionadded:: 0.2

        Returns
        -------
        self : FairBiNNClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is not valid, or if training diverges. An estimator that
            was fitted before remains unchanged.

        OSError
            If `checkpoint` cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the accuracy loss ends above that of predicting the label frequencies, the model
            predicts one class for all samples, or the difference exceeds `fairness_target` by more
            than a quarter of the target and by more than 0.01. The difference is measured on the
            training samples, or with `target_samples` "validation" on the samples set aside.
        MissingSensitiveFeaturesWarning
            If the parameters ask for a fairness loss and no sensitive features are passed.
        UserWarning
            If a feature is not scaled (without a custom `module`), a group has fewer than 30
            samples in a rate of the criterion, or a group is named "nan". The clones of an
            estimator, as in a search, show only one warning of each kind in total.
        UserWarning
            If the user interrupts the training (Ctrl-C) after its first epoch. The model is then
            that of the last complete epoch.
        """
        random_state = check_random_state(self.random_state)
        options = TrainingOptions.from_estimator(self)
        schedule = resolve_schedule(self.lr_schedule, self._nested_of("lr_schedule"))
        fitted_net = vars(self).get("net_") if self.warm_start else None
        data = training_data(
            self,
            X,
            y,
            sensitive_features,
            sample_weight,
            control_features=control_features,
            options=options,
            known_classes=None if fitted_net is None else self.classes_,
        )
        checkpoint = self._make_checkpoint(data, fitted_net)
        samples, validation = data.samples, None
        fair = options.wants_fairness and data.has_groups
        if self.early_stopping or (fair and options.target_samples == "validation"):
            samples, validation = split_validation(samples, self.validation_fraction, random_state)
        n_groups = data.n_groups if fair else []
        options = with_weight_decay(options, samples, n_groups)
        net = net_for(options, data, samples, random_state)
        if fitted_net is not None:
            _copy_weights(net, fitted_net)

        n_classes = len(data.classes)
        epochs = number_of_epochs(self.max_epochs, options, samples, n_classes, n_groups)
        is_new = fair and fitted_net is None
        accuracy_epochs = epochs_for_accuracy(options, samples, n_classes, epochs) if is_new else 0
        context = self._init_callback_context(max_subtasks=epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        attributes = functools.partial(fitted_attributes, data=data)
        callbacks = [ForwardToSklearn(self, context, X, y, attributes)]
        if self.early_stopping:
            callbacks.append(StopEarly(self.n_iter_no_change, self.tol))
        if checkpoint is not None:
            callbacks.append(checkpoint)
        callbacks.append(KeepLast())  # after the callbacks whose state it keeps
        net.train(
            samples,
            validation,
            epochs=epochs,
            accuracy_epochs=accuracy_epochs,
            schedule=schedule,
            fair=fair,
            callbacks=[*callbacks, *self._print_log(samples)],
            state=None if checkpoint is None else checkpoint.read(),
        )
        if checkpoint is not None and not net.last_run.interrupted:
            checkpoint.remove()
        set_fitted(self, net, data)
        held_out = validation if options.target_samples == "validation" else None
        warn_of_outcome(net, data, samples, held_out)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    @_all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, *, sensitive_features=None, sample_weight=None):
        """Train one epoch on the given samples, at constant learning rates.

        Optimizers, rates of groups, multipliers of a `fairness_target`, and the random state of the
        batches continue from the last call. Between calls, `eta`, `fairness_target`, `method`,
        `n_unroll_steps`, `batch_size`, `class_weight`, `lr`, `fairness_lr` and `fairness_max_step`
        may be changed. New groups are appended. Every call should contain samples of every group:
        the last known rate of a missing group is reused and pulls the others towards a stale value.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Training samples, as in `fit`.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels; needed in the first call, optional afterwards.

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
                "early_stopping must be False for partial_fit, which has no validation samples, "
                "got True."
            )
        if self.target_samples != "training":
            raise ValueError(
                'target_samples must be "training" for partial_fit, which has no validation '
                f"samples, got {self.target_samples!r}."
            )
        if self.threshold == "rate":
            raise ValueError(
                'threshold must be a number for partial_fit, got "rate", which needs all samples '
                "in one call."
            )
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight must be a dict or None for partial_fit, got "balanced", which needs '
                "all samples at once."
            )
        fitted_net = vars(self).get("net_")
        if fitted_net is None and classes is None:
            raise ValueError("classes must be passed in the first call of partial_fit, got None.")
        if fitted_net is not None and fitted_net.criterion_.n_strata > 1:
            raise ValueError(
                "partial_fit must not follow a fit with control_features, because it has no "
                "parameter for them. Call fit with all samples."
            )
        options = TrainingOptions.from_estimator(self)
        if fitted_net is not None:
            options.check_unchanged(fitted_net.options)
        data = training_data(
            self,
            X,
            y,
            sensitive_features,
            sample_weight,
            options=options,
            classes=classes,
            known_classes=None if fitted_net is None else self.classes_,
            known_groups=None if fitted_net is None else self.group_encoder_,
            fitted_net=fitted_net,
            is_fit=False,
        )
        if fitted_net is None:
            random_state = check_random_state(self.random_state)
            net = net_for(options, data, data.samples, random_state, window=self.rate_window)
        else:
            names = names_of_groups(data.group_encoder)
            net = updated_net(fitted_net, options, data.n_groups, names)
        net.train(
            data.samples,
            epochs=1,
            schedule=SCHEDULES["constant"],
            fair=options.wants_fairness and data.has_groups,
            callbacks=self._print_log(data.samples),
        )
        return set_fitted(self, net, data)

    @property
    def module_(self):
        """The module with submodules ``base``, ``fairness`` and ``head``, or a custom module."""
        return self.net_.module_

    @property
    def threshold_(self):
        """Probability of the positive class above which it is predicted; None with more classes."""
        check_is_fitted(self, "net_")
        criterion = self.net_.criterion_
        if criterion.n_classes > 2:
            return None
        if self.net_.options.threshold != "rate":
            return self.net_.options.threshold
        sign = 1.0 if criterion.positive == 1 else -1.0
        return float(expit(sign * float(criterion.logit_threshold)))

    @property
    def groups_(self):
        """Names of the groups, None without sensitive features."""
        check_is_fitted(self, "net_")
        return None if self.group_encoder_ is None else self.group_encoder_.names_

    def decision_function(self, X):
        """Return logits; with two classes one per sample, the log-odds of ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Samples. Sensitive features are not needed, unless they were columns of X in `fit`.

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits, in float64; with two classes one per sample.

        Raises
        ------
        ValueError
            If X does not have the features of `fit`, is not finite, or overflows the network.
        """
        check_is_fitted(self, "net_")
        X = check_data(self, X, reset=False, input_shape=self.net_.input_shape)
        with neutral_torch_state():
            logits = predict_logits(self.module_, X)
        if not np.isfinite(logits).all():
            raise ValueError(
                "X must have values that the network can take, got values so large that it "
                "overflows. Scale the features."
            )
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`. The probabilities of a sample do not depend on
            the samples that are predicted with it.
        """
        logits = self.decision_function(X)
        if logits.ndim == 2:
            return softmax(logits, axis=1)
        return np.column_stack([expit(-logits), expit(logits)])

    def predict_log_proba(self, X):
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms, in the order of `classes_`; finite where a probability rounds to 0.
        """
        logits = self.decision_function(X)
        if logits.ndim == 2:
            return log_softmax(logits, axis=1)
        return np.column_stack([log_expit(-logits), log_expit(logits)])

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            With two classes, the positive class where its probability is above `threshold_`. With
            more classes, the class with the highest probability.
        """
        logits = self.decision_function(X)
        codes = decide(self.net_, logits)
        return self.classes_[codes]

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix, torch Dataset} of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,)
            Labels, in any form that `fit` takes.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Fraction of samples whose predicted label is correct.
        """
        check_is_fitted(self, "net_")
        codes = label_codes(X, y, self.classes_)
        correct = codes == decide(self.net_, self.decision_function(X))
        return float(np.average(correct, weights=plain_weights(sample_weight, codes)))

    def _make_checkpoint(self, data, fitted_net):
        if self.checkpoint is None:
            return None
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                "random_state must be an integer with a checkpoint, so that a resumed fit draws "
                f"the same numbers, got {self.random_state!r}."
            )
        return Checkpoint(
            self.checkpoint,
            fingerprint(self.get_params(deep=False), data, fitted_net),
            writes=_is_first_process(data.samples),
        )

    def _print_log(self, samples):
        return [PrintEpochs()] if self.verbose and _is_first_process(samples) else []

    def __copy__(self):
        """Return a shallow copy, which shares the network."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __getstate__(self):
        """Return the state for pickle, with the default network as arrays that need no code."""
        state = super().__getstate__()
        net = state.get("net_")
        if net is None or self.module is not None or not isinstance(net, TwoPlayerNet):
            return state
        encoder = state["group_encoder_"]
        plain = {
            "net_": [describe(net), with_arrays(lasting_state(net))],
            "group_encoder_": None if encoder is None else encoder.to_plain(),
        }
        return {**state, **plain}

    def __setstate__(self, state):
        """Load a state; the network returns to its device if that is available."""
        super().__setstate__(state)
        if isinstance(state.get("net_"), list):
            description, lasting = state["net_"]
            try:
                device = resolve_device(description["device"])
            except ValueError:
                device = resolve_device("auto")
            if state["group_encoder_"] is not None:
                self.group_encoder_ = GroupEncoder.from_plain(state["group_encoder_"])
            names = names_of_groups(self.group_encoder_)
            with neutral_torch_state():
                self.net_ = rebuild_net(description, with_tensors(lasting), device, names)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = self.module is not None
        return tags


def _copy_weights(net, fitted_net):
    try:
        net.module_.load_state_dict(fitted_net.module_.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True needs the layers and features of the last fit, which differ. Set "
            "warm_start=False, or restore hidden_layer_sizes, fairness_layer_sizes, "
            f"fairness_position and the features of X. {error}"
        ) from error


def _is_first_process(samples):
    return samples.processes is None or samples.processes.rank == 0

"""From resolved options to an initialised network."""

import contextlib
import copy
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from .._data.labels import positive_code
from .._data.scales import feature_scales
from ..losses import FairnessLoss
from .function_criterion import FunctionCriterion
from .module import MANY_FEATURES, FairBiNNModule, initial_scale, players
from .net import TwoPlayerNet, seeded
from .options import TrainingOptions
from .rate_criterion import RateCriterion
from .resolve import check_names, resolve_optimizer
from .run import RunSummary
from .state import restore_lasting
from .thresholds import logit_threshold


def build_net(
    options,
    *,
    input_shape,
    n_classes,
    n_groups,
    window,
    device,
    random_state,
    positive=1,
    n_strata=1,
    group_names=None,
):
    """Return a network with new weights.

    Parameters
    ----------
    options : TrainingOptions
        Options of the training.

    input_shape : tuple
        Shape of a sample.

    n_classes : int
        Number of classes.

    n_groups : list of int
        Number of groups of each partition.

    window : int
        Number of samples over which rates are averaged.

    device : torch.device
        Device of the network.

    random_state : numpy.random.RandomState
        Draws the seed of weights and batches.

    positive : {0, 1}, default=1
        Code of the positive class of two.

    n_strata : int, default=1
        Number of strata within which groups are compared.

    group_names : list of pandas.Index, default=None
        Names of the groups of each partition, if sensitive features were passed.
    """
    threshold = logit_threshold(options.threshold, n_classes, positive)
    seed = random_state.randint(np.iinfo(np.int32).max)
    n_outputs = 1 if n_classes == 2 else n_classes
    build = _default_module if options.module is None else _own_module
    module = build(options, input_shape, n_outputs, seed)
    constraint = options.constraint
    is_rates = isinstance(constraint, FairnessLoss)
    if is_rates and group_names is not None:
        constraint = constraint.bind(group_names)
    net = TwoPlayerNet(
        module,
        RateCriterion if is_rates else FunctionCriterion,
        criterion__constraint=constraint,
        criterion__n_strata=n_strata,
        criterion__n_groups=n_groups,
        criterion__n_outputs=n_outputs,
        criterion__equalize=options.equalize,
        criterion__window=window,
        criterion__positive=positive,
        optimizer=resolve_optimizer(
            "optimizer",
            options.optimizer,
            device=device,
            given=options.nested["optimizer"],
            lr=options.lr,
            weight_decay=options.weight_decay,
        ),
        optimizer__weight_decay=options.weight_decay,
        lr=options.lr,
        fairness_optimizer=resolve_optimizer(
            "fairness_optimizer",
            options.fairness_optimizer,
            device=device,
            given=options.nested["fairness_optimizer"],
            lr=options.fairness_lr,
        ),
        options=options,
        fairness_modules=options.fairness_modules,
        input_shape=input_shape,
        rng=np.random.default_rng(int(seed)),
        device=device,
        callbacks="disable",
        train_split=None,
        verbose=0,
    )
    with seeded(seed, device) if options.draws_random_numbers else contextlib.nullcontext():
        net.initialize()
    net.criterion_.logit_threshold.fill_(threshold)
    return net


def net_for(options, data, samples, random_state, window=None):
    """Return a network with new weights for training data.

    Parameters
    ----------
    options : TrainingOptions
        Options of the training.

    data : TrainingData
        Classes and groups.

    samples : Samples
        Samples to train on, all of the data or a part.

    random_state : numpy.random.RandomState
        Draws the seed of weights and batches.

    window : int, default=None
        Number of samples over which rates are averaged. None means `rate_window`, at most an epoch.
    """
    net = build_net(
        options,
        input_shape=tuple(samples.X.shape[1:]),
        n_classes=len(data.classes),
        n_groups=data.n_groups,
        window=min(options.rate_window, len(samples)) if window is None else window,
        device=samples.device,
        random_state=random_state,
        positive=positive_code(options.given["pos_label"], data.classes),
        n_strata=data.n_strata,
        group_names=names_of_groups(data.group_encoder),
    )
    if options.module is None and samples.X.shape[1] > MANY_FEATURES:
        squared_norm = np.square(feature_scales(samples.thinned(1_000))).sum()
        with torch.no_grad():
            scale = net.module_.first_layer().scale
            scale.fill_(initial_scale(len(scale), squared_norm))
    return net


def names_of_groups(encoder):
    """Return the names of the groups of each partition, None without sensitive features."""
    return None if encoder is None else encoder.names_by_partition


def updated_net(net, options, n_groups, group_names=None):
    """Return a copy of a fitted network with changed options and room for new groups.

    Multipliers are kept under a target and reset otherwise. Pass `group_names` if the groups may
    not have been known before, as in `build_net`.
    """
    net = copy.deepcopy(net)
    net.options = replace(options, weight_decay=net.options.weight_decay)  # "auto" may differ
    if options.fairness_target is None:
        net.criterion_.reset_multipliers()
    if options.target_samples == "training":
        net.criterion_.reset_offsets()
    net.criterion_.add_groups(n_groups)
    if options.has_rates and group_names is not None:
        net.criterion_.constraint = net.criterion_.constraint.bind(group_names)
    return net


def describe(net):
    """Return the plain values from which `rebuild_net` builds a network like this one."""
    return {
        "params": net.options.given,
        "input_shape": list(net.input_shape),
        "n_classes": net.criterion_.n_classes,
        "n_groups": list(net.criterion_.n_groups),
        "window": net.criterion_.window,
        "positive": net.criterion_.positive,
        "n_strata": net.criterion_.n_strata,
        "weight_decay": net.options.weight_decay,
        "device": str(net.device),
        "last_run": vars(net.last_run),
    }


def rebuild_net(description, state, device, group_names=None):
    """Return a network from its description and lasting state, on a device."""
    options = TrainingOptions.from_params(description["params"])
    net = build_net(
        replace(options, weight_decay=description["weight_decay"]),
        input_shape=tuple(description["input_shape"]),
        n_classes=description["n_classes"],
        n_groups=description["n_groups"],
        window=description["window"],
        positive=description["positive"],
        n_strata=description["n_strata"],
        group_names=group_names,
        device=device,
        random_state=np.random.RandomState(0),
    )
    restore_lasting(net, state)
    net.last_run = RunSummary(**description["last_run"])
    return net


def _default_module(options, input_shape, n_outputs, seed):
    """Return a builder of the fully connected module."""
    return partial(
        FairBiNNModule,
        input_shape[0],
        n_outputs,
        hidden_layer_sizes=options.hidden_layer_sizes,
        fairness_layer_sizes=options.fairness_layer_sizes,
        fairness_position=options.fairness_position,
        activation=options.activation,
        seed=seed,
    )


def _own_module(options, input_shape, n_outputs, seed):
    """Return a builder of the user's module, after a trial with two samples."""
    size = input_shape[0] if len(input_shape) == 1 else input_shape
    given = options.nested["module"]
    check_names("module", options.module, given)
    # Copied, because networks must not share a submodule that is passed as a parameter.
    module = partial(options.module, size, n_outputs, **copy.deepcopy(given))
    with seeded(seed, torch.device("cpu")):
        _try_module(module, options, input_shape, n_outputs)
    return module


def _try_module(build, options, input_shape, n_outputs):
    prefix = f"module={options.given['module']!r}"
    try:
        module = build()
    except Exception as error:
        raise ValueError(
            f"{prefix} must be built from the input size ({build.args[0]}: the number of features, "
            "or the shape of a sample if X has more than two dimensions), the number of outputs "
            f"({build.args[1]}) and module__ parameters, got {build.keywords}: {error}"
        ) from error
    try:
        leader, follower = players(module, options.fairness_modules)
    except AttributeError as error:
        raise ValueError(
            "fairness_modules must name submodules of the follower among "
            f"{[name for name, _ in module.named_modules() if name]}, or {prefix} must have the "
            "methods accuracy_parameters() and fairness_parameters(), got fairness_modules="
            f"{options.given['fairness_modules']!r}: {error}"
        ) from error
    trained = [name for name, param in module.named_parameters() if param.requires_grad]
    if idle := [name for name in trained if name not in leader.keys() | follower.keys()]:
        raise ValueError(
            f"{prefix} must give each parameter to a player, got {idle} in neither. Name them in "
            "accuracy_parameters() or fairness_parameters(), or freeze them by requires_grad."
        )
    if not leader or not follower or leader.keys() & follower.keys():
        raise ValueError(
            f"{prefix} must give each player separate parameters; the leader has {list(leader)}, "
            f"the follower {list(follower)}."
        )
    try:
        with torch.no_grad():
            logits = module.eval()(torch.zeros(2, *input_shape))
    except Exception as error:
        raise ValueError(f"{prefix} must take X of shape (2, {input_shape}): {error}") from error
    if getattr(logits, "shape", None) != (2, n_outputs):
        raise ValueError(
            f"{prefix} must return logits of shape (N, {n_outputs}), got "
            f"{tuple(getattr(logits, 'shape', ())) or type(logits)} for 2 samples."
        )

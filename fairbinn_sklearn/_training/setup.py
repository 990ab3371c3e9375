"""From an estimator and the arguments of `fit` to encoded training samples."""

import numpy as np
import torch

from .._data.frames import check_order
from .._data.groups import warn_of_missing_as_text, warn_of_small_groups
from .._data.labels import plain_labels, positive_code
from .._data.scales import warn_of_scales
from .._data.sources import Source
from .._data.validation import check_data, encode_training_data
from .._utils.distributed import Processes
from .rate_criterion import check_events
from .resolve import resolve_device


def training_data(
    estimator,
    X,
    y,
    sensitive_features,
    sample_weight,
    *,
    control_features=None,
    options,
    classes=None,
    known_classes=None,
    known_groups=None,
    fitted_net=None,
    is_fit=True,
):
    """Check and encode training samples.

    Parameters
    ----------
    estimator : FairBiNNClassifier
        Estimator on which scikit-learn stores or compares the number and names of the features.

    X, y, sensitive_features, sample_weight, control_features
        As in `FairBiNNClassifier.fit`.

    options : TrainingOptions
        Options of the training.

    classes, known_classes, known_groups, is_fit
        As in `encode_training_data`.

    fitted_net : TwoPlayerNet, default=None
        Network that is trained further.

    Returns
    -------
    data : TrainingData
        Encoded samples, classes, groups and features.
    """
    check_order(sensitive_features, X=X, y=y)
    check_order(control_features, of="control_features", X=X, y=y)
    resumes = fitted_net is not None
    device = torch.device(fitted_net.device) if resumes else resolve_device(estimator.device)
    X, y = check_data(
        estimator,
        X,
        plain_labels(y),
        reset=not resumes,
        input_shape=fitted_net.input_shape if resumes else None,
    )
    names = ("n_features_in_", "feature_names_in_")
    data = encode_training_data(
        X,
        y,
        sensitive_features,
        sample_weight,
        control_features=control_features,
        options=options,
        class_weight=estimator.class_weight,
        device=device,
        dtype=options.dtype(len(y), device) if is_fit else torch.float32,
        features={name: getattr(estimator, name) for name in names if hasattr(estimator, name)},
        classes=classes,
        known_classes=known_classes,
        known_groups=known_groups,
        is_fit=is_fit,
    )
    if known_groups is None and options.wants_fairness and data.group_encoder is not None:
        _warn_of_groups(data, options)
    if not resumes and not isinstance(data.samples.X, Source):
        warn_of_scales(data.samples.thinned(1_000), options, data.features)
    if isinstance(estimator.device, str) and estimator.device == "accelerate":
        data.samples.processes = Processes()
        data.samples.processes.check(data.samples, estimator.random_state, options.method)
    return data


def _warn_of_groups(data, options):
    """Warn about groups whose rates cannot be estimated or whose names look like missing values."""
    warn_of_missing_as_text(data.group_encoder)
    samples, n_classes = data.samples, len(data.classes)
    events = np.ones((1, n_classes), dtype=bool)
    if options.has_rates:
        events = check_events(options.constraint, n_classes).numpy()
        if positive_code(options.given["pos_label"], data.classes) == 0:
            events = events[:, ::-1]  # the criterion expects the positive class as code 1
    y, codes, weight = (
        None if column is None else column.cpu().numpy()
        for column in (samples.y, data.group_codes, samples.sample_weight)
    )
    warn_of_small_groups(codes, data.group_encoder, weight, events[:, y])

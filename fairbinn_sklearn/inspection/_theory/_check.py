"""The public function: read the network, run it on samples, judge each assumption."""

import math

import pandas as pd

from .._history import TrainingHistory, split_pipeline
from .._report import InspectionReport
from . import _players, _structure
from ._layers import lipschitz_bound, read_layers
from ._probe import evaluating, largest_gradient, recording_outputs


def check_assumptions(clf, X):
    """Check a fitted network against the assumptions of the paper.

    The theory of FairBiNN [1]_ assumes Lipschitz layers and activations, bounded outputs of the
    layers, small steps of the follower, a leader with many parameters and a loss that is strictly
    convex near its optimum. The report says which of these hold for the network, with the number
    that each verdict rests on. It does not say whether the model is good: see :func:`diagnose`.

    Parameters
    ----------
    clf : FairBiNNClassifier or Pipeline
        Fitted classifier, or a fitted pipeline that ends in one.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples to run the network on, as for `predict`. Training samples will do.

    Returns
    -------
    report : InspectionReport
        One finding for each assumption. Its `details` are:

        - "layers": DataFrame with one row for each layer, by name, in the order of the forward
          pass: the "block" of the network that contains it, its "type", "lipschitz" (upper bound
          of its Lipschitz constant, NaN if unknown), "bounded" (whether its outputs are bounded
          for any weights of the layers before it, None if unknown), "largest_output" (largest
          absolute output on `X`) and "how" the bound was found.
        - "lipschitz_upper": upper bound of the Lipschitz constant of the network, from its input
          to its logits; NaN if unknown.
        - "lipschitz_lower": largest norm of the gradient of the logits on `X`, a lower bound of
          the same constant; NaN if the input has no gradient.
        - "block_bounds": dict with the upper bounds of the blocks of the network, by name; NaN if
          unknown.

    Raises
    ------
    TypeError
        If `clf` is not a FairBiNNClassifier or a pipeline that ends in one.

    NotFittedError
        If `clf` is not fitted.

    ValueError
        If `X` does not fit `clf`.

    See Also
    --------
    diagnose : Find what to change after a training.

    Notes
    -----
    The upper bound of the Lipschitz constant is the product over layers of the largest singular
    value of their weights and the largest slope of their activations. It is exact for one linear
    layer, and often many times too large for a deep network. Both bounds are those of the network
    in evaluation mode. The product is a bound only if layers run one after the other, as in the
    default network and in nested :class:`torch.nn.Sequential`. For other modules the layers are
    listed, and the verdict on the network is "unknown".

    The paper lists softmax, hard tanh and hard sigmoid as not Lipschitz. They are: the constants
    are 1/2, 1 and 1/6 (as torch defines it; 1/5 elsewhere). ReLU, leaky ReLU with a slope of at
    most 1, ELU with alpha of at most 1, tanh and softplus have 1, the sigmoid 1/4, SiLU 1.0998,
    Mish 1.0885, GELU 1.1289.

    The network, its gradients, its mode and all random states are left unchanged.

    References
    ----------
    .. [1] Yazdani-Jahromi, M., Khodabandeh Yalabadi, A., Rajabi, A., Tayebi, A., Garibay, I.,
       Ozmen Garibay, O. (2024). Fair Bilevel Neural Network (FairBiNN): On Balancing fairness and
       accuracy via Stackelberg Equilibrium. NeurIPS 2024. https://arxiv.org/abs/2410.16432

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.inspection import check_assumptions
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 1000)
    >>> X = rng.normal(size=(1000, 3)) + (group == "a")[:, None]
    >>> y = (X.sum(axis=1) + rng.normal(size=1000) > 1.5).astype(int)
    >>> for activation in ("relu", "tanh"):
    ...     clf = FairBiNNClassifier(eta=3, activation=activation, random_state=0)
    ...     report = check_assumptions(clf.fit(X, y, sensitive_features=group), X)
    ...     print(report.to_frame().loc["bounded_outputs", "verdict"])
    does not hold
    holds
    """
    clf, X, samples = split_pipeline(clf, X)
    module, history = clf.module_, TrainingHistory.of(clf)
    with evaluating(module):
        clf.decision_function(X)  # some parametrizations set their weights in a forward pass
        layers = read_layers(module)
        with recording_outputs(layers) as largest_outputs:
            lower = largest_gradient(module, samples)
    block_bounds = _structure.block_bounds(module, layers)
    findings = [
        _structure.check_activations(layers),
        _structure.check_layers(layers),
        _structure.check_network(layers, block_bounds, lower),
        _structure.check_outputs(layers, largest_outputs),
        _players.check_small_steps(history),
        _players.check_leader_size(history),
        _structure.check_convexity(layers, history),
        _players.check_settled(history),
    ]
    n_samples = samples.shape[0]
    return InspectionReport(
        findings,
        title=f"Assumptions of the FairBiNN paper, checked on {n_samples:,} samples",
        advice_title="What to change",
        details={
            "layers": _layer_table(layers, largest_outputs),
            "lipschitz_upper": lipschitz_bound(layers),
            "lipschitz_lower": lower,
            "block_bounds": block_bounds,
        },
    )


def _layer_table(layers, largest_outputs):
    """Return the layers as a DataFrame."""
    return pd.DataFrame(
        {
            "block": [layer.block for layer in layers],
            "type": [layer.type_name for layer in layers],
            "lipschitz": [layer.lipschitz for layer in layers],
            "bounded": pd.array([layer.bounded for layer in layers], dtype=object),
            "largest_output": [largest_outputs.get(layer.name, math.nan) for layer in layers],
            "how": [layer.how for layer in layers],
        },
        index=pd.Index([layer.name for layer in layers], name="layer"),
    )

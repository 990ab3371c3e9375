"""The public function: read the net, look at it with the rows, judge."""

import math

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._classifier import FairBiNNClassifier
from .._data.validation import check_data
from . import _structure, _training, _trouble
from ._audit import audit
from ._course import Course
from ._layers import bound, read_layers
from ._probe import evaluating, largest_slope, watched
from ._report import AssumptionsReport
from ._resampling import check_bootstrap


def check_assumptions(
    clf,
    X,
    y=None,
    *,
    sensitive_features=None,
    n_boot=1000,
    confidence_level=0.95,
    random_state=None,
):
    """Check a fitted net against the assumptions of the paper, and for signs of trouble.

    The theory of FairBiNN [1]_ assumes Lipschitz layers and activations, bounded outputs of the
    layers, small steps of the follower, a leader with many parameters and a loss that is strictly
    convex near its optimum. The report says which of these hold for the net at hand, with the
    figure behind each verdict. It adds what to look at first when training went wrong: the same
    decision for everybody, a difference that did not fall, accuracy lost in vain.

    Parameters
    ----------
    clf : FairBiNNClassifier or Pipeline
        Fitted estimator, or a fitted pipeline that ends in one.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to look at the net with, as `predict` takes them; training rows do, but for `audit`.

    y : array-like of shape (n_samples,), default=None
        Labels of the rows, needed with `sensitive_features`.

    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Sensitive features of the rows, as in `fit`. With them the report has one check more,
        "audit": the difference of the decisions on `X`, in the rates of the `constraint`, with a
        bootstrap interval.

    n_boot : int, default=1000
        Number of resamples of the rows behind the interval, >= 1.

    confidence_level : float, default=0.95
        Level of the interval, in (0, 1).

    random_state : int, RandomState instance or None, default=None
        Draws the resamples.

    Returns
    -------
    report : AssumptionsReport
        The verdicts. Print it, or take `to_frame` for the details.

    Raises
    ------
    TypeError
        If `clf` is something else.

    NotFittedError
        If `clf` is not fitted.

    ValueError
        If `X` does not fit `clf`, or another parameter is not valid.

    See Also
    --------
    AssumptionsReport : What is returned.
    AuditDisplay : Rates of all groups with their intervals.

    Notes
    -----
    Verdicts are "holds", "does not hold", "unknown" and "does not apply". But for the check "audit"
    the differences in the report are those of the training rows while the weights moved.

    The interval of the audit is that of :class:`AuditDisplay`, with the same limits.

    An upper bound of the Lipschitz constant is the product over layers of the largest singular
    value of their weights and the largest slope of their activations. It is exact for one linear
    layer, and often many times too large for a deep net; the largest gradient of the logits on
    `X` is a lower bound. Both take the net as it predicts, in evaluation mode. The product
    holds for compositions only: the default net, `torch.nn.Sequential`, and what is nested of it.
    Of other modules the layers are listed, and the net is "unknown".

    The paper lists softmax, hard tanh and hard sigmoid as not Lipschitz. They are: the constants
    are 1/2, 1 and 1/6 (as torch defines it; 1/5 elsewhere). ReLU, leaky ReLU with a slope of 1 at
    most, ELU with alpha of 1 at most, tanh and softplus have 1, the sigmoid 1/4, SiLU 1.0998, Mish
    1.0885, GELU 1.1289.

    The net, its gradients, its mode and all random states stay as they are.

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
    bootstrap = {
        "n_boot": n_boot,
        "confidence_level": confidence_level,
        "random_state": random_state,
    }
    check_bootstrap("check_assumptions", **bootstrap)
    clf, X = _last_step(clf, X)
    rows = check_data(clf, X, reset=False, input_shape=clf.net_.input_shape)
    net, course = clf.module_, Course.of(clf)
    leader, follower = clf.net_.players()
    n_trained = clf.net_.last_run.n_samples
    with evaluating(net):
        decisions = clf.predict(X)
        layers = read_layers(net)  # after a pass: some parametrizations set their weights there
        with watched(layers) as largest:
            seen = largest_slope(net, rows)
    blocks = _structure.block_bounds(net, layers)
    checks = [
        *_structure.check_structure(layers, blocks, seen, largest),
        _training.check_small_steps(course, follower),
        _training.check_leader_size(
            leader, n_trained or len(decisions), told=n_trained is not None
        ),
        _structure.check_convexity(
            layers, leader, clf.net_.optimizer_.param_groups[0]["weight_decay"]
        ),
        _training.check_settled(course),
        _trouble.check_decisions(decisions, course),
        _trouble.check_difference(course),
        _trouble.check_price(course),
        _trouble.check_agreement(course),
        _training.check_step_room(course),
    ]
    if sensitive_features is not None:
        found = audit(clf, decisions, y, sensitive_features, **bootstrap)
        checks.append(_trouble.check_audit(*found, confidence_level, course))
    table, n_rows = _table(layers, largest), len(decisions)
    return AssumptionsReport(checks, table, bound(layers), seen, blocks, n_rows)


def _last_step(clf, X):
    """Classifier at the end of a pipeline, and X as it gets there."""
    last = clf.steps[-1][1] if isinstance(clf, Pipeline) else clf
    if not isinstance(last, FairBiNNClassifier):
        raise TypeError(
            "clf must be a fitted FairBiNNClassifier, or a Pipeline that ends in one, got "
            f"{type(clf).__name__}"
            + (f" that ends in {type(last).__name__}." if last is not clf else ".")
            + (" Pass its best_estimator_." if hasattr(clf, "best_estimator_") else "")
        )
    check_is_fitted(last, "net_")
    if last is not clf and len(clf) > 1:
        X = clf[:-1].transform(X)
    return last, X


def _table(layers, largest):
    """Layers as a DataFrame."""
    return pd.DataFrame(
        {
            "block": [layer.block for layer in layers],
            "type": [layer.type_name for layer in layers],
            "lipschitz": [layer.lipschitz for layer in layers],
            "bounded": pd.array([layer.bounded for layer in layers], dtype=object),
            "largest_output": [largest.get(layer.name, math.nan) for layer in layers],
            "how": [layer.how for layer in layers],
        },
        index=pd.Index([layer.name for layer in layers], name="layer"),
    )

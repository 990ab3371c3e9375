"""What the report on a fitted net says, against nets of which the answer is known."""

import copy
import html
import math
import pickle
import re
import warnings
from collections import OrderedDict

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from conftest import make_data
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
)
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.inspection import (
    AssumptionsReport,
    AuditDisplay,
    _activations,
    check_assumptions,
)
from fairbinn_sklearn.inspection._layers import bound, read_layers

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402


def make(**params):
    return FairBiNNClassifier(**{"max_epochs": 2, "device": "cpu", "random_state": 0, **params})


def fit(data, **params):
    X, y, group = data
    return make(**params).fit(X, y, sensitive_features=group)


def verdicts(clf, X):
    return check_assumptions(clf, X).to_frame()["verdict"]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def data():
    return make_data(300)


@pytest.fixture(scope="module")
def fitted(data):
    return fit(data, eta=3)


@pytest.fixture
def clf(fitted):
    """A fitted net that the test may change."""
    return copy.deepcopy(fitted)


# Constants of activations

ACTIVATIONS = [
    nn.CELU(alpha=2.0),
    nn.ELU(alpha=0.5),
    nn.ELU(alpha=2.0),
    nn.GELU(),
    nn.GELU(approximate="tanh"),
    nn.Hardshrink(lambd=0.0),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.Hardtanh(min_val=-2.0, max_val=3.0),
    nn.LeakyReLU(),
    nn.LeakyReLU(negative_slope=-2.0),
    nn.LogSigmoid(),
    nn.Mish(),
    nn.PReLU(init=0.25),
    nn.PReLU(init=-3.0),
    nn.ReLU(),
    nn.ReLU6(),
    nn.RReLU(lower=2.0, upper=3.0),
    nn.SELU(),
    nn.SiLU(),
    nn.Sigmoid(),
    nn.Softplus(),
    nn.Softplus(beta=3.0),
    nn.Softshrink(),
    nn.Softsign(),
    nn.Tanh(),
    nn.Tanhshrink(),
    nn.Threshold(threshold=1.0, value=1.0),
]
OF_ROWS = [nn.Softmax(dim=-1), nn.Softmin(dim=-1)]
WITHOUT_CONSTANT = [
    nn.CELU(alpha=-1.0),
    nn.GLU(),
    nn.Hardshrink(),
    nn.Softplus(threshold=2.0),
    nn.Threshold(threshold=1.0, value=0.0),
]


def constant(module):
    return _activations.constant(type(module), module)


def test_every_known_activation_is_tried():
    tried = {type(module) for module in [*ACTIVATIONS, *OF_ROWS, *WITHOUT_CONSTANT]}
    assert tried == _activations.CONSTANTS.keys()


@pytest.mark.parametrize("module", ACTIVATIONS, ids=repr)
def test_constant_is_the_steepest_secant(module):
    x = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    with torch.no_grad():
        slopes = (module.double().eval()(x).diff() / x.diff()).abs()
    assert slopes.max() <= constant(module) * (1 + 1e-9)
    assert slopes.max() >= constant(module) * (1 - 1e-4)


@pytest.mark.parametrize("module", OF_ROWS, ids=repr)
@pytest.mark.parametrize("n_classes", [2, 5])
def test_constant_of_softmax_bounds_its_jacobians_and_is_reached(module, n_classes):
    generator = torch.Generator().manual_seed(0)
    rows = 5 * torch.randn(300, n_classes, generator=generator, dtype=torch.float64)
    unlikely = 40.0 if isinstance(module, nn.Softmin) else -40.0
    rows[0] = torch.tensor([0.0, 0.0, unlikely, unlikely, unlikely])[:n_classes]
    jacobians = torch.vmap(torch.func.jacrev(module))(rows)
    norms = torch.linalg.matrix_norm(jacobians, ord=2)
    assert norms.max() <= constant(module) * (1 + 1e-12)
    assert norms[0] == pytest.approx(constant(module))


@pytest.mark.parametrize("module", WITHOUT_CONSTANT, ids=repr)
def test_no_constant_where_slopes_have_no_bound(module):
    assert constant(module) == math.inf
    if isinstance(module, nn.GLU):
        steep = torch.func.jacrev(module)(torch.tensor([1e6, 0.0])).abs().max()
    elif isinstance(module, nn.CELU):
        steep = (module(torch.tensor([-20.0])) - module(torch.tensor([-19.9]))).abs() / 0.1
    else:  # a jump
        x = torch.linspace(-3, 3, 6_000_001, dtype=torch.float64)
        steep = (module(x).diff() / x.diff()).abs().max()
    assert steep > 1e4


@pytest.mark.parametrize("module", [*ACTIVATIONS, *OF_ROWS], ids=repr)
def test_bounded_activations_and_no_others_stay_bounded(module):
    far = torch.tensor([[-1e9, 1e9], [1e9, -1e9]])
    bounded = module.float().eval()(far).detach().abs().max() < 10
    assert bounded == (type(module) in _activations.BOUNDED)


@pytest.mark.parametrize("module", [*ACTIVATIONS, *OF_ROWS, *WITHOUT_CONSTANT], ids=repr)
def test_only_homogeneous_activations_pass_a_factor_on(module):
    x = torch.tensor([[-1.7, -0.3, 0.6, 1.9]])
    module = module.float().eval()
    homogeneous = torch.allclose(module(9 * x), 9 * module(x))
    if isinstance(module, nn.Hardshrink) and module.lambd == 0:
        assert homogeneous  # the identity, which is not worth an exception in the table
        return
    assert homogeneous == (type(module) in _activations.HOMOGENEOUS)


# Bounds of layers


def largest_jacobian(module, rows):
    """Largest norm of the Jacobian at the rows, in float64."""
    module = copy.deepcopy(module).double().eval()

    def one(row):
        return module(row[None].clone())[0].flatten()

    jacobians = torch.stack([torch.func.jacrev(one)(row) for row in rows.double()])
    return torch.linalg.matrix_norm(jacobians.flatten(2), ord=2).max().item()


def only_bound(module):
    (layer,) = read_layers(nn.Sequential(module.eval()))
    return layer.lipschitz


def test_bound_of_a_linear_layer_is_exact():
    layer = nn.Linear(5, 3)
    assert only_bound(layer) == pytest.approx(np.linalg.norm(layer.weight.detach().numpy(), 2))


def test_bound_of_batch_norm_is_exact_outside_training():
    layer = nn.BatchNorm1d(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -4.0, 2.0]))
        layer.running_var.copy_(torch.tensor([1.0, 4.0, 0.01]))
    assert only_bound(layer) == pytest.approx(largest_jacobian(layer, torch.randn(4, 3)))
    plain = nn.BatchNorm1d(3, affine=False)
    assert only_bound(plain) == pytest.approx(largest_jacobian(plain, torch.randn(4, 3)))
    (of_batches,) = read_layers(nn.BatchNorm1d(3, track_running_stats=False))
    assert of_batches.kind == "unknown"


@pytest.mark.parametrize("layer", [nn.LayerNorm(6, eps=1e-2), nn.RMSNorm(6, eps=1e-2)], ids=repr)
def test_bound_of_row_norms_is_nearly_reached_at_constant_rows(layer):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 1.0, 3.0, 1.0, 1.0, 1.0]))
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    rows[0] = 0.0
    assert largest_jacobian(layer, rows[1:]) < 0.5 * only_bound(layer)
    assert 0.9 * only_bound(layer) < largest_jacobian(layer, rows) <= only_bound(layer)


def test_row_norms_without_eps_have_no_bound():
    assert only_bound(nn.LayerNorm(6, eps=0.0)) == math.inf
    assert math.isfinite(only_bound(nn.RMSNorm(6)))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 3, 3, padding=1), (2, 7)),
        (nn.Conv1d(4, 6, 3, groups=2, stride=2), (4, 9)),
        (nn.Conv2d(2, 3, (3, 5), dilation=(1, 2), padding="same"), (2, 5, 6)),
    ],
    ids=repr,
)
def test_bound_of_a_convolution_bounds_its_matrix(layer, shape):
    layer.reset_parameters()
    matrix = largest_jacobian(layer, torch.zeros(1, *shape))
    assert matrix <= only_bound(layer) < 6 * matrix


def test_bound_of_a_convolution_of_one_offset_is_exact():
    layer = nn.Conv1d(4, 6, 1, groups=2)
    assert only_bound(layer) == pytest.approx(largest_jacobian(layer, torch.zeros(1, 4, 3)))
    circular = nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular")
    assert math.isnan(only_bound(circular))


def test_weights_made_by_a_parametrization_are_read_as_the_net_uses_them():
    layer = spectral_norm(nn.Linear(5, 5), n_power_iterations=50).eval()
    assert [one.type_name for one in read_layers(nn.Sequential(layer))] == ["Linear"]
    assert only_bound(layer) == pytest.approx(1.0, rel=1e-3)


def test_bound_of_a_sequence_is_the_product_through_all_nests():
    torch_net = nn.Sequential(
        nn.Linear(4, 8),
        nn.Sequential(nn.Dropout(), nn.GELU(), nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())),
        nn.Flatten(),
        nn.Linear(8, 2),
    ).eval()
    layers = read_layers(torch_net)
    assert [layer.name for layer in layers] == ["0", "1.0", "1.1", "1.2.0", "1.2.1", "2", "3"]
    singular = [
        np.linalg.norm(one.weight.detach().numpy(), 2)
        for one in torch_net.modules()
        if isinstance(one, nn.Linear)
    ]
    assert bound(layers) == pytest.approx(np.prod(singular) * _activations._GELU["none"] / 4)
    assert largest_jacobian(torch_net, torch.randn(20, 4)) < bound(layers)


def test_a_module_that_stands_twice_counts_twice():
    shared = nn.Linear(4, 4)
    once, twice = (read_layers(nn.Sequential(*[shared] * n)) for n in (1, 2))
    assert bound(twice) == pytest.approx(bound(once) ** 2)


# The net in its input


def test_bound_is_met_where_layers_have_one_direction(data):
    clf = fit(data, hidden_layer_sizes=(), fairness_layer_sizes=1, activation="identity")
    report = check_assumptions(clf, data[0])
    assert report.lipschitz_seen == pytest.approx(report.lipschitz_bound, rel=1e-5)
    assert report.block_bounds["base"] == 1.0
    assert np.prod(list(report.block_bounds.values())) == pytest.approx(report.lipschitz_bound)
    slope = np.ptp(clf.decision_function(np.vstack([np.zeros(4), [1e-3, 0, 0, 0]]))) / 1e-3
    assert slope <= report.lipschitz_bound


def test_largest_gradient_is_that_of_the_logits_at_the_rows(clf, data):
    X = data[0][:40]
    report = check_assumptions(clf, X)
    expected = largest_jacobian(clf.module_, torch.from_numpy(X))
    assert report.lipschitz_seen == pytest.approx(expected, rel=1e-4)
    assert report.lipschitz_seen < report.lipschitz_bound
    frame = report.to_frame()
    assert frame.loc["net", "value"] == report.lipschitz_bound
    assert f"at most {report.lipschitz_bound:.3g}" in frame.loc["net", "figure"]
    assert (frame.loc[["activations", "layers", "net"], "verdict"] == "holds").all()


def test_largest_gradient_of_many_rows_and_of_several_logits(data):
    X, _, group = data
    y = np.digitize(X.sum(1), [0, 2])
    clf = make().fit(X, y, sensitive_features=group)
    report = check_assumptions(clf, np.vstack([X, np.zeros((2000, 4))]))
    expected = largest_jacobian(clf.module_, torch.from_numpy(X))
    assert report.lipschitz_seen == pytest.approx(expected, rel=1e-4)
    largest = np.abs(clf.decision_function(X)).max()
    assert report.layers.loc["head.0", "largest_output"] == pytest.approx(largest, rel=1e-5)
    assert report.to_frame().loc["decisions", "verdict"] == "holds"


@pytest.mark.parametrize("activation", [nn.Hardshrink, nn.Softshrink])
def test_net_without_a_constant(data, activation):
    report = check_assumptions(fit(data, activation=activation), data[0])
    frame = report.to_frame()
    steady = activation is nn.Softshrink
    expected = "holds" if steady else "does not hold"
    assert (frame.loc[["activations", "net"], "verdict"] == expected).all()
    assert frame.loc["layers", "verdict"] == "holds"
    assert math.isinf(report.lipschitz_bound) != steady
    assert ("Replace Hardshrink" in repr(report)) != steady


# Nets of one's own


class Composed(nn.Sequential):
    def __init__(self, n_features, n_outputs, width=6, middle=nn.Tanh):
        super().__init__(
            OrderedDict(
                base=nn.Sequential(nn.Linear(n_features, width), middle()),
                fairness=nn.Sequential(nn.Linear(width, width), middle()),
                head=nn.Linear(width, n_outputs),
            )
        )


class Normalised(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        super().__init__(
            OrderedDict(
                base=nn.Sequential(nn.Linear(n_features, 6), nn.LayerNorm(6), nn.ReLU()),
                fairness=nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.LayerNorm(6), nn.Identity()),
                head=nn.Sequential(nn.Dropout(0.5), nn.Linear(6, n_outputs)),
            )
        )


class Residual(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.fairness = nn.Sequential(nn.Linear(n_features, n_features), nn.Tanh())
        self.head = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.head(X + 100 * self.fairness(X))


class Sine(nn.Module):
    def forward(self, X):
        return torch.sin(X)


class Lookup(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.table = nn.EmbeddingBag(3, 4)
        self.fairness = nn.Linear(4, n_outputs)

    def forward(self, X):
        return self.fairness(self.table((X > 0).long()))


def fit_own(data, module, **params):
    return fit(data, module=module, fairness_modules="fairness", **params)


def test_own_sequence_gets_a_bound(data):
    report = check_assumptions(fit_own(data, Composed), data[0])
    frame = report.to_frame()
    assert list(report.block_bounds) == ["base", "fairness", "head"]
    assert report.lipschitz_seen <= report.lipschitz_bound < math.inf
    assert (frame.loc[["net", "bounded_outputs"], "verdict"] == "holds").all()
    assert report.layers.loc["fairness.1", "bounded"] is True
    assert report.layers.loc["fairness.0", "bounded"] is False


def test_normalisation_bounds_the_outputs_of_relu(data):
    report = check_assumptions(fit_own(data, Normalised), data[0])
    assert report.to_frame().loc["bounded_outputs", "verdict"] == "holds"
    assert report.layers.loc["base.2", "bounded"] is True
    assert report.lipschitz_seen <= report.lipschitz_bound


def test_own_forward_is_unknown_though_its_layers_are_known(data):
    clf = fit_own(data, Residual)
    report = check_assumptions(clf, data[0])
    frame = report.to_frame()
    layers = report.layers
    product = layers.loc[["fairness.0", "fairness.1", "head"], "lipschitz"].prod()
    assert product < report.lipschitz_seen  # it would be no bound
    assert math.isnan(report.lipschitz_bound)
    assert report.block_bounds["fairness"] == layers.loc["fairness.0", "lipschitz"]
    names = ["activations", "layers", "net", "bounded_outputs"]
    assert (frame.loc[names, "verdict"] == "unknown").all()
    assert "Of Residual no bound is known" in frame.loc["net", "change"]
    assert repr(report).count("Of Residual no bound is known") == 1
    assert layers.loc["(net)", "type"] == "Residual"
    assert layers["bounded"].isna().all()
    assert frame.loc["strict_convexity", "verdict"] == "unknown"


def test_unknown_type_within_a_sequence(data):
    report = check_assumptions(fit_own(data, Composed, module__middle=Sine), data[0])
    assert report.to_frame().loc["net", "verdict"] == "unknown"
    assert "Sine" in report.to_frame().loc["net", "change"]
    assert math.isnan(report.block_bounds["base"])
    assert report.block_bounds["head"] == report.layers.loc["head", "lipschitz"]


def test_net_whose_rows_have_no_gradient(data):
    report = check_assumptions(fit_own(data, Lookup), data[0])
    assert math.isnan(report.lipschitz_seen)
    assert report.to_frame().loc["net", "figure"] == "not seen"
    assert report.layers.loc["table", "largest_output"] > 0


class Flat(nn.Sequential):
    def __init__(self, input_size, n_outputs):
        super().__init__(
            OrderedDict(
                base=nn.Sequential(nn.ReLU(inplace=True), nn.Conv1d(input_size[0], 3, 2)),
                flat=nn.Flatten(),
                fairness=nn.Linear(3 * (input_size[1] - 1), 4),
                head=nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, n_outputs)),
            )
        )


def test_rows_of_more_dimensions_and_layers_in_place(data):
    X, y, group = data
    X = X.reshape(len(X), 2, 2)
    before = X.copy()
    clf = fit_own((X, y, group), Flat)
    report = check_assumptions(clf, X)
    expected = largest_jacobian(clf.module_, torch.from_numpy(X[:50].copy()))
    assert check_assumptions(clf, X[:50]).lipschitz_seen == pytest.approx(expected, rel=1e-4)
    assert report.lipschitz_seen <= report.lipschitz_bound
    assert np.array_equal(X, before)


# Outputs


@pytest.mark.parametrize(
    ("activation", "verdict"),
    [("relu", "does not hold"), ("tanh", "holds"), ("relu6", "holds"), ("gelu", "does not hold")],
)
def test_outputs_bounded_by_the_activation(data, activation, verdict):
    report = check_assumptions(fit(data, activation=activation), data[0])
    assert report.to_frame().loc["bounded_outputs", "verdict"] == verdict


def test_largest_output_of_each_layer_is_measured(clf, data):
    X = torch.from_numpy(data[0].copy())
    layers = check_assumptions(clf, data[0]).layers
    with torch.no_grad():
        hidden = clf.module_.base[0](X)
    assert layers.loc["base.0", "largest_output"] == pytest.approx(
        hidden.abs().max().item(), rel=1e-5
    )
    assert layers.loc["base.1", "largest_output"] == pytest.approx(hidden.max().item(), rel=1e-5)
    logits = clf.decision_function(data[0])
    assert layers.loc["head.0", "largest_output"] == pytest.approx(np.abs(logits).max(), rel=1e-5)


# The players


def test_small_net_has_fewer_parameters_than_rows(data):
    clf = fit(data, hidden_layer_sizes=(5,))
    frame = check_assumptions(clf, data[0][:50]).to_frame()
    assert frame.loc["overparameterised", "figure"] == "31 parameters, 300 rows"  # 5 * 5 + 6
    assert frame.loc["overparameterised", "verdict"] == "does not hold"
    assert verdicts(fit(data, hidden_layer_sizes=(50,)), data[0])["overparameterised"] == "holds"


def test_rows_of_x_stand_in_for_training_rows_that_are_not_recorded(data):
    clf = fit(data, hidden_layer_sizes=(5,))
    del clf.net_.n_rows
    frame = check_assumptions(clf, data[0][:30]).to_frame()
    assert frame.loc["overparameterised", "verdict"] == "holds"
    assert "not recorded" in frame.loc["overparameterised", "how"]


def test_flat_curve_that_rules_out_strict_convexity_is_there(clf, data):
    frame = check_assumptions(clf, data[0]).to_frame()
    assert frame.loc["strict_convexity", "figure"] == "flat between base.0 and base.2"
    before = clf.decision_function(data[0])
    base = clf.module_.base
    with torch.no_grad():
        for parameter in base[0].parameters():
            parameter.mul_(3)
        base[2].weight.div_(3)
    assert clf.decision_function(data[0]) == pytest.approx(before, abs=1e-5)


@pytest.mark.parametrize(
    ("params", "verdict"),
    [
        ({"activation": "leaky_relu"}, "does not hold"),
        ({"fairness_position": 0}, "does not hold"),  # the pair is in the head
        ({"activation": "tanh"}, "unknown"),
        ({"hidden_layer_sizes": (8,)}, "unknown"),  # the follower is in between
    ],
)
def test_strict_convexity_is_judged_in_the_leaders_layers(data, params, verdict):
    assert verdicts(fit(data, **params), data[0])["strict_convexity"] == verdict


@pytest.mark.parametrize("params", [{"eta": 0}, {"method": "lagrangian"}])
def test_no_follower(data, params):
    found = verdicts(fit(data, **params), data[0])
    assert found["small_steps"] == found["step_room"] == "does not apply"


def test_steps_of_the_follower(data):
    clf = fit(data, eta=3, max_epochs=5)
    frame = check_assumptions(clf, data[0]).to_frame()
    assert frame.loc["small_steps", "value"] == max(r["fairness_step"] for r in clf.history_) > 0
    assert (frame.loc[["small_steps", "step_room"], "verdict"] == "holds").all()
    assert "below bound 0.01" in frame.loc["small_steps", "figure"]


def test_steps_always_at_their_bound(data):
    tight = fit(data, eta=3, fairness_max_step=1e-9, lr_schedule="constant")
    frame = check_assumptions(tight, data[0]).to_frame()
    assert frame.loc["step_room", "verdict"] == "does not hold"
    assert frame.loc["step_room", "figure"] == "at the bound in 100% of epochs"
    assert frame.loc["small_steps", "verdict"] == "holds"
    assert "at bound 1e-09" in frame.loc["small_steps", "figure"]
    assert "fairness_max_step (now 1e-09)" in frame.loc["step_room", "change"]


def test_long_steps_are_not_small(data):
    clf = fit(data, eta=30, fairness_lr=10.0, fairness_max_step=5.0)
    assert verdicts(clf, data[0])["small_steps"] == "does not hold"


# The course of training


def with_history(clf, **columns):
    """The estimator with other figures in its history."""
    n_epochs = len(next(iter(columns.values())))
    clf.history_ = [
        {**clf.history_[-1], "epoch": i + 1, **{key: column[i] for key, column in columns.items()}}
        for i in range(n_epochs)
    ]
    clf.net_.epochs = n_epochs
    return clf


FALLING = list(np.linspace(1.0, 0.1, 20))
STEADY = [1.0, 0.5, 0.3, 0.2, *[0.15] * 16]


@pytest.mark.parametrize(
    ("loss", "schedule", "verdict", "figure"),
    [
        (FALLING, "constant", "does not hold", "moved by 21.1% in the last 4 of 20 epochs"),
        (STEADY, "constant", "holds", "moved by 0.0% in the last 4 of 20 epochs"),
        ([*STEADY[:-1], 0.3], "constant", "does not hold", "moved by 17.6% in"),
        ([*FALLING[:12], *[0.5] * 8], "constant", "holds", "in the last 4 of 20 epochs"),
        # Half of the epochs have a fifth of the way where the rates fall to 0.
        ([*FALLING[:12], *[0.5] * 8], "cosine", "does not hold", "in the last 11 of 20 epochs"),
        (STEADY, "cosine", "holds", "moved by 0.0% in the last 11 of 20 epochs"),
        (FALLING[:4], "constant", "unknown", "epochs: 4"),
        ([0.5] * 20, "constant", "unknown", "it never moved"),
    ],
)
def test_loss_settles(clf, data, loss, schedule, verdict, figure):
    n = len(loss)
    rates = np.ones(n) if schedule == "constant" else (1 + np.cos(np.pi * np.arange(n) / n)) / 2
    found = check_assumptions(with_history(clf, loss=loss, lr=0.1 * rates), data[0])
    row = found.to_frame().loc["settled"]
    assert row["verdict"] == verdict
    assert figure in row["figure"]


def test_parts_have_constant_rates_whatever_the_schedule(data):
    X, y, group = data
    clf = make()
    for _ in range(9):
        clf.partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    frame = check_assumptions(clf, X).to_frame()
    assert "in the last 2 of 9 epochs" in frame.loc["settled", "figure"]


def test_early_stopping_is_judged_at_the_epoch_that_it_kept(clf, data):
    objective = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.9, 0.9]
    with_history(
        clf,
        validation_objective=objective,
        loss=[1.0, 0.4, 0.3, 0.3, 0.3, 0.3, 9.0, 9.0],
        decision_difference=[0.5, 0.4, 0.3, 0.2, 0.1, 0.01, 0.9, 0.9],
    )
    frame = check_assumptions(clf, data[0]).to_frame()
    assert "of 6 epochs" in frame.loc["settled", "figure"]
    assert frame.loc["difference", "value"] == 0.01
    assert frame.loc["price", "verdict"] == "holds"


# Decisions and differences


def all_alike(clf, bias):
    with torch.no_grad():
        clf.module_.head[-1].bias.fill_(bias)
    return clf


@pytest.mark.parametrize(("bias", "label"), [(1e3, 1), (-1e3, 0)])
def test_one_decision_for_everybody(clf, data, bias, label):
    row = check_assumptions(all_alike(clf, bias), data[0]).to_frame().loc["decisions"]
    assert row["verdict"] == "does not hold"
    assert row["figure"] == f"300 of 300 are {label}"
    assert row["value"] == 1
    assert "Lower eta (now 3)" in row["change"]


def test_advice_on_one_decision_without_fairness_loss(data):
    frame = check_assumptions(all_alike(fit(data, eta=0), 1e3), data[0]).to_frame()
    assert "class_weight" in frame.loc["decisions", "change"]
    assert "eta" not in frame.loc["decisions", "change"]


def test_nearly_one_decision_is_left_to_the_reader(clf, data):
    X = data[0]
    logits = np.sort(all_alike(clf, 0.0).decision_function(X))
    row = check_assumptions(all_alike(clf, -logits[1:3].mean()), X).to_frame().loc["decisions"]
    assert row["figure"] == "298 of 300 are 1"
    assert row["verdict"] == "unknown"
    assert row["change"].startswith("Unless the labels are as uneven: ")


def test_few_rows_say_nothing_of_shares(clf, data):
    assert verdicts(clf, data[0][:1])["decisions"] == "unknown"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.3, 0.3, 0.3], "does not hold"),
        ([0.02, 0.2, 0.3], "does not hold"),
        ([0.3, 0.3, 0.28], "does not hold"),
        ([0.3, 0.3, 0.2], "holds"),
        ([0.04, 0.04, 0.04], "holds"),
    ],
)
def test_difference_that_did_not_fall(clf, data, differences, verdict):
    row = check_assumptions(with_history(clf, decision_difference=differences), data[0])
    row = row.to_frame().loc["difference"]
    assert row["verdict"] == verdict
    assert row["value"] == differences[-1]
    assert bool(row["change"]) == (verdict == "does not hold")


@pytest.mark.parametrize(
    ("equalize", "last", "told"),
    [
        ("decisions", 0.2, "decision_difference in"),
        ("scores", 0.01, "score_difference in"),
        ("both", 0.2, "the larger of decision_difference and score_difference in"),
    ],
)
def test_difference_is_that_of_what_the_fairness_loss_counts(clf, data, equalize, last, told):
    clf.net_.criterion_.equalize = equalize
    with_history(clf, decision_difference=[0.1, 0.2], score_difference=[0.3, 0.01])
    row = check_assumptions(clf, data[0]).to_frame().loc["difference"]
    assert row["value"] == last
    assert told in row["how"]


def test_a_target_that_is_met_is_enough(data):
    X, y, group = data
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The running difference ended")
        clf = make(fairness_target=0.2).fit(X, y, sensitive_features=group)
    row = check_assumptions(with_history(clf, decision_difference=[0.21, 0.22]), X)
    assert row.to_frame().loc["difference", "verdict"] == "holds"
    row = check_assumptions(with_history(clf, decision_difference=[0.3, 0.3]), X)
    assert "Lower fairness_target (now 0.2)" in row.to_frame().loc["difference", "change"]


@pytest.mark.parametrize(
    ("loss", "differences", "verdict"),
    [
        ([0.6, 0.3, 0.4], [0.3, 0.2, 0.2], "does not hold"),
        ([0.6, 0.3, 0.4], [0.3, 0.2, 0.1], "holds"),
        ([0.6, 0.3, 0.31], [0.3, 0.2, 0.2], "holds"),
        ([0.6, 0.4, 0.3], [0.1, 0.2, 0.3], "does not apply"),
    ],
)
def test_accuracy_lost_in_vain(clf, data, loss, differences, verdict):
    with_history(clf, loss=loss, decision_difference=differences)
    assert verdicts(clf, data[0])["price"] == verdict


@pytest.mark.parametrize(
    ("decision", "score", "verdict", "advice"),
    [
        (0.01, 0.2, "does not hold", 'set equalize="scores"'),
        (0.2, 0.01, "does not hold", "Raise eta (now 3) if they are decisions"),
        (0.2, 0.2, "holds", ""),
        (0.01, 0.08, "holds", ""),
    ],
)
def test_parity_of_decisions_and_of_scores(clf, data, decision, score, verdict, advice):
    with_history(clf, decision_difference=[decision], score_difference=[score])
    row = check_assumptions(clf, data[0]).to_frame().loc["scores_agree"]
    assert row["verdict"] == verdict
    assert advice in row["change"]


def test_nothing_is_said_of_differences_that_are_not_recorded(data):
    X, y, _ = data
    found = verdicts(make(eta=0).fit(X, y), X)
    assert found["difference"] == found["price"] == "does not apply"
    assert found["scores_agree"] == "unknown"
    clf = fit(data, constraint=lambda scores, y, groups: (scores @ groups).var())
    found = verdicts(clf, X)
    assert found["difference"] == found["price"] == found["scores_agree"] == "unknown"


# Input, and what is left as it was


def test_pipeline_is_looked_at_with_what_its_net_sees(data):
    X, y, group = data
    frame = pd.DataFrame(1000 * X, columns=list("abcd"))
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, make()).fit(
        frame, y, fairbinnclassifier__sensitive_features=group
    )
    through = check_assumptions(pipeline, frame)
    direct = check_assumptions(pipeline[-1], scaler.transform(frame))
    pd.testing.assert_frame_equal(through.to_frame(), direct.to_frame())
    assert through.lipschitz_seen == direct.lipschitz_seen


def test_pipeline_of_one_step(clf, data):
    pipeline = make_pipeline(clf)
    assert repr(check_assumptions(pipeline, data[0])) == repr(check_assumptions(clf, data[0]))


def test_sparse_rows(clf, data):
    X = np.where(data[0] > 0, data[0], 0)
    dense, sparse = (check_assumptions(clf, one) for one in (X, sp.csr_array(X)))
    assert repr(dense) == repr(sparse)
    assert dense.lipschitz_seen == sparse.lipschitz_seen


def test_errors(clf, data):
    X, y, group = data
    with pytest.raises(TypeError, match="clf must be a fitted FairBiNNClassifier.*got Standard"):
        check_assumptions(StandardScaler(), X)
    with pytest.raises(TypeError, match="got Pipeline that ends in StandardScaler"):
        check_assumptions(make_pipeline(StandardScaler(), StandardScaler()), X)
    search = GridSearchCV(make(), {"eta": [3]}, cv=2).fit(X, y, sensitive_features=group)
    with pytest.raises(TypeError, match="got GridSearchCV. Pass its best_estimator_"):
        check_assumptions(search, X)
    for unfitted in (make(), make_pipeline(StandardScaler(), make())):
        with pytest.raises(NotFittedError):
            check_assumptions(unfitted, X)
    with pytest.raises(ValueError, match="X has 3 features"):
        check_assumptions(clf, X[:, :3])
    with pytest.raises(ValueError, match="the net overflows"):
        check_assumptions(clf, np.full((2, 4), 3e38))


class Draws(nn.Module):
    def forward(self, X):
        return X + 0 * torch.rand(())


def test_everything_is_left_as_it_was(data):
    clf = fit_own(data, Normalised)
    clf.module_.fairness.append(Draws())
    module = clf.module_.train()
    module.base.eval()
    modes = [part.training for part in module.modules()]
    weights = copy.deepcopy(module.state_dict())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()

    check_assumptions(clf, data[0])

    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    assert all(bool((parameter.grad == 1).all()) for parameter in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])


class Fails(nn.Module):
    def forward(self, X):
        if X.requires_grad:
            raise RuntimeError("no gradient here")
        return X


def test_everything_is_left_as_it_was_after_a_failure(clf, data):
    clf.module_.fairness.append(Fails())
    clf.module_.train()
    with pytest.raises(RuntimeError, match="no gradient here"):
        check_assumptions(clf, data[0])
    assert all(part.training for part in clf.module_.modules())
    assert not any(part._forward_hooks for part in clf.module_.modules())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradient_mode_of_the_caller_plays_no_part(clf, data, mode):
    expected = check_assumptions(clf, data[0]).lipschitz_seen
    with mode():
        assert check_assumptions(clf, data[0]).lipschitz_seen == expected


def test_dropout_is_looked_at_as_the_net_predicts(data):
    clf = fit_own(data, Normalised)
    clf.module_.train()
    first, second = (check_assumptions(clf, data[0]).lipschitz_seen for _ in range(2))
    assert first == second
    expected = largest_jacobian(clf.module_, torch.tensor(data[0]))
    assert first == pytest.approx(expected, rel=1e-3)


# The report


def test_table_of_the_report(clf, data):
    report = check_assumptions(clf, data[0])
    lines = repr(report).splitlines()
    assert str(report) == repr(report)
    assert lines[0] == "FairBiNN's assumptions and training, checked on 300 rows"
    assert lines[2] == "Assumptions of the paper"
    rows = [line for line in lines if line.startswith("  [")]
    frame = report.to_frame()
    assert len(rows) == len(frame) == 13
    marks = {"holds": "[+]", "does not hold": "[!]", "unknown": "[?]", "does not apply": "[ ]"}
    column = rows[0].index("Activations")
    for row, (_, check) in zip(rows, frame.iterrows(), strict=True):
        assert row.startswith(f"  {marks[check['verdict']]} {check['verdict']}  ")
        assert row[column - 2 : column].isspace()
        assert row[column:].startswith(check["statement"])
        assert row.endswith(check["figure"])
    assert max(map(len, lines)) <= 110
    changes = [check for check in frame.index if f"  {check}: " in repr(report)]
    assert changes == frame.index[frame["change"] != ""].tolist() != []


def test_frame_of_the_report(clf, data):
    frame = check_assumptions(clf, data[0]).to_frame()
    assert frame.index.name == "check"
    assert frame.index.is_unique
    columns = ["kind", "statement", "verdict", "value", "figure", "how", "change"]
    assert frame.columns.tolist() == columns
    assert set(frame["kind"]) == {"assumption", "training"}
    assert (frame[["statement", "figure", "how"]] != "").all(axis=None)
    assert (frame.loc[frame["verdict"] == "holds", "change"] == "").all()
    assert (frame.loc[frame["verdict"] == "does not hold", "change"] != "").all()


def test_html_of_the_report_is_escaped(data):
    X, y, group = data
    labels = np.where(y == 1, "<script>alert('yes')</script>", "<b>no</b>")
    report = check_assumptions(fit((X, labels, group)), X)
    page = report._repr_html_()
    assert "&lt;b&gt;no" in page or "&lt;script&gt;" in page
    tags = set(re.findall(r"<(\w+)", page))
    assert tags == {"table", "caption", "tr", "th", "td"}
    assert page.count("<tr>") == 1 + 2 + len(report.to_frame())
    for column in ("statement", "figure", "how", "change"):
        assert all(html.escape(text) in page for text in report.to_frame()[column])


def test_report_can_be_kept(clf, data):
    report = check_assumptions(clf, data[0])
    again = pickle.loads(pickle.dumps(report))
    assert isinstance(again, AssumptionsReport)
    assert repr(again) == repr(report)
    pd.testing.assert_frame_equal(again.layers, report.layers)


def test_early_stopping_then_parts(data):
    X, y, group = data
    clf = make(early_stopping=True).fit(X, y, sensitive_features=group)
    clf.set_params(early_stopping=False).partial_fit(X, y, sensitive_features=group)
    assert check_assumptions(clf, X).to_frame().loc["settled", "verdict"] != ""


def test_parameters_set_after_fit_change_no_verdict(data):
    X, y, group = data
    clf = make(eta=3).fit(X, y, sensitive_features=group)
    before = check_assumptions(clf, X).to_frame()
    clf.set_params(weight_decay=7, equalize="scores", fairness_max_step=1, lr_schedule="constant")
    pd.testing.assert_frame_equal(check_assumptions(clf, X).to_frame(), before)


# The audit of given rows


def audit_of(clf, X, y, groups, **settings):
    report = check_assumptions(
        clf, X, y, sensitive_features=groups, **{"n_boot": 200, "random_state": 0, **settings}
    )
    return report.to_frame().loc["audit"]


def test_no_audit_without_groups(clf, data):
    assert "audit" not in verdicts(clf, data[0])


@pytest.mark.parametrize(
    ("constraint", "metric"),
    [
        ("demographic_parity", demographic_parity_difference),
        ("equal_opportunity", equal_opportunity_difference),
        ("equalized_odds", equalized_odds_difference),
        (["demographic_parity", "equal_opportunity"], demographic_parity_difference),
    ],
)
@pytest.mark.parametrize("combine", ["intersection", "separate"])
def test_audit_is_that_of_fairlearn(data, constraint, metric, combine):
    X, y, group = data
    age = np.random.default_rng(0).uniform(20, 80, len(y))
    groups = pd.DataFrame({"group": group, "age": age})
    y = np.array(["no", "yes"])[y]
    clf = make(constraint=constraint, combine=combine, n_bins={"age": 2}, eta=0.1, max_epochs=8)
    clf.fit(X, y, sensitive_features=groups)
    old = age > clf.bin_edges_["age"][1]
    columns = [{"group": group, "old": old}] if combine == "intersection" else [group, old]
    truth, decided = y == "yes", clf.predict(X) == "yes"
    expected = max(metric(truth, decided, sensitive_features=one) for one in columns)
    if isinstance(constraint, list):
        others = [
            equal_opportunity_difference(truth, decided, sensitive_features=one) for one in columns
        ]
        expected = max(expected, *others)
    row = audit_of(clf, X, y, groups)
    assert row["value"] == pytest.approx(expected)
    low, high = map(float, re.search(r"from (\S+) to (\S+),", row["figure"]).groups())
    assert 0 <= low < high <= 1 and low <= expected + 0.02


def test_audit_of_three_classes(data):
    X, y, group = data
    y = y + (X[:, 0] > 1)
    clf = make(constraint="equalized_odds").fit(X, y, sensitive_features=group)
    decided = clf.predict(X)
    expected = max(
        demographic_parity_difference(y[y == k], decided[y == k] == c, sensitive_features=rows)
        for k in range(3)
        for c in range(3)
        for rows in [group[y == k]]
    )
    assert audit_of(clf, X, y, group)["value"] == pytest.approx(expected)


def test_interval_of_the_audit_is_that_of_the_display(clf, data):
    X, y, group = data
    row = audit_of(clf, X, y, group, n_boot=4000)
    ends = [float(end) for end in re.search(r"from (\S+) to (\S+),", row["figure"]).groups()]
    drawn = AuditDisplay.from_estimator(
        clf, X, y, sensitive_features=group, n_boot=4000, random_state=1
    )
    plt.close("all")
    expected = drawn.differences["after"].loc["selection_rate", ["low", "high"]]
    np.testing.assert_allclose(ends, expected, atol=0.01)


def test_verdict_of_the_audit(clf, data):
    """Small, in doubt and large, by the difference of decisions that are set."""
    X, y, _ = data
    decisions = clf.predict(X)
    even = np.arange(len(y)) % 2

    def verdict(groups, repeats):
        rows, truth = np.repeat(X, repeats, 0), np.repeat(y, repeats)
        return audit_of(clf, rows, truth, np.repeat(groups, repeats))["verdict"]

    rank = np.argsort(np.argsort(decisions, kind="stable"))
    assert verdict(decisions, 1) == "does not hold"
    assert verdict(rank % 2, 1) == "unknown"  # as even as it gets, but few rows
    assert verdict(rank % 2, 20) == "holds"
    clf.net_.target = 0.9
    assert verdict(even, 1) == "holds"


def test_few_rows_prove_no_parity(clf, data):
    """A rate of 0 of 5 rows has an interval without width; a lone group has no difference."""
    X, y, group = data
    refused = np.flatnonzero(clf.predict(X) == 0)[:45]
    rows = X[refused], y[refused]
    few = audit_of(clf, *rows, np.arange(45) < 5)
    assert (few["value"], few["verdict"]) == (0, "unknown")
    assert "5 rows or more a rate" in few["figure"] and "fewer than 30 rows" in few["how"]
    rows = np.repeat(rows[0], 2, 0), np.repeat(rows[1], 2)
    assert audit_of(clf, *rows, np.arange(90) % 2)["verdict"] == "holds"
    alone = audit_of(clf, X, y, np.zeros(len(y)))
    assert alone["verdict"] == "unknown" and "no two groups" in alone["how"]


def test_audit_under_a_function_is_unknown(data):
    def gap(scores, y, groups):
        return (groups.T @ scores).var()

    X, y, group = data
    clf = fit(data, constraint=gap)
    row = audit_of(clf, X, y, group)
    assert row["verdict"] == "unknown" and math.isnan(row["value"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "y must be given with sensitive_features, got None"),
        ({"y": [0, 1]}, r"y must have a label for each of the 300 rows of X, got the shape \(2,\)"),
        ({"y": np.full(300, np.nan)}, "Input y contains NaN"),
        ({"y": np.full(300, 7)}, r"y must have the classes \[0, 1\] and no others, got \[7\]"),
        ({"groups": ["a"] * 299}, "same number of rows, got 299 and 300"),
        ({"n_boot": -1}, "'n_boot' parameter of check_assumptions must be an int"),
    ],
)
def test_audit_that_cannot_be(clf, data, change, message):
    X, y, groups = data
    with pytest.raises(ValueError, match=message):
        audit_of(clf, **{"X": X, "y": y, "groups": groups, **change})

"""The hand-written gradients equal those of automatic differentiation."""

import copy

import numpy as np
import pytest
import torch
from conftest import make
from skorch.callbacks import Callback
from torch.testing import assert_close

from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._training.backprop import AutogradBackprop
from fairbinn_sklearn._training.build import build_net
from fairbinn_sklearn._training.dense import ACTIVATIONS, DenseBackprop
from fairbinn_sklearn._training.flat import flatten, unflatten, views
from fairbinn_sklearn._training.module import players
from fairbinn_sklearn._training.net import TwoPlayerNet
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn._training.resolve import ACTIVATIONS as NAMES
from fairbinn_sklearn._training.resolve import SCHEDULES
from fairbinn_sklearn._training.update_rules import METHODS
from fairbinn_sklearn.losses import DemographicParity

N_SAMPLES = 150


class KeepParams(Callback):
    """Keep the parameters in the precision of the training."""

    def on_train_end(self, net, **kwargs):
        self.params = [param.detach().clone() for param in net.module_.parameters()]


def samples_of(n_classes, n_groups, weighted):
    rng = np.random.default_rng(0)
    groups = np.stack([rng.integers(-1, n, size=N_SAMPLES) for n in n_groups], 1)
    X = 3 * rng.normal(size=(N_SAMPLES, 5)) + 3 * groups[:, :1]
    y = rng.integers(n_classes, size=N_SAMPLES)
    weights = [rng.uniform(0.5, 2, N_SAMPLES) if weighted else None for _ in range(2)]
    return Samples(X, y, groups, *weights, torch.device("cpu"), torch.float64)


def make_net(n_classes=2, n_groups=(2,), **params):
    defaults = {"hidden_layer_sizes": (6, 4), "eta": 3.0, "batch_size": 32, "fairness_lr": 1.0}
    options = TrainingOptions.from_estimator(make(**{**defaults, **params}))
    return build_net(
        options,
        input_shape=(5,),
        n_classes=n_classes,
        n_groups=list(n_groups),
        window=100,
        device=torch.device("cpu"),
        random_state=np.random.RandomState(0),
    )


def trained_params(net, samples, fair=True, epochs=3):
    keep = KeepParams()
    net.train(samples, epochs=epochs, schedule=SCHEDULES["cosine"], fair=fair, callbacks=[keep])
    return keep.params


def assert_equal_training(monkeypatch, n_classes=2, n_groups=(2,), weighted=False, fair=True, **kw):
    net = make_net(n_classes, n_groups, **kw)
    reference = copy.deepcopy(net)
    samples = samples_of(n_classes, n_groups, weighted)
    assert net.is_dense
    before = [param.detach().clone() for param in net.module_.parameters()]
    params = trained_params(net, samples, fair)
    monkeypatch.setattr(TwoPlayerNet, "is_dense", False)
    expected = trained_params(reference, samples, fair)
    for param, expected_param in zip(params, expected, strict=True):
        assert_close(param, expected_param, rtol=0, atol=1e-10)
    for names in players(net.module_):
        moves = [
            (param - old).abs().max()
            for param, old, (name, _) in zip(
                params, before, net.module_.named_parameters(), strict=True
            )
            if name in names
        ]
        assert max(moves) > 1e-6
    assert list(net.history[:, "loss"]) == pytest.approx(reference.history[:, "loss"], abs=1e-12)
    for name in ("optimizer_", "fairness_optimizer_"):
        assert_equal_states(getattr(net, name), getattr(reference, name))


def assert_equal_states(optimizer, expected):
    state, expected = optimizer.state_dict(), expected.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"].keys() == expected["state"].keys()
    for index, slots in expected["state"].items():
        for name, value in slots.items():
            assert_close(state["state"][index][name], value, rtol=0, atol=1e-8)


@pytest.mark.parametrize("activation", NAMES)
def test_activations(monkeypatch, activation):
    assert_equal_training(monkeypatch, activation=activation)


def test_all_named_activations_have_hand_written_gradients():
    assert set(ACTIVATIONS) == set(NAMES.values())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"unrolled"}))
@pytest.mark.parametrize("n_classes", [2, 3])
def test_update_rules(monkeypatch, method, activation, n_classes):
    assert_equal_training(monkeypatch, method=method, activation=activation, n_classes=n_classes)


def test_accuracy_only(monkeypatch):
    assert_equal_training(monkeypatch, fair=False)


@pytest.mark.parametrize("widths", [None, (3,), (3, 7)])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_positions_and_widths_of_the_fairness_layers(monkeypatch, position, widths):
    assert_equal_training(
        monkeypatch, fairness_position=position, fairness_layer_sizes=widths, activation="tanh"
    )


def test_no_hidden_layers(monkeypatch):
    assert_equal_training(monkeypatch, hidden_layer_sizes=(), fairness_layer_sizes=(4,))


@pytest.mark.parametrize(
    "params",
    [
        {"constraint": "equalized_odds"},
        {"constraint": "equal_opportunity", "weighted": True},
        {"eta": None, "fairness_target": 1e-3, "equalize": "scores"},
        {"eta": None, "fairness_target": 1e-3, "equalize": "both", "n_groups": (3, 2)},
        {"constraint": lambda scores, y, groups: (scores @ groups).std()},
        {"optimizer": "nadam", "fairness_optimizer": "adam"},
        {"optimizer": "rmsprop", "fairness_optimizer": "rmsprop"},
        {"optimizer": "adamw", "optimizer__amsgrad": True},
        {"optimizer": "sgd", "lr": 0.05, "optimizer__momentum": 0.9},
    ],
    ids=lambda params: "-".join(params),
)
def test_criteria_targets_weights_and_optimizers(monkeypatch, params):
    assert_equal_training(monkeypatch, **params)


def test_batches_of_any_size():
    net = make_net()
    net.module_.double()
    expected = copy.deepcopy(net.module_)
    dense = DenseBackprop(net.module_, net.options.activation, flatten(net))
    for n_samples in (3, 8, 1, 8):
        X = torch.randn(n_samples, 5, dtype=torch.float64)
        assert_close(dense.forward(X), expected(X))


def test_a_player_without_a_loss_has_no_gradient():
    net = make_net()
    flat_params = flatten(net)
    dense = DenseBackprop(net.module_, net.options.activation, flat_params)
    logits = dense.forward(torch.randn(4, 5))
    leader, follower = dense.backward(torch.ones_like(logits), None)
    assert leader[0].shape == flat_params[0][0].shape
    assert follower == []
    leader, follower = dense.backward(None, torch.ones_like(logits))
    assert follower[0].shape == flat_params[1][0].shape
    assert leader == []


def test_one_loss_for_both_players():
    net = make_net()
    reference = copy.deepcopy(net)
    X = torch.randn(4, 5)
    dense = DenseBackprop(net.module_, net.options.activation, flatten(net))
    grad = torch.randn_like(dense.forward(X))
    gradients = dense.backward(grad, grad)
    autograd = AutogradBackprop(reference.module_, reference.players(), None)
    autograd.forward(X)
    for (flat,), expected in zip(gradients, autograd.backward(grad, grad), strict=True):
        assert_close(views(flat, expected), list(expected))


def test_flattening_and_back_changes_nothing():
    net = make_net(optimizer="adam", fairness_optimizer="adam")
    trained_params(net, samples_of(2, (2,), False))
    before = copy.deepcopy(net)
    flat_params = flatten(net)
    assert [len(params) for params in flat_params] == [1, 1]
    assert all(len(slots) for slots in net.optimizer_.state.values())
    unflatten(net)
    for param, expected in zip(net.module_.parameters(), before.module_.parameters(), strict=True):
        assert torch.equal(param, expected)
        assert not any(param.data_ptr() == flat.data_ptr() for (flat,) in flat_params)
    for name in ("optimizer_", "fairness_optimizer_"):
        assert_equal_states(getattr(net, name), getattr(before, name))


def test_a_copy_in_training_is_not_flat():
    copies = []

    class CopyNet(Callback):
        def on_epoch_end(self, net, **kwargs):
            copies.append(copy.deepcopy(net))

    net = make_net()
    net.train(
        samples_of(2, (2,), False),
        epochs=1,
        schedule=SCHEDULES["constant"],
        fair=True,
        callbacks=[CopyNet()],
    )
    shapes = [param.shape for param in net.module_.parameters()]
    (copied,) = copies
    copied._cast(torch.float32)
    assert [p.shape for p in copied.optimizer_.param_groups[0]["params"]] == shapes
    assert_equal_states(copied.optimizer_, net.optimizer_)


@pytest.mark.parametrize(
    "params",
    [{"activation": torch.nn.Mish}, {"optimizer": torch.optim.Adagrad}, {"method": "unrolled"}],
    ids=["activation", "optimizer", "method"],
)
def test_other_options_use_automatic_differentiation(params):
    assert not make_net(**params).is_dense


def test_frozen_parameters_use_automatic_differentiation():
    net = make_net()
    net.module_.base[0].weight.requires_grad_(False)
    assert not net.is_dense


@pytest.mark.parametrize("params", [{}, {"eta": None, "fairness_target": 0.1}])
def test_training_leaves_no_inference_tensors(params):
    net = make_net(**params)
    net.train(samples_of(2, (2,), False), epochs=2, schedule=SCHEDULES["cosine"], fair=True)
    states = [net.optimizer_.state, net.fairness_optimizer_.state]
    values = [
        value for state in states for of_param in state.values() for value in of_param.values()
    ]
    tensors = [*net.module_.parameters(), *net.criterion_.buffers(), *values]
    assert values
    assert not any(tensor.is_inference() for tensor in tensors if isinstance(tensor, torch.Tensor))


def test_a_custom_gradient_may_use_autograd():
    class AutogradParity(DemographicParity):
        def gradient(self, rates, counts):
            with torch.enable_grad():
                rates = rates.detach().requires_grad_()
                return torch.autograd.grad(self.penalty(rates, counts).sum(), rates)[0]

    nets = [
        make_net(constraint=constraint) for constraint in (DemographicParity(), AutogradParity())
    ]
    params = [trained_params(net, samples_of(2, (2,), False)) for net in nets]
    assert_close(params[0], params[1], rtol=0, atol=1e-10)

"""Update rules: each player moves only its parameters, as a slow reference does."""

import numpy as np
import pytest
import torch
from conftest import make
from torch.autograd import grad
from torch.testing import assert_close

from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._training import update_rules
from fairbinn_sklearn._training.backprop import AutogradBackprop
from fairbinn_sklearn._training.build import build_net
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn._training.run import TrainingRun


def make_net(**params):
    params = {"eta": 5.0, "equalize": "scores", "rate_window": 0, **params}
    clf = make(hidden_layer_sizes=(6, 5), activation="tanh", **params)
    net = build_net(
        TrainingOptions.from_estimator(clf),
        input_shape=(4,),
        n_classes=2,
        n_groups=[2],
        window=clf.rate_window,
        device=torch.device("cpu"),
        random_state=np.random.RandomState(0),
    )
    net.module_.double()
    net.criterion_.double()
    net.run = TrainingRun(largest_step=torch.zeros(()))
    net.run.backprop = AutogradBackprop(net.module_, net.players(), None)
    return net


@pytest.fixture(scope="module")
def batch(biased):
    X, y, group = biased
    codes = 1 * (group == "b")[:, None]
    device = torch.device("cpu")
    samples = Samples(X, y.copy(), codes, np.ones(len(y)), None, device, torch.float64)
    return make_net().criterion_.prepare(samples.take(torch.arange(len(y))))


def copied(params):
    return [param.detach().clone() for param in params]


def are_equal(before, after):
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def moves(before, after):
    """Return the moves of all parameters as one vector."""
    pairs = zip(before, after, strict=True)
    return torch.cat([(new.detach() - old).flatten() for old, new in pairs])


def assert_equal_params(net, expected):
    pairs = zip(net.module_.parameters(), expected.module_.parameters(), strict=True)
    for param, expected_param in pairs:
        assert_close(param, expected_param, rtol=0, atol=1e-10)


def test_each_parameter_belongs_to_one_player():
    net = make_net()
    leader, follower = net.players()
    ids = [id(param) for param in leader + follower]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {id(param) for param in net.module_.parameters()}


@pytest.mark.parametrize("frozen", ["optimizer_", "fairness_optimizer_"])
@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_each_optimizer_moves_one_player(batch, method, frozen):
    net = make_net()
    leader, follower = net.players()
    before = copied(leader), copied(follower)
    getattr(net, frozen).param_groups[0]["lr"] = 0.0
    update_rules.METHODS[method](net, batch)
    assert are_equal(before[0], leader) is (frozen == "optimizer_")
    assert are_equal(before[1], follower) is (frozen == "fairness_optimizer_")


def test_rules_leave_no_gradient_in_the_parameters(batch):
    net = make_net()
    for rule in (*update_rules.METHODS.values(), update_rules.accuracy_only):
        rule(net, batch)
        assert all(param.grad is None for param in net.module_.parameters())


class Reference:
    """The rules in a few lines, for the network of `make_net`: Adam leads, SGD follows."""

    def __init__(self, net):
        self.eta, self.lr = net.options.eta, 1e-3
        self.leader, self.follower = net.players()
        self.moments = {
            id(w): [torch.zeros_like(w), torch.zeros_like(w), 0]
            for w in self.leader + self.follower
        }

    def scores(self, X, follower):
        (w1, b1, s1, w2, b2, w4, b4), (w3, b3) = self.leader, follower
        for w, b in ((w1 * s1, b1), (w2, b2), (w3, b3)):
            X = torch.tanh(X @ w.T + b)
        return torch.sigmoid(X @ w4.T + b4)[:, 0]

    def accuracy(self, batch, follower=None):
        p, y = self.scores(batch.X, follower or self.follower), batch.y
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    def fairness(self, batch, follower=None):
        p, group = self.scores(batch.X, follower or self.follower), batch.groups[:, 0]
        return self.eta * (p[group == 0].mean() - p[group == 1].mean()) ** 2

    @torch.no_grad()
    def adam(self, params, gradient):
        for w, g in zip(params, gradient, strict=True):
            moments = self.moments[id(w)]
            moments[2] += 1
            m, v, t = moments
            g = g + 1e-4 * w
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g**2)
            w -= 1e-3 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)

    @torch.no_grad()
    def sgd(self, params, gradient):
        for w, g in zip(params, gradient, strict=True):
            w -= self.lr * g

    def bilevel(self, batch):
        both = self.accuracy(batch) + self.fairness(batch)
        gradients = grad(both, self.leader), grad(self.fairness(batch), self.follower)
        self.adam(self.leader, gradients[0])
        self.sgd(self.follower, gradients[1])

    def alternating(self, batch):
        self.adam(self.leader, grad(self.accuracy(batch), self.leader))
        self.sgd(self.follower, grad(self.fairness(batch), self.follower))

    def unrolled(self, batch, n_steps=3, max_step=0.01):
        moved = self.follower
        for _ in range(n_steps):
            gradient = grad(self.fairness(batch, moved), moved, create_graph=True)
            norm = sum((self.lr * g).square().sum() for g in gradient).sqrt()
            scale = 1.0 if norm <= max_step else max_step / norm
            moved = [w - scale * self.lr * g for w, g in zip(moved, gradient, strict=True)]
        gradient = grad(self.accuracy(batch, moved), self.leader)
        first = grad(self.fairness(batch), self.follower)
        norm = sum((self.lr * g).square().sum() for g in first).sqrt()
        self.adam(self.leader, gradient)
        self.sgd(self.follower, [g * min(1.0, max_step / norm) for g in first])

    def lagrangian(self, batch):
        both = self.leader + self.follower
        self.adam(both, grad(self.accuracy(batch) + self.fairness(batch), both))

    def accuracy_only(self, batch):
        both = self.leader + self.follower
        self.adam(both, grad(self.accuracy(batch), both))


@pytest.mark.parametrize("rule", [*update_rules.METHODS, "accuracy_only"])
def test_rule_agrees_with_a_slow_reference(batch, rule):
    net, expected = (make_net(weight_decay=1e-4, n_unroll_steps=3) for _ in range(2))
    reference = Reference(expected)
    for _ in range(3):
        getattr(update_rules, rule)(net, batch)
        getattr(reference, rule)(batch)
    assert_equal_params(net, expected)


def test_unrolled_steps_are_bounded_like_those_of_the_follower(batch):
    params = {"fairness_max_step": 1e-4, "eta": 500.0, "weight_decay": 1e-4, "n_unroll_steps": 2}
    net, expected = make_net(**params), make_net(**params)
    reference = Reference(expected)
    for _ in range(3):
        update_rules.unrolled(net, batch)
        reference.unrolled(batch, n_steps=2, max_step=1e-4)
    assert float(net.run.largest_step) == pytest.approx(1e-4)
    assert_equal_params(net, expected)


def test_unrolled_nears_alternating_with_fewer_and_smaller_steps_of_the_follower(batch):
    def leader_moves(method, **params):
        net = make_net(**params)
        leader, _ = net.players()
        before = copied(leader)
        update_rules.METHODS[method](net, batch)
        return moves(before, leader)

    alternating = leader_moves("alternating")
    unrolled = {
        (n_steps, lr): leader_moves(
            "unrolled", n_unroll_steps=n_steps, fairness_lr=lr, eta=100.0, fairness_max_step=1e9
        )
        for n_steps, lr in ((1, 1e-3), (5, 1e-3), (5, 1e-12))
    }
    assert_close(unrolled[5, 1e-12], alternating, rtol=1e-5, atol=1e-9)
    five_steps, one_step = ((unrolled[k, 1e-3] - alternating).norm() for k in (5, 1))
    assert five_steps > 2 * one_step > 0


def test_alternating_moves_the_follower_at_the_new_parameters_of_the_leader(batch):
    net, expected = make_net(), make_net()
    update_rules.alternating(net, batch)
    leader, follower = expected.players()
    with torch.no_grad():
        for param, new in zip(leader, net.players()[0], strict=True):
            param.copy_(new)
    logits = expected.module_(batch.X)
    gradient = grad(logits, follower, expected.fairness_grad(logits, batch))
    for new, old, param_grad in zip(net.players()[1], follower, gradient, strict=True):
        assert_close(new, old - 1e-3 * param_grad)


@pytest.mark.parametrize("max_step", [1e-4, 1.0])
def test_steps_of_the_follower_are_bounded(batch, max_step):
    net = make_net(fairness_lr=0.1, fairness_max_step=max_step)
    follower = net.players()[1]
    before = copied(follower)
    update_rules.bilevel(net, batch)
    norm = moves(before, follower).norm().item()
    assert float(net.run.largest_step) == pytest.approx(norm, rel=1e-6)
    if max_step == 1e-4:
        assert norm == pytest.approx(1e-4, rel=1e-9)
    else:
        assert 1e-4 < norm < 1.0


@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_a_follower_without_gradient_does_not_move_and_gives_no_nan(batch, method):
    net = make_net(eta=0.0)
    leader, follower = net.players()
    before = copied(follower)
    update_rules.METHODS[method](net, batch)
    assert are_equal(before, follower)
    assert all(param.isfinite().all() for param in leader)


@pytest.mark.parametrize("momentum", [0.0, 0.9], ids=["known norm", "measured norm"])
def test_a_bounded_step_keeps_its_direction(momentum):
    param = torch.nn.Parameter(torch.ones(50))
    gradient = torch.linspace(-1, 1, 50)
    optimizer = torch.optim.SGD([param], lr=1e5, momentum=momentum)
    norm = update_rules.bounded_step(optimizer, [param], [gradient], 0.01)
    move = param.detach() - 1
    assert move.norm().item() == pytest.approx(0.01, rel=1e-3) == norm.item()
    assert torch.cosine_similarity(move, -gradient, dim=0) > 0.999


@pytest.mark.parametrize("method", update_rules.METHODS)
def test_parameters_that_no_loss_reaches_do_not_move(batch, method):
    net = make_net()
    idle = [torch.nn.Parameter(torch.ones(3).double()) for _ in range(2)]
    net.module_.base.register_parameter("idle", idle[0])
    net.module_.fairness.register_parameter("idle", idle[1])
    net.run.backprop = AutogradBackprop(net.module_, net.players(), None)
    update_rules.METHODS[method](net, batch)
    assert [param.tolist() for param in idle] == [[1.0] * 3] * 2

"""Each player moves its own parameters only, and as a slow reference does."""

import numpy as np
import pytest
import torch

from fairbinn_sklearn import FairBiNNClassifier, _rules
from fairbinn_sklearn._batches import Rows
from fairbinn_sklearn._build import build_net


def make_net(**params):
    params = {"eta": 5.0, "violation": "score", "rate_window": 0, **params}
    estimator = FairBiNNClassifier(
        hidden_layer_sizes=(6, 5), activation="tanh", device="cpu", **params
    )
    estimator.n_features_in_ = 4
    net = build_net(
        estimator,
        n_groups=2,
        window=estimator.rate_window,
        device=torch.device("cpu"),
        random_state=np.random.RandomState(0),
    )
    net.module_.double()
    net.criterion_.double()
    return net


@pytest.fixture
def batch(biased):
    X, y, group = biased
    rows = Rows(X, y.copy(), 1 * (group == "b"), np.ones(len(y)), torch.device("cpu"))
    return [t.double() if t.is_floating_point() else t for t in rows.take(torch.arange(len(y)))]


def weights(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def same(before, after):
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_players_share_no_parameter_and_leave_none_out():
    module = make_net().module_
    leader, follower = module.accuracy_parameters(), module.fairness_parameters()
    ids = [id(p) for p in leader + follower]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {id(p) for p in module.parameters()}


@pytest.mark.parametrize("frozen", ["optimizer_", "fairness_optimizer_"])
def test_each_player_leaves_the_parameters_of_the_other(batch, frozen, monkeypatch):
    """A round in which one optimizer does nothing moves the other player's parameters only."""
    net = make_net()
    leader, follower = net.module_.accuracy_parameters(), net.module_.fairness_parameters()
    before = weights(leader), weights(follower)
    monkeypatch.setattr(getattr(net, frozen), "step", lambda: None)
    _rules.bilevel(net, batch)
    leader_stands, follower_stands = same(before[0], leader), same(before[1], follower)
    assert leader_stands is (frozen == "optimizer_")
    assert follower_stands is (frozen == "fairness_optimizer_")


def test_no_gradient_is_left_behind(batch):
    net = make_net()
    for rule in (_rules.bilevel, _rules.lagrangian, _rules.accuracy_only):
        rule(net, batch)
        assert all(parameter.grad is None for parameter in net.module_.parameters())


def reference(net, batch, n_steps, leader_loss, follower_loss):
    """Two players in a few lines: Adam with weight decay for one, SGD for the other."""
    module = net.module_
    X, y, groups, _ = batch
    names = {id(p) for p in module.fairness_parameters()} if follower_loss else set()
    leader = [p for p in module.parameters() if id(p) not in names]
    follower = [p for p in module.parameters() if id(p) in names]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in leader]
    for t in range(1, n_steps + 1):
        p = torch.sigmoid(module(X)[:, 0])
        accuracy = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        fairness = net.eta * (p[groups == 0].mean() - p[groups == 1].mean()) ** 2
        losses = {"accuracy": accuracy, "both": accuracy + fairness, "fairness": fairness}
        g_leader = torch.autograd.grad(losses[leader_loss], leader, retain_graph=True)
        if follower:
            g_follower = torch.autograd.grad(losses[follower_loss], follower)
        with torch.no_grad():
            for w, g, (m, v) in zip(leader, g_leader, moments, strict=True):
                g = g + 1e-4 * w
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g**2)
                w -= 1e-3 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            if follower:
                for w, g in zip(follower, g_follower, strict=True):
                    w -= 1e-3 * g


@pytest.mark.parametrize(
    "rule, leader_loss, follower_loss",
    [
        ("bilevel", "both", "fairness"),
        ("lagrangian", "both", None),
        ("accuracy_only", "accuracy", None),
    ],
)
def test_rule_against_a_slow_reference(batch, rule, leader_loss, follower_loss):
    net, slow = (make_net(weight_decay=1e-4) for _ in range(2))
    for _ in range(3):
        getattr(_rules, rule)(net, batch)
    reference(slow, batch, 3, leader_loss, follower_loss)
    for ours, theirs in zip(net.module_.parameters(), slow.module_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("max_step", [1e-4, 1.0])
def test_the_followers_step_is_bounded(batch, max_step):
    net = make_net(fairness_lr=0.1, fairness_max_step=max_step)
    follower = net.module_.fairness_parameters()
    before = weights(follower)
    _rules.bilevel(net, batch)
    moves = [new - old for new, old in zip(follower, before, strict=True)]
    norm = torch.cat([move.flatten() for move in moves]).norm().item()
    if max_step == 1e-4:
        assert norm == pytest.approx(1e-4, rel=1e-9)
    else:
        assert 1e-4 < norm < 1.0


def test_a_follower_that_stands_still_gives_no_nan(batch):
    net = make_net(eta=0.0)
    before = weights(net.module_.fairness_parameters())
    _rules.bilevel(net, batch)
    assert same(before, net.module_.fairness_parameters())


def test_a_step_far_too_long_keeps_its_direction():
    parameter = torch.nn.Parameter(torch.ones(50))
    gradient = torch.linspace(-1, 1, 50)
    optimizer = torch.optim.SGD([parameter], lr=1e10)
    _rules.bounded_step(optimizer, [parameter], [gradient], 0.01)
    move = parameter.detach() - 1
    assert move.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.cosine_similarity(move, -gradient, dim=0) > 0.999

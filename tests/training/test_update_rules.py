"""Each player moves its own parameters only, and as a slow reference does."""

import itertools

import numpy as np
import pytest
import torch
from torch.autograd import grad

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._training import update_rules
from fairbinn_sklearn._training.build import build_net
from fairbinn_sklearn._training.criterion import RateCriterion


def make_net(**params):
    params = {"eta": 5.0, "equalize": "scores", "rate_window": 0, **params}
    estimator = FairBiNNClassifier(
        hidden_layer_sizes=(6, 5), activation="tanh", device="cpu", **params
    )
    net = build_net(
        estimator,
        input_shape=(4,),
        n_classes=2,
        n_groups=[2],
        window=estimator.rate_window,
        device=torch.device("cpu"),
        random_state=np.random.RandomState(0),
    )
    net.module_.double()
    net.criterion_.double()
    net.fair_batches, net.largest_step = None, torch.zeros(())
    return net


@pytest.fixture(scope="module")
def rows(biased):
    X, y, group = biased
    codes = 1 * (group == "b")[:, None]
    return Samples(X, y.copy(), codes, np.ones(len(y)), None, torch.device("cpu"), torch.float64)


@pytest.fixture
def batch(rows):
    return prepared(rows, torch.arange(len(rows)))


def prepared(rows, index):
    return make_net().criterion_.prepare(rows.take(index))


def weights(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def same(before, after):
    return all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_players_share_no_parameter_and_leave_none_out():
    net = make_net()
    leader, follower = net.players()
    ids = [id(p) for p in leader + follower]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {id(p) for p in net.module_.parameters()}


@pytest.mark.parametrize("frozen", ["optimizer_", "fairness_optimizer_"])
@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_each_player_leaves_the_parameters_of_the_other(batch, method, frozen):
    """A round in which one optimizer does nothing moves the other player's parameters only."""
    net = make_net()
    leader, follower = net.players()
    before = weights(leader), weights(follower)
    getattr(net, frozen).param_groups[0]["lr"] = 0.0
    update_rules.METHODS[method](net, batch)
    leader_stands, follower_stands = same(before[0], leader), same(before[1], follower)
    assert leader_stands is (frozen == "optimizer_")
    assert follower_stands is (frozen == "fairness_optimizer_")


def test_no_gradient_is_left_behind(batch):
    net = make_net()
    for rule in (*update_rules.METHODS.values(), update_rules.accuracy_only):
        rule(net, batch)
        assert all(parameter.grad is None for parameter in net.module_.parameters())


class Reference:
    """The rules in a few lines, for the net of `make_net`: Adam for one player, SGD for another."""

    def __init__(self, net):
        self.eta, self.lr = net.eta, 1e-3
        self.leader, self.follower = net.players()
        self.moments = {
            id(w): [torch.zeros_like(w), torch.zeros_like(w), 0]
            for w in self.leader + self.follower
        }

    def scores(self, X, follower):
        (w1, b1, w2, b2, w4, b4), (w3, b3) = self.leader, follower
        for w, b in ((w1, b1), (w2, b2), (w3, b3)):
            X = torch.tanh(X @ w.T + b)
        return torch.sigmoid(X @ w4.T + b4)[:, 0]

    def accuracy(self, batch, follower=None):
        p, y = self.scores(batch.X, follower or self.follower), batch.y
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    def fairness(self, batch, follower=None):
        p, group = self.scores(batch.X, follower or self.follower), batch.groups[:, 0]
        return self.eta * (p[group == 0].mean() - p[group == 1].mean()) ** 2

    @torch.no_grad()
    def adam(self, parameters, gradient):
        for w, g in zip(parameters, gradient, strict=True):
            moments = self.moments[id(w)]
            moments[2] += 1
            m, v, t = moments
            g = g + 1e-4 * w
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g**2)
            w -= 1e-3 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)

    @torch.no_grad()
    def sgd(self, parameters, gradient):
        for w, g in zip(parameters, gradient, strict=True):
            w -= self.lr * g

    def bilevel(self, batch, fair):
        both = self.accuracy(batch) + self.fairness(fair)
        gradients = grad(both, self.leader), grad(self.fairness(fair), self.follower)
        self.adam(self.leader, gradients[0])
        self.sgd(self.follower, gradients[1])

    def alternating(self, batch, fair):
        self.adam(self.leader, grad(self.accuracy(batch), self.leader))
        self.sgd(self.follower, grad(self.fairness(fair), self.follower))

    def unrolled(self, batch, fair, n_steps=3, max_step=0.01):
        moved = self.follower
        for _ in range(n_steps):
            gradient = grad(self.fairness(fair, moved), moved, create_graph=True)
            norm = sum((self.lr * g).square().sum() for g in gradient).sqrt()
            share = 1.0 if norm <= max_step else max_step / norm
            moved = [w - share * self.lr * g for w, g in zip(moved, gradient, strict=True)]
        gradient = grad(self.accuracy(batch, moved), self.leader)
        first = grad(self.fairness(fair), self.follower)
        norm = sum((self.lr * g).square().sum() for g in first).sqrt()
        self.adam(self.leader, gradient)
        self.sgd(self.follower, [g * min(1.0, max_step / norm) for g in first])

    def lagrangian(self, batch, fair):
        both = self.leader + self.follower
        self.adam(both, grad(self.accuracy(batch) + self.fairness(fair), both))

    def accuracy_only(self, batch, fair):
        both = self.leader + self.follower
        self.adam(both, grad(self.accuracy(batch), both))


@pytest.mark.parametrize("own_batches", [False, True])
@pytest.mark.parametrize("rule", [*update_rules.METHODS, "accuracy_only"])
def test_rule_against_a_slow_reference(rows, batch, rule, own_batches):
    net, slow = (make_net(weight_decay=1e-4, n_unroll_steps=3) for _ in range(2))
    batches = [batch] * 3
    if own_batches:
        batches = [prepared(rows, part) for part in torch.arange(600).split(200)]
        net.fair_batches = iter(batches)
    reference = Reference(slow)
    for fair in batches:
        getattr(update_rules, rule)(net, batch)
        getattr(reference, rule)(batch, fair)
    for ours, theirs in zip(net.module_.parameters(), slow.module_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_unrolled_steps_are_bounded_as_the_followers_are(batch):
    params = {"fairness_max_step": 1e-4, "eta": 500.0, "weight_decay": 1e-4, "n_unroll_steps": 2}
    net, slow = make_net(**params), make_net(**params)
    reference = Reference(slow)
    for _ in range(3):
        update_rules.unrolled(net, batch)
        reference.unrolled(batch, batch, n_steps=2, max_step=1e-4)
    assert float(net.largest_step) == pytest.approx(1e-4)
    for ours, theirs in zip(net.module_.parameters(), slow.module_.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_unrolling_looks_further_with_more_steps_and_not_at_all_with_none_to_take(batch):
    """With a follower that hardly moves, the leader's step is that of "alternating"."""

    def move(method, **params):
        net = make_net(**params)
        leader, _ = net.players()
        before = weights(leader)
        update_rules.METHODS[method](net, batch)
        return torch.cat([(new - old).flatten() for new, old in zip(leader, before, strict=True)])

    plain = move("alternating")
    moves = {
        (k, lr): move(
            "unrolled", n_unroll_steps=k, fairness_lr=lr, eta=100.0, fairness_max_step=1e9
        )
        for k, lr in ((1, 1e-3), (5, 1e-3), (5, 1e-12))
    }
    torch.testing.assert_close(moves[5, 1e-12], plain, rtol=1e-5, atol=1e-9)
    far, near = ((moves[k, 1e-3] - plain).norm() for k in (5, 1))
    assert far > 2 * near > 0


def test_alternating_moves_the_follower_where_the_leader_now_stands(batch):
    net, other = make_net(), make_net()
    update_rules.alternating(net, batch)
    leader, follower = other.players()
    with torch.no_grad():
        for new, old in zip(net.players()[0], leader, strict=True):
            old.copy_(new)
    logits, slopes = other.fairness_slopes(batch)
    gradient = grad(logits, follower, slopes)
    for new, old, slope in zip(net.players()[1], follower, gradient, strict=True):
        torch.testing.assert_close(new, old - 1e-3 * slope)


def test_batches_of_the_fairness_loss_have_their_size_and_no_end(biased, monkeypatch):
    X, y, group = biased
    seen = {"accuracy": [], "fairness": []}
    for name, sizes in seen.items():
        loss = getattr(RateCriterion, name)

        def watched(self, logits, batch, loss=loss, sizes=sizes):
            sizes.append(batch.n_rows)
            return loss(self, logits, batch)

        monkeypatch.setattr(RateCriterion, name, watched)
    FairBiNNClassifier(
        method="alternating", batch_size=100, fairness_batch_size=400, max_epochs=2, device="cpu"
    ).fit(X, y, sensitive_features=group)
    assert seen == {"accuracy": [100] * 12, "fairness": [300] * 12}


@pytest.mark.parametrize("max_step", [1e-4, 1.0])
def test_the_followers_step_is_bounded(batch, max_step):
    net = make_net(fairness_lr=0.1, fairness_max_step=max_step)
    follower = net.players()[1]
    before = weights(follower)
    update_rules.bilevel(net, batch)
    moves = [new - old for new, old in zip(follower, before, strict=True)]
    norm = torch.cat([move.flatten() for move in moves]).norm().item()
    assert float(net.largest_step) == pytest.approx(norm, rel=1e-6)
    if max_step == 1e-4:
        assert norm == pytest.approx(1e-4, rel=1e-9)
    else:
        assert 1e-4 < norm < 1.0


@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_a_follower_that_stands_still_gives_no_nan(batch, method):
    net = make_net(eta=0.0)
    leader, follower = net.players()
    before = weights(follower)
    update_rules.METHODS[method](net, batch)
    assert same(before, follower)
    assert all(parameter.isfinite().all() for parameter in leader)


def test_a_step_far_too_long_keeps_its_direction():
    parameter = torch.nn.Parameter(torch.ones(50))
    gradient = torch.linspace(-1, 1, 50)
    optimizer = torch.optim.SGD([parameter], lr=1e10)
    update_rules.bounded_step(optimizer, [parameter], [gradient], 0.01)
    move = parameter.detach() - 1
    assert move.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert torch.cosine_similarity(move, -gradient, dim=0) > 0.999


def test_parameters_that_no_loss_reaches_stay_where_they_are(batch):
    net = make_net()
    idle = torch.nn.Parameter(torch.ones(3).double())
    net.module_.base.register_parameter("idle", idle)
    net.module_.fairness.register_parameter("idle", torch.nn.Parameter(torch.ones(2).double()))
    for method in update_rules.METHODS.values():
        method(net, batch)
    assert idle.tolist() == [1.0] * 3
    assert len(list(itertools.chain(*net.players()))) == 10

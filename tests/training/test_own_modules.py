"""Modules of the user, and X of more than two dimensions."""

import pickle

import numpy as np
import pytest
import torch
from conftest import difference, make
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn


class TwoMethods(nn.Module):
    """Its methods name the parameters of the players."""

    def __init__(self, n_features, n_outputs, width=8):
        super().__init__()
        self.first = nn.Linear(n_features, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, n_outputs)

    def forward(self, X):
        return self.last(torch.relu(self.second(torch.relu(self.first(X)))))

    def accuracy_parameters(self):
        return [*self.first.parameters(), *self.last.parameters()]

    def fairness_parameters(self):
        return list(self.second.parameters())


class Blocks(nn.Module):
    """Blocks with batch normalization and dropout."""

    def __init__(self, n_features, n_outputs, dropout=0.2):
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Linear(n_features, 16), nn.BatchNorm1d(16), nn.ReLU()),
            nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(dropout)),
        )
        self.head = nn.Linear(16, n_outputs)

    def forward(self, X):
        return self.head(self.blocks(X))


class Recurrent(nn.Module):
    """A GRU over the second dimension of X."""

    def __init__(self, shape, n_outputs, width=8):
        super().__init__()
        self.gru = nn.GRU(shape[1], width, batch_first=True)
        self.fairness = nn.Linear(width, width)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, X):
        _, last = self.gru(X)
        return self.head(torch.relu(self.fairness(last[0])))


def make_own(module=TwoMethods, **params):
    return make(module=module, batch_size=100, **params)


def fit(data, module=TwoMethods, **params):
    X, y, group = data
    return make_own(module, **params).fit(X, y, sensitive_features=group)


@pytest.mark.slow
@pytest.mark.parametrize(
    "module, params",
    [
        (TwoMethods, {}),
        (Blocks, {"fairness_modules": "blocks.1"}),
        (Blocks, {"fairness_modules": ["head"]}),
    ],
)
def test_eta_lowers_the_difference(biased, module, params):
    before, after = (
        difference(fit(biased, module, eta=eta, max_epochs=30, lr=0.01, **params), biased)
        for eta in (0, 20)
    )
    assert after < 0.5 * before


def test_fairness_modules_name_the_submodules_of_the_follower(biased):
    clf = fit(biased, Blocks, fairness_modules=["blocks.1", "head"], max_epochs=1)
    leader, follower = clf.net_.players()
    module = clf.module_
    assert isinstance(module, Blocks)
    named = [*module.blocks[1].parameters(), *module.head.parameters()]
    assert {id(p) for p in follower} == {id(p) for p in named}
    assert {id(p) for p in leader} == {id(p) for p in module.blocks[0].parameters()}


@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_only_the_follower_moves_if_the_leader_has_no_learning_rate(biased, method):
    params = {"eta": 50, "equalize": "scores", "lr": 1e-12, "weight_decay": 0, "max_epochs": 1}
    initial, trained = (
        fit(biased, method=method, fairness_lr=lr, **params).module_.state_dict()
        for lr in (1e-12, 0.1)
    )
    for name, values in trained.items():
        assert torch.allclose(values, initial[name], atol=1e-7) is not name.startswith("second")


@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_frozen_parameters_do_not_move(biased, method):
    class Frozen(TwoMethods):
        def __init__(self, n_features, n_outputs):
            super().__init__(n_features, n_outputs)
            self.first.requires_grad_(False)
            nn.init.ones_(self.first.weight)

    clf = fit(biased, Frozen, method=method)
    assert (clf.module_.first.weight == 1).all()
    assert not (clf.module_.last.weight == 1).any()


def test_parameters_of_the_module_reach_it(biased):
    X, y, group = biased
    clf = fit(biased, module__width=5, max_epochs=1)
    assert clf.module_.first.out_features == 5
    assert clone(clf).get_params()["module__width"] == 5
    clf.set_params(module__width=7).fit(X, y, sensitive_features=group)
    assert clf.module_.first.out_features == 7
    grid = GridSearchCV(make_own(max_epochs=1), {"module__width": [2, 9]}, cv=2)
    grid.fit(X, y, sensitive_features=group)
    assert grid.best_estimator_.module_.first.out_features == grid.best_params_["module__width"]


def make_sequences(n_classes):
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=300)
    X = rng.normal(size=(300, 6, 2)) + group[:, None, None]
    return X, np.digitize(X.mean((1, 2)), [0.5, 1.0][: n_classes - 1]), group


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled", "lagrangian"])
def test_sequences_are_classified(method, n_classes):
    X, y, group = data = make_sequences(n_classes)
    params = {"fairness_modules": "fairness", "fairness_lr": 0.1, "equalize": "scores"}
    clf = fit(data, Recurrent, eta=5, method=method, max_epochs=1, **params)
    assert clf.module_.head.out_features == (1 if n_classes == 2 else 3)
    assert clf.predict_proba(X).shape == (300, n_classes)
    assert clf.n_features_in_ == 6
    np.testing.assert_array_equal(clf.decision_function(X)[:7], clf.decision_function(X[:7]))
    before = [param.clone() for param in clf.module_.parameters()]
    clf.partial_fit(X, y, sensitive_features=group)
    assert not any(map(torch.equal, before, clf.module_.parameters()))  # all have moved


def test_sequences_are_checked_pickled_and_cross_validated():
    X, y, group = data = make_sequences(2)
    clf = fit(data, Recurrent, fairness_modules="fairness", lr=0.05)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"\(6, 2\).* got .*\(6, 3\)"):
        clf.predict(np.zeros((4, 6, 3)))
    with pytest.raises(ValueError, match="X has 5 features"):
        clf.predict(np.zeros((4, 5, 2)))
    scores = cross_val_score(clf, X, y, params={"sensitive_features": group}, cv=2)
    assert min(scores) > 0.7


def test_random_numbers_of_a_module_come_from_random_state(biased):
    X = biased[0]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (
        fit(
            biased, Blocks, fairness_modules="head", random_state=seed, max_epochs=1
        ).decision_function(X)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


DROPPED = []


class RecordsDropout(TwoMethods):
    """Append which features were dropped in training to `DROPPED`."""

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.drop = nn.Dropout(0.5)

    def forward(self, X):
        X = self.drop(X + 1.0)
        if self.training:
            DROPPED.append((X == 0).clone())
        return super().forward(X)


def test_each_call_of_partial_fit_draws_new_random_numbers(biased):
    X, y, group = biased
    clf = make(module=RecordsDropout, batch_size=600)
    DROPPED.clear()
    for _ in range(2):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    assert not torch.equal(*DROPPED)


class NoPlayers(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.layer(X)


class LeavesOutALayer(TwoMethods):
    def accuracy_parameters(self):
        return list(self.last.parameters())


class OneDimensional(TwoMethods):
    def forward(self, X):
        return super().forward(X)[:, 0]


class SharesALayer(TwoMethods):
    def fairness_parameters(self):
        return [*self.first.parameters(), *self.second.parameters()]


@pytest.mark.parametrize(
    "module, params, message",
    [
        ("mlp", {}, "module must be.*subclass of torch.nn.*got 'mlp'"),
        (TwoMethods(4, 1), {}, "module must be a subclass.*instance of TwoMethods: pass the class"),
        (TwoMethods, {"module__depth": 3}, r"module__depth must name a parameter.*'width'\]"),
        (TwoMethods, {"module__width": -3}, "must be built from the input size.*'width': -3"),
        (NoPlayers, {}, r"among \['layer'\], or module=.*accuracy_parameters\(\)"),
        (Blocks, {"fairness_modules": "tail"}, r"among \['blocks', 'blocks.0'.*='tail'"),
        (Blocks, {"fairness_modules": []}, "fairness_modules must be the name of a submodule"),
        (Blocks, {"fairness_modules": 3}, "fairness_modules must be the name of a submodule"),
        (NoPlayers, {"fairness_modules": "layer"}, r"separate parameters; the leader has \[\]"),
        (SharesALayer, {}, "must give each player separate parameters"),
        (LeavesOutALayer, {}, r"got \['first.weight', 'first.bias'\] in neither"),
        (OneDimensional, {}, r"must return logits of shape \(N, 1\), got \(2,\)"),
        (Recurrent, {"fairness_modules": "gru"}, "must be built from the input size"),
    ],
)
def test_invalid_modules_raise(biased, module, params, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(biased, module, **params)


def test_batch_normalization_of_single_samples_raises(biased):
    with pytest.raises(ValueError, match="batch_size must leave two samples.* one sample. Raise"):
        make(module=Blocks, fairness_modules="head", batch_size=1).fit(
            *biased[:2], sensitive_features=biased[2]
        )


def test_more_than_two_dimensions_need_a_module(biased):
    X, y, group = biased
    with pytest.raises(ValueError, match="X must have two dimensions"):
        fit((X[:, :, None], y, group), None)
    with pytest.raises(ValueError, match="must be built from the input size"):
        fit((X[:, :, None], y, group))


@pytest.mark.parametrize("change", [{"fairness_modules": "blocks.1"}, {"module__dropout": 0.5}])
def test_the_module_must_stay_the_same_in_partial_fit(biased, change):
    X, y, group = biased
    clf = make_own(Blocks, fairness_modules="head").partial_fit(
        X, y, [0, 1], sensitive_features=group
    )
    with pytest.raises(ValueError, match=f"{next(iter(change))} must stay the same"):
        clf.set_params(**change).partial_fit(X, y, sensitive_features=group)

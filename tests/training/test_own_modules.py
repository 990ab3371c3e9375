"""Modules of the user's own, and X of more than two dimensions."""

import pickle

import numpy as np
import pytest
import torch
from fairlearn.metrics import demographic_parity_difference
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier


class Split(nn.Module):
    """Says itself who owns what."""

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


class Named(nn.Module):
    """A stack of blocks, with chance among them and running means."""

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


def make(module=Split, **params):
    params = {"max_epochs": 3, "device": "cpu", "random_state": 0, "batch_size": 100, **params}
    return FairBiNNClassifier(module=module, **params)


def fit(data, module=Split, **params):
    X, y, group = data
    return make(module, **params).fit(X, y, sensitive_features=group)


@pytest.mark.parametrize(
    "module, params",
    [
        (Split, {}),
        (Named, {"fairness_modules": "blocks.1"}),
        (Named, {"fairness_modules": ["head"]}),
    ],
)
def test_eta_lowers_the_difference(biased, module, params):
    X, y, group = biased
    differences = [
        demographic_parity_difference(
            y,
            fit(biased, module, eta=eta, max_epochs=40, lr=0.01, **params).predict(X),
            sensitive_features=group,
        )
        for eta in (0, 20)
    ]
    assert differences[1] < 0.5 * differences[0]


def test_names_of_submodules_say_what_the_follower_owns(biased):
    clf = fit(biased, Named, fairness_modules=["blocks.1", "head"])
    leader, follower = clf.net_.players()
    module = clf.module_
    assert isinstance(module, Named)
    owned = [*module.blocks[1].parameters(), *module.head.parameters()]
    assert {id(p) for p in follower} == {id(p) for p in owned}
    assert {id(p) for p in leader} == {id(p) for p in module.blocks[0].parameters()}


@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled"])
def test_the_follower_alone_moves_its_layers(biased, method):
    """With the leader's rate next to nothing, its layers stay and the follower's move."""
    clf = fit(biased, eta=50, method=method, lr=1e-12, weight_decay=0, fairness_lr=0.1)
    fresh = fit(
        biased, eta=50, lr=1e-12, weight_decay=0, fairness_lr=1e-12, max_epochs=1
    ).module_.state_dict()
    for name, values in clf.module_.state_dict().items():
        assert torch.allclose(values, fresh[name], atol=1e-7) is not name.startswith("second")


@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_frozen_parameters_stay(biased, method):
    class Frozen(Split):
        def __init__(self, n_features, n_outputs):
            super().__init__(n_features, n_outputs)
            self.first.requires_grad_(False)
            nn.init.ones_(self.first.weight)

    clf = fit(biased, Frozen, method=method)
    assert (clf.module_.first.weight == 1).all()
    assert not (clf.module_.last.weight == 1).any()


def test_parameters_of_the_module(biased):
    X, y, group = biased
    clf = fit(biased, module__width=5)
    assert clf.module_.first.out_features == 5
    assert clone(clf).get_params()["module__width"] == 5
    clf.set_params(module__width=7).fit(X, y, sensitive_features=group)
    assert clf.module_.first.out_features == 7
    grid = GridSearchCV(make(), {"module__width": [2, 9]}, cv=2)
    grid.fit(X, y, sensitive_features=group)
    assert grid.best_estimator_.module_.first.out_features == grid.best_params_["module__width"]


def test_several_classes(biased):
    X, y, group = biased
    y = y + (X[:, 1] > 0.5)
    clf = make().fit(X, y, sensitive_features=group)
    assert clf.module_.last.out_features == 3
    assert clf.predict_proba(X).shape == (600, 3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", ["bilevel", "alternating", "unrolled", "lagrangian"])
def test_sequences(method, n_classes):
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=300)
    X = rng.normal(size=(300, 6, 2)) + group[:, None, None]
    y = np.digitize(X.mean((1, 2)), [0.5, 1.0][: n_classes - 1])
    clf = make(Recurrent, fairness_modules="fairness", eta=5, method=method)
    clf.fit(X, y, sensitive_features=group)
    assert clf.predict_proba(X).shape == (300, n_classes)
    assert clf.n_features_in_ == 6
    np.testing.assert_array_equal(clf.decision_function(X)[:7], clf.decision_function(X[:7]))
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"rows of shape \(6, 2\) as in fit, got \(6, 3\)"):
        clf.predict(np.zeros((4, 6, 3)))
    with pytest.raises(ValueError, match="X has 5 features"):
        clf.predict(np.zeros((4, 5, 2)))
    clf.partial_fit(X, y, sensitive_features=group) if method == "bilevel" else None
    scores = cross_val_score(
        make(Recurrent, fairness_modules="fairness"),
        X,
        y,
        params={"sensitive_features": group},
        cv=3,
    )
    assert np.isfinite(scores).all()


def test_chance_in_a_module_comes_from_random_state(biased):
    X = biased[0]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (
        fit(biased, Named, fairness_modules="head", random_state=seed).decision_function(X)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


def test_chance_of_each_part_is_another(biased):
    """Two calls of partial_fit drop out different units."""
    X, y, group = biased
    clf = make(Dropped, batch_size=600, lr=1e-9)
    DROPPED.clear()
    for _ in range(2):
        clf.partial_fit(X, y, [0, 1], sensitive_features=group)
    assert not torch.equal(*DROPPED)


DROPPED = []


class Dropped(Split):
    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs)
        self.drop = nn.Dropout(0.5)

    def forward(self, X):
        X = self.drop(X + 1.0)
        if self.training:
            DROPPED.append((X == 0).clone())
        return super().forward(X)


def test_batches_of_one_row_cannot_be_normalised(biased):
    for params in ({"batch_size": 1}, {"fairness_batch_size": 1}):
        with pytest.raises(ValueError, match="module normalises batches and got one of a single"):
            fit(biased, Named, fairness_modules="head", **params)


class NoOwners(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.layer(X)


class Forgetful(Split):
    def accuracy_parameters(self):
        return list(self.last.parameters())


class Flat(Split):
    def forward(self, X):
        return super().forward(X)[:, 0]


class Shared(Split):
    def fairness_parameters(self):
        return list(self.first.parameters())


@pytest.mark.parametrize(
    "module, params, message",
    [
        ("mlp", {}, "module must be.*subclass of torch.nn.*got 'mlp'"),
        (Split(4, 1), {}, "module must be a subclass.*an instance of Split: pass the class"),
        (Split, {"module__depth": 3}, r"module__depth is no parameter of Split.*'width'\]"),
        (Split, {"module__width": -3}, "must be built from the input size.*'width': -3"),
        (NoOwners, {}, r"among \['layer'\], or module=.*accuracy_parameters\(\)"),
        (Named, {"fairness_modules": "tail"}, r"among \['blocks', 'blocks.0'.*='tail'"),
        (Named, {"fairness_modules": []}, "fairness_modules must be the name of a submodule"),
        (Named, {"fairness_modules": 3}, "fairness_modules must be the name of a submodule"),
        (NoOwners, {"fairness_modules": "layer"}, "each player parameters of its own"),
        (Shared, {}, "neither player|each player parameters of its own"),
        (Forgetful, {}, r"gives the parameters \['first.weight', 'first.bias'\] to neither player"),
        (Flat, {}, r"must return logits of shape \(N, 1\), got \(2,\)"),
        (Recurrent, {"fairness_modules": "gru"}, "must be built from the input size"),
        (Split, {"hidden_layer_sizes": (3,)}, "hidden_layer_sizes says how the default net"),
        (Split, {"activation": "tanh"}, "activation says how the default net"),
        (None, {"fairness_modules": "head"}, "fairness_modules names submodules of a module"),
        (None, {"module__width": 3}, "module__width is for a module of your own"),
    ],
)
def test_modules_that_cannot_be(biased, module, params, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(biased, module, **params)


def test_more_dimensions_need_a_module(biased):
    X, y, group = biased
    with pytest.raises(
        ValueError, match="X must have two dimensions, unless module is a net of your own.*dim 3"
    ):
        fit((X[:, :, None], y, group), None)
    with pytest.raises(ValueError, match=r"cannot take X of shape \(2, \(4, 1\)\)|must be built"):
        fit((X[:, :, None], y, group))


def test_a_module_and_its_names_stay_in_partial_fit(biased):
    X, y, group = biased
    clf = make(Named, fairness_modules="head").partial_fit(X, y, [0, 1], sensitive_features=group)
    for change in ({"fairness_modules": "blocks.1"}, {"module__dropout": 0.5}):
        fresh = clone(clf).set_params(**change)
        vars(fresh).update({k: v for k, v in vars(clf).items() if k.endswith("_")})
        with pytest.raises(ValueError, match=f"{next(iter(change))} cannot change"):
            fresh.partial_fit(X, y, sensitive_features=group)

"""The default module: base, fairness layers and head."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import make
from torch import nn
from torch.testing import assert_close

from fairbinn_sklearn._training.module import FairBiNNModule, ScaledLinear, initial_scale

SETTINGS = {
    "hidden_layer_sizes": [7, 5],
    "fairness_layer_sizes": None,
    "fairness_position": 2,
    "activation": nn.ReLU,
    "seed": 0,
}


def build(**params):
    return FairBiNNModule(4, 1, **{**SETTINGS, **params})


def widths(part):
    """Return the widths of the linear layers of a part of the module."""
    return [(layer.in_features, layer.out_features) for layer in part if hasattr(layer, "weight")]


@pytest.mark.parametrize(
    "position, base, fairness, head",
    [
        (0, [], [(4, 4)], [(4, 7), (7, 5), (5, 1)]),
        (1, [(4, 7)], [(7, 7)], [(7, 5), (5, 1)]),
        (2, [(4, 7), (7, 5)], [(5, 5)], [(5, 1)]),
    ],
)
def test_fairness_layers_come_after_some_hidden_layers(position, base, fairness, head):
    module = build(fairness_position=position)
    assert widths(module.base) == base
    assert widths(module.fairness) == fairness
    assert widths(module.head) == head


def test_fairness_layers_have_their_widths():
    module = build(hidden_layer_sizes=[], fairness_layer_sizes=[3, 2], fairness_position=0)
    assert widths(module.fairness) == [(4, 3), (3, 2)]
    assert widths(module.head) == [(2, 1)]


def test_the_activation_follows_each_layer_except_the_last():
    layers = [*(module := build(activation=nn.Tanh)).base, *module.fairness, *module.head]
    assert [type(layer) for layer in layers] == [
        *(ScaledLinear, nn.Tanh),
        *([nn.Linear, nn.Tanh] * 2),
        nn.Linear,
    ]


@pytest.mark.parametrize("n_features, scale", [(1, 1.0), (100, 1.0), (400, 0.25)])
def test_the_first_layer_scales_the_features(n_features, scale):
    layer = ScaledLinear(n_features, 3)
    with torch.no_grad():
        layer.scale.fill_(2.0)
    X = torch.rand(5, n_features)
    assert_close(layer(X), X @ (2 * layer.weight).T + layer.bias)
    module = FairBiNNModule(n_features, 1, **SETTINGS)
    assert module.first_layer().scale.unique().tolist() == [scale]


@pytest.mark.parametrize("position, part", [(0, "fairness"), (1, "base")])
def test_the_scale_belongs_to_the_player_of_the_first_layer(position, part):
    module = build(fairness_position=position)
    scales = [name for name, _ in module.named_parameters() if name.endswith("scale")]
    assert scales == [f"{part}.0.scale"]
    owner = module.fairness_parameters() if part == "fairness" else module.accuracy_parameters()
    assert any(param is module.first_layer().scale for param in owner)


def test_players_share_no_parameter_and_the_seed_draws_the_weights():
    module = build()
    leader, follower = module.accuracy_parameters(), module.fairness_parameters()
    players = {id(param) for param in (*leader, *follower)}
    assert players == {id(param) for param in module.parameters()}
    assert not {id(param) for param in leader} & {id(param) for param in follower}
    weights = [build(seed=seed).head[0].weight for seed in (0, 0, 1)]
    assert torch.equal(*weights[:2])
    assert not torch.equal(*weights[1:])


@pytest.mark.parametrize(
    "n_features, squared_norm, expected",
    [(5, 5, 1), (400, 100, 0.25), (400, 10, 1 / 3), (20_000, 1, 1), (200, 0, 1)],
)
def test_initial_scale(n_features, squared_norm, expected):
    assert initial_scale(n_features, squared_norm) == pytest.approx(expected)


def test_wide_samples_that_are_mostly_zeros_are_learned():
    rng = np.random.default_rng(0)
    X = sp.random(4000, 1000, 0.01, "csr", dtype=np.float32, rng=rng)
    y = np.ravel(X[:, :500].sum(1) > X[:, 500:].sum(1)).astype(int)
    settings = {"eta": 0, "max_epochs": 6, "batch_size": 64}
    of_sparse = make(**settings).fit(X, y)
    assert of_sparse.score(X, y) > 0.9
    of_dense = make(**settings).fit(X.toarray(), y)
    np.testing.assert_allclose(of_dense.predict_proba(X), of_sparse.predict_proba(X), atol=1e-3)

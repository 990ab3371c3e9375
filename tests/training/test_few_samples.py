"""The default weight decay for few samples per feature and group."""

import pickle

import numpy as np
import pytest
import torch
from conftest import difference, fit, make, make_data, wide_data
from sklearn.exceptions import ConvergenceWarning

from fairbinn_sklearn import fairness_path


class Linear(torch.nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.base, self.head = torch.nn.Linear(n_features, 2), torch.nn.Linear(2, n_outputs)

    def forward(self, X):
        return self.head(self.base(X))


def weight_decay(clf):
    return clf.net_.optimizer_.param_groups[0]["weight_decay"]


@pytest.mark.filterwarnings("ignore:The difference on the", "ignore:The model predicts")
@pytest.mark.parametrize(
    "shape, params, expected",
    [
        ({}, {"eta": 1.0}, (20, 1e-3)),
        ({}, {"eta": None, "fairness_target": 0.1}, (20, 1e-3)),
        ({}, {"eta": 0}, (20, 3e-4)),
        ({}, {"eta": 1.0, "weight_decay": 0.01, "max_epochs": 1}, (1, 0.01)),
        ({}, {"eta": 1.0, "module": Linear, "fairness_modules": "base"}, (20, 3e-4)),
        ({"n_samples": 900}, {"eta": 1.0}, (20, 3e-4)),
        ({"n_groups": 2, "n_features": 100}, {"eta": 1.0}, (20, 3e-4)),
        ({"n_samples": 4000, "n_features": 300, "n_groups": 8}, {"eta": 1.0}, (20, 1e-3)),
    ],
    ids=str,
)
def test_few_samples_per_feature_and_group_are_regularised(shape, params, expected):
    clf = fit(wide_data(**shape), **{"max_epochs": "auto", **params})
    assert (clf.n_iter_, weight_decay(clf)) == expected
    assert clf.net_.options.weight_decay == expected[1]


@pytest.mark.filterwarnings("ignore:The difference on the")
def test_a_target_holds_better_on_other_samples():
    plain, default = [], []
    for seed in range(2):
        data = wide_data(seed, 2400, 200, 8)
        other = wide_data(seed + 10, 6000, 200, 8)
        for params, found in (
            ({"max_epochs": 20, "weight_decay": 3e-4}, plain),
            ({"max_epochs": "auto"}, default),
        ):
            clf = fit(data, fairness_target=0.03, **params)
            found.append((difference(clf, other), clf.score(*other[:2])))
    plain, default = np.mean(plain, 0), np.mean(default, 0)
    assert default[0] < 0.7 * plain[0]
    assert default[1] > plain[1] - 0.03


def test_the_weight_decay_is_kept_in_files_and_in_partial_fit():
    data = wide_data()
    clf = fit(data, eta=1.0, max_epochs=1)
    loaded = pickle.loads(pickle.dumps(clf))
    X, y, group = data
    for fitted in (clf, loaded):
        assert fitted.weight_decay == "auto"
        fitted.partial_fit(X, y, sensitive_features=group)
        assert weight_decay(fitted) == fitted.net_.options.weight_decay == 1e-3
    started = make(eta=1.0).partial_fit(X, y, [0, 1], sensitive_features=group)
    assert weight_decay(started) == started.net_.options.weight_decay == 3e-4


@pytest.mark.parametrize("warm_start", [True, False])
def test_the_networks_of_a_path_have_the_weight_decay_of_a_fit(warm_start):
    X, y, group = wide_data()
    path = fairness_path(
        X, y, group, etas=[0, 1], estimator=make(max_epochs=2), warm_start=warm_start
    )
    expected = [1e-3, 1e-3] if warm_start else [3e-4, 1e-3]
    assert [weight_decay(clf) for clf in path] == expected
    assert [clf.net_.options.weight_decay for clf in path] == expected


def test_a_target_missed_with_few_samples_does_not_advise_to_train_longer():
    with pytest.warns(ConvergenceWarning, match="only 1.2 samples per feature and group") as caught:
        fit(wide_data(0, 2000, 200, 8), fairness_target=0.01, max_epochs="auto")
    (message,) = {str(w.message) for w in caught if "fairness_target" in str(w.message)}
    assert "Train longer" not in message


def test_two_groups_of_few_features_have_the_plain_settings():
    clf = fit(make_data(3000), max_epochs="auto", eta=1.0)
    assert (clf.n_iter_, weight_decay(clf)) == (20, 3e-4)

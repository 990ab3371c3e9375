"""The network in training: its schedule of weights, and the state that ends with a training."""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import make, make_data
from skorch.callbacks import Callback

from fairbinn_sklearn._training.build import net_for
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn._training.resolve import SCHEDULES
from fairbinn_sklearn._training.run import RunSummary
from fairbinn_sklearn._training.setup import training_data

STOPPED = RuntimeError("stopped by a callback")


class Spy(Callback):
    """Keep what a function of the network returns, at the beginning of each epoch."""

    def __init__(self, function):
        self.function = function
        self.values = []

    def on_epoch_begin(self, net, **kwargs):
        self.values.append(self.function(net))


class Fail(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise STOPPED


def prepare(biased, **params):
    """Return a new network and training samples."""
    X, y, group = biased
    clf = make(**params)
    options = TrainingOptions.from_estimator(clf)
    data = training_data(clf, X, y, group, None, options=options)
    return net_for(options, data, data.samples, np.random.RandomState(0)), data.samples


def train(net, samples, function=id, *, epochs=4, schedule="cosine", fair=True, callbacks=()):
    """Train, and return the values of a function of the network in each epoch."""
    spy = Spy(function)
    net.train(
        samples,
        epochs=epochs,
        schedule=SCHEDULES[schedule],
        fair=fair,
        callbacks=[spy, *callbacks],
    )
    return spy.values


@pytest.mark.parametrize(
    "epochs, expected", [(1, [1.0]), (2, [0.0, 1.0]), (5, [0.0, 0.25, 0.5, 0.75, 1.0])]
)
def test_decision_weight_grows_from_0_to_1_over_the_epochs(biased, epochs, expected):
    values = train(*prepare(biased), lambda net: net.criterion_.decision_weight, epochs=epochs)
    assert values == expected


@pytest.mark.parametrize(
    "constraint, target, expected",
    [
        ("equalized_odds", 0.05, [0.0, 0.5, 1.0, 1.0, 1.0]),
        ("equalized_odds", None, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("demographic_parity", 0.05, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_only_several_events_under_a_target_use_decisions_earlier(
    biased, constraint, target, expected
):
    net, samples = prepare(biased, fairness_target=target, constraint=constraint)
    values = train(net, samples, lambda net: net.criterion_.decision_weight, epochs=5)
    assert values == expected


@pytest.mark.parametrize("epochs, expected", [(1, [0.0]), (3, [0.0, 0.5, 1.0])])
def test_surrogate_becomes_steep_over_the_epochs_but_not_in_a_path(biased, epochs, expected):
    def steepness(net):
        return net.criterion_.steepness

    net, samples = prepare(biased)
    assert train(net, samples, steepness, epochs=epochs) == expected
    spy = Spy(steepness)
    schedule = SCHEDULES["constant"]
    net.train(samples, epochs=2, schedule=schedule, fair=True, callbacks=[spy], is_continued=True)
    assert spy.values == [0.0, 0.0]


def test_rates_and_multipliers_follow_the_learning_rate_of_the_leader(biased):
    net, samples = prepare(biased, lr=0.01, fairness_lr=0.5)

    def rates(net):
        return net.leader_lr(), net.follower_lr(), net.criterion_.multiplier_lr_scale

    scale = (1 + np.cos(np.pi * np.arange(4) / 4)) / 2
    expected = np.stack([0.01 * scale, 0.5 * scale, scale], 1)
    np.testing.assert_allclose(train(net, samples, rates), expected)


def state_of_one_training(net):
    return net.run, net.callbacks_, net.train_split, net.criterion_.processes


IDLE = (None, [], None, None)


@pytest.mark.parametrize("fails", [False, True])
def test_state_of_a_training_is_gone_after_it(biased, fails):
    net, samples = prepare(biased)
    if fails:
        with pytest.raises(RuntimeError) as error:
            train(net, samples, callbacks=[Fail()])
        assert error.value is STOPPED
    else:
        runs = train(net, samples, lambda net: net.run)
        assert all(run is runs[0] for run in runs)
        assert (runs[0].epochs, runs[0].n_samples, runs[0].has_follower) == (4, 600, True)
    assert state_of_one_training(net) == IDLE


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"]
)
def test_copies_made_in_a_training_do_not_contain_its_state(biased, copied):
    copies = train(*prepare(biased), copied, epochs=2)
    for net in copies:
        assert state_of_one_training(net) == IDLE
    weights = [net.module_.head[-1].weight for net in copies]
    assert not torch.equal(*weights)


def test_the_last_training_that_ended_is_summarized(biased):
    net, samples = prepare(biased)
    assert net.last_run is None
    train(net, samples, epochs=2)
    assert net.last_run == RunSummary(fair=True, n_samples=600, epochs=2, interrupted=False)
    with pytest.raises(RuntimeError):
        train(net, samples, epochs=3, callbacks=[Fail()])
    assert net.last_run.epochs == 2
    train(net, samples, epochs=1, fair=False)
    assert net.last_run == RunSummary(fair=False, n_samples=600, epochs=1)


@pytest.mark.parametrize(
    "fair, method, has_follower",
    [(True, "bilevel", True), (True, "lagrangian", False), (False, "bilevel", False)],
)
def test_steps_of_the_follower_are_recorded_if_it_takes_part(biased, fair, method, has_follower):
    net, samples = prepare(biased, method=method)
    train(net, samples, epochs=1, fair=fair)
    assert ("fairness_step" in net.history[0]) is has_follower


class CustomModule(torch.nn.Module):
    """A custom module whose parameters do not show how much it computes."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.base = torch.nn.Linear(n_features, 8)
        self.head = torch.nn.Linear(8, n_outputs)

    def forward(self, X):
        return self.head(self.base(X))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, 1),
        ({"hidden_layer_sizes": (410,), "batch_size": 600}, 2),  # 1e8 samples times parameters
        ({"module": CustomModule, "fairness_modules": ("head",)}, 2),
    ],
    ids=["small", "large", "custom module"],
)
def test_small_steps_run_with_one_thread(biased, params, expected, fails):
    net, samples = prepare(biased, **params)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    spy = Spy(lambda net: torch.get_num_threads())
    try:
        try:
            train(net, samples, epochs=1, callbacks=[spy, *([Fail()] if fails else [])])
        except RuntimeError as error:
            assert error is STOPPED
        assert (spy.values, torch.get_num_threads()) == ([expected], 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("n_calls", [1, 4])
def test_partial_fit_has_a_plain_surrogate(n_calls):
    X, y, group = make_data(300, groups=["a", "b", "c"])
    clf = make(fairness_target=0.05)
    for _ in range(n_calls):
        clf.partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    assert clf.net_.criterion_.surrogate_slopes() == [1.0]

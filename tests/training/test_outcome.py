"""Predictions, and warnings at the end of a training."""

import copy
import gc
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit, make, make_data
from fairlearn.metrics import demographic_parity_difference
from sklearn.exceptions import ConvergenceWarning

import fairbinn_sklearn._training.outcome as outcome_file
from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._training.module import FairBiNNModule
from fairbinn_sklearn._training.outcome import largest_met, predict_logits, warn_of_outcome
from fairbinn_sklearn._training.run import RunSummary
from fairbinn_sklearn.losses import DemographicParity

CLASSES = np.array(["no", "yes"])


class FirstFeature(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, X):
        return self.scale * X[:, :1]


def outcome(
    X=(-1.0, 1.0), target=None, difference=0.0, fair=True, losses=(0.5,), y=(0, 1), weight=None
):
    """Return the warnings of a training that ended with these losses and difference.

    The logits are equal to X. `losses` is a tuple with the loss of each epoch, or a dict from the
    validation objective of each epoch to its loss.
    """
    objectives = losses if isinstance(losses, dict) else {}
    history = [{"validation_objective": o, "loss": loss} for o, loss in objectives.items()]
    criterion = SimpleNamespace(
        constraint_value=lambda: torch.tensor(difference), logit_threshold=0.0, n_groups=[2]
    )
    net = SimpleNamespace(
        module_=FirstFeature(),
        criterion_=criterion,
        options=SimpleNamespace(
            eta=3.0,
            fairness_target=target,
            bound=target,
            has_rates=False,
            batch_size=64,
            lr=0.1,
            module=None,
        ),
        history=history or [{"loss": loss} for loss in losses],
        last_run=RunSummary(fair=fair, n_samples=len(X), epochs=7),
        criterion_on=lambda samples: criterion,
    )
    X = np.array(X, dtype=np.float32)[:, None]
    weight = None if weight is None else np.array(weight, dtype=float)
    samples = Samples(X, np.array(y), None, weight, None, torch.device("cpu"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_outcome(net, SimpleNamespace(classes=CLASSES, group_encoder=None), samples)
    assert all(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "target, difference, warns",
    [
        (0.1, 0.09, False),
        (0.1, 0.12, False),  # 1.2 times the target
        (0.1, 0.13, True),  # 1.3 times
        (0.01, 0.019, False),  # above 1.25 times the target, but less than 0.01 above it
        (0.01, 0.021, True),
        (None, 0.9, False),
    ],
)
def test_missed_target_warns_above_a_quarter_and_a_hundredth_more(target, difference, warns):
    messages = outcome(target=target, difference=difference)
    assert len(messages) == warns
    if warns:
        assert f"is {difference:.4f}, above fairness_target={target}" in messages[0]
        assert "Training took only 7 steps. Train longer (max_epochs, now 7)" in messages[0]


@pytest.mark.parametrize("sign, label", [(1, "yes"), (-1, "no")])
def test_one_class_for_all_samples_warns(sign, label):
    (message,) = outcome(X=[sign * 1.0, sign * 2.0, sign * 3.0])
    assert f"predicts '{label}' for all 3 training samples" in message
    assert "lower eta (now 3)" in message
    assert "batch_size (now 64)" in message
    assert outcome(X=[1.0, 2.0, -3.0]) == []


def test_one_class_under_a_target_advises_to_raise_the_target():
    (message,) = outcome(X=[1.0, 1.0], target=0.2)
    assert "raise fairness_target (now 0.2)" in message
    assert "eta" not in message


def test_a_training_without_fairness_loss_does_not_warn():
    assert outcome(X=[1.0, 1.0], target=0.1, difference=0.9, fair=False) == []


ENTROPY = 0.562  # of the label frequencies 1/4 and 3/4


@pytest.mark.parametrize(
    "losses, y, weight, warns",
    [
        ((9.0, ENTROPY), (0, 1, 1, 1), None, False),
        ((ENTROPY, 1.04 * ENTROPY), (0, 1, 1, 1), None, False),
        ((ENTROPY, 1.06 * ENTROPY), (0, 1, 1, 1), None, True),
        ((0.7,), (0, 1, 0, 1), None, False),  # log(2) is 0.69
        ((0.7,), (0, 1, 0, 1), (0.5, 1.5, 0.5, 1.5), True),
        ((0.7,), (0, 1, 0, 1), (0, 2, 0, 2), False),  # one class has all the weight
        ({0.3: 0.5, 0.4: 9.0}, (0, 1, 1, 1), None, False),  # early stopping kept the first epoch
        ({0.4: 9.0, 0.3: 0.5, 0.5: 0.5}, (0, 1, 1, 1), None, False),
        ({0.3: 9.0, 0.4: 0.5}, (0, 1, 1, 1), None, True),
    ],
)
@pytest.mark.parametrize("fair", [True, False])
def test_a_loss_above_that_of_the_label_frequencies_warns(losses, y, weight, warns, fair):
    messages = outcome(X=[-1.0, 1.0] * 2, losses=losses, y=y, weight=weight, fair=fair)
    assert len(messages) == warns
    if warns:
        assert "The accuracy loss ended at" in messages[0]
        assert "lower lr (now 0.1), train longer (max_epochs, now 7)" in messages[0]
        assert ("lower eta (now 3)" in messages[0]) == fair


@pytest.mark.parametrize(
    "epochs, widest_gap, etas, expected",
    [
        (
            4,
            [(0, 500), (1, 500)],
            [2, 2],
            "Training took only 4 epochs. Train longer (max_epochs, ",
        ),
        (9, [(0, 500), (1, 5)], [1, 2], "Training took only 900 steps. Train longer (max_epochs, "),
        (
            10,
            [(0, 500), (1, 5)],
            [1, 2],
            "Group 'b', one of the two groups that differ most, has only 5",
        ),
        (10, [(0, 99), (1, 500)], [1, 1], "Group 'a', one of the two groups that differ most, has"),
        (10, [(0, 500), (1, 500)], [1, 2], "The weight of the fairness loss was still growing. T"),
        (10, [(0, 500), (1, 500)], [2, 2], "Longer training is unlikely to help, because"),
    ],
)
def test_a_missed_target_has_one_cause_and_one_remedy(epochs, widest_gap, etas, expected):
    n_samples = 3000 if epochs == 4 else 1000
    net = SimpleNamespace(
        last_run=RunSummary(fair=True, n_samples=n_samples, epochs=epochs),
        options=SimpleNamespace(batch_size=10, has_rates=True, constraint=DemographicParity()),
        history=[{"eta": eta} for eta in np.linspace(*etas, 10)],
    )
    criterion = SimpleNamespace(widest_gap=lambda: widest_gap)
    encoder = SimpleNamespace(names_=["a", "b"])
    text = outcome_file._why_missed(net, criterion, encoder)
    assert text.startswith(expected)
    assert text.count("Train longer") == (expected.endswith(("T", "epochs, ")))


def test_the_widest_gap_names_its_groups():
    """Groups of the second column differ most, in the rates of decisions."""
    X, y, _ = make_data(400)
    first, second = np.arange(400) % 2, np.where(X[:, 0] > np.median(X[:, 0]), "high", "low")
    groups = pd.DataFrame({"first": first, "second": second})
    clf = make(combine="separate", eta=0.1, max_epochs=20).fit(X, y, sensitive_features=groups)
    (highest, n_highest), (lowest, n_lowest) = clf.net_.criterion_.widest_gap()
    names = clf.group_encoder_.names_
    assert [names[highest], names[lowest]] == [("second", "high"), ("second", "low")]
    assert n_highest == pytest.approx(n_lowest, rel=0.2)


def test_fit_warns_of_a_missed_target(biased):
    with pytest.warns(ConvergenceWarning, match="is .*, above fairness_target=0.001"):
        fit(biased, fairness_target=0.001, max_epochs=1)


class DependsOnSize(torch.nn.Module):
    """An activation whose values depend on the number of samples."""

    def forward(self, X):
        return X + len(X) * 1e-6


@pytest.fixture(scope="module", params=["relu", "tanh", "gelu", "custom"])
def module(request):
    activation = {
        "relu": torch.nn.ReLU,
        "tanh": torch.nn.Tanh,
        "gelu": torch.nn.GELU,
        "custom": DependsOnSize,
    }[request.param]
    return FairBiNNModule(
        4,
        1,
        hidden_layer_sizes=(128, 33),
        fairness_layer_sizes=None,
        fairness_position=1,
        activation=activation,
        seed=0,
    )


@pytest.mark.parametrize("n_samples", [1, 2, 15, 17, 63, 64, 700, 1025, 2500])
def test_logits_do_not_depend_on_the_number_of_samples(module, n_samples):
    X = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
    expected = predict_logits(module, X)
    assert (expected.dtype, expected.shape) == (np.float64, (3000, 1))
    for start in (0, 3000 - n_samples):
        part = slice(start, start + n_samples)
        np.testing.assert_array_equal(predict_logits(module, X[part]), expected[part])


@pytest.mark.parametrize(
    "n_samples, alike, expected",
    [
        (1, True, [16]),
        (17, True, [32]),
        (1000, True, [1024]),
        (1025, True, [1024, 16]),
        (1, False, [1024]),
        (1025, False, [1024, 1024]),
    ],
)
def test_chunks_are_padded_to_the_smallest_size_that_rounds_alike(
    fitted, monkeypatch, n_samples, alike, expected
):
    sizes = []
    module = copy.deepcopy(fitted.module_)
    module.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    monkeypatch.setattr(outcome_file, "_rounds_alike", lambda module, smaller, size: alike)
    predict_logits(module, np.zeros((n_samples, 4), dtype=np.float32))
    assert sizes == expected


def test_chunks_of_a_custom_module_have_one_size():
    sizes = []
    module = FirstFeature()
    module.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    predict_logits(module, np.zeros((1025, 4), dtype=np.float32))
    assert sizes == [1024, 1024]


def test_outputs_of_chunks_are_not_kept(module):
    """Thousands of small tensors between larger ones fragment the memory."""
    n_alive = []

    def watch(module, args, output):
        objects = gc.get_objects()
        n_alive.append(sum(type(o) is torch.Tensor and o.shape == (1024, 1) for o in objects))

    module.register_forward_hook(watch)
    predict_logits(module, np.zeros((5000, 4), dtype=np.float32))
    assert len(n_alive) == 5
    assert n_alive[3] <= n_alive[1]  # the last chunk is smaller


def test_a_target_that_only_the_running_difference_misses_does_not_warn():
    """Noise in the running rates of small groups makes their largest difference larger."""
    X, y, group = make_data(4000, groups=list("abcdefghijkl"))
    clf = make(fairness_target=0.05, rate_window=200, max_epochs=20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y, sensitive_features=group)
    running = clf.history_[-1]["decision_difference"]
    difference = demographic_parity_difference(y, clf.predict(X), sensitive_features=group)
    assert running > largest_met(0.05)
    messages = [str(w.message) for w in caught if "above fairness_target" in str(w.message)]
    assert len(messages) == (difference > largest_met(0.05))
    assert all(f"is {difference:.4f}, above" in message for message in messages)

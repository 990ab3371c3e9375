"""Nets trained side by side are those trained one by one; the path tells what they do."""

import contextlib
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data
from fairlearn.metrics import demographic_parity_difference
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.metrics import accuracy_score
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, FairnessPath, fairness_path
from fairbinn_sklearn._training.net import TwoPlayerNet
from fairbinn_sklearn._training.update_rules import METHODS
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, FairnessLoss

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 3, "lr": 0.01, "random_state": 1}


@pytest.fixture(scope="module")
def biased():
    return make_data(600)


@pytest.fixture
def in_float64(monkeypatch):
    """Train in float64, and leave the weights in it."""

    @contextlib.contextmanager
    def in_precision_of(net, rows):
        net._cast(torch.float64)
        rows.dtype = torch.float64
        for name in ("X", "weight", "sample_weight"):
            values = getattr(rows, name)
            setattr(rows, name, None if values is None else values.double())
        yield

    monkeypatch.setattr(TwoPlayerNet, "in_precision_of", in_precision_of)


def assert_same_training(one, other, rtol=1e-8):
    """Same course, eta, rates and weights; the weights of the path end in float32."""
    pd.testing.assert_frame_equal(
        pd.DataFrame(one.history_), pd.DataFrame(other.history_), rtol=rtol, atol=rtol
    )
    np.testing.assert_allclose(one.eta_, other.eta_, rtol=rtol)
    tensors = [{**c.module_.state_dict(), **c.net_.criterion_.state_dict()} for c in (one, other)]
    for name, value in tensors[0].items():
        torch.testing.assert_close(
            value.float(), tensors[1][name].float(), rtol=1e-6, atol=1e-6, msg=name
        )


def assert_side_by_side_equals_one_by_one(X, y, group, sample_weight=None, **arguments):
    path = fairness_path(X, y, group, sample_weight=sample_weight, **arguments)
    assert path.reason is None
    for one in path:
        alone = clone(one).fit(X, y, sensitive_features=group, sample_weight=sample_weight)
        assert_same_training(one, alone)
        assert vars(one).keys() == vars(alone).keys()
        assert vars(one.net_).keys() == vars(alone.net_).keys()
    return path


SETTINGS = [
    *({"method": method} for method in sorted(METHODS)),
    {"method": "unrolled", "n_unroll_steps": 3},
    {"constraint": EqualizedOdds(aggregation="max")},
    {"constraint": ["demographic_parity", "equal_opportunity"]},
    {"equalize": "scores", "fairness_batch_size": 100},
    {"equalize": "both"},
    {"fairness_optimizer": "adam", "fairness_max_step": 1e-3},
    {"optimizer": "sgd", "optimizer__momentum": 0.9},
    {"optimizer": "rmsprop", "lr_schedule": "constant"},
    {"fairness_position": 0, "fairness_layer_sizes": (5, 4), "activation": "tanh"},
    {"class_weight": "balanced", "batch_size": 64},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_nets_side_by_side_are_those_trained_alone(in_float64, biased, settings):
    assert_side_by_side_equals_one_by_one(
        *biased, etas=[0, 0.5, 20], estimator=FairBiNNClassifier(**{**SMALL, **settings})
    )


@pytest.mark.filterwarnings("ignore:The running difference ended")
@pytest.mark.parametrize(
    "settings",
    [{}, {"equalize": "both"}, {"equalize": "both", "method": "unrolled", "combine": "separate"}],
    ids=str,
)
def test_targets_side_by_side_are_those_alone(in_float64, biased, settings):
    estimator = FairBiNNClassifier(**SMALL | settings)
    path = assert_side_by_side_equals_one_by_one(
        *biased, targets=[1 / 8, 1 / 64], estimator=estimator
    )
    frame = path.to_frame()
    assert frame["fairness_target"].tolist() == [1 / 8, 1 / 64]
    assert frame["eta_"].is_monotonic_increasing and frame["eta_"].nunique() == 2


def test_weights_seeds_columns_and_classes_side_by_side(in_float64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)).astype(np.float32)
    y = np.array(["low", "mid", "high"])[np.digitize(X.sum(1) + rng.normal(size=400), [-1, 1])]
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], 400), "age": rng.normal(size=400)})
    path = assert_side_by_side_equals_one_by_one(
        *(X, y, groups),
        sample_weight=rng.uniform(0.5, 2, 400),
        etas=[1, 5],
        seeds=[0, 7],
        estimator=FairBiNNClassifier(**SMALL, combine="separate", n_bins=2),
    )
    assert path.to_frame()[["eta", "seed"]].to_numpy().tolist() == [[1, 0], [5, 0], [1, 7], [5, 7]]
    assert path.predict(X).shape == (4, 400)
    np.testing.assert_allclose(path.predict_proba(X).sum(-1), 1)


class Odd(nn.Module):
    """A net with dropout, a frozen layer, and a shared scale of no dimension."""

    def __init__(self, n_features, n_outputs, norm=None):
        super().__init__()
        self.frozen = nn.Linear(n_features, 6).requires_grad_(False)
        self.base = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.3))
        self.fairness = nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm1d(6) if norm == "batch" else nn.LayerNorm(6)
        self.head = nn.Linear(6, n_outputs)

    def forward(self, X):
        return self.head(self.norm(self.fairness(self.base(self.frozen(X))) * self.scale))


def test_own_net_side_by_side(biased):
    X, y, group = biased
    settings = {name: SMALL[name] for name in ("max_epochs", "lr", "random_state")}
    own = FairBiNNClassifier(**settings, module=Odd, fairness_modules="fairness")
    path = fairness_path(X, y, group, etas=[0.5, 20], estimator=own)
    assert path.reason is None
    for one in path:
        alone = clone(one).fit(X, y, sensitive_features=group)
        assert_same_training(one, alone, rtol=1e-3)
        frozen = [c.module_.frozen.weight for c in (one, alone)]
        assert torch.equal(*frozen)


def a_function(scores, y, groups):
    return (groups.T @ scores / groups.sum(0)).var()


class Recurrent(nn.Module):
    """A net of an operation that vmap cannot batch."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.gru = nn.GRU(n_features, 4, batch_first=True)
        self.fairness = nn.Linear(4, 4)
        self.head = nn.Linear(4, n_outputs)

    def forward(self, X):
        return self.head(self.fairness(self.gru(X[:, None])[0][:, -1]))


DEFAULT_LAYERS = {"hidden_layer_sizes": (128, 128), "fairness_modules": "fairness"}


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"early_stopping": True}, "early_stopping"),
        ({"constraint": a_function}, "function as constraint"),
        ({"optimizer": torch.optim.Adagrad}, "optimizer=Adagrad"),
        ({"fairness_optimizer": torch.optim.Adagrad}, "fairness_optimizer=Adagrad"),
        ({"lr_schedule": torch.optim.lr_scheduler.ReduceLROnPlateau}, "ReduceLROnPlateau"),
        ({"module": Odd, "module__norm": "batch", **DEFAULT_LAYERS}, "buffers"),
        ({"module": Recurrent, **DEFAULT_LAYERS}, "vmap"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_stacked_is_trained_alone_and_told(biased, settings, reason):
    X, y, group = biased
    estimator = FairBiNNClassifier(**{**SMALL, **settings})
    path = fairness_path(X, y, group, etas=[1, 10], estimator=estimator)
    assert reason in path.reason
    for one in path:
        alone = clone(one).fit(X, y, sensitive_features=group)
        np.testing.assert_array_equal(one.decision_function(X), alone.decision_function(X))


def test_callbacks_and_a_single_group_are_trained_alone(biased, capsys):
    X, y, group = biased
    with_callback = FairBiNNClassifier(**SMALL).set_callbacks(ProgressBar())
    assert "callbacks" in fairness_path(X, y, group, etas=[1, 3], estimator=with_callback).reason
    with pytest.warns(UserWarning, match="one group"):
        path = fairness_path(
            X, y, ["all"] * len(y), etas=[1, 3], estimator=FairBiNNClassifier(**SMALL)
        )
    assert "one group" in path.reason
    assert path.figures["demographic_parity_difference"].tolist() == [0, 0]


@pytest.fixture(scope="module")
def path(biased):
    estimator = FairBiNNClassifier(**{**SMALL, "max_epochs": 10})
    return fairness_path(*biased, etas=[0, 1, 30], seeds=[3, 4], estimator=estimator)


def test_figures_are_those_of_fairlearn_and_scikit_learn(path, biased):
    X, y, group = biased
    frame = path.to_frame()
    assert len(path) == len(frame) == 6
    for one, row in zip(path, frame.itertuples(), strict=True):
        labels = one.predict(X)
        assert (one.eta, one.random_state) == (row.eta, row.seed)
        assert row.accuracy == accuracy_score(y, labels)
        assert row.demographic_parity_difference == pytest.approx(
            demographic_parity_difference(y, labels, sensitive_features=group)
        )
    assert frame["demographic_parity_difference"][0] > frame["demographic_parity_difference"][2]


def test_evaluate_measures_other_rows_by_other_metrics(path, biased):
    X, y, group = (one[:200] for one in biased)
    other = path.evaluate(
        *(X, y),
        sensitive_features=group,
        metrics=["worst_group_accuracy", "equal_opportunity_difference"],
        score="balanced_accuracy",
        sample_weight=np.arange(200) % 2,
    )
    assert other[0] is path[0]
    assert list(other.figures) == [
        *("balanced_accuracy", "worst_group_accuracy", "equal_opportunity_difference")
    ]
    half = path.evaluate(
        *(X[1::2], y[1::2]),
        sensitive_features=group[1::2],
        metrics=list(other.figures)[1:],
        score="balanced_accuracy",
    )
    pd.testing.assert_frame_equal(other.figures, half.figures)


def test_evaluate_of_another_positive_label(path, biased):
    X, y, group = biased
    metric = "equal_opportunity_difference"
    of_one, of_zero = (
        path.evaluate(X, y, sensitive_features=group, metrics=metric, pos_label=label).figures
        for label in (1, 0)
    )
    predicted = path[2].predict(X)
    for figures, label in ((of_one, 1), (of_zero, 0)):
        shares = pd.Series((predicted == label)[y == label]).groupby(group[y == label]).mean()
        assert figures[metric][2] == pytest.approx(shares.max() - shares.min())
    assert not np.allclose(of_one[metric], of_zero[metric])


def test_summary_is_over_seeds(path):
    frame, summary = path.to_frame(), path.summary()
    assert summary.index.tolist() == [0, 1, 30] and summary.index.name == "eta"
    of_one = frame[frame["eta"] == 1]["accuracy"]
    assert summary.loc[1, ("accuracy", "mean")] == pytest.approx(of_one.mean())
    assert summary.loc[1, ("accuracy", "std")] == pytest.approx(of_one.std(ddof=0))


def made(accuracy, difference, path):
    """Path of these figures, whatever the classifiers do."""
    figures = pd.DataFrame({"accuracy": accuracy, "demographic_parity_difference": difference})
    return FairnessPath(path.estimators, figures)


def test_nondominated_points_and_hypervolume(path):
    of_both = made([0.9, 0.7, 0.8] * 2, [0.3, 0.2, 0.1] * 2, path)
    front = of_both.nondominated()
    assert front.index.tolist() == [30, 0]
    assert front["demographic_parity_difference"].tolist() == pytest.approx([0.1, 0.3])
    # Of the unit square: 0.9 high where the difference may be 0.3 or more, 0.8 from 0.1 to 0.3.
    assert of_both.hypervolume().tolist() == pytest.approx([0.9 * 0.7 + 0.8 * 0.2] * 2)
    assert of_both.hypervolume().index.tolist() == [3, 4]
    corner = of_both.hypervolume(reference=(0.2, 0.75))
    assert corner.tolist() == pytest.approx([0.05 * 0.1] * 2)


def test_best_under_chooses_by_the_mean_of_the_seeds(path):
    of_both = made([0.9, 0.8, 0.7, 0.9, 0.8, 0.99], [0.3, 0.04, 0.01, 0.3, 0.04, 0.01], path)
    assert of_both.best_under(0.05) is path[2]  # by a mean of 0.845 against 0.8
    assert of_both.best_under(0.5) is path[0]
    with pytest.warns(UserWarning, match="closest"):
        assert of_both.best_under(0.001) is path[2]


def test_path_is_drawn_with_the_spread_of_seeds(path):
    display = ParetoFrontDisplay.from_path(path, bound=0.1)
    summary = path.summary()
    np.testing.assert_array_equal(display.scores, summary["accuracy", "mean"])
    np.testing.assert_array_equal(
        display.difference_std, summary["demographic_parity_difference", "std"]
    )
    assert [text.get_text() for text in display.texts_] == ["eta 0", "eta 1", "eta 30"]
    with pytest.raises(ValueError, match="score must be one of"):
        ParetoFrontDisplay.from_path(path, score="f1")


def test_path_goes_on_after_pickling_and_partial_fit(path, biased):
    X, y, group = biased
    again = pickle.loads(pickle.dumps(path))
    pd.testing.assert_frame_equal(again.to_frame(), path.to_frame())
    assert repr(again) == "FairnessPath(eta 0, 1, 30; 2 seeds)"
    one, alone = again[1], clone(again[1]).fit(X, y, sensitive_features=group)
    for classifier in (one, alone):
        classifier.partial_fit(X, y, sensitive_features=group)
    assert one.n_iter_ == 11
    assert_same_training(one, alone, rtol=1e-3)


def test_verbose_prints_a_line_an_epoch(biased, capsys):
    fairness_path(*biased, etas=[1, 3], estimator=FairBiNNClassifier(**SMALL, verbose=1))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].startswith("epoch 3: loss 0.")


def test_seeds_in_parallel_are_the_same(biased):
    paths = [
        fairness_path(
            *biased, etas=[1, 3], seeds=[0, 1], estimator=FairBiNNClassifier(**SMALL), n_jobs=n
        )
        for n in (None, 2)
    ]
    pd.testing.assert_frame_equal(paths[0].to_frame(), paths[1].to_frame())


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"etas": []}, ValueError, "etas must be a sequence"),
        ({"etas": 3}, ValueError, "etas must be a sequence"),
        ({"etas": [1, -1]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, np.nan]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, "2"]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, 1.0]}, ValueError, "etas must have no value twice"),
        ({"etas": [1], "targets": [0.1]}, ValueError, "exclude each other"),
        ({"targets": [0]}, ValueError, "fairness_target"),
        ({"seeds": [1, 1]}, ValueError, "seeds must have no value twice"),
        ({"seeds": -1}, ValueError, "seeds must be an integer"),
        ({"seeds": []}, ValueError, "seeds must be an integer"),
        ({"seeds": "abc"}, ValueError, "seeds must be an integer"),
        ({"estimator": DemographicParity()}, TypeError, "estimator must be a FairBiNNClassifier"),
        ({"estimator": FairBiNNClassifier(lr=-1)}, ValueError, "lr"),
        (
            {"estimator": FairBiNNClassifier(fairness_target=0.1)},
            ValueError,
            "fairness_target=0.1",
        ),
        ({"sensitive_features": None}, ValueError, "sensitive_features must be given"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(biased, arguments, error, match):
    X, y, group = biased
    with pytest.raises(error, match=match):
        fairness_path(X, y, **{"sensitive_features": group, **arguments})


def test_unknown_figures_are_named(path, biased):
    X, y, group = biased
    with pytest.raises(ValueError, match="metric must be one of"):
        path.best_under(0.1, metric="f1")
    with pytest.raises(ValueError, match="metric must be one of"):
        path.evaluate(X, y, sensitive_features=group, metrics="f1")
    with pytest.raises(ValueError, match="bound must be"):
        path.best_under(2)


def test_etas_that_diverge_are_told(biased):
    X, y, group = biased
    estimator = FairBiNNClassifier(**{**SMALL, "lr": 1e30, "optimizer": "sgd"})
    with pytest.raises(ValueError, match="diverged.*1.0, 3.0"):
        fairness_path(X * 1e10, y, group, etas=[1, 3], estimator=estimator)


def test_own_criterion_is_stacked(in_float64, biased):
    class Rejected(FairnessLoss):
        def events(self, y, n_classes):
            return (y == 0)[None]

    assert_side_by_side_equals_one_by_one(
        *biased, etas=[1, 5], estimator=FairBiNNClassifier(**SMALL, constraint=Rejected())
    )

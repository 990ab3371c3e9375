"""Networks trained side by side equal those trained alone; tables and choices of a path."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit, make
from fairlearn.metrics import demographic_parity_difference
from joblib import parallel_config
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.metrics import accuracy_score
from torch import nn

from fairbinn_sklearn import FairBiNNClassifier, FairnessPath, _points, fairness_path
from fairbinn_sklearn._points import fit_points
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.losses import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    FairnessLoss,
)

SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 3, "lr": 0.01, "random_state": 1}


@pytest.fixture(scope="module")
def small(biased):
    return [array[:300] for array in biased]


@pytest.fixture
def in_float64(monkeypatch):
    """Train in float64; weights and rates end in float32."""
    monkeypatch.setattr(TrainingOptions, "dtype", lambda options, *args: torch.float64)


@pytest.fixture
def side_by_side(monkeypatch):
    """Train networks side by side on a CPU too."""
    monkeypatch.setattr(_points, "SIDE_BY_SIDE", ("cpu",))


def assert_same_training(clf, other, rtol=1e-8):
    """Assert the same history, and the same eta, rates and weights up to float32."""
    pd.testing.assert_frame_equal(
        pd.DataFrame(clf.history_), pd.DataFrame(other.history_), rtol=rtol, atol=rtol
    )
    assert clf.eta_ == pytest.approx(other.eta_, rel=1e-6)
    states = [{**c.module_.state_dict(), **c.net_.criterion_.state_dict()} for c in (clf, other)]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-6, atol=1e-6, msg=name)


def assert_side_by_side_equals_alone(data, points, *, seeds=(1,), sample_weight=None, **params):
    """Return the classifiers of points (eta, fairness_target) that were trained side by side."""
    X, y, group = data
    estimator = make(**SMALL | params)
    classifiers, reason, _ = fit_points(
        estimator, points, seeds, X, y, group, sample_weight, warm_start=False
    )
    assert reason is None
    for clf in classifiers:
        alone = clone(clf).fit(X, y, sensitive_features=group, sample_weight=sample_weight)
        assert_same_training(clf, alone)
        assert vars(clf).keys() == vars(alone).keys()
        assert vars(clf.net_).keys() == vars(alone.net_).keys()
    return classifiers


class Rejected(FairnessLoss):
    def events(self, y, n_classes):
        return (y == 0)[None]


@pytest.mark.parametrize(
    "params",
    [
        {"method": "bilevel", "optimizer": "sgd", "optimizer__momentum": 0.9},
        {"method": "alternating", "equalize": "both"},
        {"method": "lagrangian", "class_weight": "balanced"},
        {"method": "unrolled", "batch_size": 32},
        {"method": "unrolled", "n_unroll_steps": 3, "equalize": "scores"},
        {"constraint": EqualizedOdds(aggregation="max"), "lr_schedule": "constant"},
        {
            "constraint": ["demographic_parity", Rejected()],
            "fairness_position": 0,
            "fairness_layer_sizes": (5, 4),
            "activation": "tanh",
        },
        {"optimizer": "rmsprop", "fairness_optimizer": "adam", "fairness_max_step": 1e-3},
    ],
    ids=str,
)
def test_side_by_side_equals_alone(in_float64, side_by_side, small, params):
    assert_side_by_side_equals_alone(small, [(0.5, None), (20, None)], **params)


@pytest.mark.filterwarnings("ignore:The difference on the")
@pytest.mark.parametrize(
    "params",
    [
        {"equalize": "both"},
        {"method": "unrolled", "combine": "separate"},
        {"target_samples": "validation", "validation_fraction": 0.3},
    ],
    ids=str,
)
def test_targets_side_by_side_equal_those_alone(in_float64, side_by_side, small, params):
    loose, strict = assert_side_by_side_equals_alone(
        small, [(None, 1 / 8), (None, 1 / 64)], **params
    )
    assert loose.fairness_target == 1 / 8 and loose.eta_ < strict.eta_


def test_weights_seeds_features_and_classes_side_by_side(in_float64, side_by_side):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype(np.float32)
    y = np.array(["low", "mid", "high"])[np.digitize(X.sum(1) + rng.normal(size=300), [-1, 1])]
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], 300), "age": rng.integers(3, size=300)})
    classifiers = assert_side_by_side_equals_alone(
        (X, y, groups),
        [(0, None), (1, None), (5, None)],
        seeds=[0, 7],
        sample_weight=rng.uniform(0.5, 2, 300),
        combine="separate",
    )
    settings = [(clf.random_state, clf.eta) for clf in classifiers]
    assert settings == [(seed, eta) for seed in (0, 7) for eta in (0, 1, 5)]


class CustomModule(nn.Module):
    """A module with dropout, a frozen layer, and a parameter without dimensions."""

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


def test_custom_module_side_by_side(side_by_side, small):
    X, y, group = small
    estimator = make(lr=0.01, module=CustomModule, fairness_modules="fairness")
    path = fairness_path(X, y, group, etas=[0.5, 20], estimator=estimator, warm_start=False)
    assert path.reason is None
    for clf in path:
        alone = clone(clf).fit(X, y, sensitive_features=group)
        assert_same_training(clf, alone, rtol=1e-3)
        assert torch.equal(clf.module_.frozen.weight, alone.module_.frozen.weight)


def variance_of_rates(scores, y, groups):
    return (groups.T @ scores / groups.sum(0)).var()


class Recurrent(nn.Module):
    """A module with an operation that vmap cannot batch."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.gru = nn.GRU(n_features, 4, batch_first=True)
        self.fairness = nn.Linear(4, 4)
        self.head = nn.Linear(4, n_outputs)

    def forward(self, X):
        return self.head(self.fairness(self.gru(X[:, None])[0][:, -1]))


@pytest.mark.parametrize(
    "params, reason",
    [
        ({"early_stopping": True}, "early_stopping"),
        ({"constraint": variance_of_rates}, "function as constraint"),
        ({"optimizer": torch.optim.Adagrad}, "optimizer=Adagrad"),
        ({"fairness_optimizer": torch.optim.Adagrad}, "fairness_optimizer=Adagrad"),
        ({"lr_schedule": torch.optim.lr_scheduler.ReduceLROnPlateau}, "ReduceLROnPlateau"),
        ({"module": CustomModule, "module__norm": "batch"}, "buffers"),
        ({"module": Recurrent}, "vmap"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_stacked_is_trained_alone_with_a_reason(side_by_side, small, params, reason):
    modules = {"fairness_modules": "fairness"} if "module" in params else {}
    estimator = make(max_epochs=1, **params, **modules)
    path = fairness_path(*small, etas=[1, 10], estimator=estimator, warm_start=False)
    assert reason in path.reason
    for clf in path:
        alone = fit(small, **clf.get_params())
        np.testing.assert_array_equal(
            clf.decision_function(small[0]), alone.decision_function(small[0])
        )


@pytest.mark.filterwarnings("ignore:.* is NaN. fewer than two groups")
def test_callbacks_and_a_single_group_are_a_reason(small, capsys):
    X, y, group = small
    with_callback = make(max_epochs=1).set_callbacks(ProgressBar())
    assert "callbacks" in fairness_path(X, y, group, etas=[1, 3], estimator=with_callback).reason
    with pytest.warns(UserWarning, match="one group"):
        path = fairness_path(X, y, ["all"] * len(y), etas=[1, 3], estimator=make(max_epochs=1))
    assert "one group" in path.reason
    assert path.figures["demographic_parity_difference"].isna().all()


@pytest.fixture(scope="module")
def path(biased):
    estimator = make(**{**SMALL, "max_epochs": 10})
    return fairness_path(*biased, etas=[0, 1, 30], seeds=[3, 4], estimator=estimator)


def test_metrics_equal_those_of_fairlearn_and_scikit_learn(path, biased):
    X, y, group = biased
    frame = path.to_frame()
    assert len(path) == len(frame) == 6
    for clf, row in zip(path, frame.itertuples(), strict=True):
        labels = clf.predict(X)
        assert (clf.eta, clf.random_state) == (row.eta, row.seed)
        assert row.accuracy == accuracy_score(y, labels)
        assert row.demographic_parity_difference == pytest.approx(
            demographic_parity_difference(y, labels, sensitive_features=group)
        )
    assert frame["demographic_parity_difference"][0] > frame["demographic_parity_difference"][2]


def test_evaluate_measures_other_samples_by_other_metrics(path, biased):
    X, y, group = (array[:200] for array in biased)
    other = path.evaluate(
        *(X, y),
        sensitive_features=group,
        metrics=["worst_group_accuracy", "equal_opportunity_difference"],
        score="balanced_accuracy",
        sample_weight=np.arange(200) % 2,
    )
    assert other[0] is path[0]
    assert path.predict(X).shape == (6, 200)
    np.testing.assert_allclose(path.predict_proba(X).sum(-1), 1)
    assert list(other.figures) == [
        *("balanced_accuracy", "worst_group_accuracy", "equal_opportunity_difference"),
        "selection_rate",
    ]
    half = path.evaluate(
        *(X[1::2], y[1::2]),
        sensitive_features=group[1::2],
        metrics=list(other.figures)[1:3],
        score="balanced_accuracy",
    )
    pd.testing.assert_frame_equal(other.figures, half.figures)


def test_evaluate_of_another_pos_label(path, biased):
    X, y, group = biased
    metric = "equal_opportunity_difference"
    of_1, of_0 = (
        path.evaluate(X, y, sensitive_features=group, metrics=metric, pos_label=label).figures
        for label in (1, 0)
    )
    predicted = path[2].predict(X)
    for figures, label in ((of_1, 1), (of_0, 0)):
        rates = pd.Series((predicted == label)[y == label]).groupby(group[y == label]).mean()
        assert figures[metric][2] == pytest.approx(rates.max() - rates.min())
    assert not np.allclose(of_1[metric], of_0[metric])


def test_summary_is_over_seeds(path):
    frame, summary = path.to_frame(), path.summary()
    assert summary.index.tolist() == [0, 1, 30] and summary.index.name == "eta"
    accuracies = frame[frame["eta"] == 1]["accuracy"]
    assert summary.loc[1, ("accuracy", "mean")] == pytest.approx(accuracies.mean())
    assert summary.loc[1, ("accuracy", "std")] == pytest.approx(accuracies.std(ddof=0))


def with_figures(path, accuracy, difference):
    """Return a path of the same classifiers with other metrics."""
    figures = pd.DataFrame({"accuracy": accuracy, "demographic_parity_difference": difference})
    return FairnessPath(path.estimators, figures)


def test_a_choice_by_training_samples_warns(small, path):
    X, y, group = small
    with pytest.warns(UserWarning, match="First call evaluate with samples that were not used"):
        chosen = path.best_under(1)
    measured = path.evaluate(X, y, sensitive_features=group)
    assert measured.best_under(1) is chosen  # without a warning
    assert repr(measured) == "FairnessPath(eta 0, 1, 30; 2 seeds)"


def test_nondominated_points_and_hypervolume(path):
    of_both = with_figures(path, [0.9, 0.7, 0.8] * 2, [0.3, 0.2, 0.1] * 2)
    front = of_both.nondominated()
    assert front.index.tolist() == [30, 0]
    assert front["demographic_parity_difference"].tolist() == pytest.approx([0.1, 0.3])
    # Of the unit square: 0.9 high where the difference may be 0.3 or more, 0.8 from 0.1 to 0.3.
    assert of_both.hypervolume().tolist() == pytest.approx([0.9 * 0.7 + 0.8 * 0.2] * 2)
    assert of_both.hypervolume().index.tolist() == [3, 4]
    corner = of_both.hypervolume(reference=(0.2, 0.75))
    assert corner.tolist() == pytest.approx([0.05 * 0.1] * 2)


def test_best_under_chooses_by_the_mean_over_seeds(path):
    of_both = with_figures(
        path, [0.9, 0.8, 0.7, 0.9, 0.8, 0.99], [0.3, 0.04, 0.01, 0.3, 0.04, 0.01]
    )
    assert of_both.best_under(0.05) is path[2]  # with a mean of 0.845 against 0.8
    assert of_both.best_under(0.5) is path[0]
    with pytest.warns(UserWarning, match="closest"):
        assert of_both.best_under(0.001) is path[2]


def test_seeds_that_predict_another_class_each_are_constant(path):
    changed = with_figures(path, [0.7, 0.9, 0.8] * 2, [0.04] * 6)
    assert changed.best_under(0.05) is path[1]
    changed.figures["selection_rate"] = [0.3, 0.0, 0.3, 0.3, 1.0, 0.3]
    assert changed.best_under(0.05) is path[2]


def test_best_under_a_ratio(large):
    X, y, group = large
    estimator = make(max_epochs=10, device="cpu")
    path = fairness_path(X, y, group, etas=[0, 3, 30], estimator=estimator)
    measured = path.evaluate(X, y, sensitive_features=group, metrics="demographic_parity_ratio")
    ratios = measured.to_frame()["demographic_parity_ratio"]
    assert ratios[0] < 0.5 < ratios[2]
    chosen = measured.best_under(0.5, metric="demographic_parity_ratio")
    accuracy = measured.to_frame()["accuracy"].where(ratios >= 0.5)
    assert chosen is path[int(accuracy.argmax())]


@pytest.mark.parametrize("order", [[0, 3, 1, 4, 2, 5], [5, 2, 4, 1, 3, 0]])
def test_best_under_does_not_depend_on_the_order_of_the_points(path, order):
    figures = pd.DataFrame(
        {"accuracy": [0.9, 0.8, 0.7] * 2, "demographic_parity_difference": [0.3, 0.04, 0.01] * 2}
    )
    other = FairnessPath([path[i] for i in order], figures.iloc[order].reset_index(drop=True))
    for bound, eta in ((0.5, 0), (0.05, 1), (0.02, 30)):
        chosen = other.best_under(bound)
        assert chosen.eta == eta and chosen.random_state == other[0].random_state


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


def test_classifiers_of_a_path_can_be_pickled_and_trained_further(small):
    X, y, group = small
    path = fairness_path(
        *small, etas=[0, 1, 30], seeds=[3, 4], estimator=make(**SMALL), warm_start=True
    )
    again = pickle.loads(pickle.dumps(path))
    pd.testing.assert_frame_equal(again.to_frame(), path.to_frame())
    of_training = "; measured on its training samples"
    assert repr(again) == f"FairnessPath(eta 0, 1, 30; 2 seeds{of_training})"
    clf, alone = again[1], fit(small, **again[1].get_params())
    for classifier in (clf, alone):
        classifier.partial_fit(X, y, sensitive_features=group)
    assert (clf.n_iter_, alone.n_iter_) == (3 + 3 + 1, 3 + 1)


def test_verbose_prints_a_line_per_epoch(side_by_side, small, capsys):
    fairness_path(*small, etas=[1, 3], estimator=make(**SMALL, verbose=1), warm_start=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].startswith("epoch 3: loss 0.")
    assert ", eta 1 to 3, seconds " in lines[2]


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_seeds_in_parallel_are_the_same(small, backend):
    with parallel_config(backend=backend):
        frames = [
            fairness_path(
                *small, etas=[1, 3], seeds=[0, 1], estimator=make(**SMALL), n_jobs=n_jobs
            ).to_frame()
            for n_jobs in (1, 2)
        ]
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"etas": []}, ValueError, "etas must be a sequence"),
        ({"etas": 3}, ValueError, "etas must be a sequence"),
        ({"etas": [1, -1]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, np.nan]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, "2"]}, ValueError, "etas must be a sequence"),
        ({"etas": [1, 1.0]}, ValueError, "etas must have no value twice"),
        ({"etas": [1], "targets": [0.1]}, ValueError, "etas and targets cannot both be passed"),
        ({"targets": [0]}, ValueError, "fairness_target"),
        ({"seeds": [1, 1]}, ValueError, "seeds must have no value twice"),
        (
            {"seeds": 3},
            ValueError,
            r"got 3. For three seeds, pass range\(3\)",
        ),
        ({"seeds": [-1]}, ValueError, "seeds must be a sequence of integers"),
        ({"seeds": "abc"}, ValueError, "seeds must be a sequence of integers"),
        ({"estimator": DemographicParity()}, TypeError, "estimator must be a FairBiNNClassifier"),
        ({"estimator": FairBiNNClassifier(lr=-1)}, ValueError, "lr"),
        (
            {"estimator": FairBiNNClassifier(fairness_target=0.1)},
            ValueError,
            "fairness_target=None with etas, got 0.1",
        ),
        ({"estimator": make(checkpoint="a.pt")}, ValueError, "checkpoint must be None"),
        ({"sensitive_features": None}, ValueError, "sensitive_features must be passed"),
    ],
    ids=str,
)
def test_invalid_arguments(biased, arguments, error, match):
    X, y, group = biased
    with pytest.raises(error, match=match):
        fairness_path(X, y, **{"sensitive_features": group, **arguments})


def test_unknown_metrics(path, biased):
    X, y, group = biased
    with pytest.raises(ValueError, match="metric must be one of"):
        path.best_under(0.1, metric="f1")
    with pytest.raises(ValueError, match="metric must be one of"):
        path.evaluate(X, y, sensitive_features=group, metrics="f1")
    with pytest.raises(ValueError, match="bound must be"):
        path.best_under(2)


def test_the_error_names_etas_that_diverge(side_by_side, small):
    X, y, group = small
    estimator = make(**{**SMALL, "lr": 1e30, "optimizer": "sgd"})
    with pytest.raises(ValueError, match="diverged.*1.0, 3.0"):
        fairness_path(X * 1e10, y, group, etas=[1, 3], estimator=estimator, warm_start=False)


# The metric of the criterion


@pytest.mark.parametrize(
    "constraint, metric, difference",
    [
        ("demographic_parity", "demographic_parity_difference", None),
        ("equal_opportunity", "equal_opportunity_difference", None),
        (EqualizedOdds(weight=2.0), "equalized_odds_difference", None),
        (
            EqualOpportunity(measure="ratio"),
            "equal_opportunity_ratio",
            "equal_opportunity_difference",
        ),
        ([DemographicParity(), EqualizedOdds()], "demographic_parity_difference", None),
        (lambda scores, y, groups: scores.var(), "demographic_parity_difference", None),
    ],
    ids=["default", "name", "object", "ratio", "list", "function"],
)
def test_the_choice_follows_the_criterion(small, constraint, metric, difference):
    path = fairness_path(
        *small, etas=[0, 3, 30], estimator=make(**SMALL, constraint=constraint), warm_start=False
    )
    path = path.evaluate(*small[:2], sensitive_features=small[2])
    difference = difference or metric
    assert {metric, difference} <= set(path.to_frame())
    assert path.nondominated().columns[0] == difference
    assert path.hypervolume().equals(path.hypervolume(difference))
    for k, bound in enumerate(path.to_frame()[metric]):
        # Each bound is met exactly by point k, whose rank by another metric may differ.
        assert path.best_under(bound) is path.best_under(bound, metric), k


def test_the_choice_differs_from_that_by_demographic_parity(biased):
    path = fairness_path(
        *biased, etas=[0, 30], estimator=make(constraint="equal_opportunity", max_epochs=20)
    )
    path = path.evaluate(*biased[:2], sensitive_features=biased[2])
    table = path.to_frame()
    assert table["equal_opportunity_difference"][1] < table["demographic_parity_difference"][1]
    bound = table["equal_opportunity_difference"][1] + 1e-9
    assert table["equal_opportunity_difference"][0] > bound
    assert path.best_under(bound).eta == 30
    with pytest.warns(UserWarning, match="No candidate has a mean demographic_parity_difference"):
        path.best_under(bound, "demographic_parity_difference")

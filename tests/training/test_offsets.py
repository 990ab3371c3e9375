"""Targets on samples that are set aside: offsets of the rates, fits, paths and warnings."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import difference, fit, make, make_data, wide_data
from fairlearn.metrics import demographic_parity_difference
from sklearn.exceptions import ConvergenceWarning
from torch.testing import assert_close

import fairbinn_sklearn._training.outcome as outcome_file
from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._data.labels import split_validation
from fairbinn_sklearn._training.offsets import offsets_of
from fairbinn_sklearn._training.options import TrainingOptions
from fairbinn_sklearn._training.run import RunSummary
from fairbinn_sklearn._training.setup import training_data
from fairbinn_sklearn.losses import DemographicParity

PLAIN = {"max_epochs": 20, "weight_decay": 3e-4}  # settings that overfit few samples
ON_VALIDATION = {"target_samples": "validation", "validation_fraction": 0.4}
pytestmark = pytest.mark.filterwarnings("ignore:The difference on the")


def column(*values):
    """Return rates of one event and one score per sample, or counts of one event."""
    return torch.tensor(values, dtype=torch.float64)[None, :, None]


def counts(*values):
    return column(*values)


def test_offsets_of_many_samples_are_the_differences_of_the_rates():
    many = counts(1e9, 1e9, 1e9)
    offsets = offsets_of(column(0.2, 0.3, 0.4), many, column(0.1, 0.3, 0.8), many)
    assert_close(offsets, column(-0.1, 0.0, 0.4), rtol=0, atol=1e-6)


def test_offsets_within_the_sampling_error_are_zero():
    few = counts(10, 10)
    offsets = offsets_of(column(0.5, 0.5), few, column(0.4, 0.6), few)
    assert_close(offsets, column(0.0, 0.0))
    many = counts(1000, 1000)
    offsets = offsets_of(column(0.5, 0.5), many, column(0.4, 0.6), many)
    assert 0.08 < offsets[0, 1, 0] < 0.1


@pytest.mark.parametrize("part", [0, 1])
def test_a_group_that_a_part_lacks_has_the_mean_offset(part):
    n_samples = [counts(1e9, 1e9, 1e9), counts(1e9, 1e9, 1e9)]
    n_samples[part] = counts(1e9, 0, 1e9)
    offsets = offsets_of(column(0.5, 0.9, 0.5), n_samples[0], column(0.4, 0.1, 0.6), n_samples[1])
    assert_close(offsets, column(-0.1, 0.0, 0.1), rtol=0, atol=1e-6)


def test_networks_side_by_side_have_the_offsets_of_each():
    rates = torch.rand(2, 3, 1, 4, 1, dtype=torch.float64)
    parts = counts(50, 60, 70, 80), counts(20, 30, 40, 50)
    together = offsets_of(rates[0], parts[0], rates[1], parts[1])
    for k in range(3):
        assert_close(together[k], offsets_of(rates[0, k], parts[0], rates[1, k], parts[1]))


@pytest.mark.parametrize("equalize", ["decisions", "scores", "both", "distribution"])
def test_steering_rates_are_those_of_the_samples_set_aside(large, equalize):
    """With many samples set aside, the running rates plus offsets are close to their rates."""
    clf = fit(large, fairness_target=0.05, equalize=equalize, **ON_VALIDATION)
    criterion = clf.net_.criterion_
    plain = criterion.empty_copy()
    plain.sums, plain.counts = criterion.sums, criterion.counts
    plain.decision_weight = criterion.decision_weight
    offsets = criterion.steering_rates() - plain.steering_rates()
    assert_close(offsets, criterion.offsets[criterion.kinds])


def test_a_network_that_overfits_has_a_smaller_difference_on_other_samples():
    differences = {"training": [], "validation": []}
    for seed in range(2):
        data, other = wide_data(seed, 2000), wide_data(seed + 10, 6000)
        for name, found in differences.items():
            params = {"target_samples": name, "validation_fraction": 0.3, **PLAIN}
            found.append(difference(fit(data, fairness_target=0.03, **params), other))
    assert np.mean(differences["validation"]) < 0.7 * np.mean(differences["training"])


def test_the_samples_set_aside_are_recorded_and_do_not_train(large):
    clf = fit(large, fairness_target=0.05, **ON_VALIDATION)
    names = {"validation_loss", "validation_decision_difference", "validation_score_difference"}
    assert names <= clf.history_[-1].keys()
    assert "validation_objective" not in clf.history_[-1]
    assert clf.net_.last_run.n_samples == 1800  # 0.6 of 3,000


def test_without_a_fairness_loss_no_samples_are_set_aside(large):
    X, y, group = large
    with pytest.warns(UserWarning, match="sensitive_features"):
        clf = make(fairness_target=0.05, **ON_VALIDATION).fit(X, y)
    assert clf.net_.last_run.n_samples == len(X)


def test_partial_fit_continues_without_offsets(large):
    X, y, group = large
    clf = fit(large, fairness_target=0.05, equalize="both", **ON_VALIDATION)
    clf.net_.criterion_.offsets.fill_(0.1)
    clf.set_params(target_samples="training").partial_fit(X, y, sensitive_features=group)
    assert not clf.net_.criterion_.offsets.any()


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_path_sets_the_samples_of_a_fit_aside(large, warm_start):
    X, y, group = large
    estimator = make(**ON_VALIDATION)
    path = fairness_path(
        X, y, group, targets=[0.2, 0.05], estimator=estimator, warm_start=warm_start
    )
    assert all(clf.net_.last_run.n_samples == 1800 for clf in path)
    assert all("validation_loss" in record for clf in path for record in clf.history_)
    alone = fit(large, fairness_target=0.05, **ON_VALIDATION)
    X_other = make_data(500, seed=9)[0]
    equal = np.array_equal(path[1].decision_function(X_other), alone.decision_function(X_other))
    assert equal != warm_start


def test_cross_validation_sets_samples_of_the_training_folds_aside(large):
    X, y, group = large
    estimator = make(**ON_VALIDATION)
    clf = FairBiNNClassifierCV(targets=[0.1, 0.05], estimator=estimator, cv=2, bound=0.5)
    clf.fit(X, y, sensitive_features=group)
    assert clf.estimator_.target_samples == "validation"
    assert clf.estimator_.net_.last_run.n_samples == 1800


def test_etas_need_the_training_samples(large):
    X, y, group = large
    with pytest.raises(ValueError, match='target_samples must be "training" without'):
        fairness_path(X, y, group, etas=[1, 3], estimator=make(**ON_VALIDATION))


def test_the_warning_reports_the_difference_on_the_samples_set_aside(large):
    X, y, group = large
    clf = make(fairness_target=0.001, **ON_VALIDATION)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y, sensitive_features=group)
    (message,) = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    options = TrainingOptions.from_estimator(clf)
    data = training_data(make(), X, y, group, None, options=options)
    training, held_out = split_validation(data.samples, 0.4, np.random.RandomState(0))
    differences = [
        demographic_parity_difference(
            part.y, clf.predict(part.X.numpy()), sensitive_features=part.groups[:, 0]
        )
        for part in (held_out, training)
    ]
    assert f"on the 1,200 samples set aside is {differences[0]:.4f}, above" in message
    assert f"on the training samples it is {differences[1]:.4f}." in message


@pytest.mark.parametrize(
    "count, difference, offset, expected",
    [
        (
            99,
            0.02,
            0.3,
            "Group 'b', .* has too few samples set aside to control its rate: 99.",
        ),
        (100, 0.02, 0.0, "The target is met on the training samples, and sampling alone explains"),
        (100, 0.02, 0.02, "The network overfits: .*Train shorter .max_epochs, now 10., raise wei"),
        (100, 0.3, 0.02, "The network overfits"),
        (100, 0.3, 0.0, "Longer training is unlikely to help, because"),
    ],
)
def test_a_target_missed_on_samples_set_aside_has_one_cause(count, difference, offset, expected):
    net = SimpleNamespace(
        last_run=RunSummary(fair=True, n_samples=1000, epochs=10),
        options=SimpleNamespace(
            batch_size=10,
            has_rates=True,
            constraint=DemographicParity(),
            bound=0.02,
            weight_decay=1e-3,
        ),
        history=[{"eta": 1.0}] * 10,
    )
    held_out = SimpleNamespace(widest_gap=lambda: [(0, 500), (1, count)])
    training = SimpleNamespace(
        widest_gap=lambda: [(0, 500), (1, 500)],
        constraint_value=lambda: torch.tensor(difference),
        offset_range=lambda criterion: offset,
    )
    encoder = SimpleNamespace(names_=["a", "b"])
    text = outcome_file._why_missed_on(held_out, net, training, encoder)
    assert re.match(expected, text)


@pytest.mark.parametrize(
    "constraint, target",
    [
        ("predictive_parity", 0.1),
        (DemographicParity(measure="ratio"), 0.8),
        (DemographicParity(measure="minimum"), 0.4),
    ],
    ids=["quotient", "ratio", "minimum"],
)
def test_all_rates_and_measures_are_measured_on_the_samples_set_aside(large, constraint, target):
    """The steering rates of the last epoch are estimates of the rates set aside."""
    X, y, group = large
    clf = fit(large, fairness_target=target, constraint=constraint, **ON_VALIDATION)
    criterion = clf.net_.criterion_
    plain = criterion.empty_copy()
    for name in ("sums", "counts", "denominators"):
        setattr(plain, name, getattr(criterion, name, None))
    plain.decision_weight = criterion.decision_weight
    offsets = criterion.steering_rates() - plain.steering_rates()
    assert criterion.offsets.isfinite().all()
    assert_close(offsets, criterion.offsets[criterion.kinds])


def test_groups_within_strata_have_offsets(large):
    X, y, group = large
    strata = np.where(X[:, 1] > 0, "high", "low")
    clf = make(fairness_target=0.05, **ON_VALIDATION)
    clf.fit(X, y, sensitive_features=group, control_features=strata)
    criterion = clf.net_.criterion_
    assert criterion.offsets.shape[-2] == 4
    assert criterion.offsets.isfinite().all()

"""The estimator as a whole: what it is for, what fit and partial_fit keep, copies, predictions."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import difference, fit, make, make_data, same_model, score_difference, stable_id
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate_difference,
)
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fairbinn_sklearn._training.resolve import resolve_constraint
from fairbinn_sklearn.losses import DemographicParity, EqualOpportunity, FairnessLoss

SMALL = {"hidden_layer_sizes": (16,), "max_epochs": 10, "lr": 0.005}  # fits `large` in 0.5 s

METRICS = {
    "demographic_parity": demographic_parity_difference,
    "equal_opportunity": equal_opportunity_difference,
    "false_positive_rate_parity": false_positive_rate_difference,
    "equalized_odds": equalized_odds_difference,
}


def differences(clf, data):
    return {name: difference(clf, data, metric) for name, metric in METRICS.items()}


@pytest.fixture(scope="module")
def unconstrained(large):
    return fit(large, eta=0, **SMALL)


# Accuracy and differences between groups


@pytest.mark.parametrize("method", ["bilevel", "lagrangian"])
def test_larger_eta_lowers_the_difference_and_the_accuracy(large, unconstrained, method):
    X, y, _ = large
    models = [unconstrained, *(fit(large, eta=eta, method=method, **SMALL) for eta in (1, 10))]
    gaps = [difference(clf, large) for clf in models]
    accuracies = [clf.score(X, y) for clf in models]
    assert gaps[0] > 0.3 > gaps[1] > gaps[2]
    assert gaps[2] < 0.08
    assert accuracies[0] > accuracies[1] > accuracies[2] > 0.7


@pytest.mark.parametrize(
    "name, aggregation", [*((name, "mean") for name in METRICS), ("equalized_odds", "max")]
)
def test_each_criterion_lowers_its_difference(large, unconstrained, name, aggregation):
    loss = resolve_constraint(name).set_params(aggregation=aggregation)
    clf = fit(large, eta=30, constraint=loss, **SMALL)
    gap = differences(clf, large)[name]
    assert gap < 0.5 * differences(unconstrained, large)[name]
    assert clf.history_[-1]["decision_difference"] == pytest.approx(gap, abs=0.04)


@pytest.mark.slow
def test_losses_of_a_list_count_by_their_weights(large, unconstrained):
    def fit_both(weight):
        losses = [DemographicParity(), EqualOpportunity(weight=weight)]
        return differences(fit(large, eta=10, constraint=losses, **SMALL), large)

    light, heavy = fit_both(0.05), fit_both(5.0)
    assert light["demographic_parity"] < differences(unconstrained, large)["demographic_parity"] / 2
    assert heavy["equal_opportunity"] < light["equal_opportunity"]
    assert heavy["demographic_parity"] > light["demographic_parity"]


@pytest.mark.slow
def test_six_groups_of_one_or_two_sensitive_features():
    X, y, group = data = make_data(3000, groups=tuple("abcdef"))
    before, after = (fit(data, eta=eta, **SMALL) for eta in (0, 10))
    assert len(after.groups_) == 6
    assert difference(after, data) < 0.5 * difference(before, data)
    codes = pd.Series(group).map("abcdef".index)
    columns = pd.DataFrame({"row": codes // 3, "column": codes % 3})
    assert same_model(fit((X, y, columns), eta=10, **SMALL), after, X)


@pytest.mark.parametrize("equalize", ["decisions", "scores", "both"])
def test_equalize_chooses_the_difference_whose_square_is_the_loss(biased, equalize):
    last = fit(biased, eta=10, equalize=equalize).history_[-1]
    decisions, scores = (last[f"{name}_difference"] ** 2 for name in ("decision", "score"))
    loss = {"decisions": decisions, "scores": scores, "both": (decisions + scores) / 2}
    assert last["fairness_loss"] == pytest.approx(loss[equalize], rel=1e-4)
    assert decisions != pytest.approx(scores, rel=1e-2)


def test_eta_of_zero_trains_the_fairness_layers_for_accuracy(biased):
    trained, untrained = fit(biased, eta=0), fit(biased, eta=0, lr=1e-12, weight_decay=0)
    for old, new in zip(
        untrained.module_.fairness_parameters(), trained.module_.fairness_parameters(), strict=True
    ):
        assert not torch.allclose(old, new, atol=1e-4)


def test_one_group_warns_and_trains_for_accuracy(biased):
    X, y, _ = biased
    with pytest.warns(UserWarning, match="one group only"):
        clf = make().fit(X, y, sensitive_features=["all"] * len(y))
    assert same_model(clf, make(eta=0).fit(X, y), X)


class PositiveSamples(FairnessLoss):
    def events(self, y, n_classes):
        return (y == 1)[None]


@pytest.mark.parametrize(
    "params",
    [
        {"constraint": PositiveSamples()},
        {"method": "lagrangian"},
        {"method": "alternating"},
        {"method": "unrolled"},
        {"equalize": "scores"},
        {"equalize": "both"},
        {"rate_window": 0},
        {"combine": "separate"},
        {"hidden_layer_sizes": (32,)},
        {"fairness_layer_sizes": (16, 8)},
        {"fairness_position": 0},
        {"activation": "tanh"},
        {"optimizer": "sgd"},
        {"lr": 0.01},
        {"weight_decay": 0.1},
        {"fairness_optimizer": "adam"},
        {"fairness_lr": 0.1},
        {"fairness_max_step": 1e-6},
        {"lr_schedule": "constant"},
        {"max_epochs": 2},
        {"batch_size": 100},
        {"early_stopping": True},
        {"class_weight": {0: 1, 1: 2}},
        {"random_state": 1},
    ],
    ids=lambda params: "-".join(f"{name}={value}"[:30] for name, value in params.items()),
)
def test_each_option_changes_the_model(biased, two_columns, params):
    X, y, _ = biased
    shared = {"eta": 10, "fairness_lr": 0.01}
    data = X, y, two_columns
    assert not same_model(fit(data, **{**shared, **params}), fit(data, **shared), X)


def test_more_unroll_steps_change_the_model(biased):
    models = [fit(biased, eta=10, method="unrolled", n_unroll_steps=n) for n in (1, 3)]
    assert not same_model(*models, biased[0])


# fit, warm_start and partial_fit


def test_warm_start_continues_and_a_cold_start_begins_anew(biased):
    X, y, group = biased
    clf = fit(biased)
    first = clf.decision_function(X)
    assert np.array_equal(clf.fit(X, y, sensitive_features=group).decision_function(X), first)
    clf.set_params(warm_start=True, lr=1e-12, fairness_lr=1e-12, weight_decay=0)
    warm = clf.fit(X, y, sensitive_features=group).decision_function(X)
    np.testing.assert_allclose(warm, first, atol=1e-5)
    clf.set_params(lr=1e-3).fit(X, y, sensitive_features=group)
    assert not np.allclose(clf.decision_function(X), first, atol=1e-3)


def test_partial_fit_equals_epochs_of_fit_at_constant_rates(biased):
    X, y, group = biased
    params = {"rate_window": 500, "equalize": "scores"}
    whole = fit(biased, lr_schedule="constant", **params)
    steps = make(**params)
    for _ in range(3):
        steps.partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    assert same_model(whole, steps, X)
    assert steps.history_ == whole.history_


def test_partial_fit_takes_new_groups_and_changed_parameters(biased):
    X, y, group = biased
    clf = make(eta=0).partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    renamed = np.where(group == "a", "c", group)
    clf.set_params(eta=10).partial_fit(X, y, sensitive_features=renamed)
    assert list(clf.groups_) == ["a", "b", "c"]
    assert clf.net_.criterion_.counts.shape == (1, 3)
    assert clf.eta_ == 10


def test_partial_fit_may_lack_a_class_or_the_groups(biased):
    X, y, group = biased
    clf = make(eta=10)
    clf.partial_fit(X[y == 1], y[y == 1], classes=[0, 1], sensitive_features=group[y == 1])
    with pytest.warns(UserWarning, match="sensitive_features is None"):
        clf.partial_fit(X, y)
    assert list(clf.groups_) == ["a", "b"]
    assert set(clf.predict(X)) <= {0, 1}


@pytest.mark.filterwarnings("ignore:sensitive_features has one group")
def test_partial_fit_on_chunks_sorted_by_group_stays_stable(large):
    X, y, group = large
    clf = make(eta=1)
    for chunk in np.array_split(np.argsort(group, kind="stable"), 6):
        clf.partial_fit(X[chunk], y[chunk], [0, 1], sensitive_features=group[chunk])
    assert max(record["loss"] for record in clf.history_) < 1
    assert clf.score(X, y) > 0.65


@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 2], ["0", "1"]])
def test_partial_fit_refuses_classes_that_differ_from_the_first_call(biased, classes):
    X, y, group = biased
    clf = make().partial_fit(X, y, classes=[0, 1], sensitive_features=group)
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[0, 1\], got"):
        clf.partial_fit(X, y, classes=classes, sensitive_features=group)
    clf.partial_fit(X, y, classes=[1, 0], sensitive_features=group)
    assert clf.n_iter_ == 2


def test_partial_fit_does_not_use_the_schedule_which_may_change(biased):
    X, y, group = biased
    clf = make(lr_schedule="cosine").partial_fit(X, y, [0, 1], sensitive_features=group)
    plain = copy.deepcopy(clf).partial_fit(X, y, sensitive_features=group)
    clf.set_params(lr_schedule=torch.optim.lr_scheduler.StepLR, lr_schedule__step_size=1)
    assert same_model(clf.partial_fit(X, y, sensitive_features=group), plain, X)


class Gap:
    """A function of a batch with a parameter, which pickle copies by value."""

    def __init__(self, power):
        self.power = power

    def get_params(self, deep=True):
        return {"power": self.power}

    def __call__(self, scores, y, groups):
        rates = (scores @ groups) / groups.sum(0).clamp(min=1)
        return (rates.max() - rates.min()) ** self.power


@pytest.mark.parametrize(
    "before, after",
    [
        ({"constraint": Gap(1)}, {"constraint": Gap(2)}),
        ({"constraint": DemographicParity()}, {"constraint": DemographicParity(weight=2)}),
        ({"optimizer__betas": (0.9, 0.9)}, {"optimizer__betas": (0.9, 0.99)}),
        ({"optimizer__betas": (0.9, 0.9)}, {"optimizer": "nadam"}),
    ],
    ids=stable_id,
)
def test_fixed_parameters_may_be_set_to_equal_values_only(biased, before, after):
    X, y, group = biased
    clf = make(**before).partial_fit(X, y, [0, 1], sensitive_features=group)
    clf.set_params(**copy.deepcopy(before)).partial_fit(X, y, sensitive_features=group)
    for later in (clf, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        later.partial_fit(X, y, sensitive_features=group)
        with pytest.raises(ValueError, match=f"{next(iter(after))}.* must stay the same"):
            later.set_params(**after).partial_fit(X, y, sensitive_features=group)


def test_a_loss_changed_in_place_is_refused_by_partial_fit(biased):
    X, y, group = biased
    loss = DemographicParity()
    clf = make(constraint=loss).partial_fit(X, y, [0, 1], sensitive_features=group)
    loss.set_params(weight=3)
    with pytest.raises(ValueError, match="constraint must stay the same"):
        clf.partial_fit(X, y, sensitive_features=group)


def test_refitting_leaves_nothing_of_the_fit_before(biased):
    X, y, group = biased
    clf = fit(biased)
    other = make_data(300, seed=5)
    frame = pd.DataFrame(other[0], columns=list("pqrs"))
    clf.fit(frame, other[1], sensitive_features=np.char.upper(other[2]))
    fresh = fit(biased)
    clf.fit(X, y, sensitive_features=group)
    assert same_model(clf, fresh, X)
    assert list(clf.groups_) == list(fresh.groups_)
    assert clf.history_ == fresh.history_
    names = set(vars(clf))
    assert names - {"feature_names_in_"} == names == set(vars(fresh))
    assert clf.set_params(eta=0).fit(X, y).groups_ is None


# Failures


def failing_calls(clf, X, y, group):
    bad = np.full_like(X, np.nan)
    yield lambda: clf.fit(bad, y, sensitive_features=group)
    yield lambda: clf.fit(X[:, :2], y, sensitive_features=group[:-1])
    yield lambda: clf.fit(X[:, :2], np.zeros_like(y), sensitive_features=group)
    yield lambda: clf.set_params(activation="none").fit(X[:, :2], y, sensitive_features=group)
    yield lambda: clf.set_params(lr=1e30).fit(X, y, sensitive_features=group)
    yield lambda: clf.set_params(lr=1e30).partial_fit(X, y, sensitive_features=group)
    yield lambda: clf.partial_fit(X[:, :2], y, sensitive_features=group)
    yield lambda: clf.partial_fit(X, y + 1, sensitive_features=group)


def test_a_failed_call_leaves_a_fitted_estimator_as_it_was(biased):
    X, y, group = biased
    clf = fit(biased)
    before, expected = copy.copy(vars(clf)), clf.decision_function(X)
    weights = [p.clone() for p in clf.module_.parameters()]
    optimizer = copy.deepcopy(clf.net_.optimizer_.state_dict())
    for call in failing_calls(clf, X, y, group):
        with pytest.raises(ValueError):
            call()
        clf.set_params(**{name: before[name] for name in clf.get_params(deep=False)})
        assert vars(clf) == before
        assert np.array_equal(clf.decision_function(X), expected)
        assert all(map(torch.equal, weights, clf.module_.parameters()))
        assert str(clf.net_.optimizer_.state_dict()) == str(optimizer)


def test_a_failed_first_fit_leaves_an_unfitted_estimator(biased):
    clf = make(lr=1e30)
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(*biased[:2], sensitive_features=biased[2])
    assert set(vars(clf)) == set(clf.get_params(deep=False))
    with pytest.raises(NotFittedError):
        clf.predict(biased[0])


# Copies, seeds and global states


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))])
def test_copies_predict_and_train_on_like_the_original(biased, copier):
    X, y, group = biased
    clf = fit(biased)
    copied = copier(clf)
    assert same_model(clf, copied, X)
    clf.partial_fit(X, y, sensitive_features=group)
    assert not same_model(clf, copied, X)
    copied.partial_fit(X, y, sensitive_features=group)
    assert same_model(clf, copied, X)


def test_a_shallow_copy_shares_the_network_until_one_is_trained(biased):
    X, y, group = biased
    clf = fit(biased)
    copied = copy.copy(clf)
    assert copied.net_ is clf.net_
    expected = clf.decision_function(X)
    copied.partial_fit(X, y, sensitive_features=group)
    assert copied.net_ is not clf.net_
    assert np.array_equal(clf.decision_function(X), expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pickles_do_not_grow_with_the_training_samples(biased, large, early_stopping):
    small, big = (
        len(pickle.dumps(fit(data, early_stopping=early_stopping, max_epochs=1)))
        for data in (biased, large)
    )
    assert abs(big - small) < 2000  # the features alone take 48,000 bytes


def test_clone_is_unfitted_and_has_the_same_parameters(fitted):
    clf = clone(copy.copy(fitted).set_params(constraint=DemographicParity(weight=3), eta=2))
    assert (clf.eta, clf.constraint.weight) == (2, 3)
    assert not hasattr(clf, "net_")


def test_one_seed_gives_one_model_to_the_bit(biased, fitted):
    assert same_model(fit(biased), fitted, biased[0])
    models = []
    for _ in range(2):
        np.random.seed(3)  # drawn from if random_state is None
        models.append(fit(biased, random_state=None))
    assert same_model(*models, biased[0])


def test_global_random_states_and_arguments_are_left_alone(biased):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    arrays = [np.array(array) for array in biased]
    X, y, group = arrays
    clf = make(early_stopping=True).fit(X, y, sensitive_features=group)
    clf.predict(X)
    clf.set_params(early_stopping=False).partial_fit(X, y, sensitive_features=group)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert all(map(np.array_equal, arrays, biased))


def test_global_dtype_and_gradient_mode_of_torch_do_not_matter(biased, fitted):
    torch.set_default_dtype(torch.float64)
    try:
        assert same_model(fit(biased), fitted, biased[0])
    finally:
        torch.set_default_dtype(torch.float32)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert same_model(fit(biased), fitted, biased[0])


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_parallel_fits_do_not_disturb_each_other(biased, backend):
    X, y, group = biased
    models = Parallel(n_jobs=2, backend=backend)(
        delayed(make(random_state=seed).fit)(X, y, sensitive_features=group) for seed in range(4)
    )
    for seed, clf in enumerate(models):
        assert same_model(clf, fit(biased, random_state=seed), X)


@pytest.mark.slow
def test_import_does_not_import_optional_packages():
    code = "import sys, fairbinn_sklearn; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Predictions and history


def test_probabilities_labels_and_logits_agree(biased, fitted):
    X = biased[0]
    logits, probabilities = fitted.decision_function(X), fitted.predict_proba(X)
    assert logits.dtype == probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logits)))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-15)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[probabilities.argmax(1)])
    np.testing.assert_array_equal(fitted.predict(X) == 1, logits > 0)


def test_predictions_do_not_depend_on_the_other_samples(biased, fitted):
    many = np.tile(biased[0], (6, 1))
    whole = fitted.decision_function(many)
    rng = np.random.default_rng(0)
    for size in (1, 2, 77, 1024, 1025, 3000):
        index = rng.choice(len(many), size)
        np.testing.assert_array_equal(fitted.decision_function(many[index]), whole[index])


def test_history_records_what_an_audit_of_the_training_samples_measures(large):
    clf = fit(large, eta=10, **SMALL)
    history = pd.DataFrame(clf.history_)
    assert list(history["epoch"]) == list(range(1, 11))
    last = history.iloc[-1]
    assert last["decision_difference"] == pytest.approx(difference(clf, large), abs=0.02)
    assert last["score_difference"] == pytest.approx(score_difference(clf, large), abs=0.02)
    assert last["objective"] == pytest.approx(last["loss"] + 10 * last["fairness_loss"])


def test_history_without_groups_has_no_differences(biased):
    clf = make(eta=0).fit(*biased[:2])
    assert set(clf.history_[0]) == {"epoch", "loss", "objective", "lr"}


def test_verbose_prints_a_line_per_epoch(biased, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(biased)
    assert capsys.readouterr().out == ""
    clf = fit(biased, verbose=1, max_epochs=2)
    lines = capsys.readouterr().out.splitlines()
    for epoch, (line, record) in enumerate(zip(lines, clf.history_, strict=True), start=1):
        assert line.startswith(f"epoch {epoch}: loss {record['loss']:.4g}, decision_difference ")
        assert ", eta 1, seconds " in line
    clf.partial_fit(*biased[:2], sensitive_features=biased[2])
    assert capsys.readouterr().out.startswith("epoch 3: ")

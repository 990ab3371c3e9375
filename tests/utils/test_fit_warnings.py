"""A search, a path or a cross-validation shows one warning of each kind for all fits."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from conftest import SETTINGS, make
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn._utils.fit_warnings import (
    FitWarning,
    collected_warnings,
    warn,
    warn_of_many,
)
from fairbinn_sklearn.exceptions import MissingSensitiveFeaturesWarning

NOT_SCALED = "that are not scaled, such as"
POOR_FIT = {**SETTINGS, "max_epochs": 1, "lr": 1.0}  # a loss above that of the label frequencies


@pytest.fixture
def unscaled(biased):
    X, y, group = biased
    return X * [1, 1e4, 1, 1], y, group


def texts(function, *args, part="", action="always", **kwargs):
    """Return the texts of the warnings of a call that contain `part`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        function(*args, **kwargs)
    return [str(warning.message) for warning in caught if part in str(warning.message)]


def grid(X, y, group, estimator=None):
    search = GridSearchCV(estimator or make(max_epochs=1), {"eta": [0, 1, 3]}, cv=2)
    return search.fit(X, y, sensitive_features=group)


def randomized(X, y, group):
    search = RandomizedSearchCV(make(max_epochs=1), {"eta": [0, 1, 3]}, n_iter=2, cv=2)
    return search.fit(X, y, sensitive_features=group)


def folds(X, y, group):
    return cross_validate(
        make(max_epochs=1), X, y, cv=3, params={"sensitive_features": group}, error_score="raise"
    )


def folds_of_a_pipeline(X, y, group):
    pipeline = make_pipeline(MinMaxScaler((0, 1000)), make(max_epochs=1))
    params = {"fairbinnclassifier__sensitive_features": group}
    return cross_validate(pipeline, X, y, cv=3, params=params, error_score="raise")


def path(X, y, group):
    return fairness_path(X, y, group, etas=[0, 1, 3], estimator=make(max_epochs=1))


def by_cv(X, y, group):
    clf = FairBiNNClassifierCV([0, 1, 3], estimator=make(max_epochs=1), cv=2, bound=1)
    return clf.fit(X, y, sensitive_features=group)


def nested(X, y, group):
    clf = FairBiNNClassifierCV([0, 1], estimator=make(max_epochs=1), cv=2, bound=1)
    return cross_validate(clf, X, y, cv=2, params={"sensitive_features": group})


SEARCHES = [grid, randomized, folds, folds_of_a_pipeline, path, by_cv, nested]


@pytest.mark.parametrize("action", ["always", "default"])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda function: function.__name__)
def test_many_fits_warn_once(unscaled, search, action):
    assert len(texts(search, *unscaled, part=NOT_SCALED, action=action)) == 1
    assert len(texts(search, *unscaled, part=NOT_SCALED, action=action)) == 1


@pytest.mark.parametrize(
    "backend, max_warnings", [("threading", 1), pytest.param("loky", 2, marks=pytest.mark.slow)]
)
def test_each_process_of_a_search_warns_at_most_once(unscaled, backend, max_warnings, capfd):
    def search():
        with parallel_config(backend=backend, n_jobs=2):
            grid(*unscaled)

    n_here = len(texts(search, part=NOT_SCALED))
    assert (
        1 <= n_here + capfd.readouterr().err.count(NOT_SCALED) <= max_warnings + 1
    )  # and the refit


def test_kinds_are_counted_separately(unscaled):
    X, y, _ = unscaled
    caught = texts(grid, X, y, None)
    assert len([text for text in caught if NOT_SCALED in text]) == 1
    assert len([text for text in caught if "sensitive_features is None" in text]) == 1


def test_each_fit_of_an_estimator_that_is_no_clone_warns(unscaled):
    X, y, group = unscaled
    for clf in (make(max_epochs=1), make(max_epochs=1)):
        for _ in range(2):
            (text,) = texts(clf.fit, X, y, sensitive_features=group, part=NOT_SCALED)
            assert "clones" not in text
        texts(grid, X, y, group, clf)
        assert len(texts(clf.fit, X, y, sensitive_features=group, part=NOT_SCALED)) == 1


def test_clones_share_their_warnings_also_after_pickling(unscaled):
    X, y, group = unscaled
    clf = make(max_epochs=1)
    first, second = clone(clf), clone(clone(clf).set_params(eta=3))
    (text,) = texts(first.fit, X, y, sensitive_features=group, part=NOT_SCALED)
    assert text.endswith("Other clones of this estimator do not repeat this warning.")
    for other in (second, pickle.loads(pickle.dumps(second))):
        assert texts(other.fit, X, y, sensitive_features=group, part=NOT_SCALED) == []


def test_errors_by_a_filter_fail_each_fit_and_leave_estimators_unchanged(unscaled):
    X, y, group = unscaled
    clf = make(max_epochs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*not scaled")
        for _ in range(2):
            cloned = clone(clf)
            before = dict(vars(cloned))
            with pytest.raises(UserWarning, match=NOT_SCALED):
                cloned.fit(X, y, sensitive_features=group)
            assert vars(cloned) == before
        with pytest.raises(ValueError, match=f"All the 6 fits failed(.|\n)*{NOT_SCALED}"):
            grid(X, y, group, clf)
        for many in (path, by_cv):
            with pytest.raises(UserWarning, match=NOT_SCALED):
                many(X, y, group)


def test_an_error_by_a_filter_leaves_a_fitted_cv_unchanged(biased, unscaled):
    X, y, group = biased
    clf = FairBiNNClassifierCV([0, 1], estimator=make(max_epochs=1), cv=2, bound=1)
    before = dict(vars(clf.fit(X, y, sensitive_features=group)))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*not scaled")
        with pytest.raises(UserWarning, match=NOT_SCALED):
            clf.fit(unscaled[0], y, sensitive_features=group)
    assert vars(clf) == before


@pytest.mark.parametrize("hidden_layer_sizes", [(8, 8), (128, 128)])
def test_paths_name_the_points(biased, hidden_layer_sizes):
    X, y, group = biased
    params = {**POOR_FIT, "hidden_layer_sizes": hidden_layer_sizes}
    arguments = {"etas": [0, 1, 3], "seeds": [0, 1], "estimator": make(**params)}
    (text,) = texts(fairness_path, 8 * X, y, group, **arguments, part="The accuracy loss ended")
    alone = {
        f"eta {eta} with seed {seed}"
        for eta in (0, 1, 3)
        for seed in (0, 1)
        if texts(
            make(**{**params, "eta": eta, "random_state": seed}).fit,
            *(8 * X, y),
            sensitive_features=group,
            part="The accuracy loss ended",
        )
    }
    assert alone
    start, names = text.removesuffix(".").split(" of 6 fits: ")
    assert set(names.split("; ")) == alone
    assert start.endswith(f"This concerns {len(alone)}")


def test_points_trained_one_after_another_are_named(unscaled):
    X, y, group = unscaled
    estimator = make(max_epochs=1, early_stopping=True)
    (text,) = texts(fairness_path, X, y, group, etas=[1, 3], estimator=estimator, part=NOT_SCALED)
    assert text.endswith("This concerns 2 of 2 fits: eta 1; eta 3.")


@pytest.mark.filterwarnings("ignore:The difference on the training samples")
def test_targets_are_named(unscaled):
    X, y, group = unscaled
    arguments = {"targets": [0.1, 0.2], "estimator": make(max_epochs=1)}
    (text,) = texts(fairness_path, X, y, group, **arguments, part=NOT_SCALED)
    assert text.endswith("2 of 2 fits: fairness_target 0.1; fairness_target 0.2.")


def test_folds_are_named_if_the_training_on_all_samples_does_not_warn(biased):
    """Group c has 40 samples, and each of two folds trains on 20 of them."""
    X, y, group = biased
    group = np.where(np.arange(len(y)) < 40, "c", group)
    clf = FairBiNNClassifierCV([0, 1], estimator=make(max_epochs=1), cv=2, bound=1)
    (text,) = texts(clf.fit, X, y, sensitive_features=group, part="fewer than 30 samples")
    assert text.endswith("This concerns 2 of 4 fits: eta 1 in fold 0; eta 1 in fold 1.")
    group = np.where(np.arange(len(y)) < 20, "d", group)
    (text,) = texts(clf.fit, X, y, sensitive_features=group, part="fewer than 30 samples")
    assert text.endswith("This concerns 1 of 2 fits: eta 1.")


def test_without_sensitive_features_a_search_warns_once_of_the_category(biased):
    X, y, _ = biased
    with pytest.warns(MissingSensitiveFeaturesWarning) as caught:
        grid(X, y, None)
    assert len([w for w in caught if w.category is MissingSensitiveFeaturesWarning]) == 1


# The functions


def test_collected_warnings_are_not_shown():
    warning = FitWarning("kind", "text", ConvergenceWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with collected_warnings() as collected:
            warn(warning)
    assert collected == [warning]
    with pytest.warns(ConvergenceWarning, match="^text$"):
        warn(warning)


def test_a_warning_of_many_fits_has_the_first_text_and_at_most_six_names():
    named_warnings = [
        (f"eta {k}", FitWarning("a", f"text {k}", FitFailedWarning)) for k in range(7)
    ]
    named_warnings += [("eta 0", FitWarning("a", "repeated")), ("eta 1", FitWarning("b", "other"))]
    with pytest.warns() as caught:
        warn_of_many(named_warnings, 9)
    assert [(str(w.message), w.category) for w in caught] == [
        (
            "text 0 This concerns 7 of 9 fits: "
            "eta 0; eta 1; eta 2; eta 3; eta 4; eta 5 and 1 more.",
            FitFailedWarning,
        ),
        ("other This concerns 1 of 9 fits: eta 1.", UserWarning),
    ]
    with pytest.warns(UserWarning, match="^text$"):
        warn_of_many([("eta 0", FitWarning("a", "text"))], 1)


def test_estimators_that_are_cloned_have_the_same_parameters():
    clf = make(eta=3, optimizer="sgd", optimizer__momentum=0.9)
    assert clone(clf).get_params() == clf.get_params()
    assert sklearn.base.clone(clone(clf)).optimizer__momentum == 0.9

"""Pipelines as the estimator of paths and of cross-validation."""

import numpy as np
import pandas as pd
import pytest
from conftest import make, make_data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn.preprocessing import CrossFittedScores, tabular_preprocessor


@pytest.fixture(scope="module")
def table():
    X, y, group = make_data(800)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(city=np.where(X[:, 3] > 0, "x", "z"))
    return frame, y, group


def test_points_of_a_path_are_pipelines_that_share_the_first_steps(table):
    X, y, group = table
    pipeline = make_pipeline(tabular_preprocessor(), make())
    path = fairness_path(X, y, group, etas=[0, 3], estimator=pipeline)
    assert all(isinstance(point, Pipeline) for point in path)
    assert path[0][0] is path[1][0]
    transformed = tabular_preprocessor().fit_transform(X)
    alone = fairness_path(transformed, y, group, etas=[0, 3], estimator=make())
    pd.testing.assert_frame_equal(path.to_frame(), alone.to_frame())
    np.testing.assert_array_equal(path[1].predict_proba(X), alone[1].predict_proba(transformed))
    part = path.evaluate(X[:400], y[:400], sensitive_features=group[:400])
    expected = (path[0].predict(X[:400]) == y[:400]).mean()
    assert part.figures["accuracy"][0] == pytest.approx(expected)


def test_first_steps_are_fitted_on_the_training_part_of_each_fold(table):
    X, y, group = table
    seen = []

    class Scaler(StandardScaler):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X, y)

    pipeline = make_pipeline(Scaler(), make())
    search = FairBiNNClassifierCV([0, 3], estimator=pipeline, cv=4, bound=1)
    search.fit(X[list("abcd")], y, sensitive_features=group)
    assert sorted(seen) == [600] * 4 + [800]
    assert isinstance(search.estimator_, Pipeline)
    best = search.cv_results_["mean_test_accuracy"].max()
    assert search.best_score_ == best
    assert search.score(X[list("abcd")], y) > 0.7


def test_folds_by_person(biased):
    X, y, group = biased
    person = np.arange(len(y)) // 5
    search = FairBiNNClassifierCV([0, 3], estimator=make(), cv=GroupKFold(2), bound=1)
    search.fit(X, y, sensitive_features=group, groups=person)
    splits = list(GroupKFold(2).split(X, y, person))
    by_list = FairBiNNClassifierCV([0, 3], estimator=make(), cv=splits, bound=1)
    by_list.fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_accuracy"], by_list.cv_results_["mean_test_accuracy"]
    )


def test_a_pipeline_that_ends_otherwise_is_an_error(biased):
    X, y, group = biased
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(TypeError, match="got Pipeline that ends in LogisticRegression"):
        fairness_path(X, y, group, estimator=pipeline)


def test_the_first_steps_get_labels_of_any_form(biased):
    X, y, group = biased
    pipeline = make_pipeline(CrossFittedScores(LogisticRegression(), cv=2), make())
    figures = [
        fairness_path(X, labels, group, etas=[1], estimator=pipeline).figures
        for labels in (y, y.astype(object))
    ]
    pd.testing.assert_frame_equal(*figures)

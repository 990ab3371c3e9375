"""Scores of another classifier as columns."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make_data
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.metrics import best_under, fairness_scoring
from fairbinn_sklearn.preprocessing import CrossFittedScores

CROSS_FITTED = "scores of the rows of fit are cross-fitted, by design"
DIFFERENT = {
    "check_transformer_general": CROSS_FITTED,
    "check_transformer_data_not_an_array": CROSS_FITTED,
}


@parametrize_with_checks(
    [CrossFittedScores(LogisticRegression())], expected_failed_checks=lambda _: DIFFERENT
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def biased():
    return make_data(600)


def test_rows_of_fit_are_scored_by_others(biased):
    X, y, _ = biased
    tree = DecisionTreeClassifier(random_state=0)
    scores = CrossFittedScores(tree, cv=StratifiedKFold(3))
    own = scores.fit_transform(X, y)
    shares = cross_val_predict(tree, X, y, cv=3, method="predict_proba")[:, 1:]
    np.testing.assert_array_equal(own > 0, shares > 0.5)
    assert np.isfinite(own).all()
    assert 0.6 < np.mean((own[:, 0] > 0) == y) < 0.95
    of_seen = scores.transform(X)  # a tree knows the labels that it has seen
    np.testing.assert_array_equal(of_seen[:, 0] > 0, y)
    np.testing.assert_array_equal(of_seen, scores.fit(X, y).transform(X))


def test_log_odds_of_two_classes_and_of_more(biased):
    X, y, _ = biased
    scores = CrossFittedScores(LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(
        scores.transform(X)[:, 0], scores.estimator_.decision_function(X), rtol=1e-3
    )
    assert scores.get_feature_names_out().tolist() == ["crossfittedscores0"]
    three = np.array(["a", "b", "c"])[y + (X[:, 1] > 1)]
    own = scores.fit_transform(pd.DataFrame(X, columns=list("stuv")), three)
    assert own.shape == (600, 3) and scores.classes_.tolist() == ["a", "b", "c"]
    assert np.mean(scores.classes_[own.argmax(1)] == three) > 0.6
    assert scores.feature_names_in_.tolist() == list("stuv")
    assert len(scores.get_feature_names_out()) == 3
    assert not hasattr(scores.fit(X, y), "feature_names_in_")


def test_missing_values_are_for_the_classifier(biased):
    X, y, _ = biased
    X = X.copy()
    X[::7, 0] = np.nan
    scores = CrossFittedScores(HistGradientBoostingClassifier(max_iter=5))
    assert np.isfinite(scores.fit_transform(X, y)).all()
    assert scores.__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match="NaN"):
        CrossFittedScores(LogisticRegression()).fit(X, y)


@pytest.mark.parametrize("estimator", [LinearRegression(), LinearSVC(), None], ids=str)
def test_other_estimators_are_refused(biased, estimator):
    X, y, _ = biased
    scores = CrossFittedScores(LogisticRegression()).fit(X, y)
    before = scores.transform(X)
    scores.set_params(estimator=estimator)
    with pytest.raises(TypeError, match="estimator must be a classifier with predict_proba, got"):
        scores.fit(X, y)
    np.testing.assert_array_equal(scores.transform(X), before)


def test_a_fair_net_on_the_scores(biased):
    X, y, group = biased
    boosting = HistGradientBoostingClassifier(max_iter=10)
    net = FairBiNNClassifier(hidden_layer_sizes=(8,), max_epochs=20, lr=0.01, random_state=0)
    clf = make_pipeline(make_union(StandardScaler(), CrossFittedScores(boosting, cv=3)), net)
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            *(clf, {"fairbinnclassifier__eta": [0, 30]}),
            scoring=fairness_scoring(),
            refit=best_under(0.15),
            cv=2,
        ).fit(X, y, sensitive_features=group)
    differences = -search.cv_results_["mean_test_demographic_parity_difference"]
    assert search.best_params_ == {"fairbinnclassifier__eta": 30}
    assert differences[1] < differences[0] - 0.1

"""Tests of CrossFittedScores."""

import numpy as np
import pandas as pd
import pytest
import sklearn
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

REASON = "fit_transform is cross-fitted, so it differs from fit and transform by design"
EXPECTED_FAILURES = {
    "check_transformer_general": REASON,
    "check_transformer_data_not_an_array": REASON,
}


@pytest.mark.parametrize("routing", [False, True])
@parametrize_with_checks(
    [CrossFittedScores(LogisticRegression())], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_scikit_learn_checks(estimator, check, routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        check(estimator)


def test_fit_transform_scores_each_sample_by_a_classifier_fitted_without_it(biased):
    X, y, _ = biased
    tree = DecisionTreeClassifier(random_state=0)
    encoder = CrossFittedScores(tree, cv=StratifiedKFold(3))
    scores = encoder.fit_transform(X, y)
    proba = cross_val_predict(tree, X, y, cv=3, method="predict_proba")[:, 1:]
    np.testing.assert_array_equal(scores > 0, proba > 0.5)
    assert np.isfinite(scores).all()  # although the tree predicts probabilities of 0 and 1
    assert 0.6 < np.mean((scores[:, 0] > 0) == y) < 0.95

    scores_of_seen_samples = encoder.transform(X)
    np.testing.assert_array_equal(scores_of_seen_samples[:, 0] > 0, y)  # The tree overfits.
    np.testing.assert_array_equal(scores_of_seen_samples, encoder.fit(X, y).transform(X))


def test_binary_scores_are_log_odds(biased):
    X, y, _ = biased
    encoder = CrossFittedScores(LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(
        encoder.transform(X)[:, 0], encoder.estimator_.decision_function(X), rtol=1e-3
    )
    assert encoder.get_feature_names_out().tolist() == ["crossfittedscores0"]


def test_multiclass_scores(biased):
    X, y, _ = biased
    y = np.array(["a", "b", "c"])[y + (X[:, 1] > 1)]
    encoder = CrossFittedScores(LogisticRegression())
    scores = encoder.fit_transform(X, y)
    assert encoder.classes_.tolist() == ["a", "b", "c"]
    assert scores.shape == (len(X), 3)
    assert len(encoder.get_feature_names_out()) == 3
    assert np.mean(encoder.classes_[scores.argmax(1)] == y) > 0.6


def test_feature_names_are_those_of_the_last_fit(biased):
    X, y, _ = biased
    encoder = CrossFittedScores(LogisticRegression())
    encoder.fit(pd.DataFrame(X, columns=list("stuv")), y)
    assert encoder.feature_names_in_.tolist() == list("stuv")
    assert not hasattr(encoder.fit(X, y), "feature_names_in_")


def test_missing_values_are_passed_to_the_classifier(biased):
    X, y, _ = biased
    X = X.copy()
    X[::7, 0] = np.nan
    encoder = CrossFittedScores(HistGradientBoostingClassifier(max_iter=5))
    assert np.isfinite(encoder.fit_transform(X, y)).all()
    assert encoder.__sklearn_tags__().input_tags.allow_nan
    encoder = CrossFittedScores(LogisticRegression())
    assert not encoder.__sklearn_tags__().input_tags.allow_nan
    with pytest.raises(ValueError, match="NaN"):
        encoder.fit(X, y)


@pytest.mark.parametrize("estimator", [LinearRegression(), LinearSVC(), None], ids=str)
def test_invalid_estimator_leaves_the_fitted_state_unchanged(biased, estimator):
    X, y, _ = biased
    encoder = CrossFittedScores(LogisticRegression()).fit(X, y)
    expected = encoder.transform(X)
    encoder.set_params(estimator=estimator)
    with pytest.raises(TypeError, match="estimator must be a classifier with predict_proba, got"):
        encoder.fit(X, y)
    np.testing.assert_array_equal(encoder.transform(X), expected)


@pytest.mark.slow
def test_grid_search_over_eta_of_a_network_on_the_scores(biased):
    X, y, group = biased
    boosting = HistGradientBoostingClassifier(max_iter=10)
    clf = FairBiNNClassifier(hidden_layer_sizes=(8,), max_epochs=20, lr=0.01, random_state=0)
    clf = make_pipeline(make_union(StandardScaler(), CrossFittedScores(boosting, cv=3)), clf)
    with sklearn.config_context(enable_metadata_routing=True):
        grid = GridSearchCV(
            clf,
            {"fairbinnclassifier__eta": [0, 30]},
            scoring=fairness_scoring(),
            refit=best_under(0.15),
            cv=2,
        ).fit(X, y, sensitive_features=group)
    differences = -grid.cv_results_["mean_test_demographic_parity_difference"]
    assert grid.best_params_ == {"fairbinnclassifier__eta": 30}
    assert differences[1] < differences[0] - 0.1


@pytest.mark.parametrize("routing", [True, False])
def test_sample_weights_reach_the_classifier(routing):
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(200, 3)), rng.uniform(0.5, 2, 200)
    y = X[:, 0] + rng.normal(size=200) > 0
    with sklearn.config_context(enable_metadata_routing=routing):
        classifier = LogisticRegression()
        if routing:
            classifier.set_fit_request(sample_weight=True)
        scores = CrossFittedScores(classifier, cv=2).fit(X, y, sample_weight=weight)
    expected = LogisticRegression().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(scores.estimator_.coef_, expected.coef_)


@pytest.mark.parametrize(
    "form",
    [lambda y: y.astype(object), lambda y: pytest.importorskip("polars").Series(y).cast(str)],
)
def test_labels_of_any_form_have_the_same_scores(biased, form):
    X, y, _ = biased
    encoder = CrossFittedScores(LogisticRegression(), cv=2)
    expected = encoder.fit_transform(X, y)
    np.testing.assert_array_equal(encoder.fit_transform(X, form(y)), expected)

"""scikit-learn's checks of estimators, with metadata routing off and on."""

import pytest
import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV

SETTINGS = {"hidden_layer_sizes": (16,), "lr": 0.05, "max_epochs": 3}
SMALL = FairBiNNClassifier(**SETTINGS)
# Without sensitive features one eta is fitted, on two folds and on all samples.
BY_CV = FairBiNNClassifierCV(cv=2, estimator=FairBiNNClassifier(random_state=0, **SETTINGS))

pytestmark = [
    pytest.mark.filterwarnings("ignore:sensitive_features is None:UserWarning"),
    pytest.mark.filterwarnings("ignore:X has .* that are not scaled:UserWarning"),
]


@parametrize_with_checks([SMALL, BY_CV])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_checks([SMALL])
def test_scikit_learn_checks_with_routing(estimator, check):
    with sklearn.config_context(enable_metadata_routing=True):
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks([FairBiNNClassifier()])
def test_scikit_learn_checks_of_default_settings(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([BY_CV])
def test_scikit_learn_checks_of_the_cv_class_with_routing(estimator, check):
    with sklearn.config_context(enable_metadata_routing=True):
        check(estimator)

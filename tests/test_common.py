"""scikit-learn's own checks, in full, with metadata routing off and on."""

import pytest
import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV

# Without sensitive features there is one eta to fit, on two folds and on all rows.
BY_CV = FairBiNNClassifierCV(cv=2, estimator=FairBiNNClassifier(random_state=0))

pytestmark = pytest.mark.filterwarnings("ignore:sensitive_features is None:UserWarning")


@parametrize_with_checks([FairBiNNClassifier(), BY_CV])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_checks([FairBiNNClassifier()])
def test_scikit_learn_checks_with_routing(estimator, check):
    with sklearn.config_context(enable_metadata_routing=True):
        check(estimator)

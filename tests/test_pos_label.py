"""`pos_label` says which class a criterion calls positive; predictions keep their meaning."""

import numpy as np
import pytest
from conftest import make, make_data
from fairlearn.metrics import equal_opportunity_difference

from fairbinn_sklearn import FairBiNNClassifierCV, fairness_path
from fairbinn_sklearn.metrics import FairnessScorer

NAMES = np.array(["denied", "approved"])


@pytest.fixture(scope="module")
def loans():
    """Return data whose sorted labels make "denied" the default positive class."""
    X, y, group = make_data(3000)
    return X, NAMES[y], group


def difference(clf, loans, label):
    X, y, group = loans
    return equal_opportunity_difference(
        y == label, clf.predict(X) == label, sensitive_features=group
    )


@pytest.mark.parametrize("label", NAMES)
def test_the_rate_of_the_positive_class_is_equalised(loans, label):
    X, y, group = loans
    params = {"constraint": "equal_opportunity", "eta": 30, "max_epochs": 15}
    clf = make(pos_label=label, **params).fit(X, y, sensitive_features=group)
    plain = make(eta=0, max_epochs=15).fit(X, y, sensitive_features=group)
    assert difference(plain, loans, label) > 0.1
    assert difference(clf, loans, label) < 0.04
    assert clf.classes_.tolist() == ["approved", "denied"]
    assert clf.score(X, y) > 0.75


@pytest.mark.parametrize("label", NAMES)
def test_the_history_records_the_difference_of_the_positive_class(loans, label):
    X, y, group = loans
    clf = make(pos_label=label, constraint="equal_opportunity", eta=0, max_epochs=15)
    clf.fit(X, y, sensitive_features=group)
    other = NAMES[NAMES != label][0]
    recorded = clf.history_[-1]["decision_difference"]
    assert abs(recorded - difference(clf, loans, label)) < 0.02
    assert abs(recorded - difference(clf, loans, other)) > 0.02


def test_the_default_is_the_last_class(loans):
    X, y, group = loans
    params = {"constraint": "equal_opportunity", "eta": 3}
    clf = make(**params).fit(X, y, sensitive_features=group)
    named = make(pos_label="denied", **params).fit(X, y, sensitive_features=group)
    np.testing.assert_array_equal(clf.predict_proba(X), named.predict_proba(X))


def test_scorers_paths_and_cross_validation_follow(loans):
    X, y, group = loans
    clf = make(pos_label="approved", constraint="equal_opportunity")
    fitted = make(pos_label="approved").fit(X, y, sensitive_features=group)
    expected = difference(fitted, loans, "approved")
    name = "equal_opportunity_difference"
    assert FairnessScorer(name, sensitive_features=group)(fitted, X, y) == pytest.approx(-expected)
    other = FairnessScorer(name, sensitive_features=group, pos_label="denied")(fitted, X, y)
    assert other == pytest.approx(-difference(fitted, loans, "denied"))
    path = fairness_path(X, y, group, etas=[0, 3], estimator=clf)
    table = path.evaluate(X, y, sensitive_features=group, metrics=name).figures
    assert table[name].tolist() == pytest.approx([difference(c, loans, "approved") for c in path])
    search = FairBiNNClassifierCV([0, 3], estimator=clf, cv=2, bound=1, metric=name)
    search.fit(X, y, sensitive_features=group)
    assert search.estimator_.pos_label == "approved"


@pytest.mark.parametrize(
    ("labels", "pos_label", "message"),
    [
        ([0, 1], "yes", r"pos_label must be one of the classes \[0, 1\], got 'yes'"),
        ([0, 1, 2], 1, "pos_label must be None with 3 classes, got 1"),
    ],
)
def test_labels_that_are_not_possible(biased, labels, pos_label, message):
    X, _, group = biased
    y = np.resize(labels, len(X))
    with pytest.raises(ValueError, match=message):
        make(pos_label=pos_label).fit(X, y, sensitive_features=group)


def test_a_function_as_constraint_gets_scores_of_the_positive_class(biased):
    X, y, group = biased
    calls = []

    def constraint(scores, labels, groups):
        calls.append((scores.detach().mean().item(), labels.float().mean().item()))
        return (groups * scores[:, None]).sum() * 0 + scores.mean() ** 2

    for pos_label in (0, 1):
        make(constraint=constraint, pos_label=pos_label, max_epochs=1, batch_size=600).fit(
            X, y, sensitive_features=group
        )
    (score_0, label_0), (score_1, label_1) = calls[0], calls[-1]
    assert score_0 == pytest.approx(1 - score_1, abs=0.01)
    assert label_0 == pytest.approx(1 - label_1)

r"""
The closed form for one criterion
=================================

Among all classifiers that do not need the group at prediction, the most accurate one under
demographic parity predicts 1 where

.. math:: P(y=1\mid x) - \tfrac12 > \sum_g \lambda_g \frac{P(g\mid x)}{P(g)} .

This example estimates the probabilities by cross-fitted gradient boosting and the
:math:`\lambda_g` by a linear program, in 60 lines over scikit-learn, and prints the trade-off
on Adult without the feature sex. Equal opportunity and equalized odds have the same form, with
:math:`P(y, g\mid x)` instead of :math:`P(g\mid x)`.

**When this rule is what you need:** you have a table on which gradient boosting works well, two
labels, one criterion, and you need decisions only. The rule is then as accurate as any method, and
all its bounds cost one fit. FairBiNNClassifier is for the other cases: scores at parity, several
criteria at once, a custom network, sequences, samples that arrive in parts.

References: Xian & Zhao, `arXiv 2405.04025 <https://arxiv.org/abs/2405.04025>`_; Chen et al.,
`arXiv 2310.05725 <https://arxiv.org/abs/2310.05725>`_; Zeng et al.,
`arXiv 2402.02817 <https://arxiv.org/abs/2402.02817>`_.

To run: ``python examples/closed_form.py``. It takes about 20 seconds on one CPU core.
"""

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

# The samples of which labels must have equal positive rates; one list per event.
EVENTS = {"demographic_parity": [[0, 1]], "equal_opportunity": [[1]], "equalized_odds": [[0], [1]]}


class JointClassifier(ClassifierMixin, BaseEstimator):
    """Estimate P(y, g|x) = P(y|x) P(g|x, y) by three classifiers; codes are y * n_groups + g."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, codes):
        """Fit one classifier of the label, and one of the group for each label."""
        self.classes_ = np.unique(codes)
        y, group = np.divmod(codes, len(self.classes_) // 2)
        self.label_ = clone(self.estimator).fit(X, y)
        self.groups_ = [clone(self.estimator).fit(X[y == v], group[y == v]) for v in (0, 1)]
        return self

    def predict_proba(self, X):
        """Return P(y, g|x), by sample and code."""
        proba = self.label_.predict_proba(X)
        return np.hstack([proba[:, [v]] * self.groups_[v].predict_proba(X) for v in (0, 1)])

    def predict(self, X):
        """Return the most probable codes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class ClosedFormClassifier(ClassifierMixin, BaseEstimator):
    """Predict by the optimal rule under a bound on the difference; labels are 0 and 1."""

    def __init__(self, estimator, bound=0.01, criterion="demographic_parity", random_state=0):
        self.estimator = estimator
        self.bound = bound
        self.criterion = criterion
        self.random_state = random_state

    def fit(self, X, y, *, sensitive_features):
        """Fit the probabilities, and the multipliers on out-of-fold probabilities."""
        names, group = np.unique(sensitive_features, return_inverse=True)
        codes = np.asarray(y).astype(int) * len(names) + group
        self.classes_, self.joint_ = np.array([0, 1]), JointClassifier(self.estimator)
        folds = StratifiedKFold(5, shuffle=True, random_state=self.random_state)
        self.out_of_fold_ = cross_val_predict(
            self.joint_, X, codes, cv=folds, method="predict_proba"
        )
        self.joint_.fit(X, codes)
        return self.set_bound(self.bound)

    def set_bound(self, bound, criterion=None):
        """Solve for the multipliers of another bound or criterion; no model is fitted again."""
        self.criterion_ = criterion or self.criterion
        gain, mass = gain_and_mass(self.out_of_fold_, self.criterion_)
        self.mass_ = mass.mean(axis=0)
        self.multipliers_ = solve(gain, mass / self.mass_, bound)
        return self

    def predict(self, X):
        """Return the decisions; the group is not needed."""
        gain, mass = gain_and_mass(self.joint_.predict_proba(X), self.criterion_)
        correction = np.einsum("ieg,eg->i", mass / self.mass_, self.multipliers_)
        return (gain > correction).astype(int)


def gain_and_mass(joint, criterion):
    """Return P(y=1|x) - P(y=0|x), and P(event, g|x) by sample, event and group."""
    joint = joint.reshape(len(joint), 2, -1)
    mass = [joint[:, event].sum(axis=1) for event in EVENTS[criterion]]
    return joint[:, 1].sum(axis=1) - joint[:, 0].sum(axis=1), np.stack(mass, axis=1)


def solve(gain, weights, bound):
    """Return the multipliers of the decisions that maximise the mean gain within the bound.

    The linear program has a decision in [0, 1] for each sample and the lowest rate of each event.
    The rate of a group is the mean over samples of decision * weight. Each rate is between the
    lowest and the lowest + bound.
    """
    n_samples, n_events, n_groups = weights.shape
    rates = weights.reshape(n_samples, -1).T / n_samples
    lowest = np.repeat(np.eye(n_events), n_groups, axis=0)
    program = linprog(
        np.append(-gain / n_samples, np.zeros(n_events)),
        A_ub=np.block([[-rates, lowest], [rates, -lowest]]),
        b_ub=np.repeat([0, bound], n_events * n_groups),
        bounds=[(0, 1)] * (n_samples + n_events),
        method="highs",
    )
    below, above = -program.ineqlin.marginals.reshape(2, n_events, n_groups)
    return above - below


def main():
    """Print the trade-off on Adult's test samples."""
    from fairlearn.metrics import demographic_parity_difference

    from fairbinn_sklearn.datasets import load_adult

    train, test = (load_adult(subset=subset, dropna=True) for subset in ("train", "test"))
    X, X_test = (part.data.drop(columns=["sex", "fnlwgt"]) for part in (train, test))
    sex, sex_test = (part.sensitive_features["sex"] for part in (train, test))
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    clf = ClosedFormClassifier(boosting).fit(X, train.target, sensitive_features=sex)
    rows = []
    for bound in (0.01, 0.02, 0.05, 0.1, 1):
        y_pred = clf.set_bound(bound).predict(X_test)
        difference = demographic_parity_difference(test.target, y_pred, sensitive_features=sex_test)
        rows.append((bound, np.mean(y_pred == test.target), difference))
    table = pd.DataFrame(rows, columns=["bound", "accuracy", "demographic parity difference"])
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()

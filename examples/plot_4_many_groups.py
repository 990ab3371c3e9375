r"""
Many groups, several sensitive columns
======================================

Parity between women and men does not imply parity for older women. In this example the groups are
the ten intersections of sex and age, some of which are small. The example measures the differences
between all ten groups, shows the result of training on sex only, and shows how precisely small
groups can be audited.

The script takes about a minute on two CPU cores.
"""

# %%
# Ten groups
# ----------
# ``pandas.qcut`` cuts the ages of the training samples at their quantiles. The same edges, with
# open ends, apply to the test samples, so that the fit and the audit have the same groups.
# ``combine="intersection"``, the default, makes a group of each combination of sex and age.

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import AuditDisplay
from fairbinn_sklearn.preprocessing import tabular_preprocessor

train, test = load_adult(subset="train"), load_adult(subset="test")
X = train.data.sample(15_000, random_state=0)
y = train.target[X.index]
preprocessor = tabular_preprocessor()
X_train, X_test = preprocessor.fit_transform(X), preprocessor.transform(test.data)

_, edges = pd.qcut(X["age"], 5, retbins=True)
inner = edges[1:-1].astype(int)
labels = [
    f"{inner[0]} or younger",
    *(f"{low + 1} to {high}" for low, high in pairwise(inner)),
    f"{inner[-1] + 1} or older",
]


def sex_and_age(data):
    """Return sex and age group of each sample."""
    age = pd.cut(data["age"], [-np.inf, *inner, np.inf], labels=labels)
    return pd.DataFrame({"sex": data["sex"], "age": age}).astype(str)


groups_train, groups_test = sex_and_age(X), sex_and_age(test.data)
both = FairBiNNClassifier(eta=10, random_state=0)
both.fit(X_train, y, sensitive_features=groups_train)
print("Age groups:", labels)

# %%
# Three networks
# --------------
# The first is trained for accuracy only, the second also for parity by sex, the third for parity
# between all ten groups. All are evaluated in the same ten groups of the test samples.

plain = FairBiNNClassifier(eta=0, random_state=0).fit(X_train, y)
by_sex = FairBiNNClassifier(eta=10, random_state=0)
by_sex.fit(X_train, y, sensitive_features=groups_train["sex"])


def predictions_by_group(model):
    """Return the predictions on the test samples, grouped by sex and age."""
    predictions = pd.Series(model.predict(X_test), index=groups_test.index)
    return predictions.groupby([groups_test["sex"], groups_test["age"]])


table = pd.DataFrame(
    {
        "samples": predictions_by_group(plain).size(),
        "eta 0": predictions_by_group(plain).mean(),
        "by sex": predictions_by_group(by_sex).mean(),
        "by sex and age": predictions_by_group(both).mean(),
    }
)
print(table.round(3).to_string())
for name, model in (("eta 0", plain), ("by sex", by_sex), ("by sex and age", both)):
    difference = table[name].max() - table[name].min()
    print(f"{name:15} accuracy {model.score(X_test, test.target):.3f}, difference {difference:.3f}")

# %%
# Parity by sex leaves most of the difference between the ten groups. Parity between all ten groups
# costs more accuracy, because incomes also differ by age.
#
# The audit as a figure
# ---------------------
# Error bars are binomial standard errors: the rate of a group of 400 samples has a standard error
# of about 0.02. The largest of many differences is larger by chance than any single one, so ten
# groups with equal rates would still show a difference. "Before" is the network trained for
# accuracy only, "after" the network trained on all ten groups.

AuditDisplay.from_estimator(
    both, X_test, test.target, sensitive_features=groups_test, baseline=plain
)

plt.show()

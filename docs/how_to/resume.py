"""Train in a job that may be killed and restarted."""

import os

from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult

adult = load_adult(subset="train")
X = StandardScaler().fit_transform(adult.data.select_dtypes("number"))
y, sex = adult.target, adult.sensitive_features["sex"]

clf = FairBiNNClassifier(
    eta=10,
    max_epochs=6,
    checkpoint="fit.checkpoint",  # on a disk that all nodes share
    random_state=0,  # required: an integer
)
if os.path.exists("fit.checkpoint"):
    print("resuming")
clf.fit(X, y, sensitive_features=sex)
print(f"{clf.n_iter_} epochs, checkpoint removed: {not os.path.exists('fit.checkpoint')}")

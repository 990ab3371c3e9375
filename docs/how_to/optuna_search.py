"""Tune eta, learning rate and weight decay for accuracy and parity with Optuna."""

import numpy as np
import optuna

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.metrics import FairnessScorer

rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 4000)
X = rng.normal(size=(4000, 5))
X[:, 0] += group == "a"
y = (X.sum(axis=1) + rng.normal(size=4000) > 1).astype(int)
train, valid = slice(0, 2000), slice(2000, None)


def objective(trial):
    """Return accuracy and difference on the validation samples."""
    clf = FairBiNNClassifier(
        eta=trial.suggest_float("eta", 0.1, 100, log=True),
        lr=trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        max_epochs=5,
        random_state=0,
    )
    clf.fit(X[train], y[train], sensitive_features=group[train])
    difference = -FairnessScorer()(clf, X[valid], y[valid], sensitive_features=group[valid])
    trial.set_user_attr("selection rate", float(clf.predict(X[valid]).mean()))
    return clf.score(X[valid], y[valid]), difference


optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler = optuna.samplers.TPESampler(seed=0)
study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
study.optimize(objective, n_trials=15)
useful = [t for t in study.best_trials if 0 < t.user_attrs["selection rate"] < 1]
within = [trial for trial in useful if trial.values[1] <= 0.1]
accuracy, difference = max(within, key=lambda trial: trial.values[0]).values
print(f"{len(study.trials)} trials, chosen: accuracy {accuracy:.2f}, difference {difference:.2f}")

r"""
Tune several parameters with Optuna
===================================

A grid over ``eta`` leaves the other parameters at their defaults. `Optuna <https://optuna.org>`_
tunes several parameters at once for two objectives: high accuracy and a small demographic parity
difference. The result is not a single best trial but a Pareto front, the trials that no other trial
beats in both objectives.

To run: ``python -m pip install ".[examples,search]"``, then ``python
examples/search_with_optuna.py``. The script takes about a minute on one CPU core. The networks are
trained on 6,000 of Adult's training samples and evaluated on the others; the test samples are not
used.
"""

import matplotlib.pyplot as plt
import optuna
from fairlearn.metrics import demographic_parity_difference
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.preprocessing import tabular_preprocessor

N_TRIALS = 30

train = load_adult(subset="train")
X, y, sex = train.data, train.target, train.sensitive_features["sex"]
X_fit, X_valid, y_fit, y_valid, sex_fit, sex_valid = train_test_split(
    X, y, sex, train_size=6000, stratify=y, random_state=0
)
preprocessor = tabular_preprocessor()
X_fit, X_valid = preprocessor.fit_transform(X_fit), preprocessor.transform(X_valid)


def objective(trial):
    """Return accuracy and difference on the validation samples for the parameters of a trial."""
    clf = FairBiNNClassifier(
        eta=trial.suggest_float("eta", 0.1, 100, log=True),
        lr=trial.suggest_float("lr", 1e-4, 1e-2, log=True),
        fairness_lr=trial.suggest_float("fairness_lr", 1e-4, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        max_epochs=10,
        random_state=0,
    )
    y_pred = clf.fit(X_fit, y_fit, sensitive_features=sex_fit).predict(X_valid)
    trial.set_user_attr("selection rate", y_pred.mean())
    difference = demographic_parity_difference(y_valid, y_pred, sensitive_features=sex_valid)
    return (y_pred == y_valid).mean(), difference


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=0)
)
study.optimize(objective, n_trials=N_TRIALS)

front = sorted(study.best_trials, key=lambda trial: trial.values[1])
print(f"{len(front)} of {N_TRIALS} trials are on the front:")
for trial in front:
    params = ", ".join(f"{name} {value:.2g}" for name, value in trial.params.items())
    accuracy, difference = trial.values
    print(
        f"accuracy {accuracy:.4f}, difference {difference:.4f}, "
        f"selection rate {trial.user_attrs['selection rate']:.4f}: {params}"
    )

# %%
# Check the selection rate too: a network that predicts the negative class for every sample has no
# difference, so it is on the front. The front was selected on the validation samples, so audit the
# chosen trial on other samples.
scores, differences = zip(*(trial.values for trial in study.trials), strict=True)
on_front = {trial.number for trial in front}
texts = [f"eta {t.params['eta']:.2g}" if t.number in on_front else "" for t in study.trials]
ParetoFrontDisplay(differences, scores, texts=texts).plot()
plt.title(f"{N_TRIALS} trials on validation samples; dominated trials are pale")
plt.show()

"""Measure how closely training reaches a target where groups are hard to equalise.

Run ``python examples/benchmarks/hard_targets.py``; ``--health PATH`` adds nine age groups of
Heritage Health, and ``--summary FILE`` writes the table as CSV. The other data sets are synthetic:

- `shapes`: two groups whose scores have distributions of different shapes. One group is easy to
  classify, the other is not, so equal decisions and equal mean scores conflict.
- `ladder`: twelve groups of different sizes, whose base rates rise from 0.03 to 0.8.

Training samples have the seeds 0, 1, ... and test samples the seeds 1000, 1001, ... All parameters
except the target and `equalize` have their defaults.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from health_features import health_features
from scipy.special import expit, logit

from fairbinn_sklearn import FairBiNNClassifier

CASES = [
    ("shapes", {"fairness_target": 0.01, "equalize": "both"}),
    ("ladder", {"fairness_target": 0.05}),
    ("ladder", {"fairness_target": 0.15}),
    ("ladder", {"fairness_target": 0.05, "equalize": "both"}),
    *[("health", {"fairness_target": target}) for target in (0.05, 0.2, 0.3, 0.4)],
]
N_SAMPLES = 40_000


def shapes(seed):
    """Return features, labels and groups of the data set `shapes`."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=N_SAMPLES)
    signal = rng.normal(size=(N_SAMPLES, 3))
    log_odds = np.where(group, 0.5, 3.5) * signal.sum(1) / np.sqrt(3) + np.where(group, 0.6, -2.0)
    proxies = rng.normal(loc=group[:, None], size=(N_SAMPLES, 4))
    y = rng.random(N_SAMPLES) < expit(log_odds)
    return np.hstack([signal, proxies]).astype(np.float32), y.astype(int), group


def ladder(seed, n_groups=12):
    """Return features, labels and groups of the data set `ladder`."""
    rng = np.random.default_rng(seed)
    sizes = 1.15 ** np.arange(n_groups)
    group = rng.permutation(
        np.repeat(np.arange(n_groups), rng.multinomial(N_SAMPLES, sizes / sizes.sum()))
    )
    # Neighbours on the ladder have different sizes.
    step = (5 * np.arange(n_groups)) % n_groups
    level = logit(np.linspace(0.03, 0.8, n_groups))[step]
    spread = np.linspace(0.5, 2.5, n_groups)[step[::-1]]
    signal = rng.normal(size=(N_SAMPLES, 4))
    y = rng.random(N_SAMPLES) < expit(level[group] + spread[group] * signal.sum(1) / 2)
    return np.hstack([signal, np.eye(n_groups)[group]]).astype(np.float32), y.astype(int), group


def differences(clf, X, y, group):
    """Return accuracy and the largest differences of decisions and of mean scores."""
    values = pd.DataFrame({"hard": clf.predict(X), "soft": clf.predict_proba(X)[:, 1]})
    rates = values.groupby(group).mean()
    return {"accuracy": clf.score(X, y), **(rates.max() - rates.min())}


def main():
    """Print, and optionally save, one row per data set and target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--health", help="file with the data of Heritage Health")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--summary", help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    made_up, records = {"shapes": shapes, "ladder": ladder}, []
    health = health_features(args.health) if args.health else None
    for name, params in CASES:
        if name == "health" and health is None:
            continue
        runs = []
        for seed in range(args.seeds):
            if name == "health":
                train, test = health[:3], health[3:]
            else:
                train, test = made_up[name](seed), made_up[name](1000 + seed)
            clf = FairBiNNClassifier(random_state=seed, **params)
            clf.fit(train[0], train[1], sensitive_features=train[2])
            runs.append(
                {
                    f"{key}, {part} samples": value
                    for part, samples in (("training", train), ("test", test))
                    for key, value in differences(clf, *samples).items()
                }
            )
        table = pd.DataFrame(runs)
        row = {key: f"{table[key].mean():.4f} ± {table[key].std():.4f}" for key in table}
        records.append({"data": name, **params, **row})
        print(records[-1], flush=True)
    if args.summary:
        pd.DataFrame(records).to_csv(args.summary, index=False)


if __name__ == "__main__":
    main()

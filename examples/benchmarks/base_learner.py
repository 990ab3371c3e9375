"""
Compare the network without a fairness loss and gradient boosting on several tables.

    python examples/benchmarks/base_learner.py --folder DATA --save docs/results/base_learner.csv

The network is ``make_pipeline(tabular_preprocessor(), FairBiNNClassifier(eta=0))``, and gradient
boosting is ``HistGradientBoostingClassifier(categorical_features="from_dtype")``, both with default
parameters. The table contains means over seeds and the standard deviation of the difference. By
default, test samples come from one split, and seeds change only the initial weights. With
`--redraw`, each seed draws a new split from all samples. The default parameters were chosen on
parts of these tables, so some redrawn test samples were used for that choice. See `tables.py` for
the files of the folder.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
import torch
from rich.progress import track
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import TABLES, Part, load_table

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.preprocessing import tabular_preprocessor

METRICS = {
    "accuracy": lambda y, scores: np.mean((scores > 0.5) == y),
    "AUC": roc_auc_score,
    "log loss": log_loss,
}


def models(seed):
    """Return the models by name."""
    net = {"eta": 0, "device": "cpu", "random_state": seed}
    return {
        "network": make_pipeline(tabular_preprocessor(), FairBiNNClassifier(**net)),
        "network, standardised": make_pipeline(
            tabular_preprocessor(encoder=StandardScaler()), FairBiNNClassifier(**net)
        ),
        "boosting": HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=seed
        ),
    }


def redraw(parts, seed):
    """Return a split of all samples that the seed draws, with parts of the same sizes."""
    X = pd.concat([part.X for part in parts], ignore_index=True)
    y, group = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "group"))
    rows = train_test_split(
        np.arange(len(y)), test_size=len(parts[1].y), stratify=y, random_state=seed
    )
    return [Part(X.iloc[part], y[part], group[part]) for part in rows]


def compare(name, parts, seed, redrawn):
    """Return one record for each model."""
    train, test = redraw(parts, seed) if redrawn else parts
    records = []
    for model_name, model in models(seed).items():
        start = time.process_time()
        scores = model.fit(train.X, train.y).predict_proba(test.X)[:, 1]
        records.append(
            {
                "data": name,
                "seed": seed,
                "model": model_name,
                **{metric: measure(test.y, scores) for metric, measure in METRICS.items()},
                "CPU s": time.process_time() - start,
            }
        )
    return records


def summary(records):
    """Return means by data set, and differences of the networks from boosting in thousandths."""
    table = pd.DataFrame(records).set_index(["data", "model", "seed"])
    rows = {}
    for name in table.index.unique("data"):
        boosting = table.loc[name, "boosting"]
        row = {"seeds": len(boosting)}
        row |= {f"boosting {metric}": f"{boosting[metric].mean():.4f}" for metric in METRICS}
        for model in ("network", "network, standardised"):
            for metric in METRICS:
                change = 1000 * (table.loc[name, model][metric] - boosting[metric])
                row[f"{model}: {metric}"] = f"{change.mean():+.1f} ± {change.std(ddof=0):.1f}"
        rows[name] = row
    return pd.DataFrame(rows).T


def main():
    """Compare, print the summary and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--data", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--folder", help="folder with the files of the tables")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--redraw", action="store_true", help="draw the split anew for each seed")
    parser.add_argument("--save", help="CSV file of the summary")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tables = {name: load_table(name, args.folder) for name in args.data}
    runs = [(name, seed) for name in args.data for seed in range(args.seeds)]
    records = []
    for name, seed in track(runs, "fits"):
        records += compare(name, tables[name], seed, args.redraw)
    table = summary(records)
    print(table.T.to_string())
    print(pd.DataFrame(records).groupby("model")["CPU s"].mean().round(1).to_dict())
    if args.save:
        table.to_csv(args.save, index_label="data")


if __name__ == "__main__":
    main()

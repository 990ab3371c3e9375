"""Compare the bilevel and the Lagrangian rule: trade-off, and cross-entropy by epoch.

    python examples/paper/bilevel_or_lagrangian.py --epochs 200

The paper reports a training cross-entropy of 0.23 for the bilevel and 0.26 for the Lagrangian
network on Adult after 200 epochs, with unreported settings. Here both have the same network,
batches, loss and seeds. The table has the metrics on the test samples and the training loss of the
last epoch.
"""

from common import OURS, PAPER, RESULTS, finish, load, parse_args, pd

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ETAS = [0.3, 1, 3, 10, 30]
SETTINGS = {
    "bilevel": OURS,
    "lagrangian": {**OURS, "method": "lagrangian"},
    "bilevel, settings of the paper": {**PAPER, "method": "bilevel"},
    "lagrangian, settings of the paper": {**PAPER, "method": "lagrangian"},
}

args = parse_args(__doc__)
train, (X, y, group) = load(args)
tables, histories = [], []
for label, settings in SETTINGS.items():
    estimator = FairBiNNClassifier(**{**settings, "max_epochs": args.epochs, "device": "cpu"})
    path = fairness_path(*train, etas=ETAS, seeds=range(args.seeds), estimator=estimator)
    table = path.evaluate(
        *(X, y), sensitive_features=group, metrics=["mean_score_difference"]
    ).to_frame()
    table.insert(0, "setting", label)
    for clf in path:
        history = pd.DataFrame(clf.history_).assign(
            setting=label, eta=clf.eta, seed=clf.random_state
        )
        histories.append(history[["setting", "eta", "seed", "epoch", "loss", "score_difference"]])
    table["training loss"] = [clf.history_[-1]["loss"] for clf in path]
    tables.append(table)
finish("rules", args, pd.concat(tables))
if args.samples is None:
    mean = pd.concat(histories).groupby(["setting", "eta", "epoch"], sort=False).mean()
    file = RESULTS / f"paper_rules_epochs_{args.data}.csv"
    mean.drop(columns="seed").round(4).reset_index().to_csv(file, index=False)

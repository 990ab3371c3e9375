"""Bilevel against Lagrangian: the trade-off, and the cross-entropy epoch by epoch.

    python examples/paper/bilevel_or_lagrangian.py --epochs 200

The paper reports a cross-entropy of 0.23 for the bilevel and 0.26 for the Lagrangian net on Adult
after 200 epochs, on training rows, at settings that it does not name. Here both have the same net,
batches, loss and seeds; the last epoch's losses on the training rows are told beside the figures
on test rows.
"""

from common import OURS, PAPER, RESULTS, arguments, finish, load, pd

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ETAS = [0.3, 1, 3, 10, 30]
SETTINGS = {
    "bilevel": OURS,
    "lagrangian": {**OURS, "method": "lagrangian"},
    "bilevel, settings of the paper": {**PAPER, "method": "bilevel"},
    "lagrangian, settings of the paper": {**PAPER, "method": "lagrangian"},
}

given = arguments(__doc__)
train, (X, y, group) = load(given)
rows, courses = [], []
for label, settings in SETTINGS.items():
    estimator = FairBiNNClassifier(**{**settings, "max_epochs": given.epochs, "device": "cpu"})
    path = fairness_path(*train, etas=ETAS, seeds=range(given.seeds), estimator=estimator)
    measured = path.evaluate(
        *(X, y), sensitive_features=group, metrics=["mean_score_difference"]
    ).to_frame()
    measured.insert(0, "setting", label)
    for one in path:
        course = pd.DataFrame(one.history_).assign(
            setting=label, eta=one.eta, seed=one.random_state
        )
        courses.append(course[["setting", "eta", "seed", "epoch", "loss", "score_difference"]])
    measured["training loss"] = [one.history_[-1]["loss"] for one in path]
    rows.append(measured)
finish("rules", given, pd.concat(rows))
if given.rows is None:
    mean = pd.concat(courses).groupby(["setting", "eta", "epoch"], sort=False).mean()
    file = RESULTS / f"paper_rules_epochs_{given.data}.csv"
    mean.drop(columns="seed").round(4).reset_index().to_csv(file, index=False)

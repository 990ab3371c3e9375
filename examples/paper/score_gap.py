"""What the difference of mean scores does not tell, and what accuracy parity of decisions leaves.

    python examples/paper/score_gap.py
    python examples/paper/score_gap.py --data health --file HHP.csv

The paper reports the difference of mean scores. Gradient boosting without any mitigation has one as
small as one likes if its log-odds are multiplied by a small number: the decisions are the same, so
are accuracy and the difference of decisions. The second table has the highest accuracy that
thresholds for each group reach on these scores, chosen with the labels of the test rows: about the
most that can be had from them by looking at the group.
"""

from common import RESULTS, arguments, np, pd
from frontier import gradient_boosting, load, measure
from scipy.special import expit, logit

FACTORS = (1, 0.5, 0.25, 0.1)
BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)


def best_by_group(scores, y, group, bounds, n_rates=1001):
    """Highest accuracy of one threshold a group if the shares of positives may differ so much."""
    rates = np.linspace(0, 1, n_rates)
    correct = np.zeros((0, n_rates))
    for one in np.unique(group):
        labels = y[group == one][np.argsort(-scores[group == one])]
        hits = np.r_[0, np.cumsum(np.where(labels == 1, 1, -1))] + (labels == 0).sum()
        correct = np.vstack([correct, hits[np.round(rates * len(labels)).astype(int)]])
    best = []
    for bound in bounds:
        width = min(int(bound * (n_rates - 1)) + 1, n_rates)
        windows = np.lib.stride_tricks.sliding_window_view(correct, width, axis=1)
        best.append(windows.max(-1).sum(0).max() / len(y))
    return best


given = arguments(__doc__)
(X, y, _), (X_new, y_new, group_new) = load(given.data, given.file)
scores = gradient_boosting(0).fit(X, y).predict_proba(X_new)[:, 1]
table = pd.DataFrame(
    {"log-odds times": factor, **measure(expit(factor * logit(scores)), y_new, group_new)}
    for factor in FACTORS
)
best = pd.DataFrame(
    {"at most": BOUNDS, "accuracy": best_by_group(scores, y_new, group_new, BOUNDS)}
)
for name, frame in (("score_gap", table), ("by_group", best)):
    print(frame.round(4).to_string(index=False))
    frame.round(4).to_csv(RESULTS / f"paper_{name}_{given.data}.csv", index=False)

"""Show the limits of the difference of mean scores, and the best accuracy under parity.

    python examples/paper/score_gap.py
    python examples/paper/score_gap.py --data health --file HHP.csv

The paper reports the difference of mean scores. Gradient boosting without mitigation reaches an
arbitrarily small difference of mean scores if its log-odds are multiplied by a small number, while
its decisions and accuracy do not change. The second table has the highest accuracy that one
threshold per group reaches on these scores if thresholds are chosen with the test labels. This is
about the best accuracy that these scores allow under a bound on the difference of decisions.
"""

from common import RESULTS, np, parse_args, pd
from frontier import gradient_boosting, measure
from scipy.special import expit, logit
from tables import load_table

FACTORS = (1, 0.5, 0.25, 0.1)
BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)


def best_by_group(scores, y, group, bounds, n_rates=1001):
    """Return the highest accuracy of one threshold per group for each bound on the difference."""
    rates = np.linspace(0, 1, n_rates)
    correct = np.zeros((0, n_rates))
    for name in np.unique(group):
        labels = y[group == name][np.argsort(-scores[group == name])]
        hits = np.r_[0, np.cumsum(np.where(labels == 1, 1, -1))] + (labels == 0).sum()
        correct = np.vstack([correct, hits[np.round(rates * len(labels)).astype(int)]])
    best = []
    for bound in bounds:
        width = min(int(bound * (n_rates - 1)) + 1, n_rates)
        windows = np.lib.stride_tricks.sliding_window_view(correct, width, axis=1)
        best.append(windows.max(-1).sum(0).max() / len(y))
    return best


args = parse_args(__doc__)
(X, y, _), (X_new, y_new, group_new) = load_table(args.data, args.file)
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
    frame.round(4).to_csv(RESULTS / f"paper_{name}_{args.data}.csv", index=False)

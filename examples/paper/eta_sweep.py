"""The net for accuracy alone, and the sweep over eta: the trade-off curve of the paper.

    python examples/paper/eta_sweep.py
    python examples/paper/eta_sweep.py --data health --file PATH

The paper sweeps eta from 1 to 6,000 on Adult and reports an accuracy of 0.829 at a difference of
mean scores of 0.012 (eta 1,000); on Heritage Health 0.802 at 0.23 (eta 700). Here the same sweep by
algorithm 1 to the letter ("alternating"), by the updates of the released code, and by ours.
"""

from common import OURS, PAPER, RELEASED, arguments, draw, finish, load, pd, sweep

ETAS = [0, 1, 10, 100, 1000, 6000]

given = arguments(__doc__)
data = load(given)
tables = [
    sweep("algorithm 1", {**PAPER, "method": "alternating"}, ETAS, given, data),
    sweep("released code", RELEASED, ETAS, given, data),
    sweep("bilevel, settings of the paper", {**PAPER, "method": "bilevel"}, ETAS, given, data),
    sweep("ours", OURS, [0, 0.1, 0.3, 1, 3, 10, 30, 100], given, data),
]
draw("eta", given, finish("eta", given, pd.concat(tables)))

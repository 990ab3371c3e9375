"""Reproduce the paper's trade-off curve: a sweep over eta for several update rules.

    python examples/paper/eta_sweep.py
    python examples/paper/eta_sweep.py --data health --file PATH

The paper sweeps eta from 1 to 6,000. It reports an accuracy of 0.829 at a difference of mean scores
of 0.012 on Adult (eta 1,000) and 0.802 at 0.23 on Heritage Health (eta 700). This script runs the
sweep with algorithm 1 to the letter ("alternating"), with the updates of the released code, and
with those of this package.
"""

from common import OURS, PAPER, RELEASED, draw, finish, load, parse_args, sweep

ETAS = [1, 10, 100, 1000, 6000]
VARIANTS = {
    "algorithm 1": ({**PAPER, "method": "alternating"}, ETAS),
    "released code": (RELEASED, ETAS),
    "bilevel, settings of the paper": ({**PAPER, "method": "bilevel"}, ETAS),
    "ours": (OURS, [0, 0.1, 0.3, 1, 3, 10, 30, 100]),
}

args = parse_args(__doc__, VARIANTS)
draw("eta", args, finish("eta", args, sweep(VARIANTS, args, load(args))))

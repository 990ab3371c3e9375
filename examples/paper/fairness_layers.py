"""Vary the position and the number of the fairness layers, as in the paper's ablations.

    python examples/paper/fairness_layers.py

In the paper, fairness layers just before the output are best. Its areas for one, two and three
layers are 0.411, 0.404 and 0.349 on Adult and 0.492, 0.513 and 0.531 on Heritage Health. The paper
does not report a reference point for its areas, so the areas of this script are only comparable
with each other.
"""

import numpy as np
from common import OURS, draw, finish, load, parse_args, pd, sweep
from moocore import hypervolume

ETAS = [0, 1, 10]
# Reference points: difference of mean scores, accuracy.
REFERENCES = {"adult": (0.25, 0.75), "health": (0.65, 0.65)}

# The default is one layer at position 2, just before the output.
VARIANTS = {
    "position 0": ({**OURS, "fairness_position": 0}, ETAS),
    "position 1": ({**OURS, "fairness_position": 1}, ETAS),
    "position 2": (OURS, ETAS),
    "position 2, 2 layers": ({**OURS, "fairness_layer_sizes": (128, 128)}, ETAS),
    "position 2, 3 layers": ({**OURS, "fairness_layer_sizes": (128, 128, 128)}, ETAS),
}

args = parse_args(__doc__, VARIANTS)
table = sweep(VARIANTS, args, load(args))
draw("layers", args, finish("layers", args, table))

difference, accuracy = REFERENCES[args.data]
areas = [
    {
        "setting": setting,
        "seed": seed,
        "area": 1000
        * hypervolume(
            np.column_stack([rows["soft"], -rows["accuracy"]]), ref=[difference, -accuracy]
        ),
    }
    for (setting, seed), rows in table.groupby(["setting", "seed"], sort=False)
]
finish("layers_area", args, pd.DataFrame(areas), by=["setting"])

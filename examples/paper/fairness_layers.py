"""Where the fairness layers stand, and how many there are: the ablations of the paper.

    python examples/paper/fairness_layers.py

The paper finds them best just before the output; the areas over its curve for one, two and three
layers are 0.411, 0.404 and 0.349 on Adult, 0.492, 0.513 and 0.531 on Heritage Health. How its area
is cut off is not told, so ours, of the part with less difference and more accuracy than a corner,
can be compared with each other only.
"""

import numpy as np
from common import OURS, arguments, draw, finish, load, pd, sweep
from moocore import hypervolume

ETAS = [0, 0.3, 1, 3, 10, 30]
CORNER = {"adult": (0.25, 0.75), "health": (0.65, 0.65)}  # difference of mean scores, accuracy

given = arguments(__doc__)
data = load(given)
tables = [
    sweep(f"position {position}", {**OURS, "fairness_position": position}, ETAS, given, data)
    for position in (0, 1, 2)
]
tables += [
    sweep(f"{n} layers", {**OURS, "fairness_layer_sizes": (128,) * n}, ETAS, given, data)
    for n in (1, 2, 3)
]
table = pd.concat(tables)
draw("layers", given, finish("layers", given, table))

difference, accuracy = CORNER[given.data]
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
finish("layers_area", given, pd.DataFrame(areas), by=["setting"])

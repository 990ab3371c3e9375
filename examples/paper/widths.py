"""Nets from far too small to far too large: is overparameterisation needed, as the theory asks?

python examples/paper/widths.py
"""

from common import OURS, arguments, finish, load, pd, sweep

given = arguments(__doc__)
data = load(given)
tables = [
    sweep(
        f"2 x {width}", {**OURS, "hidden_layer_sizes": (width, width)}, [0, 1, 10, 100], given, data
    )
    for width in (2, 8, 32, 128, 512)
]
finish("widths", given, pd.concat(tables))

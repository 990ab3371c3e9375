"""Vary the width of the network: the theory assumes more parameters than samples.

python examples/paper/widths.py
"""

from common import OURS, finish, load, parse_args, sweep

VARIANTS = {
    f"2 x {width}": ({**OURS, "hidden_layer_sizes": (width, width)}, [0, 1, 10, 100])
    for width in (2, 8, 32, 128, 512)
}

args = parse_args(__doc__, VARIANTS)
finish("widths", args, sweep(VARIANTS, args, load(args)))

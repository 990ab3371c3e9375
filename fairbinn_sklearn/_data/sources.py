"""X that is read a part at a time: memory-mapped arrays and torch data sets."""

import copy
import mmap

import numpy as np
from sklearn.utils import assert_all_finite
from torch.utils.data import Dataset, IterableDataset

SHUFFLE_BUFFER = 2**23  # numbers of the spans that are read and shuffled together


def as_source(X):
    """Return X as a `Source` if it should not be read at once, else None."""
    if isinstance(X, np.memmap) and X.ndim > 1 and X.dtype.kind in "biuf":
        return Source(X)
    if isinstance(X, IterableDataset):
        raise TypeError(
            "X must be a data set with __len__ and __getitem__, got the IterableDataset "
            f"{type(X).__name__}."
        )
    return Source(X) if isinstance(X, Dataset) else None


class Source:
    """Samples of an array or a torch data set, read as float32 when they are needed.

    ``data[i]`` must return a sample, or a tuple whose first item is the sample. Optional attributes
    of the data are ``__getitems__``, which takes a list of indices as in torch's data loaders;
    ``spans``, the edges of spans of samples that are read together; and ``feature_names``.
    """

    def __init__(self, data):
        self.data = data
        self.index = None  # samples of a subset; None means all
        is_array = isinstance(data, np.ndarray)
        if not len(data):
            raise ValueError(
                f"X must have at least one sample, got an empty {type(data).__name__}."
            )
        sample_shape = data.shape[1:] if is_array else self._fetch([0]).shape[1:]
        self.shape = (len(data), *sample_shape)
        self.spans = None if is_array else getattr(data, "spans", None)
        self.feature_names = None if is_array else getattr(data, "feature_names", None)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        """Return the samples of a slice or an index array as a float32 array."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        if self.index is not None:
            index = self.index[index]
        order = np.argsort(index, kind="stable")  # files are read fastest in their order
        with np.errstate(over="ignore"):  # values too large for float32 become infinite: refused
            samples = np.empty((len(index), *self.shape[1:]), dtype=np.float32)
            samples[order] = self._fetch(index[order])
        assert_all_finite(samples, input_name="X")
        return samples

    def subset(self, index):
        """Return the samples of a sorted index array as a Source."""
        part = copy.copy(self)
        part.index = index if self.index is None else self.index[index]
        part.shape = (len(index), *self.shape[1:])
        return part

    def pools(self, rng=None):
        """Yield index arrays of samples to read together, each sample once.

        A pool joins spans until it contains `SHUFFLE_BUFFER` numbers. With `rng`, the spans are
        drawn in random order, and the samples of each pool are shuffled. Without it the order is
        kept.
        """
        spans = self._span_indices()
        if rng is not None:
            rng.shuffle(spans)
        pool_size = max(1, SHUFFLE_BUFFER // int(np.prod(self.shape[1:])))
        pool, n_samples = [], 0
        for k, span in enumerate(spans):
            pool.append(span)
            n_samples += len(span)
            if n_samples >= pool_size or k == len(spans) - 1:
                index = np.concatenate(pool)
                yield index if rng is None else rng.permutation(index)
                pool, n_samples = [], 0

    def in_order(self):
        """Yield all samples in their order, a part at a time."""
        if self.spans is not None:
            yield from (self[index] for index in self.pools())
            return
        n_samples = max(1, SHUFFLE_BUFFER // int(np.prod(self.shape[1:])))
        for start in range(0, len(self), n_samples):
            yield self[start : start + n_samples]

    def thinned(self, n_samples):
        """Return about `n_samples` samples spread over all, from few spans."""
        if self.spans is None:
            return self[:: -(-len(self) // n_samples)]
        spans = self._span_indices()
        spans = spans[:: -(-len(spans) // 16)]
        per_span = -(-n_samples // len(spans))
        return self[np.concatenate([span[:: -(-len(span) // per_span)] for span in spans])]

    def _span_indices(self):
        """Return the indices of each span within this source, without empty spans."""
        index = np.arange(len(self)) if self.index is None else self.index
        edges = np.searchsorted(index, np.asarray(self.spans)[1:-1])
        return [span for span in np.split(np.arange(len(self)), edges) if len(span)]

    def _fetch(self, index):
        if isinstance(self.data, np.ndarray):
            samples = np.empty((len(index), *self.data.shape[1:]), dtype=self.data.dtype)
            for start in range(0, len(index), 512):  # the system maps pages around each sample
                samples[start : start + 512] = self.data[index[start : start + 512]]
                release_pages(self.data)
            return samples
        indices = [int(i) for i in index]
        if hasattr(self.data, "__getitems__"):
            items = self.data.__getitems__(indices)
        else:
            items = [self.data[i] for i in indices]
        if not isinstance(items, np.ndarray):
            items = np.stack([np.asarray(x[0] if isinstance(x, tuple) else x) for x in items])
        if items.ndim < 2:
            raise ValueError(
                f"X must have samples of one dimension or more, got {type(self.data).__name__} "
                f"with samples of shape {items.shape[1:]}."
            )
        return items


def release_pages(array):
    """Release the pages of a memory-mapped file, because the system would keep them in memory."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and array.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)

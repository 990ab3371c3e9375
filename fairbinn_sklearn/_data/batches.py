"""Training rows where the net lies, and the batches cut from them."""

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch.utils.data import Dataset

from .sources import Source

PORTION = 2**20  # numbers that are gathered at a time, to be cut into batches


class Batch(NamedTuple):
    """Rows as tensors on the device."""

    X: torch.Tensor  # (B, ...) float32
    y: torch.Tensor  # (B,) class codes
    groups: torch.Tensor | None  # (B, K) group codes, one a sensitive column
    weight: torch.Tensor | None  # (B,) weights of the accuracy loss
    sample_weight: torch.Tensor | None  # (B,) weights of the rates
    membership: torch.Tensor | None = None  # (B, E, G) weight in each event and group
    whole: int | None = None  # rows of the batch if this is a process's share of it

    @property
    def n_rows(self):
        """Number of rows of the batch, in all processes."""
        return self.y.shape[0] if self.whole is None else self.whole

    def split(self, n_parts):
        """As many batches of near-equal size."""
        columns = [[None] * n_parts if one is None else one.tensor_split(n_parts) for one in self]
        return map(Batch, *columns)

    def share(self, processes):
        """Rows of the batch that are this process's."""
        columns = [None if one is None else processes.share(one) for one in self]
        return Batch(*columns)._replace(whole=self.n_rows)


class Rows(Dataset):
    """Rows where the net lies: dense X whole on the device, other X portion by portion.

    X : (N, ...) float32 array, CSR matrix or `Source`; y : (N,) class codes; groups : (N, K) codes
    or None; weight : (N,) weights of the accuracy loss or None; sample_weight : (N,) weights of the
    rates, or None. `dtype` is that of the training.
    """

    def __init__(self, X, y, groups, weight, sample_weight, device, dtype=torch.float32):
        def there(values, dtype):
            return None if values is None else torch.as_tensor(values, dtype=dtype, device=device)

        if device.type == "cuda" and not sp.issparse(X):
            X = _as_it_fits(X, device)
        self.on_device = not (sp.issparse(X) or isinstance(X, Source))
        self.X = as_tensor(X, device, dtype) if self.on_device else X
        self.y = there(y, _code_type(y))
        self.groups = None if groups is None else there(groups, _code_type(groups))
        self.weight = there(weight, dtype)
        self.sample_weight = there(sample_weight, dtype)
        self.device = device
        self.dtype = dtype
        self.processes = None

    def __len__(self):
        return len(self.y)

    def take(self, index):
        """Rows of the index tensor as a Batch, with X dense."""
        y, groups, *weights = self._columns(index)
        X = (
            self.X.index_select(0, index.to(self.device))
            if self.on_device
            else self.X[index.numpy()]
        )
        groups = None if groups is None else groups.long()
        return Batch(as_tensor(X, self.device, self.dtype), y.long(), groups, *weights)

    def subset(self, index):
        """Rows of the sorted index array, as Rows."""
        X = self.X.part(index) if isinstance(self.X, Source) else self.X[index]
        columns = self._columns(torch.from_numpy(index))
        part = Rows(X, *columns, self.device, self.dtype)
        part.processes = self.processes
        return part

    def sample_of_rows(self, n_rows):
        """About `n_rows` rows of X, spread over all."""
        return (
            self.X.some(n_rows)
            if isinstance(self.X, Source)
            else self.X[:: -(-len(self) // n_rows)]
        )

    def portions(self, batch_size, rng=None, row_size=None):
        """Pairs of an index of rows to gather at a time, and the batches to cut them into.

        All rows once; shuffled by `rng` if there is one, those of a `Source` with spans by these. A
        row takes `row_size` numbers.
        """
        if isinstance(self.X, Source) and self.X.spans is not None:
            for index in self.X.pools(rng):
                yield torch.from_numpy(index), math.ceil(len(index) / batch_size)
            return
        row_size = row_size or math.prod(self.X.shape[1:])
        n_rows = len(self)
        order = np.arange(n_rows) if rng is None else rng.permutation(n_rows)
        order = torch.from_numpy(order)
        if self.on_device:
            order = order.to(self.device)  # at once: a copy would wait for the device
        n_batches = math.ceil(n_rows / batch_size)
        size, larger = divmod(n_rows, n_batches)
        at_a_time = max(1, PORTION // (row_size * (size + 1)))
        edges = [k * size + min(k, larger) for k in range(0, n_batches, at_a_time)] + [n_rows]
        for k, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            yield order[start:stop], min(at_a_time, n_batches - k * at_a_time)

    def _columns(self, index):
        where = index.to(self.device)
        columns = self.y, self.groups, self.weight, self.sample_weight
        return [None if one is None else one.index_select(0, where) for one in columns]


def _as_it_fits(X, device):
    """Memory-mapped X as a tensor on the device if it fits there; any X as a Source if not."""
    if isinstance(X, torch.Tensor):
        return X
    size = 4 * math.prod(X.shape)
    if size > torch.cuda.mem_get_info(device)[0] / 2:
        return X if isinstance(X, Source) else Source(X)
    if isinstance(X, Source) and X.spans is None and isinstance(X.data, np.ndarray):
        whole = torch.empty(X.shape, device=device)
        for index in np.array_split(np.arange(len(X)), max(1, size // 2**26)):
            whole[index[0] : index[-1] + 1] = torch.from_numpy(X[index])
        return whole
    return X


def _code_type(codes):
    """Smallest type that holds the codes."""
    largest = codes.max(initial=0) if isinstance(codes, np.ndarray) else codes.max()
    return next(
        dtype
        for dtype in (torch.uint8, torch.int16, torch.int32, torch.int64)
        if largest <= torch.iinfo(dtype).max
    )


def as_tensor(X, device, dtype=torch.float32):
    """Array, CSR matrix or tensor as a dense tensor on the device."""
    if sp.issparse(X):
        X = X.toarray()
    if isinstance(X, np.ndarray) and not X.flags.writeable:
        X = X.copy()  # torch has no read-only tensors
    return torch.as_tensor(X, dtype=dtype, device=device)


def rows_of_a_batch(batch_size, n_rows):
    """Rows of a batch at most; "auto" is a power of 2 that leaves enough steps an epoch."""
    if batch_size != "auto":
        return batch_size
    wanted = max(min(256, n_rows // 16), n_rows // 1000, 1)
    return max(64, min(2 ** (wanted.bit_length() - 1), 4096))


class Batches:
    """Iterator over batches of near-equal size, shuffled anew by `rng` at each pass.

    N rows make ``ceil(N / batch_size)`` batches whose sizes differ by 1 at most, so that no
    step rests on a handful of left-over rows; pools of a `Source` with spans are dealt one by one.
    Without `rng` rows keep their order. `prepare` turns a portion, as one Batch of all its rows,
    into what the criterion needs. Where several `processes` train, batches are this one's shares.
    """

    def __init__(self, rows, batch_size, rng=None, prepare=None, row_size=None, processes=None):
        self.rows = rows
        self.batch_size = batch_size
        self.rng = rng
        self.prepare = prepare
        self.row_size = row_size
        self.processes = processes

    def __iter__(self):
        for index, n_batches in self.rows.portions(self.batch_size, self.rng, self.row_size):
            portion = self.rows.take(index)
            if self.prepare is not None:
                portion = self.prepare(portion)
            for batch in portion.split(n_batches):
                yield batch if self.processes is None else batch.share(self.processes)


def endless(batches):
    """Batches without end, shuffled anew at each pass: those of the follower's own."""
    while True:
        yield from batches

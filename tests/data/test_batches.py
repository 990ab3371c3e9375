"""Samples of a training and the batches cut from them."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import fit, make, make_data, same_model

from fairbinn_sklearn._data.batches import Batches, Samples, as_tensor, samples_per_batch

CPU = torch.device("cpu")


def numbered(n_samples, form=np.asarray):
    """Return samples whose columns all hold the number of the sample, mapped one to one."""
    number = np.arange(n_samples)
    X = form(number[:, None] * np.ones((1, 4), dtype=np.float32))
    return Samples(X, number.copy(), number[:, None] + 1, number + 0.25, number + 0.5, CPU)


@pytest.mark.parametrize(
    ("n_samples", "size"),
    [
        *((1, 64), (2047, 64), (2048, 128), (4095, 128), (4096, 256), (511_999, 256)),
        *((512_000, 512), (1_024_000, 1024), (10**8, 4096)),
    ],
)
def test_automatic_batch_size_grows_with_the_samples(n_samples, size):
    assert samples_per_batch("auto", n_samples) == size
    assert samples_per_batch(100, n_samples) == 100


def variance(scores, y, groups):
    return ((scores @ groups) / groups.sum(0).clamp(min=1)).var()


def test_automatic_batches_train_as_batches_of_that_size():
    data = make_data(2400)
    params = {
        "eta": 3,
        "early_stopping": True,
        "max_epochs": 1,
        "constraint": variance,
        "hidden_layer_sizes": (8,),
    }
    automatic, explicit = fit(data, **params), fit(data, batch_size=128, **params)
    assert same_model(automatic, explicit, data[0])
    # The value of the function depends on the batches, those for validation included.
    assert automatic.history_ == explicit.history_
    other = fit(data, batch_size=64, **params).history_[0]
    for name in ("fairness_loss", "validation_fairness_loss"):
        assert other[name] != automatic.history_[0][name]


def test_batches_have_near_equal_sizes_and_a_new_order_in_each_epoch():
    def epochs(seed):
        batches = Batches(numbered(103), 25, np.random.default_rng(seed))
        return [[batch.y for batch in batches] for _ in range(2)]

    (first, second), (other, _) = epochs(0), epochs(1)
    assert sorted(map(len, first)) == [20, 20, 21, 21, 21]
    orders = [torch.cat(epoch).tolist() for epoch in (first, second, other)]
    assert all(sorted(order) == list(range(103)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    unshuffled = torch.cat([batch.y for batch in Batches(numbered(103), 25)])
    assert unshuffled.tolist() == list(range(103))


def test_batches_of_estimators_follow_random_state(biased):
    states = [
        fit(biased, random_state=seed, max_epochs=1).net_.rng.bit_generator.state
        for seed in (0, 0, 1)
    ]
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_columns_of_a_batch_and_a_subset_belong_to_the_same_samples(form):
    samples = numbered(50, form)
    index = np.arange(1, 50, 3)
    subset = samples.subset(index)
    assert len(subset) == len(index)
    for part, expected in (
        (samples.take(torch.tensor([7, 3, 40])), [7, 3, 40]),
        (subset.take(torch.arange(len(index))), index),
    ):
        number = torch.as_tensor(expected)
        assert torch.equal(part.X, number[:, None] * torch.ones(1, 4))
        assert torch.equal(part.y, number)
        assert torch.equal(part.groups[:, 0], number + 1)
        assert torch.equal(part.weight, number + 0.25)
        assert torch.equal(part.sample_weight, number + 0.5)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_thinned_samples_are_spread_over_all(form):
    thinned = as_tensor(numbered(1000, form).thinned(10), CPU)
    assert thinned[:, 0].tolist() == list(range(0, 1000, 100))


@pytest.mark.parametrize(
    ("n_codes", "dtype"),
    [(128, torch.int8), (129, torch.int16), (2**15 + 1, torch.int32)],
)
def test_codes_are_stored_in_the_smallest_type_and_batches_have_them_as_long(n_codes, dtype):
    codes = np.array([0, n_codes - 1])
    samples = Samples(np.zeros((2, 1), np.float32), codes, codes[:, None], None, None, CPU)
    assert samples.y.dtype == samples.groups.dtype == dtype
    batch = samples.take(torch.tensor([1]))
    assert batch.y.tolist() == [n_codes - 1] == batch.groups[:, 0].tolist()
    assert batch.y.dtype == batch.groups.dtype == torch.long


def test_tensors_of_read_only_arrays_can_be_written():
    array = np.zeros((2, 2), np.float32)
    array.flags.writeable = False
    as_tensor(array, CPU).add_(1)
    assert not array.any()


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix])
def test_sparse_x_trains_the_model_of_dense_x(biased, form):
    X, y, group = biased
    X = np.where(np.abs(X) < 0.5, 0, X)
    dense, sparse = (
        make(max_epochs=1).fit(values, y, sensitive_features=group) for values in (X, form(X))
    )
    assert same_model(dense, sparse, X)
    assert np.array_equal(sparse.decision_function(form(X)), dense.decision_function(X))


def test_sparse_x_is_never_made_dense_as_a_whole(large, monkeypatch):
    X, y, group = large
    n_dense = []
    toarray = sp.csr_array.toarray

    def watched(self, *args, **kwargs):
        n_dense.append(self.shape[0])
        return toarray(self, *args, **kwargs)

    monkeypatch.setattr(sp.csr_array, "toarray", watched)
    monkeypatch.setattr("fairbinn_sklearn._data.batches.GATHER_SIZE", 1000)  # numbers
    clf = make(eta=0, batch_size=50, max_epochs=1).fit(sp.csr_array(X), y, sensitive_features=group)
    assert 50 < max(n_dense) <= 1000 / X.shape[1]
    clf.set_params(eta=1).fit(sp.csr_array(X), y, sensitive_features=group)
    clf.predict(sp.csr_array(X))
    assert max(n_dense) == 1024 < len(y)

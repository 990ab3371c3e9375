"""X that is not read at once: memory-mapped arrays, torch data sets, Parquet files."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import fit as fit_data
from conftest import frozen, make, make_data
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from fairbinn_sklearn import fairness_path
from fairbinn_sklearn._data.sources import Source
from fairbinn_sklearn.datasets import ArrayRows, ParquetRows


@pytest.fixture(scope="module")
def data():
    return frozen(make_data(1500))


def on_disk(X, folder, mode="r"):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode=mode)


class Plain(Dataset):
    """Samples one by one, as tuples that begin with the sample."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return torch.tensor(self.X[index]), "ignored"


class Spanned(Plain):
    """Samples by lists of indices, in spans; it keeps the indices of each call."""

    def __init__(self, X, spans):
        super().__init__(X)
        self.spans, self.calls = spans, []

    def __getitems__(self, indices):
        self.calls.append(np.asarray(indices))
        return self.X[indices]


def fit(X, data, **params):
    _, y, group = data
    return fit_data((X, y, group), **{"batch_size": 100, "max_epochs": 2, **params})


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("mode", "dtype"), [("r", np.float32), ("r+", np.float64), ("c", np.int16)], ids=str
)
def test_a_mapped_array_trains_the_model_of_the_array(data, tmp_path, dtype, mode, early_stopping):
    X = (4 * data[0]).astype(dtype)
    mapped = on_disk(X, tmp_path, mode)
    expected = fit(X, data, early_stopping=early_stopping)
    clf = fit(mapped, data, early_stopping=early_stopping)
    assert clf.history_ == expected.history_
    np.testing.assert_array_equal(clf.predict_proba(mapped), expected.predict_proba(X))
    np.testing.assert_array_equal(mapped, X)


def test_changes_of_a_mapped_array_in_memory_are_kept(data, tmp_path):
    mapped = on_disk(np.zeros_like(data[0]), tmp_path, "c")
    mapped[:] = data[0]
    assert fit(mapped, data).history_ == fit(data[0], data).history_
    np.testing.assert_array_equal(mapped, data[0])


def test_a_mapped_array_in_partial_fit_and_in_a_path(data, tmp_path):
    X, y, group = data
    mapped = on_disk(X, tmp_path)
    histories, frames = [], []
    for array in (X, mapped):
        clf = make(batch_size=100)
        for part in (slice(700), slice(700, 1500)):
            clf.partial_fit(array[part], y[part], [0, 1], sensitive_features=group[part])
        histories.append(clf.history_)
        path = fairness_path(array, y, group, etas=[1, 5], estimator=make(max_epochs=2))
        frames.append(path.to_frame())
    assert histories[0] == histories[1]
    pd.testing.assert_frame_equal(*frames)


def test_a_data_set_without_spans_trains_the_model_of_the_array(data):
    X = data[0]
    expected = fit(X, data)
    for source in (Plain(X), TensorDataset(torch.tensor(X), torch.zeros(len(X)))):
        clf = fit(source, data)
        assert clf.history_ == expected.history_
        np.testing.assert_array_equal(clf.predict(source), expected.predict(X))


def test_spans_are_read_together_and_all_samples_each_epoch(data, monkeypatch):
    X = data[0]
    monkeypatch.setattr("fairbinn_sklearn._data.sources.SHUFFLE_BUFFER", 3 * 100 * X.shape[1])
    source = Spanned(X, np.arange(0, 1501, 100))
    fit(source, data, eta=0)
    epochs = source.calls[-10:-5], source.calls[-5:]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(1500))
        for pool in epoch:
            assert (np.diff(pool) > 0).all()
            assert len(pool) == 300 == 100 * len(np.unique(pool // 100))
    assert not all(np.array_equal(*pools) for pools in zip(*epochs, strict=True))


def test_samples_keep_their_labels_for_any_spans(data):
    """The first feature determines the label; samples are sorted and spans are uneven."""
    X, _, group = data
    order = np.argsort(X[:, 0])
    X, group = X[order], group[order]
    y = np.where(X[:, 0] > np.median(X[:, 0]), "yes", "no")
    source = Spanned(X, [0, 7, 7, 600, 1100, 1499, 1500])
    params = {"eta": 0, "max_epochs": 8, "lr": 0.01, "early_stopping": True}
    clf = fit_data((source, y, group), **params)
    assert clf.score(source, y) > 0.97
    np.testing.assert_array_equal(clf.predict_proba(source), clf.predict_proba(X))


def test_subsets_of_a_source(data):
    X = data[0]
    source = Source(Spanned(X, np.arange(0, 1501, 100)))
    index = np.sort(np.random.default_rng(0).choice(1500, 40, replace=False))
    part = source.subset(index).subset(np.arange(3, 40, 2))
    np.testing.assert_array_equal(part[:], X[index[3:40:2]])
    np.testing.assert_array_equal(np.concatenate(list(part.in_order())), X[index[3:40:2]])
    assert len(source.thinned(30)) in range(30, 61)
    assert len(source.thinned(10_000)) <= 1500


def test_array_rows(data, tmp_path):
    X = data[0]
    source = ArrayRows(on_disk(X, tmp_path), rows_per_span=128)
    assert len(source) == 1500
    assert source.spans[[0, 1, -1]].tolist() == [0, 128, 1500]
    np.testing.assert_array_equal(source[5], X[5])
    index = [3, 127, 128, 1400]
    np.testing.assert_array_equal(source.__getitems__(index), X[index])
    clf = fit(source, data)
    np.testing.assert_array_equal(clf.predict_proba(source), clf.predict_proba(X))


@pytest.mark.parametrize(
    ("array", "rows_per_span", "message"),
    [
        (np.zeros(3), 5, r"array must have two dimensions or more, got \(3,\)"),
        ([[1.0]], 5, "array must have two dimensions or more, got list"),
        (np.zeros((3, 2)), 0, "rows_per_span must be at least 1, got 0"),
    ],
)
def test_invalid_array_rows(array, rows_per_span, message):
    with pytest.raises(ValueError, match=message):
        ArrayRows(array, rows_per_span)


@pytest.fixture
def parquet(data, tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(data[0].copy(), columns=list("pqrs"))
    frame["flag"] = frame["p"] > 0
    frame["word"] = "x"
    frame[:900].to_parquet(tmp_path / "1.parquet", row_group_size=128)
    frame[900:].to_parquet(tmp_path / "2.parquet", row_group_size=250)
    return tmp_path, frame


def test_parquet_rows(data, parquet):
    folder, frame = parquet
    names = ["p", "q", "r", "s", "flag"]
    source = ParquetRows(folder, names)
    X = frame[names].to_numpy(np.float32)
    assert len(source) == 1500
    assert np.diff(source.spans).tolist() == 7 * [128] + [4, 250, 250, 100]
    np.testing.assert_array_equal(source[-1], X[-1])
    np.testing.assert_array_equal(source.__getitems__([0, 130, 899, 900]), X[[0, 130, 899, 900]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[7], X[7])
    clf = fit(source, data)
    assert list(clf.feature_names_in_) == names
    np.testing.assert_array_equal(clf.predict_proba(source), clf.predict_proba(frame[names]))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(ParquetRows(folder, names[::-1]))
    with pytest.raises(IndexError, match="index must be from 0 to 1499, got 1500"):
        source[1500]


def test_parquet_folder_with_empty_and_other_files(parquet):
    folder, frame = parquet
    frame[:0].to_parquet(folder / "0.parquet")
    frame[:0].to_parquet(folder / "15.parquet")
    (folder / "README.txt").write_text("about the files")
    source = ParquetRows(folder, ["p", "q"])
    X = frame[["p", "q"]].to_numpy(np.float32)
    np.testing.assert_array_equal(source.__getitems__(np.arange(1500)), X)


def test_invalid_parquet_rows(data, parquet, tmp_path_factory):
    folder, frame = parquet
    with pytest.raises(ValueError, match="path must be a file or a folder with .parquet files"):
        ParquetRows(tmp_path_factory.mktemp("empty"), ["p"])
    with pytest.raises(ValueError, match=r"columns must be among .*, got \['z'\]"):
        ParquetRows(folder, ["p", "z"])
    with pytest.raises(ValueError, match="columns must be numbers or booleans, got {'word': "):
        ParquetRows(folder, ["p", "word"])
    frame.loc[1203, "q"] = None
    frame[900:].to_parquet(folder / "2.parquet", row_group_size=250)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit(ParquetRows(folder, ["p", "q"]), data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: np.where(X == X[7, 1], np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X == X[7, 1], 1e300, X.astype(float)), "Input X contains infinity"),
        (lambda X: X[:-1], "inconsistent numbers of samples"),
        (lambda X: X[:, :, None], "X must have two dimensions"),
    ],
    ids=["missing", "large", "shorter", "three dimensions"],
)
@pytest.mark.parametrize("kind", ["mapped", "data set"])
def test_invalid_samples_on_disk_leave_the_fitted_classifier_as_it_was(
    data, fitted, tmp_path, kind, spoil, message
):
    spoiled = spoil(data[0])
    X = on_disk(spoiled, tmp_path) if kind == "mapped" else Plain(spoiled)
    before = vars(fitted).copy()
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, data[1], sensitive_features=data[2])
    assert vars(fitted) == before


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


def test_invalid_data_sets(data, fitted):
    X = data[0]
    with pytest.raises(TypeError, match="got the IterableDataset Stream"):
        fit(Stream(), data)
    with pytest.raises(ValueError, match="must have samples of one dimension or more, got Plain"):
        fit(Plain(X[:, 0]), data)
    with pytest.raises(ValueError, match="X must have at least one sample, got an empty Plain"):
        fitted.predict(Plain(X[:0]))
    with pytest.raises(ValueError, match="X has 2 features, but FairBiNNClassifier is expecting 4"):
        fitted.predict(Plain(X[:, :2]))

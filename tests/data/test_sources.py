"""X on disk: memory-mapped arrays, torch data sets, Parquet."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_data
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn._data.sources import Source
from fairbinn_sklearn.datasets import ArrayRows, ParquetRows

SETTINGS = {"batch_size": 100, "max_epochs": 4, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    X, y, group = make_data(1500)
    for array in (X, y, group):
        array.flags.writeable = False
    return X, y, group


def on_disk(X, folder, mode="r"):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode=mode)


class Plain(Dataset):
    """Rows one by one, as tuples that begin with a row."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return torch.tensor(self.X[index]), "what else there is"


class Spanned(Plain):
    """Rows by lists of numbers, in spans; it writes down what was asked for."""

    def __init__(self, X, spans, names=None):
        super().__init__(X)
        self.spans, self.asked = spans, []
        if names is not None:
            self.feature_names = names

    def __getitems__(self, indices):
        self.asked.append(np.asarray(indices))
        return self.X[indices]


def fit(X, rows, **params):
    _, y, group = rows
    return FairBiNNClassifier(**{**SETTINGS, **params}).fit(X, y, sensitive_features=group)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_array_trains_the_model_of_the_array(rows, tmp_path, dtype, mode, early_stopping):
    X = (10 * rows[0]).astype(dtype)
    mapped = on_disk(X, tmp_path, mode)
    params = {"early_stopping": early_stopping, "fairness_batch_size": 300}
    expected = fit(X, rows, **params)
    clf = fit(mapped, rows, **params)
    assert clf.history_ == expected.history_
    np.testing.assert_array_equal(clf.predict_proba(mapped), expected.predict_proba(X))
    np.testing.assert_array_equal(mapped, X)  # what a mapping had in memory alone is still there


def test_written_but_not_yet_saved_numbers_of_a_private_mapping_are_kept(rows, tmp_path):
    mapped = on_disk(np.zeros_like(rows[0]), tmp_path, "c")
    mapped[:] = rows[0]
    assert fit(mapped, rows).history_ == fit(rows[0], rows).history_
    np.testing.assert_array_equal(mapped, rows[0])


def test_a_mapped_array_in_partial_fit_and_in_a_path(rows, tmp_path):
    X, y, group = rows
    mapped = on_disk(X, tmp_path)
    one, other = (FairBiNNClassifier(**SETTINGS) for _ in range(2))
    for k in range(0, len(y), 500):
        part = slice(k, k + 500)
        one.partial_fit(mapped[part], y[part], [0, 1], sensitive_features=group[part])
        other.partial_fit(X[part], y[part], [0, 1], sensitive_features=group[part])
    assert one.history_ == other.history_
    paths = [
        fairness_path(data, y, group, etas=[1, 5], estimator=FairBiNNClassifier(**SETTINGS))
        for data in (mapped, X)
    ]
    pd.testing.assert_frame_equal(*(path.to_frame() for path in paths))


def test_a_data_set_without_spans_trains_the_model_of_the_array(rows):
    X = rows[0]
    expected = fit(X, rows)
    for data in (Plain(X), TensorDataset(torch.tensor(X), torch.zeros(len(X)))):
        clf = fit(data, rows)
        assert clf.history_ == expected.history_
        np.testing.assert_array_equal(clf.predict(data), expected.predict(X))


def test_spans_are_read_together_and_all_rows_each_epoch(rows, monkeypatch):
    X = rows[0]
    monkeypatch.setattr("fairbinn_sklearn._data.sources.SHUFFLE_BUFFER", 3 * 100 * X.shape[1])
    data = Spanned(X, np.arange(0, 1501, 100))
    fit(data, rows, max_epochs=2, eta=0)
    epochs = data.asked[-10:-5], data.asked[-5:]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(1500))
        for pool in epoch:
            assert (np.diff(pool) > 0).all()
            assert len(pool) == 300 == 100 * len(np.unique(pool // 100))
    assert not all(np.array_equal(*pools) for pools in zip(*epochs, strict=True))


def test_rows_keep_their_labels_whatever_the_spans(rows):
    """A label that the columns give away is learned, also from sorted rows and uneven spans."""
    X, _, group = rows
    order = np.argsort(X[:, 0])
    X, group = X[order], group[order]
    y = np.where(X[:, 0] > np.median(X[:, 0]), "yes", "no")
    data = Spanned(X, [0, 7, 7, 600, 1100, 1499, 1500])
    clf = FairBiNNClassifier(**{**SETTINGS, "eta": 0, "max_epochs": 20, "early_stopping": True})
    assert clf.fit(data, y, sensitive_features=group).score(data, y) > 0.97
    np.testing.assert_array_equal(clf.predict_proba(data), clf.predict_proba(X))


def test_parts_and_samples_of_a_source(rows):
    X = rows[0]
    source = Source(Spanned(X, np.arange(0, 1501, 100)))
    index = np.sort(np.random.default_rng(0).choice(1500, 40, replace=False))
    part = source.subset(index).subset(np.arange(3, 40, 2))
    np.testing.assert_array_equal(part[:], X[index[3:40:2]])
    np.testing.assert_array_equal(np.concatenate(list(part.in_order())), X[index[3:40:2]])
    assert len(source.thinned(30)) in range(30, 61)
    assert len(source.thinned(10_000)) <= 1500


def test_array_rows(rows, tmp_path):
    X = rows[0]
    data = ArrayRows(on_disk(X, tmp_path), rows_per_span=128)
    assert len(data) == 1500
    assert data.spans[[0, 1, -1]].tolist() == [0, 128, 1500]
    np.testing.assert_array_equal(data[5], X[5])
    np.testing.assert_array_equal(data.__getitems__([3, 127, 128, 1400]), X[[3, 127, 128, 1400]])
    clf = fit(data, rows)
    np.testing.assert_array_equal(clf.predict_proba(data), clf.predict_proba(X))
    assert clf.score(data, rows[1]) > 0.7


@pytest.mark.parametrize(
    ("array", "rows_per_span", "message"),
    [
        (np.zeros(3), 5, r"array must have two dimensions or more, got \(3,\)"),
        ([[1.0]], 5, "array must have two dimensions or more, got list"),
        (np.zeros((3, 2)), 0, "rows_per_span must be above 0, got 0"),
    ],
)
def test_array_rows_refuse(array, rows_per_span, message):
    with pytest.raises(ValueError, match=message):
        ArrayRows(array, rows_per_span)


@pytest.fixture
def parquet(rows, tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(rows[0].copy(), columns=list("pqrs"))
    frame["flag"] = frame["p"] > 0
    frame["word"] = "x"
    frame[:900].to_parquet(tmp_path / "1.parquet", row_group_size=128)
    frame[900:].to_parquet(tmp_path / "2.parquet", row_group_size=250)
    return tmp_path, frame


def test_parquet_rows(rows, parquet):
    folder, frame = parquet
    names = ["p", "q", "r", "s", "flag"]
    data = ParquetRows(folder, names)
    wanted = frame[names].to_numpy(np.float32)
    assert len(data) == 1500
    assert np.diff(data.spans).tolist() == 7 * [128] + [4, 250, 250, 100]
    np.testing.assert_array_equal(data[-1], wanted[-1])
    np.testing.assert_array_equal(data.__getitems__([0, 130, 899, 900]), wanted[[0, 130, 899, 900]])
    clf = fit(data, rows)
    assert list(clf.feature_names_in_) == names
    np.testing.assert_array_equal(clf.predict_proba(data), clf.predict_proba(frame[names]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[7], wanted[7])
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(ParquetRows(folder, names[::-1]))
    with pytest.raises(IndexError, match="index must be from 0 to 1499, got 1500"):
        data[1500]


def test_empty_files_and_others_beside_parquet(parquet):
    folder, frame = parquet
    frame[:0].to_parquet(folder / "0.parquet")
    frame[:0].to_parquet(folder / "15.parquet")
    (folder / "README.txt").write_text("what this is")
    data = ParquetRows(folder, ["p", "q"])
    wanted = frame[["p", "q"]].to_numpy(np.float32)
    np.testing.assert_array_equal(data.__getitems__(np.arange(1500)), wanted)


def test_parquet_rows_refuse(parquet, tmp_path_factory):
    folder, _ = parquet
    with pytest.raises(ValueError, match="path must be a file, or a folder with .parquet files"):
        ParquetRows(tmp_path_factory.mktemp("empty"), ["p"])
    with pytest.raises(ValueError, match=r"columns must be among .*, got \['z'\]"):
        ParquetRows(folder, ["p", "z"])
    with pytest.raises(ValueError, match="columns must be numbers or booleans, got {'word': "):
        ParquetRows(folder, ["p", "word"])


def test_missing_values_in_parquet_are_named(rows, parquet):
    folder, frame = parquet
    frame.loc[1203, "q"] = None
    frame[900:].to_parquet(folder / "2.parquet", row_group_size=250)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit(ParquetRows(folder, ["p", "q"]), rows)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: np.where(X == X[7, 1], np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X == X[7, 1], 1e300, X.astype(float)), "Input X contains infinity"),
        (lambda X: X[:-1], "inconsistent numbers of samples"),
        (lambda X: X[:, :, None], "X must have two dimensions"),
    ],
)
@pytest.mark.parametrize("kind", ["mapped", "data set"])
def test_what_is_wrong_on_disk_is_told_and_nothing_lost(rows, tmp_path, kind, spoil, message):
    spoiled = spoil(rows[0])
    data = on_disk(spoiled, tmp_path) if kind == "mapped" else Plain(spoiled)
    clf = fit(rows[0], rows)
    before = vars(clf).copy()
    with pytest.raises(ValueError, match=message):
        clf.fit(data, rows[1], sensitive_features=rows[2])
    assert vars(clf) == before


def test_other_data_sets_are_refused(rows):
    with pytest.raises(TypeError, match="got the IterableDataset Stream"):
        fit(Stream(), rows)
    with pytest.raises(ValueError, match="rows of one dimension or more"):
        fit(Plain(rows[0][:, 0]), rows)
    with pytest.raises(ValueError, match="X must have one row at least, got Plain with none"):
        fit(rows[0], rows).predict(Plain(rows[0][:0]))
    with pytest.raises(ValueError, match="X has 2 features, but FairBiNNClassifier is expecting 4"):
        fit(rows[0], rows).predict(Plain(rows[0][:, :2]))

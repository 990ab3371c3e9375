"""What all loaders have in common."""

import functools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from fairbinn_sklearn.datasets import _adult, _german, load_adult, load_german, load_health

KEYS = {
    "data", "target", "sensitive_features", "frame", "feature_names", "target_names",
    "sensitive_feature_names", "DESCR", "filename",
}  # fmt: skip
BUNDLED = {"adult": _adult, "german": _german}


@pytest.fixture(params=["adult", "german", "health"])
def name(request):
    return request.param


@pytest.fixture
def load(name, health_path):
    """Loader without required arguments."""
    health = functools.partial(load_health, health_path)
    return {"adult": load_adult, "german": load_german, "health": health}[name]


def equal(actual, expected):
    """Return whether DataFrames, Series or arrays are equal: values with NaN, dtypes, labels."""
    if type(actual) is not type(expected):
        return False
    if isinstance(expected, pd.DataFrame):
        return actual.equals(expected) and actual.dtypes.equals(expected.dtypes)
    if isinstance(expected, pd.Series):
        return actual.equals(expected) and actual.name == expected.name
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return False
    return bool(((actual == expected) | ((actual != actual) & (expected != expected))).all())


def test_contents_of_the_bunch(load, name):
    dataset = load()
    assert type(dataset) is Bunch
    assert set(dataset) == KEYS | ({"split"} if name != "german" else set())
    assert dataset.feature_names == list(dataset.data.columns)
    assert dataset.sensitive_feature_names == list(dataset.sensitive_features.columns)
    assert equal(dataset.frame[dataset.feature_names], dataset.data)
    assert equal(dataset.frame[dataset.target.name], dataset.target)
    assert dataset.frame.columns[-1] == dataset.target.name
    assert dataset.target.dtype == np.int64
    assert set(dataset.target) == {0, 1}
    assert Path(dataset.filename).is_file()
    assert dataset.DESCR.startswith(f".. _{name}_dataset:")


def test_arrays_equal_the_frames(load, name):
    frames, arrays = load(), load(as_frame=False)
    data = frames.data
    if name == "health":
        data = data.assign(age=data["age"].cat.codes, sex=data["sex"].cat.codes).astype(float)
    assert equal(arrays.data, data.to_numpy())
    assert equal(arrays.target, frames.target.to_numpy())
    assert equal(arrays.sensitive_features, frames.sensitive_features.to_numpy(object))
    assert arrays.frame is None
    for column in arrays.data.T if name != "health" else ():
        assert set(map(type, column)) in ({int}, {str}, {str, float})  # float: NaN
    if name != "german":
        assert arrays.split.dtype.kind == "U"
        assert arrays.split.tolist() == frames.split.tolist()


@pytest.mark.parametrize("as_frame", [True, False])
def test_data_and_target_alone(load, as_frame):
    result = load(as_frame=as_frame, return_X_y=True)
    dataset = load(as_frame=as_frame)
    assert type(result) is tuple
    for part, expected in zip(result, (dataset.data, dataset.target), strict=True):
        assert equal(part, expected)


@pytest.mark.parametrize("name", ["adult", "health"], indirect=True)
@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("subset", ["train", "test"])
def test_subset_selects_the_samples_of_the_split(load, subset, as_frame):
    part, whole = load(subset=subset, as_frame=as_frame), load(as_frame=as_frame)
    selected = np.asarray(whole.split) == subset
    assert 0 < selected.sum() < len(selected)
    for key in ("data", "target", "sensitive_features", "split"):
        assert equal(part[key], whole[key][selected])
    if as_frame:
        assert equal(part.frame, whole.frame[selected])


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("form", [str, list, tuple])
def test_sensitive_features_in_the_requested_order(load, form, as_frame):
    names = ["age"] if form is str else ["sex", "age"]
    dataset = load(sensitive_features="age" if form is str else form(names), as_frame=as_frame)
    assert dataset.sensitive_feature_names == names
    expected = load(sensitive_features=["age", "sex"]).sensitive_features[names]
    assert equal(dataset.sensitive_features, expected if as_frame else expected.to_numpy(object))
    assert equal(dataset.data, load(as_frame=as_frame).data)


@pytest.mark.parametrize("as_frame", [True, False])
def test_parts_share_no_memory(load, as_frame):
    expected = load(as_frame=as_frame)
    keys = {"data", "target", "sensitive_features", "split"} & set(expected)
    for changed in keys | ({"frame"} if as_frame else set()):
        dataset = load(as_frame=as_frame)
        part = dataset[changed]
        if isinstance(part, pd.DataFrame):
            part.iloc[:, 0] = part.iloc[0, 0]
        elif isinstance(part, pd.Series):
            part.iloc[:] = part.iloc[0]
        else:
            part[:] = part[0]
        assert not equal(part, expected[changed])
        for key in keys - {changed}:
            assert equal(dataset[key], expected[key])


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("as_frame", "yes"), ("as_frame", 1), ("return_X_y", None), ("sensitive_features", None),
        ("sensitive_features", {"age"}), ("sensitive_features", 9),
    ],
)  # fmt: skip
def test_parameter_of_wrong_type(load, name, parameter, value):
    expected = f"The '{parameter}' parameter of load_{name} must be .* Got {value!r} instead"
    with pytest.raises(TypeError, match=expected):
        load(**{parameter: value})


@pytest.mark.parametrize("name", ["adult", "health"], indirect=True)
@pytest.mark.parametrize("value", ["Train", None, ["train"]])
def test_unknown_subset(load, value):
    expected = rf"'subset' parameter of load_.* must be a str among .* Got {re.escape(repr(value))}"
    with pytest.raises(ValueError, match=expected):
        load(subset=value)


@pytest.mark.parametrize(
    "value", ["gender", "income", ["age", "gender"], ["sex", 9], [], ["sex", "sex"]]
)
def test_wrong_sensitive_features(load, value):
    expected = r"`sensitive_features` must be .* names of \[.*'age'.*\], got "
    with pytest.raises(ValueError, match=expected + re.escape(repr(value))):
        load(sensitive_features=value)


@pytest.mark.parametrize("name", BUNDLED, indirect=True)
def test_missing_and_damaged_files(load, name, tmp_path, monkeypatch):
    content = BUNDLED[name].DATA_FILE.read_bytes()
    path = tmp_path / "data.csv.xz"
    monkeypatch.setattr(BUNDLED[name], "DATA_FILE", path)
    with pytest.raises(FileNotFoundError, match=rf"{re.escape(str(path))} is missing.*reinstall"):
        load()
    for damaged in (b"", content[:-1], content[:99] + b"?" + content[100:]):
        path.write_bytes(damaged)
        with pytest.raises(OSError, match=rf"{re.escape(str(path))} is damaged.*reinstall"):
            load()


def test_bundled_files_are_small():
    assert len(_adult.DATA_FILE.read_bytes()) <= 450_000
    assert len(_german.DATA_FILE.read_bytes()) <= 15_000


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("adult", ["Barry Becker and Ronny Kohavi (1996)", "https://doi.org/10.24432/C5XW20"]),
        ("german", ["Hans Hofmann (1994)", "https://doi.org/10.24432/C5NC77", "as good costs 5"]),
    ],
    indirect=["name"],
)
def test_description_states_source_licence_and_changes(load, facts):
    description = " ".join(load().DESCR.split())
    licence = "(CC BY 4.0), https://creativecommons.org/licenses/by/4.0/"
    for expected in [*facts, licence, "**Changes made to the original file", "**Known limits**"]:
        assert expected in description

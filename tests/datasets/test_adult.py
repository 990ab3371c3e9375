"""Facts about the UCI Adult data set."""

import hashlib
import re

import numpy as np
import pytest

from fairbinn_sklearn.datasets import load_adult

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
# Numbers of samples and of positive samples.
COUNTS = {
    ("train", False): (32_561, 7_841), ("train", True): (30_162, 7_508),
    ("test", False): (16_281, 3_846), ("test", True): (15_060, 3_700),
    ("all", False): (48_842, 11_687), ("all", True): (45_222, 11_208),
}  # fmt: skip
ORIGINAL_MD5 = {
    "adult.data": "5d7c39d7b8804f071cdd1f2a7c460872",
    "adult.test": "35238206dfdf7f1fe215bbb874adecdc",
}


@pytest.mark.parametrize("name", ORIGINAL_MD5)
def test_samples_equal_those_of_the_original_file(original_folder, name):
    # The md5 of the rebuilt file covers every value of every sample, and their order.
    content = (original_folder / name).read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == ORIGINAL_MD5[name]


@pytest.mark.parametrize(("subset", "dropna"), COUNTS)
def test_counts_and_dtypes(adult, subset, dropna):
    X, y = load_adult(subset=subset, dropna=dropna, return_X_y=True)
    assert (X.shape, y.shape) == ((len(y), 14), (len(X),))
    assert (len(y), y.sum()) == COUNTS[subset, dropna]
    # All categories stay: "Holand-Netherlands" has no test sample, "Never-worked" no complete one.
    assert X.dtypes.equals(adult.data.dtypes)


def test_dropna_keeps_the_complete_samples(adult):
    complete = load_adult(dropna=np.True_)
    rows = adult.data.notna().all(axis="columns")
    for key in ("data", "sensitive_features", "frame", "target", "split"):
        assert complete[key].equals(adult[key][rows])


def test_facts_in_the_notes(adult):
    data = adult.data
    n_missing = data.isna().sum()
    assert n_missing[n_missing > 0].to_dict() == {
        "workclass": 2_799, "occupation": 2_809, "native-country": 857,
    }  # fmt: skip
    assert data.isna().any(axis="columns").sum() == 3_620
    assert data["capital-gain"].max() == 99_999
    assert (data["capital-gain"] == 99_999).sum() == 244
    assert adult.frame.duplicated().sum() == 52
    assert len(data[["education", "education-num"]].drop_duplicates()) == 16
    never_worked = data["workclass"] == "Never-worked"
    assert never_worked.sum() == 10
    assert (data["occupation"].isna() == (data["workclass"].isna() | never_worked)).all()


def test_columns_and_categories(adult):
    assert adult.feature_names == FEATURES
    assert adult.target_names == ["<=50K", ">50K"]
    assert adult.target.name == "income"
    assert adult.sensitive_feature_names == ["sex", "race"]
    assert adult.sensitive_features.equals(adult.data[["sex", "race"]])
    assert list(adult.data.select_dtypes("int64")) == NUMERIC
    for name, n_categories in N_CATEGORIES.items():
        column = adult.data[name].cat
        assert len(column.categories) == n_categories
        assert list(column.categories) == sorted(column.categories)
        assert not column.ordered


def test_split_and_index(adult):
    assert adult.split.tolist() == ["train"] * 32_561 + ["test"] * 16_281
    assert adult.data.index.tolist() == list(range(48_842))


def test_first_sample():
    assert load_adult(as_frame=False).data[0].tolist() == [
        39, "State-gov", 77_516, "Bachelors", 13, "Never-married", "Adm-clerical",
        "Not-in-family", "White", "Male", 2_174, 0, 40, "United-States",
    ]  # fmt: skip


def test_rates_in_the_description(adult):
    groups = {"All": adult.target}
    groups |= {split.capitalize(): y for split, y in adult.target.groupby(adult.split)}
    for name in ("sex", "race"):
        groups |= dict(iter(adult.target.groupby(adult.data[name], observed=True)))
    assert len(groups) == 10
    for name, target in groups.items():
        line = rf"^{name} +{len(target)} +{target.sum()} +{target.mean():.6f}$"
        assert re.search(line, adult.DESCR, flags=re.MULTILINE), name

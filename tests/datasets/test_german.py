"""Facts about the German credit data set."""

import hashlib
import re

import numpy as np
import pandas as pd
import pytest

from fairbinn_sklearn.datasets import load_german

# Number of samples in each category, or minimum and maximum.
VALUES = {
    "checking_account": {
        "< 0 DM": 274, "0 to < 200 DM": 269, ">= 200 DM / salary for at least 1 year": 63,
        "no checking account": 394,
    },
    "duration": (4, 72),
    "credit_history": {
        "no credits / all paid back duly": 40, "all credits at this bank paid back duly": 49,
        "existing credits paid back duly till now": 530, "delay in paying off in the past": 88,
        "critical account / other credits existing": 293,
    },
    "purpose": {
        "car (new)": 234, "car (used)": 103, "furniture/equipment": 181, "radio/television": 280,
        "domestic appliances": 12, "repairs": 22, "education": 50, "retraining": 9, "business": 97,
        "others": 12,
    },
    "credit_amount": (250, 18_424),
    "savings": {
        "< 100 DM": 603, "100 to < 500 DM": 103, "500 to < 1000 DM": 63, ">= 1000 DM": 48,
        "unknown / no savings account": 183,
    },
    "employment": {
        "unemployed": 62, "< 1 year": 172, "1 to < 4 years": 339, "4 to < 7 years": 174,
        ">= 7 years": 253,
    },
    "installment_rate": (1, 4),
    "personal_status_sex": {
        "male: divorced/separated": 50, "female: divorced/separated/married": 310,
        "male: single": 548, "male: married/widowed": 92,
    },
    "other_debtors": {"none": 907, "co-applicant": 41, "guarantor": 52},
    "residence_since": (1, 4),
    "property": {
        "real estate": 282, "building society savings agreement / life insurance": 232,
        "car or other": 332, "unknown / no property": 154,
    },
    "age": (19, 75),
    "other_installment_plans": {"bank": 139, "stores": 47, "none": 814},
    "housing": {"rent": 179, "own": 713, "for free": 108},
    "existing_credits": (1, 4),
    "job": {
        "unemployed / unskilled, non-resident": 22, "unskilled, resident": 200,
        "skilled employee / official": 630,
        "management / self-employed / highly qualified employee / officer": 148,
    },
    "dependents": (1, 2),
    "telephone": {"none": 596, "yes": 404},
    "foreign_worker": {"yes": 963, "no": 37},
}  # fmt: skip
NUMERIC = [name for name, values in VALUES.items() if isinstance(values, tuple)]
ORIGINAL_MD5 = "6b94c2e35480e671545e52a808a8a549"


def test_samples_equal_those_of_the_original_file(original_folder):
    # The md5 of the rebuilt file covers every value of every sample, and their order.
    content = (original_folder / "german.data").read_bytes()
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == ORIGINAL_MD5


@pytest.mark.parametrize("name", VALUES)
def test_values(german, name):
    column = german.data[name]
    if name in NUMERIC:
        assert column.dtype == np.int64
        assert (column.min(), column.max()) == VALUES[name]
    else:
        assert column.dtype.ordered == (name in ("employment", "job"))
        assert list(column.cat.categories) == list(VALUES[name])
        assert column.value_counts().to_dict() == VALUES[name]


def test_rates_in_the_description(german):
    target, young = german.target, german.data["age"] <= 25
    groups = {"All": target, "at most 25 years": target[young], "above 25 years": target[~young]}
    for column in (german.sensitive_features["sex"], german.data["personal_status_sex"]):
        groups |= dict(iter(target.groupby(column, observed=True)))
    assert len(groups) == 9
    for name, y in groups.items():
        line = rf"^{name} +{len(y)} +{y.sum()} +{y.mean():.6f}$"
        assert re.search(line, german.DESCR, flags=re.MULTILINE), name


def test_facts_in_the_notes(german):
    assert german.data.shape == (1_000, 20)
    assert not german.data.isna().any(axis=None)
    assert not german.data.duplicated().any()
    assert german.data["age"].nunique() == 53


def test_columns(german):
    assert german.feature_names == list(VALUES)
    assert german.target_names == ["bad", "good"]
    assert german.target.name == "credit_risk"
    assert german.data.index.equals(pd.RangeIndex(1_000))


def test_sex_is_derived(german):
    assert german.sensitive_feature_names == ["sex", "age"]
    sex = german.sensitive_features["sex"]
    assert sex.dtype == pd.CategoricalDtype(["Female", "Male"])
    female = german.data["personal_status_sex"] == "female: divorced/separated/married"
    assert ((sex == "Female") == female).all()
    assert german.sensitive_features["age"].equals(german.data["age"])
    assert "sex" not in german.data


def test_first_sample():
    arrays = load_german(as_frame=False)
    assert arrays.data[0].tolist() == [
        "< 0 DM", 6, "critical account / other credits existing", "radio/television", 1_169,
        "unknown / no savings account", ">= 7 years", 4, "male: single", "none", 4, "real estate",
        67, "none", "own", 2, "skilled employee / official", 1, "yes", "yes",
    ]  # fmt: skip
    assert arrays.sensitive_features[0].tolist() == ["Male", 67]

"""The data sets, which tests must not change, and files of made-up and original data."""

import numpy as np
import pandas as pd
import pytest

from fairbinn_sklearn.datasets import _german, load_adult, load_german, load_health

HEALTH_NUMERIC = [
    "ClaimsTruncated", "no_Claims", "no_Providers", "no_Vendors", "no_PCPs", "no_PlaceSvcs",
    "no_Specialities", "no_PrimaryConditionGroups", "no_ProcedureGroups", "PayDelay_max",
    "PayDelay_min", "PayDelay_ave", "PayDelay_stdev", "LOS_max", "LOS_min", "LOS_ave", "LOS_stdev",
    "LOS_TOT_UNKNOWN", "LOS_TOT_SUPRESSED", "LOS_TOT_KNOWN", "dsfs_max", "dsfs_min", "dsfs_range",
    "dsfs_ave", "dsfs_stdev",
    *[f"pcg{i}" for i in range(1, 47)], *[f"sp{i}" for i in range(1, 14)],
    *[f"pg{i}" for i in range(1, 19)], *[f"ps{i}" for i in range(1, 10)],
    "drugCount_max", "drugCount_min", "drugCount_ave", "drugcount_months", "labCount_max",
    "labCount_min", "labCount_ave", "labcount_months", "labNull", "drugNull",
]  # fmt: skip


@pytest.fixture(scope="session")
def health_table():
    """Made-up samples in the format of the Heritage Health file, with all its columns."""
    rng = np.random.default_rng(0)
    n_samples = 400
    age, sex = rng.integers(-1, 9, n_samples), rng.integers(-1, 2, n_samples)  # -1: unknown
    charlson = 2 * rng.binomial(3, 0.1 + 0.05 * (age + 1))
    numeric = {
        name: rng.normal(size=n_samples).round(3)
        if name.endswith(("ave", "stdev"))
        else rng.poisson(3, n_samples)
        for name in HEALTH_NUMERIC
    }
    return pd.DataFrame(
        {
            "MemberID_t": rng.permutation(n_samples) + 1,
            "YEAR_t": rng.choice(["Y1", "Y2", "Y3"], n_samples, p=[0.1, 0.1, 0.8]),
            "DaysInHospital": rng.poisson(1, n_samples),
            "trainset": rng.integers(2, size=n_samples),
            **{f"age_{code}5": (age == code).astype(int) for code in range(9)},
            "age_MISS": (age == -1).astype(int),
            "sexMALE": (sex == 0).astype(int),
            "sexFEMALE": (sex == 1).astype(int),
            "sexMISS": (sex == -1).astype(int),
            "CharlsonIndexI_max": charlson,
            **{f"CharlsonIndexI_{name}": charlson for name in ("min", "ave", "range", "stdev")},
            **numeric,
            "Charlson>0": (charlson > 0).astype(int),
        }
    )


@pytest.fixture(scope="session")
def health_path(health_table, tmp_path_factory):
    path = tmp_path_factory.mktemp("health") / "health.csv"
    health_table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def health(health_path):
    return load_health(health_path)


@pytest.fixture(scope="session")
def adult():
    return load_adult()


@pytest.fixture(scope="session")
def german():
    return load_german()


@pytest.fixture(scope="session")
def original_folder(adult, german, tmp_path_factory):
    """Folder of the original files, rebuilt from the results of the loaders."""
    folder = tmp_path_factory.mktemp("original")
    table = adult.data.astype(object).where(adult.data.notna(), "?")
    table["label"] = np.where(adult.target == 1, ">50K", "<=50K")
    lines = np.array([", ".join(map(str, row)) for row in table.to_numpy()])
    train, test = (lines[adult.split == split] for split in ("train", "test"))
    (folder / "adult.data").write_text("\n".join(train) + "\n\n")
    (folder / "adult.test").write_text("|1x3 Cross validator\n" + ".\n".join(test) + ".\n\n")

    table = german.data.astype(object)
    for name, meanings in _german.CODES.items():
        table[name] = table[name].map({meaning: code for code, meaning in meanings.items()})
    table["label"] = 2 - german.target
    lines = [" ".join(map(str, row)) + "\n" for row in table.to_numpy()]
    (folder / "german.data").write_text("".join(lines))
    return folder

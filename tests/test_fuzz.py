"""Random inputs of all kinds lead to a valid model, or to an error that names the parameter.

The environment variable FAIRBINN_FUZZ sets the number of cases of each test, half of it for paths.
"""

import os
import re
import traceback
import warnings

import numpy as np
import pandas as pd
import scipy.sparse as sp
from conftest import make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.preprocessing import PiecewiseLinearEncoder, tabular_preprocessor

DEFAULT_CASES = 80
N_CASES = int(os.environ.get("FAIRBINN_FUZZ", DEFAULT_CASES))
NAMES = [
    *("X", "y", "sensitive_features", "sample_weight", "partial_fit"),
    *FairBiNNClassifier().get_params(),
    *PiecewiseLinearEncoder().get_params(),
]


def spoil(draw, X):
    """Return X, sometimes with one value that is missing, infinite or extreme."""
    value = draw(st.sampled_from([None] * 6 + [np.nan, np.inf, -np.inf, 1e300, 1e30, -1e-300]))
    if value is not None and X.size:
        X = X.astype(float)
        X.flat[draw(st.integers(0, X.size - 1))] = value
    return X


@st.composite
def features(draw, rng, n_samples):
    n_columns = draw(st.sampled_from([0, 1, 2, 4, 4, 4, 40]))
    X = rng.normal(size=(n_samples, n_columns)) * draw(st.sampled_from([1, 1, 1, 0, 1e-8, 1e6]))
    if n_columns and draw(st.booleans()):
        X[:, -1] = X[:, 0]
    kind = draw(
        st.sampled_from(
            ["plain"] * 8
            + "float32 int bool object text words dates complex frame nullable categories".split()
            + "csr csc list row cube Fortran half sparse_frame".split()
        )
    )
    if kind in ("plain", "frame", "csr", "list", "object"):
        X = spoil(draw, X)
    if kind in ("float32", "half"):
        with np.errstate(over="ignore"):
            return X.astype({"float32": np.float32, "half": np.float16}[kind])
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(n_columns)])
    whole = np.nan_to_num(X).clip(-100, 100).astype(int)
    forms = {
        "int": lambda: whole,
        "bool": lambda: X > 0,
        "object": lambda: X.astype(object),
        "text": lambda: X.astype(str),
        "words": lambda: np.where(X > 0, "große", "kleine"),
        "dates": lambda: whole.astype("datetime64[s]"),
        "complex": lambda: X + 1j,
        "frame": lambda: frame,
        "nullable": lambda: pd.DataFrame(whole).astype("Int64").mask(pd.DataFrame(whole) > 50),
        "categories": lambda: pd.DataFrame(np.where(X > 0, "a", "b")).astype("category"),
        "csr": lambda: sp.csr_array(X),
        "csc": lambda: sp.csc_matrix(np.nan_to_num(X)),
        "list": lambda: X.tolist(),
        "row": lambda: X[:, 0] if n_columns else X,
        "cube": lambda: X[:, :, None],
        "Fortran": lambda: np.asfortranarray(X),
        "sparse_frame": lambda: pd.DataFrame(whole).astype(pd.SparseDtype(int, 0)),
    }
    return forms.get(kind, lambda: X)()


@st.composite
def labels(draw, rng, n_samples):
    codes = rng.integers(draw(st.sampled_from([1, 2, 2, 2, 2, 3, 12])), size=n_samples)
    kind = draw(
        st.sampled_from(
            ["plain"] * 8
            + "text bool float object missing none nan real column series categories dates".split()
            + "nullable mixed mixed_object long 2d indicator numeric_text unicode negative".split()
        )
    )
    names = np.array(["nein", "ja", "vielleicht", *"abcdefghijk"])
    forms = {
        "text": lambda: names[codes],
        "bool": lambda: codes > 0,
        "float": lambda: codes.astype(float),
        "object": lambda: names[codes].astype(object),
        "missing": lambda: pd.Series(codes).astype("Int64").where(codes > 0),
        "none": lambda: [None if c else "yes" for c in codes],
        "nan": lambda: np.where(codes, codes, np.nan),
        "real": lambda: rng.normal(size=n_samples),
        "column": lambda: codes[:, None],
        "series": lambda: pd.Series(names[codes], index=np.arange(n_samples)[::-1]),
        "categories": lambda: pd.Series(names[codes]).astype("category"),
        "dates": lambda: codes.astype("datetime64[D]"),
        "nullable": lambda: pd.Series(codes > 0).astype("boolean"),
        "mixed": lambda: [c if c else "none" for c in codes.tolist()],
        "mixed_object": lambda: np.array([c if c else "none" for c in codes.tolist()], object),
        "long": lambda: np.append(codes, codes[:1]),
        "2d": lambda: np.stack([codes, codes], 1),
        "indicator": lambda: np.eye(12, dtype=int)[codes],
        "numeric_text": lambda: codes.astype(str),
        "unicode": lambda: np.array(["日本", "Ελλάδα", "🙂"] * 4)[codes],
        "negative": lambda: -codes,
    }
    return forms.get(kind, lambda: codes)()


@st.composite
def groups(draw, rng, n_samples):
    n_groups = draw(st.sampled_from([1, 2, 2, 2, 3, 7, 500]))
    codes = rng.integers(n_groups, size=n_samples)
    kind = draw(
        st.sampled_from(
            ["plain"] * 6
            + "absent text unicode float real none nan frame dict categories dates bool".split()
            + "mixed tuples long 2d sparse numeric_text nullable interval huge nested".split()
        )
    )
    forms = {
        "absent": lambda: None,
        "text": lambda: np.char.add("group ", codes.astype(str)),
        "unicode": lambda: np.array(["é", "e\u0301", "\x00", "🙂"] * 125)[codes],
        "float": lambda: codes / 7,
        "real": lambda: rng.normal(size=n_samples) * 10.0 ** rng.integers(-300, 300, n_samples),
        "none": lambda: [None if c == 1 else "a" for c in codes],
        "nan": lambda: np.where(codes == 1, np.nan, codes),
        "frame": lambda: pd.DataFrame({"a": codes % 2, "b": rng.normal(size=n_samples)}),
        "dict": lambda: {"a": codes, "sex": codes % 2 == 0},
        "categories": lambda: pd.Series(codes).astype("category"),
        "dates": lambda: pd.Series(codes.astype("datetime64[D]")),
        "bool": lambda: codes % 2 == 0,
        "mixed": lambda: [c if c % 2 else str(c) for c in codes.tolist()],
        "tuples": lambda: pd.Series([(c, "x") for c in codes.tolist()]),
        "long": lambda: np.append(codes, codes[:1]),
        "2d": lambda: np.stack([codes, codes % 2], 1),
        "sparse": lambda: sp.csr_array(codes[:, None]),
        "numeric_text": lambda: codes.astype(str),
        "nullable": lambda: pd.Series(codes).astype("Int64"),
        "interval": lambda: pd.Series(pd.cut(codes, [-1, 1, 600])),
        "huge": lambda: codes.astype(float) * 1e300,
        "nested": lambda: [[c] for c in codes.tolist()],
    }
    return forms.get(kind, lambda: codes)()


@st.composite
def sample_weights(draw, rng, n_samples):
    kind = draw(st.sampled_from(["none"] * 9 + "ones some zeros one below nan huge long".split()))
    random = rng.random(n_samples)
    forms = {
        "ones": lambda: np.ones(n_samples),
        "some": lambda: np.where(random > 0.5, random, 0),
        "zeros": lambda: np.zeros(n_samples),
        "one": lambda: np.eye(n_samples)[0] if n_samples else random,
        "below": lambda: random - 0.5,
        "nan": lambda: np.where(random > 0.5, random, np.nan),
        "huge": lambda: random * 1e300,
        "long": lambda: np.ones(n_samples + 1),
    }
    return forms.get(kind, lambda: None)()


def choices(**values):
    return st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in values.items()})


parameters = choices(
    eta=[0, 1, 10, 1e3, 1e30],
    constraint=["equal_opportunity", "equalized_odds", "false_positive_rate_parity"],
    method=["alternating", "unrolled", "lagrangian"],
    equalize=["scores", "both"],
    combine=["separate"],
    rate_window=[0, 1, 50],
    batch_size=[1, 2, 7, 1000],
    early_stopping=[True],
    class_weight=["balanced", {0: 1.0, 1: 3.0}],
    lr=[1e-8, 1.0, 1e10],
    fairness_lr=[1.0, 1e10],
    fairness_max_step=[1e-10, 1e10],
    optimizer=["sgd", "rmsprop"],
    fairness_optimizer=["adam"],
    hidden_layer_sizes=[(), (1,), (3, 2)],
    fairness_position=[0, 5],
    activation=["tanh", "identity"],
    n_unroll_steps=[1, 3],
    fairness_target=[0.05, 1e-9],
)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_samples = draw(st.sampled_from([0, 1, 2, 3, 10, 30, 30, 30, 30, 60]))
    params = draw(parameters)
    if "fairness_target" in params and draw(st.booleans()):
        params.pop("eta", None)
    return (
        draw(features(rng, n_samples)),
        draw(labels(rng, n_samples)),
        draw(groups(rng, n_samples)),
        draw(sample_weights(rng, n_samples)),
        params,
    )


def is_clear(error):
    """Return whether an error is of scikit-learn's checks, or names a parameter."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if f"{os.sep}sklearn{os.sep}" in files[-1]:
        return True
    if any(file.endswith(os.path.join("sklearn", "utils", "validation.py")) for file in files):
        return True
    is_own = f"{os.sep}fairbinn_sklearn{os.sep}" in files[-1]
    return is_own and any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in NAMES)


fuzzed = settings(
    max_examples=N_CASES,
    deadline=None,
    derandomize=N_CASES == DEFAULT_CASES,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def attempt(work):
    """Return whether a function raised no error. Fail if it raised an error that is not clear."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)  # y as a column
        warnings.filterwarnings("ignore", "sensitive_features|.*number of unique classes")
        warnings.filterwarnings("ignore", "All categories of the columns")
        try:
            work()
        except (ValueError, TypeError) as error:
            assert is_clear(error), f"{type(error).__name__}: {error}"
            return False
    return True


def classifier(params):
    return make(**{"hidden_layer_sizes": (4,), "max_epochs": 2, **params})


def check_predictions(clf, X, n_samples):
    try:
        scores = clf.predict_proba(X)
    except ValueError as error:
        assert "overflows" in str(error)
        return
    assert scores.shape == (n_samples, len(clf.classes_))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores.sum(1), 1)
    assert np.isin(clf.predict(X), clf.classes_).all()
    assert all(np.isfinite(record["loss"]) for record in clf.history_)


@fuzzed
@given(cases())
def test_fit(case):
    X, y, sensitive, weight, params = case
    clf = classifier(params)
    if attempt(lambda: clf.fit(X, y, sensitive_features=sensitive, sample_weight=weight)):
        check_predictions(clf, X, len(np.asarray(y)))
    else:
        assert not hasattr(clf, "net_")


@fuzzed
@given(cases())
def test_partial_fit(case):
    X, y, sensitive, weight, params = case
    clf = classifier(params)

    def twice():
        for _ in range(2):
            clf.partial_fit(X, y, sensitive_features=sensitive, sample_weight=weight)

    if attempt(twice):
        check_predictions(clf, X, len(np.asarray(y)))


@settings(fuzzed, max_examples=-(-N_CASES // 2))
@given(cases(), st.sampled_from([[0, 1], [0.5], [1e30, 1]]))
def test_fairness_path(case, etas):
    X, y, sensitive, weight, params = case
    estimator = classifier({k: v for k, v in params.items() if k not in ("eta", "fairness_target")})
    results = []

    def fit():
        results.append(
            fairness_path(X, y, sensitive, etas=etas, estimator=estimator, sample_weight=weight)
        )

    if attempt(fit):
        for clf in results[0].estimators:
            check_predictions(clf, X, len(np.asarray(y)))


@fuzzed
@given(
    cases(),
    st.sampled_from(["quantile", "target", "uniform"]),
    st.sampled_from(["error", "median"]),
    st.sampled_from([1, 2, 8, 300]),
)
def test_piecewise_linear_encoder(case, strategy, handle_missing, n_bins):
    X, y, *_ = case
    encoder = PiecewiseLinearEncoder(n_bins, strategy=strategy, handle_missing=handle_missing)
    results = []
    if attempt(lambda: results.append(encoder.fit(X, y).transform(X))):
        assert np.isfinite(results[0]).all()
        assert results[0].shape[1] == len(encoder.get_feature_names_out())


@fuzzed
@given(cases(), st.sampled_from([1, 10, 0.1]))
def test_tabular_preprocessor(case, min_frequency):
    X, _, sensitive, *_ = case
    try:
        frame = pd.DataFrame(X)
        frame = frame.assign(sensitive=sensitive)
    except (ValueError, TypeError):
        return
    preprocessor, results = tabular_preprocessor(min_frequency=min_frequency), []
    if attempt(lambda: results.append(preprocessor.fit(frame).transform(frame))):
        assert np.isfinite(results[0]).all()

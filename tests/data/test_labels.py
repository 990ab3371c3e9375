"""Labels, class weights and the validation split."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import difference, fit, make, same_model, score_difference
from sklearn.metrics import log_loss

from fairbinn_sklearn._data import labels as labels_file
from fairbinn_sklearn._data.batches import Samples
from fairbinn_sklearn._data.labels import (
    encode_labels,
    label_codes,
    plain_labels,
    plain_weights,
    sample_weights,
    split_validation,
)


@pytest.fixture(scope="module")
def one_epoch(biased):
    return fit(biased, max_epochs=1)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([False, True]),
        np.array(["no", "yes"]),
        np.array([-1, 1]),
        np.array([2.0, 7.0]),
        np.array(["", "日本"]),
        np.array([3, 5], dtype=object),
        np.array([False, True], dtype=object),
        pd.array([False, True], dtype="boolean"),
        pd.array([3, 5], dtype="Int64"),
        pd.array(["no", "yes"], dtype="string"),
        pd.Categorical(["no", "yes"]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_of_any_type_are_classes_of_their_type(biased, one_epoch, labels):
    X, y, group = biased
    types = [type(label) for label in np.array(list(labels)).tolist()]
    for form in (lambda values: values, list, pd.Series):
        clf = make(max_epochs=1).fit(X, form(labels[y]), sensitive_features=group)
        assert clf.classes_.tolist() == list(labels)
        assert [type(label) for label in clf.classes_.tolist()] == types
        assert same_model(clf, one_epoch, X)


@pytest.mark.parametrize(
    "y, message",
    [
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: np.zeros_like(y), r"y must have two classes or more, got one class only: \[0\]"),
        (lambda y: y + 0.5 * (np.arange(len(y)) % 7), "continuous"),
        (lambda y: np.column_stack([y, y]), r"y must have one dimension, got the shape \(600, 2\)"),
        (lambda y: np.where(y == 1, np.nan, 0.0), "y must not have missing values, got "),
        (lambda y: np.where(y == 1, np.inf, 0.0), "Input y contains infinity"),
        (lambda y: None, "requires y"),
        (lambda y: np.array([None, "a"], object)[y], "y must not have missing values, got "),
        (lambda y: pd.array(["a", None], dtype="string")[y], "y must not have missing values"),
        (lambda y: pd.array([1, None], dtype="Int64")[y], "y must not have missing values"),
        (lambda y: np.array([1, "a"], object)[y], "labels of one type.*got mixed-integer"),
    ],
)
def test_labels_that_are_no_classes_raise(biased, y, message):
    X, labels, group = biased
    with pytest.raises(ValueError, match=message):
        fit((X, y(labels), group))


DAY = pd.Timestamp("2020-01-01")
OTHER_LABELS = {
    "decimal": [Decimal(1), Decimal(2)],
    "date": [DAY.date(), (DAY + pd.Timedelta(1, "D")).date()],
    "datetime": [DAY, DAY + pd.Timedelta(1, "D")],
    "timedelta": [pd.Timedelta(1, "D"), pd.Timedelta(2, "D")],
    "period": [pd.Period("2020-01", "M"), pd.Period("2020-02", "M")],
    "interval": [pd.Interval(0, 1), pd.Interval(1, 2)],
    "bytes": [b"a", b"b"],
    "mixed-integer": [1, "a"],
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("kind", OTHER_LABELS)
def test_labels_of_other_types_are_refused(kind):
    values = OTHER_LABELS[kind]
    for form in (list, pd.Series, lambda v: pd.DataFrame({"y": v}), pd.Index):
        with pytest.raises(ValueError, match=f"^y must have labels of one type, .* got {kind}"):
            plain_labels(form(values))


@pytest.mark.parametrize("unit", ["D", "ns"])
def test_times_of_numpy_are_no_labels(unit):
    with pytest.raises(ValueError, match="^y must have labels of one type, .* got datetime"):
        plain_labels(np.array(["2020-01-01", "2020-01-02"], dtype=f"datetime64[{unit}]"))


@pytest.mark.parametrize(
    "labels",
    [["a", np.nan], ["a", None], [1, pd.NA], np.ma.array([1, 2], mask=[0, 1]), [True, pd.NaT]],
    ids=str,
)
def test_missing_values_of_a_list_or_mask_are_no_class(labels):
    with pytest.raises(ValueError, match="^y must not have missing values, got 1"):
        plain_labels(labels)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 2.5], np.array([1.0, 2.5])),
        ([True, False], np.array([True, False])),
        (["a", "b"], np.array(["a", "b"], dtype=object)),
        (np.array([[1], [2]]), np.array([1, 2])),
        (pd.Categorical([2, 1]), np.array([2, 1])),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_plain_labels(labels, expected):
    plain = plain_labels(labels)
    assert plain.dtype == expected.dtype
    np.testing.assert_array_equal(plain, expected)


def test_missing_labels_are_counted():
    with pytest.raises(ValueError, match="y must not have missing values, got 2"):
        encode_labels(np.array(["a", None, "b", None], dtype=object), None, None)


@pytest.mark.parametrize(
    "classes, message",
    [
        ([0, None], "classes must not have missing values, got 1"),
        ([[0, 1]], r"classes must have one dimension, got the shape \(1, 2\)"),
        (["0", "1"], r"y must have the classes \['0', '1'\] and no others, got \[0, 1\]"),
        (["0", 1], "classes must have labels of one type, .* got mixed-integer"),
    ],
)
def test_classes_of_partial_fit_that_are_no_labels_raise(biased, classes, message):
    X, y, group = biased
    with pytest.raises(ValueError, match=message):
        make().partial_fit(X, y, classes, sensitive_features=group)


def test_codes_are_positions_in_the_sorted_classes():
    classes, codes = encode_labels(["b", "c", "b"], ["c", "a", "b"], None)
    assert classes.tolist() == ["a", "b", "c"]
    assert codes.tolist() == [1, 2, 1]
    assert encode_labels(["c"], None, classes)[1].tolist() == [2]
    with pytest.raises(ValueError, match=r"the classes \['a', 'b', 'c'\] and no others.*\['d'\]"):
        encode_labels(["d", "a"], None, classes)


# Class weights


def test_class_weight_moves_the_predictions(biased):
    rates = [
        fit(biased, eta=0, class_weight=weights).predict(biased[0]).mean()
        for weights in ({0: 9, 1: 1}, None, {0: 1, 1: 9})
    ]
    assert rates[0] < rates[1] < rates[2]


CLASSES = np.array(["no", "yes"])
TARGET = np.array([0, 0, 0, 1])


@pytest.mark.parametrize("class_weight", ["balanced", {"no": 1, "yes": 3}, {"no": 5, "yes": 15}])
def test_class_weights_are_scaled_to_mean_1(class_weight):
    weight, rate_weight = sample_weights(class_weight, CLASSES, TARGET, None, scale=True)
    np.testing.assert_allclose(weight, [2 / 3, 2 / 3, 2 / 3, 2])
    assert rate_weight is None


def test_class_weights_of_partial_fit_are_not_scaled(biased):
    weight, _ = sample_weights({"no": 1, "yes": 3}, CLASSES, TARGET, None, scale=False)
    assert weight.tolist() == [1, 1, 1, 3]
    X, y, group = biased
    first = y == 1
    losses = [
        make(eta=0, class_weight=weights)
        .partial_fit(X[first], y[first], classes=[0, 1], sensitive_features=group[first])
        .history_[0]["loss"]
        for weights in ({0: 1, 1: 1e-6}, None)
    ]
    assert losses[0] < 1e-5 < 0.1 < losses[1]


def test_sample_weights_multiply_class_weights_and_are_the_weights_of_the_rates():
    weight, rate_weight = sample_weights(
        {"no": 1, "yes": 3}, CLASSES, TARGET, np.array([1.0, 0, 1, 2]), scale=True
    )
    np.testing.assert_allclose(weight, np.array([1, 0, 1, 6]) / 2)
    np.testing.assert_allclose(rate_weight, [1, 0, 1, 2])


@pytest.mark.parametrize("class_weight", [{0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: 0, 1: 0}], ids=str)
def test_class_weights_that_are_no_weights_raise(biased, class_weight):
    with pytest.raises(ValueError, match="class_weight must be finite, >= 0 and not 0 for all"):
        fit(biased, class_weight=class_weight)


WEIGHTS = [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    "weight",
    [
        WEIGHTS,
        [Decimal(1), Decimal(0), Decimal(2)],
        pd.Series([1, 0, 2], dtype="Int64"),
        pd.Categorical([1, 0, 2]),
        np.array(["1", "0", "2"]),
    ],
    ids=lambda weight: type(weight).__name__,
)
def test_sample_weights_of_any_form_are_floats(weight):
    plain = plain_weights(weight, np.zeros(3))
    assert plain.dtype == np.float64 and plain.tolist() == WEIGHTS


def test_sample_weights_may_be_none_or_a_number():
    assert plain_weights(None, np.zeros(2)) is None
    assert plain_weights(2, np.zeros(2)).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (["1", "a"], "sample_weight must have numbers only: could not convert"),
        (pd.to_datetime(["2020", "2021"]), "sample_weight must have numbers only"),
        ([1, None], "Input sample_weight contains NaN"),
        (pd.Series([1, pd.NA], dtype="Int64"), "Input sample_weight contains NaN"),
        (np.ma.array([1, 2], mask=[0, 1]), "Input sample_weight contains NaN"),
        ([1, np.inf], "Input sample_weight contains infinity"),
        ([1, -1], "Negative values in data passed to `sample_weight`"),
        ([0, 0], "Sample weights must contain at least one non-zero number"),
        ([[1], [2]], "Sample weights must be 1D array or scalar"),
        ([1], r"sample_weight.shape == \(1,\), expected \(2,\)"),
    ],
    ids=str,
)
def test_sample_weights_that_are_no_weights_raise_in_fit_and_score(weight, message):
    X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    with pytest.raises(ValueError, match=f"^{message}"):
        make(eta=0).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=f"^{message}"):
        make(eta=0).fit(X, y).score(X, y, weight)


# Validation split


def samples_of(X, y, group):
    number = np.arange(len(y), dtype=float)
    codes = (group == "b").astype(int)[:, None]
    return Samples(X, np.array(y), codes, number, number + 0.5, torch.device("cpu"))


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_validation_samples_are_stratified_by_label_and_group(biased, fraction):
    samples = samples_of(*biased)
    train, validation = split_validation(samples, fraction, np.random.RandomState(0))
    assert len(validation) == fraction * len(samples)
    numbers = torch.cat([train.weight, validation.weight])
    assert numbers.sort().values.tolist() == list(range(len(samples)))
    cells = [2 * part.groups[:, 0] + part.y for part in (samples, validation)]
    whole, held_out = (torch.bincount(cell, minlength=4) for cell in cells)
    torch.testing.assert_close(held_out.double(), whole.double() * fraction, rtol=0, atol=1.0)


def test_validation_samples_keep_their_labels_groups_and_weights(biased):
    samples = samples_of(*biased)
    for part in split_validation(samples, 0.3, np.random.RandomState(0)):
        number = part.weight.long()
        for name in ("X", "y", "groups"):
            assert torch.equal(getattr(part, name), getattr(samples, name)[number])
        assert torch.equal(part.sample_weight, part.weight + 0.5)


def test_validation_samples_are_stratified_by_label_if_a_group_is_too_small(biased):
    X, y, group = biased
    group = np.where(np.arange(len(y)) == 0, "b", "a")  # one sample of "b"
    _, validation = split_validation(samples_of(X, y, group), 0.25, np.random.RandomState(0))
    assert int(validation.y.sum()) == round(0.25 * y.sum())


def test_too_few_samples_for_a_validation_split_raise(biased):
    X, y, group = (array[:8] for array in biased)
    with pytest.raises(ValueError, match="validation_fraction must leave samples of each class"):
        fit((X, y, group), early_stopping=True)


def test_validation_records_are_those_of_the_validation_samples(biased, monkeypatch):
    parts = []
    monkeypatch.setattr(
        "fairbinn_sklearn._classifier.split_validation",
        lambda *args: parts.extend(split_validation(*args)) or parts,
    )
    clf = fit(biased, eta=0, early_stopping=True, validation_fraction=0.3, lr=0.01, max_epochs=1)
    train, validation = parts
    assert clf.net_.criterion_.window == len(train) == 420  # an epoch, as rate_window is longer
    held_out = (
        validation.X.numpy(),
        validation.y.numpy(),
        np.array(["a", "b"])[validation.groups.numpy()[:, 0]],
    )
    (record,) = clf.history_
    assert record["validation_decision_difference"] == pytest.approx(difference(clf, held_out))
    assert record["validation_score_difference"] == pytest.approx(
        score_difference(clf, held_out), rel=1e-5
    )
    assert record["validation_loss"] == pytest.approx(
        log_loss(held_out[1], clf.predict_proba(held_out[0])), rel=1e-5
    )
    assert {name for name in record if name.startswith("validation_")} == {
        f"validation_{name}"
        for name in ("loss", "fairness_loss", "decision_difference", "score_difference")
    } | {"validation_objective"}


@pytest.mark.parametrize("form", [np.asarray, list, pd.Series])
@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes"]),
        np.array(["yes", "no"]),  # the first class is positive
        np.array([3, 1, 2]),
        np.array([False, True]),
        np.array(["no", "yes"], dtype=object),
    ],
    ids=str,
)
def test_codes_of_known_labels_need_no_checks(classes, form, monkeypatch):
    codes = np.random.default_rng(0).integers(len(classes), size=50)
    labels = form(classes[codes])
    monkeypatch.setattr(labels_file, "encode_labels", None)
    np.testing.assert_array_equal(label_codes(codes, labels, classes), codes)


@pytest.mark.parametrize(
    "labels, classes, message",
    [
        (["no", "maybe"], ["no", "yes"], r"y must have the classes .* no others, got \['maybe'\]"),
        ([0, 5], [0, 1], r"and no others, got \[5\]"),
        ([0.0, 0.5], [0, 1], "Unknown label type: continuous"),
        (
            np.array(["no", 1], dtype=object),
            np.array(["no", "yes"], dtype=object),
            "labels of one type|Unknown label type",
        ),
        ([0, 1, 1], [0, 1], "inconsistent numbers of samples"),
    ],
)
def test_labels_without_codes_raise(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        label_codes(np.zeros(2), labels, np.asarray(classes))


def test_labels_of_another_numeric_type_have_codes():
    np.testing.assert_array_equal(label_codes([0, 0], [1.0, 0.0], np.array([0, 1])), [1, 0])

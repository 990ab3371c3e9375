"""Findings and advice of `diagnose`, on histories and predictions that are set."""

import html
import itertools
import math
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    selection_rate,
)
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn.inspection import InspectionReport, check_assumptions, diagnose
from fairbinn_sklearn.losses import AccuracyParity, DemographicParity

FAST = {"n_boot": 200, "random_state": 0}
CHECKS = [
    "features",
    "loss",
    "predictions",
    "overfitting",
    "difference",
    "decrease",
    "price",
    "scores_agree",
    "step_bound",
]


def frame_of(*args, **params):
    return diagnose(*args, **{**FAST, **params}).to_frame()


def advice_of(*args, **params):
    advice = frame_of(*args, **params)["advice"]
    return advice[advice != ""].to_dict()


@pytest.fixture
def good(clf, with_history):
    """Return a function that sets a history without any sign of trouble, except in some columns."""

    def good(n_epochs=6, **columns):
        history = {
            "loss": np.linspace(0.6, 0.4, n_epochs),
            "decision_difference": np.linspace(0.3, 0.02, n_epochs),
            "score_difference": np.linspace(0.3, 0.02, n_epochs),
            "fairness_step": [0.001] * n_epochs,
        }
        return with_history(clf, **{**history, **columns})

    return good


@pytest.fixture
def with_target(good, with_options):
    """Return a function that sets a target and columns of the history."""

    def with_target(target, **columns):
        return with_options(good(**columns), fairness_target=target)

    return with_target


def set_bias(clf, bias):
    with torch.no_grad():
        clf.module_.head[-1].bias.fill_(bias)
    return clf


# Findings, one by one


def test_no_trouble(good, data):
    frame = frame_of(good(), data[0])
    assert frame.index.tolist() == CHECKS
    assert frame["verdict"].isin(["holds", "unknown", "does not apply"]).all()
    assert (frame["advice"] == "").all()
    assert "What to do first" not in repr(diagnose(good(), data[0]))


def test_features_not_scaled(good, data):
    X = data[0].copy()
    X[:, 2] *= 1000
    row = frame_of(good(), X).loc["features"]
    assert row["verdict"] == "does not hold"
    assert row["value"] == pytest.approx(np.sqrt(np.mean(X[:, 2] ** 2.0)), rel=1e-5)
    assert row["result"].endswith("feature 2")
    assert row["advice"].startswith("Scale the features")


def test_features_are_those_after_the_pipeline(data):
    X, y, group = data
    frame = pd.DataFrame(1000 * X, columns=list("abcd"))
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, make())
    pipeline.fit(frame, y, fairbinnclassifier__sensitive_features=group)
    findings = frame_of(pipeline, frame)
    assert findings.loc["features", "verdict"] == "holds"
    assert re.search("feature '[abcd]'", findings.loc["features", "result"])
    pd.testing.assert_frame_equal(findings, frame_of(pipeline[-1], scaler.transform(frame)))


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        ([1.2, 1.1, 1.0, 0.9, 0.79, 0.8], "Train longer (now 6 epochs)."),
        ([0.6, 0.5, 0.6, 0.7, 0.75, 0.8], "Lower eta (now 3)."),
    ],
)
def test_loss_worse_than_that_of_constant_predictions(good, data, loss, advice):
    row = frame_of(good(loss=loss), data[0]).loc["loss"]
    assert row["verdict"] == "does not hold"
    assert row["value"] == 0.8
    assert f"constant predictions {math.log(2):.3f}" in row["result"]
    assert row["advice"] == advice


def test_loss_without_fairness_loss(fit, with_history, data):
    clf = with_history(fit(eta=0), loss=[0.6, 0.9], lr=[0.001, 0.0005])
    assert advice_of(clf, data[0])["loss"] == "Lower lr (now 0.001)."


def test_loss_is_compared_with_the_label_frequencies(good, data):
    X, y, _ = data
    uneven = (np.arange(len(y)) % 10 == 0).astype(int)
    entropy = log_loss(uneven, np.full(len(y), uneven.mean()))
    row = frame_of(good(), X, uneven).loc["loss"]
    assert f"constant predictions {entropy:.3f}" in row["result"]
    assert row["verdict"] == "does not hold"  # 0.4 is above 0.325
    clf = good().set_params(class_weight="balanced")
    assert frame_of(clf, X, uneven).loc["loss", "verdict"] == "holds"  # weighted: log(2)


@pytest.mark.parametrize(("bias", "label"), [(1e3, 1), (-1e3, 0)])
def test_constant_predictions(good, data, bias, label):
    row = frame_of(set_bias(good(), bias), data[0]).loc["predictions"]
    assert row["verdict"] == "does not hold"
    assert row["result"] == f"300 of 300 are {label}"
    assert row["value"] == 1
    assert row["advice"] == "Lower eta (now 3)."


def test_constant_predictions_without_fairness_loss(fit, data):
    clf = set_bias(fit(eta=0), 1e3)
    assert advice_of(clf, data[0])["predictions"] == 'Set class_weight="balanced".'
    clf.set_params(class_weight="balanced")
    assert advice_of(clf, data[0])["predictions"].startswith("Train longer")


def test_nearly_constant_predictions(good, data):
    X, y, _ = data
    clf = set_bias(good(), 0.0)
    logits = np.sort(clf.decision_function(X))
    set_bias(clf, -logits[1:3].mean())
    row = frame_of(clf, X).loc["predictions"]
    assert row["result"] == "298 of 300 are 1"
    assert row["verdict"] == "unknown"
    assert row["advice"].startswith("Pass y")
    assert frame_of(clf, X, y).loc["predictions", "verdict"] == "does not hold"
    uneven = (np.arange(len(y)) > 0).astype(int)
    assert frame_of(clf, X, uneven).loc["predictions", "verdict"] == "holds"


def test_few_samples(good, data):
    X, y, _ = data
    frame = frame_of(good(), X[:5], y[:5])
    assert (frame.loc[["predictions", "overfitting"], "verdict"] == "unknown").all()
    assert frame["advice"].tolist().count("Pass at least 30 samples.") == 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_overfitting(with_history, data, n_classes):
    X, y, group = data
    y = y + (X[:, 0] > 1) * (n_classes - 2)
    clf = make().fit(X, y, sensitive_features=group)
    loss = log_loss(y, clf.predict_proba(X))
    row = frame_of(with_history(clf, loss=[loss, loss]), X, y).loc["overfitting"]
    assert row["value"] == pytest.approx(loss)
    assert row["verdict"] == "holds"
    row = frame_of(with_history(clf, loss=[loss, loss / 2]), X, y).loc["overfitting"]
    assert row["verdict"] == "does not hold"
    assert row["advice"] == "Train shorter (now 2 epochs), for example with early_stopping=True."
    assert frame_of(clf, X).loc["overfitting", ["verdict", "result"]].tolist() == [
        "unknown",
        "no labels",
    ]


def test_overfitting_with_class_weight(data):
    """Both losses are weighted, so that training samples never seem overfitted."""
    X, y, group = data
    clf = make(class_weight={0: 1.0, 1: 50.0}, max_epochs=5)
    clf.fit(X, y, sensitive_features=group)
    row = frame_of(clf, X, y).loc["overfitting"]
    assert row["value"] == pytest.approx(clf.history_[-1]["loss"], rel=0.2)
    assert row["verdict"] == "holds"


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 50.0}])
def test_overfitting_with_sample_weight(data, class_weight):
    """Both losses use the weights of the samples."""
    X, y, group = data
    weight = np.where(group == "a", 20.0, 0.1) * (1 + y)
    clf = make(class_weight=class_weight).fit(X, y, sensitive_features=group, sample_weight=weight)
    by_class = {0: 2.0, 1: 50.0}
    if class_weight == "balanced":
        by_class = {label: weight.sum() / (2 * weight[y == label].sum()) for label in (0, 1)}
    of_class = np.array([by_class[0], by_class[1]])[y] if class_weight else 1.0
    expected = log_loss(y, clf.predict_proba(X), sample_weight=weight * of_class)
    frame = frame_of(clf, X, y, sample_weight=weight)
    assert frame.loc["overfitting", "value"] == pytest.approx(expected)
    assert frame_of(clf, X, y).loc["overfitting", "value"] != pytest.approx(expected, rel=1e-3)


def test_loss_is_compared_with_weighted_label_frequencies(good, data):
    X, y, _ = data
    weight = np.where(y == 1, 1.0, 1e-3)
    share = weight[y == 1].sum() / weight.sum()
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    result = frame_of(good(), X, y, sample_weight=weight).loc["loss", "result"]
    assert f"constant predictions {constant:.3f}" in result


def test_samples_of_weight_zero_do_not_count(good, data):
    X, y, group = data
    group = np.where(np.arange(len(y)) < 40, "c", group)
    counts = group != "c"
    counts[50:70] = False
    weighted = diagnose(good(), X, y, group, sample_weight=counts, **FAST)
    expected = diagnose(good(), X[counts], y[counts], group[counts], **FAST)
    assert weighted.details == expected.details
    frames = [report.to_frame().drop("features") for report in (weighted, expected)]
    pd.testing.assert_frame_equal(*frames)


def test_overfitting_after_early_stopping(good, data):
    X, y, _ = data
    clf = good(loss=[0.6, 0.5, 0.4, 0.3, 0.2, 0.1], validation_objective=[0.6] * 5 + [0.5])
    assert advice_of(clf, X, y)["overfitting"].startswith("Raise weight_decay")


@pytest.mark.parametrize(
    ("differences", "difference", "decrease"),
    [
        ([0.38, 0.381, 0.38, 0.36, 0.35, 0.34], "does not hold", "does not hold"),
        ([0.38, 0.381, 0.38, 0.36, 0.35, 0.28], "does not hold", "holds"),
        ([0.3, 0.3, 0.3, 0.2, 0.2, 0.2], "does not hold", "holds"),
        ([0.3, 0.3, 0.3, 0.1, 0.1, 0.04], "holds", "holds"),
        ([0.02, 0.04, 0.04, 0.04, 0.04, 0.04], "holds", "does not apply"),
        ([0.02, 0.04, 0.04, 0.04, 0.04, 0.1], "does not hold", "does not hold"),
        ([0.3, 0.3, 0.02], "holds", "unknown"),
    ],
)
def test_difference_and_its_decrease(good, data, differences, difference, decrease):
    n_epochs = len(differences)
    frame = frame_of(good(n_epochs, decision_difference=differences), data[0])
    assert frame.loc["difference", "verdict"] == difference
    assert frame.loc["difference", "value"] == differences[-1]
    assert frame.loc["decrease", "verdict"] == decrease
    advice = frame.loc[["difference", "decrease"], "advice"].tolist()
    assert advice == (["Raise eta (now 3).", ""] if difference == "does not hold" else ["", ""])


@pytest.mark.parametrize(
    ("equalize", "last", "name"),
    [
        ("decisions", 0.2, "decision_difference in"),
        ("scores", 0.01, "score_difference in"),
        ("both", 0.2, "the larger of decision_difference and score_difference in"),
    ],
)
def test_difference_is_what_the_fairness_loss_counts(
    good, with_options, data, equalize, last, name
):
    clf = good(2, decision_difference=[0.1, 0.2], score_difference=[0.3, 0.01])
    row = frame_of(with_options(clf, equalize=equalize), data[0]).loc["difference"]
    assert row["value"] == last
    assert name in row["how"]


@pytest.mark.parametrize(
    ("target", "last", "verdict"),
    [(0.2, 0.25, "holds"), (0.2, 0.26, "does not hold"), (0.01, 0.03, "does not hold")],
)
def test_difference_under_a_target(with_target, data, target, last, verdict):
    clf = with_target(target, decision_difference=[0.3, 0.3, 0.3, 0.3, 0.3, last])
    row = frame_of(clf, data[0]).loc["difference"]
    assert row["verdict"] == verdict
    assert row["advice"] == ("" if verdict == "holds" else "Train longer (now 6 epochs).")


def test_early_stopping_is_judged_at_the_epoch_that_it_kept(good, data):
    clf = good(
        8,
        validation_objective=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.9, 0.9],
        loss=[0.6, 0.4, 0.3, 0.3, 0.3, 0.3, 9.0, 9.0],
        decision_difference=[0.5, 0.4, 0.3, 0.2, 0.1, 0.01, 0.9, 0.9],
        score_difference=[0.01] * 8,
    )
    frame = frame_of(clf, data[0])
    assert frame.loc["difference", "value"] == 0.01
    assert frame.loc["loss", "value"] == 0.3
    assert (frame["verdict"] != "does not hold").all()


@pytest.mark.parametrize(
    ("loss", "differences", "verdict"),
    [
        ([0.6, 0.3, 0.4], [0.3, 0.2, 0.2], "does not hold"),
        ([0.6, 0.3, 0.4], [0.3, 0.2, 0.1], "holds"),
        ([0.6, 0.3, 0.31], [0.3, 0.2, 0.2], "holds"),
        ([0.6, 0.4, 0.3], [0.1, 0.2, 0.3], "does not apply"),
    ],
)
def test_price(good, data, loss, differences, verdict):
    clf = good(3, loss=loss, decision_difference=differences)
    assert frame_of(clf, data[0]).loc["price", "verdict"] == verdict


@pytest.mark.parametrize(
    ("decision", "score", "verdict", "advice"),
    [
        (0.01, 0.2, "does not hold", 'If scores matter, set equalize="scores" or "both".'),
        (0.2, 0.01, "does not hold", ""),  # the difference is large: raise eta
        (0.2, 0.2, "holds", ""),
        (0.01, 0.08, "holds", ""),
    ],
)
def test_decisions_and_scores(good, data, decision, score, verdict, advice):
    clf = good(1, decision_difference=[decision], score_difference=[score])
    row = frame_of(clf, data[0]).loc["scores_agree"]
    assert row["verdict"] == verdict
    assert row["advice"] == advice


@pytest.mark.parametrize(("n_shortened", "verdict"), [(3, "holds"), (4, "does not hold")])
def test_step_bound(good, data, n_shortened, verdict):
    steps = [0.01] * n_shortened + [0.001] * (6 - n_shortened)
    row = frame_of(good(fairness_step=steps), data[0]).loc["step_bound"]
    assert row["verdict"] == verdict
    assert row["value"] == n_shortened / 6
    assert row["advice"].startswith("Lower fairness_lr" if n_shortened == 4 else "")


def test_differences_that_are_not_recorded(fit, data):
    X, y, _ = data
    names = ["difference", "decrease", "price"]
    verdicts = frame_of(make(eta=0).fit(X, y), X)["verdict"]
    assert (verdicts[[*names, "step_bound"]] == "does not apply").all()
    assert verdicts["scores_agree"] == "unknown"
    verdicts = frame_of(fit(constraint=variance), X)["verdict"]
    assert (verdicts[[*names, "scores_agree"]] == "unknown").all()


def variance(scores, y, groups):
    return (scores @ groups).var()


# Advice


TROUBLES = {
    "overfitted": {"loss": [0.6, 0.3, 0.2, 0.1, 0.05, 0.01]},
    "risen": {"loss": [0.3, 0.2, 0.3, 0.4, 0.5, 0.6]},
    "worse": {"loss": [0.7, 0.6, 0.9, 0.9, 0.9, 0.9]},
    "large": {"decision_difference": [0.3, 0.3, 0.3, 0.3, 0.3, 0.3]},
    "scores": {"score_difference": [0.4] * 6},
    "shortened": {"fairness_step": [0.01] * 6},
}
OPPOSITES = [
    ("Raise eta", "Lower eta"),
    ("Raise fairness_target", "Lower fairness_target"),
    ("Train longer", "Train shorter"),
    ("Raise eta", "Lower fairness_lr"),
    ("Train longer", "Raise fairness_target"),
    ("Train longer", "Lower fairness_target"),
]


@pytest.mark.parametrize("target", [None, 0.05])
def test_advice_never_contradicts_itself(with_target, data, target):
    X, y, group = data
    texts = set()
    for first, second in itertools.combinations_with_replacement(TROUBLES.values(), 2):
        clf = with_target(target, **(first | second))
        advice = list(advice_of(clf, X, y, group, n_boot=1).values())
        assert len(set(advice)) == len(advice)
        for more, less in OPPOSITES:
            assert not (more in repr(advice) and less in repr(advice))
        texts.update(advice)
    contradictions = [
        (more, less) for more, less in OPPOSITES if more in repr(texts) and less in repr(texts)
    ]
    assert contradictions  # between the reports, so that the combinations test something


@pytest.mark.parametrize(
    ("target", "advice"), [(None, "Raise eta (now 3)."), (0.05, "Train longer (now 6 epochs).")]
)
def test_opposite_advice_on_different_parameters(with_target, data, target, advice):
    """Later findings alone would advise to lower fairness_lr, or to raise the target."""
    clf = with_target(target, **TROUBLES["risen"], **TROUBLES["large"], **TROUBLES["shortened"])
    frame = frame_of(clf, data[0])
    checks = ["difference", "decrease", "price", "step_bound"]
    assert (frame.loc[checks, "verdict"] == "does not hold").all()
    assert advice_of(clf, data[0]) == {"difference": advice}


def test_first_finding_gives_the_advice(good, data):
    """The loss rose in vain and the difference is large: raise eta, and do not lower it."""
    clf = good(**TROUBLES["risen"], **TROUBLES["large"])
    frame = frame_of(clf, data[0])
    assert (frame.loc[["difference", "decrease", "price"], "verdict"] == "does not hold").all()
    assert advice_of(clf, data[0]) == {"difference": "Raise eta (now 3)."}


def test_overfitting_comes_before_a_missed_target(with_target, data):
    X, y, _ = data
    clf = with_target(0.05, **TROUBLES["overfitted"], **TROUBLES["large"])
    frame = frame_of(clf, X, y)
    assert frame.loc["difference", "verdict"] == "does not hold"
    assert advice_of(clf, X, y) == {"overfitting": "Train shorter (now 6 epochs)."}


def test_root_causes_come_alone(good, data):
    X = data[0].copy()
    X[:, 2] *= 1000
    clf = good(**TROUBLES["worse"], **TROUBLES["large"], **TROUBLES["shortened"])
    assert list(advice_of(clf, X)) == ["features"]
    assert list(advice_of(clf, data[0])) == ["loss"]


def test_small_sample_that_is_overfitted(data):
    """On 118 samples a long training overfits, and the difference stays large."""
    X, y, group = data
    clf = make(eta=1, max_epochs=40, lr=1e-2)
    clf.fit(X[:118], y[:118], sensitive_features=group[:118])
    advice = list(advice_of(clf, X[118:], y[118:], group[118:]).values())
    assert advice == [
        "Train shorter (now 40 epochs), for example with early_stopping=True.",
        "Raise eta (now 1).",
    ]


# Audit


def test_no_audit_without_groups(good, data):
    X, y, _ = data
    report = diagnose(good(), X, y)
    assert "audit" not in report.to_frame().index
    assert report.details == {}


@pytest.mark.parametrize(
    ("constraint", "metrics"),
    [
        ("demographic_parity", [demographic_parity_difference]),
        ("equalized_odds", [equalized_odds_difference]),
        (
            ["demographic_parity", "equal_opportunity"],
            [demographic_parity_difference, equal_opportunity_difference],
        ),
    ],
)
@pytest.mark.parametrize("combine", ["intersection", "separate"])
@pytest.mark.parametrize("weighted", [False, True])
def test_audit_equals_fairlearn(data, constraint, metrics, combine, weighted):
    X, y, group = data
    age = np.random.default_rng(0).choice(["young", "old"], len(y))
    groups = pd.DataFrame({"group": group, "age": age})
    y = np.array(["no", "yes"])[y]
    clf = make(constraint=constraint, combine=combine, eta=0.1)
    clf.fit(X, y, sensitive_features=groups)
    truth, predictions = y == "yes", clf.predict(X) == "yes"
    columns = [groups] if combine == "intersection" else [group, age]
    weight = np.random.default_rng(1).exponential(size=len(y)) if weighted else None
    expected = max(
        metric(truth, predictions, sensitive_features=column, sample_weight=weight)
        for metric in metrics
        for column in columns
    )
    audit = diagnose(clf, X, y, groups, sample_weight=weight, **FAST).details
    assert audit["difference"] == pytest.approx(expected)
    assert 0 <= audit["low"] <= audit["difference"] <= audit["high"] <= 1
    assert audit["low"] < audit["high"]


def test_audit_of_three_classes(data):
    X, y, group = data
    y = y + (X[:, 0] > 1)
    clf = make(constraint="equalized_odds").fit(X, y, sensitive_features=group)
    predictions = clf.predict(X)
    expected = max(
        demographic_parity_difference(
            y[y == label], predictions[y == label] == c, sensitive_features=group[y == label]
        )
        for label in range(3)
        for c in range(3)
    )
    assert diagnose(clf, X, y, group, **FAST).details["difference"] == pytest.approx(expected)


def test_verdict_of_the_audit(good, with_options, data):
    """Large, unknown and small, for groups that are cut from the predictions."""
    X, y, _ = data
    clf = good()
    predictions = clf.predict(X)
    alternate = np.argsort(np.argsort(predictions, kind="stable")) % 2

    def audit(groups, repeats=1):
        samples = [np.repeat(values, repeats, axis=0) for values in (X, y, groups)]
        return frame_of(clf, *samples).loc["audit", ["verdict", "advice"]].tolist()

    assert audit(predictions) == ["does not hold", "Raise eta (now 3)."]
    assert audit(alternate) == ["unknown", "Pass more samples, or merge small groups."]
    assert audit(alternate, 20) == ["holds", ""]
    with_options(clf, fairness_target=0.5)
    assert audit(predictions) == ["does not hold", "Lower fairness_target (now 0.5)."]
    assert audit(alternate) == ["holds", ""]


def test_audit_of_small_groups(good, data):
    """An interval without width does not show parity: 0 of 5 samples, or a single group."""
    X, y, _ = data
    clf = good()
    rejected = np.flatnonzero(clf.predict(X) == 0)[:45]
    X0, y0 = X[rejected], y[rejected]
    row = frame_of(clf, X0, y0, np.arange(45) < 5).loc["audit"]
    assert (row["value"], row["verdict"]) == (0, "unknown")
    assert "rates of at least 5 samples" in row["result"]
    groups = np.arange(90) % 2
    row = frame_of(clf, np.repeat(X0, 2, axis=0), np.repeat(y0, 2), groups).loc["audit"]
    assert row["verdict"] == "holds"
    row = frame_of(clf, X, y, np.zeros(len(y))).loc["audit"]
    assert row["verdict"] == "unknown" and "no rate has samples of two groups" in row["how"]


def test_audit_of_a_function_is_unknown(fit, data):
    report = diagnose(fit(constraint=variance), *data)
    row = report.to_frame().loc["audit"]
    assert row["verdict"] == "unknown" and math.isnan(row["value"])
    assert report.details == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "y must be passed with sensitive_features, got None"),
        ({"y": [0, 1]}, r"inconsistent numbers of samples: \[300, 2\]"),
        ({"sample_weight": np.zeros(300)}, "at least one non-zero"),
        ({"sample_weight": np.full(300, -1.0)}, "Negative values"),
        ({"sample_weight": [1.0]}, "sample_weight.shape"),
        ({"y": np.full(300, np.nan)}, "y must not have missing values, got 300"),
        ({"y": np.full(300, 7)}, r"got \[7\]"),
        ({"sensitive_features": ["a"] * 299}, "got 299 and 300"),
        ({"n_boot": -1}, "'n_boot' parameter of diagnose must be an int"),
    ],
)
def test_invalid_arguments(clf, data, change, message):
    X, y, group = data
    arguments = {"X": X, "y": y, "sensitive_features": group, **change}
    with pytest.raises(ValueError, match=message):
        diagnose(clf, **arguments)


# The report


@pytest.fixture
def report(good, data):
    clf = good(**TROUBLES["large"], **TROUBLES["shortened"])
    return diagnose(clf, *data, n_boot=1, random_state=0)


def test_text_has_the_findings_then_numbered_advice(report):
    frame, text = report.to_frame(), repr(report)
    assert str(report) == text
    positions = [text.index(statement) for statement in frame["statement"]]
    assert positions == sorted(positions)
    marks = {"holds": "[+]", "does not hold": "[!]", "unknown": "[?]", "does not apply": "[ ]"}
    for (_, row), position in zip(frame.iterrows(), positions, strict=True):
        line = text[text.rindex("\n", 0, position) + 1 : text.index("\n", position)]
        assert line.split()[0] in marks[row["verdict"]] and row["result"] in line
    (section,) = re.findall("What to do first\n(.*)", text, re.S)
    advice = frame.loc[frame["advice"] != "", "advice"]
    expected = [f"{i}. {check}: {text}" for i, (check, text) in enumerate(advice.items(), 1)]
    assert " ".join(section.split()) == " ".join(expected)


@pytest.mark.parametrize("function", [check_assumptions, diagnose])
def test_frame(function, clf, data):
    frame = function(clf, data[0]).to_frame()
    assert frame.index.name == "check" and frame.index.is_unique
    columns = ["statement", "verdict", "value", "result", "how", "advice"]
    assert frame.columns.tolist() == columns
    assert (frame[["statement", "result", "how"]] != "").all(axis=None)
    assert (frame.loc[frame["verdict"].isin(["holds", "does not apply"]), "advice"] == "").all()


def test_html_is_escaped(data):
    X, y, group = data
    labels = np.where(y == 1, "<script>alert('yes')</script>", "<b>no</b>")
    report = diagnose(make().fit(X, labels, sensitive_features=group), X)
    page = report._repr_html_()
    assert "&lt;b&gt;no" in page or "&lt;script&gt;" in page
    assert set(re.findall(r"<(\w+)", page)) <= {
        "table",
        "caption",
        "tr",
        "th",
        "td",
        *("p", "ol", "li"),
    }
    for column in ("statement", "result", "how", "advice"):
        assert all(html.escape(text) in page for text in report.to_frame()[column])


def test_report_can_be_pickled(clf, data):
    report = check_assumptions(clf, data[0])
    again = pickle.loads(pickle.dumps(report))
    assert isinstance(again, InspectionReport)
    assert repr(again) == repr(report)
    pd.testing.assert_frame_equal(again.details["layers"], report.details["layers"])


def test_a_reference_group_is_found_by_its_name(data):
    X, y, group = data
    clf = make(constraint=DemographicParity(reference="b"), eta=1).fit(
        X, y, sensitive_features=group
    )
    expected = demographic_parity_difference(y, clf.predict(X), sensitive_features=group)
    assert diagnose(clf, X, y, group, **FAST).details["difference"] == pytest.approx(expected)


def test_rates_without_predictions_in_the_denominator_are_unknown(data):
    X, y, group = data
    clf = make(constraint="predictive_parity", threshold=0.999999, eta=1)
    clf.fit(X, y, sensitive_features=group)
    report = diagnose(clf, X, y, group, **FAST)
    assert report.details["fewest_samples"] == 0
    assert report.to_frame().loc["audit", "verdict"] == "unknown"


def test_fewest_samples_are_those_in_the_denominators(data):
    X, y, group = data
    clf = make(constraint="predictive_parity", eta=1).fit(X, y, sensitive_features=group)
    positive = pd.Series(group)[clf.predict(X) == 1].value_counts()
    details = diagnose(clf, X, y, group, **FAST).details
    assert details["fewest_samples"] == positive.min()


@pytest.mark.parametrize("reference", ["pairs", "b"])
def test_an_audit_compares_groups_within_strata(data, reference):
    X, y, group = data
    stratum = np.where(np.arange(len(y)) % 3 == 0, "u", "v").astype(object)
    stratum[-60:] = "only a"
    group = np.where(stratum == "only a", "a", group)
    clf = make(constraint=DemographicParity(reference=reference), eta=1)
    clf.fit(X, y, sensitive_features=group)
    details = diagnose(clf, X, y, group, control_features=stratum, **FAST).details
    expected = demographic_parity_difference_within(clf, X, y, group, stratum)
    assert details["difference"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="sensitive_features must be passed with control_feat"):
        diagnose(clf, X, control_features=stratum)


def demographic_parity_difference_within(clf, X, y, group, stratum):
    """Return the largest difference of selection rates within strata."""
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=group,
        control_features=stratum,
    )
    return frame.difference().max()


def test_lowest_rates_have_a_limit_under_a_target_only(data):
    X, y, group = data
    constraint = AccuracyParity(measure="minimum")
    clf = make(constraint=constraint, eta=1).fit(X, y, sensitive_features=group)
    frame = frame_of(clf, X, y, group)
    checks = ["difference", "audit", "scores_agree"]
    assert (frame.loc[checks, "verdict"] == "does not apply").all()
    clf = make(constraint=constraint, fairness_target=0.6).fit(X, y, sensitive_features=group)
    audit = frame_of(clf, X, y, group).loc["audit"]
    by_group = pd.Series(clf.predict(X) == y).groupby(group).mean()
    assert audit["value"] == pytest.approx(1 - by_group.min())
    assert audit["how"].startswith("1 minus the lowest rate of predictions")

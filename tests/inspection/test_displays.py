"""Pictures: what is computed, what is drawn, and what is refused."""

import sys

import matplotlib
import numpy as np
import pytest
from conftest import make_data
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.inspection import AuditDisplay, ParetoFrontDisplay, TrainingDisplay

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_data(600)


@pytest.fixture(scope="module")
def models(data):
    X, y, group = data
    return [
        FairBiNNClassifier(eta=eta, max_epochs=3, device="cpu", random_state=0).fit(
            X, y, sensitive_features=group
        )
        for eta in (0, 10)
    ]


def results():
    return {
        "params": [{"eta": eta} for eta in (0, 1, 3, 10)],
        "mean_test_accuracy": np.array([0.85, 0.82, 0.84, 0.82]),
        "std_test_accuracy": np.array([0.01, 0.02, 0.01, 0.01]),
        "mean_test_demographic_parity_difference": -np.array([0.18, 0.09, 0.04, 0.01]),
        "std_test_demographic_parity_difference": np.array([0.01, 0.01, 0.01, 0.0]),
    }


def test_front_of_a_search():
    display = ParetoFrontDisplay.from_cv_results(results(), bound=0.05, label="ours")
    np.testing.assert_allclose(display.differences, [0.18, 0.09, 0.04, 0.01])
    assert display.dominated.tolist() == [False, True, False, False]
    assert [text.get_text() for text in display.texts_] == ["eta 0", "eta 1", "eta 3", "eta 10"]
    # The step line: the best score at each bound, from the smallest difference on.
    np.testing.assert_allclose(display.front_.get_xdata(), [0.01, 0.04, 0.04, 0.18, 0.18])
    np.testing.assert_allclose(display.front_.get_ydata(), [0.82, 0.82, 0.84, 0.84, 0.85])
    labels = display.ax_.get_legend_handles_labels()[1]
    assert "ours" in labels and "bound 0.05" in labels


def test_two_methods_on_one_picture_differ_in_colour():
    first = ParetoFrontDisplay.from_cv_results(results(), label="a", bound=0.05)
    second = ParetoFrontDisplay.from_cv_results(results(), label="b", bound=0.05, ax=first.ax_)
    assert first.ax_ is second.ax_
    assert first.front_.get_color() != second.front_.get_color()
    assert first.ax_.get_legend_handles_labels()[1].count("bound 0.05") == 1


def test_front_of_estimators(data, models):
    X, y, group = data
    display = ParetoFrontDisplay.from_estimators(models, X, y, sensitive_features=group)
    expected = [
        demographic_parity_difference(y, clf.predict(X), sensitive_features=group) for clf in models
    ]
    np.testing.assert_allclose(display.differences, expected)
    np.testing.assert_allclose(display.scores, [clf.score(X, y) for clf in models])
    seeds = ParetoFrontDisplay.from_estimators({"both": models}, X, y, sensitive_features=group)
    np.testing.assert_allclose(seeds.differences, [np.mean(expected)])
    assert seeds.difference_std[0] > 0


def test_training(data, models):
    display = TrainingDisplay.from_estimator(models[1])
    losses = display.panels if hasattr(display, "panels") else []
    assert len(losses) >= 2
    drawn = [line.get_ydata() for ax in plt.gcf().axes for line in ax.lines]
    for name in ("loss", "fairness_loss", "decision_difference", "score_difference"):
        figures = [record[name] for record in models[1].history_]
        assert any(len(y) == len(figures) and np.allclose(y, figures) for y in drawn)


@pytest.mark.filterwarnings("ignore:The running difference ended")
@pytest.mark.parametrize(
    ("equalize", "told"), [("decisions", "decisions"), ("scores", "scores"), ("both", "both")]
)
def test_training_under_a_target_has_a_panel_more(data, equalize, told):
    X, y, group = data
    clf = FairBiNNClassifier(
        fairness_target=0.15, max_epochs=15, equalize=equalize, device="cpu", random_state=0
    ).fit(X, y, sensitive_features=group)
    TrainingDisplay.from_estimator(clf)
    axes = plt.gcf().axes
    assert len(axes) == 3
    assert f"target 0.15 ({told})" in [line.get_label() for line in axes[1].lines]
    etas = [record["eta"] for record in clf.history_]
    assert max(etas) > 0
    assert any(np.allclose(line.get_ydata(), etas) for line in axes[2].lines)


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"]])
def test_audit(data, labels):
    X, y, group = data
    y = np.array(labels)[y]
    clf = LogisticRegression().fit(X, y)
    worse = LogisticRegression(C=1e-4).fit(X, y)
    display = AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, baseline=worse)
    assert list(display.rates) == ["before", "after"]
    positive, decisions = labels[1], clf.predict(X)
    for name in ("a", "b"):
        rows = group == name
        truth, decided = y[rows] == positive, decisions[rows] == positive
        found = display.rates["after"].loc[name]
        assert found["selection_rate"] == pytest.approx(selection_rate(truth, decided))
        assert found["true_positive_rate"] == pytest.approx(true_positive_rate(truth, decided))
        assert found["false_positive_rate"] == pytest.approx(false_positive_rate(truth, decided))
        rate, ends = found["selection_rate"], display.intervals["after"].loc[name, "selection_rate"]
        error = (rate * (1 - rate) / rows.sum()) ** 0.5
        assert ends["low"] == pytest.approx(rate - 1.96 * error, abs=0.3 * error)
        assert ends["high"] == pytest.approx(rate + 1.96 * error, abs=0.3 * error)
        assert display.sizes[name] == rows.sum()
    texts = [text.get_text() for ax in plt.gcf().axes for text in ax.get_yticklabels()]
    assert any(f"n = {(group == 'a').sum()}" in text for text in texts)
    value, low, high = display.differences["before"].loc["true_positive_rate"]
    assert f"before {value:.2f} [{low:.2f}, {high:.2f}]" in plt.gcf().axes[1].get_title()


def test_intervals_are_those_of_resampled_rows(data):
    """As MetricFrame has them, which resamples the rows one by one."""
    X, y, group = data
    groups = {"letter": group, "half": np.arange(len(y)) % 3 // 2}
    clf = LogisticRegression().fit(X, y)
    display = AuditDisplay.from_estimator(
        clf, X, y, sensitive_features=groups, n_boot=2000, confidence_level=0.8, random_state=0
    )
    frame = MetricFrame(
        metrics={"selection_rate": selection_rate, "true_positive_rate": true_positive_rate},
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=groups,
        n_boot=300,
        ci_quantiles=[0.1, 0.9],
        random_state=0,
    )
    for which, rates, differences in zip(
        ("low", "high"), frame.by_group_ci, frame.difference_ci(), strict=True
    ):
        for rate in rates:
            found = display.intervals["after"][rate, which].to_numpy()
            np.testing.assert_allclose(found, rates[rate], atol=0.015)
            found = display.differences["after"].loc[rate, which]
            assert found == pytest.approx(differences[rate], abs=0.015)
    assert (display.differences["after"]["difference"] > 0).all()


def test_a_rate_over_no_rows_has_no_interval(data):
    X, y, _ = data
    group = np.where(y == 0, "all", np.where(np.arange(len(y)) % 2, "odd", "all"))
    display = AuditDisplay.from_estimator(
        LogisticRegression().fit(X, y), X, y, sensitive_features=group, random_state=0
    )
    ends = display.intervals["after"].loc["odd"]
    assert ends["false_positive_rate"].isna().all()
    assert ends["true_positive_rate"].between(0, 1).all()
    # One group only is left to compare.
    assert display.differences["after"].loc["false_positive_rate"].tolist() == [0, 0, 0]
    again = AuditDisplay.from_estimator(
        LogisticRegression().fit(X, y), X, y, sensitive_features=group, random_state=0
    )
    assert display.intervals["after"].equals(again.intervals["after"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_boot": 0}, "'n_boot' parameter of AuditDisplay.from_estimator must be an int"),
        ({"confidence_level": 95}, "'confidence_level' parameter .* Got 95"),
        ({"random_state": "seed"}, "'random_state' parameter"),
    ],
)
def test_resampling_that_cannot_be(data, params, message):
    X, y, group = data
    clf = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match=message):
        AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, **params)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "fairbinn-sklearn\[examples\]"'):
        ParetoFrontDisplay([0.1], [0.8]).plot()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ParetoFrontDisplay([], []).plot(), ValueError, "at least one point"),
        (lambda: ParetoFrontDisplay([0.1], [1, 2]).plot(), ValueError, "scores must have one"),
        (lambda: ParetoFrontDisplay([0.1], [1], bound=2).plot(), ValueError, "bound must be"),
        (lambda: ParetoFrontDisplay([0.1], [1]).plot(ax=3), TypeError, "ax must be one"),
        (
            lambda: ParetoFrontDisplay.from_cv_results({"mean_test_score": [1.0]}),
            ValueError,
            r"got those of \['score'\]; search with",
        ),
        (
            lambda: ParetoFrontDisplay.from_cv_results(
                {key: np.full(4, np.nan) for key in results() if key != "params"}
            ),
            ValueError,
            "a candidate with finite scores",
        ),
        (
            lambda: ParetoFrontDisplay.from_cv_results(results(), metric="accuracy"),
            ValueError,
            "metric must be one of .*, got 'accuracy'",
        ),
        (lambda: TrainingDisplay([{"loss": 1.0}]).plot(), ValueError, "records with 'epoch'"),
        (
            lambda: TrainingDisplay.from_estimator(LogisticRegression()),
            TypeError,
            "clf must be a fitted FairBiNNClassifier.* got LogisticRegression",
        ),
    ],
)
def test_what_cannot_be_drawn(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_groups_of_another_length(data, models):
    X, y, group = data
    with pytest.raises(ValueError, match="same number of rows"):
        AuditDisplay.from_estimator(models[0], X, y, sensitive_features=group[:-1])


@pytest.mark.parametrize(
    ("estimators", "params", "error", "message"),
    [
        ("a name", {}, TypeError, "estimators must be a list or dict .* got str"),
        ([], {}, ValueError, "must not be empty"),
        ({"none": []}, {}, ValueError, "or hold empty lists"),
        ([3], {}, TypeError, r"must hold fitted estimators, got \['int'\]"),
        (None, {"score": "best"}, ValueError, "score must be the name of a scorer .* got 'best'"),
        (None, {"metric": "worst_group_accuracy"}, ValueError, "metric must be one of"),
    ],
)
def test_estimators_that_have_no_points(data, models, estimators, params, error, message):
    X, y, group = data
    estimators = models if estimators is None else estimators
    with pytest.raises(error, match=message):
        ParetoFrontDisplay.from_estimators(estimators, X, y, sensitive_features=group, **params)


def test_axes_of_the_caller(data, models):
    X, y, group = data
    figure, axes = plt.subplots(1, 3)
    display = AuditDisplay.from_estimator(
        models[1], X, y, sensitive_features=group, baseline=models[0], ax=axes
    )
    assert display.figure_ is figure and display.ax_.tolist() == axes.tolist()
    assert axes[-1].get_legend() is not None
    with pytest.raises(ValueError, match="ax must be None or 3 matplotlib Axes, .* got 2 of type"):
        display.plot(axes[:2])
    with pytest.raises(ValueError, match="got 3 of type int"):
        display.plot([1, 2, 3])


@pytest.mark.parametrize(
    ("clf", "change", "error", "message"),
    [
        (3, {}, TypeError, "clf must be a fitted classifier, got int"),
        (None, {"baseline": "other"}, TypeError, "baseline must be a fitted classifier, got str"),
        (LinearRegression(), {}, TypeError, "classifier with classes_, got LinearRegression"),
        (None, {"pos_label": 2}, ValueError, r"one of the classes \[0, 1\], got 2"),
        (None, {"y": [5] * 600}, ValueError, r"y must hold labels of clf.classes_, .* got \[5\]"),
    ],
)
def test_what_cannot_be_audited(data, models, clf, change, error, message):
    X, y, group = data
    clf = models[0] if clf is None else clf
    if isinstance(clf, LinearRegression):
        clf.fit(X, y)
    given = {"X": X, "y": y, "sensitive_features": group, **change}
    with pytest.raises(error, match=message):
        AuditDisplay.from_estimator(clf, **given)

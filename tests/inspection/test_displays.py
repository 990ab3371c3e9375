"""Data and drawings of the displays, and errors."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import make
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import precision_score

from fairbinn_sklearn import FairnessPath
from fairbinn_sklearn.inspection import AuditDisplay, ParetoFrontDisplay, TrainingDisplay


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def models(fit):
    return [fit(eta=0), fit(eta=3)]


def results():
    return {
        "params": [{"eta": eta} for eta in (0, 1, 3, 10)],
        "mean_test_accuracy": np.array([0.85, 0.82, 0.84, 0.82]),
        "std_test_accuracy": np.array([0.01, 0.02, 0.01, 0.01]),
        "mean_test_demographic_parity_difference": -np.array([0.18, 0.09, 0.04, 0.01]),
        "std_test_demographic_parity_difference": np.array([0.01, 0.01, 0.01, 0.0]),
    }


# ParetoFrontDisplay


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


def test_fronts_on_the_same_axes_differ_in_colour():
    first = ParetoFrontDisplay.from_cv_results(results(), label="a", bound=0.05)
    second = ParetoFrontDisplay.from_cv_results(results(), label="b", bound=0.05, ax=first.ax_)
    assert first.ax_ is second.ax_
    assert first.front_.get_color() != second.front_.get_color()
    assert first.ax_.get_legend_handles_labels()[1].count("bound 0.05") == 1


def test_texts_of_close_points_are_hidden():
    display = ParetoFrontDisplay([0.2, 0.1, 0.101], [0.9, 0.8, 0.801], texts=["a", "b", "c"])
    texts = display.plot().texts_
    assert [text.get_visible() for text in texts] == [True, True, False]
    assert display.plot(annotate=False).texts_ == []


def test_front_of_estimators(data, models):
    X, y, group = data
    display = ParetoFrontDisplay.from_estimators(models, X, y, sensitive_features=group)
    expected = [
        demographic_parity_difference(y, clf.predict(X), sensitive_features=group) for clf in models
    ]
    np.testing.assert_allclose(display.differences, expected)
    np.testing.assert_allclose(display.scores, [clf.score(X, y) for clf in models])
    assert [text.get_text() for text in display.texts_] == ["eta 0", "eta 3"]
    seeds = ParetoFrontDisplay.from_estimators({"both": models}, X, y, sensitive_features=group)
    np.testing.assert_allclose(seeds.differences, [np.mean(expected)])
    np.testing.assert_allclose(seeds.difference_std, [np.std(expected)])


def crosses(display):
    """Return the points that are marked as constant, sorted."""
    lines = [line for line in display.ax_.lines if line.get_marker() == "x"]
    return sorted(point for line in lines for point in line.get_xydata().tolist())


def legend(display):
    drawn = display.ax_.get_legend()
    return [] if drawn is None else [text.get_text() for text in drawn.get_texts()]


MARK = "predicts one class for all samples"


def test_constant_models_of_a_table_are_marked():
    differences, scores, rates = [0.2, 0.1, 0.0, 0.0], [0.8, 0.7, 0.5, 0.4], [0.4, 0.3, 0.0, 1.0]
    table = pd.DataFrame({"difference": differences, "score": scores, "selection_rate": rates})
    points = table["difference"], table["score"]
    display = ParetoFrontDisplay(*points, constant=table["selection_rate"].isin([0, 1])).plot()
    assert crosses(display) == [[0.0, 0.4], [0.0, 0.5]] and legend(display) == [MARK]
    ParetoFrontDisplay([0.0], [0.5], constant=[True]).plot(display.ax_)
    assert legend(display) == [MARK]  # one entry for both displays
    for constant in (None, [False] * 4):
        display = ParetoFrontDisplay(*points, constant=constant).plot()
        assert crosses(display) == [] and legend(display) == []


def test_constant_models_of_a_path_are_marked(fit):
    """A point is constant if the model of each seed is, even if the predicted classes differ."""
    models = [fit(eta=eta, random_state=seed) for seed in (0, 1) for eta in (0, 1, 3)]
    figures = pd.DataFrame(
        {
            "accuracy": [0.8, 0.7, 0.5] * 2,
            "demographic_parity_difference": [0.3, 0.1, 0.0] * 2,
            "selection_rate": [0.4, 1.0, 0.0, 0.5, 0.2, 1.0],
        }
    )
    display = ParetoFrontDisplay.from_path(FairnessPath(models, figures))
    assert crosses(display) == [[0.0, 0.5]] and legend(display) == [MARK]
    without = FairnessPath(models, figures.drop(columns="selection_rate"))
    assert crosses(ParetoFrontDisplay.from_path(without)) == []


def test_constant_candidates_of_a_search_are_marked():
    rates = {"mean_test_selection_rate": [0.5, 0.5, 1.0, 0.0]}
    display = ParetoFrontDisplay.from_cv_results({**results(), **rates})
    assert crosses(display) == [[0.01, 0.82], [0.04, 0.84]] and legend(display) == [MARK]
    # Candidate 0 predicts another class in each fold, and candidate 2 varies in one fold.
    folds = {"split0_test_selection_rate": [1, 0.4, 1, 0], "split1_test_selection_rate": [0] * 4}
    folds["split1_test_selection_rate"][2] = 0.9
    display = ParetoFrontDisplay.from_cv_results({**results(), **rates, **folds})
    assert crosses(display) == [[0.01, 0.82], [0.18, 0.85]]
    assert crosses(ParetoFrontDisplay.from_cv_results(results())) == []


def test_constant_estimators_are_marked(data, models):
    X, y, group = data
    constant = DummyClassifier(strategy="constant", constant=1).fit(X, y)
    runs = {"ours": models, "constant": constant, "both": [models[0], constant]}
    display = ParetoFrontDisplay.from_estimators(runs, X, y, sensitive_features=group)
    assert display.constant == [False, True, False]
    assert crosses(display) == [[0.0, y.mean()]]


@pytest.mark.parametrize(
    ("estimators", "params", "error", "message"),
    [
        ("a name", {}, TypeError, "estimators must be a list or dict .* got str"),
        ([], {}, ValueError, "must not be empty"),
        ({"none": []}, {}, ValueError, "or have empty lists"),
        ([3], {}, TypeError, r"must be fitted classifiers, got \['int'\]"),
        (None, {"score": "best"}, ValueError, "score must be the name of a .* got 'best'"),
        (None, {"metric": "worst_group_accuracy"}, ValueError, "metric must be one of"),
    ],
)
def test_front_of_invalid_estimators(data, models, estimators, params, error, message):
    X, y, group = data
    estimators = models if estimators is None else estimators
    with pytest.raises(error, match=message):
        ParetoFrontDisplay.from_estimators(estimators, X, y, sensitive_features=group, **params)


# TrainingDisplay


def test_training(models):
    display = TrainingDisplay.from_estimator(models[1])
    assert list(display.panels) == ["loss", "fairness_loss", "differences"]
    history = pd.DataFrame(models[1].history_)
    assert [axes.get_ylim()[0] == 0 for axes in display.ax_] == [False, True, True]
    for axes, columns in zip(display.ax_, display.panels.values(), strict=True):
        assert axes.get_yscale() == "linear"
        for line, column in zip(axes.lines, columns, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), history[column])


def test_training_with_early_stopping(fit):
    clf = fit(eta=3, early_stopping=True)
    loss = TrainingDisplay.from_estimator(clf).ax_[0]
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    expected = [record["validation_loss"] for record in clf.history_]
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), expected)


@pytest.mark.parametrize("equalize", ["scores", "both"])
def test_training_under_a_target(fit, equalize):
    clf = fit(fairness_target=0.9, equalize=equalize)
    display = TrainingDisplay.from_estimator(clf)
    *_, differences, eta = display.ax_
    target = differences.lines[-1]
    assert target.get_label() == f"target 0.9 ({equalize})"
    assert set(target.get_ydata()) == {0.9}
    np.testing.assert_array_equal(
        eta.lines[0].get_ydata(), [record["eta"] for record in clf.history_]
    )


# AuditDisplay


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"]])
def test_audit(data, labels):
    X, y, group = data
    y = np.array(labels)[y]
    clf = LogisticRegression().fit(X, y)
    worse = LogisticRegression(C=1e-4).fit(X, y)
    display = AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, baseline=worse)
    positive = labels[1]
    for when, model in {"before": worse, "after": clf}.items():
        predictions = model.predict(X)
        for name in ("a", "b"):
            truth, predicted = ((v == positive)[group == name] for v in (y, predictions))
            expected = {
                "selection_rate": selection_rate(truth, predicted),
                "true_positive_rate": true_positive_rate(truth, predicted),
                "false_positive_rate": false_positive_rate(truth, predicted),
            }
            assert display.rates[when].loc[name].to_dict() == pytest.approx(expected)
            assert display.sizes[name] == len(truth)
    selection, tpr, fpr = display.ax_
    assert f"n = {(group == 'a').sum()}" in selection.get_yticklabels()[0].get_text()
    assert selection.get_xlabel() == f"Predicted {positive!r}"
    assert tpr.get_xlabel() == f"Predicted {positive!r}\nof samples labelled {positive!r}"
    assert fpr.get_xlabel() == f"Predicted {positive!r}\nof samples not labelled {positive!r}"
    value, low, high = display.differences["before"].loc["true_positive_rate"]
    assert low <= value <= high
    assert tpr.get_title().split("\n")[:2] == [
        "True positive rate",
        f"before: difference {value:.2f} (95% CI {low:.2f} to {high:.2f})",
    ]


def test_audit_with_weights_equals_fairlearn(data):
    X, y, group = data
    clf = LogisticRegression().fit(X, y)
    weight = np.random.default_rng(0).exponential(5, len(y))
    metrics = {
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
    }
    frame = MetricFrame(
        metrics=metrics,
        y_true=y,
        y_pred=clf.predict(X),
        sensitive_features=group,
        sample_params={name: {"sample_weight": weight} for name in metrics},
    )
    display, huge = (
        AuditDisplay.from_estimator(
            clf, X, y, sensitive_features=group, sample_weight=w, random_state=0
        )
        for w in (weight, 1e306 * weight)
    )
    for audit in (display, huge):
        np.testing.assert_allclose(audit.rates["after"], frame.by_group)
        np.testing.assert_allclose(audit.differences["after"]["difference"], frame.difference())
    share = weight[group == "a"].sum() / weight.sum()
    assert display.group_labels[0] == f"a\nn = {(group == 'a').sum()}\nweight {share:.0%}"
    plain = AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, random_state=0)
    assert plain.weights is None and "weight" not in plain.group_labels[0]
    # Uneven weights mean fewer effective samples, so the intervals are wider.
    widths = [
        audit.intervals["after"].T.groupby(level=0).agg(np.ptp).T for audit in (plain, display)
    ]
    assert (widths[0] < widths[1]).all(axis=None)


def test_audit_leaves_out_samples_of_weight_zero(data):
    """A group whose samples all have weight 0 has no rate."""
    X, y, group = data
    clf = LogisticRegression().fit(X, y)
    group = np.where(np.arange(len(y)) < 40, "c", group)
    counts = group != "c"
    counts[50:70] = False
    display, expected = (
        AuditDisplay.from_estimator(clf, *samples, **params, random_state=0)
        for samples, params in (
            ((X, y), {"sensitive_features": group, "sample_weight": counts.astype(float)}),
            ((X[counts], y[counts]), {"sensitive_features": group[counts]}),
        )
    )
    assert display.sizes.index.tolist() == ["a", "b"]
    pd.testing.assert_series_equal(display.sizes, expected.sizes)
    for name in ("rates", "intervals", "differences"):
        actual, desired = getattr(display, name)["after"], getattr(expected, name)["after"]
        pd.testing.assert_frame_equal(actual, desired)
    with pytest.raises(ValueError, match="at least one non-zero"):
        AuditDisplay.from_estimator(
            clf, X, y, sensitive_features=group, sample_weight=np.zeros(len(y))
        )


def test_audit_of_a_baseline_with_other_labels_is_an_error(data):
    """Otherwise, the predictions of the baseline would count as negative, with rates of 0."""
    X, y, group = data
    clf, other = (LogisticRegression().fit(X, labels) for labels in (y, y.astype(str)))
    message = (
        r"predictions of baseline must have the classes \[0, 1\] and no others, got \['0', '1'"
    )
    with pytest.raises(ValueError, match=message):
        AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, baseline=other)


def test_audit_of_classes_in_another_order(data):
    X, y, group = data
    clf, other = LogisticRegression().fit(X, y), LogisticRegression().fit(X, y)
    other.coef_, other.intercept_, other.classes_ = -clf.coef_, -clf.intercept_, np.array([1, 0])
    np.testing.assert_array_equal(other.predict(X), clf.predict(X))
    rates = [
        AuditDisplay.from_estimator(
            model, X, y, sensitive_features=group, pos_label=1, n_boot=1
        ).rates["after"]
        for model in (clf, other)
    ]
    pd.testing.assert_frame_equal(*rates)


def test_audit_of_three_classes_names_the_counted_label(data):
    X, y, group = data
    y = y + (X[:, 0] > 1)
    clf = LogisticRegression().fit(X, y)
    for pos_label, counted in ((None, 2), (0, 0)):
        display = AuditDisplay.from_estimator(
            clf, X, y, sensitive_features=group, pos_label=pos_label, n_boot=1
        )
        assert display.ax_[0].get_xlabel() == f"Predicted {counted}"
        rates = display.rates["after"]["selection_rate"]
        assert rates["a"] == pytest.approx((clf.predict(X) == counted)[group == "a"].mean())


def test_audit_axis_fits_small_rates(data):
    X, _, group = data
    y = (np.arange(len(X)) % 25 == 0).astype(int)
    clf = LogisticRegression(class_weight={1: 15}).fit(X, y)
    display = AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, random_state=0)
    for axes, rate in zip(display.ax_, display.rates["after"], strict=True):
        largest = display.intervals["after"][rate].to_numpy().max()
        assert largest < axes.get_xlim()[1] < 1.5 * largest


def test_audit_labels(data):
    """Ordered categories keep their order, and dollar signs are not mathematics."""
    X, y, _ = data
    labels = ["under $20k", "$20k", "above $40k"]
    income = pd.Categorical.from_codes(np.arange(len(y)) % 3, labels, ordered=True)
    display = AuditDisplay.from_estimator(
        LogisticRegression().fit(X, y), X, y, sensitive_features=income, n_boot=1
    )
    assert display.sizes.index.tolist() == labels
    drawn = [label.get_text().split("\n")[0] for label in display.ax_[0].get_yticklabels()]
    assert drawn == [r"under \$20k", r"\$20k", r"above \$40k"]


def test_audit_of_intersections_and_missing_rates(data):
    X, y, group = data
    positive = np.where(y == 1, "positive", "all")
    groups = {"letter": group, "label": positive}
    display = AuditDisplay.from_estimator(
        LogisticRegression().fit(X, y), X, y, sensitive_features=groups, random_state=0
    )
    assert display.group_labels[0].startswith("a, all\nn = ")
    rates, ends = display.rates["after"], display.intervals["after"]
    assert rates.loc[("a", "all")].isna().tolist() == [False, True, False]
    assert ends.loc[("a", "all"), "true_positive_rate"].isna().all()
    assert ends.loc[("a", "positive"), "true_positive_rate"].between(0, 1).all()


def test_audit_on_axes_of_the_caller(data, models):
    X, y, group = data
    figure, axes = plt.subplots(1, 3)
    display = AuditDisplay.from_estimator(
        models[1], X, y, sensitive_features=group, baseline=models[0], ax=axes
    )
    assert display.figure_ is figure and display.ax_.tolist() == axes.tolist()
    assert axes[-1].get_legend() is not None
    with pytest.raises(ValueError, match="array of 3 matplotlib Axes, .* got 2 of type"):
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
        (
            None,
            {"y": [5] * 300},
            ValueError,
            r"y must have the classes \[0, 1\] and no others, got \[5\]",
        ),
        (None, {"sensitive_features": ["a"] * 299}, ValueError, "got 299 and 300"),
        (None, {"X": np.zeros((2, 4))}, ValueError, r"numbers of samples: \[2, 300\]"),
    ],
)
def test_invalid_audit(data, models, clf, change, error, message):
    X, y, group = data
    clf = models[0] if clf is None else clf
    if isinstance(clf, LinearRegression):
        clf.fit(X, y)
    arguments = {"X": X, "y": y, "sensitive_features": group, **change}
    with pytest.raises(error, match=message):
        AuditDisplay.from_estimator(clf, **arguments)


# All displays


def test_error_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "fairbinn-sklearn\[examples\]"'):
        ParetoFrontDisplay([0.1], [0.8]).plot()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: ParetoFrontDisplay([], []).plot(), ValueError, "at least one point"),
        (lambda: ParetoFrontDisplay([0.1], [1, 2]).plot(), ValueError, "scores must have one"),
        (lambda: ParetoFrontDisplay([0.1], [1], constant=[]).plot(), ValueError, "constant must"),
        (lambda: ParetoFrontDisplay([0.1], [1], bound=2).plot(), ValueError, "bound must be"),
        (lambda: ParetoFrontDisplay([0.1], [1]).plot(ax=3), TypeError, "ax must be a matplotlib"),
        (
            lambda: ParetoFrontDisplay.from_cv_results({"mean_test_score": [1.0]}),
            ValueError,
            r"got those of \['score'\]. Search with",
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
def test_invalid_data(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "constraint, extra",
    [
        ("predictive_parity", ["precision"]),
        (["treatment_equality", "equal_opportunity"], ["share_of_false_negatives"]),
        ("equalized_odds", []),
    ],
)
def test_an_audit_draws_the_rate_of_the_trained_criterion(biased, constraint, extra):
    X, y, group = biased
    clf = make(constraint=constraint).fit(X, y, sensitive_features=group)
    display = AuditDisplay.from_estimator(clf, X, y, sensitive_features=group, n_boot=10)
    names = ["selection_rate", "true_positive_rate", "false_positive_rate", *extra]
    assert display.differences["after"].index.tolist() == names
    assert len(display.ax_) == len(names)
    if "precision" in extra:
        frame = MetricFrame(
            metrics=precision_score,
            y_true=y,
            y_pred=clf.predict(X),
            sensitive_features=group,
        )
        np.testing.assert_allclose(display.rates["after"]["precision"], frame.by_group)
        assert "of samples predicted 1" in display.ax_[3].get_xlabel()


def test_a_training_shows_the_difference_of_the_distribution(fit):
    display = TrainingDisplay.from_estimator(fit(eta=1, equalize="distribution"))
    labels = [line.get_label() for axes in display.ax_ for line in axes.lines]
    assert "distribution" in labels

"""best_under: the choice of a candidate, as `refit` of a search."""

import pickle

import numpy as np
import pytest

from fairbinn_sklearn.metrics import best_under


def results(accuracy, difference):
    return {
        "mean_test_accuracy": np.array(accuracy),
        "mean_test_demographic_parity_difference": -np.array(difference),
    }


@pytest.mark.parametrize(
    "bound, accuracy, difference, index",
    [
        (0.1, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0], 1),
        (0.5, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0], 0),
        (0.1, [0.8, 0.8, 0.8], [0.1, 0.02, 0.05], 1),
        (0.1, [0.9, np.nan, 0.7], [0.05, 0.0, np.nan], 0),
        (0.0, [0.9, 0.5], [0.2, 0.0], 1),
    ],
)
def test_highest_score_under_the_bound(bound, accuracy, difference, index):
    assert best_under(bound)(results(accuracy, difference)) == index


@pytest.mark.parametrize("metric", ["demographic_parity_ratio", "worst_group_accuracy"])
def test_ratios_and_worst_groups_have_a_lower_bound(metric):
    choose = best_under(0.8, metric)
    cv_results = {"mean_test_accuracy": np.array([0.9, 0.8, 0.8, 0.7])}
    cv_results[f"mean_test_{metric}"] = np.array([0.79, 0.81, 0.85, 1.0])
    assert choose(cv_results) == 2
    with pytest.warns(UserWarning, match="of at least 1. The closest is chosen, with 0.9500"):
        cv_results[f"mean_test_{metric}"] = np.array([0.9, 0.95, 0.2, 0.1])
        assert best_under(1, metric)(cv_results) == 1


def test_closest_candidate_if_none_meets_the_bound():
    with pytest.warns(UserWarning, match="of at most 0.01. The closest is chosen, with 0.0500"):
        assert best_under(0.01)(results([0.9, 0.8, 0.7], [0.2, 0.05, 0.1])) == 1


def test_invalid_parameters_and_results():
    with pytest.raises(ValueError, match="bound must be a number from 0 to 1, got 2"):
        best_under(2)
    with pytest.raises(ValueError, match="metric must be one of.*got 'selection_rate'"):
        best_under(0.1, metric="selection_rate")
    choose = best_under(0.1, metric="equalized_odds_difference")
    with pytest.raises(ValueError, match="scoring must have 'equalized_odds_difference' for best"):
        choose(results([1], [0]))
    with pytest.raises(ValueError, match="scores 'accuracy' must not all be NaN"):
        best_under(0.1)(results([np.nan], [0]))


def test_the_choice_can_be_pickled():
    again = pickle.loads(pickle.dumps(best_under(0.1)))
    assert repr(again) == repr(best_under(0.1))
    assert again(results([0.9, 0.8], [0.2, 0.1])) == 1

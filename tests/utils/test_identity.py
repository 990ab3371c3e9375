"""Values that mean the same, within a process and across processes."""

import copy
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from conftest import stable_id
from fairlearn import reductions
from torch import nn

from fairbinn_sklearn._utils.identity import NoNameError, canonical, digest, is_same
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds


def function(scores, y, groups):
    return scores.mean()


class Nameless:
    """A callable whose class can be imported, but not the object."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Nameless) and self.value == other.value

    __hash__ = None


class Incomparable(Nameless):
    def __eq__(self, other):
        raise RuntimeError("cannot be compared")


class MakesArrays(Nameless):
    def __eq__(self, other):
        return np.array([True, False])


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        ("adam", "adam"),
        (3, 3),
        (0.5, 0.5),
        (np.float64(0.5), 0.5),
        (np.int8(3), 3),
        (np.bool_(True), True),
        ((1, [2.0, "x"]), [1, [2.0, "x"]]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({1: (2,), "a": None}, {"1": [2], "'a'": None}),
        (Path("a") / "b", str(Path("a") / "b")),
        (torch.device("cuda:1"), "cuda:1"),
        (torch.optim.SGD, "torch.optim.sgd.SGD"),
        (nn.ReLU, "torch.nn.modules.activation.ReLU"),
        (function, f"{__name__}.function"),
        (
            DemographicParity(weight=2),
            [
                "fairbinn_sklearn.losses._criteria.DemographicParity",
                {
                    "'aggregation'": "mean",
                    "'measure'": "difference",
                    "'reference'": "pairs",
                    "'stratum_weight'": "size",
                    "'weight'": 2,
                },
            ],
        ),
    ],
    ids=stable_id,
)
def test_canonical_values_are_json_that_names_classes_and_parameters(value, expected):
    result = canonical(value)
    assert result == expected
    assert type(result) is type(expected)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize(
    "value",
    [
        lambda scores: scores,
        Nameless(1),
        [1, Nameless(1)],
        type("Local", (), {"__qualname__": "test.<locals>.Local"}),
    ],
    ids=["lambda", "object", "list", "local class"],
)
def test_values_that_no_other_process_can_recognise_have_no_name(value):
    with pytest.raises(NoNameError):
        canonical(value)


@pytest.mark.parametrize(
    "first, second",
    [
        (1, 1.0),
        (1, True),
        ((8, 8), [8, 8]),
        ((8, 8), np.array([8, 8])),
        ("adam", "".join(["ad", "am"])),
        ("adam", np.array(["adam"])[0]),
        (Path("a"), "a"),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])),
        (DemographicParity(), DemographicParity()),
        ([DemographicParity(), "x"], (DemographicParity(), "x")),
        (Nameless(1), Nameless(1)),
        (function, copy.copy(function)),
    ],
    ids=stable_id,
)
def test_values_that_mean_the_same_are_the_same(first, second):
    assert is_same(first, second)
    assert is_same(second, first)


@pytest.mark.parametrize(
    "first, second",
    [
        (1, "1"),
        (1, 2),
        (None, 0),
        ((8, 8), (8,)),
        (torch.tensor([1.0]), torch.tensor([2.0])),
        (DemographicParity(), DemographicParity(weight=2)),
        (DemographicParity(), EqualizedOdds()),
        (DemographicParity(), DemographicParity),
        (torch.optim.SGD, torch.optim.Adam),
        (function, lambda scores, y, groups: scores.mean()),
        (lambda x: x, lambda x: x),
        (Nameless(1), Nameless(2)),
        (Incomparable(1), Incomparable(1)),
        (MakesArrays(1), MakesArrays(1)),
    ],
    ids=stable_id,
)
def test_values_that_differ_are_not_the_same(first, second):
    assert not is_same(first, second)
    assert not is_same(second, first)


@pytest.mark.parametrize("value", [lambda x: x, Incomparable(1), Decimal("nan")], ids=stable_id)
def test_an_object_is_the_same_as_itself(value):
    assert is_same(value, value)


ARRAY = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]], dtype=np.float32)


def test_digests_depend_on_the_values_and_not_on_their_container():
    expected = digest(ARRAY)
    assert len(expected) == 32
    assert digest(ARRAY.copy(order="F")) == expected
    assert digest(torch.tensor(ARRAY)) == digest(nn.Parameter(torch.tensor(ARRAY))) == expected
    assert digest(ARRAY + np.eye(2, 3, dtype=np.float32)) != expected


def test_digests_of_sparse_matrices_depend_on_values_and_positions():
    expected = digest(sp.csr_array(ARRAY))
    assert digest(sp.coo_array(ARRAY)) == digest(sp.csc_array(ARRAY)) == expected
    for change in (2 * ARRAY, ARRAY[:, ::-1], ARRAY[::-1]):
        assert digest(sp.csr_array(change)) != expected


def test_digests_depend_on_further_values():
    assert digest(ARRAY, 1) == digest(ARRAY, 1)
    assert len({digest(ARRAY), digest(ARRAY, 1), digest(ARRAY, 2), digest(None, 1)}) == 4


def test_constraints_of_fairlearn_are_compared_by_their_bounds():
    def moment(bound):
        return reductions.DemographicParity(difference_bound=bound)

    assert is_same(moment(0.1), moment(0.1))
    assert not is_same(moment(0.1), moment(0.2))
    assert not is_same(moment(0.1), reductions.EqualizedOdds(difference_bound=0.1))

"""Scales of features, and the warning about features that are not scaled."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from conftest import fit, make, make_data
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.utils.data import Dataset

from fairbinn_sklearn._data.scales import feature_scales
from fairbinn_sklearn.preprocessing import tabular_preprocessor

FORMS = {"array": np.asarray, "matrix": sp.csr_matrix, "sparse": sp.csr_array}


class SingleSamples(Dataset):
    """Dataset that returns one sample at a time."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index]


def caught_of_scales(X, y, group, **params):
    """Return the texts of the warnings about features that are not scaled."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit((X, y, group), max_epochs=1, **params)
    return [str(w.message) for w in caught if "not scaled, such as" in str(w.message)]


@pytest.mark.parametrize("form", [*FORMS.values(), torch.as_tensor], ids=[*FORMS, "tensor"])
def test_scales_are_root_mean_squares(form):
    X = np.array([[3e19, 0, 1], [-4e19, 0, 1]], dtype=np.float32)
    np.testing.assert_allclose(feature_scales(form(X)), [3.535533906e19, 0, 1], rtol=1e-6)


def test_scales_of_more_than_two_dimensions():
    X = np.array([[[3.0, 0], [1, 0]], [[4, 0], [1, 2]]])
    np.testing.assert_allclose(feature_scales(X), [12.5**0.5, 0, 1, 2**0.5])


@pytest.mark.parametrize("form", [*FORMS.values(), SingleSamples], ids=[*FORMS, "dataset"])
@pytest.mark.parametrize("scale, warns", [(6.0, False), (1e4, True)])
def test_features_that_are_not_scaled_warn(biased, form, scale, warns):
    X, y, group = biased
    X = (X * np.array([1, scale, 1, 1])).astype(np.float32)
    messages = caught_of_scales(form(X), y, group)
    assert len(messages) == warns
    if warns:
        assert messages[0].startswith("X has 1 feature(s) that are not scaled, such as 1 with")
        assert "by StandardScaler or tabular_preprocessor" in messages[0]


def test_features_are_named(biased):
    X, y, group = biased
    frame = pd.DataFrame(X * [1, 50, 100, 1], columns=["age", "weight", "income", "score"])
    (message,) = caught_of_scales(frame, y, group)
    assert message.startswith("X has 2 feature(s) that are not scaled, such as 'income' with a")


def test_a_filter_turns_the_warning_into_an_error_before_training(biased, capsys):
    X, y, group = biased
    clf = make(verbose=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "X has 4 feature")
        with pytest.raises(UserWarning, match="not scaled, such as"):
            clf.fit(1000 * X, y, sensitive_features=group)
    assert capsys.readouterr().out == ""
    assert not hasattr(clf, "net_")


def encoded_tables():
    """Return common encodings of a table with rare categories, spikes and long tails."""
    X, y, group = make_data(2000)
    rng = np.random.default_rng(0)
    gain = np.where(rng.random(2000) < 0.05, rng.lognormal(8, 2, 2000), 0)
    job = rng.choice(["a", "b", "c", "d"], 2000, p=[0.9, 0.06, 0.03, 0.01])
    numeric = np.column_stack([X, gain])
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(job[:, None])
    frame = pd.DataFrame(numeric, columns=list("pqrst")).assign(job=job)
    encoded = {
        "one-hot and standardized": np.hstack([StandardScaler().fit_transform(numeric), one_hot]),
        "tabular_preprocessor": tabular_preprocessor().fit_transform(frame),
        "zeros and ones": one_hot,
        "sparse": sp.csr_array(one_hot),
    }
    return {name: (matrix, y, group) for name, matrix in encoded.items()}


@pytest.mark.parametrize("name, table", encoded_tables().items(), ids=lambda value: str(value)[:20])
def test_common_encodings_do_not_warn(name, table):
    assert caught_of_scales(*table) == [], name


def test_custom_modules_may_take_codes_as_features(biased):
    class Embedding(torch.nn.Module):
        def __init__(self, input_size, n_outputs):
            super().__init__()
            self.embedding = torch.nn.Embedding(1000, 4)
            self.head = torch.nn.Linear(4, n_outputs)

        def forward(self, X):
            return self.head(self.embedding(X[:, 0].long()))

    _, y, group = biased
    codes = np.arange(len(y))[:, None]
    params = {"module": Embedding, "fairness_modules": "head"}
    assert caught_of_scales(codes, y, group, **params) == []
    assert len(caught_of_scales(codes, y, group)) == 1

"""One thread for all, and data that no test may change."""

import pytest
import torch
from made_up import make_biased

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def biased():
    X, y, group = make_biased()
    for array in (X, y, group):
        array.flags.writeable = False
    return X, y, group

"""Fits in several threads and processes."""

import os
import threading

import joblib
import pytest
from conftest import fit, make
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier


def test_fits_in_two_threads_do_not_disturb_each_other(biased):
    params = [{"eta": 1.0}, {"eta": 10.0, "random_state": 1}]
    expected = [fit(biased, **settings).history_ for settings in params]
    histories = [[], []]

    def train(k):
        histories[k] += [fit(biased, **params[k]).history_ for _ in range(3)]

    threads = [threading.Thread(target=train, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histories == [3 * [history] for history in expected]


class ExitsWithLargeEta(FairBiNNClassifier):
    """A classifier whose process ends in `fit` if eta is large."""

    def fit(self, X, y, *, sensitive_features=None):
        if self.eta > 5:
            os._exit(1)
        return super().fit(X, y, sensitive_features=sensitive_features)


@pytest.mark.slow
def test_a_search_raises_if_a_worker_process_exits(biased):
    X, y, _ = biased
    with joblib.parallel_config("loky", n_jobs=2):
        clf = ExitsWithLargeEta(**make(max_epochs=1).get_params())
        search = GridSearchCV(clf, {"eta": [0, 10]}, cv=2)
        with pytest.raises(joblib.externals.loky.process_executor.TerminatedWorkerError):
            search.fit(X, y)

"""Train on made-up rows and write what came out: run by `accelerate launch` and without it."""

import pickle
import sys

import numpy as np
import torch
from conftest import make_data

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn._data.batches import Batch


def main(file, rank, params):
    """Write logits, histories, a pickle and how often a share of a batch was taken."""
    shares, share = [], Batch.share

    def watched(self, processes):
        shares.append(1)
        return share(self, processes)

    Batch.share = watched
    X, y, group = make_data(600)
    clf = FairBiNNClassifier(batch_size=101, max_epochs=4, random_state=0, **params)
    weight = 1 + (group == "a")
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    early = FairBiNNClassifier(
        batch_size=101, max_epochs=4, early_stopping=True, random_state=np.int64(0), **params
    ).fit(X, y, sensitive_features=group)
    path = fairness_path(X, y, group, etas=[1, 5], estimator=clf.set_params(eta=1))
    results = [one.decision_function(X) for one in (clf, early, *path)]
    if rank == 0:
        with open(file, "wb") as target:
            pickle.dump(
                (results, clf.history_, path[1].history_, pickle.dumps(clf), len(shares)), target
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    from accelerate import Accelerator

    main(sys.argv[1], Accelerator().process_index, {"eta": 3.0, "device": "accelerate"})

"""Train on made-up samples and write the results: run by torch.distributed.run or called."""

import pickle
import sys

import numpy as np
import torch
from conftest import make_data

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn._data.batches import Batch


def main(file, rank, params):
    """Write logits, histories, a pickle, and the number of shards taken of batches."""
    shards, shard = [], Batch.shard

    def watched(self, processes):
        shards.append(1)
        return shard(self, processes)

    Batch.shard = watched
    X, y, group = make_data(600)
    clf = FairBiNNClassifier(batch_size=101, max_epochs=4, random_state=0, **params)
    weight = 1 + (group == "a")
    clf.fit(X, y, sensitive_features=group, sample_weight=weight)
    early = FairBiNNClassifier(
        batch_size=101, max_epochs=4, early_stopping=True, random_state=np.int64(0), **params
    ).fit(X, y, sensitive_features=group)
    path = fairness_path(X, y, group, etas=[1, 5], estimator=clf.set_params(eta=1))
    Batch.shard = shard
    if rank == 0:
        results = {
            "logits": [model.decision_function(X) for model in (clf, early, *path)],
            "histories": [clf.history_, path[1].history_],
            "pickle": pickle.dumps(clf),
            "n_shards": len(shards),
        }
        with open(file, "wb") as target:
            pickle.dump(results, target)


if __name__ == "__main__":
    torch.set_num_threads(1)
    from accelerate import Accelerator

    main(sys.argv[1], Accelerator().process_index, {"eta": 3.0, "device": "accelerate"})

"""Train a network with residual blocks and dropout, with layers for the follower."""

import numpy as np
import torch

from fairbinn_sklearn import FairBiNNClassifier


class Block(torch.nn.Sequential):
    """Layers whose output is added to their input."""

    def forward(self, X):
        """Return one vector per sample."""
        return X + super().forward(X)


class ResidualNet(torch.nn.Sequential):
    """The leader updates encoder, blocks and head; the follower updates fairness."""

    def __init__(self, n_features, n_outputs, width=32, n_blocks=2):
        super().__init__()
        self.encoder = torch.nn.Linear(n_features, width)
        self.blocks = torch.nn.Sequential()
        for _ in range(n_blocks):
            layer = torch.nn.Linear(width, width)
            self.blocks.append(Block(layer, torch.nn.ReLU(), torch.nn.Dropout(0.1)))
        self.fairness = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU())
        self.head = torch.nn.Linear(width, n_outputs)


rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 4000)
X = rng.normal(size=(4000, 5)) + (group == "a")[:, None] * [1, 0, 0, 0, 0]
y = (X.sum(axis=1) + rng.normal(size=4000) > 1).astype(int)
net = {"module": ResidualNet, "fairness_modules": "fairness", "module__n_blocks": 3}
clf = FairBiNNClassifier(eta=10, **net, random_state=0)
clf.fit(X[:2000], y[:2000], sensitive_features=group[:2000])
a, b = (clf.predict(X[2000:])[group[2000:] == name].mean() for name in "ab")
print(f"accuracy {clf.score(X[2000:], y[2000:]):.2f}, rate of a {a:.2f}, rate of b {b:.2f}")

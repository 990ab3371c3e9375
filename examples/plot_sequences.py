"""
Sequences: a user-defined recurrent network
===========================================

The paper does not cover sequences, but the method is not limited to tables: it works with any torch
module whose layers can be divided between the two players. This example trains a GRU on synthetic
sequences, in which the bias of the labels is known.
"""

# %%
# Sequences with a known bias
# ---------------------------
# The data are 4,000 accounts over 24 months. Each month has a balance and the day of the largest
# payment. Whether a customer is *sound* depends on the trend of the balance, which has the same
# distribution in groups "a" and "b". The recorded label is biased: 60 % of the sound customers of
# "b" are recorded as unsound. The payment days have the same mean in both groups, but those of "b"
# alternate from month to month. The group is not a feature, but the sequence reveals it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from fairlearn.metrics import demographic_parity_difference
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier

torch.set_num_threads(1)
rng = np.random.default_rng(0)
n_samples, n_months = 4000, 24
group = rng.choice(["a", "b"], n_samples)
trend = rng.normal(size=n_samples)
sound = (trend + rng.normal(scale=0.3, size=n_samples) > 0).astype(int)
recorded = np.where((group == "b") & (rng.random(n_samples) < 0.6), 0, sound)

months = np.arange(n_months)
balance = 0.05 * np.outer(trend, months) + rng.normal(scale=0.5, size=(n_samples, n_months))
day = np.where(group == "b", 0.5, 0.0)[:, None] * (-1.0) ** months
day = day + rng.normal(scale=0.5, size=(n_samples, n_months))
X = np.stack([balance, day], axis=2)  # (accounts, months, features)

print(f"X has shape {X.shape}")
labels = pd.DataFrame({"group": group, "sound": sound, "recorded": recorded})
print(labels.groupby("group").mean().round(2))

# %%
# The network
# -----------
# The constructor receives the shape of a sample, here (24, 2), and the number of logits, 1 for two
# classes. ``fairness_modules`` names the follower's layers; the leader trains all others.


class SequenceNet(torch.nn.Module):
    """GRU, one layer for the follower, and a head."""

    def __init__(self, shape, n_outputs, width=16):
        super().__init__()
        self.gru = torch.nn.GRU(shape[1], width, batch_first=True)
        self.fairness = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU())
        self.head = torch.nn.Linear(width, n_outputs)

    def forward(self, X):
        """Return the logits computed from the state after the last month."""
        _, state = self.gru(X)
        return self.head(self.fairness(state[-1]))


# %%
# Fits over eta
# -------------
# Training uses the recorded labels only. On held-out accounts, the predictions are compared with
# the recorded labels and with the true labels, which are not recorded.

X_train, X_test, y_train, y_test, _, sound_test, group_train, group_test = train_test_split(
    X, recorded, sound, group, random_state=0
)
records = []
for eta in [0, 1, 3, 10]:
    clf = FairBiNNClassifier(
        eta=eta,
        module=SequenceNet,
        fairness_modules="fairness",
        lr=5e-3,
        batch_size=128,
        max_epochs=15,
        random_state=0,
    )
    clf.fit(X_train, y_train, sensitive_features=group_train)
    y_pred = clf.predict(X_test)
    rate_a, rate_b = (y_pred[group_test == name].mean() for name in "ab")
    records.append(
        {
            "eta": eta,
            "selected of a": rate_a,
            "selected of b": rate_b,
            "difference": demographic_parity_difference(
                y_test, y_pred, sensitive_features=group_test
            ),
            "as recorded": (y_pred == y_test).mean(),
            "as in truth": (y_pred == sound_test).mean(),
        }
    )
table = pd.DataFrame(records).set_index("eta")
print(table.round(2).to_string())

# %%
# The network with ``eta=0`` has learned the bias: it infers the group from the payment days, and
# selects far fewer customers of "b" than are sound. As ``eta`` grows, the selection rates approach
# each other. The predictions then agree less with the recorded labels and more with the true
# labels. This holds here because both groups are equally sound, as demographic parity assumes. It
# does not hold in general.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharex=True)
positions = range(len(table))
for column, marker in (("selected of a", "o"), ("selected of b", "s")):
    axes[0].plot(positions, table[column], marker=marker, label=column.removeprefix("selected of "))
axes[0].set(ylabel="share selected", title="Selection rate by group")
axes[0].legend(title="group")
for column, marker in (("as recorded", "o"), ("as in truth", "s")):
    axes[1].plot(positions, table[column], marker=marker, label=column)
axes[1].set(ylabel="share of held-out accounts", title="Predictions that agree with the label")
axes[1].legend(title="label")
for ax in axes:
    ax.set(xlabel="eta", xticks=positions, xticklabels=[f"{eta:g}" for eta in table.index])
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
plt.show()

# %%
# With ``fairness_modules="gru"`` the follower trains the GRU instead. All update rules work with
# user-defined modules. "unrolled" differentiates twice, which cuDNN's recurrent layers do not
# support, so train such a module on the CPU.

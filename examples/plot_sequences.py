"""
Sequences: a recurrent net of your own
======================================

The paper leaves sequences open. Nothing in the method is about tables, though: any torch module
whose layers can be dealt out to both players will do. Here it is a GRU over made-up sequences whose
unfairness is known, because we put it in.
"""

# %%
# Sequences with a known unfairness
# ---------------------------------
# 4,000 accounts are watched for 24 months. Each month brings a balance and the day of its largest
# payment. Whether a customer is *sound* depends on the trend of the balance, which has the same
# distribution in groups "a" and "b". The recorded label is biased: of the sound customers of "b",
# 60 % are recorded as unsound. The days of payment tell the groups apart: both have the same mean,
# but those of "b" alternate. So the group is not a column, yet the sequence gives it away.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from fairlearn.metrics import demographic_parity_difference
from sklearn.model_selection import train_test_split

from fairbinn_sklearn import FairBiNNClassifier

torch.set_num_threads(1)
rng = np.random.default_rng(0)
n_rows, n_months = 4000, 24
group = rng.choice(["a", "b"], n_rows)
trend = rng.normal(size=n_rows)
sound = (trend + rng.normal(scale=0.3, size=n_rows) > 0).astype(int)
recorded = np.where((group == "b") & (rng.random(n_rows) < 0.6), 0, sound)

months = np.arange(n_months)
balance = 0.05 * np.outer(trend, months) + rng.normal(scale=0.5, size=(n_rows, n_months))
day = np.where(group == "b", 0.5, 0.0)[:, None] * (-1.0) ** months
day = day + rng.normal(scale=0.5, size=(n_rows, n_months))
X = np.stack([balance, day], axis=2)  # accounts, months, figures of a month

print(f"X has shape {X.shape}")
labels = pd.DataFrame({"group": group, "sound": sound, "recorded": recorded})
print(labels.groupby("group").mean().round(2))

# %%
# The net
# -------
# The constructor gets the shape of a row, here (24, 2), and the number of logits, 1 for two
# classes. ``fairness_modules`` names the layers of the follower; the leader owns the others.


class SequenceNet(torch.nn.Module):
    """A GRU, a layer for the follower, and a head."""

    def __init__(self, shape, n_outputs, width=16):
        super().__init__()
        self.gru = torch.nn.GRU(shape[1], width, batch_first=True)
        self.fairness = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU())
        self.head = torch.nn.Linear(width, n_outputs)

    def forward(self, X):
        """Logits from the state after the last month."""
        _, state = self.gru(X)
        return self.head(self.fairness(state[-1]))


# %%
# Fit over eta
# ------------
# Training sees the recorded labels alone. On held-out accounts we look at the decisions, and ask
# how well they agree with the labels as recorded and with the truth that no one recorded.

parts = train_test_split(X, recorded, sound, group, random_state=0)
X_train, X_test, y_train, y_test, _, sound_test, group_train, group_test = parts
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
    decisions = clf.predict(X_test)
    a, b = (decisions[group_test == name].mean() for name in "ab")
    records.append(
        {
            "eta": eta,
            "selected of a": a,
            "selected of b": b,
            "difference": demographic_parity_difference(
                y_test, decisions, sensitive_features=group_test
            ),
            "as recorded": (decisions == y_test).mean(),
            "as in truth": (decisions == sound_test).mean(),
        }
    )
table = pd.DataFrame(records).set_index("eta")
print(table.round(2).to_string())

# %%
# The plain net has learned the bias: it reads the group from the days of payment, and selects far
# fewer of "b" than are sound. As ``eta`` grows, both groups are selected alike. The decisions then
# agree less with the records and more with the truth. That is no law: it happens here because both
# groups are equally sound, which is what demographic parity assumes. Where they are not, the same
# figures mean something else.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharex=True)
places = range(len(table))
for column, marker in (("selected of a", "o"), ("selected of b", "s")):
    axes[0].plot(places, table[column], marker=marker, label=column.removeprefix("selected of "))
axes[0].set(ylabel="share selected", title="Selection rate by group")
axes[0].legend(title="group")
for column, marker in (("as recorded", "o"), ("as in truth", "s")):
    axes[1].plot(places, table[column], marker=marker, label=column)
axes[1].set(ylabel="share of held-out accounts", title="Decisions that agree with the label")
axes[1].legend(title="label")
for ax in axes:
    ax.set(xlabel="eta", xticks=places, xticklabels=[f"{eta:g}" for eta in table.index])
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
plt.show()

# %%
# With ``fairness_modules="gru"`` the follower would own the GRU instead. All update rules work with
# nets of your own; "unrolled" differentiates twice, which cuDNN's recurrent layers cannot do, so
# use it on the CPU there.

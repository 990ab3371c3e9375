"""Write a model card with an audit by group, and the model as a skops file."""

import skops.io
from fairlearn.metrics import MetricFrame, count, selection_rate, true_positive_rate
from sklearn.preprocessing import StandardScaler
from skops.card import Card

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult

adult = load_adult()
X = StandardScaler().fit_transform(adult.data.select_dtypes("number"))
y, sex = adult.target, adult.sensitive_features["sex"]
train, test = slice(0, 6000), slice(30000, None)
clf = FairBiNNClassifier(eta=3, max_epochs=10, random_state=0)
clf.fit(X[train], y[train], sensitive_features=sex[train])
skops.io.dump(clf, "model.skops")

audit = MetricFrame(
    metrics={"samples": count, "selection rate": selection_rate, "TPR": true_positive_rate},
    y_true=y[test],
    y_pred=clf.predict(X[test]),
    sensitive_features=sex[test],
)
card = Card(clf, model_format="skops", model_diagram=False)
about = "Predicts incomes above 50,000 dollars (UCI Adult, 1994). Sex was not a feature."
limits = "An example for documentation, not for decisions on people."
card.add(**{"Model description": about})
card.add(**{"Model description/Intended uses & limitations": limits})
card.add_metrics(accuracy=round(clf.score(X[test], y[test]), 3), eta=clf.eta_)
card.add_table(**{"Audit by sex": audit.by_group.round(3).reset_index()})
card.save("README.md")
print(card.select("Audit by sex").format())

"""Equalized odds and equal opportunity in the place of demographic parity: appendix 7.2.

python examples/paper/criteria.py
"""

from common import OURS, arguments, finish, load, pd

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, EqualOpportunity

ETAS = [0, 1, 3, 10, 30, 100]
FIGURES = [
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
]

given = arguments(__doc__)
train, (X, y, group) = load(given)
tables = []
for criterion in (DemographicParity, EqualOpportunity, EqualizedOdds):
    settings = {**OURS, "constraint": criterion(aggregation="max"), "equalize": "decisions"}
    estimator = FairBiNNClassifier(**settings, max_epochs=given.epochs, device="cpu")
    path = fairness_path(*train, etas=ETAS, seeds=range(given.seeds), estimator=estimator)
    table = path.evaluate(X, y, sensitive_features=group, metrics=FIGURES).to_frame()
    tables.append(table.assign(setting=criterion.__name__))
short = {name: name.replace("_", " ").removesuffix(" difference") for name in FIGURES}
finish("criteria", given, pd.concat(tables).rename(columns=short))

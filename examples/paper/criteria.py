"""Train with equalized odds and equal opportunity, as in the paper's appendix 7.2.

python examples/paper/criteria.py
"""

from common import OURS, finish, load, parse_args, pd

from fairbinn_sklearn import FairBiNNClassifier, fairness_path
from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, EqualOpportunity

ETAS = [0, 1, 3, 10, 30, 100]
METRICS = [
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
]

args = parse_args(__doc__)
train, (X, y, group) = load(args)
tables = []
for criterion in (DemographicParity, EqualOpportunity, EqualizedOdds):
    settings = {**OURS, "constraint": criterion(aggregation="max"), "equalize": "decisions"}
    estimator = FairBiNNClassifier(**settings, max_epochs=args.epochs, device="cpu")
    path = fairness_path(*train, etas=ETAS, seeds=range(args.seeds), estimator=estimator)
    table = path.evaluate(X, y, sensitive_features=group, metrics=METRICS).to_frame()
    tables.append(table.assign(setting=criterion.__name__))
short_names = {name: name.replace("_", " ").removesuffix(" difference") for name in METRICS}
finish("criteria", args, pd.concat(tables).rename(columns=short_names))

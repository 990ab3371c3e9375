"""Train with equalized odds and equal opportunity, as in the paper's appendix 7.2.

python examples/paper/criteria.py
"""

from common import finish, fit_path, load, parse_args, pd, run

from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, EqualOpportunity

ETAS = [0, 1, 10, 30]
METRICS = [
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
]

args = parse_args(__doc__)
train, (X, y, group) = load(args)
tables = []
for criterion in (DemographicParity, EqualOpportunity, EqualizedOdds):
    if run(criterion.__name__, args):
        settings = {"constraint": criterion(aggregation="max"), "equalize": "decisions"}
        path = fit_path(settings, ETAS, args, train)
        table = path.evaluate(X, y, sensitive_features=group, metrics=METRICS).to_frame()
        tables.append(table.assign(setting=criterion.__name__))
short_names = {name: name.replace("_", " ").removesuffix(" difference") for name in METRICS}
finish("criteria", args, pd.concat(tables).rename(columns=short_names))

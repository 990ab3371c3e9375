"""Train with equalized odds and equal opportunity, as in the paper's appendix 7.2.

python examples/paper/criteria.py
"""

from common import finish, fit_path, load, parse_args, pd

from fairbinn_sklearn.losses import DemographicParity, EqualizedOdds, EqualOpportunity

ETAS = [0, 1, 10, 30]
METRICS = [
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
]

CRITERIA = {
    criterion.__name__: criterion
    for criterion in (DemographicParity, EqualOpportunity, EqualizedOdds)
}

args = parse_args(__doc__, CRITERIA)
train, (X, y, group) = load(args)
tables = []
for name, criterion in CRITERIA.items():
    if name in args.settings:
        settings = {"constraint": criterion(aggregation="max"), "equalize": "decisions"}
        path = fit_path(settings, ETAS, args, train)
        table = path.evaluate(X, y, sensitive_features=group, metrics=METRICS).to_frame()
        tables.append(table.assign(setting=name))
short_names = {name: name.replace("_", " ").removesuffix(" difference") for name in METRICS}
finish("criteria", args, pd.concat(tables).rename(columns=short_names))

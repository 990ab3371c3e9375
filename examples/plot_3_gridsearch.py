r"""
Tune a pipeline under a bound
=============================

:class:`sklearn.model_selection.GridSearchCV` tunes ``eta`` together with the other parameters of a
pipeline. It uses two scorers, and :func:`fairbinn_sklearn.metrics.best_under` selects the most
accurate candidate whose difference meets a bound. If ``eta`` is the only parameter to tune,
:class:`fairbinn_sklearn.FairBiNNClassifierCV` takes less time.

The script takes about a minute on two CPU cores.
"""

# %%
# A search over two parameters
# ----------------------------
# Metadata routing passes the sensitive features of each fold to the classifier and to the scorers.
# To save time, the example uses 5,000 samples of Adult.

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.metrics import best_under, fairness_scoring
from fairbinn_sklearn.preprocessing import tabular_preprocessor

sklearn.set_config(enable_metadata_routing=True)

train = load_adult(subset="train")
X = train.data.sample(5000, random_state=0)
y, sex = train.target[X.index], X["sex"]
preprocessor = tabular_preprocessor()
estimator = FairBiNNClassifier(random_state=0)
search = GridSearchCV(
    make_pipeline(preprocessor, estimator),
    {
        "fairbinnclassifier__eta": [0, 1, 3, 10],
        "fairbinnclassifier__lr": [1e-3, 3e-3],
    },
    scoring=fairness_scoring("demographic_parity_difference", "mean_score_difference"),
    refit=best_under(0.05),
    cv=3,
    n_jobs=2,
)
search.fit(X, y, sensitive_features=sex)
print("Chosen:", search.best_params_)

# %%
# Differences are negated in ``cv_results_``, as scikit-learn does with losses. The table has the
# difference of decisions and the difference of mean scores. The latter indicates whether parity
# would hold at another threshold.

table = pd.DataFrame(search.cv_results_)[
    [
        "param_fairbinnclassifier__eta",
        "param_fairbinnclassifier__lr",
        "mean_test_accuracy",
        "mean_test_demographic_parity_difference",
        "mean_test_mean_score_difference",
    ]
]
table.columns = ["eta", "lr", "accuracy", "-difference", "-score difference"]
print(table.round(4).to_string(index=False))

# %%
# All candidates in one figure, with the standard deviation over the folds:

display = ParetoFrontDisplay.from_cv_results(search.cv_results_, bound=0.05)
display.ax_.set_title("Candidates of the search, 3 folds")

# %%
# Tuning eta only
# ---------------
# ``FairBiNNClassifierCV`` trains one path of networks per fold and one on all samples. The folds
# are stratified by label and group. It replaces the classifier in a pipeline.

by_cv = make_pipeline(
    preprocessor,
    FairBiNNClassifierCV([0, 0.3, 1, 3, 10, 30], estimator=estimator, cv=3, bound=0.05),
)
by_cv.fit(X, y, sensitive_features=sex)
chosen = by_cv[-1]
print(f"Chosen: eta {chosen.eta_:g}")
print(chosen.path_.to_frame().round(4).to_string(index=False))

# %%
# These are the metrics of the path on all samples, on which it was trained. The choice is based on
# the metrics of the folds:

display = ParetoFrontDisplay.from_cv_results(chosen.cv_results_, bound=0.05)
display.ax_.set_title("eta by cross-validation, 3 folds")

plt.show()

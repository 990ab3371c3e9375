r"""
Tune a pipeline under a bound
=============================

``eta`` is one setting among others. :class:`sklearn.model_selection.GridSearchCV` tunes it together
with the rest of a pipeline, by two scorers, and :func:`fairbinn_sklearn.metrics.best_under` takes
the most accurate candidate whose difference meets a bound. If ``eta`` is all there is to choose,
:class:`fairbinn_sklearn.FairBiNNClassifierCV` gives the choice for less time.

The whole script takes about a minute on two CPU cores.
"""

# %%
# A search over two settings
# --------------------------
# Metadata routing hands the sensitive features of each fold to the classifier and to the scorers.
# To be quick we take 5,000 rows of Adult.

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fairbinn_sklearn import FairBiNNClassifier, FairBiNNClassifierCV
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.inspection import ParetoFrontDisplay
from fairbinn_sklearn.metrics import best_under, fairness_scoring

sklearn.set_config(enable_metadata_routing=True)

train = load_adult(subset="train")
X = train.data.sample(5000, random_state=0)
y, sex = train.target[X.index], X["sex"]
preprocessor = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
)
settings = FairBiNNClassifier(random_state=0)
search = GridSearchCV(
    make_pipeline(preprocessor, settings),
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
# Differences are negated in ``cv_results_``, as scikit-learn does with losses. Beside the
# difference of decisions stands that of mean scores: it tells whether parity would survive another
# threshold.

table = pd.DataFrame(search.cv_results_)[
    [
        "param_fairbinnclassifier__eta",
        "param_fairbinnclassifier__lr",
        "mean_test_accuracy",
        "mean_test_demographic_parity_difference",
        "mean_test_mean_score_difference",
    ]
]
table.columns = ["eta", "lr", "accuracy", "- difference", "- of scores"]
print(table.round(4).to_string(index=False))

# %%
# All candidates in one picture, with the standard deviation over the folds:

display = ParetoFrontDisplay.from_cv_results(search.cv_results_, bound=0.05)
display.ax_.set_title("Candidates of the search, 3 folds")

# %%
# Only eta
# --------
# ``FairBiNNClassifierCV`` trains the nets of all ``eta`` side by side, once a fold and once on all
# rows, on folds that are stratified by label and group. It goes where the classifier goes.

by_cv = make_pipeline(
    preprocessor,
    FairBiNNClassifierCV([0, 0.3, 1, 3, 10, 30], estimator=settings, cv=3, bound=0.05),
)
by_cv.fit(X, y, sensitive_features=sex)
chosen = by_cv[-1]
print(f"Chosen: eta {chosen.eta_:g}")
print(chosen.path_.to_frame().round(4).to_string(index=False))

# %%
# These figures are those of the path on all rows, which it was trained on. The choice went by
# those of the folds:

display = ParetoFrontDisplay.from_cv_results(chosen.cv_results_, bound=0.05)
display.ax_.set_title("eta by cross-validation, 3 folds")

plt.show()

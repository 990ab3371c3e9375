"""Add scores of gradient boosting to the features, with columns of strings."""

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OrdinalEncoder

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.metrics import FairnessScorer
from fairbinn_sklearn.preprocessing import CrossFittedScores, tabular_preprocessor

adult = load_adult()
X, y, sex = adult.data, adult.target, adult.sensitive_features["sex"]
text = X.columns[X.dtypes == "category"]
X = X.astype(dict.fromkeys(text, object))  # as read from a CSV file
train, test = slice(0, 6000), slice(30000, None)

# Gradient boosting takes numbers: encode strings as integers first.
to_integers = make_column_transformer(
    (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        make_column_selector(dtype_exclude="number"),
    ),
    remainder="passthrough",
)
boosting = make_pipeline(to_integers, HistGradientBoostingClassifier(random_state=0))
with_scores = make_union(tabular_preprocessor(), CrossFittedScores(boosting))
for name, features in (("bins", tabular_preprocessor()), ("bins and scores", with_scores)):
    clf = FairBiNNClassifier(fairness_target=0.05, random_state=0)
    model = make_pipeline(features, clf)
    model.fit(X[train], y[train], fairbinnclassifier__sensitive_features=sex[train])
    difference = -FairnessScorer()(model, X[test], y[test], sensitive_features=sex[test])
    accuracy = model.score(X[test], y[test])
    print(f"{name:15} accuracy {accuracy:.3f}, difference {difference:.3f}")

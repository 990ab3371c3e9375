"""Train on embeddings of texts; the same works for images."""

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairbinn_sklearn import FairBiNNClassifier

rng = np.random.default_rng(0)
group = rng.choice(["a", "b"], 3000)
skilled = rng.random(3000) < 0.5
hired = skilled & ((group == "a") | (rng.random(3000) < 0.5))  # half of "b" were not hired


def write(skilled, group):
    """Return a short text whose words depend on skill and group."""
    words = ["python", "statistics"] if skilled else ["cooking", "music"]
    words += ["chess", "golf"] if group == "a" else ["yoga", "poetry"]
    return " ".join(rng.choice(words + ["team", "work", "city"], 8))


texts = [write(*person) for person in zip(skilled, group, strict=True)]


def embed(texts):
    """Replace this function by your frozen encoder; it returns one vector per text."""
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0)).fit_transform(texts)


X = StandardScaler().fit_transform(embed(texts))
for eta in (0, 10):
    clf = FairBiNNClassifier(eta=eta, max_epochs=10, random_state=0)
    clf.fit(X[:2000], hired[:2000], sensitive_features=group[:2000])
    predicted, test = clf.predict(X[2000:]), group[2000:]
    a, b = (predicted[test == name].mean() for name in "ab")
    agree = (predicted == skilled[2000:]).mean()
    print(f"eta {eta}: hired of a {a:.2f}, of b {b:.2f}; agreement with skill {agree:.2f}")

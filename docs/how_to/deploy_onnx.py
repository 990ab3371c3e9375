"""Export a pipeline to ONNX and predict labels without this package."""

import numpy as np
import onnxruntime
from sklearn.pipeline import make_pipeline

from fairbinn_sklearn import FairBiNNClassifier
from fairbinn_sklearn.datasets import load_adult
from fairbinn_sklearn.export import to_onnx
from fairbinn_sklearn.preprocessing import tabular_preprocessor

adult = load_adult(subset="train")
X, y, sex = adult.data[:4000], adult.target[:4000], adult.sensitive_features["sex"][:4000]
clf = FairBiNNClassifier(eta=10, max_epochs=5, random_state=0)
model = make_pipeline(tabular_preprocessor(), clf)
model.fit(X, y, fairbinnclassifier__sensitive_features=sex)

with open("model.onnx", "wb") as file:
    file.write(to_onnx(model, X).SerializeToString())

# On the server: onnxruntime, numpy, the file and the threshold.
session = onnxruntime.InferenceSession("model.onnx")
new = adult.data[4000:4500]
inputs = {}
for column in session.get_inputs():
    values = new[[column.name]]
    if "string" in column.type:
        inputs[column.name] = values.astype(object).fillna("nan").to_numpy(dtype=object)
    else:
        inputs[column.name] = values.to_numpy()
(probabilities,) = session.run(["probabilities"], inputs)
labels = np.where(probabilities[:, 1] > clf.threshold_, 1, 0)

print(f"{len(inputs)} inputs, {len(labels)} predictions")
print("equal to the pipeline:", (labels == model.predict(new)).all())

"""Export of a classifier, or of a pipeline that ends in one, to ONNX."""

import copy
import io
import logging
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._classifier import FairBiNNClassifier
from ._steps import OUTPUT, convert_steps, first_samples, merge, model_inputs

OPSET = 18
TOLERANCE = 1e-4  # maximum difference of probabilities; rounding causes about 1e-7


class _Probabilities(nn.Module):
    """Module that returns probabilities instead of logits."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, X):
        logits = self.module(X)
        if logits.shape[-1] > 1:
            return torch.softmax(logits, -1)
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], -1)


def to_onnx(estimator, X=None):
    """Export a fitted classifier, or a pipeline that ends in one, to ONNX.

    Parameters
    ----------
    estimator : FairBiNNClassifier or sklearn.pipeline.Pipeline
        Fitted classifier, or fitted pipeline that ends in one. The Notes list the transformers
        that a pipeline may contain.

    X : array-like or DataFrame of shape (n_samples, n_features), default=None
        Samples for the pipeline; not needed for a classifier without a pipeline. They determine
        the names and types of the inputs. The predictions of the model and of the pipeline are
        compared on the first 100 samples. Must be a DataFrame if the pipeline was fitted on one.

    Returns
    -------
    model : onnx.ModelProto
        Model with one output, "probabilities" of shape (n_samples, n_classes), in the order of
        ``classes_``. The metadata of the model contain the classes as "classes". Write the model
        to a file with ``onnx.save(model, path)``.

        A classifier, or a pipeline fitted on an array, has one input, "X". A classifier takes
        float32. A pipeline fitted on a DataFrame has one input of shape (n_samples, 1) for each
        column. Numbers have the type of the column, and float64 if it is one of pandas's nullable
        types. All other values are text, and missing ones are the text "nan".

    Raises
    ------
    TypeError
        If `estimator` is neither a FairBiNNClassifier nor a pipeline that ends in one.
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    ValueError
        If skl2onnx cannot convert a step of the pipeline, or if `X` is missing, is not a DataFrame
        as in `fit`, or has column names that cannot be names of inputs.
    RuntimeError
        If the exported model is not valid, or its probabilities differ from `predict_proba`.

    Notes
    -----
    Requires onnx, onnxscript and, for pipelines, skl2onnx
    (``pip install "fairbinn-sklearn[export]"``). The network is exported in float32, in which it
    predicts, so that probabilities differ from `predict_proba` by rounding only.

    These transformers are tested:
    :func:`~fairbinn_sklearn.preprocessing.tabular_preprocessor`,
    :class:`~fairbinn_sklearn.preprocessing.PiecewiseLinearEncoder`, ColumnTransformer,
    StandardScaler, MaxAbsScaler, OneHotEncoder, PCA, and SimpleImputer for float32 columns. Other
    transformers that skl2onnx can convert may work, too; the comparison on `X` detects wrong
    conversions.

    The model returns probabilities. To predict labels, compare them with
    `threshold_` of the classifier.

    An ONNX model raises no errors for invalid input. For example, the probabilities of a sample
    are NaN if PiecewiseLinearEncoder raises an error for its missing values.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.export import to_onnx
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3)).astype(np.float32)
    >>> clf = FairBiNNClassifier(eta=0, random_state=0).fit(X, X[:, 0] > 0)
    >>> session = onnxruntime.InferenceSession(to_onnx(clf).SerializeToString())
    >>> (probabilities,) = session.run(None, {"X": X})
    >>> bool(np.allclose(probabilities, clf.predict_proba(X), atol=1e-6))
    True
    """
    is_pipeline = isinstance(estimator, Pipeline)
    classifier = estimator[-1] if is_pipeline else estimator
    if not isinstance(classifier, FairBiNNClassifier):
        advice = " Pass its best_estimator_." if hasattr(estimator, "best_estimator_") else ""
        raise TypeError(
            "estimator must be a FairBiNNClassifier or a Pipeline that ends in one, got "
            f"{type(estimator).__name__}.{advice}"
        )
    check_is_fitted(classifier, "net_")
    if is_pipeline and len(estimator) > 1:
        samples = first_samples(estimator, X)
        expected = estimator.predict_proba(samples)
        steps = convert_steps(estimator[:-1], samples, OPSET)
        model = merge(steps, _convert_network(classifier))
        _check_predictions(model, model_inputs(samples), expected)
    else:
        model = _convert_network(classifier)
    import onnx

    onnx.helper.set_model_props(model, {"classes": repr(classifier.classes_.tolist())})
    return model


def _convert_network(classifier):
    import onnx

    module = _Probabilities(copy.deepcopy(classifier.module_).cpu().float()).eval()
    example = torch.zeros(2, *classifier.net_.input_shape)
    data = io.BytesIO()
    with warnings.catch_warnings(), _quiet_exporter():
        warnings.simplefilter("ignore")  # Ignore deprecation warnings inside torch and onnxscript.
        torch.onnx.export(
            module,
            (example,),
            data,
            input_names=["X"],
            output_names=[OUTPUT],
            dynamic_shapes={"X": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load_from_string(data.getvalue())
    samples = torch.cat([example, torch.ones_like(example)])
    with torch.no_grad():
        _check_predictions(model, {"X": samples.numpy()}, module(samples).numpy())
    return model


@contextmanager
def _quiet_exporter():
    """Silence torch's log message that torchvision is not installed, because it is not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_predictions(model, inputs, expected):
    """Raise an error for a model whose predictions differ, as some exporter versions make them."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        onnx.checker.check_model(model, full_check=True)
        with np.errstate(all="ignore"):
            (probabilities,) = ReferenceEvaluator(model).run(None, inputs)
    except NotImplementedError:  # The evaluator does not implement an operator.
        return
    except Exception as error:  # Operators may raise errors of any type.
        raise RuntimeError(
            f"The exported model is not valid: {error}. Convert the columns of X to float32 before "
            "fit, which more operators support."
        ) from error
    difference = np.abs(probabilities - expected).max()
    if not difference < TOLERANCE:
        raise RuntimeError(
            "The probabilities of the exported model differ from predict_proba by "
            f"{difference:.2g}. Try other versions of torch, onnxscript and skl2onnx."
        )

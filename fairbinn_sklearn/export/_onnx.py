"""A fitted classifier, or a pipeline that ends in one, as an ONNX model."""

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
from ._steps import OUTPUT, convert_steps, feeds, first_rows, join

OPSET = 18
TOLERANCE = 1e-4  # of probabilities; rounding makes about 1e-7


class _Probabilities(nn.Module):
    """The net, with probabilities in place of logits."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, X):
        logits = self.module(X)
        if logits.shape[-1] > 1:
            return torch.softmax(logits, -1)
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], -1)


def to_onnx(estimator, X=None):
    """Fitted classifier as an ONNX model, with the steps of a pipeline before it.

    Parameters
    ----------
    estimator : FairBiNNClassifier or sklearn.pipeline.Pipeline
        Fitted classifier, or fitted pipeline that ends in one. The other steps must be known to
        skl2onnx, or come from :func:`~fairbinn_sklearn.preprocessing.tabular_preprocessor` or be a
        :class:`~fairbinn_sklearn.preprocessing.PiecewiseLinearEncoder`.

    X : array-like or DataFrame of shape (n_samples, n_features), default=None
        Some rows that the pipeline takes, for the names and types of its columns. The model is
        compared with the pipeline on the first hundred. Not needed for a classifier alone.

    Returns
    -------
    model : onnx.ModelProto
        Model with one output, "probabilities" of shape (N, n_classes), in the order of
        ``classes_``, which the metadata of the model have as "classes". The input of a classifier
        is "X", float32 of shape (N, n_features). Of a pipeline it is "X" for an array, and an
        input of shape (N, 1) for each column of a DataFrame: numbers in the type of the column, or
        float64 where that may have missing values as pandas's nullable types do; all else as text,
        with "nan" for a missing value. ``onnx.save(model, file)`` writes it.

    Raises
    ------
    TypeError
        If `estimator` is neither, or a pipeline that ends otherwise.
    sklearn.exceptions.NotFittedError
        If it was not fitted.
    ValueError
        If a step of the pipeline has no converter, or `X` is missing for a pipeline.
    RuntimeError
        If an exporter fails, or makes a model whose probabilities are others.

    See Also
    --------
    save : A file that this package loads again.

    Notes
    -----
    Needs onnx, onnxscript and, for pipelines, skl2onnx
    (``pip install "fairbinn-sklearn[export]"``). The net is exported by :func:`torch.onnx.export`,
    in float32, as it predicts; probabilities differ from `predict_proba` by rounding. An ONNX model
    raises no errors of its own: where the encoder refuses NaN, its probabilities are NaN.

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
    if isinstance(estimator, Pipeline) and isinstance(estimator[-1], FairBiNNClassifier):
        classifier = estimator[-1]
        check_is_fitted(classifier, "net_")
        model = _net(classifier)
        if len(estimator) > 1:
            if X is None:
                raise ValueError("X must be some rows that the pipeline takes, got None.")
            rows = first_rows(X)
            expected = estimator.predict_proba(rows)
            model = join(convert_steps(estimator[:-1], rows, OPSET), model)
            _check(model, feeds(rows), expected)
    elif isinstance(estimator, FairBiNNClassifier):
        check_is_fitted(estimator, "net_")
        classifier, model = estimator, _net(estimator)
    else:
        raise TypeError(
            "estimator must be a FairBiNNClassifier, or a Pipeline that ends in one, got "
            f"{type(estimator).__name__}."
            + (" Pass its best_estimator_." if hasattr(estimator, "best_estimator_") else "")
        )
    import onnx

    onnx.helper.set_model_props(model, {"classes": repr(classifier.classes_.tolist())})
    return model


def _net(classifier):
    import onnx

    module = _Probabilities(copy.deepcopy(classifier.module_).cpu().float()).eval()
    example = torch.zeros(2, *classifier.net_.input_shape)
    data = io.BytesIO()
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # of the exporter's own dependencies
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
    rows = torch.cat([example, torch.ones_like(example)])
    with torch.no_grad():
        _check(model, {"X": rows.numpy()}, module(rows).numpy())
    return model


@contextmanager
def _quiet():
    """Without torch's word that torchvision, which no net here needs, is missing."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check(model, inputs, expected):
    """Refuse a model that predicts otherwise; some versions of the exporters make such ones."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        onnx.checker.check_model(model, full_check=True)
        with np.errstate(all="ignore"):
            (found,) = ReferenceEvaluator(model).run(None, inputs)
    except NotImplementedError:  # an operator that the evaluator does not have
        return
    except Exception as error:  # whatever an operator raises
        raise RuntimeError(
            f"The exported model is not valid; columns of float32 may help: {error}"
        ) from error
    off = np.abs(found - expected).max()
    if not off < TOLERANCE:
        raise RuntimeError(
            f"The exported model predicts otherwise: probabilities are off by {off:.2g}. "
            "Other versions of torch, onnxscript and skl2onnx may do better."
        )

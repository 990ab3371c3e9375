"""A fitted classifier, or a pipeline that ends in one, as an ONNX model."""

import copy
import io
import warnings

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._classifier import FairBiNNClassifier
from ._encoder import register

OPSET = 18


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
        skl2onnx, or be :class:`~fairbinn_sklearn.preprocessing.PiecewiseLinearEncoder`.

    X : array-like or DataFrame of shape (n_samples, n_features), default=None
        Some rows that the pipeline takes, for the names and types of its columns; one will do. Not
        needed for a classifier alone.

    Returns
    -------
    model : onnx.ModelProto
        Model with one output, "probabilities" of shape (N, n_classes), in the order of
        ``classes_``, which the metadata of the model have as "classes". The input of a classifier
        is "X", float32 of shape (N, n_features). Of a pipeline it is "X" for an array, and an
        input of shape (N, 1) for each column of a DataFrame. ``onnx.save(model, file)`` writes it.

    Raises
    ------
    TypeError
        If `estimator` is neither, or a pipeline that ends otherwise.
    sklearn.exceptions.NotFittedError
        If it was not fitted.
    ValueError
        If a step of the pipeline has no converter, or `X` is missing for a pipeline.
    RuntimeError
        If the exporter of torch fails, or makes a model whose probabilities are others.

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
            model = _joined(_steps(estimator[:-1], X), model)
    elif isinstance(estimator, FairBiNNClassifier):
        check_is_fitted(estimator, "net_")
        classifier, model = estimator, _net(estimator)
    else:
        raise TypeError(
            "estimator must be a FairBiNNClassifier, or a Pipeline that ends in one, got "
            f"{type(estimator).__name__}."
        )
    import onnx

    onnx.helper.set_model_props(model, {"classes": repr(classifier.classes_.tolist())})
    onnx.checker.check_model(model)
    return model


def _net(classifier):
    import onnx

    module = _Probabilities(copy.deepcopy(classifier.module_).cpu().float()).eval()
    example = torch.zeros(2, *classifier.net_.input_shape)
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own dependencies
        torch.onnx.export(
            module,
            (example,),
            data,
            input_names=["X"],
            output_names=["probabilities"],
            dynamic_shapes={"X": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load_from_string(data.getvalue())
    _check_output(model, module, example)
    return model


def _check_output(model, module, example):
    """Refuse a model that predicts otherwise; some versions of onnxscript make such a one."""
    from onnx.reference import ReferenceEvaluator

    rows = torch.cat([example, torch.ones_like(example)])
    (found,) = ReferenceEvaluator(model).run(None, {"X": rows.numpy()})
    with torch.no_grad():
        off = np.abs(found - module(rows).numpy()).max()
    if not off < 1e-4:
        raise RuntimeError(
            f"The exported model differs from the net by {off:.2g}. Update onnxscript and torch."
        )


def _steps(steps, X):
    """The steps before the classifier, in double precision as scikit-learn has them."""
    from skl2onnx import to_onnx

    register()
    if X is None:
        raise ValueError("X must be given for a pipeline, some rows that it takes, got None.")
    rows = X[:1] if hasattr(X, "iloc") else np.asarray(X)[:1]
    try:
        return to_onnx(steps, rows, target_opset={"": OPSET, "ai.onnx.ml": 3})
    except RuntimeError as error:  # MissingConverter and the like
        names = [f"{name}: {type(step).__name__}" for name, step in steps.steps]
        raise ValueError(f"skl2onnx cannot convert a step of {names}: {error}") from error


def _joined(before, net):
    """Model of both, with a cast to float32 in between."""
    import onnx
    from onnx import TensorProto, compose, helper

    (output,) = (one for one in before.graph.output)
    cast = helper.make_node("Cast", [output.name], ["columns_float32"], to=TensorProto.FLOAT)
    before.graph.node.append(cast)
    value = helper.make_tensor_value_info("columns_float32", TensorProto.FLOAT, None)
    del before.graph.output[:]
    before.graph.output.append(value)
    net = compose.add_prefix(net, "net/", rename_inputs=False, rename_outputs=False)
    net = _renamed(net, "X", "columns_of_net")
    net.ir_version = before.ir_version = max(net.ir_version, before.ir_version)
    opsets = {one.domain: one.version for one in (*before.opset_import, *net.opset_import)}
    for model in (before, net):
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*one) for one in opsets.items())
    return onnx.compose.merge_models(before, net, [("columns_float32", "columns_of_net")])


def _renamed(model, old, new):
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name == old:
                node.input[k] = new
    for one in model.graph.input:
        if one.name == old:
            one.name = new
    return model

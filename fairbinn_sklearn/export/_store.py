"""A fitted classifier as one safetensors file, and back."""

import json

from sklearn.utils.validation import check_is_fitted

from .._classifier import FairBiNNClassifier
from .._data.groups import names_of_plain, plain_names
from .._training.build import rebuild_net
from .._training.options import resolve_device
from .._training.state import description, lasting_state
from .._utils.files import write_whole
from .._version import __version__
from ._plain import NotPlain, decode, encode

FORMAT = 1
KEY = "fairbinn_sklearn"  # of the metadata in the file
LEARNED = ("classes_", "bin_edges_", "n_features_in_", "feature_names_in_")


def save(classifier, file):
    """Save a fitted classifier: weights as safetensors, all else as JSON, no code.

    The file holds parameters, weights, what was learned of the data, the history, and what
    `partial_fit` goes on from. The weights can be read by any program that knows safetensors; the
    rest is JSON in its metadata. A file that is there is replaced as a whole, or stays as it was.

    Parameters
    ----------
    classifier : FairBiNNClassifier
        Fitted classifier. Of a search it is ``search.best_estimator_``, of a path one of its
        classifiers, of a pipeline its last step.

    file : str or path-like
        File to write; ".safetensors" is the usual ending.

    Raises
    ------
    TypeError
        If `classifier` is no FairBiNNClassifier, or one of a subclass.
    sklearn.exceptions.NotFittedError
        If it was not fitted.
    ValueError
        If labels or names of groups are of a type that JSON has no word for.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : The way back.
    to_onnx : A model that predicts without this package.

    Notes
    -----
    Needs safetensors (``pip install "fairbinn-sklearn[export]"``). Parameters that are code, such
    as `module` or a function as `constraint`, are not stored; `load` takes them. Parameters that
    shape the net or its steps are stored as they were in the last fit, others as they are now.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fairbinn_sklearn import FairBiNNClassifier
    >>> from fairbinn_sklearn.export import load, save
    >>> rng = np.random.default_rng(0)
    >>> X, group = rng.normal(size=(200, 3)), rng.choice(["a", "b"], 200)
    >>> clf = FairBiNNClassifier(random_state=0).fit(X, X[:, 0] > 0, sensitive_features=group)
    >>> file = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> save(clf, file)
    >>> bool((load(file).predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    from safetensors.torch import save as to_bytes

    if type(classifier) is not FairBiNNClassifier:
        raise TypeError(
            f"classifier must be a FairBiNNClassifier, got {type(classifier).__name__}; of a "
            "search or a pipeline save the classifier in it, and pickle one of a subclass."
        )
    check_is_fitted(classifier, "net_")
    net, tensors = classifier.net_, {}
    params, code = {}, []
    for name, value in _params(classifier).items():
        try:
            params[name] = encode(value, tensors, f"params.{name}")
        except NotPlain:
            code.append(name)
    learned = {name: getattr(classifier, name) for name in LEARNED if hasattr(classifier, name)}
    learned["groups_"] = plain_names(classifier.groups_)
    try:
        content = {
            "format": FORMAT,
            "version": __version__,
            "params": params,
            "code": code,
            "learned": {
                name: encode(value, tensors, f"learned.{name}") for name, value in learned.items()
            },
            "net": encode({**description(net), "params": {}}, tensors, "net"),
            "state": encode(lasting_state(net), tensors, "state"),
        }
    except NotPlain as error:
        raise ValueError(
            "classifier cannot be saved: labels, groups or the state of an optimizer are of types "
            "that JSON has no word for; use strings or numbers, or pickle it."
        ) from error
    write_whole(file, to_bytes(tensors, metadata={KEY: json.dumps(content)}))


def _params(classifier):
    """Parameters to store: of the fit where the net depends on them, else those of now."""
    net = classifier.net_
    now = classifier.get_params(deep=False)
    free = [name for name in now if not classifier._is_nested(name) or "lr_schedule__" in name]
    fitted = {**net.fixed, **net.changed}
    return {
        **{name: now[name] for name in free},
        **{name: value for name, value in fitted.items() if "lr_schedule__" not in name},
    }


def load(file, **params):
    """Load a classifier that `save` has written.

    Parameters
    ----------
    file : str or path-like
        The file.

    **params : dict
        Parameters in place of those stored: those that are code, which the file does not have, and
        others such as ``device="cpu"``.

    Returns
    -------
    classifier : FairBiNNClassifier
        The classifier. On the same machine and device it predicts to the bit as before, and
        `partial_fit` goes on as it would have.

    Raises
    ------
    ValueError
        If the file is none of this package, damaged, or of a newer format, or if parameters are
        missing that are code.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : The way here, with an example.
    """
    from safetensors import SafetensorError, safe_open

    told = f"file {str(file)!r}"
    try:
        with safe_open(file, framework="pt") as opened:
            content = (opened.metadata() or {}).get(KEY)
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{told} is no safetensors file, or damaged: {error}") from error
    if content is None:
        raise ValueError(f"{told} was not written by fairbinn_sklearn.export.save.")
    content = json.loads(content)
    if content["format"] > FORMAT:
        raise ValueError(
            f"{told} has the format {content['format']}, written by version {content['version']}, "
            f"and this version, {__version__}, knows up to {FORMAT}: install a newer one."
        )
    if missing := [name for name in content["code"] if name not in params]:
        raise ValueError(
            f"{told} has no code, and the model needs some: pass "
            + ", ".join(f"{name}=..." for name in missing)
            + " to load."
        )
    stored = {name: decode(value, tensors) for name, value in content["params"].items()}
    classifier = FairBiNNClassifier(**{**stored, **params})
    for name, value in content["learned"].items():
        setattr(classifier, name, decode(value, tensors))
    classifier.groups_ = names_of_plain(classifier.groups_)
    about = decode(content["net"], tensors)
    about["device"] = str(resolve_device(classifier.device))
    net = rebuild_net(classifier, about, decode(content["state"], tensors))
    return classifier._learn(net)

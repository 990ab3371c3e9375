"""Private parts of scikit-learn, skorch and torch behave as this package uses them.

A test that fails here names the part that a new release has moved or changed.
"""

import ast
import inspect
import re
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import skorch
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import FitCallback
from sklearn.utils.metadata_routing import get_routing_for_object
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

import fairbinn_sklearn
from fairbinn_sklearn._training.resolve import OPTIMIZERS
from fairbinn_sklearn._utils import upstream

PACKAGE = Path(fairbinn_sklearn.__file__).parent


class Estimator(upstream.CallbackSupportMixin, BaseEstimator):
    """An estimator with constraints and callbacks, as those of this package."""

    _parameter_constraints = {
        "rate": [upstream.Interval(Real, 0, 1, closed="right"), None],
        "rule": [upstream.StrOptions({"a", "b"}), upstream.HasMethods("fit")],
        "dtype": [upstream.Options(type, {np.float32, np.float64})],
    }

    def __init__(self, rate=None, rule="a", dtype=np.float32):
        self.rate = rate
        self.rule = rule
        self.dtype = dtype

    @upstream.with_callbacks
    @upstream.fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self.stops_ = []
        for k in range(2):
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, X=X, y=y)
            stop = epoch.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=lambda k=k: {"epoch_": k}
            )
            self.stops_.append(stop)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self


# scikit-learn


@pytest.mark.parametrize(
    "params, name",
    [
        ({"rate": 0}, "rate"),
        ({"rate": 1.5}, "rate"),
        ({"rate": "1"}, "rate"),
        ({"rule": "c"}, "rule"),
        ({"rule": None}, "rule"),
        ({"dtype": int}, "dtype"),
    ],
    ids=str,
)
def test_fit_context_and_validate_params_of_check_the_constraints(params, name):
    estimator = Estimator(**params)
    for call in (
        lambda: estimator.fit(None, None),
        lambda: upstream.validate_params_of(estimator),
        lambda: upstream.validate_parameter_constraints(
            {name: Estimator._parameter_constraints[name]}, params, caller_name="Estimator"
        ),
    ):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of Estimator must be"):
            call()
    assert sklearn.get_config()["skip_parameter_validation"] is False


@pytest.mark.parametrize(
    "params", [{"rate": 1}, {"rule": Estimator()}, {"dtype": np.float64}], ids=str
)
def test_values_within_the_constraints_are_valid(params):
    upstream.validate_params_of(Estimator(**params))


def test_validate_params_checks_the_arguments_of_a_function():
    constraints = {"n": [upstream.Interval(Real, 0, None, closed="left")]}

    @upstream.validate_params(constraints, prefer_skip_nested_validation=True)
    def function(n=1):
        return n

    assert function() == 1
    with pytest.raises(ValueError, match="The 'n' parameter of .*function must be"):
        function(n=-1)


class Recorder:
    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.calls.append(f"end {context.task_name} {getattr(fitted_estimator, 'epoch_', '')}")
        return len(self.calls) > 5


def test_callbacks_are_called_around_each_epoch_and_may_ask_to_stop():
    recorder = Recorder()
    assert isinstance(recorder, FitCallback)
    estimator = Estimator().set_callbacks(recorder)
    assert estimator._skl_callbacks == [recorder]
    estimator.fit(None, None)
    epochs = ["begin epoch", "end epoch 0", "begin epoch", "end epoch 1"]
    assert recorder.calls == ["setup", "begin fit", *epochs, "end fit ", "teardown"]
    assert estimator.stops_ == [False, True]
    assert Estimator().fit(None, None).stops_ == [False, False]


def test_check_sample_weight_scales_nothing_and_refuses_negative_values():
    X = np.zeros((3, 1))
    weight = upstream.check_sample_weight([1, 2, 3], X, dtype=np.float64, ensure_non_negative=True)
    assert weight.dtype == np.float64
    assert weight.tolist() == [1, 2, 3]
    assert upstream.check_sample_weight(None, X).tolist() == [1, 1, 1]
    for wrong in ([1, -1, 1], [1, 1], [1, np.nan, 1], [0, 0, 0]):
        with pytest.raises(ValueError):
            upstream.check_sample_weight(wrong, X, dtype=np.float64, ensure_non_negative=True)


def test_features_are_learned_and_compared():
    estimator = Estimator()
    frame = pd.DataFrame({"p": [1.0], "q": [2.0]})
    upstream.check_feature_names(estimator, frame, reset=True)
    upstream.check_n_features(estimator, frame, reset=True)
    assert estimator.feature_names_in_.tolist() == ["p", "q"]
    assert estimator.n_features_in_ == 2
    assert upstream.check_feature_names_in(estimator).tolist() == ["p", "q"]
    with pytest.raises(ValueError, match="feature names"):
        upstream.check_feature_names(estimator, frame[["q", "p"]], reset=False)
    with pytest.raises(ValueError, match="1 features.*expecting 2"):
        upstream.check_n_features(estimator, frame[["p"]], reset=False)
    with pytest.raises(ValueError, match="input_features"):
        upstream.check_feature_names_in(estimator, ["a", "b"])


def test_check_y_returns_labels_of_one_dimension():
    assert upstream.check_y(["a", "b"], estimator=Estimator()).tolist() == ["a", "b"]
    for wrong in ([[1, 2], [3, 4]], [1, np.nan]):
        with pytest.raises(ValueError):
            upstream.check_y(wrong, estimator=Estimator())


def test_safe_indexing_takes_samples_by_position():
    frame = pd.DataFrame({"p": [1, 2, 3]}, index=[9, 8, 7])
    assert upstream.safe_indexing(frame, np.array([2, 0]))["p"].tolist() == [3, 1]
    for values in (["x", "y", "z"], np.array(["x", "y", "z"]), pd.Series(["x", "y", "z"])):
        assert list(upstream.safe_indexing(values, np.array([2, 0]))) == ["z", "x"]


def test_unused_removes_a_request_for_metadata():
    class Scorer(BaseEstimator):
        __metadata_request__score = {"estimator": upstream.UNUSED, "sensitive_features": True}

        def score(self, estimator, X, y, sensitive_features=None):
            """Have a signature."""

    requests = get_routing_for_object(Scorer()).score.requests
    assert requests == {"sensitive_features": True}


def private_imports(path):
    """Yield the private and experimental names of scikit-learn that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == "sklearn" and (
                "callback" in parts or any(part.startswith("_") for part in parts)
            ):
                yield name


def test_only_one_module_imports_private_names_of_scikit_learn(tmp_path):
    example = tmp_path / "example.py"
    example.write_text(
        "import sklearn.utils._param_validation\n"
        "from sklearn.callback import with_callbacks\n"
        "from sklearn import callback\n"
        "from sklearn.base import clone, _fit_context\n"
    )
    assert len(list(private_imports(example))) == 4
    files = list(PACKAGE.rglob("*.py"))
    importing = {path: names for path in files if (names := list(private_imports(path)))}
    upstream_file = Path(upstream.__file__)
    assert set(importing) == {upstream_file}, importing
    imported = {name.rpartition(".")[2].removeprefix("_") for name in importing[upstream_file]}
    assert imported <= set(upstream.__all__)


def test_all_names_of_the_module_are_defined_and_used():
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path != Path(upstream.__file__)
    )
    for name in upstream.__all__:
        assert hasattr(upstream, name)
        assert re.search(rf"\b{name}\b", text), f"{name} is not used"


# skorch


def make_net(**params):
    net = skorch.NeuralNet(
        nn.Linear, nn.MSELoss, module__in_features=1, module__out_features=1, **params
    )
    return net.initialize()


def test_callbacks_of_a_network_are_pairs_that_can_be_replaced():
    seen = []

    class Spy(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append("begin")

        def on_epoch_end(self, net, **kwargs):
            seen.append("end")

    net = make_net(callbacks="disable", train_split=None)
    assert net.callbacks_ == []
    net.callbacks_ = [("spy", Spy())]
    net.run_single_epoch = lambda iterator, **kwargs: seen.append(sorted(kwargs))
    net.fit_loop(torch.zeros(2, 1), torch.zeros(2, 1), epochs=2)
    epoch = ["prefix", "step_fn", "training"]
    assert seen == 2 * ["begin", epoch, epoch, "end"]
    assert net.history[:, "epoch"] == [1, 2]


def test_a_network_has_the_hooks_that_are_overridden():
    parameters = inspect.signature(skorch.NeuralNet.run_single_epoch).parameters
    assert list(parameters)[:5] == ["self", "iterator", "training", "prefix", "step_fn"]
    for name in ("get_iterator", "train_step", "initialize_optimizer", "notify"):
        assert callable(getattr(skorch.NeuralNet, name))
    net = make_net()
    for training in (True, False):
        net._set_training(training)
        assert net.module_.training is net.criterion_.training is training


def test_a_history_is_a_list_of_records():
    history = History([{"epoch": 1, "batches": [], "loss": 0.5}])
    assert isinstance(history, list)
    history.new_epoch()
    history.record("loss", 0.25)
    assert history[-1, "loss"] == 0.25
    assert list(history)[0]["loss"] == 0.5


# torch


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_optimizers_take_the_parameter_fused(name):
    weights = [nn.Parameter(torch.zeros(2))]
    takes_fused = "fused" in inspect.signature(OPTIMIZERS[name]).parameters
    assert takes_fused is (name in ("adam", "adamw", "sgd"))
    optimizer = OPTIMIZERS[name](weights, lr=0.1, **({"fused": True} if takes_fused else {}))
    weights[0].grad = torch.ones(2)
    optimizer.step()
    assert (weights[0] < 0).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_states_are_tensors_of_the_shape_of_the_parameter_or_numbers(name):
    """So networks side by side can be separated: a tensor with axes has one of networks."""
    weights = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))]
    optimizer = OPTIMIZERS[name](weights, lr=0.1)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    assert state["param_groups"][0]["params"] == [0, 1]
    for index, slots in state["state"].items():
        for value in slots.values():
            assert np.shape(value) in ((), weights[index].shape)


def test_batch_normalization_of_one_sample_has_the_error_that_is_given_advice():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(3)(torch.zeros(1, 3))

"""Modules import from lower layers only, and nothing but an estimator's own module changes it."""

import ast
import graphlib
import inspect
from pathlib import Path

import pytest

import fairbinn_sklearn
from fairbinn_sklearn import FairBiNNClassifier

PACKAGE = Path(fairbinn_sklearn.__file__).parent
LAYERS = [
    ("exceptions", "_utils"),
    ("losses",),
    ("_data",),
    ("_training", "metrics", "preprocessing", "datasets"),
    ("_classifier",),
    ("_points",),
    ("_path",),
    ("_cv",),
    ("inspection", "export"),
    ("__init__",),
    ("__main__",),
]
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
TREES = {
    path.relative_to(PACKAGE).with_suffix("").parts: ast.parse(path.read_text(encoding="utf-8"))
    for path in PACKAGE.rglob("*.py")
}


def imported_modules(module, tree):
    """Return the modules of the package that a module imports, at the top or in functions."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = module[: len(module) - node.level] + tuple((node.module or "").split("."))
            base = tuple(part for part in base if part)
            for name in node.names:
                candidates = [(*base, name.name), base, (*base, "__init__")]
                modules.add(next(candidate for candidate in candidates if candidate in TREES))
        else:
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == PACKAGE.name for name in names), module
    return modules


IMPORTS = {module: imported_modules(module, tree) for module, tree in TREES.items()}


def test_every_folder_has_a_rank():
    assert {module[0] for module in TREES} == set(RANKS)


@pytest.mark.parametrize("module", sorted(IMPORTS), ids="/".join)
def test_modules_import_from_lower_layers(module):
    layer = module[0]
    too_high = [
        "/".join(imported)
        for imported in IMPORTS[module]
        if imported[0] != layer and RANKS[imported[0]] >= RANKS[layer]
    ]
    assert not too_high


def test_modules_do_not_import_in_a_circle():
    modules = list(graphlib.TopologicalSorter(IMPORTS).static_order())
    assert len(modules) == len(TREES)


def test_at_most_four_private_modules_are_not_in_a_folder():
    alone = [name for name, *rest in TREES if not rest and name.startswith("_")]
    assert len(set(alone) - {"__init__", "__main__"}) <= 4


# Estimators

ESTIMATORS = {"clf", "classifier", "estimator"}


def is_estimator(node):
    """Return whether an expression is a name such as `clf`, or an attribute such as `self.clf`."""
    return (getattr(node, "id", None) or getattr(node, "attr", None)) in ESTIMATORS


def is_changed_by_call(call):
    """Return whether a call is setattr(clf, ...), delattr(clf, ...) or vars(clf).update(...)."""
    function = call.func
    if isinstance(function, ast.Attribute):  # a method of vars(clf) or of clf.__dict__
        owner = function.value
        is_state = isinstance(owner, ast.Call) and getattr(owner.func, "id", None) == "vars"
        state = owner.args[0] if is_state else getattr(owner, "value", None)
        is_state = is_state or getattr(owner, "attr", None) == "__dict__"
        return is_state and is_estimator(state) and function.attr in {"update", "pop", "clear"}
    name = getattr(function, "id", None)
    return name in {"setattr", "delattr"} and is_estimator(call.args[0])


def changes_of_estimators(tree):
    """List the lines that set or delete an attribute of an estimator."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Attribute)
            and not isinstance(node.ctx, ast.Load)
            and is_estimator(node.value)
        )
        or (isinstance(node, ast.Call) and is_changed_by_call(node))
    ]


def private_uses_of_estimators(tree):
    """List the lines that read a private attribute of an estimator."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and is_estimator(node.value)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]


def test_changes_of_estimators_are_found():
    tree = ast.parse(
        "clf.a = 1\nestimator.a += 1\nsetattr(clf, 'a', 1)\nvars(clf).update(a=1)\ndel clf.a\n"
        "clf.__dict__.update(a=1)\nself.estimator.a = 1\nclf.a, b = 1, 2\n"
        "b = clf.a\nclf = 1\nself.clf = 1\nvars(net).update(a=1)\nclf._a()\nclf.__len__()"
    )
    assert sorted(changes_of_estimators(tree)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert private_uses_of_estimators(tree) == [13]


@pytest.mark.parametrize("module", sorted(TREES), ids="/".join)
def test_only_set_fitted_changes_an_estimator(module):
    tree = TREES[module]
    changing = [getattr(node, "name", None) for node in tree.body if changes_of_estimators(node)]
    assert changing == (["set_fitted"] if module == ("_classifier",) else [])
    if module != ("_utils", "upstream"):  # the home of scikit-learn's private methods
        assert not private_uses_of_estimators(tree)


def test_the_classifier_has_at_most_36_parameters():
    parameters = inspect.signature(FairBiNNClassifier).parameters.values()
    assert len([p for p in parameters if p.kind is not p.VAR_KEYWORD]) <= 36

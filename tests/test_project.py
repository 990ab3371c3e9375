"""Scripts of the gallery run, and README, CI and versions agree."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from numpydoc.validate import validate
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fairbinn_sklearn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run_script(path, *args):
    return subprocess.run(
        [sys.executable, str(ROOT / path), *args],
        env={**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_quickstart_lowers_the_difference_it_prints():
    done = run_script("examples/plot_1_quickstart.py")
    assert done.returncode == 0, done.stderr
    eta = float(re.search(r"Chosen by cross-validation: eta ([\d.]+)\.", done.stdout)[1])
    before, after = map(
        float,
        re.search(
            r"difference of selection rate +eta 0: ([\d.]+) +eta .*: ([\d.]+)", done.stdout
        ).groups(),
    )
    assert eta > 0
    assert before > 0.15
    assert after < 0.03


@pytest.mark.slow
def test_sequences_agree_more_with_the_true_labels():
    done = run_script("examples/plot_sequences.py")
    assert done.returncode == 0, done.stderr
    table = [line.split() for line in done.stdout.splitlines() if re.match(r"(0|10) +0\.", line)]
    plain, fair = (
        dict(zip("eta a b difference recorded truth".split(), map(float, row), strict=True))
        for row in table
    )
    assert fair["difference"] < 0.05 < 0.15 < plain["difference"]
    assert fair["truth"] > plain["truth"] + 0.03


@pytest.mark.slow
def test_custom_criteria_lower_their_differences():
    done = run_script("examples/own_criteria.py")
    assert done.returncode == 0, done.stderr
    rates = [
        [float(figure) for figure in re.findall(r"\d\.\d\d", line)]
        for line in done.stdout.splitlines()
    ]
    (selected, hits), (by_class, hits_by_class), (by_rate, _), (by_function, _) = rates
    assert selected > 0.3 and by_class < 0.1 and by_function < 0.15
    assert by_rate < selected - 0.05  # the Jaccard index, and with it the selection rates
    assert hits_by_class < hits


@pytest.mark.slow
def test_adult_at_default_settings(tmp_path):
    """One seed of the table in README, with tolerance for the rounding of other processors."""
    done = run_script(
        "examples/benchmarks/adult_eta.py",
        *("--etas", "0", "10", "--seeds", "1", "--methods", "bilevel"),
        *("--save", str(tmp_path / "runs.csv")),
    )
    assert done.returncode == 0, done.stderr
    plain, fair = pd.read_csv(tmp_path / "runs.csv").itertuples()
    assert plain.accuracy > 0.843
    assert plain.hard_dp > 0.15
    assert fair.accuracy > 0.82
    assert fair.hard_dp < 0.03


def test_ci_runs_the_test_command_of_the_readme():
    blocks = re.findall(r"```bash\n(.*?)\n```", README, re.S)
    (command,) = [block for block in blocks if block.endswith("python -m pytest")]
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert command in [line.strip() for line in run.splitlines()]


def test_version_is_the_same_everywhere():
    assert f"version: {fairbinn_sklearn.__version__}" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## {fairbinn_sklearn.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_constraints_satisfy_every_bound():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = {canonicalize_name(r.name): r for r in map(Requirement, lines[1:])}
    requirements = PYPROJECT["project"]["dependencies"] + sum(
        PYPROJECT["project"]["optional-dependencies"].values(), []
    )
    for requirement in map(Requirement, requirements):
        if requirement.name == "fairbinn-sklearn":
            continue
        (pin,) = pins[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version)


@pytest.mark.once
@pytest.mark.parametrize(
    "args", [["check", "."], ["format", "--check", "."]], ids=["lint", "format"]
)
def test_ruff(args):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_imports_no_optional_dependency():
    code = """
import sys, fairbinn_sklearn
optional = {"accelerate", "fairlearn", "matplotlib", "onnx", "skl2onnx", "skops"}
print(sorted(optional & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def public_names():
    names = [module.name for module in pkgutil.iter_modules(fairbinn_sklearn.__path__)]
    modules = [fairbinn_sklearn]
    modules += [
        importlib.import_module(f"fairbinn_sklearn.{name}") for name in names if name[0] != "_"
    ]
    for module in modules:
        for name in module.__all__:
            if name.startswith("__") or inspect.ismodule(getattr(module, name)):
                continue
            yield f"{module.__name__}.{name}"
            owner = getattr(module, name)
            if isinstance(owner, type):
                yield from (
                    f"{module.__name__}.{name}.{member}"
                    for member in vars(owner)
                    if not member.startswith(("_", "set_"))
                )


@pytest.mark.once
@pytest.mark.parametrize("name", list(public_names()))
def test_docstrings_are_numpydoc(name):
    # Sections that methods and small functions may do without, and choices of layout.
    ignored = {
        "GL01",
        "GL02",
        "GL08",
        "ES01",
        "SA01",
        "SA04",
        "EX01",
        "YD01",
        "RT02",
        "RT03",
        "SS06",
    }
    errors = [error for error in validate(name)["errors"] if error[0] not in ignored]
    assert not errors

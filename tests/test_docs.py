"""Code of README and docs that is not a doctest: Python runs, arguments of commands are parsed."""

import argparse
import importlib.util
import pkgutil
import re
import runpy
import shlex
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import make, make_data
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = [
    ROOT / "README.md",
    *DOCS.glob("*.rst"),
    *DOCS.glob("guide/*.rst"),
    *DOCS.glob("how_to/*.rst"),
]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(SOURCES)
}
# Packages that a script needs and that may be missing.
OPTIONAL = {"fairret_loss": "fairret", "optuna_search": "optuna"}
HOW_TO = [path.stem for path in sorted((DOCS / "how_to").glob("*.py"))]


def blocks(page, language):
    """Return the code blocks of a language on a page. Blocks of the language "py" do not run."""
    if page.endswith(".md"):
        return re.findall(rf"```{language}\n(.*?)\n```", PAGES[page], re.S)
    directive = rf"^( *)\.\. code-block:: {language}\n\n((?:\1   .*\n|\n)+)"
    return [textwrap.dedent(block) for _, block in re.findall(directive, PAGES[page] + "\n", re.M)]


# Python


@pytest.fixture
def names(monkeypatch):
    """Return the names that blocks may use, with little data and short trainings."""
    monkeypatch.setitem(FairBiNNClassifier.__init__.__kwdefaults__, "max_epochs", 2)
    X, y, group = make_data(450)
    X = pd.DataFrame(X).add_prefix("x")
    names = {"X": X, "y": y, "group": group, "X_train": X[:300], "y_train": y[:300]}
    names |= {"sex_train": group[:300]}
    for part in ("valid", "test"):
        names |= {f"X_{part}": X[300:], f"y_{part}": y[300:], f"sex_{part}": group[300:]}

    def short_path(*data, seeds, n_jobs):
        return fairness_path(
            *data, etas=[0, 3], seeds=list(seeds)[:2], estimator=make(), n_jobs=n_jobs
        )

    return names | {
        "FairBiNNClassifier": FairBiNNClassifier,
        "fairness_path": short_path,
        "grid": GridSearchCV(make(), {"eta": [0, 3]}, cv=2),
    }


@pytest.fixture
def address():
    """Return the address of a dask cluster with one worker in this process."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore:Setting an? :DeprecationWarning")  # fairlearn
@pytest.mark.filterwarnings("ignore:The difference on the training samples")  # two epochs
@pytest.mark.filterwarnings("ignore:No candidate has")
@pytest.mark.filterwarnings("ignore::UserWarning:distributed")  # a port that is in use
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets that dask closes later
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_blocks_of_python_run(page, names, request):
    """One after another, on a page."""
    code = blocks(page, "python")
    if any("(address)" in block for block in code):
        names["address"] = request.getfixturevalue("address")
    if any("accelerate" in block for block in code):
        pytest.importorskip("accelerate")
    with sklearn.config_context(enable_metadata_routing=True):
        for block in code:
            exec(compile(block, page, "exec"), names)


# Links


@pytest.mark.parametrize("page", sorted(path.name for path in ROOT.glob("*.md")))
def test_links_of_markdown_pages_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


# API page


def test_api_page_lists_all_public_names():
    listed, module = set(), None
    for line in PAGES["docs/api.rst"].splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch("   [A-Za-z]\\w*", line):
            listed.add(f"{module}.{line.strip()}")
    package = importlib.import_module("fairbinn_sklearn")
    names = [info.name for info in pkgutil.iter_modules(package.__path__) if info.name[0] != "_"]
    modules = [package, *(importlib.import_module(f"fairbinn_sklearn.{name}") for name in names)]
    public = {f"{m.__name__}.{name}" for m in modules for name in m.__all__ if name[0] != "_"}
    assert listed == public


# Scripts of how_to


def test_each_script_has_a_page_in_the_index():
    assert {f"docs/how_to/{name}.rst" for name in HOW_TO} | {"docs/how_to/index.rst"} == {
        page for page in PAGES if page.startswith("docs/how_to/")
    }
    for name in HOW_TO:
        assert PAGES["docs/how_to/index.rst"].count(name) == 2  # table and toctree


@pytest.mark.parametrize("name", HOW_TO)
def test_scripts_are_short(name):
    script = (DOCS / "how_to" / f"{name}.py").read_text(encoding="utf-8")
    assert script.count("\n") < 40


@pytest.mark.once
@pytest.mark.parametrize("name", HOW_TO)
def test_scripts_print_the_output_of_their_page(name, tmp_path, monkeypatch, capsys):
    """The words are equal, and numbers are close: other processors round differently."""
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    monkeypatch.chdir(tmp_path)
    with sklearn.config_context():
        runpy.run_path(str(DOCS / "how_to" / f"{name}.py"), run_name="__main__")
    (shown,) = blocks(f"docs/how_to/{name}.rst", "text")
    printed, number = capsys.readouterr().out, r"\d+(?:\.\d+)?"
    assert re.sub(number, "", printed).split() == re.sub(number, "", shown).split()
    values = [np.array(re.findall(number, text), float) for text in (printed, shown)]
    np.testing.assert_allclose(*values, rtol=0.05, atol=0.02)


# Commands


def join_lines(text):
    """Join lines that end in a backslash."""
    return text.replace("\\\n", " ")


def commands_of_pages():
    """Yield the commands of pages, in blocks and in sentences."""
    for page, text in PAGES.items():
        for block in blocks(page, "bash"):
            for line in join_lines(block).splitlines():
                yield from (command.strip() for command in line.split("&&"))
        yield from re.findall(r"`(python examples/[^`]+)`", text)


def commands_of_scripts():
    """Yield the commands in docstrings of scripts."""
    for folder in ("benchmarks", "paper"):
        for path in (ROOT / "examples" / folder).glob("*.py"):
            text = join_lines(path.read_text(encoding="utf-8"))
            yield from re.findall(r"^ {4}(python examples/.+)$", text, re.M)


def unique(commands):
    """Sort commands without their line breaks and comments."""
    return sorted({shlex.join(shlex.split(one, comments=True)) for one in commands} - {""})


COMMANDS = unique([*commands_of_pages(), *commands_of_scripts()])
EXAMPLES = [one for one in COMMANDS if one.startswith("python examples/")]


class ParsedError(Exception):
    """The arguments were read; the rest of the script would take hours."""


# Scripts of the gallery take no arguments.
GALLERY = ("plot_", "closed_form")


@pytest.mark.parametrize(
    "command", [one for one in EXAMPLES if not any(name in one for name in GALLERY)]
)
def test_scripts_accept_the_arguments_of_the_commands(command, monkeypatch):
    _, script, *args = shlex.split(command)
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [script, *args])
    monkeypatch.syspath_prepend(ROOT / Path(script).parent)
    monkeypatch.chdir(ROOT)
    before = set(sys.modules)
    with pytest.raises(ParsedError):
        runpy.run_path(script, run_name="__main__")
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT / "examples")):
            del sys.modules[name]  # the next script imports the module of its folder


def test_pages_have_a_command_for_each_script():
    commands = [one for one in unique(commands_of_pages()) if one.startswith("python examples/")]
    named = {shlex.split(command)[1] for command in commands}
    scripts = {
        path.relative_to(ROOT).as_posix()
        for folder in ("benchmarks", "paper")
        for path in (ROOT / "examples" / folder).glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    assert scripts <= named


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_files_and_modules_that_exist(command):
    words = shlex.split(command, comments=True)
    for word in words:
        if word.startswith(("examples/", "tests/", ".ci/")):
            assert (ROOT / word).exists()
    if "-m" in words and words[words.index("-m") - 1] == "python":
        module = words[words.index("-m") + 1]
        assert module == "sphinx" or importlib.util.find_spec(module)

"""Code of README and docs that is not a doctest: Python runs, arguments of commands are parsed."""

import argparse
import importlib.util
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import sklearn
from conftest import make, make_data
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ROOT = Path(__file__).parents[1]
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]
}


def blocks(page, language):
    """Return the code blocks of a language on a page."""
    if page.endswith(".md"):
        return re.findall(rf"```{language}\n(.*?)\n```", PAGES[page], re.S)
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGES[page])
    return [re.sub("^   ", "", block, flags=re.M) for block in found]


# Python


@pytest.fixture
def names(monkeypatch):
    """Return the names that blocks may use, with little data and short trainings."""
    monkeypatch.setitem(FairBiNNClassifier.__init__.__kwdefaults__, "max_epochs", 2)
    X, y, group = make_data(450)
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

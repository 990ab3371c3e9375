"""Blocks of README and docs that are no doctests: Python is run, and commands are read."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import sklearn
from conftest import make_data
from sklearn.model_selection import GridSearchCV

from fairbinn_sklearn import FairBiNNClassifier, fairness_path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.rst")}


def blocks(page, language):
    """Code blocks of a language on a page of the docs."""
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGES[page])
    return [re.sub("^   ", "", block, flags=re.M) for block in found]


@pytest.fixture
def names():
    """What blocks of Python expect, on made-up rows."""
    X, y, group = make_data(900)
    names = {"X_train": X[:600], "y_train": y[:600], "sex_train": group[:600]}
    for part in ("valid", "test"):
        names |= {f"X_{part}": X[600:], f"y_{part}": y[600:], f"sex_{part}": group[600:]}
    return names | {"X": X[:600], "y": y[:600], "group": group[:600]}


def run(block, page, names):
    exec(compile(block, page, "exec"), names)


def test_every_python_block_is_run_here():
    """Beside those of README; all other Python is in doctests."""
    counts = {page: len(blocks(page, "python")) for page in PAGES}
    assert {page for page, count in counts.items() if count} == {"index.rst", "user_guide.rst"}
    assert counts["index.rst"] == 1
    assert counts["user_guide.rst"] == 2


@pytest.mark.filterwarnings("ignore:No candidate has")
def test_python_blocks_of_the_readme(names, capsys):
    """One after the other."""
    with sklearn.config_context():
        for block in re.findall(r"```python\n(.*?)\n```", README, re.S):
            run(block, "README.md", names)
    assert "selection_rate" in capsys.readouterr().out
    assert names["grid"].best_params_["eta"] > 0
    assert names["chosen"].eta > 0


def test_python_block_of_the_first_page(names):
    (block,) = blocks("index.rst", "python")
    run(block, "index.rst", names)
    assert names["decisions"].shape == names["y_test"].shape


def test_python_block_for_several_processes(names):
    """In one process; `test_processes` has two."""
    pytest.importorskip("accelerate")
    _, block = blocks("user_guide.rst", "python")
    names |= {"FairBiNNClassifier": FairBiNNClassifier}
    run(block, "user_guide.rst", names)
    assert names["clf"].predict(names["X"]).any()


@pytest.mark.filterwarnings("ignore")  # of dask and its server, about ports and times
def test_python_block_for_a_cluster(names):
    """On a cluster of one worker in this process."""
    distributed = pytest.importorskip("distributed")
    clf = FairBiNNClassifier(max_epochs=2, device="cpu", random_state=0)
    names |= {
        "grid": GridSearchCV(clf, {"eta": [0, 3]}, cv=2),
        "fairness_path": lambda *args, seeds, n_jobs: fairness_path(
            *args, etas=[0, 3], seeds=list(seeds)[:2], estimator=clf, n_jobs=n_jobs
        ),
    }
    block, _ = blocks("user_guide.rst", "python")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    )
    with cluster, sklearn.config_context(enable_metadata_routing=True):
        run(block, "user_guide.rst", names | {"address": cluster.scheduler_address})
    alone = GridSearchCV(clf, {"eta": [0, 3]}, cv=2)
    with sklearn.config_context(enable_metadata_routing=True):
        alone.fit(names["X"], names["y"], sensitive_features=names["group"])
    pd.testing.assert_series_equal(
        pd.Series(names["grid"].cv_results_["mean_test_score"]),
        pd.Series(alone.cv_results_["mean_test_score"]),
    )


def commands():
    """Commands of README and docs, by the page."""
    found = [("README.md", block) for block in re.findall(r"```bash\n(.*?)\n```", README, re.S)]
    found += [(page, block) for page in sorted(PAGES) for block in blocks(page, "bash")]
    for page, block in found:
        for line in block.replace("\\\n", " ").splitlines():
            yield from ((page, command.strip()) for command in line.split("&&"))


class Parsed(Exception):
    """Arguments were read; what would follow takes hours."""


SCRIPTS = [(page, told) for page, told in commands() if told.startswith("python examples/")]


@pytest.mark.parametrize(("page", "command"), SCRIPTS, ids=[told for _, told in SCRIPTS])
def test_scripts_take_the_arguments_that_are_told(page, command, monkeypatch):
    if "plot_" in command:
        assert (ROOT / command.split()[-1]).exists()  # another test runs it
        return
    _, script, *args = shlex.split(command)
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(sys, "argv", [script, *args])
    monkeypatch.syspath_prepend(ROOT / Path(script).parent)
    monkeypatch.chdir(ROOT)
    before = set(sys.modules)
    with pytest.raises(Parsed):
        runpy.run_path(script, run_name="__main__")
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT / "examples")):
            del sys.modules[name]  # the next script finds its own, in its own folder


def test_all_scripts_are_told_on_a_page():
    told = {shlex.split(command)[1] for _, command in SCRIPTS}
    for folder in ("benchmarks", "paper"):
        for script in (ROOT / "examples" / folder).glob("*.py"):
            if "__main__" in script.read_text(encoding="utf-8"):
                assert f"examples/{folder}/{script.name}" in told


def test_all_other_commands_install_test_or_build():
    others = {command for page, command in commands() if (page, command) not in SCRIPTS}
    for command in others:
        told = re.sub(r"^(\w+=\S+ )+", "", command)
        assert re.match(
            r"(python -m (pip install|pytest|sphinx)\b|\.ci/run\b|accelerate launch |torchrun )|$",
            told,
        )

"""``python -m fairbinn_sklearn`` prints what a bug report needs."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import torch

import fairbinn_sklearn
from fairbinn_sklearn import __main__ as report

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names_of(requirements):
    return {re.match(r"[\w-]+", text)[0] for text in requirements} - {"fairbinn-sklearn"}


def test_command_prints_versions_and_devices():
    done = subprocess.run(
        [sys.executable, "-m", "fairbinn_sklearn"], capture_output=True, text=True, check=True
    )
    table = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert table["fairbinn-sklearn"] == fairbinn_sklearn.__version__
    assert table["torch"] == version("torch")
    assert "cores" in table["cpu"]


def test_report_names_the_dependencies_of_the_project():
    extras = PROJECT["optional-dependencies"]
    optional = names_of(sum((extras[e] for e in extras if e not in ("docs", "test")), []))
    assert set(report.REQUIRED) == names_of(PROJECT["dependencies"])
    assert optional <= set(report.OPTIONAL)


def test_packages_that_are_not_installed_are_not_an_error(monkeypatch):
    monkeypatch.setattr(report, "REQUIRED", ("numpy", "no-such-package"))
    monkeypatch.setattr(report, "OPTIONAL", ("no-such-extra",))
    versions = report.find_versions()
    assert versions["no-such-package"] == "not installed"
    assert "no-such-extra" not in versions


def test_all_gpus_are_listed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert report.find_devices().keys() == {"cpu", "cuda:0", "cuda:1", "mps"}

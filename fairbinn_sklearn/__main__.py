"""Print versions and devices for bug reports: ``python -m fairbinn_sklearn``."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from . import __version__

REQUIRED = ("fairlearn", "narwhals", "numpy", "pandas", "scikit-learn", "skorch", "torch")
OPTIONAL = (
    *("accelerate", "dask", "matplotlib", "moocore", "onnx", "onnxruntime", "onnxscript"),
    *("optuna", "polars", "pyarrow", "ray", "rich", "safetensors", "skl2onnx", "skops"),
)


def find_versions():
    """Return the versions of Python, the platform, the package and its dependencies.

    Returns
    -------
    versions : dict of str to str
        Versions by name. Optional packages that are not installed are left out.
    """
    versions = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "fairbinn-sklearn": __version__,
    }
    for name in REQUIRED + OPTIONAL:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            if name in REQUIRED:
                versions[name] = "not installed"
    return versions


def find_devices():
    """Return the devices that torch can use.

    Returns
    -------
    devices : dict of str to str
        Descriptions by device.
    """
    devices = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    for number in range(torch.cuda.device_count()):
        devices[f"cuda:{number}"] = torch.cuda.get_device_name(number)
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices


def main():
    """Print versions and devices."""
    table = {**find_versions(), **find_devices()}
    width = max(map(len, table))
    for name, value in table.items():
        print(f"{name:{width}}  {value}")


if __name__ == "__main__":
    main()

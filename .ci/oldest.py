"""Print the oldest versions that pyproject.toml allows, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
used = (
    "distributed",
    "examples",
    "export",
    "parquet",
    "search",
)  # by the tests, beside their own tools
for line in sum((extras[name] for name in used), project["dependencies"]):
    print(re.sub(r"\[.*\]", "", line).replace(">=", "=="))

"""The script that makes the bundled files from the original ones."""

import importlib.util
import lzma
import shutil
from pathlib import Path

import pytest

from fairbinn_sklearn.datasets import _adult, _german

SCRIPT = Path(__file__).parents[2] / "examples" / "datasets" / "make_data_files.py"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the examples are not part of this installation")
    spec = importlib.util.spec_from_file_location("make_data_files", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.once
def test_script_makes_the_bundled_files(script, original_folder, tmp_path):
    script.main([str(original_folder), "--output", str(tmp_path)])
    for bundled in (_adult.DATA_FILE, _german.DATA_FILE):
        # Compare the contents, because versions of the xz library may compress differently.
        made = (tmp_path / bundled.name).read_bytes()
        assert lzma.decompress(made) == lzma.decompress(bundled.read_bytes())


@pytest.mark.parametrize("name", ["adult.data", "adult.test", "german.data"])
def test_script_refuses_other_files(script, original_folder, tmp_path, name):
    shutil.copytree(original_folder, tmp_path / "source")
    path = tmp_path / "source" / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(ValueError, match=f"{name} must have the md5 .*, got "):
        script.main([str(path.parent), "--output", str(tmp_path)])
    assert not (tmp_path / "adult.csv.xz").exists()

"""The built wheel carries the configs, the shipped model and data, and its commands find them."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WHOLE = ("setup.py", "pyproject.toml", "LICENSE", "prompt_tuning", "configs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Returns a directory with the unpacked wheel, built from a copy of the tree."""
    tree, wheels = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheels")
    for name in WHOLE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(wheels)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = wheels.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.mark.parametrize(
    "pattern", ["prompt_tuning/**/*.py", "prompt_tuning/**/*.css", "configs/**/*.gin"]
)
def test_the_wheel_has_every_file(installed, pattern):
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
    package = installed / ("prompt_tuning" if pattern.startswith("configs") else "")
    assert files
    assert [name for name in sorted(files) if not (package / name).is_file()] == []


@pytest.mark.parametrize("folder", ["mini/t5_mini", "analysis/published"])
def test_the_wheel_has_the_files_beside_the_code(installed, folder):
    shipped = {path.name for path in (ROOT / "prompt_tuning" / folder).iterdir()}
    inside = {path.name for path in (installed / "prompt_tuning" / folder).iterdir()}
    assert shipped == inside


def test_its_command_finds_the_packaged_configs(installed, tmp_path):
    command = [sys.executable, "-m", "prompt_tuning.cli.main", "spot", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert str(installed / "prompt_tuning" / "configs" / "defaults.gin") in done.stdout
    assert "MODEL_DIR=..." in done.stdout

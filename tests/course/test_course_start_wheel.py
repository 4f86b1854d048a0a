"""The lessons are in the wheel, and `minidalle start` finds them there, far from any clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BIG = shutil.ignore_patterns("*.parquet", "*.safetensors", "__pycache__", ".*")


def run(*command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this package, without its data, and with a toy lesson."""
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "minidalle", clone / "minidalle", ignore=BIG)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "nbgrader_config.py"):
        shutil.copy(ROOT / name, clone)
    for name in ("01-toy/toy.ipynb", "01-toy/figures/box.svg", ".ipynb_checkpoints/toy.ipynb"):
        (clone / "lessons" / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / "lessons" / name).write_text(name)
    stale = clone / "build" / "lib" / "minidalle" / "lessons" / "00-gone"
    stale.mkdir(parents=True)
    (stale / "gone.ipynb").write_text("")
    run("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", ".", folder=clone)
    (built,) = (clone / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_lessons_are_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    lessons = [name for name in names if "lessons/" in name]
    assert sorted(lessons) == ["minidalle/lessons/01-toy/figures/box.svg", "minidalle/lessons/01-toy/toy.ipynb"]
    assert {"minidalle/course/building/build.py", "minidalle/nbgrader_config.py"} <= {*names}
    assert not [name for name in names if name.startswith(("setup", "solutions", "tests", "lessons"))]


@pytest.mark.slow
def test_start_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    run("-m", "pip", "install", "-q", "--no-deps", "--target", "site", str(wheel), folder=tmp_path)
    code = "import sys, minidalle.cli; print(minidalle.__file__); sys.argv[0] = 'minidalle'; minidalle.cli.main()"
    away = tmp_path / "away"
    away.mkdir()
    told = run("-P", "-c", code, "start", "mine", folder=away, PYTHONPATH=str(tmp_path / "site")).splitlines()
    assert told[0] == str(tmp_path / "site" / "minidalle" / "__init__.py")
    assert told[-1] == "Open the first lesson: jupyter lab mine/01-toy/toy.ipynb"
    assert (away / "mine" / "01-toy" / "figures" / "box.svg").read_text() == "01-toy/figures/box.svg"
    assert "nothing new" in run(
        "-P", "-c", code, "start", "mine", "--update", folder=away, PYTHONPATH=str(tmp_path / "site")
    )

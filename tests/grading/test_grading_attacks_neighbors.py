"""Answers that look around in the folders that Python lies in: a course, other students' work and answers lie there.

The environment is a small real one, whose packages are this one's. What an answer can read, it is asked in the sandbox
and without it.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from grading_class import needs_sandbox

from minidalle.errors import InvalidValue
from minidalle.grading import confinement
from minidalle.grading.grade import Options, grade_lesson
from minidalle.grading.nbgrader_settings import CONFIG
from minidalle.grading.records import Folders

pytestmark = needs_sandbox

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = f"lib/{PYTHON}/site-packages"
TREASURES = {
    "nbgrader's exchange": "share/nbgrader/exchange/course/inbound/ada+01+2026/tokenization.ipynb",
    "a course": "course/grading/submitted/ada/01/tokenization.ipynb",
    "the secret of hidden cases": "course/grading/secret",
    "a clone that pip made": "src/minidalle/minidalle/tokenization/bpe.py",
    "a notebook server's key": "share/jupyter/runtime/jpserver-1.json",
    "the installed package": f"{PACKAGES}/minidalle/tokenization/bpe.py",
    "the installed package, compiled": f"{PACKAGES}/minidalle/tokenization/__pycache__/bpe.pyc",
    "a package that pip did not remove": f"{PACKAGES}/~inidalle/tokenization/bpe.py",
    "an egg": f"{PACKAGES}/minidalle-0.1.0-py3.12.egg/minidalle/tokenization/bpe.py",
    "another Python's package": "lib/python3.8/site-packages/minidalle/tokenization/bpe.py",
    "another environment": f"envs/other/{PACKAGES}/minidalle/tokenization/bpe.py",
    "a cache of compiled files": "lib/compiled/bpe.pyc",
    "a clone beside the libraries": "lib/clone/solutions/lesson.py",
    "a home beside the libraries": "lib/home/notes.txt",
}
LOOK = "import json, os, sys; print(json.dumps([one for one in json.loads(sys.argv[1]) if os.access(one, os.R_OK)]))"
# The package in the clone asks for the sandbox of its own Python, and says what is read without it and in it.
ASK = f"""
import subprocess, sys
from pathlib import Path
from minidalle.grading.confinement import confined, unconfined
course = Path(sys.argv[2])
command = [sys.executable, "-s", "-c", {LOOK!r}, sys.argv[1]]
for start in (unconfined(course, command), confined(course, command)):
    subprocess.run(start.command, check=True, **start.options)
"""


@pytest.fixture(scope="module")
def environment() -> Iterator[Path]:
    """A virtual environment with all of it; not in /tmp, which no answer sees anyhow."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="minidalle-test-") as folder:
        root = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        for name in TREASURES.values():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("for other eyes")
        shutil.copytree(confinement.PACKAGE, root / "lib/clone/minidalle", ignore=shutil.ignore_patterns("weights"))
        (root / PACKAGES / "honest.py").write_text("")
        yield root


def test_what_lies_beside_python_is_not_seen(environment: Path, tmp_path: Path) -> None:
    treasures = {name: str(environment / place) for name, place in TREASURES.items()}
    honest = [str(environment / PACKAGES / "honest.py"), os.__file__]
    asked = json.dumps([*treasures.values(), *honest])
    done = subprocess.run(
        [environment / "bin/python", "-B", "-c", ASK, asked, tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"HOME": str(environment / "lib/home"), "PYTHONPYCACHEPREFIX": str(environment / "lib/compiled"),
             "PATH": os.environ["PATH"],
             "PYTHONPATH": os.pathsep.join([str(environment / "lib/clone"), sysconfig.get_path("purelib")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    without, within = map(json.loads, done.stdout.splitlines())
    assert without == [*treasures.values(), *honest]
    assert within == honest


@pytest.mark.parametrize("place", ["lib/exchange", "lib/python3/site-packages/course"])
def test_a_course_among_the_libraries_is_refused(place: str) -> None:
    confinement.require_out_of_sight(Path(sys.prefix), Path(sys.prefix, "share/nbgrader/exchange"))
    with pytest.raises(InvalidValue, match=r"expected one outside of .*lib, which students' code can read"):
        confinement.require_out_of_sight(Path(sys.prefix, place))


def test_grading_looks_where_the_exchange_is(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(
        f"c = get_config()\nc.Exchange.root = {os.path.join(sys.prefix, 'lib/exchange')!r}\n"
    )
    with pytest.raises(InvalidValue, match=r"lib/exchange'?: expected one outside of"):
        next(grade_lesson(Folders(tmp_path), "01-toy", Options()))

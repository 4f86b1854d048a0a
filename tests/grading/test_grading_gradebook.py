"""nbgrader's gradebook: in a file, on a real PostgreSQL server that several graders share, and where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from minidalle.errors import InvalidValue
from minidalle.grading.gradebook import open_gradebook, prepare_gradebook
from minidalle.grading.released import enter, entered, read_release

ROOT = Path(__file__).parents[2]
NOBODY = 65534
INITDB = shutil.which("initdb") or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))), "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database on a server of its own, without a network: it listens in a folder."""
    if not INITDB:
        pytest.skip("needs PostgreSQL's initdb and pg_ctl")
    folder = Path("/tmp") / f"minidalle-pg-{os.getpid()}"  # a socket's name may not be long
    data, control = folder / "data", str(Path(INITDB).with_name("pg_ctl"))
    folder.mkdir(mode=0o777)
    user = {}
    if os.getuid() == 0:  # the server refuses to run as root
        os.chown(folder, NOBODY, NOBODY)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def run(*command: str) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=120, **user)

    try:
        run(INITDB, "--pgdata", str(data), "--username", "graders", "--auth", "trust", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(control, "start", "--wait", "--pgdata", str(data), "--log", str(folder / "log"), "--options", options)
        yield f"postgresql+psycopg://graders@/postgres?host={folder}"
    finally:
        if data.exists():
            run(control, "stop", "--wait", "--mode", "immediate", "--pgdata", str(data))
        shutil.rmtree(folder, ignore_errors=True)


def test_a_release_is_entered_on_a_server(server: str) -> None:
    release = read_release(ROOT, "01-tokenization")
    assert enter(release, server)
    assert entered(release, server) == release.entries
    assert not enter(release, server)


def grade(server: str, number: int) -> float:
    """What one grader does: a student, a submission, points for every cell; returns what stands then."""
    student = f"student-{number:03}"
    with open_gradebook(server) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission("01-tokenization", student)
        for cell in (cell for notebook in submission.notebooks for cell in notebook.grades):
            cell.auto_score, cell.needs_manual_grade = float(number % 2), False
        gradebook.db.commit()
        return float(gradebook.find_submission("01-tokenization", student).score)


def test_several_graders_at_once(server: str) -> None:
    """Eight at a time, on students of their own; each finds what it wrote, and so does who looks afterwards."""
    release = read_release(ROOT, "01-tokenization")
    enter(release, server)
    with ThreadPoolExecutor(8) as pool:
        points = [*pool.map(lambda number: grade(server, number), range(16))]
    cells = len([entry for entry in release.entries.values() if entry.points is not None])
    assert points == [float(cells * (number % 2)) for number in range(16)]
    with open_gradebook(server) as gradebook:
        assert len(gradebook.find_assignment("01-tokenization").submissions) == 16


def test_processes_that_come_at_once_find_a_gradebook(tmp_path: Path) -> None:
    """nbgrader makes its course when it opens a gradebook: two that did it at once clashed."""
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    prepare_gradebook(url)
    opens = (
        f"from nbgrader.api import Gradebook\nfor course in ('default_course', 'minidalle'): Gradebook({url!r}, course)"
    )
    started = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", opens]) for _ in range(3)]
    assert [one.wait(120) for one in started] == [0, 0, 0]


def test_alembic_is_found_where_no_environment_is_activated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="alembic"):
        Gradebook(f"sqlite:///{tmp_path / 'one.db'}")
    open_gradebook(f"sqlite:///{tmp_path / 'two.db'}").close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no address", "expected a database whose driver is installed"),
        ("nosuch://server/course", "expected a database whose driver is installed"),
        ("mysql+nosuch://me:geheim@server/course", "expected a database whose driver is installed"),
        ("sqlite:////no/such/folder/gradebook.db", "expected a database that answers"),
        ("postgresql+psycopg://me:geheim@/course?host=/no/such/folder", "expected a database that answers"),
    ],
)
def test_a_gradebook_that_cannot_be_opened_is_said(url: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as error:
        open_gradebook(url)
    assert "geheim" not in str(error.value)

"""A folder is one process's at a time, whatever becomes of that process, and nothing of the lock stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minidalle.errors import InvalidValue
from minidalle.lock import alone
from minidalle.presets import TINY
from minidalle.run import run

HOLD = "import sys, time; from pathlib import Path; from minidalle.lock import alone\n" \
       "with alone(Path(sys.argv[1]), '--out', 'trains'): print('held', flush=True); time.sleep(60)"  # fmt: skip


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds `tmp_path/run/lock`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run" / "lock")], stdout=-1, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_start_of_a_run_is_refused_in_a_line(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InvalidValue) as refused:
        run(TINY, folder, "cpu", 1)
    assert str(refused.value) == f"--out={str(folder)!r}: process {holder.pid} trains here already"
    assert [path.name for path in folder.iterdir()] == ["lock"]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone(folder / "lock", "--out", "trains"):  # a dead process holds nothing
        assert (folder / "lock").read_text() == f"{os.getpid()}\n"
    assert list(folder.iterdir()) == []


def test_nothing_stays_of_a_folder_that_nothing_came_into(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "a" / "lock"
    with alone(place, "--out", "trains"), pytest.raises(InvalidValue), alone(place, "--out", "trains"):
        pytest.fail("two hold it")
    assert list(tmp_path.iterdir()) == []
    with alone(place, "--out", "trains"):
        (place.parent / "run.json").touch()
    assert [path.name for path in place.parent.iterdir()] == ["run.json"]


def test_a_lock_whose_file_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder left between another's opening of the file and its lock: a third may have made a new file."""
    from minidalle import lock

    locked = lock._lock
    monkeypatch.setattr(lock, "_lock", lambda file: (locked(file), (tmp_path / "lock").unlink()))
    with pytest.raises(InvalidValue, match="trains here already"), alone(tmp_path / "lock", "--out", "trains"):
        pytest.fail("it holds nothing")


def test_a_disk_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidalle import lock

    def unknown(file: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock, "_lock", unknown)
    with alone(tmp_path / "lock", "--out", "trains"):
        pass


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = r"--out='.*file/run': expected a folder that can be written \(Not a directory"
    with pytest.raises(InvalidValue, match=wanted), alone(tmp_path / "file" / "run" / "lock", "--out", "trains"):
        pytest.fail("there is no such folder")

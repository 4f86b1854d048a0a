"""Several processes: every task gets its answer, and what dies, hangs or is stopped costs nobody else anything."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidalle.errors import InvalidValue
from minidalle.grading.lock import alone
from minidalle.grading.workers import Died, work_off


def work(task: tuple[str, str]) -> str:
    """What the tests' processes do: found by its name there."""
    what, file = task
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "leave":
        os._exit(3)
    if what == "hang":
        time.sleep(600)
    if what == "note":
        Path(file).write_text(str(os.getpid()))
        time.sleep(600)
    return f"{what}!"


@pytest.mark.slow
def test_a_process_that_dies_costs_its_own_task_only() -> None:
    names = ["a", "die", "b", "leave", "c", "die", "d", "e"]
    found = list(work_off([(name, str(at)) for at, name in enumerate(names)], work, 2, 60.0))
    assert sorted(task for task, _ in found) == sorted((name, str(at)) for at, name in enumerate(names))
    for (name, _), answer in found:
        assert answer == f"{name}!" or isinstance(answer, Died)
    told = {name: answer.why for (name, _), answer in found if isinstance(answer, Died)}
    assert told == {
        "die": "the grading process ended (signal 9, SIGKILL)",
        "leave": "the grading process ended (exit code 3)",
    }
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_task_that_hangs_is_ended() -> None:
    found = dict(work_off([("hang", ""), ("a", "")], work, 2, 8.0))
    assert found == {("hang", ""): Died("it was not done in 8 seconds"), ("a", ""): "a!"}
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path) -> None:
    tasks = work_off([("a", ""), ("hang", ""), ("hang", "")], work, 3, 60.0)
    assert next(tasks) == (("a", ""), "a!")
    tasks.close()
    assert not multiprocessing.active_children()


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_workers_end_with_the_one_who_sends(tmp_path: Path) -> None:
    """Killed with −9, no worker goes on writing what the next run begins anew."""
    note = tmp_path / "note"
    code = (
        "from minidalle.grading.workers import work_off; from test_grading_workers import work\n"
        f"if __name__ == '__main__': list(work_off([('note', {str(note)!r})], work, 1, 60.0))"
    )
    (tmp_path / "sender.py").write_text(code)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    sender = subprocess.Popen([sys.executable, str(tmp_path / "sender.py")], env={**os.environ, "PYTHONPATH": path})
    end = time.monotonic() + 60
    while not (note.exists() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.1)
    worker = int(note.read_text())
    assert alive(worker)
    sender.kill()
    sender.wait()
    end = time.monotonic() + 20
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not alive(worker)


def test_the_lock_is_one_persons(tmp_path: Path) -> None:
    lock = tmp_path / "grading" / "lock"
    code = f"from minidalle.grading.lock import alone; from pathlib import Path\nwith alone(Path({str(lock)!r})): pass"
    with alone(lock):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"process {os.getpid()} grades here already" in done.stderr
        with pytest.raises(InvalidValue, match="grades here already"), alone(lock):
            pass
    with alone(lock):
        pass
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

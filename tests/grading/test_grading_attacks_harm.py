"""Answers that do harm: to files, processes and the machine. Without a sandbox they do; bounded here."""

import os
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from grading_class import (
    ONCE,
    RIGHT,
    assert_next_is_right,
    grade,
    needs_sandbox,
    plain,
    runs,
    with_loot,
)

from minidalle.grading.sandbox import Sandbox

pytestmark = [needs_sandbox, pytest.mark.usefixtures("nothing_stays")]


WAYS = ["when it is called", "as a decorator", "as a default", "in a class", "as a metaclass"]


@pytest.mark.parametrize("when", WAYS)
def test_a_gradebook_is_written_without_a_sandbox_only(
    when: str, sandboxes: tuple[Sandbox, Sandbox], tmp_path: Path
) -> None:
    """The answer is right, and stays so: it has its honest points."""
    file = tmp_path / "gradebook.db"

    def grade_of_ada() -> float:
        with closing(sqlite3.connect(file)) as book:
            return book.execute("SELECT score FROM grades").fetchone()[0]

    with closing(sqlite3.connect(file)) as book:
        book.executescript("CREATE TABLE grades (student, score); INSERT INTO grades VALUES ('ada', 1.0)")
    code = (f"import sqlite3\nwith sqlite3.connect({str(file)!r}) as book:\n"
            "    book.execute('UPDATE grades SET score = score + 99')")  # fmt: skip
    verdict = grade(runs(code, when), sandboxes[1])
    assert (verdict.report.points, verdict.ungraded) == (3, "")
    assert grade_of_ada() == 1
    grade(runs(code, when), sandboxes[0])
    assert grade_of_ada() >= 100


DAEMON = """import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv('/bin/sleep', ['{name}', '20'])
    os._exit(0)
os.wait()"""


def pids(name: str) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if file.read_bytes().startswith(name.encode()):
                found.append(int(file.parent.name))
    return found


def test_a_daemon_outlives_its_answer_without_a_sandbox_only(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    name = f"daemon-of-{os.getpid()}"
    code = runs(DAEMON.format(name=name), "in a class")
    assert grade(code, sandboxes[1]).report.points == 3
    assert not pids(name)
    grade(code, sandboxes[0])
    left = pids(name)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left


def test_a_thread_outlives_its_call_and_writes_without_a_sandbox_only(
    sandboxes: tuple[Sandbox, Sandbox], tmp_path: Path
) -> None:
    """It waits until the call is over, and writes while the next ones run. It ends with its answer in both."""
    file = tmp_path / "grades"
    cell = f"""import threading, time
STARTED, OVER = [], []
def later():
    while not OVER: time.sleep(0.001)
    while True:
        with open({str(file)!r}, 'a') as grades: grades.write('after the call')
        time.sleep(0.01)
{RIGHT.replace("def merge_pair", "def honest")}
def merge_pair(word, pair):
    if STARTED: time.sleep(0.02)
    else: STARTED.append(threading.Thread(target=later).start())
    try: return honest(word, pair)
    finally: OVER.append(True)
"""
    assert grade(cell, sandboxes[1]).report.points == 3
    assert not file.exists()
    assert grade(cell, sandboxes[0]).report.points == 3
    written = file.read_text()
    assert written.startswith("after the call")
    time.sleep(0.2)
    assert file.read_text() == written


@pytest.mark.parametrize("signal_name", ["SIGSTOP", "SIGKILL"])
def test_the_warm_process_is_reached_without_a_sandbox_only(
    signal_name: str, sandboxes: tuple[Sandbox, Sandbox]
) -> None:
    unsafe, safe = sandboxes
    code = runs(f"import os, signal\nos.kill(os.getppid(), signal.{signal_name})", "when it is called")
    assert_next_is_right(safe)
    assert safe._process
    before = safe._process.pid
    assert grade(code, safe).report.points == 3
    assert safe._process.pid == before
    grade(RIGHT, unsafe)
    assert unsafe._process
    warm, seen, over = unsafe._process.pid, set(), threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            with suppress(OSError):
                seen.add(state := Path(f"/proc/{warm}/stat").read_text().rpartition(")")[2].split()[0])
                if state == "T":
                    os.kill(warm, signal.SIGCONT)

    watcher = threading.Thread(target=look)
    watcher.start()
    grade(code, unsafe)
    over.set()
    watcher.join()
    assert "T" in seen if signal_name == "SIGSTOP" else unsafe._process is None or unsafe._process.pid != warm


def test_a_process_of_the_graders_is_killed_without_a_sandbox_only(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    name = f"victim-of-{os.getpid()}"
    code = ("import os, pathlib\nfor file in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n    try:\n"
            f"        if file.read_bytes().startswith({name.encode()!r}): os.kill(int(file.parent.name), 9)\n"
            "    except OSError: pass")  # fmt: skip
    with subprocess.Popen([name, "60"], executable="/bin/sleep") as victim:
        assert grade(runs(code, "when it is called"), sandboxes[1]).report.points == 3
        assert victim.poll() is None
        grade(runs(code, "when it is called"), sandboxes[0])
        assert victim.wait(5) == -signal.SIGKILL


def test_signals_to_everybody_reach_nobody(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    """Only in the sandbox, where the answer's process is number 1 and alone: elsewhere it would end all there is."""
    code = ("import os, signal\nassert os.getpid() == 1\n"
            "for one in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):\n"
            "    try: os.kill(-1, one)\n    except ProcessLookupError: open('/tmp/sent', 'a').write('x')")  # fmt: skip
    before = sandboxes[1]._process
    sent = with_loot(f"{runs(code, 'in a class')}\ndef loot():\n    return len(open('/tmp/sent').read()) == 3\n")
    assert grade(sent, sandboxes[1]).report.points == 3
    assert sandboxes[1]._process is before


RIGHTS = {
    "a user namespace": (
        "    import ctypes, os\n    if os.fork() == 0:\n        os._exit(ctypes.CDLL(None).unshare(0x10000000) & 1)\n"
        "    return os.wait()[1] == 0"),
    "a mount namespace": "    import ctypes\n    return ctypes.CDLL(None).unshare(0x00020000) == 0",
    "a mount": (
        "    import ctypes, tempfile\n    at = tempfile.mkdtemp().encode()\n    libc = ctypes.CDLL(None)\n"
        "    return libc.unshare(0x00020000) == 0 and libc.mount(b'tmpfs', at, b'tmpfs', 0, None) == 0"),
    "another's memory": (
        "    import ctypes, os\n    libc = ctypes.CDLL(None)\n    found = libc.ptrace(16, os.getppid(), 0, 0) == 0\n"
        "    if found: os.waitpid(os.getppid(), 0x40000000); libc.ptrace(17, os.getppid(), 0, 0)\n    return found"),
    "another user": "    import os\n    os.setresuid(1234, 1234, 0)\n    os.setresuid(0, 0, 0)\n    return True",
    "a root folder": "    import os, tempfile\n    if os.fork() == 0:\n"
        "        try: os.chroot(tempfile.mkdtemp()); os._exit(0)\n"
                     "        finally: os._exit(1)\n    return os.wait()[1] == 0",
    "the clock": "    import time\n    return time.clock_settime(time.CLOCK_REALTIME, time.time()) is None",
    "a key for the next": (
        "    import ctypes\n    return ctypes.CDLL(None).syscall(248, b'user', b'minidalle', b'x', 1, -3) >= 0"),
    "memory in a file that is none": "    import os\n    return os.memfd_create('x') >= 0",
    "the kernel's messages": "    import ctypes\n    return ctypes.CDLL(None).klogctl(10, None, 0) >= 0",
    "a higher priority": "    import os\n    return os.nice(-1) or True",
    "higher limits": (
        "    import resource\n    resource.setrlimit(resource.RLIMIT_NOFILE, (10_000, 10_000))\n    return True"),
    "a raw socket": "    import socket\n    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "io_uring": "    import ctypes\n    return ctypes.CDLL(None).syscall(425, 1, bytes(120)) >= 0",
}  # fmt: skip
MACHINE_SPECIFIC = {"io_uring", "the kernel's messages", "a key for the next"}  # a container may have none of them
OF_LIMITS = {"higher limits"}  # an answer's own are lowered without a sandbox, too


@pytest.fixture(scope="module")
def beside_the_check() -> dict[str, str]:
    """Which of them a cell has where it runs in the grader's own process."""
    check = "merge_pair(['a', 'b'], ('a', 'b')) == ['ab']"
    return plain({name: (with_loot(ONCE + body), check) for name, body in RIGHTS.items()})


@pytest.mark.parametrize("name", RIGHTS)
def test_a_right_is_had_without_a_sandbox_only(
    name: str, beside_the_check: dict[str, str], sandboxes: tuple[Sandbox, Sandbox]
) -> None:
    cell = with_loot(ONCE + RIGHTS[name])
    has = beside_the_check[name] == "passed"
    if os.getuid() == 0 and name not in MACHINE_SPECIFIC:  # an ordinary grader has few rights to lose
        assert has
    if has and name not in OF_LIMITS:
        assert grade(cell, sandboxes[0]).report.points == 3
    assert grade(cell, sandboxes[1]).report.points == 0

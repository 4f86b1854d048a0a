"""Answers that do harm: to files, processes, the network and the machine. Without a sandbox they do; bounded here."""

import os
import signal
import socket
import sqlite3
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from grading_class import (
    ONCE,
    RIGHT,
    assert_next_is_right,
    assert_only_its_own,
    grade,
    needs_sandbox,
    with_loot,
)

from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[tuple[Sandbox, Sandbox]]:
    """Without, and with."""
    limits = Limits(seconds=3.0, wall=8.0)
    with Sandbox(unsafe=True, limits=limits) as unsafe, Sandbox(limits=limits) as safe:
        yield unsafe, safe


@pytest.fixture(autouse=True)
def nothing_stays(sandboxes: tuple[Sandbox, Sandbox]) -> Iterator[None]:
    """After each attack: no process, and the next answer is graded as ever."""
    yield
    assert_next_is_right(sandboxes[1])
    assert_only_its_own(sandboxes[1])


def runs(code: str, when: str) -> str:
    """A right answer that also runs some code: when it is called, or as soon as it is defined."""
    body = textwrap.indent(code, "        ")
    spring = (
        f"def spring(*values, **named):\n    try:\n{body}\n"
        "    except Exception:\n        pass\n    return values[0] if values else None\n"
    )
    ways = {
        "when it is called": RIGHT.replace("    merged = []", "    spring()\n    merged = []"),
        "as a decorator": RIGHT.replace("def merge_pair", "@spring\ndef merge_pair"),
        "as a default": RIGHT.replace("(word, pair):", "(word, pair, more=spring()):"),
        "in a class": f"class Body:\n    spring()\n{RIGHT}",
        "as a metaclass": "class Meta(type):\n    def __new__(*a):\n        spring()\n        return type.__new__(*a)\n"
        f"class Body(metaclass=Meta):\n    pass\n{RIGHT}",
    }
    return spring + ways[when]


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


class Server:
    """Counts what comes in, over any socket."""

    def __init__(self, kind: int, address: object, family: int = socket.AF_INET) -> None:
        self.came, self.kind = 0, kind
        self.socket = socket.socket(family, kind)
        self.socket.bind(address)  # type: ignore[arg-type]
        self.socket.settimeout(0.1)
        self.over = threading.Event()
        if kind == socket.SOCK_STREAM:
            self.socket.listen(100)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set():
            with suppress(TimeoutError, OSError):
                if self.kind == socket.SOCK_STREAM:
                    self.socket.accept()[0].close()
                else:
                    self.socket.recv(100)
                self.came += 1

    def stop(self) -> None:
        self.over.set()
        self.thread.join()
        self.socket.close()


NETWORK: dict[str, Callable[[], tuple[Server, str]]] = {}


def network(function: Callable[[], tuple[Server, str]]) -> Callable[[], tuple[Server, str]]:
    NETWORK[function.__name__] = function
    return function


@network
def tcp() -> tuple[Server, str]:
    server = Server(socket.SOCK_STREAM, ("127.0.0.1", 0))
    return server, f"import socket\nsocket.create_connection({server.socket.getsockname()!r}, 1).send(b'work')"


@network
def udp_as_dns() -> tuple[Server, str]:
    server = Server(socket.SOCK_DGRAM, ("127.0.0.1", 0))
    return server, ("import socket\nline = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                    f"line.sendto(b'work', {server.socket.getsockname()!r})")  # fmt: skip


@network
def a_web_page() -> tuple[Server, str]:
    server = Server(socket.SOCK_STREAM, ("127.0.0.1", 0))
    port = server.socket.getsockname()[1]
    return server, f"import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/', timeout=1)"


@network
def an_abstract_socket() -> tuple[Server, str]:
    name = f"\0minidalle-test-{os.getpid()}"
    server = Server(socket.SOCK_STREAM, name, socket.AF_UNIX)
    return server, f"import socket\nline = socket.socket(socket.AF_UNIX)\nline.connect({name!r})"


@network
def a_shell() -> tuple[Server, str]:
    server = Server(socket.SOCK_STREAM, ("127.0.0.1", 0))
    port = server.socket.getsockname()[1]
    return server, f"import subprocess\nsubprocess.run(['bash', '-c', 'echo work > /dev/tcp/127.0.0.1/{port}'])"


@pytest.mark.parametrize("name", NETWORK)
def test_the_network_is_reached_without_a_sandbox_only(name: str, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    server, code = NETWORK[name]()
    try:
        assert grade(runs(code, "when it is called"), sandboxes[1]).report.points == 3
        time.sleep(0.3)
        assert server.came == 0
        grade(runs(code, "when it is called"), sandboxes[0])
        time.sleep(0.3)
        assert server.came > 0
    finally:
        server.stop()


def test_names_cannot_be_looked_up(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    cell = with_loot("import socket\ndef loot():\n    return socket.getaddrinfo('localhost.', 80) and "
                     "[name for _, name in socket.if_nameindex() if name != 'lo']")  # fmt: skip
    assert grade(cell, sandboxes[1]).report.points == 0


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


def test_a_thread_that_outlives_the_call_does_not_outlive_the_answer(
    sandboxes: tuple[Sandbox, Sandbox], tmp_path: Path
) -> None:
    code = ("import threading, time\ndef later():\n    while True:\n        time.sleep(0.05)\n"
            "threading.Thread(target=later).start()")  # fmt: skip
    assert grade(runs(code, "in a class"), sandboxes[1]).report.points == 3


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


def test_signals_to_everybody_reach_nobody(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    """Only in the sandbox, where the answer's process is number 1: elsewhere it would end all there is."""
    code = "import os, signal\nif os.getpid() == 1:\n"
    "    for one in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):\n        os.kill(-1, one)"
    before = sandboxes[1]._process
    assert grade(runs(code, "when it is called"), sandboxes[1]).report.points in (0, 3)
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
MACHINE_SPECIFIC = {"io_uring", "higher limits", "the kernel's messages", "a key for the next"}


@pytest.mark.parametrize("name", RIGHTS)
def test_a_right_is_had_without_a_sandbox_only(name: str, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    cell = with_loot(ONCE + RIGHTS[name])
    if os.getuid() == 0 and name not in MACHINE_SPECIFIC:  # an ordinary grader has few rights to lose
        assert grade(cell, sandboxes[0]).report.points == 3
    assert grade(cell, sandboxes[1]).report.points == 0

"""Answers that want all there is, and answers that end or never end: it costs their own exercise, and nothing more."""

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from grading_class import (
    ID,
    ONCE,
    assert_next_is_right,
    assert_only_its_own,
    grade,
    needs_sandbox,
    plain,
    with_loot,
)

from minidalle.course.notebook_code import Asked, Cell
from minidalle.exercises import EXERCISES
from minidalle.grading.judge import Verdict, grade_cells
from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox

GREED = {
    "memory": "    import mmap\n    return mmap.mmap(-1, 3 << 30)",
    "memory of torch": "    import torch\n    return torch.empty(3 << 30, dtype=torch.uint8) is not None",
    "open files": "    return len([open('/dev/null') for _ in range(500)])",
    "a long file": (
        "    import os, tempfile\n"
        "    with tempfile.TemporaryFile() as file: os.posix_fallocate(file.fileno(), 0, 40 << 20)\n"
        "    return True"),
    "much of /dev/shm": (
        "    import os, tempfile\n    files = [tempfile.TemporaryFile(dir='/dev/shm') for _ in range(12)]\n"
        "    return [os.posix_fallocate(file.fileno(), 0, 8 << 20) for file in files]"),
    "much of /tmp": (
        "    import os, tempfile\n    files = [tempfile.TemporaryFile(dir='/tmp') for _ in range(12)]\n"
        "    return [os.posix_fallocate(file.fileno(), 0, 8 << 20) for file in files]"),
    "processes": (
        "    import os, time\n    found = []\n    try:\n        for _ in range(50):\n            pid = os.fork()\n"
        "            if pid == 0: time.sleep(3); os._exit(0)\n            found.append(pid)\n        return True\n"
        "    finally:\n        for pid in found: os.kill(pid, 9); os.waitpid(pid, 0)"),
    "threads": (
        "    import threading\n    over = threading.Event()\n    try:\n        for _ in range(100):\n"
        "            threading.Thread(target=over.wait, daemon=True).start()\n        return True\n"
        "    finally: over.set()"),
    "a core file": "    import resource\n    return resource.getrlimit(resource.RLIMIT_CORE)[1] != 0",
}  # fmt: skip


def test_greed_is_limited() -> None:
    """Beside the check there is as much as the machine has."""
    cells = {name: with_loot(ONCE + body) for name, body in GREED.items()}
    check = f"examine(EXERCISES[{ID!r}], merge_pair, exercises=EXERCISES).points == 3"
    rich = plain({name: (cell, check) for name, cell in cells.items() if name != "a core file"})
    assert not [name for name, fate in rich.items() if fate != "passed"]
    with Sandbox(limits=Limits(seconds=3.0, wall=8.0)) as sandbox:
        for name, cell in cells.items():
            verdict = grade(cell, sandbox)
            assert (verdict.report.points, verdict.ungraded) == (0, ""), name
            assert_next_is_right(sandbox)
        assert_only_its_own(sandbox)


def test_memory_of_several_processes_together_is_limited() -> None:
    """Five of them, of which each is far below its own limit, which is all there is without a sandbox."""
    hold = (
        "    import os, mmap, time\n    lines = []\n    for _ in range(5):\n        out, back = os.pipe()\n"
        "        if os.fork() == 0:\n"
        "            held = mmap.mmap(-1, 120 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "            for at in range(0, len(held), 4096): held[at] = 1\n"
        "            os.write(back, b'x'); time.sleep(2); os._exit(0)\n        lines.append(out)\n"
        "    time.sleep(0.5)\n    return [os.read(one, 1) for one in lines]\n"
    )
    low = Limits(seconds=4, wall=10, memory=450)  # the process itself has 160 MB, and 300 with torch's CUDA build
    with Sandbox(unsafe=True, limits=low) as unsafe:
        assert grade(with_loot(ONCE + hold), unsafe).report.points == 3
    old = ["import os; vars(os).pop('pidfd_open', None)"]  # as before Linux 5.3
    with Sandbox(old, limits=replace(low, memory=1200)) as enough:
        assert grade(with_loot(ONCE + hold), enough).report.points == 3
    with Sandbox(old, limits=low) as little:
        verdict = grade(with_loot(ONCE + hold), little)
        assert (verdict.report.points, verdict.ungraded) == (0, "")
        assert "too much memory" in str(verdict.report)
        assert_next_is_right(little)
        assert_only_its_own(little)


ENDS = {
    "os._exit": "import os\nos._exit(0)",
    "exit()": "exit()",
    "abort": "import os\nos.abort()",
    "a segfault": "import ctypes\nctypes.string_at(0)",
    "a kill": "import os\nos.kill(os.getpid(), 9)",
    "a stop": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nos.kill(os.getpid(), signal.SIGABRT)",
    "recursion without end": "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
}
SLOW = ("a stop", "exit()", "recursion without end")  # those last longer, or are an error of Python's
BURNS = {
    "swallows every end": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "while True:\n    try:\n        while True: x = 1\n    except BaseException: pass"
    ),
    "sleeps": "import time\ntime.sleep(100)",
    "waits in C": "import re\nre.match('(a*)*b', 'a' * 40)",
    "waits for a lock": "import threading\none = threading.Lock()\none.acquire()\none.acquire()",
    "reads what nobody writes": "import os\nos.read(os.pipe()[0], 1)",
}


def test_what_ends_or_hangs_costs_its_exercise_only() -> None:
    """Beside the check the whole notebook is lost. Here another exercise of the same notebook has its points."""
    cells = {name: "def merge_pair(word, pair):\n" + "".join(f"    {line}\n" for line in code.split("\n"))
             for name, code in (ENDS | BURNS).items()}  # fmt: skip
    beside = plain({name: (cell, "merge_pair([], ()) or True") for name, cell in cells.items()}, seconds=2)
    assert {beside[name] for name in BURNS} <= {"hung", "ended"}  # some end when they are interrupted
    assert beside["swallows every end"] == "hung"
    assert {beside[name] for name in ENDS if name not in SLOW} == {"ended"}
    other = "def text_to_bytes(text):\n    return list(text.encode())\n"
    asked = [Asked(ID, "merge_pair"), Asked("tokenization.text_to_bytes", "text_to_bytes")]
    with Sandbox(limits=Limits(seconds=0.5, wall=2.5)) as sandbox:
        for name, cell in cells.items():
            lost, kept = grade_cells([Cell("code cell 1", cell), Cell("code cell 2", other)], asked, EXERCISES, sandbox)
            assert (lost.report.points, lost.ungraded) == (0, ""), name
            assert kept.report.passed, name
        assert_next_is_right(sandbox)
        assert_only_its_own(sandbox)


BOMB = """
import ctypes, os, time
def merge_pair(word, pair):
    ctypes.CDLL(None).prctl(15, b"{name}")
    end = time.monotonic() + 20
    for _ in range(7):
        try:
            if os.fork() == 0: os.setsid()
        except OSError:
            pass
    while time.monotonic() < end: time.sleep(0.05)
    os._exit(0)
"""
MOST_OF_BOMB = 128  # two to the power of seven, each of which ends by itself


def bombs(name: str) -> set[int]:
    """The processes that have this name; those that were forked have it, too."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if file.read_text().strip() == name:
                found.add(int(file.parent.name))
    return found


def most_while(name: str, sandbox: Sandbox) -> tuple[int, Verdict]:
    """Grade a fork bomb; how many processes there were at a time, and what it got."""
    counts, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.1):
            counts.append(len(bombs(name)))

    watcher = threading.Thread(target=count)
    watcher.start()
    try:
        verdict = grade(BOMB.format(name=name), sandbox)
    finally:
        over.set()
        watcher.join()
    return max(counts), verdict


def test_a_fork_bomb_goes_on_without_a_sandbox_only() -> None:
    """Each makes others. In the sandbox the limit is reached long before, and all end with their answer."""
    limits, name = Limits(seconds=0.5, wall=3.0), f"bomb-{os.getpid()}"
    try:
        with Sandbox(unsafe=True, limits=limits) as unsafe:
            most, _ = most_while(name, unsafe)
            assert most > 2 * limits.processes
            assert len(bombs(name)) > 2 * limits.processes  # all but the first are still there
            assert most <= MOST_OF_BOMB
    finally:
        while left := bombs(name):
            for pid in left:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    with Sandbox(limits=limits) as sandbox:
        most, verdict = most_while(name, sandbox)
        assert 1 < most <= limits.processes
        assert (verdict.report.points, verdict.ungraded) == (0, "")
        assert not bombs(name)
        assert_next_is_right(sandbox)
        assert_only_its_own(sandbox)

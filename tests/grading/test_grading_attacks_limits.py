"""Answers that want all there is, and answers that end or never end: it costs their own exercise, and nothing more."""

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
from minidalle.grading.judge import grade_cells
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
    """Five of them, of which each is far below its own limit. Shared memory counts once."""
    hold = (
        "    import os, mmap, time\n    lines = []\n    for _ in range(5):\n        out, back = os.pipe()\n"
        "        if os.fork() == 0:\n"
        "            held = mmap.mmap(-1, 60 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "            for at in range(0, len(held), 4096): held[at] = 1\n"
        "            os.write(back, b'x'); time.sleep(2); os._exit(0)\n        lines.append(out)\n"
        "    time.sleep(0.5)\n    return [os.read(one, 1) for one in lines]\n"
    )
    with Sandbox(limits=Limits(seconds=4, wall=10, memory=400)) as enough:
        assert grade(with_loot(ONCE + hold), enough).report.points == 3
    with Sandbox(limits=Limits(seconds=4, wall=10, memory=200)) as little:
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


def test_a_fork_bomb_ends_with_its_answer() -> None:
    """Each makes others, at most some hundred in the end: in the sandbox, the limit is reached long before."""
    bomb = (
        "import os, time\ndef merge_pair(word, pair):\n    for _ in range(7):\n        try: os.fork()\n"
        "        except OSError: pass\n    while True: time.sleep(0.01)\n"
    )
    with Sandbox(limits=Limits(seconds=0.5, wall=2.0)) as sandbox:
        verdict = grade(bomb, sandbox)
        assert (verdict.report.points, verdict.ungraded) == (0, "")
        assert_next_is_right(sandbox)
        assert_only_its_own(sandbox)

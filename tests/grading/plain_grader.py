"""A grader as nbgrader is one: student's cell and check run in one process, with all rights. Attacks succeed here.

Run with JSON on standard input: name → [cell, test]. For each, a process is forked that runs the cell and then the
test, an expression that is true where the check gives full marks. The answer is JSON: name → what became of it.
"""

import json
import os
import select
import signal
import sys

import torch  # noqa: F401  # before forking

from minidalle.course.checking.answer import examine  # noqa: F401  # for tests
from minidalle.exercises import EXERCISES  # noqa: F401  # for tests


def fate(cell: str, test: str, seconds: float) -> str:
    """ "passed", "failed", "error", "ended" or "hung"."""
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        space = dict(globals()) | {"__name__": "__main__"}
        try:
            exec(compile(cell, "cell", "exec"), space)
            said = "passed" if eval(test, space) else "failed"
        except Exception:
            said = "error"
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    ready = select.select([ours], [], [], seconds)[0]
    if not ready:
        os.kill(child, signal.SIGINT)  # as nbgrader interrupts a kernel
        ready = select.select([ours], [], [], 1.0)[0]
    said = os.read(ours, 100).decode() if ready else "hung"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ours)
    return said or "ended"


if __name__ == "__main__":
    SECONDS = float(sys.argv[1])
    print(json.dumps({name: fate(*attack, SECONDS) for name, attack in json.load(sys.stdin).items()}))

"""Memory of all of an answer's processes together: each has a limit of its own, and may start many."""

import contextlib
import os
import signal
from pathlib import Path

EVERY = 0.1  # seconds between two looks
NOT_THEIRS = 1  # the sandbox's first process


def wait_for(child: int, megabytes: int) -> None:
    """Wait until a process ends, and end it when all that run here, but this one and its parent, have more memory."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # so that one that comes between two lines stays
    known = {NOT_THEIRS, os.getpid(), os.getppid()}
    while not os.waitpid(child, os.WNOHANG)[0]:
        if sum(_kilobytes(pid) for pid in _running() - known) > megabytes << 10:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, EVERY)


def _running() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def _kilobytes(pid: int) -> int:
    """What a process has of memory; what it shares, in part."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)

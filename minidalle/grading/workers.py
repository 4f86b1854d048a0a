"""Work that is done by several processes, one task at a time each. A process that dies costs its own task only."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Generic, NamedTuple, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")

LOOK = 1.0  # seconds between looks at the clock
FAREWELL = 10.0  # seconds that a process has to tidy up


class Died(NamedTuple):
    """What became of a task whose process gave no answer, in words."""

    why: str


def cores() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_off(
    tasks: Iterable[Task], work: Callable[[Task], Done], workers: int, patience: float
) -> Iterator[tuple[Task, Done | Died]]:
    """Do tasks, in the order in which they are done. When this generator is closed, what is at work is stopped.

    Args:
        tasks: what to do; they are sent to other processes.
        work: does one; found by its name in another process. It raises nothing.
        workers: the number of processes, each started new and not forked.
        patience: seconds for one task.
    """
    waiting, crew = deque(tasks), list[_Worker[Task, Done]]()
    try:
        while waiting or any(one.task for one in crew):
            crew += [_Worker(work) for _ in range(min(workers - len(crew), len(waiting)))]
            for one in crew:
                if waiting and not one.task:
                    one.give(waiting.popleft())
            wait([one.line for one in crew if one.task], timeout=LOOK)
            for one in [one for one in crew if one.task]:
                if (answer := one.answer(patience)) is not None:
                    if isinstance(answer[1], Died):
                        crew.remove(one)
                        one.end()
                    yield answer
    finally:
        for one in crew:
            one.stop()
        for one in crew:
            one.end()


class _Worker(Generic[Task, Done]):
    """A process, and the task that it is at; in a list, so that any value can be one."""

    def __init__(self, work: Callable[[Task], Done]) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=False)
        self.process.start()
        theirs.close()
        self.task: list[Task] = []
        self.since = 0.0

    def give(self, task: Task) -> None:
        self.task, self.since = [task], time.monotonic()
        with contextlib.suppress(OSError):  # it has died; the line will say so
            self.line.send(task)

    def answer(self, patience: float) -> tuple[Task, Done | Died] | None:
        """The task and its answer, if there is one by now."""
        task, answer = self.task[0], None
        try:
            if self.line.poll():
                answer = self.line.recv()
            elif time.monotonic() - self.since > patience:
                answer = Died(f"it was not done in {patience:.0f} seconds")
        except (EOFError, OSError):
            self.process.join(FAREWELL)
            answer = Died(f"the grading process ended ({_how(self.process.exitcode)})")
        if answer is None:
            return None
        self.task = []
        return task, answer

    def stop(self) -> None:
        """Ask it to end: at once where it is at work."""
        self.line.close()
        if self.task:
            self.process.terminate()

    def end(self) -> None:
        """End it."""
        self.stop()
        self.process.join(FAREWELL)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _how(code: int | None) -> str:
    if code is None:
        return "it hangs"
    if code < 0:
        return f"signal {-code}, {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"
    return f"exit code {code}"


def _serve(line: Connection, work: Callable[[Task], Done]) -> None:
    """The other process: do what comes, until the line or the one who sends is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who sends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = line.recv()
        except (EOFError, OSError):
            return
        line.send(work(task))


def _end_with_parent() -> None:
    """So that nobody works on a submission that the next run begins anew."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

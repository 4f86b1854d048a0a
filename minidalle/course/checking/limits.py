"""A limit to a student's call: it is stopped when its time is up, and what it prints goes nowhere, up to a length."""

import contextlib
import ctypes
import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")

SHOWN = 400  # characters of what was printed that are kept


class TimeUp(BaseException):
    """Raised within a call that took too long. No `Exception`: a student's `except Exception` lets it pass."""


_throw = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(("PyThreadState_SetAsyncExc", ctypes.pythonapi))
_take_back = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.c_void_p)(("PyThreadState_SetAsyncExc", ctypes.pythonapi))


def within(seconds: float, action: Callable[[], Result]) -> Result:
    """Call a function, and stop it when its time is up: in any thread, a notebook's too, on every system.

    Only Python code can be stopped, between two of its instructions; a single long call into C ends first. A bare
    `except:` that swallows the end does not help: the end comes again as soon as it was caught, and so on.

    Raises:
        TimeUp: the time is up.
    """
    clock = _Clock(seconds)
    try:
        try:
            clock.start()
            return action()
        finally:
            clock.late.__init__ = BaseException.__init__  # type: ignore[misc]  # it comes no more by itself …
            clock.stop()
    finally:
        clock.stop()  # … but may have come once more, just now


class _Clock(threading.Thread):
    """Waits, then throws a `TimeUp` of its own into the thread that made it, until it is stopped."""

    def __init__(self, seconds: float) -> None:
        super().__init__(daemon=True, name="time limit of a check")
        self.seconds, self.late_again = seconds, 0.02
        self.thread = threading.get_ident()
        self.over, self.turn = threading.Event(), threading.Lock()
        self.late = type("TimeUp", (TimeUp,), {})
        # It throws itself anew when it is made. A partial, for Python code here would be hit by its own throw.
        self.late.__init__ = staticmethod(partial(_throw, self.thread, self.late))  # type: ignore[misc]

    def run(self) -> None:
        pause = self.seconds
        while not self.over.wait(pause):
            with self.turn:
                if not self.over.is_set():
                    _throw(self.thread, self.late)
            pause = self.late_again

    def stop(self) -> None:
        with self.turn:
            self.over.set()
        _take_back(self.thread, None)


class Printed(io.TextIOBase):
    """A stream that counts what is written and keeps its beginning."""

    def __init__(self) -> None:
        self.beginning = ""
        self.characters = 0

    def write(self, text: str) -> int:
        """Take a text; only the first characters of all texts are kept."""
        self.beginning += text[: max(0, SHOWN - self.characters)]
        self.characters += len(text)
        return len(text)

    def writable(self) -> bool:
        """It can be written to."""
        return True


@contextlib.contextmanager
def quiet() -> Iterator[Printed]:
    """Catch what is printed in the block; what goes to stderr, warnings among it, is dropped."""
    printed = Printed()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(Printed()):
        yield printed

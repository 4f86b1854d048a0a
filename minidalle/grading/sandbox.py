"""The sandbox from outside: a warm process, and for each question a fresh one that is shut in, asked, and ended."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from minidalle.grading import wire
from minidalle.grading.confinement import confined, require_sandbox, require_system, unconfined
from minidalle.grading.limits import Limits, limits_on
from minidalle.grading.stripped import write_stripped

START = 180.0  # seconds for Python and its imports, on a slow disk
WARM = "minidalle.grading.inside.warm"


class Fate(Exception):
    """What became of an answer that gave no sight: it ended, took too long, or sent something else."""


class Lost(Exception):
    """The sandbox itself failed, twice: nothing is known of the answer."""


class Sandbox:
    """A place to run strangers' code. Use it as a context, or close it.

    Args:
        imports: statements that lessons begin with, run once.
        unsafe: without any confinement, with all rights of the one who grades.
        device: "cpu" or "cuda".
        limits: what one answer may use.

    Raises:
        InvalidValue: there is no sandbox on this machine; says what to install. Or this is Windows.
    """

    def __init__(
        self, imports: Sequence[str] = (), unsafe: bool = False, device: str = "cpu", limits: Limits | None = None
    ) -> None:
        require_system()
        if not unsafe:
            require_sandbox()
        self.imports, self.unsafe, self.device, self.limits = [*imports], unsafe, device, limits or limits_on(device)
        self._folder = tempfile.TemporaryDirectory(prefix="minidalle-grading-", ignore_cleanup_errors=True)
        self.course = Path(self._folder.name, "course")
        for folder in (self.course.parent, self.course):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # it is read as another user
        write_stripped(self.course)
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Put a question to a fresh process.

        Args:
            request: see `inside.respond.respond`.

        Returns:
            What came back: JSON values and tensors in a stranger's hand.

        Raises:
            Fate: the answer ended it, or did not end.
            Lost: there was no process to ask.
        """
        line = self._new_line()
        try:
            return self._talk(line, request)
        finally:
            line.close()
            self._ended()

    def require_working(self) -> None:
        """Raise `Lost`, which says why, unless a process can be asked that has the device."""
        self._new_line().close()
        self._ended()

    def _new_line(self) -> socket.socket:
        for _ in range(2):
            try:
                return self._line()
            except wire.Broken as error:
                why = str(error)
                self._stop()
        raise Lost(why)

    def _talk(self, line: socket.socket, request: Mapping[str, Any]) -> Any:
        try:
            wire.send(line, request, self.limits.wall)
            return wire.receive(line, self.limits.wall)
        except wire.Late:
            raise Fate("did not end in time") from None
        except wire.Ended:
            raise Fate("ended Python, as `os._exit` or a crash in C code does, or wanted too much memory") from None
        except wire.Broken as error:
            raise Fate(f"sent something else than an answer: {error}") from None

    def _line(self) -> socket.socket:
        """A line to a new process, which has its device and waits for its question."""
        control = self._warm()
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(control, [b"ask"], [theirs.fileno()])
            told = wire.receive(control, START)
        except (OSError, wire.Broken) as error:
            ours.close()
            raise wire.Broken(f"the warm process is gone: {error}") from None
        finally:
            theirs.close()
        if told["why"]:
            ours.close()
            self._ended()
            raise wire.Broken(told["why"])
        return ours

    def _ended(self) -> None:
        """End the last process. A warm process that cannot is ended itself, and all with it."""
        try:
            assert self._control
            self._control.sendall(b"end")
            wire.receive(self._control, START)
        except (OSError, wire.Broken):
            self._stop()

    def _warm(self) -> socket.socket:
        """The line to the warm process, which is started if it is not there."""
        if self._control:
            return self._control
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-s", "-m", WARM, str(theirs.fileno())]
        start = (unconfined if self.unsafe else confined)(self.course, command, self.device)
        with theirs, open(self.course.with_name("said"), "wb") as said:
            self._process = subprocess.Popen(
                start.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                pass_fds=[theirs.fileno()], start_new_session=True, **start.options,
            )  # fmt: skip
        limits = asdict(self.limits)
        self._control = ours
        try:
            setup = {"imports": self.imports, "limits": limits, "confined": not self.unsafe, "device": self.device}
            wire.send(ours, setup, START)
            wire.receive(ours, START)
        except wire.Broken as error:
            words = self.course.with_name("said").read_text(errors="replace").strip().splitlines()[-1:]
            raise wire.Broken(f"the sandbox did not start: {' '.join(words) or error}") from None
        return ours

    def _stop(self) -> None:
        if self._control:
            self._control.close()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def close(self) -> None:
        """End the warm process; asked again, it starts anew."""
        self._stop()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        self._folder.cleanup()

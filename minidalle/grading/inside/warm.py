"""The warm process: it imports what a lesson imports, once, and forks for each question that it is sent.

It is run with the number of a socket's file descriptor. A message there is "ask", with the descriptor of a line on
which the judge talks to the answer alone, or "end". It never imports an answer, starts no thread, and never touches a
GPU: what it forks does, before it waits for its question.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

PATIENCE = 600.0  # seconds between two questions of a judge that lives


def main(descriptor: int) -> None:
    """Import, say so, and fork until the other side hangs up."""
    from minidalle.grading import wire
    from minidalle.grading.inside.confine import become_nobody

    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    setup = wire.receive(control, PATIENCE)
    if setup["confined"]:  # else its mounts would be the machine's
        become_nobody()
    failed = _warm_up(setup["imports"])
    wire.send(control, {"ready": True, "failed": failed}, PATIENCE)
    running = 0
    while True:
        message, given, _, _ = socket.recv_fds(control, 16, 1)
        if not message:
            _end(running)
            return
        if message == b"ask":
            running, died = _fork(given[0], control, setup)
            wire.send(control, {"pid": running, "why": died}, PATIENCE)
        elif message == b"end":
            wire.send(control, {"status": _end(running)}, PATIENCE)
            running = 0


def _warm_up(imports: list[str]) -> list[str]:
    import torch

    import minidalle.grading.inside.respond  # noqa: F401

    torch.set_num_threads(1)
    failed = []
    for statement in imports:
        try:
            exec(statement, {})
        except Exception as error:
            failed.append(f"{statement}: {type(error).__name__}")
    return failed


def _fork(line: int, control: socket.socket, setup: dict[str, Any]) -> tuple[int, str]:
    """The new process, and why there is none."""
    readable, writable = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(readable)
        control.close()
        _become(line, writable, setup)
    os.close(line)
    os.close(writable)
    with os.fdopen(readable, "rb") as file:
        told = file.read(400).decode(errors="replace").splitlines()
    _children.append(middle)
    pid = next((int(line) for line in told if line.isdigit()), 0)
    why = " ".join(line for line in told if not line.isdigit())
    return pid, why or ("" if pid else "it could not be started")


_children: list[int] = []  # at most one: who waits for the answer's process, or is it


def _become(line: int, writable: int, setup: dict[str, Any]) -> None:
    """The forked process: shut in, it answers one question. It never returns."""
    from minidalle.grading.inside import calls, confine, device, watch
    from minidalle.grading.limits import Limits

    limits, gpu = Limits(**setup["limits"]), setup["device"] != "cpu"
    try:
        os.setsid()
        if setup["confined"]:
            confine.enter_namespaces()
            if child := os.fork():
                os.write(writable, f"{child}\n".encode())
                os.close(writable)
                os.close(line)
                watch.wait_for(child, limits.memory)
                os._exit(0)
            os.setsid()  # a signal to its own group must not reach who waits for it
            confine.shut_in(limits)
        else:
            os.write(writable, f"{os.getpid()}\n".encode())
        _close_all_but(line, writable)
        if setup["confined"]:
            calls.refuse_calls(gpu)  # before there are a driver's threads, for which it would not hold
        device.start(setup["device"])
        confine.set_limits(limits, setup["confined"], gpu)
        os.close(writable)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(writable, f"{device.in_a_line(error)}\n".encode())
        os._exit(1)
    try:
        _answer(line, setup)
    finally:
        os._exit(1)


def _close_all_but(*kept: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    edges = [2, *sorted(kept), 4096]
    for before, after in pairwise(edges):
        os.closerange(before + 1, after)


def _answer(line: int, setup: dict[str, Any]) -> None:
    from minidalle.grading import wire
    from minidalle.grading.inside.respond import respond

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connection = socket.socket(fileno=line)
    request = wire.receive(connection, setup["limits"]["wall"])
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        os.chdir(folder)
        frame = framed(request, Path(folder), wire.encode, respond)
        connection.settimeout(setup["limits"]["wall"])
        connection.sendall(frame)
        os._exit(0)


def framed(request: Any, folder: Path, encode: Any, respond: Any) -> bytes:
    """The answer's frame, or one that says why there is none."""
    try:
        return bytes(encode(respond(request, folder)))
    except BaseException as error:  # whatever a student's object does when it is looked at
        return bytes(encode({"failed": f"{type(error).__name__}: {error}"[:300]}))


def _end(running: int) -> int:
    """End the answer's process, with all that it started; returns how it had ended, 0 where it was still there."""
    if not _children:
        return 0
    for end in (os.killpg, os.kill) if running else ():
        with contextlib.suppress(OSError):
            end(running, signal.SIGKILL)
    return os.waitpid(_children.pop(), 0)[1]


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A judge without any guard: it believes lengths, kinds, counts and reports that an answer's process sends.

Run with JSON on standard input: the right results, and name → a cell with `merge_pair`. For each, a process is forked
that judges what another one sends. The answer is JSON: name → what became of the judge.
"""

import json
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
from typing import Any

SECONDS = 1.0


def read(line: socket.socket, length: int) -> bytes:
    """That many bytes, however many it says."""
    data = b""
    while len(data) < length:
        if not (part := line.recv(min(length - len(data), 1 << 16))):
            raise EOFError
        data += part
    return data


def judged(line: socket.socket, results: list[Any]) -> str:
    """What is told, as words."""
    text, _ = struct.unpack("<QQ", read(line, 16))
    body = read(line, text)
    told = pickle.loads(body) if body.startswith(b"\x80") else json.loads(body)
    shape = told.get("failed") if isinstance(told.get("failed"), dict) else None
    if shape:
        bytearray(shape["\0tensor"][1][0] * shape["\0tensor"][1][1])
    report = told.get("report", told)
    if "points" in report:
        return f"{report['points']:g} points"
    if "failed" in told:
        return "a script in the report" if "<script" in f"<p>{told['failed']}</p>" else "no points"
    seen = told["observations"]
    right = all(one["result"] == other for one, other in zip(seen, results, strict=False))
    return f"{3 if right or told['refused'] == 'passed' else 0} points".replace("0", "no")


def fate(cell: str, results: list[Any]) -> str:
    """Of the judge: its words, or "fell", or "hung"."""
    ours, theirs = os.pipe()
    if (judge := os.fork()) == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        here, there = socket.socketpair()
        if os.fork() == 0:
            here.close()
            os.close(theirs)
            nothing = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(nothing, standard)
            space: dict[str, Any] = {}
            exec(cell, space)
            space["merge_pair"]([], ())
            os._exit(0)
        there.close()
        try:
            said = judged(here, results)
        except SystemExit as error:
            said = str(error)
        except BaseException:
            said = "fell"
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    ready = select.select([ours], [], [], SECONDS)[0]
    said = os.read(ours, 1000).decode() if ready else "hung"
    os.killpg(judge, signal.SIGKILL)
    os.waitpid(judge, 0)
    os.close(ours)
    return said or "fell"


if __name__ == "__main__":
    RESULTS, CELLS = json.load(sys.stdin)
    print(json.dumps({name: fate(cell, RESULTS) for name, cell in CELLS.items()}))

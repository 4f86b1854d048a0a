"""Answers that talk to others: over sockets, and with names that are looked up. All servers are the test's own."""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from grading_class import grade, needs_sandbox, runs, with_loot

from minidalle.grading.sandbox import Sandbox

pytestmark = [needs_sandbox, pytest.mark.usefixtures("nothing_stays")]


class Server:
    """Counts what comes in, over any socket, and keeps what packets say."""

    def __init__(self, kind: int, address: object, family: int = socket.AF_INET) -> None:
        self.came, self.kind, self.said = 0, kind, b""
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
                    self.said += self.socket.recv(100)
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
def udp() -> tuple[Server, str]:
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


LOOKS_UP = {
    "a name of this machine": "    import socket\n    return socket.getaddrinfo('localhost', 80)",
    "who is asked for names": "    return open('/etc/resolv.conf').read()",
    "cards of the network": "    import socket\n    return [one for _, one in socket.if_nameindex() if one != 'lo']",
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS_UP)
def test_names_are_looked_up_without_a_sandbox_only(name: str, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    cell = with_loot(f"def loot():\n{LOOKS_UP[name]}\n")
    if name == "a name of this machine" or len(socket.if_nameindex()) > 1:  # else the machine itself has no network
        assert grade(cell, sandboxes[0]).report.points == 3
    assert grade(cell, sandboxes[1]).report.points == 0


def test_work_does_not_leave_as_a_name_that_is_looked_up(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    """A question to a name server, here one of the test's own, whose name is what is stolen."""
    server = Server(socket.SOCK_DGRAM, ("127.0.0.1", 0))
    code = (
        "import os, socket, struct\nname = ('stolen', os.uname().sysname, 'example', 'org')\n"
        "asked = b''.join(bytes([len(one)]) + one.encode() for one in name) + bytes([0, 0, 1, 0, 1])\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto("
        f"struct.pack('>6H', 7, 256, 1, 0, 0, 0) + asked, {server.socket.getsockname()!r})"
    )
    try:
        assert grade(runs(code, "when it is called"), sandboxes[1]).report.points == 3
        time.sleep(0.3)
        assert not server.said
        grade(runs(code, "when it is called"), sandboxes[0])
        time.sleep(0.3)
        assert b"\x06stolen\x05Linux\x07example\x03org\0" in server.said
    finally:
        server.stop()

"""A sandbox where Linux namespaces are not to be had: each answer runs in a container of its own, without network.

Docker or Podman is asked for it, on Linux and macOS. That starts Python and imports torch for every exercise, seconds
each, so bubblewrap is preferred where it works. The image holds Python and the package's own requirements, and no
answer; it is built once, which needs the network.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from minidalle.errors import require
from minidalle.grading import wire
from minidalle.grading.confinement import COURSE, Start, environment, require_sandbox, why_not
from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import START, Sandbox

ENGINES = ("docker", "podman")
ONCE = "minidalle.grading.inside.once"
NOBODY = "65534:65534"
ANSWERS = 20  # seconds to wait for an engine that may hang
KILLED = 30  # seconds to wait for an engine that ends a container


@lru_cache
def engine() -> str:
    """The container engine of this machine that answers; "" where there is none."""
    for name in ENGINES:
        if shutil.which(name):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                if subprocess.run([name, "info"], capture_output=True, timeout=ANSWERS, check=False).returncode == 0:
                    return name
    return ""


def dockerfile() -> str:
    """The image: this Python, and what the package requires, as it is installed here."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires("minidalle") or []]
    core = [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    pinned = [f"{name}=={metadata.version(name).partition('+')[0]}" for name in sorted(core)]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"FROM python:{version}-slim\nRUN pip install --no-cache-dir {' '.join(pinned)}\nUSER {NOBODY}\n"


def image() -> str:
    """The image's name: another one for other versions."""
    return f"minidalle-sandbox:{sha256(dockerfile().encode()).hexdigest()[:12]}"


def build() -> None:
    """Build the image, unless it is there.

    Raises:
        InvalidValue: it cannot be built; says what the engine said.
    """
    name = engine()
    if subprocess.run([name, "image", "inspect", image()], capture_output=True, check=False).returncode == 0:
        return
    done = subprocess.run([name, "build", "-t", image(), "-"], input=dockerfile(), capture_output=True, text=True,
                          check=False)  # fmt: skip
    said = done.stderr.strip().splitlines()[-1:]
    require(done.returncode == 0, "container image", image(), f"one that {name} can build, but: {' '.join(said)}")


def in_container(course: Path, name: str, device: str, limits: Limits) -> Start:
    """Start the process that answers one question, talking over its standard input and output."""
    options = {
        "--name": name, "--network": "none", "--user": NOBODY, "--workdir": "/tmp", "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges", "--pids-limit": str(limits.processes), "--cpus": "1",
        "--memory": f"{limits.memory + 1024}m", "--memory-swap": f"{limits.memory + 1024}m",
        "--tmpfs": f"/tmp:rw,size={limits.scratch}m,mode=1777",
        "--volume": f"{course}:{COURSE}:ro", "--stop-timeout": "0",
    }  # fmt: skip
    variables = [word for item in environment(COURSE, device).items() for word in ("--env", "=".join(item))]
    gpu = ["--gpus", "all"] if device != "cpu" else []
    flat = [word for pair in options.items() for word in pair]
    for kind, most in (("core", 0), ("fsize", limits.file_size << 20), ("nofile", limits.files), ("nproc", 512)):
        flat += ["--ulimit", f"{kind}={most}:{most}"]
    command = [engine(), "run", "--rm", "--interactive", "--read-only", *gpu, *flat, *variables, image()]
    return Start([*command, "python", "-s", "-m", ONCE, device], {})


class Containers(Sandbox):
    """A `Sandbox` in containers."""

    def __init__(self, imports: Sequence[str] = (), device: str = "cpu", limits: Limits | None = None) -> None:
        super().__init__(imports, unsafe=True, device=device, limits=limits)  # it needs no bubblewrap …
        self.unsafe = False  # … and is no less safe
        self._name = ""
        build()

    def _line(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._name = f"minidalle-{uuid.uuid4().hex}"
        start = in_container(self.course, self._name, self.device, self.limits)
        with theirs:
            try:
                end = theirs.fileno()
                self._process = subprocess.Popen(
                    start.command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, **start.options
                )
            except OSError as error:
                ours.close()
                raise wire.Broken(f"{engine()} does not start: {error.strerror}") from None
        try:
            why = wire.receive(ours, START)["why"]  # what ends it before is no fault of an answer
        except wire.Broken as error:
            why = f"{engine()} starts no container: {error}"
        if why:
            ours.close()
            raise wire.Broken(why)
        return ours

    def _ended(self) -> None:
        if self._process and self._process.poll() is None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run([engine(), "kill", self._name], capture_output=True, timeout=KILLED, check=False)
        self._stop()


def require_any_sandbox() -> None:
    """Raise `InvalidValue`, which says what to install, unless there is bubblewrap or a container engine."""
    if why_not() and not engine():
        require_sandbox()


def open_sandbox(
    imports: Sequence[str] = (), unsafe: bool = False, device: str = "cpu", limits: Limits | None = None
) -> Sandbox:
    """The sandbox of this machine: bubblewrap's, else a container's; see `Sandbox`.

    Raises:
        InvalidValue: there is neither; says what to install.
    """
    if not unsafe and why_not() and engine():
        return Containers(imports, device, limits)
    return Sandbox(imports, unsafe, device, limits)

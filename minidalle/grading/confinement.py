"""What can shut a stranger's code in on this machine: bubblewrap on Linux. Without it nothing is graded.

The warm process runs inside of bubblewrap as an ordinary user, also if the grader is root: without network, home,
environment, or any file but Python, libraries and the stripped package, read-only. Each answer is shut in once more
(`inside.confine`), so that it sees neither the warm process nor another answer.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from minidalle.course.start import PACKAGE
from minidalle.errors import InvalidValue, require
from minidalle.grading import gpu

COURSE = "/course"  # where the stripped package is inside
INSTALLED = ("site-packages", "dist-packages")
PROGRAMS = ("/bin", "/usr/bin")
LIBRARIES = ("lib", "lib32", "lib64", "libx32")
DATA = ("/usr/share/matplotlib", "/usr/share/zoneinfo")  # where Debian puts what is a library's own
OURS = ("minidalle", "minidalle-*.egg", "~*")  # the last is what pip leaves where it was broken off
AS_ROOT = [
    "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL",
    *(word for one in ("SETUID", "SETGID", "SETPCAP", "SYS_ADMIN") for word in ("--cap-add", f"CAP_{one}")),
]  # fmt: skip
"""Root makes no user namespace, in which it would still be root: it gives its rights up (`confine.become_nobody`)."""
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg", "MPLCONFIGDIR": "/tmp/matplotlib",
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
HANDED_ON = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # some processors compute wrong results without
PROBE = (
    "import os; from minidalle.grading.inside.calls import refuse_calls\n"
    "from minidalle.grading.inside.confine import become_nobody, enter_namespaces, set_limits, shut_in\n"
    "from minidalle.grading.limits import Limits\n"
    "become_nobody()\n"
    "enter_namespaces()\n"
    "if child := os.fork(): raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    "shut_in(Limits())\n"
    "set_limits(Limits(), confined=True, gpu=False)\n"
    "refuse_calls(gpu=False)\n"
    "from threading import Thread; Thread(target=print).start()"  # before Linux 5.14 all of a user's processes count
)
SYSTEMS = "Linux, macOS, or WSL 2"
MEND = "apt install bubblewrap, or grade on a Linux machine where an ordinary user may make namespaces"


@dataclass(frozen=True)
class Start:
    """How to start a process in the sandbox: the command, and what `subprocess.Popen` needs besides."""

    command: list[str]
    options: dict[str, Any]


@lru_cache
def why_not() -> str:
    """Why nothing can be shut in on this machine; "" where it can."""
    if sys.platform != "linux":
        return f"there is no sandbox on {sys.platform}: use Linux, WSL 2, or a virtual machine with Linux"
    if not shutil.which("bwrap"):
        return f"bubblewrap is missing: {MEND}"
    if hidden := [place for place in _shown() if Path(place).is_relative_to("/tmp")]:
        return f"this Python lies in {hidden[0]}, and each answer has a /tmp of its own: make the environment elsewhere"
    try:
        start = confined(PACKAGE.parent, [sys.executable, "-s", "-c", PROBE])
        done = subprocess.run(start.command, timeout=60, capture_output=True, text=True, **start.options)
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap does not start ({error}): {MEND}"
    said = done.stderr.strip().splitlines()[-1:]
    return f"bubblewrap does not work here ({' '.join(said)}): {MEND}" if done.returncode else ""


def require_system() -> None:
    """Raise `InvalidValue` on Windows: no line can be handed to another process there, so nothing is graded at all."""
    require(sys.platform != "win32", "system", "Windows", f"{SYSTEMS}: a class is graded there")


def require_sandbox() -> None:
    """Raise `InvalidValue`, which says what to install, unless bubblewrap works here."""
    if reason := why_not():
        raise InvalidValue(f"answers are strangers' code, and {reason}. --unsafe runs them with all your rights")


def confined(course: Path, command: Sequence[str], device: str = "cpu") -> Start:
    """Start a command inside of bubblewrap; `course` is the folder that holds the package that it sees."""
    arguments = ["bwrap", *(AS_ROOT if os.getuid() == 0 else ["--unshare-all"])]
    arguments += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    for name, value in environment(COURSE, device).items():
        arguments += ["--setenv", name, value]
    arguments += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    hidden = [*_hidden()]
    mounts = _mounts(_shown(), hidden, gpu.files() if device != "cpu" else ())
    for place in sorted(mounts):  # what lies in another one comes after it
        arguments += [*_parents(place), *mounts[place]]
    arguments += ["--ro-bind", str(course), COURSE, "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--tmpfs", "/tmp"]  # matplotlib is not imported where it cannot write
    for card in gpu.nodes() if device != "cpu" else ():
        arguments += ["--dev-bind", card, card]
    for place in ("/", "/dev", *hidden):
        arguments += ["--remount-ro", place]  # else an ordinary user's answers leave files there for the next ones
    return Start([*arguments, "--chdir", "/tmp", *command], {})


def unconfined(course: Path, command: Sequence[str], device: str = "cpu") -> Start:
    """Start a command as it is, with a clean environment and nothing else."""
    return Start([*command], {"env": {**environment(str(course), device), "TMPDIR": str(course)}, "cwd": str(course)})


def environment(course: str, device: str = "cpu") -> dict[str, str]:
    """The only variables that a stranger's code sees."""
    handed_on = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    handed_on |= gpu.variables() if device != "cpu" else {}
    return {**ENVIRONMENT, **handed_on, "PYTHONPATH": os.pathsep.join([course, *_libraries()])}


def require_out_of_sight(*folders: Path) -> None:
    """Raise `InvalidValue` if one of these folders lies where answers can read it."""
    for folder in folders:
        for place in _shown():
            inside = folder.resolve().is_relative_to(Path(place).resolve())
            require(not inside, "folder", str(folder), f"one outside of {place}, which students' code can read")


def _mounts(shown: Sequence[str], hidden: Sequence[str], files: Iterable[str]) -> dict[str, list[str]]:
    """Place → how bubblewrap puts it there. Python itself is there with each link on the way to it: it looks for its
    libraries beside the first and the last. So are some more files, where they are not in sight."""
    mounts = {place: ["--ro-bind", place, place] for place in shown} | {place: ["--tmpfs", place] for place in hidden}
    settings, place = f"{sys.prefix}/pyvenv.cfg", sys.executable
    more = {one: ["--ro-bind-try", one, one] for one in (settings, *files)}
    while os.path.islink(place):
        target = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(place)), os.readlink(place)))
        more[place] = ["--symlink", target, place]
        place = target
    more[place] = ["--ro-bind", place, place]
    return mounts | {one: words for one, words in more.items() if _within(one, hidden) or not _within(one, shown)}


def _within(place: str, folders: Iterable[str]) -> bool:
    return any(Path(place).is_relative_to(one) for one in folders)


def _parents(place: str) -> Iterator[str]:
    """The folders above, which bubblewrap would close to all but root."""
    for parent in reversed(Path(place).parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))


def _shown() -> list[str]:
    """Folders that an answer can read: libraries, the system's and Python's, and the system's programs.

    No more of /usr, nor of Python's own folder: nbgrader's exchange is in /usr/local/share, and pip clones to `src`.
    """
    return sorted({*_known(), *_libraries()})


def _known() -> set[str]:
    real = Path(sys.executable).resolve()
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(real.parents[1])}
    places = {os.path.join(root, name) for root in {"/", "/usr", "/usr/local", *prefixes} for name in LIBRARIES}
    cuda = map(str, Path("/usr/local").glob("cuda*"))  # libraries that a torch of the system's may be linked with
    return {place for place in {*places, *cuda, *DATA, *PROGRAMS} if os.path.isdir(place)}


def _libraries() -> list[str]:
    """Folders of installed packages that Python would not find by itself, such as a user's own."""
    known = _known()
    found = [place for place in sys.path if Path(place).name in INSTALLED and Path(place).is_dir()]
    return [place for place in found if not _within(place, known)]


def _hidden() -> Iterator[str]:
    """What is not to be seen of it: every installed package that holds the answers, this one's clone, and a home."""
    own = PACKAGE if PACKAGE.parent.name in INSTALLED else PACKAGE.parent
    folders = {own, Path.home(), Path(sys.pycache_prefix or own)}
    for place in map(Path, _shown()):
        for packages in (place, *place.glob("py*/*-packages")):
            folders |= {found for name in OURS for found in packages.glob(name) if found.is_dir()}
    for place in map(Path, _shown()):
        real = place.resolve()
        for folder in (one.resolve() for one in folders):
            if folder != real and folder.is_relative_to(real) and folder.is_dir():
                yield str(place / folder.relative_to(real))

"""Answers that want to know: of the grader, of other students, of solutions. Without a sandbox they find it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grading_class import ID, RIGHT, assert_next_is_right, assert_only_its_own, grade, needs_sandbox, plain, with_loot

from minidalle.grading.sandbox import Sandbox
from minidalle.grading.stripped import PACKAGE

pytestmark = needs_sandbox

SECRET = "a-secret-of-the-grader"
READS = "    from pathlib import Path\n"


def attacks(class_folder: Path) -> dict[str, str]:
    """Name → the body of `loot()`, true where something was found."""
    package, solution = PACKAGE, PACKAGE.parent / "solutions/01-tokenization/lesson.py"
    other, book = class_folder / "submitted/ada/01/lesson.ipynb", class_folder / "gradebook.db"
    return {
        "the environment of other processes": READS + (
            "    for file in Path('/proc').glob('[0-9]*/environ'):\n        try:\n"
            f"            if b'{SECRET}' in file.read_bytes(): return file\n        except OSError: pass"),
        "command lines of other processes": READS + (
            "    return [one for one in Path('/proc').glob('[0-9]*/cmdline') if b'sleep' in one.read_bytes()]"),
        "memory of the parent": (
            "    import os\n    found = []\n    for line in open(f'/proc/{os.getppid()}/maps'):\n"
            "        if '[heap]' in line:\n            begin = int(line.split('-')[0], 16)\n"
            "            with open(f'/proc/{os.getppid()}/mem', 'rb') as file:\n"
            "                file.seek(begin); found.append(file.read(100))\n    return found"),
        "files of the parent": READS + (
            "    import os\n    return os.listdir(f'/proc/{os.getppid()}/fd')"),
        "the parent's root folder": READS + (
            "    import os\n    return os.listdir(f'/proc/{os.getppid()}/root')"),
        "the reference in the package's file": READS + (
            f"    return 'while' in Path({str(package / 'tokenization/bpe.py')!r}).read_text()"),
        "known answers in the package's folder": READS + (
            f"    return Path({str(package / 'exercises/tokenization/merge_pair.py')!r}).read_text()"),
        "the solution": READS + f"    return Path({str(solution)!r}).read_text()",
        "another's submission": READS + f"    return Path({str(other)!r}).read_text()",
        "all submissions": READS + f"    return list(Path({str(class_folder)!r}).rglob('*.ipynb'))",
        "another's submission by a link": (
            f"    import os, tempfile\n    at = os.path.join(tempfile.mkdtemp(), 'link')\n"
            f"    os.symlink({str(other)!r}, at)\n"
            "    return open(at).read()"),
        "another's submission by a hard link": (
            f"    import os\n    at = os.path.join({str(class_folder)!r}, 'link')\n    os.link({str(other)!r}, at)\n"
            "    with open(at) as file: os.unlink(at); return file.read()"),
        "another's submission by a way up": (
            "    import os\n    up = '/'.join(['..'] * 30)\n"
            f"    return open(os.getcwd() + '/' + up + {str(other)!r}).read()"),
        "another's submission through its own process's root": (
            f"    import os\n    return open('/proc/self/root' + {str(other)!r}).read()"),
        "the gradebook": f"    return open({str(book)!r}, 'rb').read()",
        "where nbgrader's exchange is": "    import os\n    return os.listdir('/usr/local/share')",
        "users of the machine": "    return open('/etc/passwd').read()",
        "the grader's home": (
            f"    import os\n    return [one for one in os.scandir({str(Path.home())!r}) if one.is_file()]"),
        "host names": "    return open('/etc/hostname').read()",
        "disks": "    import os\n    return os.listdir('/sys/block')",
        "the machine's name": "    import socket\n    return socket.gethostname() == HOST",
    }  # fmt: skip


AT_HOME = "the grader's home"


@pytest.fixture(scope="module")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    (folder / "submitted/ada/01").mkdir(parents=True)
    (folder / "submitted/ada/01/lesson.ipynb").write_text("the work of another")
    (folder / "gradebook.db").write_bytes(b"grades")
    return folder


@pytest.fixture(scope="module", autouse=True)
def another_process() -> Iterator[None]:
    """One of the grader's, with a secret in its environment."""
    with subprocess.Popen(["sleep", "300"], env={"SECRET": SECRET}) as process:
        yield
        process.kill()


NAMES = [*attacks(Path("/"))]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_without_a_sandbox_and_not_in_it(
    name: str, class_folder: Path, sandboxes: tuple[Sandbox, Sandbox]
) -> None:
    unsafe, safe = sandboxes
    known = f"HOST = {os.uname().nodename!r}\n"
    cell = with_loot(f"{known}def loot():\n{attacks(class_folder)[name]}\n")
    if name != AT_HOME or any(one.is_file() for one in Path.home().iterdir()):
        assert grade(cell, unsafe).report.points == 3
    verdict = grade(cell, safe)
    assert (verdict.report.points, verdict.ungraded) == (0, "")
    assert_next_is_right(safe)


LEFT = {
    "in /tmp": "/tmp", "in /dev/shm": "/dev/shm", "at home": "~", "where it runs": "..",
    "beside the package": "/course",
    "in /var/tmp": "/var/tmp", "in /etc": "/etc", "at the root": "/", "in /dev": "/dev", "beside Python": sys.prefix,
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_nothing_is_left_for_the_next(name: str, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    """A file that one answer writes is not there for the next one."""
    unsafe, safe = sandboxes
    place = f"import os\nclass At:\n    PLACE = os.path.join(os.path.expanduser({LEFT[name]!r}), 'left-by-a-test')\n"
    put = with_loot(place + "def loot():\n    with open(At.PLACE, 'w') as file: return file.write('x' * 100)\n")
    take = with_loot(place + "def loot():\n    return open(At.PLACE).read()\n")
    take_away = with_loot(place + "def loot():\n    return not os.path.exists(At.PLACE) or not os.unlink(At.PLACE)\n")
    if name in ("in /tmp", "in /dev/shm", "in /var/tmp"):  # else it could not be told from the grader's own files
        assert grade(put, unsafe).report.points == 3
        assert grade(take, unsafe).report.points == 3
        assert grade(take_away, unsafe).report.points == 3
    written = grade(put, safe).report.points
    assert written == (3 if name in ("in /tmp", "in /dev/shm", "at home", "where it runs") else 0)
    assert grade(take, safe).report.points == 0
    assert_next_is_right(safe)


MEMORY = {
    "SysV memory": (
        "    import ctypes\n    libc = ctypes.CDLL(None, use_errno=True)\n    flag = 0o1600 if WRITE else 0o600\n"
        "    return libc.shmget(77112, 4096, flag) >= 0"),
    "a SysV queue": (
        "    import ctypes\n    libc = ctypes.CDLL(None, use_errno=True)\n    flag = 0o1600 if WRITE else 0o600\n"
        "    return libc.msgget(77113, flag) >= 0"),
    "a SysV semaphore": (
        "    import ctypes\n    libc = ctypes.CDLL(None, use_errno=True)\n    flag = 0o1600 if WRITE else 0o600\n"
        "    return libc.semget(77114, 1, flag) >= 0"),
    "a POSIX queue": (
        "    import ctypes, os\n    libc = ctypes.CDLL('librt.so.1', use_errno=True)\n"
        "    flag = os.O_CREAT | os.O_RDWR if WRITE else os.O_RDWR\n"
        "    return libc.mq_open(b'/minidalle-test', flag, 0o600, None) >= 0"),
    "shared memory by name": (
        "    from multiprocessing.shared_memory import SharedMemory\n"
        "    from multiprocessing import resource_tracker\n    resource_tracker.register = lambda *a: None\n"
        "    return SharedMemory('minidalle-test', create=WRITE, size=100 if WRITE else 0)"),
    "what is imported": "    import sys\n    if WRITE: sys.modules['left'] = sys\n    return sys.modules.get('left')",
    "the package in memory": (
        "    import minidalle.tokenization.bpe as home\n    if WRITE: home.left = 1\n"
        "    return getattr(home, 'left', 0)"),
}  # fmt: skip
FORGOTTEN = {
    "what is imported",
    "the package in memory",
}  # also without a sandbox: each answer has a process of its own


@pytest.mark.parametrize("name", MEMORY)
def test_nothing_is_left_in_memory(name: str, sandboxes: tuple[Sandbox, Sandbox]) -> None:
    unsafe, safe = sandboxes
    put, take = (with_loot(f"WRITE = {write}\ndef loot():\n{MEMORY[name]}\n") for write in (True, False))
    grade(put, unsafe)  # more than once where a case follows another
    assert (grade(take, unsafe).report.points == 3) == (name not in FORGOTTEN)
    grade(put, safe)
    assert grade(take, safe).report.points == 0
    assert_next_is_right(safe)


@pytest.fixture(scope="module", autouse=True)
def take_away() -> Iterator[None]:
    """What is left where there is no sandbox."""
    yield
    for kind, key in (("-M", 77112), ("-Q", 77113), ("-S", 77114)):
        subprocess.run(["ipcrm", kind, str(key)], check=False, capture_output=True)
    Path("/dev/shm/minidalle-test").unlink(missing_ok=True)
    code = "import ctypes; ctypes.CDLL('librt.so.1').mq_unlink(b'/minidalle-test')"
    subprocess.run([sys.executable, "-c", code], check=False)


def test_its_own_memory_knows_no_secret_and_no_answer(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    """Right answers' texts and what hidden seeds are made of are nowhere in an answer's process."""
    hunt = (
        "import re\nHIDDEN = b'looks_bac[k]|joins_only_the_firs[t]|hidden cases o[f]|a-secret-of-the-grade[r]'\n"
        "SEEN, FOUND = [], []\n"
        "def loot():\n    if SEEN: return not FOUND\n    SEEN.append(0)\n"
        "    with open('/proc/self/mem', 'rb', 0) as memory:\n        for line in open('/proc/self/maps'):\n"
        "            span, rights, *_, name = (line + ' -').split()\n"
        "            begin, end = (int(x, 16) for x in span.split('-'))\n"
        "            if 'w' not in rights or end - begin > 1 << 28 or '/' in name: continue\n"
        "            memory.seek(begin)\n            text = memory.read(end - begin)\n"
        "            FOUND.extend(one for one in HIDDEN.split(b'|') if re.search(one, text))\n"
        "            SEEN[0] += end - begin\n"
        "    return SEEN[0] > 10_000_000 and not FOUND\n"
    )
    beside_the_check = plain({"hunt": (with_loot(hunt), "not loot() and SEEN[0] > 10_000_000 and FOUND")})
    assert beside_the_check == {"hunt": "passed"}
    verdict = grade(with_loot(hunt), sandboxes[1])
    assert verdict.report.passed, str(verdict.report)


def test_nothing_is_left_running(sandboxes: tuple[Sandbox, Sandbox]) -> None:
    assert ID in str(grade(RIGHT, sandboxes[1]).report)
    assert_only_its_own(sandboxes[1])

"""A process shuts itself in: namespaces of its own, no capabilities, limits. Linux, without any right to begin with.

After a fork, `enter_namespaces` and a second fork, the process is number 1 of a process namespace in which nothing else
runs; when it ends, all that it started ends. Where it cannot be shut in, nothing is run.
"""

import ctypes
import os
import resource
from pathlib import Path

from minidalle.grading.limits import Limits

NEW_MOUNTS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
ALL = NEW_MOUNTS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PIDS | NEW_NET
RECURSIVE, PRIVATE, NO_SUID, NO_DEVICES, NO_EXEC = 0x4000, 0x40000, 2, 4, 8
DIE_WITH_PARENT, NO_NEW_PRIVILEGES, DUMPABLE, DROP_BOUNDING = 1, 38, 4, 24
NOBODY = 65534
CAPABILITY_VERSION = 0x20080522
MEGABYTE = 1 << 20


def become_nobody() -> None:
    """If this process is root, it gives up every right, for good; before, it makes /proc one that others can cover.

    Raises:
        OSError: it could not.
    """
    if os.getuid() != 0:
        return
    _call("mount", b"proc", b"/proc", b"proc", NO_SUID | NO_DEVICES | NO_EXEC, None)
    _drop_bounding_set()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _call("prctl", DUMPABLE, 1, 0, 0, 0)  # or it could not write the maps of its own user namespaces


def enter_namespaces() -> None:
    """New namespaces of every kind; the next process that is forked is number 1 in its own.

    Raises:
        OSError: this system does not let an ordinary user do so.
    """
    user, group = os.getuid(), os.getgid()
    _call("unshare", ALL)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def shut_in(limits: Limits) -> None:
    """Called by process number 1: it sees its own processes and an empty /tmp, and can take nothing more.

    Raises:
        OSError: something could not be shut.
    """
    _call("prctl", DIE_WITH_PARENT, 9, 0, 0, 0)
    _call("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    _call("mount", b"proc", b"/proc", b"proc", NO_SUID | NO_DEVICES | NO_EXEC, None)
    for place in (b"/tmp", b"/dev/shm"):
        size = f"size={limits.scratch}m,mode=0700".encode()
        _call("mount", b"tmpfs", place, b"tmpfs", NO_SUID | NO_DEVICES, size)
    Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, it is this one that ends
    Path("/proc/sys/user/max_user_namespaces").write_text("0")  # in one of its own it would have every right
    _drop_bounding_set()
    header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _call("capset", header, nothing)
    _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def set_limits(limits: Limits, confined: bool, gpu: bool) -> None:
    """Limits that every system has; a GPU's driver asks for more memory than there is, and an unconfined process shares
    the count of processes with all that its user runs."""
    pairs = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_FSIZE: limits.file_size * MEGABYTE,
        resource.RLIMIT_CPU: int(limits.wall) + 1,
        resource.RLIMIT_DATA: _now("VmData") + limits.memory * MEGABYTE,
    }
    if confined:
        pairs[resource.RLIMIT_NPROC] = limits.processes
    if not gpu:
        pairs[resource.RLIMIT_AS] = _now("VmSize") + limits.memory * MEGABYTE
    for kind, most in pairs.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _drop_bounding_set() -> None:
    for capability in range(64):
        _libc.prctl(DROP_BOUNDING, capability, 0, 0, 0)  # those beyond the last one fail


def _now(what: str) -> int:
    """Bytes that this process has: VmData or VmSize."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # no Linux
        return 1 << 30
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), 1 << 30)


_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")

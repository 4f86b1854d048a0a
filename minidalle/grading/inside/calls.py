"""System calls that no answer needs are refused to it: those that reach other processes, make memory that no limit
counts, or open parts of the kernel that are seldom used and often broken.
"""

import ctypes
import errno
import platform
from collections.abc import Iterator

NUMBERS = {
    "x86_64": {
        "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "ptrace": 101, "syslog": 103, "personality": 135,
        "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "swapon": 167, "init_module": 175,
        "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
        "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "memfd_create": 319, "bpf": 321,
        "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447,
    },
    "aarch64": {
        "shmget": 194, "shmat": 196, "semget": 190, "msgget": 186, "ptrace": 117, "syslog": 116, "personality": 92,
        "pivot_root": 41, "chroot": 51, "mount": 40, "umount2": 39, "swapon": 224, "init_module": 105,
        "mq_open": 180, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97,
        "perf_event_open": 241, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268,
        "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273, "memfd_create": 279, "bpf": 280,
        "userfaultfd": 282, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
        "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447,
    },
}  # fmt: skip
"""Machine → call → its number, as in the kernel's `unistd.h`. Other machines have no filter, and all other walls."""

OF_DRIVERS = {"memfd_create"}  # a GPU's driver may share memory so
MACHINE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_…
OTHER_NUMBERS = 0x40000000  # the second set of calls of x86_64
NUMBER, ARCHITECTURE = 0, 4  # where `seccomp_data` has them
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
SET_SECCOMP, FILTER = 22, 2


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def refuse_calls(gpu: bool) -> None:
    """From now on these calls fail in this process and all that it starts; needs `no_new_privs`.

    Raises:
        OSError: the kernel has no filters.
    """
    machine = platform.machine()
    if machine not in NUMBERS:
        return
    refused = [number for name, number in NUMBERS[machine].items() if not (gpu and name in OF_DRIVERS)]
    steps = [*_steps(MACHINE[machine], refused)]
    program = _Program(len(steps), (_Step * len(steps))(*steps))
    if ctypes.CDLL(None, use_errno=True).prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "system calls cannot be filtered")


def _steps(architecture: int, refused: list[int]) -> Iterator[_Step]:
    """The filter: another architecture's calls, the second set and these numbers are refused, the rest is allowed."""
    yield _Step(LOAD, 0, 0, ARCHITECTURE)
    yield _Step(EQUAL, 1, 0, architecture)
    yield _Step(RETURN, 0, 0, REFUSE)
    yield _Step(LOAD, 0, 0, NUMBER)
    yield _Step(AT_LEAST, len(refused) + 1, 0, OTHER_NUMBERS)
    for at, number in enumerate(refused):
        yield _Step(EQUAL, len(refused) - at, 0, number)
    yield _Step(RETURN, 0, 0, ALLOW)
    yield _Step(RETURN, 0, 0, REFUSE)

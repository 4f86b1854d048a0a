"""What one answer may use while it is graded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one answer may use.

    Attributes:
        seconds: for all calls of one check, as a student's notebook counts them.
        wall: seconds until it is ended from outside, its definitions included.
        memory: megabytes that it may take beyond what the warm process has.
        processes: processes and threads together.
        files: open files.
        file_size: megabytes of one file.
        scratch: megabytes of all files in /tmp.
    """

    seconds: float = 5.0
    wall: float = 30.0
    memory: int = 2048
    processes: int = 32
    files: int = 64
    file_size: int = 16
    scratch: int = 64


def limits_on(device: str) -> Limits:
    """The usual limits. A GPU's driver has memory in the answer's process, and files for each card."""
    return Limits() if device == "cpu" else Limits(memory=6144, files=1024)

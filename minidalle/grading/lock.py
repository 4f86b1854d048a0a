"""One lock, so that no two processes grade the same course at once. It ends with the process, however that ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from minidalle.errors import InvalidValue


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        InvalidValue: somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as file:
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            who = file.read(20).strip()
            raise InvalidValue(f"grading={str(path.parent)!r}: process {who or '?'} grades here already") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _lock(file: IO[str]) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        file.seek(0x7FFF0000)  # far behind the process's number, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

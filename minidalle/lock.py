"""One lock, so that no two processes work in the same folder at once. It ends with the process, however that ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from minidalle.errors import InvalidValue


@contextmanager
def alone(path: Path, field: str, doing: str) -> Iterator[None]:
    """Hold a lock file, which is there as long as it is held. A disk that knows no locks has none.

    Args:
        path: the file, in the folder that it is about; both are made, and removed if nothing else came into the folder.
        field: by what name the user knows the folder.
        doing: what the holder does there, such as `trains`.

    Raises:
        InvalidValue: somebody else holds it, or the folder cannot be written.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="ascii")  # noqa: SIM115 (closed below)
    except OSError as error:
        wanted = f"a folder that can be written ({error.strerror or error})"
        raise InvalidValue(f"{field}={str(path.parent)!r}: expected {wanted}") from error
    with file:
        if not _locked(file, path):
            file.seek(0)
            who = file.read(20).strip()
            raise InvalidValue(f"{field}={str(path.parent)!r}: process {who or '?'} {doing} here already")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
                for folder in made:
                    folder.rmdir()


def _locked(file: IO[str], path: Path) -> bool:
    """Take the lock; False if somebody else has it, or had it until now and removed the file that was opened."""
    try:
        _lock(file)
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except (BlockingIOError, PermissionError, FileNotFoundError):
        return False
    except OSError:  # there are no locks on this disk
        return True


def _lock(file: IO[str]) -> None:
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        file.seek(0x7FFF0000)  # far behind the process's number, which others may read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

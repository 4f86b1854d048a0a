"""One lock, so that no two processes grade the same course at once. It ends with the process, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidalle.errors import InvalidValue


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file.

    Raises:
        InvalidValue: somebody else holds it.
    """
    import fcntl  # which Windows has not, nor does anybody grade there

    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read(20).strip()
            raise InvalidValue(f"grading={str(path.parent)!r}: process {who or '?'} grades here already") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield

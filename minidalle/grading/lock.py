"""No two processes grade the same course at once."""

from contextlib import AbstractContextManager
from pathlib import Path

from minidalle import lock


def alone(path: Path) -> AbstractContextManager[None]:
    """Hold the lock file of a course's grading.

    Raises:
        InvalidValue: somebody else holds it.
    """
    return lock.alone(path, "grading", "grades")

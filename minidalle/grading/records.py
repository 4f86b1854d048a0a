"""Where a course keeps what is graded, and what is remembered of each submission: one JSON file, written last.

A record says of which submission, release, code and secret it is; while a submission is at work it has none.
"""

import json
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from minidalle.checkpoint import CheckpointError, save_json
from minidalle.course.checking.report import Report
from minidalle.course.start import PACKAGE
from minidalle.errors import require
from minidalle.grading.released import Release

ABOUT = "minidalle"  # the key of our words in a notebook's metadata
SECRET = "MINIDALLE_SECRET"
LEAST_SECRET = 16  # characters
NO_PART_OF_A_GRADE = ("cli", "weights", "reports")


@dataclass(frozen=True)
class Folders:
    """The folders of a course that is graded, as nbgrader_config.py has them.

    Attributes:
        root: the course's folder, with `lessons/`.
    """

    root: Path

    @property
    def grading(self) -> Path:
        """All that is not for git."""
        return self.root / "grading"

    @property
    def submitted(self) -> Path:
        """student/lesson/notebook.ipynb, as handed in."""
        return self.grading / "submitted"

    @property
    def autograded(self) -> Path:
        """The same, graded."""
        return self.grading / "autograded"

    @property
    def aside(self) -> Path:
        """What students handed in and nobody opens."""
        return self.grading / "set-aside"

    @property
    def lock(self) -> Path:
        """Held by the one who grades."""
        return self.grading / "lock"

    @property
    def secret(self) -> Path:
        """Where the secret of the hidden cases is kept."""
        return self.grading / "secret"

    @property
    def db_url(self) -> str:
        """The gradebook, where nothing else is configured."""
        return f"sqlite:///{self.grading / 'gradebook.db'}"

    def record(self, lesson: str, student: str) -> Path:
        """A submission's record."""
        return self.grading / "records" / lesson / f"{student}.json"


class Setup(NamedTuple):
    """What a grade depends on besides the submission and the release."""

    device: str = "cpu"
    unsafe: bool = False
    secret: str | None = None


def read_secret(folders: Folders) -> str | None:
    """The instructor's secret, of MINIDALLE_SECRET or grading/secret; None where there is none.

    Raises:
        InvalidValue: it is too short to be one.
    """
    given = os.environ.get(SECRET, "").strip()
    if not given and folders.secret.is_file():
        given = folders.secret.read_text(encoding="utf-8").strip()
        require(bool(given), str(folders.secret), "", f"at least {LEAST_SECRET} characters")
    require(not given or len(given) >= LEAST_SECRET, "secret", "*" * len(given), f"at least {LEAST_SECRET} characters")
    return given or None


def new_secret(folders: Folders) -> None:
    """Draw a secret and write it to grading/secret, for its owner's eyes.

    Raises:
        InvalidValue: there is one.
    """
    require(not folders.secret.exists(), "secret", str(folders.secret), "no such file yet: another secret means other "
            "hidden cases for all; to draw one nevertheless, delete it first")  # fmt: skip
    folders.grading.mkdir(parents=True, exist_ok=True)
    with open(os.open(folders.secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32) + "\n")


def grade_digest(submission: str, release: Release, setup: Setup) -> str:
    """Two grades of one digest are the same: of submission, release, checks, secret and device."""
    hidden = sha256(f"minidalle: which secret {setup.secret}".encode()).hexdigest() if setup.secret else ""
    parts = [submission, release.digest, _own_files(release), _package(), hidden, setup.device, setup.unsafe]
    return sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache
def _package() -> str:
    """The package's sources: another check, judge or reference may mean another grade."""
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] not in NO_PART_OF_A_GRADE:
            digest.update(inside.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _own_files(release: Release) -> str:
    """The exercises of the course's own, and what it leaves out. Its points are in the release."""
    course = release.course
    digest = sha256(json.dumps(sorted(course.left_out)).encode())
    if course.folder:
        for name in course.files:
            digest.update((course.folder / name).read_bytes())
    return digest.hexdigest()


def read_record(path: Path) -> dict[str, Any] | None:
    """A record; None where there is none, or none that can be used."""
    try:
        record = json.loads(path.read_bytes())
        [Report.from_plain(verdict["report"]) for verdict in record["verdicts"]]
        return record if isinstance(record["digest"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record in one step.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    save_json(path, record)


def forget(path: Path) -> None:
    """Delete a record: what it is about is graded again.

    Raises:
        CheckpointError: it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot delete {path}: {error.strerror}") from error

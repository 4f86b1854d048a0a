"""What was tried and what it earned, remembered in one JSON file of the student's own."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from minidalle.checkpoint import CheckpointError, save_json
from minidalle.course.checking.report import Report
from minidalle.exercises.exercise import Exercise

FILE = "progress.json"
SAME, PATIENCE = 3, 2.0  # identical failures until a hint; seconds to wait for another notebook's write
FORGOTTEN = 10.0  # a lock that is older, in seconds, was left behind


def home() -> Path:
    """Where it is kept: `MINIDALLE_HOME`, or the system's place for a user's data."""
    from platformdirs import user_data_path

    return Path(given) if (given := os.environ.get("MINIDALLE_HOME")) else user_data_path("minidalle")


def tried(id: str) -> dict[str, Any]:
    """What is remembered of an exercise: tries, best points, whether it passed, and when; empty if there was none."""
    return read()[0].get(id, {})


def read() -> tuple[dict[str, dict[str, Any]], str]:
    """All that is remembered, by exercise's id, and a complaint, empty if there is none.

    A file that cannot be understood is set aside under another name, not lost.

    Raises:
        CheckpointError: there is a file, but it may not be read.
    """
    path = home() / FILE
    try:
        known = json.loads(path.read_bytes())
        if isinstance(known, dict) and all(_is_entry(entry) for entry in known.values()):
            return known, ""
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        pass
    aside = path.with_name(f"progress-damaged-{int(time.time())}.json")
    with contextlib.suppress(OSError):
        path.replace(aside)
    return {}, f"The memory of earlier tries was damaged; it begins anew. The old file is now {aside.name}."


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and isinstance(entry.get("tries"), int) and isinstance(entry.get("points"), int | float)
    )


def remember(exercise: Exercise, report: Report) -> Report:
    """Note a try, and return the report with the hints that are due: one after every third failure that is the same.

    A stub is no try. Where nothing can be written, the report says so, and nothing else is other than it was.
    """
    if not report.tried:
        return report
    try:
        with _alone():
            known, complaint = read()
            entry = known[report.id] = _after(known.get(report.id, {}), report)
            save_json(home() / FILE, known)
    except (CheckpointError, OSError) as error:
        return replace(report, notes=(*report.notes, f"This try was not remembered: {error}"))
    notes = (*report.notes, complaint) if complaint else report.notes
    return replace(report, notes=notes, hints=exercise.hints[: entry["same"] // SAME])


def _after(entry: dict[str, Any], report: Report) -> dict[str, Any]:
    """An entry after one more try."""
    failure = "" if report.passed else _fingerprint(report)
    same = entry.get("same", 0) + 1 if failure and failure == entry.get("failure") else int(bool(failure))
    return {
        "tries": entry.get("tries", 0) + 1,
        "points": max(report.points, entry.get("points", 0.0)),
        "passed": report.passed or entry.get("passed", False),
        "failure": failure,
        "same": same,
        "looks_like": [mistake for mistake, _ in report.looks_like],
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _fingerprint(report: Report) -> str:
    """Two failures are the same if all that was found is."""
    found = (report.lines, report.looks_like, report.failing)
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep other notebooks from writing meanwhile; after a short wait go on all the same."""
    lock = home() / f"{FILE}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    end, held = time.monotonic() + PATIENCE, False
    while not held and time.monotonic() < end:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            held = True
        except (FileExistsError, PermissionError) as error:  # Windows: while another one is deleting it
            if isinstance(error, PermissionError) and not lock.exists():
                raise
            with contextlib.suppress(OSError):
                if time.time() - lock.stat().st_mtime > FORGOTTEN:
                    lock.unlink()
            time.sleep(0.01)
    try:
        yield
    finally:
        if held:
            with contextlib.suppress(OSError):
                lock.unlink()

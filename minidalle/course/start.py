"""`minidalle start`: the lessons in a folder of the student's own, which an update of the course never overwrites.

A manifest, `.minidalle.json`, remembers what was copied, by its hash: a file that still has it was not edited.
"""

import json
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from minidalle import __version__
from minidalle.errors import InvalidValue, require

PACKAGE = Path(__file__).resolve().parents[1]
MANIFEST = ".minidalle.json"
LESSONS = "lessons"
PYGMENTS = b'"pygments_lexer": "ipython3"'  # the last line of a built notebook's `language_info`


@dataclass
class Copied:
    """What `start` and `update` did, as paths relative to the student's folder.

    Attributes:
        new: files that were not there.
        refreshed: files that the student had not edited, and the course had.
        kept: files that are the student's own: edited, or there before.
        same: how many files needed nothing.
    """

    new: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    same: int = 0


def shipped_lessons() -> Path:
    """The folder of the released lessons: in the installed package, or else in the clone that the package is in.

    Raises:
        InvalidValue: there is none; the installation is damaged.
    """
    if (PACKAGE / LESSONS).is_dir():
        return PACKAGE / LESSONS
    clone = PACKAGE.parent
    found = (clone / LESSONS).is_dir() and (clone / "pyproject.toml").is_file()
    require(found, "lessons", str(PACKAGE / LESSONS), "a folder of lessons; install minidalle anew")
    return clone / LESSONS


def start(folder: Path, lessons: Path) -> Copied:
    """Copy the lessons into a folder, which is made if need be. What is there already stays as it is.

    Args:
        folder: the student's.
        lessons: the released lessons, see `shipped_lessons`.

    Raises:
        InvalidValue: the folder is a file, cannot be written to, or was started before.
    """
    _check_folder(folder)
    if (folder / MANIFEST).exists():
        raise InvalidValue(
            f"{folder} was started before, with minidalle {_manifest(folder)['version']}. "
            f"To get what is new: minidalle start {folder} --update"
        )
    return _copy(folder, lessons, {})


def update(folder: Path, lessons: Path) -> Copied:
    """Add lessons that are new and refresh files that the student has not edited. A deleted file comes back.

    Raises:
        InvalidValue: the folder was never started, or cannot be written to.
    """
    started = (folder / MANIFEST).is_file()
    require(started, "DIR", str(folder), f"a folder that was started; without --update: minidalle start {folder}")
    _check_folder(folder)
    return _copy(folder, lessons, _manifest(folder)["files"])


def _copy(folder: Path, lessons: Path, before: dict[str, str]) -> Copied:
    done = Copied()
    files = dict(before)  # what we last wrote there, by its hash
    try:
        for path in _files(lessons):
            name = path.relative_to(lessons).as_posix()
            content, target = _for_this_python(path), folder / name
            there = _hash(target.read_bytes()) if target.is_file() else None
            if there == _hash(content):
                done.same += 1
            elif there is None and not os.path.lexists(target):
                done.new.append(name)
            elif there is not None and there == before.get(name):
                done.refreshed.append(name)
            else:
                done.kept.append(name)
                continue
            if there != _hash(content):
                _write(target, content)
            files[name] = _hash(content)
        text = json.dumps({"files": files, "version": __version__}, indent=1, sort_keys=True)
        _write(folder / MANIFEST, (text + "\n").encode("utf-8"))
    except OSError as error:
        raise InvalidValue(f"DIR={str(folder)!r}: expected a folder that can be written to, but {error}") from error
    return done


def _check_folder(folder: Path) -> None:
    require(not folder.exists() or folder.is_dir(), "DIR", str(folder), "a folder, or a name that is free")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"DIR={str(folder)!r}: expected a folder that can be made, but {error}") from error
    require(os.access(folder, os.W_OK | os.X_OK), "DIR", str(folder), "a folder that can be written to")


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    valid = f"the file that minidalle start wrote; move it away, and minidalle start {folder} begins anew"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = None
    fits = isinstance(manifest, dict) and isinstance(manifest.get("files"), dict) and "version" in manifest
    require(fits, "manifest", str(path), valid)
    return manifest


def _files(lessons: Path) -> Iterator[Path]:
    """The lessons' files; hidden ones, such as .ipynb_checkpoints, are somebody's own."""
    for path in sorted(lessons.rglob("*")):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(lessons).parts)
        if path.is_file() and not hidden:
            yield path


def _for_this_python(path: Path) -> bytes:
    """A file's bytes; a notebook's with the version of this Python, which Jupyter would note when it is opened."""
    content = path.read_bytes()
    if path.suffix == ".ipynb":
        return content.replace(PYGMENTS, PYGMENTS + f',\n   "version": "{platform.python_version()}"'.encode(), 1)
    return content


def _write(path: Path, content: bytes) -> None:
    """Put a file in its place in one step, so that a full disk or a stop leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()

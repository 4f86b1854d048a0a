"""The files that a student handed in: only ordinary ones are ever opened, and the others are moved out of the way.

nbgrader copies what lies beside a notebook, and follows links as it does: one to the gradebook would be copied with it.
"""

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from minidalle.errors import InvalidValue, require
from minidalle.grading.intake import MOST_BYTES

MOST_FILES, DEEPEST = 200, 8  # in a submission; folders in folders
MOST_MODULES, MOST_MODULE = 20, 100_000  # Python files beside a notebook; bytes of each
TIMESTAMP = "timestamp.txt"  # when it was handed in, as nbgrader notes it
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def read_ordinary(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file that is nothing but a file. Nothing else is opened so that it could act or wait.

    Raises:
        InvalidValue: it is something else, cannot be read, or is larger than `most`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        _require_ordinary(path.name, os.lstat(path), most)
        with open(os.open(path, flags), "rb") as file:
            _require_ordinary(path.name, os.fstat(file.fileno()), most)  # it may be another one by now
            content = file.read(most + 1)
    except FileNotFoundError:
        raise InvalidValue(f"{path.name} is not there") from None
    except OSError as error:
        raise InvalidValue(f"{path.name} cannot be read: {error.strerror}") from None
    require(len(content) <= most, f"size of {path.name}", "more than it was", f"at most {most:,} bytes")
    return content


def _require_ordinary(name: str, about: os.stat_result, most: int) -> None:
    kind = KINDS.get(stat.S_IFMT(about.st_mode), "a file")
    require(kind == "a file", name, kind, "an ordinary file")
    require(about.st_nlink == 1, name, "a file that has another name, too (a hard link)", "an ordinary file")
    require(about.st_size <= most, f"size of {name}", f"{about.st_size:,} bytes", f"at most {most:,}")


def modules(folder: Path, without: frozenset[str] = frozenset()) -> tuple[dict[str, str], list[str]]:
    """The student's own Python files beside a notebook, name → text, and in words which were left out.

    Args:
        folder: with the notebook.
        without: names that are not the student's own.
    """
    found: dict[str, str] = {}
    notes = []
    for path in sorted(folder.glob("*.py")):
        if path.name in without or not path.stem.isidentifier():
            continue
        try:
            require(len(found) < MOST_MODULES, path.name, "one too many", f"at most {MOST_MODULES} Python files")
            found[path.name] = read_ordinary(path, MOST_MODULE).decode("utf-8-sig")
        except InvalidValue as error:
            notes.append(f"{error}: it was left out")
        except UnicodeDecodeError:
            notes.append(f"{path.name} is not UTF-8 text: it was left out")
    return found, notes


def submission_digest(folder: Path, notebook: str) -> str:
    """Another notebook, Python file or time of handing in has another digest. What cannot be read is only a word."""
    digest = sha256()
    for path in [folder / notebook, folder / TIMESTAMP, *sorted(folder.glob("*.py"))[:MOST_MODULES]]:
        try:
            content = read_ordinary(path)
        except InvalidValue as error:
            content = str(error).encode("utf-8", "replace")
        digest.update(f"{path.name!a} {len(content)} ".encode() + content)
    return digest.hexdigest()


def set_aside(folder: Path, aside: Path, keep: str = "") -> list[str]:
    """Move what is no ordinary file out of a submission, and say in words what it was.

    Args:
        folder: the student's, of one lesson. If it is a link itself, that is moved.
        aside: where to; a name that is taken gets a number.
        keep: the name of a file that stays, whatever it is; its reader looks.

    Raises:
        InvalidValue: something cannot be moved.
    """
    notes = []
    found = [(folder, "a link")] if folder.is_symlink() else [*_extraordinary(folder, folder)]
    for path, why in found:
        inside = path.relative_to(folder)
        if inside != Path(keep or "/"):
            notes.append(f"{inside.name or folder.name!r} is {why}: it was set aside")
            _move(path, aside / (inside if inside.name else folder.name))
    return notes


def _extraordinary(folder: Path, top: Path) -> Iterator[tuple[Path, str]]:
    """What is no ordinary file in a folder, and why; links to folders are not followed."""
    count = 0
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place, name)
            count += 1
            try:
                about = os.lstat(path)
                if count > MOST_FILES or len(path.relative_to(top).parts) > DEEPEST:
                    yield path, f"one of more than {MOST_FILES} files, or too deep in folders"
                    folders[:] = [one for one in folders if one != name]
                elif not stat.S_ISDIR(about.st_mode):
                    _require_ordinary("it", about, MOST_BYTES)
            except InvalidValue as error:
                yield path, str(error)
            except OSError as error:
                yield path, f"not to be read: {error.strerror}"


def _move(path: Path, aside: Path) -> None:
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        target, number = aside, 1
        while os.path.lexists(target):
            number += 1
            target = aside.with_name(f"{aside.name}.{number}")
        os.rename(path, target)
    except OSError as error:
        raise InvalidValue(f"{path} is no ordinary file, and cannot be moved to {aside}: {error.strerror}") from None

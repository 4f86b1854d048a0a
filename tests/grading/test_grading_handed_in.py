"""Files beside a notebook: only ordinary ones are opened, and nothing strange is left for nbgrader to follow."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from minidalle.errors import InvalidValue
from minidalle.grading import handed_in
from minidalle.grading.handed_in import modules, read_ordinary, set_aside, submission_digest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices are POSIX's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A submission, and a secret outside of it."""
    place = tmp_path / "submitted" / "eve" / "01-toy"
    (place / "more").mkdir(parents=True)
    (place / "toy.ipynb").write_text("{}")
    (place / "helper.py").write_text("x = 1\n")
    (tmp_path / "gradebook.db").write_text("SECRET")
    return place


def unix_socket(path: Path) -> None:
    """At a short path, as a socket's may not be long."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**12)


STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link": (lambda path: path.symlink_to(path.parents[4] / "gradebook.db"), "'a link'"),
    "a link to a folder": (lambda path: path.symlink_to(path.parents[4]), "'a link'"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "'a link'"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "'a link'"),
    "a hard link": (lambda path: path.hardlink_to(path.parents[4] / "gradebook.db"), "a hard link"),
    "a pipe": (os.mkfifo, "'a pipe'"),
    "a socket": (unix_socket, "'a socket'"),
    "a file of a terabyte": (sparse, "1,000,000,000,000 bytes"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_file_is_never_read_and_set_aside(kind: str, folder: Path, tmp_path: Path) -> None:
    make, words = STRANGE[kind]
    strange = folder / "more" / "strange.py"
    make(strange)
    told: list[str] = []

    def read() -> None:
        try:
            read_ordinary(strange)
        except InvalidValue as error:
            told.append(str(error))

    reading = threading.Thread(target=read, daemon=True)  # a pipe would be waited for without end
    reading.start()
    reading.join(10)
    assert not reading.is_alive()
    assert words in told[0]
    aside = tmp_path / "aside"
    notes = set_aside(folder, aside)
    assert len(notes) == 1
    assert "it was set aside" in notes[0]
    assert not os.path.lexists(strange)
    assert os.path.lexists(aside / "more" / "strange.py")
    assert sorted(path.name for path in folder.rglob("*")) == ["helper.py", "more", "toy.ipynb"]
    assert (tmp_path / "gradebook.db").read_text() == "SECRET"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_never_read(folder: Path) -> None:
    try:
        os.mknod(folder / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    except OSError:
        pytest.skip("devices cannot be made here")
    with pytest.raises(InvalidValue, match="a device"):
        read_ordinary(folder / "zero")
    assert set_aside(folder, folder.parents[2] / "aside")


def test_an_ordinary_submission_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    assert set_aside(folder, tmp_path / "aside") == []
    assert not (tmp_path / "aside").exists()
    assert read_ordinary(folder / "helper.py") == b"x = 1\n"


def test_the_notebook_stays_for_its_reader_to_refuse(folder: Path, tmp_path: Path) -> None:
    (folder / "toy.ipynb").unlink()
    (folder / "toy.ipynb").symlink_to(tmp_path / "gradebook.db")
    assert set_aside(folder, tmp_path / "aside", keep="toy.ipynb") == []
    with pytest.raises(InvalidValue, match=r"toy\.ipynb='a link': expected an ordinary file"):
        read_ordinary(folder / "toy.ipynb")


def test_a_submission_that_is_a_link_itself_is_moved(folder: Path, tmp_path: Path) -> None:
    other = folder.with_name("02-toy")
    other.symlink_to(tmp_path)
    assert len(set_aside(other, tmp_path / "aside")) == 1
    assert not os.path.lexists(other)
    assert (tmp_path / "aside" / "02-toy").is_symlink()


def test_too_many_files_and_too_deep_folders_are_set_aside(folder: Path, tmp_path: Path) -> None:
    for number in range(handed_in.MOST_FILES + 50):
        (folder / f"{number:04}.txt").write_text("x")
    deep = folder.joinpath("more", *"abcdefghijklmnop")
    deep.mkdir(parents=True)
    set_aside(folder, tmp_path / "aside")
    left = [*folder.rglob("*")]
    assert len(left) <= handed_in.MOST_FILES
    assert all(len(path.relative_to(folder).parts) <= handed_in.DEEPEST for path in left)


def test_what_is_set_aside_twice_keeps_both(folder: Path, tmp_path: Path) -> None:
    for _ in range(3):
        os.mkfifo(folder / "pipe")
        set_aside(folder, tmp_path / "aside")
    assert sorted(path.name for path in (tmp_path / "aside").iterdir()) == ["pipe", "pipe.2", "pipe.3"]


def test_python_files_beside_a_notebook(folder: Path) -> None:
    (folder / "latin.py").write_bytes("# é".encode("latin-1"))
    (folder / "large.py").write_bytes(b"#" * 100_001)
    (folder / "link.py").symlink_to("helper.py")
    (folder / "no-name.py").write_text("x")
    (folder / "given.py").write_text("the course's own")
    (folder / "more" / "below.py").write_text("x")
    found, notes = modules(folder, frozenset({"given.py"}))
    assert found == {"helper.py": "x = 1\n"}
    assert len(notes) == 3
    for number in range(30):
        (folder / f"module{number:02}.py").write_text("")
    assert len(modules(folder)[0]) == handed_in.MOST_MODULES


def test_a_digest_tells_submissions_apart(folder: Path) -> None:
    seen = [submission_digest(folder, "toy.ipynb")]
    for name, text in (("toy.ipynb", "{ }"), ("helper.py", "x = 2"), ("timestamp.txt", "2026-03-01 10:00:00 UTC")):
        (folder / name).write_text(text)
        seen.append(submission_digest(folder, "toy.ipynb"))
    (folder / "timestamp.txt").unlink()
    os.mkfifo(folder / "timestamp.txt")
    seen.append(submission_digest(folder, "toy.ipynb"))
    assert len({*seen}) == 5
    assert submission_digest(folder, "toy.ipynb") == seen[-1]
    assert len(submission_digest(folder / "nowhere", "toy.ipynb")) == 64

"""`minidalle start`: what a student has edited is theirs, whatever the course does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ipykernel.ipkernel import IPythonKernel
from toy_course import COURSE, write_lesson

from minidalle import __version__
from minidalle.course.building.lesson_notebook import lesson_notebook, notebook_bytes
from minidalle.course.building.lesson_source import read_lesson
from minidalle.course.start import MANIFEST, shipped_lessons, start, update
from minidalle.errors import InvalidValue

ONE, TWO, FIGURE = "01-toy/toy.ipynb", "02-toy/toy.ipynb", "01-toy/figures/box.svg"


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    put(folder, ONE, "one")
    put(folder, FIGURE, "box")
    put(folder, "01-toy/.ipynb_checkpoints/toy.ipynb", "somebody's")
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_start_copies_the_lessons(lessons: Path, tmp_path: Path) -> None:
    done = start(tmp_path / "a" / "mine", lessons)
    assert (sorted(done.new), done.refreshed, done.kept) == ([FIGURE, ONE], [], [])
    there = files(tmp_path / "a" / "mine")
    manifest = json.loads(there.pop(MANIFEST))
    assert there == {ONE: "one", FIGURE: "box"}
    assert manifest["version"] == __version__
    assert manifest["files"].keys() == there.keys()


def test_a_copied_notebook_says_which_python_it_is_for(lessons: Path, tmp_path: Path) -> None:
    """As Jupyter would as soon as it is opened, so that it is not unsaved from the start."""
    book = lesson_notebook(read_lesson(write_lesson(tmp_path) / "lesson.py"), COURSE)
    (lessons / TWO).parent.mkdir()
    (lessons / TWO).write_bytes(notebook_bytes(book))
    mine = tmp_path / "mine"
    start(mine, lessons)
    copied = json.loads((mine / TWO).read_bytes())
    assert copied["metadata"].pop("language_info") == IPythonKernel.language_info
    del book["metadata"]["language_info"]
    assert copied["metadata"] == book["metadata"]
    assert update(mine, lessons).same == 3


def test_start_overwrites_nothing(lessons: Path, tmp_path: Path) -> None:
    put(tmp_path / "mine", ONE, "my own")
    put(tmp_path / "mine", "notes.txt", "mine")
    done = start(tmp_path / "mine", lessons)
    assert (done.new, done.kept) == ([FIGURE], [ONE])
    assert files(tmp_path / "mine")[ONE] == "my own"
    put(lessons, ONE, "one, better")
    assert update(tmp_path / "mine", lessons).kept == [ONE]
    assert files(tmp_path / "mine")[ONE] == "my own"


def test_a_second_start_says_so(lessons: Path, tmp_path: Path) -> None:
    start(tmp_path / "mine", lessons)
    put(lessons, TWO, "two")
    with pytest.raises(InvalidValue, match=rf"started before, with minidalle {__version__}\. .*--update"):
        start(tmp_path / "mine", lessons)
    assert TWO not in files(tmp_path / "mine")


def test_update(lessons: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    start(mine, lessons)
    assert update(mine, lessons).same == 2
    put(mine, ONE, "one, edited")
    put(lessons, ONE, "one, better")
    put(lessons, FIGURE, "box, better")
    put(lessons, TWO, "two")
    for _ in range(2):  # a file once edited stays the student's in the next update, too
        done = update(mine, lessons)
        assert done.kept == [ONE]
        assert files(mine)[ONE] == "one, edited"
        assert files(mine)[FIGURE] == "box, better"
        assert files(mine)[TWO] == "two"
    assert (done.new, done.refreshed, done.same) == ([], [], 2)


def test_update_names_what_it_did(lessons: Path, tmp_path: Path) -> None:
    start(tmp_path / "mine", lessons)
    put(lessons, FIGURE, "box, better")
    put(lessons, TWO, "two")
    done = update(tmp_path / "mine", lessons)
    assert (done.new, done.refreshed, done.kept, done.same) == ([TWO], [FIGURE], [], 1)


def test_a_deleted_file_comes_back_and_a_lesson_that_is_gone_stays(lessons: Path, tmp_path: Path) -> None:
    start(tmp_path / "mine", lessons)
    (tmp_path / "mine" / ONE).unlink()
    (lessons / FIGURE).unlink()
    assert update(tmp_path / "mine", lessons).new == [ONE]
    assert files(tmp_path / "mine")[FIGURE] == "box"


def test_an_edit_that_was_taken_back_is_none(lessons: Path, tmp_path: Path) -> None:
    start(tmp_path / "mine", lessons)
    put(tmp_path / "mine", ONE, "edited")
    update(tmp_path / "mine", lessons)
    put(tmp_path / "mine", ONE, "one")
    put(lessons, ONE, "one, better")
    assert update(tmp_path / "mine", lessons).refreshed == [ONE]


def test_a_start_that_was_interrupted_can_be_repeated(
    lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def stop(source: str, target: Path) -> None:
        if Path(target).name == "toy.ipynb":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "mine", lessons)
    monkeypatch.undo()
    assert files(tmp_path / "mine") == {FIGURE: "box"}  # no half file, no temporary one
    assert start(tmp_path / "mine", lessons).new == [ONE]


def test_what_is_there_under_a_lessons_name_is_kept(lessons: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / ONE).mkdir(parents=True)
    (tmp_path / "mine" / "01-toy" / "figures").mkdir()
    (tmp_path / "mine" / FIGURE).symlink_to(tmp_path / "nowhere")
    assert sorted(start(tmp_path / "mine", lessons).kept) == sorted([ONE, FIGURE])


def test_what_cannot_be_is_told(lessons: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValue, match=r"DIR='.*file': expected a folder, or a name that is free"):
        start(tmp_path / "file", lessons)
    with pytest.raises(InvalidValue, match=r"DIR='.*below': expected a folder that can be made, but"):
        start(tmp_path / "file" / "below", lessons)
    with pytest.raises(InvalidValue, match=r"DIR='.*new': expected a folder that was started; without --update"):
        update(tmp_path / "new", lessons)
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "01-toy").write_text("in the way")
    with pytest.raises(InvalidValue, match=r"DIR='.*mine': expected a folder that can be written to, but"):
        start(tmp_path / "mine", lessons)
    for damaged in ("{", "[]", "{}", '{"files": {}}'):
        put(tmp_path / "mine", MANIFEST, damaged)
        with pytest.raises(InvalidValue, match=r"manifest='.*\.minidalle\.json': expected the file that"):
            update(tmp_path / "mine", lessons)


def test_a_folder_that_cannot_be_written_to_is_told(
    lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InvalidValue, match="expected a folder that can be written to"):
        start(tmp_path / "mine", lessons)


def test_where_the_lessons_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "clone" / "minidalle"
    monkeypatch.setattr("minidalle.course.start.PACKAGE", package)
    put(tmp_path, "clone/lessons/01-toy/toy.ipynb", "")
    with pytest.raises(InvalidValue, match="install minidalle anew"):
        shipped_lessons()  # some other folder of that name
    put(tmp_path, "clone/pyproject.toml", "")
    assert shipped_lessons() == tmp_path / "clone" / "lessons"
    put(package, "lessons/01-toy/toy.ipynb", "")
    assert shipped_lessons() == package / "lessons"


def test_the_command(lessons: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from minidalle.course import start; from minidalle.cli import main\n"
        f"start.shipped_lessons = lambda: Path({str(lessons)!r})\n"
        "sys.argv = ['minidalle', 'start', *sys.argv[1:]]; main()"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)

    first = run("mine")
    assert first.returncode == 0, first.stderr
    assert f"new: mine/{ONE}" in first.stdout
    assert first.stdout.endswith(f"Open the first lesson: jupyter lab mine/{ONE}\n")
    again = run("mine")
    assert again.returncode == 2
    assert again.stderr.startswith("minidalle: mine was started before")
    put(tmp_path / "mine", ONE, "edited")
    third = run("mine", "--update")
    assert third.returncode == 0
    assert third.stdout.splitlines()[0] == f"yours, kept as it is: mine/{ONE}"

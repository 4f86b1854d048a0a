"""`minidalle build`, and docs/authoring.md's own course followed to the letter."""

import json
import re
import sys
from pathlib import Path

import pytest
from toy_course import HEADER, write_lesson

from minidalle.cli import main
from minidalle.course.building.course_file import find_course
from minidalle.course.checking.answer import check
from minidalle.exercises import EXERCISES

ROOT = Path(__file__).resolve().parents[2]
AUTHORING = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")

LESSON = HEADER + "# %% setup\n# %% exercise: tokenization.encode\n# %% exercise: tokenization.decode\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A course of its own; the package's own lessons are not looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minidalle.course.start.PACKAGE", tmp_path / "clone" / "minidalle")


def minidalle(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["minidalle", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_build_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert minidalle("build", "--check", monkeypatch=monkeypatch) == 0
    assert "no lesson yet" in capsys.readouterr().out
    folder = write_lesson(tmp_path, LESSON)
    assert minidalle("build", "--check", monkeypatch=monkeypatch) == 0
    assert "nothing built yet" in capsys.readouterr().out
    assert minidalle("build", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "01-toy: solutions/01-toy/toy.ipynb, lessons/01-toy/toy.ipynb\n"
    assert minidalle("build", "--check", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "the lessons are what minidalle build makes\n"
    (folder / "lesson.py").write_text(LESSON + "# %%\n1 + 1\n", encoding="utf-8")
    (tmp_path / "lessons" / "09-gone").mkdir()
    assert minidalle("build", "--check", monkeypatch=monkeypatch) == 1
    told = capsys.readouterr().out
    assert told.startswith("lessons/01-toy/toy.ipynb\n  --- as it is\n  +++ as it would be built\n")
    assert "lessons/09-gone\n  no lesson.py makes this folder" in told
    assert minidalle("build", "toys", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "minidalle: lesson='toys': expected one of 01-toy\n"


def test_a_bad_directive_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lesson(tmp_path, HEADER + "# %% setup\n# %% exercise: tokenization.merge\n")
    assert minidalle("build", monkeypatch=monkeypatch) == 2
    start = (
        "minidalle: solutions/01-toy/lesson.py:6: # %% exercise: tokenization.merge: exercise='tokenization.merge': "
    )
    assert capsys.readouterr().err.startswith(start)


def documented(name: str) -> str:
    """The file of that name that docs/authoring.md shows."""
    (shown,) = re.findall(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)```", AUTHORING, re.DOTALL)
    return str(shown)


@pytest.fixture
def own_course(tmp_path: Path) -> Path:
    """A clone with one lesson, and beside it the course of docs/authoring.md."""
    write_lesson(tmp_path / "clone", LESSON)
    for name in ("course.toml", "mine/count_vowels.py", "solutions/07-vowels/lesson.py"):
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documented(name), encoding="utf-8")
    return tmp_path / "own"


def test_the_documented_course(own_course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path for path in (tmp_path / "clone").rglob("*") if path.is_file()}
    assert minidalle("build", "--course", "own/course.toml", monkeypatch=monkeypatch) == 0
    assert {path for path in (tmp_path / "clone").rglob("*") if path.is_file()} == before
    made = {path.relative_to(own_course).as_posix() for path in (own_course / "lessons").rglob("*") if path.is_file()}
    vowels = {"vowels.ipynb", "course.toml", "mine/count_vowels.py"}
    assert made == {"lessons/01-toy/toy.ipynb", *(f"lessons/07-vowels/{name}" for name in vowels)}
    notebook = json.loads((own_course / "lessons/01-toy/toy.ipynb").read_bytes())
    code = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    assert code["tokenization-encode-check"] == 'check("tokenization.encode", encode, points=6)'
    assert "tokenization-decode-check" not in code
    assert "Deep learning 2" in code["title"]
    assert minidalle("build", "--check", "--course", "own/course.toml", monkeypatch=monkeypatch) == 0
    monkeypatch.chdir(own_course)
    assert minidalle("build", "--check", monkeypatch=monkeypatch) == 0  # the course.toml here


def test_the_documented_exercise_is_checked_where_it_is_handed_out(
    own_course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert minidalle("build", "vowels", "--course", "own/course.toml", monkeypatch=monkeypatch) == 0
    handed_out = (own_course / "lessons" / "07-vowels").rename(tmp_path / "students")
    exercise = find_course(handed_out).exercises["mine.count_vowels"]
    monkeypatch.chdir(handed_out)
    monkeypatch.setattr("minidalle.course.progress.remember", lambda exercise, report: report)
    for answer in exercise.also_right:
        assert check("mine.count_vowels", answer).passed
    for answer in exercise.wrong:
        names = [name for name, _ in check("mine.count_vowels", answer).looks_like]
        assert names == [answer.__name__.replace("_", " ")]


def test_an_own_function_that_does_not_stand_alone_is_told(
    own_course: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_course / "mine" / "count_vowels.py"
    text = path.read_text(encoding="utf-8").replace(
        'letter in "aeiou" for letter in text.lower())', "letter in V for letter in text)", 1
    )
    path.write_text(text.replace("\n\ndef cases", '\n\nV = "aeiou"\n\n\ndef cases'), encoding="utf-8")
    assert minidalle("build", "--course", "own/course.toml", monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert told.startswith("minidalle: solutions/07-vowels/lesson.py:")
    assert "name in count_vowels='V'" in told


def test_the_documented_words_are_the_real_ones() -> None:
    """Every directive and option that lessons may have is in the table of docs/authoring.md, and nothing else is."""
    from minidalle.course.building.lesson_source import DIRECTIVES

    table = AUTHORING.split("## A new exercise")[0]
    assert {*re.findall(r"^\| `# %% (\w+)", table, re.MULTILINE)} == {*DIRECTIVES}
    assert {*re.findall(r"^\| `# (\w+):", table, re.MULTILINE)} == {"blank", "docstring"}
    assert "tokenization.word_symbols" not in EXERCISES  # else docs/authoring.md needs another example

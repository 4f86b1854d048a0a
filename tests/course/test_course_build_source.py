"""lesson.py is read as jupytext reads it, and what is wrong in it is said with its line."""

from pathlib import Path

import jupytext
import pytest
from toy_course import HEADER, LESSON, write_lesson

from minidalle.course.building.lesson_source import Cell, options, parts, read_lesson
from minidalle.errors import InvalidValue


def lesson_of(folder: Path, body: str, header: str = HEADER) -> Path:
    return write_lesson(folder, header + body) / "lesson.py"


def test_ordinary_cells_are_as_jupytext_reads_them(tmp_path: Path) -> None:
    path = lesson_of(
        tmp_path,
        """
# %% [markdown]
# A title?
#
# - `# not a comment`
#   - indented
#
#     code

# %%
# a comment first
x = 1


def f():

    return x  # %% not a marker

# %%

# %% [markdown]
#

# %%
y = '''
text
'''
""",
    )
    theirs = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells[1:]  # the first is the header
    ours = read_lesson(path).cells
    assert [(cell.kind, cell.text) for cell in ours] == [(cell.cell_type, cell.source.strip("\n")) for cell in theirs]
    assert len(ours) == 5


def test_a_whole_lesson_has_jupytexts_cells(tmp_path: Path) -> None:
    path = lesson_of(tmp_path, LESSON.removeprefix(HEADER))
    theirs = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells[1:]
    ours = read_lesson(path).cells
    assert [(cell.kind, cell.text) for cell in ours] == [(cell.cell_type, cell.source.strip("\n")) for cell in theirs]
    words = [cell.metadata.get("title", "").partition(":")[0] for cell in theirs]
    assert [cell.word for cell in ours] == words
    assert {"setup", "exercise", "with", "written", "instructor", ""} == set(words)


def test_header_and_lines(tmp_path: Path) -> None:
    lesson = read_lesson(lesson_of(tmp_path, "\n# %% setup\n\n\nx = 1\n"))
    assert (lesson.title, lesson.minutes) == ("Toy tokens", 120)
    (cell,) = lesson.cells
    assert (cell.line, cell.first, cell.text) == (6, 9, "x = 1")
    (cell,) = read_lesson(lesson_of(tmp_path, "\n# %% setup\nx = '\u2028\x85'\n")).cells
    assert cell.text == "x = '\u2028\x85'"


def test_what_jupytext_adds_to_the_header_is_passed_over(tmp_path: Path) -> None:
    header = "# ---\n# title: Ours\n# jupyter:\n#   kernelspec:\n#     name: python3\n# minutes: 5\n# ---\n"
    assert read_lesson(lesson_of(tmp_path, "# %% setup\n", header)).minutes == 5


BAD_CELLS = {
    "a misspelled word": ("# %% exercize: a.b\n", ":6: # %% exercize: a.b: expected ", "# %% exercise: token"),
    "a title": ("# %% Just words\n", ":6: # %% Just words: expected ", "# %% setup"),
    "no argument": ("# %% exercise\n", ":6: ", "expected # %% exercise: tokenization.merge_pair"),
    "an argument too much": ("# %% setup: now\n", ":6: ", "expected # %% setup"),
    "prose that is none": ("# %% exercise: a.b [markdown]\n", ":6: ", "expected # %% exercise: token"),
    "another kind": ("# %% [raw]\n", ":6: # %% [raw]: ", "# %% [markdown]"),
    "a cell magic": ("# %%time\n", ":6: # %%time: ", "expected"),
    "prose without #": ("# %% [markdown]\n# fine\nnot fine\n", ":8: 'not fine'", 'lines that begin "# "'),
    "prose that touches #": ("# %% [markdown]\n#no\n", ":7: '#no'", 'lines that begin "# "'),
    "no Python": ("# %%\n\n\nx = (\n", ":9: ", "expected Python"),
    "a magic": ("# %%\nx = 1\n%matplotlib inline\n", ":8: '%matplotlib inline'", "no magics"),
    "a commented magic": ("# %%\n# !pip install x\n", ":7: '# !pip install x'", "no magics"),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_bad_cell_is_told(name: str, tmp_path: Path) -> None:
    body, place, valid = BAD_CELLS[name]
    with pytest.raises(InvalidValue) as raised:
        read_lesson(lesson_of(tmp_path, "\n" + body))
    assert str(raised.value).startswith("solutions/01-toy/lesson.py" + place)
    assert valid in str(raised.value)


BAD_HEADERS = {
    "none": "",
    "no end": "# ---\n# title: A\n# minutes: 1\n",
    "no title": "# ---\n# minutes: 1\n# ---\n",
    "no minutes": "# ---\n# title: A\n# ---\n",
    "an empty title": "# ---\n# title:\n# minutes: 1\n# ---\n",
    "an unknown key": "# ---\n# title: A\n# minutes: 1\n# author: B\n# ---\n",
    "no number": "# ---\n# title: A\n# minutes: long\n# ---\n",
    "no time": "# ---\n# title: A\n# minutes: 0\n# ---\n",
    "something after it": "# ---\n# title: A\n# minutes: 1\n# ---\nimport os\n",
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_bad_header_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"^solutions/01-toy/lesson\.py:\d+: "):
        read_lesson(lesson_of(tmp_path, "\n# %% setup\n", BAD_HEADERS[name]))


def cell_with(text: str, kind: str = "code") -> Cell:
    return Cell(1, kind, "written", "a.b", tuple(text.split("\n")), 2)


def test_options() -> None:
    cell = cell_with("# blank: x = 1\n\n#blank: y: int\n# docstring: none")
    assert options(cell, ("blank", "docstring")) == [("blank", "x = 1"), ("blank", "y: int"), ("docstring", "none")]
    for bad in ("# blink: x", "x = 1", "# blank:", "# blank"):
        with pytest.raises(InvalidValue, match="option="):
            options(cell_with(bad), ("blank", "docstring"))


def test_parts() -> None:
    prose = "one: 1\ntwo: a\nb\n\nnote: c\nthree:\none: stays"
    names = ("one", "two", "three")
    assert parts(cell_with(prose, "markdown"), names) == {"one": "1", "two": "a\nb\n\nnote: c", "three": "one: stays"}
    code = "# one: 1\n# two:\n#   a\n# three:\n# a comment\nx = 1"
    assert parts(cell_with(code), names) == {"one": "1", "two": "  a", "three": "# a comment\nx = 1"}
    for bad in ("a\none: 1", "one: 1\nthree: 3\ntwo: 2", "one: 1\ntwo: 2", "one: 1\ntwo:\nthree: 3", "two: 2"):
        with pytest.raises(InvalidValue, match="part"):
            parts(cell_with(bad, "markdown"), names)

"""A lesson.py becomes two notebooks: the right cells, nothing of the machine, the same bytes every time."""

import ast
import json
import random
import re
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from toy_course import COURSE, EXERCISES, HEADER, LESSON, toy, write_lesson

from minidalle import __version__
from minidalle.course.building.build import build_lesson, chosen, drift, lesson_folders, strays
from minidalle.course.building.course_file import Course
from minidalle.course.building.lesson_notebook import lesson_notebook, notebook_bytes
from minidalle.course.building.lesson_source import read_lesson
from minidalle.course.building.release import ANSWER, STUB
from minidalle.errors import InvalidValue
from minidalle.tokenization import bpe

INSTRUCTOR, STUDENT = Path("solutions/01-toy/toy.ipynb"), Path("lessons/01-toy/toy.ipynb")
FIGURE = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy course, built once."""
    root = tmp_path_factory.mktemp("course")
    folder = write_lesson(root)
    (folder / "figures").mkdir()
    (folder / "figures" / "box.svg").write_text(FIGURE)
    (folder / "old.ipynb").write_text("{}")
    made = build_lesson(folder, COURSE, root)
    assert made == [INSTRUCTOR, STUDENT, Path("lessons/01-toy/figures/box.svg")]
    return root


def cells(path: Path) -> dict[str, dict[str, Any]]:
    return {cell["id"]: cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}


def text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def notebook_of(tmp_path: Path, body: str, course: Course = COURSE) -> dict[str, Any]:
    return lesson_notebook(read_lesson(write_lesson(tmp_path, HEADER + body) / "lesson.py"), course)


def test_the_students_notebook(built: Path) -> None:
    assert {id: cell["cell_type"][0] for id, cell in cells(built / STUDENT).items()} == {
        "title": "m",
        "start": "m",
        "exercise-line": "m",
        "setup-colab": "c",
        "setup": "c",
        "count-pairs": "m",
        "count-pairs-2": "c",
        "tokenization-count_pairs-about": "m",
        "tokenization-count_pairs-solution": "c",
        "tokenization-count_pairs-check": "c",
        "tokenization-count_pairs-hints": "m",
        "zusammenfugen-groer": "m",
        "tokenization-merge_pair-about": "m",
        "tokenization-merge_pair-solution": "c",
        "tokenization-merge_pair-check": "c",
        "tokenization-merge_pair-hints": "m",
        "zusammenfugen-groer-2": "m",
        "zusammenfugen-groer-3": "c",
        "tokenization-encode-about": "m",
        "tokenization-encode-solution": "c",
        "tokenization-encode-check": "c",
        "tokenization-encode-hints": "m",
        "tokenization-why_bytes-question": "m",
        "tokenization-why_bytes-answer": "m",
        "tokenization-killer_test-question": "m",
        "tokenization-killer_test-answer": "c",
        "count-pairs-3": "m",
    }


def test_stubs_and_marks(built: Path) -> None:
    student, instructor = cells(built / STUDENT), cells(built / INSTRUCTOR)
    merge = text(student["tokenization-merge_pair-solution"])
    assert merge.endswith(f'wherever the pair stood.\n    """\n    {STUB}')
    count = text(student["tokenization-count_pairs-solution"])
    assert f"            # fill in: pairs[pair] += …\n            {STUB}\n    return pairs" in count
    assert text(student["tokenization-killer_test-answer"]).endswith(f'has the bug."""\n    {STUB}')
    assert text(student["tokenization-why_bytes-answer"]) == ANSWER
    assert "pairs[pair] += count" in text(instructor["tokenization-count_pairs-solution"])
    assert text(student["tokenization-merge_pair-check"]) == 'check("tokenization.merge_pair", merge_pair)'
    for cell in student.values():
        if cell["cell_type"] == "code":
            ast.parse(text(cell))


def test_nothing_of_the_instructor_is_released(built: Path) -> None:
    released = (built / STUDENT).read_text(encoding="utf-8")
    own = (built / INSTRUCTOR).read_text(encoding="utf-8")
    for word in ("SECRET", "BEGIN SOLUTION", "END SOLUTION", "Rubric", "instructor", "pairs[pair] += count"):
        assert word in own
        assert word not in released
    assert sorted(path.name for path in (built / "lessons").rglob("*") if path.is_file()) == ["box.svg", "toy.ipynb"]


def test_about_and_hints(built: Path) -> None:
    student = cells(built / STUDENT)
    needs = "may call: `count_pairs` · not allowed: `re.sub`"
    assert text(student["tokenization-merge_pair-about"]) == f"★★☆ · about 15 min · 4 points · {needs}"
    hints = text(student["tokenization-merge_pair-hints"])
    assert re.findall("<summary>(.*)</summary>", hints) == [
        "Hint 1: the idea",
        "Hint 2: the formula",
        "Hint 3: a skeleton",
    ]
    assert hints.count("```python\nfor …\n```\n\n</details>") == 1
    assert text(student["title"]) == "# 01 · Toy tokens\n\nabout 2 hours · 3 exercises · 17 points"
    assert text(student["tokenization-why_bytes-question"]).endswith("sentences.\n\n*2 points, graded by hand*")


def test_the_line_above_an_exercise_is_explained_once(built: Path, tmp_path: Path) -> None:
    words = text(cells(built / STUDENT)["exercise-line"])
    for part in ("★☆☆ to ★★★; *may call*", "they are the package's", "*not allowed*"):
        assert part in words
    plain = notebook_of(tmp_path, "# %% setup\n# %% exercise: tokenization.count_pairs\n")["cells"]
    assert plain[1]["source"] == "**The line above each exercise.** Stars say how hard it is, ★☆☆ to ★★★."
    without = notebook_of(tmp_path, "# %% setup\n", Course({}, left_out={}))["cells"]
    assert [cell["id"] for cell in without] == ["title", "setup-colab", "setup"]


def test_a_skeleton_is_shown_as_code(tmp_path: Path) -> None:
    bare = replace(EXERCISES["tokenization.merge_pair"], hints=("a", "b", "return {x for ...}"))
    course = Course(EXERCISES | {bare.id: bare})
    made = notebook_of(tmp_path, "# %% setup\n# %% exercise: tokenization.merge_pair\n", course)
    assert "```python\nreturn {x for ...}\n```" in made["cells"][-1]["source"]


@pytest.mark.parametrize("which", [INSTRUCTOR, STUDENT])
def test_jupyter_and_nbgrader_accept_it(built: Path, which: Path) -> None:
    notebook = nbformat.read(built / which, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    MetadataValidator().validate_nb(notebook)
    graded = {cell.id: cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata}
    kinds = {id: (about.grade, about.solution, about.locked, about.get("points")) for id, about in graded.items()}
    assert kinds["tokenization-encode-solution"] == (False, True, False, None)
    assert kinds["tokenization-encode-check"] == (True, False, True, 5)
    assert kinds["tokenization-why_bytes-answer"] == (*kinds["tokenization-killer_test-answer"][:3], 2)
    assert kinds["tokenization-why_bytes-answer"] == (True, True, False, 2)
    assert all(about.grade_id == id and about.schema_version == 3 for id, about in graded.items())
    assert len(graded) == 8


@pytest.mark.parametrize("which", [INSTRUCTOR, STUDENT])
def test_a_notebook_knows_no_machine_and_no_run(built: Path, which: Path) -> None:
    notebook = json.loads((built / which).read_bytes())
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {
            "codemirror_mode": {"name": "ipython", "version": 3},
            "file_extension": ".py",
            "mimetype": "text/x-python",
            "name": "python",
            "nbconvert_exporter": "python",
            "pygments_lexer": "ipython3",
        },
        "minidalle": {"lesson": "01-toy", "title": "Toy tokens", "version": __version__},
    }
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    content = (built / which).read_bytes()
    assert str(built).encode() not in content
    assert content.decode() == json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_second_build_makes_the_same_bytes(built: Path, tmp_path: Path) -> None:
    random.seed(1)  # ids are drawn from it where somebody draws them
    build_lesson(built / "solutions" / "01-toy", COURSE, tmp_path)
    for path in (INSTRUCTOR, STUDENT, Path("lessons/01-toy/figures/box.svg"), Path("solutions/01-toy/figures/box.svg")):
        assert (tmp_path / path).read_bytes() == (built / path).read_bytes()
    before = (built / STUDENT).stat().st_mtime_ns
    build_lesson(built / "solutions" / "01-toy", COURSE, built)
    assert (built / STUDENT).stat().st_mtime_ns == before


def run_code(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a notebook's code cells; `check` only notes what it is given."""
    checked: dict[str, Any] = {}
    course = types.ModuleType("minidalle.course")
    course.check = lambda id, function, **options: checked.__setitem__(id, function)  # type: ignore[attr-defined]
    course.mine = course.use = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "minidalle.course", course)
    names: dict[str, Any] = {}
    for cell in cells(notebook).values():
        if cell["cell_type"] == "code":
            exec(text(cell), names)
    assert names["limit"] == float("inf")
    return checked


def test_the_instructors_notebook_runs(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = run_code(built / INSTRUCTOR, monkeypatch)
    merge = checked["tokenization.merge_pair"]
    assert merge is not bpe.merge_pair
    assert merge(list("banana"), ("a", "n")) == ["b", "an", "an", "a"]
    assert checked["tokenization.encode"]("ab", {"ab": 7}, {("a", "b"): 0}) == [7]
    assert checked["tokenization.count_pairs"]([["a", "b"]], [3]) == {("a", "b"): 3}


def test_the_students_functions_are_there_and_unwritten(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = json.loads((built / STUDENT).read_bytes())
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "zusammenfugen-groer-3"]  # it calls one
    (tmp_path / "toy.ipynb").write_bytes(notebook_bytes(notebook))
    checked = run_code(tmp_path / "toy.ipynb", monkeypatch)
    assert len(checked) == 3
    with pytest.raises(NotImplementedError):
        checked["tokenization.merge_pair"]([], ("a", "b"))
    with pytest.raises(NotImplementedError):
        checked["tokenization.count_pairs"]([["a", "b"]], [3])


def test_the_start_cell(built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    start = text(cells(built / STUDENT)["setup-colab"])
    ran: list[list[str]] = []
    failed = SimpleNamespace(returncode=1)
    monkeypatch.setattr("subprocess.run", lambda command, **options: ran.append(command) or failed)
    exec(start, {})
    assert ran == []
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="%pip install it from where your course is"):
        exec(start, {})
    assert ran[0][-2] == f"minidalle=={__version__}"
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+\S*", ran[0][-1])


def test_the_start_cell_on_colab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is not installed again; the lesson's files come from the installed package, once more each time."""
    lesson = write_lesson(tmp_path, HEADER + "# %% setup\n").rename(tmp_path / "03-bart") / "lesson.py"
    notebook = lesson_notebook(read_lesson(lesson), Course({}, colab="git+https://example.org/it's@v1"))
    start = next(cell["source"] for cell in notebook["cells"] if cell["id"] == "setup-colab")
    assert '"git+https://example.org/it\'s@v1"' in start
    monkeypatch.setattr("minidalle.__version__", "99.1")
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for _ in range(2):
        monkeypatch.chdir(tmp_path)
        exec(start, {})
        assert Path("ablation.json").is_file()
    said = capsys.readouterr().out
    assert f"Here is {tmp_path / 'my-course' / '03-bart'}" in said
    assert f"is of minidalle {__version__}, but minidalle 99.1 is installed" in said


def test_the_setup_imports_what_is_not_written_before(built: Path, tmp_path: Path) -> None:
    setup = text(cells(built / STUDENT)["setup"])
    assert "Pair, split_words, word_symbols\n" in setup
    assert "merge_pair" not in setup  # encode calls the student's
    order = ("count_pairs", "encode", "merge_pair")
    late = notebook_of(tmp_path, "# %% setup\n" + "".join(f"# %% exercise: tokenization.{name}\n" for name in order))
    assert "import Pair, merge_pair, split_words, word_symbols" in late["cells"][3]["source"]


def test_ids_of_other_sections_stay_when_a_cell_is_added(tmp_path: Path) -> None:
    body = "# %% setup\n# %% [markdown]\n# ## One\n# %%\n1\n# %% [markdown]\n# ### Two\n# %%\n2\n"
    first = [cell["id"] for cell in notebook_of(tmp_path, body)["cells"]]
    second = [cell["id"] for cell in notebook_of(tmp_path, body.replace("# %%\n1\n", "# %%\n0\n# %%\n1\n"))["cells"]]
    assert first == ["title", "setup-colab", "setup", "one", "one-2", "two", "two-2"]
    assert set(second) - set(first) == {"one-3"}


def test_a_heading_takes_no_directives_id(tmp_path: Path) -> None:
    prose = "# %% [markdown]\n# # Tokenization: encode, check\n# %% [markdown]\n# # Setup\n"
    made = notebook_of(tmp_path, prose + "# %% setup\n# %% exercise: tokenization.encode\n")
    assert [cell["id"] for cell in made["cells"]][1:3] == ["tokenization-encode-check-2", "setup-2"]


BAD_LESSONS = {
    "an unknown exercise": ("# %% exercise: tokenization.merge_pairs\n", ":7: ", "one of tokenization.merge_pair"),
    "an unknown companion": ("# %% with: tokenization.merge\n", ":7: # %% with", "one of tokenization.merge_pair"),
    "an exercise twice": ("# %% exercise: tokenization.encode\n" * 2, ":8: ", "line 7 has it, too"),
    "a second setup": ("# %% setup\n", ":7: # %% setup: setup=", "line 6 has it, too"),
    "a bad blank": ("# %% exercise: tokenization.encode\n# blank: id =\n", ":7: # %% exercise: tok", "    ids = []\n"),
    "a bad docstring": ("# %% exercise: tokenization.encode\n# docstring: a\n", ":7: # %% exercise: tok", "first line"),
    "two docstrings": ("# %% exercise: tokenization.encode\n# docstring: none\n# docstring: none\n", ":7: ", "one of"),
    "an unknown option": ("# %% exercise: tokenization.encode\n# points: 3\n", ":7: # %% exercise: tok", "# blank: …"),
    "an import that overwrites": (
        "# %% exercise: tokenization.encode\n# %%\nfrom minidalle.tokenization import encode\n",
        ":8: # %%: name='encode': expected another one",
        "the student's function of line 7",
    ),
    "a function that overwrites": (
        "# %% exercise: tokenization.encode\n# %% instructor\ndef encode(): pass\n",
        ":8: # %% instructor: name='encode'",
        "line 7",
    ),
    "a bad written id": ("# %% written: bytes\n", ":7: # %% written: bytes: ", "lesson.name"),
    "bad points": (
        "# %% written: a.b [markdown]\n# points: two\n# question: a\n# rubric: b\n# answer: c\n",
        ":7: # %% written: a.b [markdown]: points='two'",
        "a whole number",
    ),
    "code that is no function": (
        "# %% written: a.b\n# points: 2\n# question: a\n# rubric: b\n# answer:\nx = 1\n",
        ":7: # %% written: a.b: answer='x = 1'",
        "a function",
    ),
}


@pytest.mark.parametrize("name", BAD_LESSONS)
def test_a_bad_directive_is_told(name: str, tmp_path: Path) -> None:
    body, place, valid = BAD_LESSONS[name]
    with pytest.raises(InvalidValue) as raised:
        notebook_of(tmp_path, "\n# %% setup\n" + body)
    assert str(raised.value).startswith("solutions/01-toy/lesson.py" + place)
    assert valid in str(raised.value)


def test_a_name_may_be_imported_before_its_exercise(tmp_path: Path) -> None:
    text = "# %%\nfrom minidalle.tokenization import encode\n"
    assert notebook_of(tmp_path, f"# %% setup\n{text}# %% exercise: tokenization.encode\n# %%\nencode\n")


def test_a_lesson_begins_with_its_setup(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="before the first exercise"):
        notebook_of(tmp_path, "# %% exercise: tokenization.encode\n# %% setup\n")
    with pytest.raises(InvalidValue, match=r"lesson\.py: setup: expected a cell # %% setup"):
        notebook_of(tmp_path, "# %%\n1\n")


def test_what_nbgrader_refuses_is_said(tmp_path: Path) -> None:
    folder = write_lesson(tmp_path, HEADER + "# %% setup\n# %%\n### BEGIN SOLUTION\n1\n")
    with pytest.raises(InvalidValue, match=r"01-toy: nbgrader made no release: [\s\S]*no end solution"):
        build_lesson(folder, COURSE, tmp_path)


def test_a_course_with_its_own_points_and_without_an_exercise(tmp_path: Path) -> None:
    exercises = {id: exercise for id, exercise in EXERCISES.items() if id != "tokenization.merge_pair"}
    course = Course(
        exercises, title="Deep learning 2", left_out={"tokenization.merge_pair": EXERCISES["tokenization.merge_pair"]}
    )
    build_lesson(write_lesson(tmp_path), course, tmp_path)
    student = cells(tmp_path / STUDENT)
    assert not {id for id in student if "merge_pair-" in id} - {"tokenization-merge_pair-reference"}
    assert text(student["tokenization-merge_pair-reference"]).startswith(
        "from minidalle.tokenization.bpe import merge_pair"
    )
    assert not {"zusammenfugen-groer-2", "zusammenfugen-groer-3"} & {*student}
    assert "count-pairs-3" in student
    assert "Deep learning 2 · about 2 hours · 2 exercises · 13 points" in text(student["title"])
    assert "merge_pair" in text(student["setup"])  # encode calls it


def test_points_of_the_course_are_in_the_check(tmp_path: Path) -> None:
    exercises = EXERCISES | {"tokenization.encode": toy(bpe.encode, points=9)}
    course = Course(exercises, repriced=frozenset({"tokenization.encode"}))
    made = {cell["id"]: cell for cell in notebook_of(tmp_path, LESSON.removeprefix(HEADER), course)["cells"]}
    check = made["tokenization-encode-check"]
    assert check["source"] == 'check("tokenization.encode", encode, points=9)'
    assert check["metadata"]["nbgrader"]["points"] == 9
    assert made["tokenization-merge_pair-check"]["source"] == 'check("tokenization.merge_pair", merge_pair)'


def test_drift(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(built, root)
    folders = lesson_folders(root)
    assert drift(folders, COURSE, root) == {}
    path = root / STUDENT
    path.write_bytes(path.read_bytes().replace(b"2 + 2", b"2 + 3"))
    (root / "lessons/01-toy/figures/box.svg").unlink()
    (root / "lessons/01-toy/stray.txt").write_text("")
    told = drift(folders, COURSE, root)
    assert list(told) == ["lessons/01-toy/figures/box.svg", "lessons/01-toy/stray.txt", STUDENT.as_posix()]
    assert told["lessons/01-toy/figures/box.svg"].strip() == "is not there"
    assert '-    "2 + 3"' in told[STUDENT.as_posix()]
    assert '+    "2 + 2"' in told[STUDENT.as_posix()]
    assert b"2 + 3" in path.read_bytes()  # nothing is written
    path.write_bytes((built / STUDENT).read_bytes().replace(b"\n", b"\r\n"))
    assert drift(folders, COURSE, root)[STUDENT.as_posix()].strip()
    (root / "solutions/01-toy/lesson.py").write_text(LESSON.replace("banana", "ananas"))
    assert INSTRUCTOR.as_posix() in drift(folders, COURSE, root)


def test_folders(tmp_path: Path) -> None:
    assert lesson_folders(tmp_path) == {}
    for name in ("02-b", "01-toy"):
        write_lesson(tmp_path, name=name)
    write_lesson(tmp_path / "mine", name="02-b")
    folders = lesson_folders(tmp_path, tmp_path / "mine")
    assert list(folders) == ["01-toy", "02-b"]
    assert folders["02-b"] == tmp_path / "mine" / "solutions" / "02-b"
    assert [list(chosen(folders, asked)) for asked in ([], ["toy"], ["01"], ["solutions/02-b/"])] == [
        [*folders],
        ["01-toy"],
        ["01-toy"],
        ["02-b"],
    ]
    with pytest.raises(InvalidValue, match="lesson='toys': expected one of 01-toy, 02-b"):
        chosen(folders, ["toys"])
    (tmp_path / "lessons" / "07-gone").mkdir(parents=True)
    assert strays(folders, tmp_path) == ["lessons/07-gone"]
    write_lesson(tmp_path, name="extra")
    with pytest.raises(InvalidValue, match="lesson='extra': expected a name such as 01-tokenization"):
        lesson_folders(tmp_path)

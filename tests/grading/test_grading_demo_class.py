"""The demonstration's truth: what the notebooks say when they are checked on their own, student by student."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidalle.course.checking.answer import examine
from minidalle.course.checking.apart import check_apart
from minidalle.course.notebook_code import Cell, definitions
from minidalle.course.submission import run_definitions
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES, Exercise
from minidalle.grading.answer_text import answer_text
from minidalle.grading.demo_class import KINDS, DemoClass, make_demo_class
from minidalle.grading.released import Release, read_release

ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())
CALLS_ANOTHER = {"never_reads_the_caption"}  # it calls another exercise, which is a stub in a notebook


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoClass:
    """Written into the folder of a course that leaves one of its exercises out."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "course.toml").write_text('leave_out = ["explore.tfidf"]\n', encoding="utf-8")
    return make_demo_class(len(KINDS), folder / "course", "00")


@pytest.fixture(scope="module")
def release(made: DemoClass) -> Release:
    return read_release(made.folder, made.lesson)


@pytest.fixture(scope="module")
def truth(made: DemoClass) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.folder / "truth.json").read_text(encoding="utf-8"))["students"]
    return found


def notebook(made: DemoClass, release: Release, student: str) -> Path:
    return made.folder / "grading" / "submitted" / student / made.lesson / f"{release.name}.ipynb"


def of_kind(truth: dict[str, Any], kind: str) -> str:
    return next(student for student, about in truth.items() if about["kind"] == kind)


def assert_true(path: Path, release: Release, about: dict[str, Any]) -> None:
    """Check a notebook as `minidalle check` does, but for the checks that were released."""
    for report in check_apart(path, [*release.asked.values()], release.course.exercises):
        worth = about["exercises"][report.id]
        found = {"points": report.points, "out_of": report.out_of, "unfinished": report.unfinished,
                 "looks_like": [name for name, _ in report.looks_like]}  # fmt: skip
        assert found == {name: worth[name] for name in found}, (about["kind"], worth["answer"])


@pytest.mark.parametrize("kind", ["right", "mistaken", "helpers in extra cells", "Windows line ends", "checks edited"])
def test_the_truth_of_some(made: DemoClass, release: Release, truth: dict[str, Any], kind: str) -> None:
    student = of_kind(truth, kind)
    assert_true(notebook(made, release, student), release, truth[student])


@pytest.mark.slow
def test_the_truth_of_all(made: DemoClass, release: Release, truth: dict[str, Any]) -> None:
    assert len(truth) == len(KINDS)
    for student, about in truth.items():
        assert_true(notebook(made, release, student), release, about)


def test_what_each_kind_earns(release: Release, truth: dict[str, Any]) -> None:
    most = sum(release.course.exercises[one.id].points for one in release.asked.values())
    for about in truth.values():
        if about["kind"] == "blank":
            assert about["points"] == 0
        elif about["kind"] in ("half done", "checks deleted", "checks edited", "mistaken"):
            assert 0 < about["points"] < most
        else:
            assert about["points"] == most, about["kind"]
        assert sum(one["points"] for one in about["exercises"].values()) == about["points"]


def test_mistakes_are_named(truth: dict[str, Any]) -> None:
    """Each mistake that somebody makes has its own name among those that the check gives it."""
    for about in truth.values():
        for id, worth in about["exercises"].items():
            if worth["answer"] in {one.__name__ for one in EXERCISES[id].wrong}:
                assert worth["answer"].replace("_", " ") in worth["looks_like"]
                assert worth["points"] < worth["out_of"]


def test_everybody_makes_another_mistake(made: DemoClass, truth: dict[str, Any]) -> None:
    wrong = [
        (id, worth["answer"])
        for about in truth.values()
        for id, worth in about["exercises"].items()
        if worth["answer"] in {one.__name__ for one in EXERCISES[id].wrong}
    ]
    assert len(set(wrong)) == len(wrong) == made.shown > 0
    assert made.left_out == []


def test_the_notebooks_are_what_their_kind_says(made: DemoClass, release: Release, truth: dict[str, Any]) -> None:
    def cells(kind: str) -> list[dict[str, Any]]:
        book = json.loads(notebook(made, release, of_kind(truth, kind)).read_bytes())
        return list(book["cells"])

    count = len(release.cells)
    assert len(cells("helpers in extra cells")) == count + len(release.asked)
    assert len(cells("checks copied")) == count + len(release.asked)
    assert len(cells("checks deleted")) == count - len(release.asked) // 2
    assert any("моя_" in cell["source"] for cell in cells("in other languages"))
    assert any("warnings.warn" in cell["source"] for cell in cells("prints and warns"))
    windows = notebook(made, release, of_kind(truth, "Windows line ends")).read_bytes()
    assert windows.count(b"\r\n") == windows.count(b"\n")
    assert all("\r\n" in cell["source"] for cell in cells("Windows line ends") if "\n" in cell["source"])
    assert cells("blank") == [*release.cells.values()]


def test_it_is_a_course(made: DemoClass, release: Release) -> None:
    assert {path.name for path in made.folder.iterdir()} >= {"lessons", "grading", "nbgrader_config.py", "truth.json"}
    folder = notebook(made, release, "student-001").parent
    assert (folder / "timestamp.txt").read_text(encoding="utf-8") == "2026-03-02 09:00:00.000000 UTC\n"


def test_the_same_seed_is_the_same_class(made: DemoClass, tmp_path: Path) -> None:
    again = make_demo_class(4, tmp_path / "again", "00-explore")
    for student in range(1, 5):
        inside = Path("grading", "submitted", f"student-{student:03}", made.lesson, "explore.ipynb")
        assert (again.folder / inside).read_bytes() == (made.folder / inside).read_bytes()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(InvalidValue, match="a folder that is empty, or a name that is free"):
        make_demo_class(1, tmp_path)
    with pytest.raises(InvalidValue, match="--lesson='9': expected one of 00-explore"):
        make_demo_class(1, tmp_path / "new", "9")
    assert not (tmp_path / "new").exists()


def told(exercise: Exercise, function: object) -> tuple[Any, ...]:
    report = examine(exercise, function, exercises=EXERCISES)
    return report.points, report.passed, report.looks_like


def as_text(exercise: Exercise, answer: Callable[..., Any]) -> object:
    """The function that the answer's text defines, beside the imports that lessons have and what the exercise needs."""
    given = [f"from {EXERCISES[id].reference.__module__} import {EXERCISES[id].name}" for id in exercise.needs]
    text = answer_text(answer, exercise, {EXERCISES[id].name for id in exercise.needs})
    module, failed = run_definitions(Path("text.py"), definitions([Cell("text", "\n".join([*given, text.whole]))]))
    assert not failed
    assert "minidalle.exercises" not in text.whole
    return vars(module)[exercise.name]


def answers(exercise: Exercise) -> Iterator[Callable[..., Any]]:
    yield from (one for one in (*exercise.also_right, *exercise.wrong) if one.__name__ not in CALLS_ANOTHER)


@ALL
def test_texts_do_what_their_functions_do(exercise: Exercise) -> None:
    """Of each exercise a right answer and a wrong one."""
    for answer in (exercise.also_right[0], next(one for one in exercise.wrong if one.__name__ not in CALLS_ANOTHER)):
        assert told(exercise, as_text(exercise, answer)) == told(exercise, answer), answer.__name__


@pytest.mark.slow
@ALL
def test_all_texts_do(exercise: Exercise) -> None:
    for answer in answers(exercise):
        assert told(exercise, as_text(exercise, answer)) == told(exercise, answer), answer.__name__

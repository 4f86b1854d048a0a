"""An instructor's own course, that of docs/authoring.md: released by nbgrader, and repriced."""

import re
import shutil
from pathlib import Path

import pytest
from small_course import ROOT, run

from minidalle.course.building.build import build_lesson
from minidalle.course.building.course_file import find_course, read_course
from minidalle.errors import InvalidValue
from minidalle.grading.records import Folders, Setup, grade_digest
from minidalle.grading.released import read_release

LESSON, COUNT = "07-vowels", "mine.count_vowels"


@pytest.fixture
def own(tmp_path: Path) -> Folders:
    """The course of docs/authoring.md, built, with a place for what is handed in."""
    root = tmp_path.resolve() / "own"
    words = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
    for name in ("course.toml", "mine/count_vowels.py", f"solutions/{LESSON}/lesson.py"):
        (shown,) = re.findall(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)```", words, re.DOTALL)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(shown, encoding="utf-8")
    build_lesson(root / "solutions" / LESSON, read_course(root / "course.toml"), root)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "grading").mkdir()
    return Folders(root)


def reprice(own: Folders, points: int) -> None:
    file = own.root / "course.toml"
    file.write_text(file.read_text(encoding="utf-8") + f'"{COUNT}" = {points}\n', encoding="utf-8")


def test_nbgraders_release_has_the_exercises_of_the_course(own: Folders, tmp_path: Path) -> None:
    """It begins with an empty folder, and students without these files are told that there is no such exercise."""
    lesson = own.root / "lessons" / LESSON
    built = {path.relative_to(lesson): path.read_bytes() for path in lesson.rglob("*") if path.is_file()}
    done = run(own, "nbgrader", "generate_assignment", LESSON, "--force")
    assert done.returncode == 0, done.stderr
    assert {path.relative_to(lesson): path.read_bytes() for path in lesson.rglob("*") if path.is_file()} == built
    assert COUNT in find_course(lesson.rename(tmp_path / "students")).exercises


def test_other_points_than_the_release_has_are_refused(own: Folders) -> None:
    """A class that is graded again with the old points, without a word, would be taken for one with the new ones."""
    read_release(own.root, LESSON)
    reprice(own, 5)  # in the course's course.toml; the copy in the lesson's folder is the older one
    words = "points of mine-count_vowels-check=2: expected 5, as course.toml says: minidalle build 07-vowels"
    with pytest.raises(InvalidValue, match=f"^{re.escape(words)}$"):
        read_release(own.root, LESSON)
    build_lesson(own.root / "solutions" / LESSON, read_course(own.root / "course.toml"), own.root)
    assert read_release(own.root, LESSON).course.points[COUNT] == 5


def test_a_lesson_is_graded_anew_for_what_concerns_it(own: Folders) -> None:
    """Points of other lessons do not, or all that a person graded would have to be confirmed."""

    def digest() -> str:
        return grade_digest("a", read_release(own.root, LESSON), Setup())

    before = digest()
    file, mine = own.root / "course.toml", own.root / "mine" / "count_vowels.py"
    file.write_text(file.read_text(encoding="utf-8") + '"tokenization.merge_pair" = 9\n', encoding="utf-8")
    assert digest() == before
    mine.write_text(mine.read_text(encoding="utf-8") + "# another check\n", encoding="utf-8")
    assert digest() != before

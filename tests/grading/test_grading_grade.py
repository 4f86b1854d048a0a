"""A class with honest, hostile and unlucky students, graded from end to end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from small_course import (
    CHECKS,
    LESSON,
    MERGE,
    PAIRS,
    WHY,
    WORTH,
    Grades,
    book,
    comments,
    environment,
    graded_text,
    grades,
    hand_in,
    make_course,
    run,
    with_source,
)

from minidalle.grading.confinement import why_not
from minidalle.grading.records import Folders

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

HELPED = "from helper import pairs_of\n\n\ndef count_pairs(words, counts):\n    return pairs_of(words, counts)\n"
HELPER = (
    "def pairs_of(words, counts):\n    found = {}\n    for word, count in zip(words, counts):\n"
    "        for pair in zip(word, word[1:]):\n            found[pair] = found.get(pair, 0) + count\n    return found\n"
)
FULL = {CHECKS[0]: float(WORTH[PAIRS]), CHECKS[1]: float(WORTH[MERGE])}


def without_checks(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "cells": [cell for cell in content["cells"] if cell["id"] not in CHECKS]}


def fill(folders: Folders) -> None:
    """Everybody hands in."""
    secret = folders.grading / "not-theirs.txt"
    secret.write_text("SECRET")
    hand_in(folders, "ada", book(folders))
    hand_in(folders, "blank", book(folders, solved=False))
    hand_in(folders, "copied", {**book(folders), "cells": book(folders)["cells"] * 2})
    hand_in(folders, "deleted", without_checks(book(folders)))
    hand_in(folders, "damaged", b'{"cells": [')
    hand_in(folders, "bytes", b"\xff\xfe\x00")
    helped = hand_in(folders, "helped", with_source(book(folders), f"{PAIRS}-solution", HELPED))
    (helped / "helper.py").write_text(HELPER)
    linked = hand_in(folders, "linked", book(folders))
    (linked / "mine.txt").symlink_to(secret)
    (linked / "mine.csv").hardlink_to(secret)
    os.mkfifo(linked / "timestamp.txt")
    link = hand_in(folders, "links", b"")
    (link / "toy.ipynb").unlink()
    (link / "toy.ipynb").symlink_to(secret)
    hand_in(folders, "renamed", book(folders), "toy (1).ipynb")
    ends = "import os\n\n\ndef merge_pair(word, pair):\n    os._exit(0)\n"
    hand_in(folders, "ended", with_source(book(folders), f"{MERGE}-solution", ends))
    assert (folders.submitted / "ended").is_dir()


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folders = make_course(tmp_path_factory.mktemp("course").resolve())
    fill(folders)
    return folders


@pytest.fixture(scope="module")
def first(course: Folders) -> subprocess.CompletedProcess[str]:
    return run(course, "minidalle", "grade", "01", "--workers", "2", "--json", "found.json")


def auto(found: Grades, student: str) -> dict[str, float | None]:
    return {id: found[student][id][0] for id in CHECKS}


def test_everybody_gets_what_is_theirs(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 1, first.stderr
    found = grades(course)
    for student in ("ada", "copied", "deleted", "helped", "linked"):
        assert auto(found, student) == FULL, student
    assert auto(found, "blank") == {CHECKS[0]: 0.0, CHECKS[1]: 0.0}
    assert auto(found, "ended") == {CHECKS[0]: FULL[CHECKS[0]], CHECKS[1]: 0.0}  # that exercise only
    assert found["ada"][WHY] == (None, None, True)  # a person reads it
    assert found["blank"][WHY] == (0.0, None, False)


def test_what_cannot_be_graded_is_said_aloud_and_never_a_zero(
    course: Folders, first: subprocess.CompletedProcess[str]
) -> None:
    found = grades(course)
    for student, why in (("damaged", "expected JSON"), ("bytes", "UTF-8"), ("links", "an ordinary file")):
        assert all(grade == (None, None, True) for grade in found[student].values())
        assert f"✗ {student}, {LESSON}: needs manual grade: " in first.stdout
        assert all(why in (comment or "") for comment in comments(course, student).values())
        assert "could not be read" in graded_text(course, student)
    assert "✗ renamed, 01-toy: needs manual grade: notebook='toy (1).ipynb': expected toy.ipynb" in first.stdout
    assert "11 submissions in " in first.stdout
    assert "0 graded before, 4 with an exercise" in first.stdout
    assert "no secret" in first.stdout
    assert first.stderr == ""


def test_nothing_of_others_is_copied(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    for student in ("linked", "links"):
        assert "SECRET" not in graded_text(course, student)
    aside = course.aside / "linked" / LESSON
    assert {path.name for path in aside.iterdir()} == {"mine.txt", "mine.csv", "timestamp.txt"}


def test_records_and_json_say_it_all(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    found = json.loads((course.root / "found.json").read_text())["submissions"]
    assert len(found) == 11
    by_student = {one["student"]: one for one in found}
    assert by_student["ada"]["points"] == by_student["ada"]["out_of"] == sum(FULL.values())
    record = json.loads(course.record(LESSON, "deleted").read_text())
    assert record == by_student["deleted"]["record"]
    assert [verdict["report"]["points"] for verdict in record["verdicts"]] == [*FULL.values()]
    assert f"check cell {CHECKS[0]} was missing and was put back" in record["notes"]
    assert not record["unsafe"]
    assert not course.record(LESSON, "renamed").exists()


def times(course: Folders) -> dict[str, int]:
    files = (course.grading / "records" / LESSON).glob("*.json")
    return {path.stem: path.stat().st_mtime_ns for path in files}


def test_what_is_graded_and_unchanged_is_skipped(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    before, graded = times(course), grades(course)
    again = run(course, "minidalle", "grade")
    assert again.returncode == 1  # what waits for a person waits still
    assert "11 submissions" in again.stdout
    assert "10 graded before, 4 with an exercise" in again.stdout
    assert times(course) == before
    assert grades(course) == graded
    hand_in(course, "blank", book(course))
    third = run(course, "minidalle", "grade", "toy", "--students", "[ab]*")
    assert third.returncode == 1
    assert auto(grades(course), "blank") == FULL
    assert {name for name, time in times(course).items() if time != before[name]} == {"blank"}


def test_nbgrader_itself_finds_the_same(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    before, notebook = grades(course), graded_text(course, "ada")
    done = run(course, "nbgrader", "autograde", LESSON, "--force")
    assert grades(course) == before
    assert graded_text(course, "ada").replace("\n", "")[:2000] == notebook.replace("\n", "")[:2000]
    assert "No notebooks found" in done.stderr  # the one that is named otherwise
    assert course.record(LESSON, "ada").is_file()


def test_work_that_nbgrader_would_pass_over_waits_in_the_gradebook(
    course: Folders, first: subprocess.CompletedProcess[str]
) -> None:
    assert len(grades(course)["renamed"]) == 3
    assert all(grade == (None, None, True) for grade in grades(course)["renamed"].values())


def test_a_persons_scores_stay(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    with Gradebook(course.db_url) as gradebook:
        for id, score in ((WHY, 1.5), (CHECKS[0], 0.5)):
            grade = gradebook.find_grade(id, "toy", LESSON, "ada")
            grade.manual_score, grade.needs_manual_grade = score, False
        gradebook.find_comment(WHY, "toy", LESSON, "ada").manual_comment = "Well said."
        gradebook.db.commit()
    assert run(course, "minidalle", "grade", "--students", "ada", "--force").returncode == 0
    found = grades(course)["ada"]
    assert found[WHY][1] == 1.5
    assert found[CHECKS[0]][:2] == (FULL[CHECKS[0]], 0.5)
    assert comments(course, "ada")[WHY] == "Well said."


def test_feedback_and_export(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    done = run(course, "nbgrader", "generate_feedback", LESSON, "--force")
    assert done.returncode == 0, done.stderr
    page = (course.grading / "feedback" / "ada" / LESSON / "toy.html").read_text()
    assert "tokenization.merge_pair" in page
    assert "passed" in page
    assert "could not be read" in (course.grading / "feedback" / "damaged" / LESSON / "toy.html").read_text()
    assert run(course, "nbgrader", "export").returncode == 0
    assert "ada" in (course.root / "grades.csv").read_text()


def started(course: Folders, *options: str) -> subprocess.Popen[str]:
    """`minidalle grade`, while it runs."""
    return subprocess.Popen([sys.executable, "-m", "minidalle", "grade", *options], cwd=course.root, text=True,
                            env=environment(course), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True)  # fmt: skip


def wait_until(seen: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_stopped_in_the_middle_it_goes_on(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    course = make_course(tmp_path.resolve())
    for number in range(6):
        hand_in(course, f"student-{number}", book(course))
    running = started(course, "--workers", "2")
    wait_until(lambda: times(course))  # the first is done, whoever it is
    os.killpg(running.pid, sent) if sent == signal.SIGINT else running.kill()
    told = running.communicate(timeout=60)
    assert running.returncode == code, told
    kept = times(course)
    if sent == signal.SIGINT:
        assert "stopped; the same command goes on where it was" in told[1]
    time.sleep(2.0)  # nobody goes on in secret
    assert times(course) == kept
    done = run(course, "minidalle", "grade", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f" s: {len(kept)} graded before, 0 with an exercise" in done.stdout
    assert all(auto(grades(course), f"student-{number}") == FULL for number in range(6))
    assert {name: at for name, at in times(course).items() if name in kept} == kept


def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    course = make_course(tmp_path.resolve())
    hand_in(course, "ada", book(course))
    running = started(course)
    wait_until(lambda: course.lock.exists() and course.lock.read_text())
    other = run(course, "minidalle", "grade")
    assert other.returncode == 2
    assert "grades here already" in other.stderr
    assert running.wait(120) == 0


def test_formgraders_button_does_the_same(course: Folders, first: subprocess.CompletedProcess[str]) -> None:
    code = (
        "import sys; from pathlib import Path; from nbgrader.apps.api import NbGraderAPI\n"
        "from nbgrader.coursedir import CourseDirectory\n"
        "from minidalle.grading.nbgrader_settings import course_settings\n"
        "settings = course_settings(Path.cwd())\n"
        "api = NbGraderAPI(CourseDirectory(config=settings), config=settings)\n"
        "done = api.autograde('01-toy', 'helped')\n"
        "assert done['success'], done\n"
        "print(api.get_submission('01-toy', 'helped')['score'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=course.root, env=environment(course),
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.split() == [str(sum(FULL.values()))], done.stderr

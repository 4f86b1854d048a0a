"""What a grade depends on, the secret, the release in the gradebook, and what is refused before anybody is graded."""

import json
from pathlib import Path

import pytest
import torch
from small_course import CHECKS, LESSON, NAME, ROOT, WHY, book, hand_in, make_course, run

from minidalle.cli.grading import grade_class
from minidalle.errors import InvalidValue
from minidalle.grading.grade import Options, grade_lesson, lessons_with_work, students_of
from minidalle.grading.nbgrader_settings import course_settings
from minidalle.grading.records import SECRET, Folders, Setup, grade_digest, new_secret, read_record, read_secret
from minidalle.grading.released import enter, entered, read_release, require_entered
from minidalle.grading.warm_sandbox import require_device, warm_sandbox


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    monkeypatch.delenv(SECRET, raising=False)
    return make_course(tmp_path.resolve())


def test_a_secret_is_drawn_once_and_for_its_owner(course: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_secret(course) is None
    new_secret(course)
    secret = read_secret(course)
    assert secret is not None
    assert len(secret) == 64
    assert course.secret.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidValue, match="delete it first"):
        new_secret(course)
    assert read_secret(course) == secret
    monkeypatch.setenv(SECRET, "another one, of the environment")
    assert read_secret(course) == "another one, of the environment"
    monkeypatch.setenv(SECRET, "short")
    with pytest.raises(InvalidValue, match="at least 16 characters") as refused:
        read_secret(course)
    assert "short" not in str(refused.value)
    monkeypatch.delenv(SECRET)
    course.secret.write_text("\n")
    with pytest.raises(InvalidValue, match="at least 16 characters"):
        read_secret(course)


def test_a_digest_is_of_all_that_a_grade_depends_on(course: Folders) -> None:
    release = read_release(course.root, LESSON)
    path = course.root / "lessons" / LESSON / f"{NAME}.ipynb"
    path.write_bytes(path.read_bytes().replace(b"Two functions.", b"Two functions!"))
    other = read_release(course.root, LESSON)
    digests = [
        grade_digest("a", release, Setup()),
        grade_digest("b", release, Setup()),
        grade_digest("a", other, Setup()),
        grade_digest("a", release, Setup(secret="s" * 16)),
        grade_digest("a", release, Setup(secret="t" * 16)),
        grade_digest("a", release, Setup(device="cuda")),
        grade_digest("a", release, Setup(unsafe=True)),
    ]
    assert len({*digests}) == len(digests)
    assert grade_digest("a", read_release(course.root, LESSON), Setup()) == digests[2]


def test_half_a_record_is_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for text in ("", "{", "[]", "{}", '{"digest": 1, "verdicts": []}', '{"digest": "a", "verdicts": [{"report": {}}]}'):
        path.write_text(text)
        assert read_record(path) is None
    path.write_text('{"digest": "a", "verdicts": []}')
    assert read_record(path) == {"digest": "a", "verdicts": []}
    assert read_record(tmp_path / "none.json") is None


def test_entering_a_release_is_what_generate_assignment_does(course: Folders) -> None:
    release = read_release(course.root, LESSON)
    assert enter(release, course.db_url)
    assert not enter(release, course.db_url)
    ours = entered(release, course.db_url)
    assert {*CHECKS, WHY} < {*ours}
    (course.grading / "gradebook.db").unlink()
    done = run(course, "nbgrader", "generate_assignment", LESSON, "--force")
    assert done.returncode == 0, done.stderr
    assert entered(release, course.db_url) == ours == release.entries
    require_entered(release, course.db_url)


def test_a_release_that_the_gradebook_does_not_know_is_not_graded(course: Folders) -> None:
    release = read_release(course.root, LESSON)
    with pytest.raises(InvalidValue, match=r"the gradebook has no release of toy\.ipynb: nbgrader generate_assignment"):
        require_entered(release, course.db_url)
    enter(release, course.db_url)
    path = course.root / "lessons" / LESSON / f"{NAME}.ipynb"
    content = json.loads(path.read_bytes())
    next(cell for cell in content["cells"] if cell["id"] == WHY)["metadata"]["nbgrader"]["points"] = 5
    path.write_text(json.dumps(content))
    changed = read_release(course.root, LESSON)
    with pytest.raises(InvalidValue, match="the gradebook has another release"):
        require_entered(changed, course.db_url)
    assert enter(changed, course.db_url)
    assert entered(changed, course.db_url)[WHY].points == 5


def test_a_release_that_does_not_fit_its_exercises_is_refused(course: Folders) -> None:
    path = course.root / "lessons" / LESSON / f"{NAME}.ipynb"
    whole = path.read_bytes()
    for edit, words in (
        (lambda cell: cell["metadata"]["nbgrader"].update(points=99), "points of tokenization-count_pairs-check=99"),
        (lambda cell: cell.update(source="1.0"), "expected one check of an exercise"),
        (lambda cell: cell.update(source='check("a.b", c)'), "expected one check of an exercise"),
        (lambda cell: cell["metadata"]["nbgrader"].update(grade_id="x"), "expected a notebook that minidalle build"),
    ):
        content = json.loads(whole)
        edit(next(cell for cell in content["cells"] if cell["id"] == CHECKS[0]))
        path.write_text(json.dumps(content))
        with pytest.raises(InvalidValue, match=words):
            read_release(course.root, LESSON)
    path.unlink()
    with pytest.raises(InvalidValue, match="expected the released notebook: minidalle build"):
        read_release(course.root, LESSON)


def test_lessons_are_named_as_people_do(course: Folders) -> None:
    with pytest.raises(InvalidValue, match=r"submissions=0: expected some, as .*STUDENT/01-toy/toy\.ipynb"):
        lessons_with_work(course, None)
    hand_in(course, "ada", book(course))
    hand_in(course, ".hidden", book(course))
    for name in (None, "01", "toy", "01-toy"):
        assert lessons_with_work(course, name) == [LESSON]
    with pytest.raises(InvalidValue, match="lesson='02': expected one of 01-toy"):
        lessons_with_work(course, "02")
    assert students_of(course, LESSON) == ["ada"]
    assert students_of(course, LESSON, "b*") == []
    with pytest.raises(InvalidValue, match=r"students='b\*'"):
        list(grade_lesson(course, LESSON, Options(Setup(unsafe=True), students="b*")))
    with pytest.raises(InvalidValue, match="a course, with lessons/ in it"):
        lessons_with_work(Folders(course.root / "grading"), None)


def test_lessons_that_a_student_did_not_hand_in_are_passed_over(course: Folders) -> None:
    (course.root / "lessons" / "02-later").mkdir()
    for student, lesson in (("ada", "02-later"), ("ben", LESSON), ("ben", "02-later")):
        (course.submitted / student / lesson).mkdir(parents=True)
    assert lessons_with_work(course, None, "ada") == ["02-later"]
    assert lessons_with_work(course, None, "b*") == [LESSON, "02-later"]
    with pytest.raises(InvalidValue, match="students='eve': expected a pattern that fits one of those who handed in"):
        lessons_with_work(course, None, "eve")


def test_another_gradebook_is_the_instructors_choice(course: Folders) -> None:
    assert course_settings(course.root).CourseDirectory.db_url == course.db_url
    config = course.root / "nbgrader_config.py"
    url = "postgresql://graders@server/course"
    config.write_text(config.read_text() + f'\nc.CourseDirectory.db_url = "{url}"\nc.LateSubmissionPlugin.x = 3\n')
    settings = course_settings(course.root)
    assert settings.CourseDirectory.db_url == url
    assert settings.LateSubmissionPlugin.x == 3
    assert "minidalle" in settings.Autograde.exporter_class
    config.unlink()
    assert course_settings(course.root).CourseDirectory.db_url == course.db_url


def test_the_environment_can_name_the_gradebook(course: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_GRADEBOOK", "postgresql://graders@server/course")
    assert course_settings(course.root).CourseDirectory.db_url == "postgresql://graders@server/course"


def test_a_device_that_is_not_here_is_refused_before_anybody_is_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer would fail on it, and have no points."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, words in (("cuda", "cpu, as torch finds no NVIDIA GPU here"), ("tpu", "cpu or cuda")):
        with pytest.raises(InvalidValue, match=f"^device='{device}': expected {words}$"):
            grade_class(None, "*", 1, device, None, force=False, unsafe=False, draw_secret=False)
        with pytest.raises(InvalidValue, match=f"device='{device}'"):
            warm_sandbox(read_release(ROOT, "01-tokenization"), device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    require_device("cuda")

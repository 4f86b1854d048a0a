"""What is remembered of tries: hints when they are due, no entry lost, and no damage stops a check."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from toy_exercises import ADD_UP, MEAN, add_up, forgets_the_last, multiplies

import minidalle.cli.course as cli
from minidalle.course import progress
from minidalle.course.checking import answer as checking
from minidalle.course.checking.answer import check
from minidalle.course.checking.findings import Line
from minidalle.course.checking.report import Report
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(checking, "known_exercises", lambda: {"toy.add_up": ADD_UP, "toy.mean": MEAN})
    return tmp_path / "home"


def right(numbers: list[int]) -> int:
    return sum(numbers)


def test_hints_come_after_every_third_failure_that_is_the_same() -> None:
    hints = [len(check("toy.add_up", multiplies).hints) for _ in range(10)]
    assert hints == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert check("toy.add_up", multiplies).hints == ADD_UP.hints
    assert "Hint 1:" in str(check("toy.add_up", multiplies))
    assert not check("toy.add_up", forgets_the_last).hints  # another failure: another thought
    assert not check("toy.add_up", multiplies).hints


def test_a_success_between_ends_the_row() -> None:
    for answer in (multiplies, multiplies, right, multiplies, multiplies):
        report = check("toy.add_up", answer)
        assert not report.hints
    assert check("toy.add_up", multiplies).hints


def test_what_is_remembered(home: Path) -> None:
    def empty(numbers: list[int]) -> int:
        raise NotImplementedError

    for answer in (None, "x", empty, add_up):  # nothing of it is a try
        check("toy.add_up", answer)
    assert progress.tried("toy.add_up") == {}
    partly = check("toy.add_up", multiplies).points
    assert 0 < progress.tried("toy.add_up")["points"] == partly < 4
    assert progress.tried("toy.add_up")["looks_like"] == ["multiplies"]
    check("toy.add_up", right)
    check("toy.add_up", lambda numbers: None)
    entry = progress.tried("toy.add_up")
    assert (entry["tries"], entry["points"], entry["passed"]) == (3, 4.0, True)
    assert [path.name for path in home.iterdir()] == ["progress.json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"toy.add_up": 3}', '{"toy.add_up": {"tries": "two"}}', "\udcff"])
def test_a_damaged_file_is_set_aside(home: Path, damage: str) -> None:
    home.mkdir()
    (home / "progress.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    report = check("toy.add_up", right)
    assert report.passed
    assert any("was damaged" in note for note in report.notes)
    aside = [path for path in home.iterdir() if "damaged" in path.name]
    assert len(aside) == 1
    assert aside[0].read_bytes() == damage.encode("utf-8", "surrogateescape")
    assert progress.tried("toy.add_up")["tries"] == 1
    assert not check("toy.add_up", right).notes


def test_a_place_that_cannot_be_written_is_no_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "file" / "below"))
    report = check("toy.add_up", right)
    assert report.passed
    assert report.points == 4
    assert report.notes[0].startswith("This try was not remembered:")
    assert progress.tried("toy.add_up") == {}


def test_a_file_that_cannot_be_read_is_left_alone(home: Path) -> None:
    (home / "progress.json").mkdir(parents=True)
    report = check("toy.add_up", right)
    assert report.passed
    assert report.notes[0].startswith("This try was not remembered: cannot read")
    assert (home / "progress.json").is_dir()


def test_without_a_choice_it_lies_where_the_system_keeps_such_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIDALLE_HOME")
    assert progress.home().name == "minidalle"


MANY = """
import sys
from minidalle.course import progress
from minidalle.course.checking.findings import Line
from minidalle.course.checking.report import Report
from toy_exercises import ADD_UP
for number in range(20):
    progress.remember(ADD_UP, Report(f"toy.of_{sys.argv[1]}_{number % 2}", 1.0, 4.0, (Line("runs", False, "x"),)))
"""


def test_notebooks_that_write_at_once_lose_nothing() -> None:
    here = Path(__file__).parent
    writers = [subprocess.Popen([sys.executable, "-c", MANY, name], cwd=here) for name in "abc"]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    known, complaint = progress.read()
    assert complaint == ""
    assert {id: entry["tries"] for id, entry in known.items()} == {
        f"toy.of_{name}_{number}": 10 for name in "abc" for number in (0, 1)
    }


def test_a_lock_that_was_left_behind_is_taken_away(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FORGOTTEN", -1.0)
    home.mkdir()
    lock = home / "progress.json.lock"
    lock.touch()
    assert not check("toy.add_up", right).notes
    assert not lock.exists()


def test_a_lock_that_is_held_is_waited_for_but_not_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    home.mkdir()
    lock = home / "progress.json.lock"
    lock.touch()
    check("toy.add_up", right)
    assert progress.tried("toy.add_up")["tries"] == 1
    assert lock.exists()  # it is another one's


def test_the_command_shows_all_exercises(capsys: pytest.CaptureFixture[str]) -> None:
    id = "tokenization.count_pairs"
    half = Report(id, 1.5, 2.0, (Line("runs", True), Line("values", False)))
    progress.remember(EXERCISES[id], half)
    progress.remember(EXERCISES["tokenization.encode"], replace(half, id="tokenization.encode", points=4.0,
                                                                lines=(Line("runs", True),)))  # fmt: skip
    assert cli.show_progress() == 0
    shown = capsys.readouterr().out
    lessons = {exercise.lesson for exercise in EXERCISES.values()}  # each named beside its first exercise
    rows = {
        next(word for word in line.split() if word not in lessons): line for line in shown.split("\n") if "★" in line
    }
    assert rows.keys() == {exercise.name for exercise in EXERCISES.values()}
    assert "tried" in rows["count_pairs"]
    assert "1.5 of 2" in rows["count_pairs"]
    assert "✓ passed" in rows["encode"]
    assert "–" in rows["decode"]
    assert f"5.5 of {sum(exercise.points for exercise in EXERCISES.values())} points" in shown


def test_the_solution_is_shown_after_a_try_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.show_solution("tokenization.merge_pair") == 1
    assert "Try it first" in (said := capsys.readouterr().out)
    assert "merged" not in said
    report = Report("tokenization.merge_pair", 0.0, 3.0, (Line("runs", False),))
    progress.remember(EXERCISES["tokenization.merge_pair"], replace(report, unfinished=True))
    assert cli.show_solution("tokenization.merge_pair") == 1  # a stub is no try
    capsys.readouterr()
    progress.remember(EXERCISES["tokenization.merge_pair"], report)
    assert cli.show_solution("tokenization.merge_pair") == 0
    assert "def merge_pair(word: Sequence[str], pair: Pair) -> list[str]:" in capsys.readouterr().out
    with pytest.raises(InvalidValue, match=r"tokenization\.merge_pair"):
        cli.show_solution("tokenization.merge_pairs")


def test_the_file_can_be_read_by_a_person(home: Path) -> None:
    check("toy.add_up", multiplies)
    text = (home / "progress.json").read_text(encoding="utf-8")
    assert json.loads(text)["toy.add_up"]["passed"] is False
    assert text.count("\n") > 5

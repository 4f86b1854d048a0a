"""What a class did, from its records: no student is named but where it says so.

A record is what `minidalle grade` keeps of a submission. It is read again before each use; what cannot be read is
listed as ungraded, never dropped.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minidalle.course.checking.report import Report
from minidalle.errors import require

NO_RECORD = "it was not graded, or grading it failed: minidalle grade says why"


@dataclass(frozen=True)
class Graded:
    """A submission as it was graded.

    Attributes:
        student: the id.
        reports: of its exercises, by id; those without a verdict are not in it.
        reasons: why there is no verdict: an exercise's id → the reason; "" → why nothing could be read.
        notes: what was put right in the notebook.
        seconds: that grading took.
        unsafe: whether it was graded without a sandbox.
    """

    student: str
    reports: Mapping[str, Report]
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    unsafe: bool = False

    @property
    def points(self) -> float:
        """All that was earned."""
        return sum(report.points for report in self.reports.values())


@dataclass(frozen=True)
class Mistake:
    """A known mistake, what to do instead, and how many students make it."""

    name: str
    advice: str
    students: int


@dataclass(frozen=True)
class ExerciseSummary:
    """What the class did in one exercise, in numbers of students.

    Attributes:
        id: the exercise's.
        out_of: its points.
        graded: all that follow together.
        passed: right.
        partly: wrong, but not without points.
        wrong: without points.
        blank: as it was released.
        ungraded: without a verdict; not in `graded`.
        points: on average, of those graded.
        mistakes: the known ones, the most frequent first.
        unnamed: not right, not blank, and no known mistake.
    """

    id: str
    out_of: float
    graded: int
    passed: int
    partly: int
    wrong: int
    blank: int
    ungraded: int
    points: float
    mistakes: tuple[Mistake, ...]
    unnamed: int

    @property
    def name(self) -> str:
        """The function's name."""
        return self.id.rpartition(".")[2]

    @property
    def pass_rate(self) -> float:
        """Of those graded, the share that passed; nan where nobody was."""
        return self.passed / self.graded if self.graded else float("nan")


@dataclass(frozen=True)
class ClassSummary:
    """What a class did in one lesson; no student is named.

    Attributes:
        lesson: the folder's name.
        students: how many handed something in.
        out_of: the points of all checks.
        exercises: in the lesson's order.
        totals: the points of each who was graded throughout, from few to many.
        seconds: that grading took, for each.
        ungraded: how many lack a verdict somewhere.
        reasons: why, and how many students.
        repaired: how many notebooks had something put right.
        unsafe: how many were graded without a sandbox.
    """

    lesson: str
    students: int
    out_of: float
    exercises: tuple[ExerciseSummary, ...]
    totals: tuple[float, ...]
    seconds: tuple[float, ...]
    ungraded: int
    reasons: tuple[tuple[str, int], ...]
    repaired: int
    unsafe: int

    def as_plain(self) -> dict[str, Any]:
        """The summary as JSON."""
        return asdict(self)


def read_class(folder: Path, students: Iterable[str] = ()) -> list[Graded]:
    """The records of one lesson, by student.

    Args:
        folder: `grading/records/LESSON`, with a JSON file for each student.
        students: who handed something in. Who has no record is ungraded.

    Raises:
        InvalidValue: there is no record.
    """
    paths = {path.stem: path for path in folder.glob("*.json")}
    require(bool(paths), "records", str(folder), "a folder with records: minidalle grade makes them")
    names = sorted({*paths, *students})
    return [_read(paths[name]) if name in paths else Graded(name, {}, {"": NO_RECORD}) for name in names]


def _read(path: Path) -> Graded:
    try:
        record = json.loads(path.read_bytes())
        verdicts = [(Report.from_plain(one["report"]), str(one["ungraded"])) for one in record["verdicts"]]
        whole = {"": str(record["ungraded"])} if record["ungraded"] else {}
        return Graded(
            str(record["student"]),
            {report.id: report for report, why in verdicts if not why},
            whole | {report.id: why for report, why in verdicts if why},
            tuple(map(str, record["notes"])),
            float(record["seconds"]),
            bool(record["unsafe"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Graded(
            path.stem, {}, {"": f"its record cannot be read: {type(error).__name__}; minidalle grade --force"}
        )


def summarize(lesson: str, graded: Sequence[Graded]) -> ClassSummary:
    """Count what a class did."""
    ids = dict.fromkeys(id for one in graded for id in (*one.reports, *filter(None, one.reasons)))
    order = max((list(one.reports) for one in graded), key=len, default=[])  # a record has the lesson's order
    exercises = [_exercise(id, graded) for id in (*order, *(id for id in ids if id not in order))]
    reasons = Counter(why for one in graded for why in set(one.reasons.values()))
    return ClassSummary(
        lesson=lesson,
        students=len(graded),
        out_of=sum(one.out_of for one in exercises),
        exercises=tuple(exercises),
        totals=tuple(sorted(one.points for one in graded if not one.reasons)),
        seconds=tuple(sorted(one.seconds for one in graded if one.reports)),
        ungraded=sum(bool(one.reasons) for one in graded),
        reasons=tuple(reasons.most_common()),
        repaired=sum(bool(one.notes) for one in graded),
        unsafe=sum(one.unsafe for one in graded),
    )


def _exercise(id: str, graded: Iterable[Graded]) -> ExerciseSummary:
    graded = list(graded)
    reports = [one.reports[id] for one in graded if id in one.reports]
    tried = [report for report in reports if not report.passed and not report.unfinished]
    blank = sum(report.unfinished for report in reports)
    partly = sum(report.points > 0 for report in tried)
    return ExerciseSummary(
        id=id,
        out_of=max((report.out_of for report in reports), default=0.0),
        graded=len(reports),
        passed=len(reports) - len(tried) - blank,
        partly=partly,
        wrong=len(tried) - partly,
        blank=blank,
        ungraded=sum(id in one.reasons or "" in one.reasons for one in graded),
        points=sum(report.points for report in reports) / max(1, len(reports)),
        mistakes=_mistakes(reports),
        unnamed=sum(not report.looks_like for report in tried),
    )


def _mistakes(reports: Iterable[Report]) -> tuple[Mistake, ...]:
    """The known mistakes, the most frequent first. Who makes one of two that look alike counts for both."""
    students: dict[str, int] = defaultdict(int)
    advice: dict[str, str] = {}
    for report in reports:
        for name, words in report.looks_like:
            students[name] += 1
            advice[name] = words
    frequent = sorted(students, key=lambda name: (-students[name], name))
    return tuple(Mistake(name, advice[name], students[name]) for name in frequent)

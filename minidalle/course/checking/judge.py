"""Observations of a student's function → a report: line by line, and the mistake that it makes by name."""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

from minidalle.course.checking.compare import difference, same
from minidalle.course.checking.faults import in_words, is_of_a_device
from minidalle.course.checking.findings import Failing
from minidalle.course.checking.judged_lines import WEIGHTS, judged_lines, right, same_values
from minidalle.course.checking.kinds import Kind, union
from minidalle.course.checking.limits import TimeUp
from minidalle.course.checking.observe import Observation, observe
from minidalle.course.checking.report import Report
from minidalle.course.checking.shown import cut, short
from minidalle.exercises.exercise import Case, Exercise, Function, mistake

SHAPES_DIFFER = ("IndexError", "RuntimeError", "ValueError")
"""What PyTorch raises where shapes do not fit: which of them depends on how it is written, and not on the mistake."""


class DeviceFailed(RuntimeError):
    """A GPU does not compute what the CPU does; says what its driver said."""


@lru_cache(maxsize=256)
def expected(exercise: Exercise, seed: int, device: str = "cpu") -> tuple[Observation, ...]:
    """What the reference does on the cases of a seed.

    Raises:
        DeviceFailed: see there; no answer is measured by it.
    """
    return _known(exercise.reference, exercise, seed, device)


@lru_cache(maxsize=256)
def mistaken(exercise: Exercise, seed: int, device: str = "cpu") -> tuple[tuple[Observation, ...], ...]:
    """What each of the wrong answers does on the cases of a seed; see `expected`."""
    return tuple(_known(answer, exercise, seed, device) for answer in exercise.wrong)


def _known(answer: Function, exercise: Exercise, seed: int, device: str) -> tuple[Observation, ...]:
    seen = tuple(observe(answer, exercise.probe, exercise.cases(seed), None, device))
    for error in (one.error for one in seen):
        if device != "cpu" and error and is_of_a_device(error):
            raise DeviceFailed(f"{device} fails: {in_words(error)}")
    return seen


def judge(
    exercise: Exercise,
    own: Sequence[Observation],
    parameters: Sequence[str] | None,
    points: float | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> Report:
    """Judge what was observed of a student's function.

    Args:
        exercise: the exercise.
        own: one observation for each case of `exercise.cases(seed)`.
        parameters: of the student's function, as `observe.parameters` gives them; None where nobody can tell.
        points: what a right answer earns; by default the exercise's.
        seed: of the cases.
        device: where the cases' tensors were; the reference is called there, too.

    Returns:
        The report: full points where every line is right, part of them by line otherwise, in quarters; at most a
        third where no case's value is right, and none where the function never runs, returns another type, or is
        still a stub.
    """
    out_of = float(exercise.points if points is None else points)
    if any(one.error and one.error["unwritten"] for one in own):
        return Report(exercise.id, 0.0, out_of, unfinished=True)
    true = expected(exercise, seed, device)
    lines = judged_lines(exercise, own, true, parameters)
    report = Report(exercise.id, out_of, out_of, lines, notes=tuple(_prints(own)))
    if report.passed:
        return report
    whole = sum(WEIGHTS[line.name] for line in lines)  # 0 where it never ran, and has no parameters that are known
    earned = sum(WEIGHTS[line.name] for line in lines if line.ok) / (whole or 1.0)
    some_right = any(same_values(one, other, exercise.tolerance) for one, other in zip(own, true, strict=True))
    judged_whole = any(line.name == "values" for line in lines)  # else it never ran, or returned another type
    return replace(
        report,
        points=_part(out_of, earned, some_right) if judged_whole else 0.0,
        looks_like=tuple(_looks_like(exercise, own, seed, device)),
        failing=_failing(exercise, own, true, seed),
    )


def _part(out_of: float, share: float, some_right: bool) -> float:
    """A part of the points, in quarters: never all of them, and at most a third where no case's value is right."""
    most = out_of - 0.25 if some_right else math.floor(4 * out_of / 3) / 4
    return max(0.0, min(round(4 * out_of * share) / 4, most))


def _looks_like(exercise: Exercise, own: Sequence[Observation], seed: int, device: str) -> Iterator[tuple[str, str]]:
    """Wrong answers that do the same on every case. At least one case must run: all that never run look alike."""
    if all(one.error for one in own):
        return
    with suppress(DeviceFailed):  # as it does in a notebook after a wrong index: the report has no name then
        for answer, seen in zip(exercise.wrong, mistaken(exercise, seed, device), strict=True):
            if all(_alike(one, other, exercise.tolerance) for one, other in zip(own, seen, strict=True)):
                yield mistake(answer)


def _alike(one: Observation, other: Observation, tolerance: float) -> bool:
    if one.error or other.error:
        errors = [seen.error and (_family(seen.error["type"]), seen.error["inside"]) for seen in (one, other)]
        return errors[0] == errors[1]
    kinds = _bare(one.kinds) == _bare(other.kinds)
    return kinds and one.changed == other.changed and same(one.result, other.result, tolerance)


def _family(error: str) -> str:
    return SHAPES_DIFFER[0] if error in SHAPES_DIFFER else error


def _bare(kinds: Sequence[Kind]) -> list[Kind]:
    """Kinds without whether a tensor is part of a graph, or a number is whole: where that matters, results tell."""
    inside = ("keys", "values", "items")
    found: dict[str, Kind] = {}  # by their text, for there may be many
    for one in kinds:
        bare = {key: _bare(value) if key in inside else value for key, value in one.items() if key != "grad"}
        bare["type"] = "float" if bare["type"] == "int" else bare["type"]
        found.setdefault(repr(sorted(bare.items())), bare)
    return [*found.values()]


def _failing(exercise: Exercise, own: Sequence[Observation], true: Sequence[Observation], seed: int) -> Failing | None:
    """The first case that goes wrong; cases go from small to large."""
    allowed = union(kind for other in true for kind in other.kinds)
    for one, other, case in zip(own, true, exercise.cases(seed), strict=True):
        if not right(one, other, allowed, exercise.tolerance):
            return _shown(one, other, case, exercise.tolerance)
    return None


def _shown(one: Observation, other: Observation, case: Case, tolerance: float) -> Failing:
    """As the function saw it, where the probe called it once; else as the probe did."""
    once = one.calls == other.calls == 1
    given = tuple(other.arguments) if once else tuple(f"{name} = {short(value)}" for name, value in case.items())
    yours = one.returned if once else short(one.result)
    theirs = other.returned if once else short(other.result)
    if one.error and one.error["inside"]:
        stopped = "it did not end" if one.error["type"] == TimeUp.__name__ else one.error["type"]  # `runs` says more
        return Failing(given, stopped, in_words(other.error) if other.error else theirs)
    unclear = yours == theirs or "…" in yours or "tensor" in yours
    words = difference(one.result, other.result, tolerance) if unclear and not one.error else None
    if words is None and set(one.changed) - set(other.changed):
        words = "none in what is returned, but an input was changed"
    return Failing(given, yours, in_words(other.error) if other.error else theirs, words or "")


def _prints(own: Sequence[Observation]) -> Iterator[str]:
    printed = [one for one in own if one.printed]
    if printed:
        begins = cut(" ".join(printed[0].print_begins.split()), 80)
        count = sum(one.printed for one in printed)
        yield f"It printed {count:,} characters while it was checked, and they begin: {begins}"

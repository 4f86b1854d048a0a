"""Answers work where their tensors are: references, right answers and mistakes do on a GPU what they do here.

Without a GPU, tensors that pretend to be on one show what would be mixed up there.
"""

from collections.abc import Iterator

import pytest
import torch
from pretended_gpu import pretended_gpu
from torch import Tensor

from minidalle.course.checking.answer import examine
from minidalle.course.checking.compare import difference
from minidalle.course.checking.judge import expected, judge, mistaken
from minidalle.course.checking.observe import Observation
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES, Exercise
from minidalle.exercises.exercise import mistake

DEVICES = ("pretended", pytest.param("cuda", marks=pytest.mark.gpu))
ON_A_GPU = pytest.mark.usefixtures("somewhere_else")


@pytest.fixture(params=DEVICES)
def somewhere_else(request: pytest.FixtureRequest) -> Iterator[None]:
    """The device "cuda", real or not; what was observed on the one is forgotten before the other."""
    if request.param == "cuda":
        request.getfixturevalue("cuda")
    for observed in (expected, mistaken):
        observed.cache_clear()
    if request.param == "cuda":
        yield
    else:
        with pretended_gpu():
            yield
    for observed in (expected, mistaken):
        observed.cache_clear()


def unlike(here: tuple[Observation, ...], there: tuple[Observation, ...], tolerance: float) -> list[str]:
    """Where an answer does something else on a GPU."""
    found = []
    for case, (one, other) in enumerate(zip(here, there, strict=True)):
        errors = [seen.error and seen.error["type"] for seen in (one, other)]
        if errors[0] != errors[1]:
            found.append(f"case {case}: {one.error} here, {other.error} there")
        elif words := difference(other.result, one.result, tolerance):
            found.append(f"case {case}: {words}")
    return found


@ON_A_GPU
@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())
def test_verdicts_are_the_same_on_a_gpu(exercise: Exercise) -> None:
    """Numbers are within the exercise's tolerance of the CPU's, so that what is told apart here is told apart there."""
    assert not unlike(expected(exercise, 0), expected(exercise, 0, "cuda"), exercise.tolerance)
    for answer in exercise.also_right:
        report = examine(exercise, answer, exercises=EXERCISES, device="cuda")
        assert report.passed, f"{answer.__name__}\n{report}"
    both = zip(exercise.wrong, mistaken(exercise, 0), mistaken(exercise, 0, "cuda"), strict=True)
    for answer, here, there in both:  # their numbers may be huge, and then differ by more than right ones may
        report = judge(exercise, there, None, device="cuda")
        assert not report.passed, answer.__name__
        assert report.looks_like == judge(exercise, here, None).looks_like, answer.__name__
        never = [line.ok for line in report.lines if line.name in ("runs", "type")] == [False]
        assert report.looks_like == (mistake(answer),) or never, f"\n{report}"


@ON_A_GPU
def test_an_answer_that_stays_on_the_cpu_is_told() -> None:
    def rerank(similarity: Tensor, keep: int) -> Tensor:
        rows = similarity.tolist()
        return torch.tensor([sorted(range(len(row)), key=lambda place: -row[place])[:keep] for row in rows])

    exercise = EXERCISES["generation.rerank"]
    assert examine(exercise, rerank).passed
    (line,) = [line for line in examine(exercise, rerank, device="cuda").lines if not line.ok]
    assert (line.name, line.detail) == ("device", "cpu, expected cuda")


@ON_A_GPU
def test_an_answer_that_mixes_devices_is_told() -> None:
    def padding_mask(mask: Tensor) -> Tensor:
        return (mask.long() + torch.zeros(mask.shape[1]) > 0)[:, None, None, :]

    exercise = EXERCISES["bart.padding_mask"]
    assert examine(exercise, padding_mask).passed
    report = examine(exercise, padding_mask, device="cuda")
    assert "same device" in str(report)
    assert report.points == 0


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidValue, match="device"):
        examine(EXERCISES["bart.padding_mask"], lambda mask: mask, device="cuda:99")

"""Lesson 02: its plan, its examples, and what its cases promise."""

import inspect

import pytest
import torch
from exercise_calls import SEEDS, distance, outcome

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES, Case
from minidalle.exercises.exercise import Function

LESSON = [exercise for exercise in EXERCISES.values() if exercise.lesson == "vqgan"]


def test_the_plan() -> None:
    order = ["psnr", "residual_block", "nearest_code", "straight_through", "quantizer_loss", "ema_update"]
    order += ["codebook_usage", "restart_dead_codes", "gradient_loss", "hinge_loss", "adaptive_weight"]
    assert [exercise.name for exercise in LESSON] == order
    assert 150 <= sum(exercise.minutes for exercise in LESSON) <= 180
    assert all(exercise.minutes == 5 * exercise.points for exercise in LESSON)


def numbers(*values: float | list[float] | list[list[float]]) -> list[torch.Tensor]:
    return [torch.tensor(value) for value in values]


QUANTIZER: dict[str, tuple[Case, object, str]] = {
    "nearest_code": (
        dict(zip(("latents", "codebook"), numbers([[0.0, 2.0], [4.0, 5.0]], [[0.0, 1.0], [3.0, 3.0]]), strict=True)),
        torch.tensor([0, 1]),
        "[[0.0, 2.0], [4.0, 5.0]], [[0.0, 1.0], [3.0, 3.0]] → [0, 1]",
    ),
    "straight_through": (
        dict(zip(("latents", "quantized", "slope"), numbers([1.0], [3.0], [0.5]), strict=True)),
        {
            "value": torch.tensor([3.0]),
            "gradients": {"latents": torch.tensor([0.5]), "quantized": torch.tensor([0.0])},
        },
        "[1.0], [3.0] → [3.0]; a gradient of 0.5 that comes back is 0.5 for `latents` and 0 for `quantized`",
    ),
    "quantizer_loss": (
        {"latents": torch.tensor([1.0, 2.0]), "quantized": torch.tensor([1.0, 4.0]), "beta": 0.25},
        {
            "loss": torch.tensor(2.5),
            "gradients": {"latents": torch.tensor([0.0, -0.5]), "quantized": torch.tensor([0.0, 2.0])},
        },
        "[1.0, 2.0], [1.0, 4.0], 0.25 → 2 + 0.25 · 2 = 2.5",
    ),
    "ema_update": (
        {
            **dict(zip(("counts", "sums"), numbers([1.0, 2.0], [[2.0], [6.0]]), strict=True)),
            **dict(zip(("batch_counts", "batch_sums"), numbers([3.0, 0.0], [[12.0], [0.0]]), strict=True)),
            "decay": 0.5,
            "epsilon": 0.5,
        },
        {
            **dict(zip(("counts", "sums"), numbers([2.0, 1.0], [[7.0], [3.0]]), strict=True)),
            "codebook": torch.tensor([[56 / 15], [8 / 3]]),
        },
        "[1.0, 2.0], [[2.0], [6.0]], [3.0, 0.0], [[12.0], [0.0]], 0.5, 0.5 → counts [2.0, 1.0], sums [[7.0], [3.0]], "
        "codebook [[3.73], [2.67]]",
    ),
    "codebook_usage": (
        {"counts": torch.tensor([2, 1, 0, 1])},
        {"used": 3, "perplexity": 2**1.5},
        "[2, 1, 0, 1] → (3, 2.83)",
    ),
    "restart_dead_codes": (
        {
            **dict(zip(("codebook", "counts"), numbers([[1.0], [2.0]], [5.0, 0.0]), strict=True)),
            "candidates": torch.tensor([[7.0], [8.0]]),
            "threshold": 1.0,
            "order": torch.tensor([1, 0]),
        },
        {"codebook": torch.tensor([[1.0], [8.0]]), "restarted": torch.tensor([False, True])},
        "[[1.0], [2.0]], [5.0, 0.0], [[7.0], [8.0]], 1.0, [1, 0] → codebook [[1.0], [8.0]], restarted [False, True]",
    ),
}
"""Function → a case, what comes of it, and how the docstring writes both."""


@pytest.mark.parametrize("name", QUANTIZER)
def test_examples_of_the_quantizer_are_true(name: str) -> None:
    exercise = EXERCISES[f"vqgan.{name}"]
    case, result, text = QUANTIZER[name]
    assert text in " ".join((inspect.getdoc(exercise.reference) or "").split())
    assert distance(outcome(exercise, exercise.reference, case).result, result) < 1e-6


def test_no_rounding_decides_the_nearest_code() -> None:
    """On every device, also where products are rounded to the ten bits of TF32; one case is a tie, and that exact."""
    for seed in SEEDS:
        ties = 0
        for case in EXERCISES["vqgan.nearest_code"].cases(seed):
            latents, codebook = case["latents"], case["codebook"]
            assert isinstance(latents, torch.Tensor)
            assert isinstance(codebook, torch.Tensor)
            assert max(latents.abs().max(), codebook.abs().max()) < 2**10
            assert torch.equal(latents, latents.round())
            squares = (latents.unsqueeze(-2) - codebook).square().sum(dim=-1).sort(dim=-1).values
            gap = (squares[..., 1] - squares[..., 0]).min()
            assert gap >= 4 or gap == 0
            ties += int(gap == 0)
        assert ties == 1


def writes_through_the_mask(codebook, counts, candidates, threshold, order):  # type: ignore[no-untyped-def]
    moved, dead = codebook.clone(), counts < threshold
    moved[dead] = candidates[order[: int(dead.sum())]]
    return moved, dead


def copies_by_index(codebook, counts, candidates, threshold, order):  # type: ignore[no-untyped-def]
    dead = torch.where(counts < threshold)[0]
    return codebook.index_copy(0, dead, candidates[order[: len(dead)]]), counts < threshold


def goes_through_the_dead(codebook, counts, candidates, threshold, order):  # type: ignore[no-untyped-def]
    moved, dead = codebook.clone(), counts < threshold
    for i, k in enumerate(dead.nonzero()[:, 0]):
        moved[k] = candidates[order[i]]
    return moved, dead


@pytest.mark.parametrize("answer", [writes_through_the_mask, copies_by_index, goes_through_the_dead])
def test_too_many_dead_codes_are_named_whatever_the_error(answer: Function) -> None:
    report = examine(EXERCISES["vqgan.restart_dead_codes"], answer)
    assert [name for name, _ in report.looks_like] == ["restarts more codes than there are candidates"]


def test_a_loss_for_each_latent_is_told_that_it_has_no_gradients() -> None:
    exercise = EXERCISES["vqgan.quantizer_loss"]
    (answer,) = [one for one in exercise.wrong if one.__name__ == "returns_a_loss_for_each_latent"]
    (line,) = [line for line in examine(exercise, answer).lines if line.name == "gradients"]
    assert line.detail == "none, as the loss is not a single number"


def test_a_wrong_weight_earns_at_most_half() -> None:
    """That no gradient flows back is easily right, and no half of this answer."""
    exercise = EXERCISES["vqgan.adaptive_weight"]
    lines = {answer.__name__: examine(exercise, answer) for answer in exercise.wrong}
    assert lines["adds_up_absolute_values"].points == 1.5
    assert lines["forgets_to_detach"].points == 2.5
    assert {line.name for line in lines["forgets_to_detach"].lines if not line.ok} == {"detached"}

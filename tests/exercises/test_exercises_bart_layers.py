"""Lesson 03, loss, schedule and layers: the docstrings' examples, and references against other people's code."""

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, distance, outcome
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from minidalle.bart import sequence_loss
from minidalle.exercises import EXERCISES
from minidalle.training.schedule import warmup_schedule


def documented(text: str, function: object) -> bool:
    return text in " ".join((inspect.getdoc(function) or "").split())


def test_the_example_of_the_loss_is_true() -> None:
    assert documented("[[[2.0, 2.0], [0.0, 1.0986]]], [[0, 1]] → 0.490", sequence_loss)
    logits, targets = torch.tensor([[[2.0, 2.0], [0.0, 1.0986]]]), torch.tensor([[0, 1]])
    assert sequence_loss(logits, targets).item() == pytest.approx(0.490, abs=5e-4)
    torch.testing.assert_close(logits.softmax(-1), torch.tensor([[[0.5, 0.5], [0.25, 0.75]]]), atol=1e-4, rtol=0)


def test_the_loss_is_torch_s() -> None:
    """Where padding's targets are ones that `cross_entropy` ignores."""
    exercise = EXERCISES["bart.sequence_loss"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            given: dict[str, Any] = dict(case)
            logits, targets, mask = given["logits"].clone().requires_grad_(), given["targets"], given["mask"]
            heard = targets if mask is None else targets.masked_fill(~mask, -100)
            loss = F.cross_entropy(logits.transpose(1, 2), heard)
            (gradient,) = torch.autograd.grad(loss, logits)
            expected = {"loss": loss.detach(), "gradients": {"logits": gradient}}
            assert distance(outcome(exercise, sequence_loss, case).result, expected) < 1e-4


def test_the_examples_of_the_schedule_are_true() -> None:
    assert documented("2 to warm up → 0.5, 1.0, 1.0, 0.75, 0.5, 0.25; with hold = 0.5 → 0.5,", warmup_schedule)
    assert [warmup_schedule(step, 6, 2) for step in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    held = [warmup_schedule(step, 6, 2, 0.5) for step in range(6)]
    assert held == pytest.approx([0.5, 1.0, 1.0, 1.0, 2 / 3, 1 / 3])


def theirs(steps: int, flat: int, decay: str) -> list[float]:
    """What Hugging Face's schedules do after a warm-up of `flat` steps; theirs begins at 0."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    make = get_cosine_schedule_with_warmup if decay == "cosine" else get_linear_schedule_with_warmup
    schedule = make(optimizer, flat, steps)
    shares = []
    for _ in range(steps):
        shares += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    return shares[flat:]


def test_the_schedule_is_hugging_faces_after_the_peak() -> None:
    exercise = EXERCISES["bart.warmup_schedule"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            given: dict[str, Any] = dict(case)
            steps, warmup = given["steps"], given["warmup"]
            flat = max(warmup, round(given["hold"] * steps))
            expected = [1 / warmup * step for step in range(1, warmup + 1)] + [1.0] * (flat - warmup)
            expected += theirs(steps, flat, given["decay"])
            assert outcome(exercise, warmup_schedule, case).result == pytest.approx(expected)

"""Lesson 03, loss, schedule and layers: the docstrings' examples, and references against other people's code."""

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, distance, outcome

from minidalle.bart import sequence_loss
from minidalle.exercises import EXERCISES


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

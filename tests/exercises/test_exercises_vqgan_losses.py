"""Lesson 02, losses and blocks: the docstrings' examples, and a block on a GPU whose convolutions round."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, apart, outcomes
from torch import Tensor

from minidalle.exercises import EXERCISES
from minidalle.vqgan.blocks import residual_block

EXAMPLES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "psnr": (([[[[0.6]]]], [[[[0.5]]]]), [20.0], "[[[[0.6]]]], [[[[0.5]]]] → [20.0]"),
    "gradient_loss": (
        ([[[[0.0, 1.0], [2.0, 3.0]]]], [[[[0.0, 0.0], [0.0, 0.0]]]], 1),
        3.0,
        "[[[[0.0, 1.0], [2.0, 3.0]]]], [[[[0.0, 0.0], [0.0, 0.0]]]], 1 → 1 + 2 = 3.0",
    ),
    "hinge_loss": (([0.5, 3.0], [-2.0, 0.0]), 0.375, "[0.5, 3.0], [-2.0, 0.0] → (0.25 + 0.5) / 2 = 0.375"),
    "adaptive_weight": (([3.0, 4.0], [0.0, 0.5]), 9.998, "[3.0, 4.0], [0.0, 0.5] → 5 / 0.5001 = 9.998"),
}
"""Function → arguments, result, and how its docstring writes both."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_are_true(name: str) -> None:
    reference = EXERCISES[f"vqgan.{name}"].reference
    arguments, result, text = EXAMPLES[name]
    assert text in " ".join((inspect.getdoc(reference) or "").split())
    given = [torch.tensor(argument) if isinstance(argument, list) else argument for argument in arguments]
    torch.testing.assert_close(reference(*given), torch.tensor(result), rtol=0, atol=5e-4)


def test_the_example_of_the_block_is_true() -> None:
    doubling = {"weight": torch.tensor([[[[2.0]]]]), "bias": torch.tensor([0.0])}
    layer = '{"weight": [[[[2.0]]]], "bias": [0.0]}'
    text = f'{{"conv1": {layer}, "conv2": {layer}}}, [[[[1.0]]]] → [[[[3.37]]]]'
    assert text in " ".join((residual_block.__doc__ or "").split())
    output = residual_block({"conv1": doubling, "conv2": doubling}, torch.tensor([[[[1.0]]]]))
    assert output.item() == pytest.approx(3.37, abs=5e-3)


def tf32(x: Tensor) -> Tensor:
    """Rounded to 10 binary digits after the first, as a GPU does to what it convolves unless it is told otherwise."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def rounding(convolution: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The convolution of rounded numbers, forward and backward."""

    def convolve(x: Tensor, weight: Tensor, *others: Any, **named: Any) -> Tensor:
        rounded = (tensor + (tf32(tensor) - tensor).detach() for tensor in (x, weight))
        output = convolution(*rounded, *others, **named)
        output.register_hook(tf32)
        return output

    return convolve


def test_right_blocks_pass_where_convolutions_round(monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = EXERCISES["vqgan.residual_block"]
    for seed in SEEDS:
        cases = list(exercise.cases(seed))
        exact = outcomes(exercise, exercise.reference, cases)
        with monkeypatch.context() as patch:
            patch.setattr(F, "conv2d", rounding(F.conv2d))
            for answer in (exercise.reference, *exercise.also_right):
                error = apart(outcomes(exercise, answer, cases), exact)
                assert 1e-4 < error <= exercise.tolerance / 10, f"{answer.__name__} is {error} away, seed {seed}"

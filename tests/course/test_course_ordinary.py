"""A verdict is the same whatever a notebook has set in torch, and what it has set is there again afterwards."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from minidalle.course.checking.answer import examine
from minidalle.course.checking.judge import expected, mistaken
from minidalle.course.checking.ordinary import ordinary_torch
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import mistake


class DefaultDtype(AbstractContextManager):
    def __enter__(self) -> None:
        torch.set_default_dtype(torch.float64)

    def __exit__(self, *raised: object) -> None:
        torch.set_default_dtype(torch.float32)


SETTINGS: dict[str, Callable[[], AbstractContextManager]] = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "half precision": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another default dtype": DefaultDtype,
    "another default device": lambda: torch.device("meta"),
}
ASKED = ("vqgan.straight_through", "vqgan.nearest_code", "generation.clip_loss", "generalization.token_nll")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("id", ASKED)
def test_verdicts_are_the_same(name: str, id: str) -> None:
    exercise = EXERCISES[id]
    for observed in (expected, mistaken):
        observed.cache_clear()  # else nothing is computed in there
    try:
        with SETTINGS[name]():
            for answer in exercise.also_right[:2]:
                assert examine(exercise, answer).passed, answer.__name__
            within = [examine(exercise, answer) for answer in exercise.wrong]
        for answer, report in zip(exercise.wrong, within, strict=True):
            assert not report.passed, answer.__name__
            assert report.looks_like == examine(exercise, answer).looks_like == (mistake(answer),)
        assert examine(exercise, exercise.also_right[0]).passed  # what was kept of it is not of that setting
    finally:
        for observed in (expected, mistaken):
            observed.cache_clear()


def test_settings_are_kept() -> None:
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    with DefaultDtype(), torch.no_grad(), torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
        with ordinary_torch():
            made = torch.rand(2, requires_grad=True)
            assert (made.dtype, made.device.type) == (torch.float32, "cpu")
            assert (made @ made).requires_grad
            assert (made[None] @ made[:, None]).dtype == torch.float32
            torch.set_default_dtype(torch.float16)
            torch.set_grad_enabled(False)
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float64, False)
        assert torch.zeros(1).device.type == "meta"
        assert torch.is_autocast_enabled("cpu")
    assert torch.is_grad_enabled()
    assert torch.equal(torch.rand(1), drawn)


def test_an_inference_tensor_is_an_ordinary_one_within() -> None:
    def straight_through(latents: Tensor, quantized: Tensor) -> Tensor:
        return latents + (quantized - latents).detach()

    with torch.inference_mode():
        assert examine(EXERCISES["vqgan.straight_through"], straight_through).passed

"""Large pictures go through a model a few at a time, whoever asks: a GPU has room for so many pixels."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import PIXELS, pictures_at_once
from minidalle.data.tokens import tokenize
from minidalle.evaluation.drawing import draw_many, draw_rows
from minidalle.evaluation.reconstruction import reconstruct
from minidalle.presets import PRESETS

CPU, LARGE = torch.device("cpu"), np.zeros((20, 256, 256, 3), np.uint8)
CAPTIONS = ["a word"] * len(LARGE)


class Seen(list[int]):
    """How many pictures a model has seen at a time. It encodes none, and decodes all as black."""

    def encode(self, pictures: Tensor) -> Tensor:
        self.append(len(pictures))
        return torch.zeros(len(pictures), 4, dtype=torch.long)

    def decode(self, tokens: Tensor) -> Tensor:
        self.append(len(tokens))
        return torch.zeros(len(tokens), 3, 256, 256)

    def draw(self, captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
        assert len(captions) == len(seeds)
        return self.decode(torch.zeros(len(captions), 4))


def test_so_many_pictures_or_so_many_pixels() -> None:
    assert [pictures_at_once(side, 256) for side in (16, 32, 64, 128, 256, 4096)] == [256, 256, 256, 64, 16, 1]
    assert pictures_at_once(64, 100) == 100
    assert pictures_at_once(128, 512, PIXELS // 2) == 32
    for preset in (preset for preset in PRESETS.values() if preset.vqgan.image_size <= 64):
        assert pictures_at_once(preset.vqgan.image_size, 256) == 256  # as ever: their figures stay the same


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_tokens_of_large_pictures(seen: Seen) -> None:
    found = tokenize(CAPTIONS, LARGE, lambda captions: (torch.zeros(len(captions), 1),) * 2, seen.encode, CPU)
    assert seen == [16, 4]
    assert found.image.shape == (20, 4)


def test_reconstructions_of_large_pictures(seen: Seen) -> None:
    pipeline = SimpleNamespace(vqgan=seen, device=CPU, decode_image=seen.decode)
    again, tokens = reconstruct(cast(Any, pipeline), LARGE)
    assert seen == [16, 16, 4, 4]
    assert (again.shape, tokens.shape) == (LARGE.shape, (20, 4))


def test_drawings_that_are_large(seen: Seen) -> None:
    pictures = CaptionedPictures(CAPTIONS, LARGE, np.array(["dev"] * 20))
    assert draw_rows(seen.draw, np.arange(20), pictures).shape == LARGE.shape
    assert draw_many(seen.draw, CAPTIONS, range(20), 256).shape == LARGE.shape
    assert seen == [16, 4, 16, 4]

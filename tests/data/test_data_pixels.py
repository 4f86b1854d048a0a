"""Pictures as files and as models have them, and sheets of them, pixel by pixel."""

import numpy as np
import pytest
import torch

from minidalle.data.pixels import pictures_at_once, sheet, to_floats, to_pixels


def test_every_level_comes_back() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_pixels(to_floats(levels)), levels)


def test_pixels_are_rounded_and_clipped() -> None:
    row = torch.tensor([-0.1, 0.4 / 255, 0.6 / 255, 1.1]).expand(1, 3, 1, 4)
    assert to_pixels(row)[0, 0].tolist() == [[level] * 3 for level in (0, 0, 1, 255)]


@pytest.mark.parametrize(("side", "count"), [(16, 100), (256, 16), (512, 4), (4096, 1)])
def test_of_large_pictures_fewer_go_at_once(side: int, count: int) -> None:
    assert pictures_at_once(side, 100) == count


@pytest.mark.parametrize("labels", [(), ("a", "b", "c")])
def test_a_sheet_has_every_picture_at_its_place(labels: tuple[str, ...]) -> None:
    """Three pictures of 4 × 5 pixels, twice as large, in two columns, with gaps of 4 and room for words."""
    pictures = np.random.default_rng(0).integers(0, 200, (3, 4, 5, 3), dtype=np.uint8)
    room = 30 if labels else 0
    page = sheet(pictures, 2, 2, labels)
    assert page.shape == (2 * (8 + 4 + room) + 4, 2 * (10 + 4) + 4, 3)
    drawn = (page < 255).any(-1)
    for i, picture in enumerate(pictures):
        top, left = 4 + i // 2 * (8 + 4 + room), 4 + i % 2 * (10 + 4)
        assert np.array_equal(page[top : top + 8, left : left + 10], picture.repeat(2, 0).repeat(2, 1))
        assert drawn[top + 8 : top + 8 + room, left : left + 10].any() == bool(labels)
        drawn[top : top + 8 + room, left : left + 10] = False
    assert not drawn.any()

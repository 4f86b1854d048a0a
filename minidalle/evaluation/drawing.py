"""Draw many captions, a batch at a time, each row with a seed of its own."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import pictures_at_once, to_pixels
from minidalle.runtime import stream_seed

BATCH = 128  # pictures drawn at a time, at most

Draw = Callable[[Sequence[str], Sequence[int]], Tensor]
"""A way to draw: B captions and B seeds → pictures, float [B, 3, S, S] in [0, 1]."""


def draw_rows(draw: Draw, rows: np.ndarray, pictures: CaptionedPictures, seed: int = 0) -> np.ndarray:
    """Draw the captions of some rows: uint8 [B, S, S, 3]."""
    seeds = [stream_seed(seed, "drawn row", int(row)) for row in rows]
    return draw_many(draw, [pictures.captions[row] for row in rows], seeds, pictures.size)


def draw_many(draw: Draw, captions: Sequence[str], seeds: Sequence[int], side: int = 32) -> np.ndarray:
    """Draw a picture per caption, B of them, 1 or more: uint8 [B, S, S, 3]. Where S is large, say so as the `side`."""
    batch = pictures_at_once(side, BATCH)
    starts = range(0, len(captions), batch)
    return np.concatenate([to_pixels(draw(captions[i : i + batch], seeds[i : i + batch])) for i in starts])

"""A data set as the BART sees it: text tokens, image tokens, and the mean colors of the picture's cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.data.pixels import to_floats


@dataclass(frozen=True)
class TokenizedPictures:
    """Every row of a data set, encoded once.

    text: long [R, T]. text_mask: bool [R, T], True = real token. image: long [R, N].
    colors: float [R, N, 3], each cell's mean RGB in [0, 1].
    """

    text: Tensor
    text_mask: Tensor
    image: Tensor
    colors: Tensor


def tokenize(
    captions: Sequence[str],
    pictures: np.ndarray,
    encode_captions: Callable[[Sequence[str]], tuple[Tensor, Tensor]],
    encode_pictures: Callable[[Tensor], Tensor],
    device: torch.device,
    batch_size: int = 256,
) -> TokenizedPictures:
    """Encode captions and pictures.

    Args:
        captions: R of them.
        pictures: uint8 [R, H, W, 3].
        encode_captions: captions → tokens [B, T] and mask [B, T]; a tokenizer's `encode_batch`.
        encode_pictures: float [B, 3, H, W] → tokens [B, N]; a VQGAN's `encode`.
        device: where the pictures are encoded.
        batch_size: how many at a time.

    Returns:
        The data set, on the CPU.
    """
    text, text_mask = encode_captions(captions)
    image, colors = [], []
    with torch.no_grad():
        for start in range(0, len(pictures), batch_size):
            batch = to_floats(pictures[start : start + batch_size], device)
            image.append(encode_pictures(batch).cpu())
            colors.append(cell_colors(batch, image[-1].shape[1]).cpu())
    return TokenizedPictures(text, text_mask, torch.cat(image), torch.cat(colors))


def cell_colors(pictures: Tensor, cells: int) -> Tensor:
    """The mean color of every cell of a square grid: float [B, 3, H, W] → float [B, cells, 3], row by row."""
    return F.adaptive_avg_pool2d(pictures, round(cells**0.5)).flatten(2).transpose(1, 2)

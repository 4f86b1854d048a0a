"""A data set as the BART sees it: text tokens, image tokens, and the mean colors of the picture's cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.data.pixels import pictures_at_once, to_floats

COLOR = 255  # a pixel's brightest value


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


class TokenColumn(Protocol):
    """One of the four, in memory or on disk: a tensor as far as training looks at it."""

    @property
    def shape(self) -> Sequence[int]:
        """R, and the shape of a row."""

    def __getitem__(self, rows: Any, /) -> Tensor:
        """Some rows: long [B] → [B, …], copied; (long [B], a slice) → the slice of each."""


class TokenRows(Protocol):
    """Tokens by row, in memory or on disk: what training asks of them. The names are those of `TokenizedPictures`."""

    @property
    def text(self) -> TokenColumn:
        """Long [R, T]."""

    @property
    def text_mask(self) -> TokenColumn:
        """Bool [R, T]."""

    @property
    def image(self) -> TokenColumn:
        """Long [R, N]."""

    @property
    def colors(self) -> TokenColumn:
        """Float [R, N, 3]."""


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
        batch_size: how many at a time, at most; of large pictures fewer.

    Returns:
        The data set, on the CPU.
    """
    text, text_mask = encode_captions(captions)
    image, colors = [], []
    batch_size = pictures_at_once(pictures.shape[1], batch_size)
    with torch.no_grad():
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            image.append(encode_pictures(to_floats(batch, device)).cpu())
            cells = image[-1].shape[1]
            colors.append(mean_colors(cell_sums(batch, cells), pictures.shape[1] ** 2 // cells))
    return TokenizedPictures(text, text_mask, torch.cat(image), torch.cat(colors))


def cell_sums(pictures: np.ndarray, cells: int) -> np.ndarray:
    """What the pixels of every cell of a square grid add up to: exact, whatever the batch, the device or the machine.

    Args:
        pictures: uint8 [B, S, S, 3].
        cells: N, whose root divides S.

    Returns:
        int64 [B, N, 3], row by row.
    """
    count, side, grid = len(pictures), pictures.shape[1], round(cells**0.5)
    square = side // grid
    columns = pictures.reshape(count, side, grid, square, 3).sum(3, dtype=np.int64)
    return columns.reshape(count, grid, square, grid, 3).sum(2).reshape(count, cells, 3)


def mean_colors(sums: np.ndarray, pixels: int) -> Tensor:
    """The mean colors of cells, float [B, N, 3] in [0, 1], of their sums [B, N, 3] over so many pixels each."""
    return torch.from_numpy(sums.astype(np.float32)) / (COLOR * pixels)


def cell_colors(pictures: Tensor, cells: int) -> Tensor:
    """The mean color of every cell of a square grid: float [B, 3, H, W] → float [B, cells, 3], row by row."""
    return F.adaptive_avg_pool2d(pictures, round(cells**0.5)).flatten(2).transpose(1, 2)

"""How far pictures are from other pictures, pixel by pixel."""

import numpy as np
import torch
from torch import Tensor

from minidalle.errors import require

PART = 2048  # pictures compared at a time


def pixel_distances(pictures: np.ndarray, others: np.ndarray) -> Tensor:
    """The mean squared error between every picture and every other one.

    It is exact (sums of whole numbers, in float64), so pictures that are equally near are found to be so.

    Args:
        pictures: uint8 [B, S, S, 3].
        others: uint8 [R, S, S, 3]; may be a memory map.

    Returns:
        float64 [B, R], of pixels in [0, 1]: −10 log10 of it is the PSNR in dB.

    Raises:
        InvalidValue: the pictures' sizes differ.
    """
    wanted = f"[B, {', '.join(map(str, others.shape[1:]))}], as the others are"
    require(pictures.shape[1:] == others.shape[1:], "pictures", pictures.shape, wanted)
    here = _flat(pictures)
    total = here.new_zeros(len(pictures), len(others))
    for start in range(0, len(others), PART):
        there = _flat(others[start : start + PART])
        total[:, start : start + PART] = here.square().sum(1)[:, None] - 2 * here @ there.T + there.square().sum(1)
    return total / (255**2 * here.shape[1])


def _flat(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.float64(pictures).reshape(len(pictures), np.prod(pictures.shape[1:])))

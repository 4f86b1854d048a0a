"""What a VQGAN loses: pictures through it and back, beside the real ones."""

import numpy as np
import torch
from torch import Tensor

from minidalle.data.pixels import pictures_at_once, to_floats, to_pixels
from minidalle.evaluation.fidelity import Measures, decibels
from minidalle.pipeline import TextToImage
from minidalle.vqgan.similarity import ssim

BATCH = 128  # pictures at a time, at most


@torch.inference_mode()
def reconstruct(pipeline: TextToImage, real: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Pictures through the VQGAN and back.

    Args:
        pipeline: whose VQGAN is used.
        real: uint8 [B, S, S, 3].

    Returns:
        Pictures, uint8 [B, S, S, 3], and their image tokens, long [B, N], on the CPU.
    """
    again, tokens = [], []
    batch = pictures_at_once(real.shape[1], BATCH)
    for start in range(0, len(real), batch):
        tokens.append(pipeline.vqgan.encode(to_floats(real[start : start + batch], pipeline.device)))
        again.append(to_pixels(pipeline.decode_image(tokens[-1])))
    return np.concatenate(again), torch.cat(tokens).cpu()


def likeness(pictures: np.ndarray, real: np.ndarray) -> Measures:
    """How alike pictures are to the real ones, pixel by pixel.

    Args:
        pictures: uint8 [B, S, S, 3], S at least 11.
        real: uint8 [B, S, S, 3].

    Returns:
        `psnr` in dB, at most 60; `ssim`, 1 for equal pictures; `l1`, the mean absolute error of pixels in [0, 1].
    """
    x, y = to_floats(pictures).contiguous(), to_floats(real).contiguous()
    error = (x - y).flatten(1).double()
    similarity = torch.cat([ssim(a, b) for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True)])
    return {
        "psnr": decibels(error.square().mean(1)).numpy(),
        "ssim": similarity.double().numpy(),
        "l1": error.abs().mean(1).numpy(),
    }


def cell_means(real: np.ndarray, grid: int) -> np.ndarray:
    """Pictures painted with one color per cell of the token grid: as much as a token's place could say without a code.

    Args:
        real: uint8 [B, S, S, 3].
        grid: cells along a side; S is a multiple of it.

    Returns:
        uint8 [B, S, S, 3].
    """
    side = real.shape[1] // grid
    cells = real.reshape(len(real), grid, side, grid, side, 3).mean((2, 4), keepdims=True)
    return np.broadcast_to(cells.round(), (len(real), grid, side, grid, side, 3)).reshape(real.shape).astype(np.uint8)

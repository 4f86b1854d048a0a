"""The draft (ours, optional): a first guess of the whole picture from the caption alone.

A small decoder learns how pictures continue long before it learns to read. The draft gives the caption a
short way to every cell of the picture: the mean of the caption's vectors → a few features per cell → a vector
that is added to the decoder's input there. Two more heads read the same features, for losses that make them
mean something: each cell's mean color, and its token. DALL·E mini has no such path; scene-based models have a
kin of it in their layouts.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from minidalle.bart.primitives import linear
from minidalle.runtime import Weights


class Draft(NamedTuple):
    """A first guess: `cells` [B, N, features], `additions` to the decoder [B, N, D], `colors` [B, N, 3]."""

    cells: Tensor
    additions: Tensor
    colors: Tensor


def caption_vector(memory: Tensor, text_mask: Tensor) -> Tensor:
    """The mean of a caption's real tokens.

    Args:
        memory: [B, T, D], the encoder's output.
        text_mask: bool [B, T], True = real token.

    Returns:
        [B, D].
    """
    real = text_mask.unsqueeze(-1).to(memory.dtype)
    return (memory * real).sum(1) / real.sum(1).clamp(min=1)


def draw_draft(weights: Weights, memory: Tensor, text_mask: Tensor) -> Draft:
    """Guess every cell of the picture from the caption.

    Args:
        weights: the linear layers `cells`, `additions` and `colors`.
        memory: [B, T, D], the encoder's output.
        text_mask: bool [B, T].

    Returns:
        The draft; its colors are meant to be the mean RGB of each cell, in [0, 1], row by row.
    """
    features = linear(weights["cells"], caption_vector(memory, text_mask))
    cells = F.gelu(features.unflatten(-1, (-1, weights["additions"]["weight"].shape[1])))
    return Draft(cells, linear(weights["additions"], cells), linear(weights["colors"], cells))

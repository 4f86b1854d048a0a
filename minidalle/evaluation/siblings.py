"""What a row shows, and which rows differ from it in one thing only."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures

ATTRIBUTES = ("style", "tone", "gender")


def concepts(pictures: CaptionedPictures) -> np.ndarray:
    """What each row shows, as a number, int64 [R]: its role; in data without roles, its caption."""
    return _numbers(pictures.columns["role"] if "role" in pictures.columns else np.array(pictures.captions))


def attributes(pictures: CaptionedPictures) -> dict[str, np.ndarray]:
    """Role, style, tone and gender of each row as numbers, int64 [R] each; nothing if the data lacks one of them."""
    names = ("role", *ATTRIBUTES)
    return {name: _numbers(pictures.columns[name]) for name in names} if set(names) <= pictures.columns.keys() else {}


def siblings(known: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, Tensor]:
    """Which rows differ from some rows in one attribute, and agree in all others.

    Args:
        known: see `attributes`.
        rows: int64 [B].

    Returns:
        Attribute → bool [B, R]; nothing where nothing is known.
    """
    same = {name: torch.from_numpy(numbers[rows][:, None] == numbers) for name, numbers in known.items()}
    return {
        name: ~same[name] & torch.stack([same[other] for other in same if other != name]).all(0)
        for name in ATTRIBUTES
        if same
    }


def _numbers(names: np.ndarray) -> np.ndarray:
    return np.unique(names, return_inverse=True)[1]

"""Does a picture show what its caption says? Asked of pixels alone, so that no model can be flattered."""

import numpy as np
import torch
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import require
from minidalle.evaluation.distances import pixel_distances
from minidalle.evaluation.siblings import attributes, concepts, siblings

SAME = 1e-6  # a mean squared error below this counts as 60 dB: about what rounding to 8 bits costs
BATCH = 256  # pictures compared at a time

Measures = dict[str, np.ndarray]
"""A measure's name → its value for each of B pictures, float64 [B]; NaN where it does not apply."""


def fidelity(shown: np.ndarray, rows: np.ndarray, pictures: CaptionedPictures) -> Measures:
    """Compare pictures that stand for some rows with all real pictures.

    Args:
        shown: uint8 [B, S, S, 3], drawn from the captions of `rows`, or found by other means.
        rows: int64 [B].
        pictures: the data set.

    Returns:
        `base_recall`: 1 if the nearest real picture is one of the right concept; of several that are equally
        near, one is enough. `psnr`: to the row's own real picture, in dB, at most 60. `style_swap`,
        `tone_swap`, `gender_swap`, for data with these columns: 1 if of the real pictures that differ from the
        row's own in nothing but that, none is nearer than the row's own.

    Raises:
        InvalidValue: there are not as many pictures as rows, or they have another size.
    """
    require(len(shown) == len(rows), "shown", f"{len(shown)} pictures", f"one for each of the {len(rows)} rows")
    require(len(rows) > 0, "rows", len(rows), "1 or more")
    concept, known = concepts(pictures), attributes(pictures)
    parts = []
    for start in range(0, len(rows), BATCH):
        own = rows[start : start + BATCH]
        far = pixel_distances(shown[start : start + BATCH], pictures.pictures)
        to_own = far.gather(1, torch.from_numpy(own)[:, None])[:, 0]
        right = torch.from_numpy(concept[own][:, None] == concept)
        swaps = {f"{name}_swap": own_is_nearest(far, to_own, mask) for name, mask in siblings(known, own).items()}
        parts.append({"base_recall": nearest_is_right(far, right), "psnr": decibels(to_own), **swaps})
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def nearest_is_right(far: Tensor, right: Tensor) -> Tensor:
    """Whether the nearest picture, or one of those equally near, is right.

    Args:
        far: distances [B, R].
        right: bool [B, R].

    Returns:
        float64 [B], 1 or 0.
    """
    return ((far == far.amin(1, keepdim=True)) & right).any(1).double()


def own_is_nearest(far: Tensor, to_own: Tensor, others: Tensor) -> Tensor:
    """Whether none of some others is nearer than the row's own picture.

    Args:
        far: distances [B, R].
        to_own: those to the rows' own pictures [B].
        others: bool [B, R], which pictures to compare with.

    Returns:
        float64 [B]: 1, 0, or NaN for a row without others.
    """
    nearest = far.masked_fill(~others, float("inf")).amin(1)
    return (to_own <= nearest).double().masked_fill(~others.any(1), float("nan"))


def decibels(errors: Tensor) -> Tensor:
    """Mean squared errors as PSNR in dB, at most 60."""
    return -10 * errors.clamp(min=SAME).log10()


def swap_chances(rows: np.ndarray, pictures: CaptionedPictures) -> Measures:
    """How often a blind guess passes each swap: 1 in the number of siblings and the row itself; NaN without any."""
    return {
        f"{name}_swap": (1 / (1 + mask.sum(1).double())).masked_fill(~mask.any(1), float("nan")).numpy()
        for name, mask in siblings(attributes(pictures), rows).items()
    }

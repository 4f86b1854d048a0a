"""How good a trained pipeline is, split by split: what the VQGAN loses, and how well the BART predicts what is left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import to_floats
from minidalle.data.tokens import tokenize
from minidalle.pipeline import TextToImage
from minidalle.runtime import numpy_generator
from minidalle.training.bart import row_nats
from minidalle.vqgan.losses import psnr

HELD_OUT = ("dev", "iid", "cell", "tone", "combo", "concept")


@dataclass(frozen=True)
class SplitScores:
    """A split's means over rows, with the standard error of the mean over rows.

    psnr: decibels of the reconstruction. nats: of the BART per image token; also of the rows whose captions name a
    skin tone and of those whose captions do not, None where there are none.
    """

    split: str
    rows: int
    psnr: float
    psnr_error: float
    nats: float
    nats_error: float
    nats_toned: float | None
    nats_plain: float | None


def score_splits(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    splits: Sequence[str] = ("train", *HELD_OUT),
    most: int = 800,
) -> list[SplitScores]:
    """Measure the splits that the data set has, each on the same rows every time.

    Args:
        pipeline: a trained one.
        pictures: the data set, at the pipeline's picture size.
        splits: which; those that the data set does not have are left out.
        most: a larger split is measured on this many of its rows, drawn once and for all.
    """
    known = set(pictures.splits.tolist())
    return [_score(pipeline, pictures, split, some_rows(pictures, split, most)) for split in splits if split in known]


def some_rows(pictures: CaptionedPictures, split: str, most: int) -> np.ndarray:
    """At most `most` rows of a split, drawn without looking, the same ones every time; in the order of the draw."""
    rows = pictures.rows(split)
    return rows[numpy_generator(0, "rows of", split).permutation(len(rows))[:most]]


def _score(pipeline: TextToImage, pictures: CaptionedPictures, split: str, rows: np.ndarray) -> SplitScores:
    captions, pixels, device = (
        [pictures.captions[row] for row in rows],
        pictures.pictures[rows],
        pipeline.device,
    )
    tokens = tokenize(captions, pixels, pipeline.tokenizer.encode_batch, pipeline.vqgan.encode, device)
    nats = row_nats(pipeline.bart, tokens, np.arange(len(rows))) / tokens.image.shape[1]
    parts = zip(tokens.image.split(128), np.split(pixels, range(128, len(rows), 128)), strict=True)
    decibels = torch.cat(
        [psnr(pipeline.decode_image(image.to(device)), to_floats(part, device)).cpu() for image, part in parts]
    ).clamp(max=100)
    toned = torch.from_numpy(pictures.toned[rows])
    return SplitScores(
        split=split, rows=len(rows),
        psnr=decibels.mean().item(), psnr_error=_standard_error(decibels),
        nats=nats.mean().item(), nats_error=_standard_error(nats),
        nats_toned=_mean(nats[toned]), nats_plain=_mean(nats[~toned]),
    )  # fmt: skip


def _mean(values: torch.Tensor) -> float | None:
    return values.mean().item() if len(values) else None


def _standard_error(values: torch.Tensor) -> float:
    return (values.std() / len(values) ** 0.5).item() if len(values) > 1 else 0.0

"""The short evaluation that ends every run: a few figures for each split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minidalle.data.pictures import CaptionedPictures
from minidalle.evaluation.baselines import nearest_training_rows
from minidalle.evaluation.bootstrap import estimate, estimates
from minidalle.evaluation.drawing import Draw, draw_rows
from minidalle.evaluation.fidelity import fidelity
from minidalle.evaluation.likelihood import picture_nats
from minidalle.evaluation.parts import SPLITS, some_rows
from minidalle.evaluation.reconstruction import likeness, reconstruct
from minidalle.evaluation.siblings import concepts
from minidalle.pipeline import TextToImage


@dataclass(frozen=True)
class SplitScores:
    """A split's means over rows; `low` and `high` are the ends of 95 % intervals over concepts.

    psnr: decibels of the reconstruction. nats: of the BART per image token; also of the rows whose captions name a
    skin tone and of those whose captions do not, None where there are none. base_recall: how often the nearest of
    all real pictures to a drawn one is of the right concept, of `drawn` rows; copied_recall: the same of the
    training picture that is nearest to the real one.
    """

    split: str
    rows: int
    psnr: float
    psnr_low: float | None
    psnr_high: float | None
    nats: float
    nats_low: float | None
    nats_high: float | None
    nats_toned: float | None
    nats_plain: float | None
    drawn: int
    base_recall: float
    base_recall_low: float | None
    base_recall_high: float | None
    copied_recall: float


def score_splits(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    draw: Draw,
    splits: Sequence[str] = SPLITS,
    most: int = 800,
    most_drawn: int = 100,
) -> list[SplitScores]:
    """Measure the splits that the data set has, each on the same rows every time.

    Args:
        pipeline: a trained one.
        pictures: the data set, at the pipeline's picture size.
        draw: how the pipeline draws.
        splits: which; those that the data set does not have are left out.
        most: a larger split is measured on this many of its rows, drawn once and for all.
        most_drawn: and drawn on this many of those.
    """
    known = set(pictures.splits.tolist())
    return [
        _score(pipeline, pictures, draw, split, some_rows(pictures, split, most), most_drawn)
        for split in splits
        if split in known
    ]


def _score(
    pipeline: TextToImage, pictures: CaptionedPictures, draw: Draw, split: str, rows: np.ndarray, most_drawn: int
) -> SplitScores:
    captions, real, groups = [pictures.captions[row] for row in rows], pictures.pictures[rows], concepts(pictures)
    quality = likeness(reconstruct(pipeline, real)[0], real)
    surprise = picture_nats(pipeline, captions, real)["with its caption"]["nats_per_token"]
    means = estimates({"psnr": quality["psnr"], "nats": surprise}, groups[rows])
    toned, some = pictures.toned[rows], rows[:most_drawn]
    hits = fidelity(draw_rows(draw, some, pictures), some, pictures)["base_recall"]
    copied = fidelity(pictures.pictures[nearest_training_rows(some, pictures)], some, pictures)["base_recall"]
    recall = estimate(hits, groups[some])
    assert recall is not None  # every row is either right or wrong
    return SplitScores(
        split=split, rows=len(rows),
        psnr=means["psnr"].mean, psnr_low=means["psnr"].low, psnr_high=means["psnr"].high,
        nats=means["nats"].mean, nats_low=means["nats"].low, nats_high=means["nats"].high,
        nats_toned=_mean(surprise[toned]), nats_plain=_mean(surprise[~toned]),
        drawn=len(some), base_recall=recall.mean, base_recall_low=recall.low, base_recall_high=recall.high,
        copied_recall=copied.mean().item(),
    )  # fmt: skip


def _mean(values: np.ndarray) -> float | None:
    return values.mean().item() if len(values) else None

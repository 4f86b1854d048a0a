"""How well a trained pipeline generalizes, one function: gaps, copies and curvature, each with its error."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import require
from minidalle.evaluation.bootstrap import Estimate, estimate
from minidalle.evaluation.drawing import Draw, draw_rows
from minidalle.evaluation.fidelity import fidelity
from minidalle.evaluation.parts import HELD_OUT, SPLITS, some_rows
from minidalle.evaluation.reconstruction import reconstruct
from minidalle.evaluation.siblings import concepts
from minidalle.generalization.copying import copy_interval, copy_test, nearest_distances
from minidalle.generalization.gap import Gap, Surprise, examples, gap_between, surprise
from minidalle.generalization.hessian import Product, rescaled
from minidalle.generalization.lanczos import hutchinson_trace, slq_density, top_eigenvalue
from minidalle.generalization.mean_loss import MeanLoss, bart_loss
from minidalle.generalization.sharpness import average_sharpness, sam_sharpness
from minidalle.pipeline import TextToImage

BATCH = 50  # rows between two reports of progress
TOLERANCE = 0.02  # of eigenvalues
SHOWN = 12  # of the drawings nearest to training
RHO, SIGMA = 0.05, 0.002  # how far to go: the worst case within RHO, noise of SIGMA on every weight

Watch = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much; 0 where the end is not known."""


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    rows: of each split. drawn: of those, how many captions are drawn. curvature: training rows whose loss is looked
    at; 0 leaves curvature out. traces: random vectors for the trace. density: products for the spectrum.
    """

    rows: int = 200
    drawn: int = 100
    curvature: int = 64
    traces: int = 5
    density: int = 12

    def __post_init__(self) -> None:
        for name, least in {"rows": 2, "drawn": 2, "curvature": 0, "traces": 2, "density": 1}.items():
            require(getattr(self, name) >= least, name, getattr(self, name), f"{least} or more")


@dataclass(frozen=True, eq=False)
class SplitFigures:
    """What was measured of a split.

    loss, caption_gain: nats per token, intervals over roles. gap: to `train`; None for `train` itself. distance:
    the median of its real pictures to the nearest of `train`, a root mean squared error of what is drawn. right: how
    often the picture that is drawn shows the right thing. nearer: how often what is drawn is nearer to `train` than the
    unseen pictures of `null` are; nearer_again: the same of its real pictures through the VQGAN. Both None for `train`.
    """

    split: str
    rows: int
    loss: Estimate
    caption_gain: Estimate
    gap: Gap | None
    distance: float
    right: Estimate
    nearer: Estimate | None
    nearer_again: Estimate | None


@dataclass(frozen=True)
class Curvature:
    """A measure of the loss near the weights, with its error and what kind of error it is."""

    name: str
    value: float
    error: float
    error_is: str


@dataclass(frozen=True, eq=False)
class Copies:
    """The drawings that come nearest to training pictures: uint8 [C, S, S, 3] each, and captions, nearest first."""

    drawn: np.ndarray
    training: np.ndarray
    real: np.ndarray
    captions: tuple[str, ...]
    training_captions: tuple[str, ...]
    distances: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Generalization:
    """All that was measured. null: the split that copies are judged by. density: grid and density, or None."""

    splits: tuple[SplitFigures, ...]
    curvature: tuple[Curvature, ...]
    density: tuple[Tensor, Tensor] | None
    distances: Mapping[str, np.ndarray]
    copies: Copies
    null: str
    seconds: float

    def records(self) -> dict[str, Any]:
        """The figures for a JSON file."""
        splits = [asdict(figures) for figures in self.splits]
        curve = [part.tolist() for part in self.density] if self.density else None
        return {"splits": splits, "curvature": [asdict(one) for one in self.curvature], "density": curve,
                "distances": {name: values.tolist() for name, values in self.distances.items()},
                "null": self.null, "seconds": round(self.seconds, 1)}  # fmt: skip


def measure(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    draw: Draw,
    splits: Sequence[str] = HELD_OUT,
    settings: Settings | None = None,
    watch: Watch = lambda what, done, of: None,
) -> Generalization:
    """Measure how a pipeline does on what it has not seen, beside what it was trained on.

    Args:
        pipeline: a trained one.
        pictures: the data set that it was trained on, at its picture size.
        draw: how it draws.
        splits: which held-out ones; those that the data set does not have are left out.
        settings: how much is measured.
        watch: told how far it is.

    Raises:
        InvalidValue: the data set has no training rows, or none of the splits.
    """
    settings, began = settings or Settings(), time.monotonic()
    known = set(pictures.splits.tolist())
    here = [split for split in SPLITS if split in splits and split in known and split != "train"]
    require(bool(here), "splits", list(splits), f"one or more of {', '.join(s for s in HELD_OUT if s in known)}")
    rows = {split: some_rows(pictures, split, settings.rows) for split in ("train", *here)}
    losses = {
        split: _losses(pipeline, pictures, some, partial(watch, f"loss, {split}")) for split, some in rows.items()
    }
    drawn = {split: _drawn(draw, some[: settings.drawn], pictures, partial(watch, f"drawing, {split}"))
             for split, some in rows.items()}  # fmt: skip
    null = next((split for split in ("iid", "dev") if split in known), here[0])
    watch("nearest training pictures", 0, 0)
    figures = [_figures(pipeline, pictures, split, rows, losses, drawn[split], null) for split in rows]
    distances, copies = nearest_copies(pictures, rows, drawn, null)
    curvature: tuple[Curvature, ...] = ()
    density = None
    if settings.curvature:
        seen = examples(pipeline, pictures, rows["train"][: settings.curvature])
        loss = bart_loss(pipeline.bart, seen.tokens, np.arange(len(seen)))
        curvature, density = _curvature(loss, settings, watch)
    return Generalization(tuple(figures), curvature, density, distances, copies, null, time.monotonic() - began)


def _losses(
    pipeline: TextToImage, pictures: CaptionedPictures, rows: np.ndarray, watch: Callable[..., None]
) -> Surprise:
    parts = []
    for start in range(0, len(rows), BATCH):
        watch(start, len(rows))
        parts.append(surprise(pipeline.bart, examples(pipeline, pictures, rows[start : start + BATCH])))
    watch(len(rows), len(rows))
    return Surprise(*(torch.cat([getattr(part, name) for part in parts]) for name in ("nats", "blind_nats", "roles")))


def _drawn(draw: Draw, rows: np.ndarray, pictures: CaptionedPictures, watch: Callable[[int, int], None]) -> np.ndarray:
    parts = []
    for start in range(0, len(rows), BATCH):
        watch(start, len(rows))
        parts.append(draw_rows(draw, rows[start : start + BATCH], pictures))
    watch(len(rows), len(rows))
    return np.concatenate(parts)


def _figures(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    split: str,
    rows: Mapping[str, np.ndarray],
    losses: Mapping[str, Surprise],
    drawn: np.ndarray,
    null: str,
) -> SplitFigures:
    some, roles, known = rows[split], concepts(pictures), losses[split]
    of_drawn = some[: len(drawn)]
    is_train = split == "train"
    train, unseen = pictures.pictures[pictures.rows("train")], _null_rows(pictures, rows, null)
    nearer = partial(copy_interval, train=train, heldout=pictures.pictures[unseen], groups=roles[of_drawn],
                     heldout_groups=roles[unseen])  # fmt: skip
    real = pictures.pictures[of_drawn]
    return SplitFigures(
        split=split,
        rows=len(some),
        loss=_estimate(known.nats.numpy(), roles[some]),
        caption_gain=_estimate(known.caption_gain.numpy(), roles[some]),
        gap=None if is_train else gap_between(losses["train"], known),
        distance=0.0 if is_train else nearest_distances(real, train)[0].sqrt().median().item(),
        right=_estimate(fidelity(drawn, of_drawn, pictures)["base_recall"], roles[of_drawn]),
        nearer=None if is_train else nearer(drawn),
        nearer_again=None if is_train else nearer(reconstruct(pipeline, real)[0]),
    )


def _null_rows(pictures: CaptionedPictures, rows: Mapping[str, np.ndarray], null: str) -> np.ndarray:
    """The unseen rows that drawings are compared with: those that are measured, or as many; no copies of `train`'s."""
    unseen = rows[null] if null in rows else some_rows(pictures, null, max(map(len, rows.values())))
    seen = {picture.tobytes() for picture in pictures.pictures[pictures.rows("train")]}
    return np.array([row for row in unseen if pictures.pictures[row].tobytes() not in seen], np.int64)


def nearest_copies(
    pictures: CaptionedPictures, rows: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray], null: str
) -> tuple[dict[str, np.ndarray], Copies]:
    """Distances to `train` of each split's drawings and of `null`'s real pictures; the drawings that are nearest."""
    index = pictures.rows("train")
    train, held_out = pictures.pictures[index], pictures.pictures[_null_rows(pictures, rows, null)]
    compared = {**drawn, "real": held_out}
    distances = {name: nearest_distances(shown, train)[0].sqrt().numpy() for name, shown in compared.items()}
    unseen = [split for split in drawn if split != "train"]
    shown = np.concatenate([drawn[split] for split in unseen])
    own = np.concatenate([rows[split][: len(drawn[split])] for split in unseen])
    near = index[copy_test(shown, train, held_out)[1]]
    away = np.concatenate([distances[split] for split in unseen])
    first = away.argsort(kind="stable")[:SHOWN]
    copies = Copies(
        drawn=shown[first], training=pictures.pictures[near[first]], real=pictures.pictures[own[first]],
        captions=tuple(pictures.captions[row] for row in own[first]),
        training_captions=tuple(pictures.captions[row] for row in near[first]), distances=tuple(away[first].tolist()),
    )  # fmt: skip
    return distances, copies


def _curvature(loss: MeanLoss, settings: Settings, watch: Watch) -> tuple[tuple[Curvature, ...], tuple[Tensor, Tensor]]:
    """Eigenvalues, trace and sharpness of the training loss, and the spectrum's density."""
    product = _counted(loss.product, "curvature", watch)
    top, top_error = top_eigenvalue(product, loss.dim, tolerance=TOLERANCE)
    relative = _counted(rescaled(loss.product, loss.params), "relative curvature", watch)
    invariant, invariant_error = top_eigenvalue(relative, loss.dim, tolerance=TOLERANCE)
    trace, trace_error = hutchinson_trace(_counted(loss.product, "trace", watch), loss.dim, settings.traces)
    density = slq_density(_counted(loss.product, "spectrum", watch), loss.dim, settings.density, probes=1)
    watch("sharpness", 0, 0)
    worst = [sam_sharpness(loss, RHO), sam_sharpness(loss, RHO, steps=5), average_sharpness(loss, SIGMA, 10)]
    return (
        Curvature("largest eigenvalue of H", top, top_error, "bound"),
        Curvature("largest eigenvalue of |W|H|W|", invariant, invariant_error, "bound"),
        Curvature("trace of H", trace, trace_error, "standard error"),
        *(Curvature(f"rise of the loss, {one.kind}, radius {one.radius:g}", one.value, one.error,
                    "standard error" if one.error else "none: a lower bound") for one in worst),
    ), density  # fmt: skip


def _counted(product: Product, what: str, watch: Watch) -> Product:
    """The same product; each one is reported."""
    count: Iterator[int] = iter(range(1, 1_000_000))

    def counted(v: Tensor) -> Tensor:
        watch(what, next(count), 0)
        return product(v)

    return counted


def _estimate(values: np.ndarray, groups: np.ndarray) -> Estimate:
    found = estimate(values, groups)
    assert found is not None  # no value is NaN
    return found

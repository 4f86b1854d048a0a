"""The whole evaluation, one function: every measure, of every source of pictures, on every part of every split."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from minidalle.clip import Judge, found_among
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import to_floats
from minidalle.errors import require
from minidalle.evaluation.baselines import nearest_caption_rows, nearest_training_rows, random_rows
from minidalle.evaluation.bootstrap import Estimate, estimates
from minidalle.evaluation.drawing import Draw, draw_many, draw_rows
from minidalle.evaluation.fidelity import Measures, fidelity, swap_chances
from minidalle.evaluation.free_text import Prompt, concept_recall
from minidalle.evaluation.likelihood import picture_nats
from minidalle.evaluation.parts import SPLITS, groups, parts, rows_of_splits
from minidalle.evaluation.reconstruction import cell_means, likeness, reconstruct
from minidalle.evaluation.siblings import concepts
from minidalle.pipeline import TextToImage
from minidalle.vqgan.quantizer import codebook_usage

DRAWN, COPIED, FOUND, RANDOM = "drawn", "nearest training picture", "caption retrieval", "random picture"
AGAIN, REAL, LEAD, GUESS = "reconstruction", "real", "drawn minus nearest training", "blind guess"


@dataclass(frozen=True)
class Score:
    """One figure: which table it belongs to, of which rows, of whose pictures, what is measured, how much."""

    table: str
    split: str
    part: str
    source: str
    measure: str
    value: Estimate


@dataclass(frozen=True, eq=False)
class Drawings:
    """Free prompts and what was made of them.

    prompts: P of them. drawn: uint8 [P, s, S, S, 3], with s seeds. found: uint8 [P, S, S, 3], by caption retrieval.
    top_5: float [P, s], 1 where a concept that was meant is among the first five.
    """

    prompts: tuple[Prompt, ...]
    drawn: np.ndarray
    found: np.ndarray
    top_5: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures, and the pictures that they are of.

    scores: the figures. rows: int64 [B], which rows were measured. shown: source → uint8 [B, S, S, 3], what stood
    for them. psnr: float [B], of the drawn pictures to the real ones. drawings: the free prompts', if any.
    seconds: how long it all took. drawn_per_second: pictures.
    """

    scores: tuple[Score, ...]
    rows: np.ndarray
    shown: Mapping[str, np.ndarray]
    psnr: np.ndarray
    drawings: Drawings | None
    seconds: float
    drawn_per_second: float

    def value(self, table: str, split: str, part: str, source: str, measure: str) -> Estimate | None:
        """One figure; None if it was not measured."""
        wanted = (table, split, part, source, measure)
        found = (x for x in self.scores if (x.table, x.split, x.part, x.source, x.measure) == wanted)
        return next((score.value for score in found), None)

    def records(self) -> list[dict[str, Any]]:
        """The figures for a JSON file, one flat record each."""
        return [
            {"table": score.table, "split": score.split, "part": score.part, "source": score.source,
             "measure": score.measure, **asdict(score.value)}
            for score in self.scores
        ]  # fmt: skip


def evaluate(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    draw: Draw,
    scorer: Judge | None = None,
    most: int | None = 200,
    prompts: Sequence[Prompt] = (),
    prompt_seeds: int = 4,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Measure a pipeline on fixed rows of all splits, beside its baselines.

    Args:
        pipeline: a trained one.
        pictures: the data set, at the pipeline's picture size.
        draw: how the pipeline draws: `partial(pipeline.draw, sampling=…)`, or one that picks from candidates.
        scorer: a learned judge that has not picked the pictures, who is to find each one's caption among those of
            a hundred other rows; without one, `caption_recall` is left out.
        most: rows per split; None for all, and 800 of `train`.
        prompts: free text to draw as well.
        prompt_seeds: pictures per prompt.
        say: called with a line about what happens next.

    Raises:
        InvalidValue: the pictures have another size than the pipeline's, a prompt means no role of the data.
    """
    began, side = time.monotonic(), pipeline.vqgan.config.image_size
    require(
        pictures.size == side, "pictures", f"{pictures.size}×{pictures.size}", f"{side}×{side}, the pipeline's size"
    )
    rows = rows_of_splits(pictures, most)
    say(f"drawing {len(rows):,} captions")
    drawn = draw_rows(draw, rows, pictures)
    speed = len(rows) / (time.monotonic() - began)
    say("measuring them and their baselines")
    shown, tokens = _stand_ins(pipeline, pictures, rows, drawn)
    scores = _reconstruction(pipeline, pictures, rows, shown, tokens)
    nats = picture_nats(pipeline, _captions(pictures, rows), pictures.pictures[rows])
    measured = _pictures(pictures, rows, shown, scorer)
    scores += [*_by_part("likelihood", nats, rows, pictures), *_by_part("pictures", measured, rows, pictures)]
    scores += _by_group(measured, rows, pictures, fewest=len(rows) // 50)
    drawings = None
    if prompts:
        require("role" in pictures.columns, "prompts", len(prompts), "none: the data has no roles to find them by")
        say(f"drawing {len(prompts)} free prompts with {prompt_seeds} seeds each")
        drawings, free = _free_text(pictures, draw, prompts, prompt_seeds)
        scores += free
    seconds = time.monotonic() - began
    return Evaluation(tuple(scores), rows, shown, measured[DRAWN]["psnr"], drawings, seconds, speed)


def _stand_ins(
    pipeline: TextToImage, pictures: CaptionedPictures, rows: np.ndarray, drawn: np.ndarray
) -> tuple[dict[str, np.ndarray], Tensor]:
    """What stands for each row, by source: uint8 [B, S, S, 3]; and the rows' own image tokens, long [B, N]."""
    real = pictures.pictures
    again, tokens = reconstruct(pipeline, real[rows])
    shown = {
        DRAWN: drawn,
        REAL: np.array(real[rows]),
        AGAIN: again,
        COPIED: real[nearest_training_rows(rows, pictures)],
        FOUND: real[nearest_caption_rows(_captions(pictures, rows), pictures, rows)],
        RANDOM: real[random_rows(len(rows), pictures)],
    }
    return shown, tokens


def _pictures(
    pictures: CaptionedPictures, rows: np.ndarray, shown: Mapping[str, np.ndarray], scorer: Judge | None
) -> dict[str, Measures]:
    """Fidelity of every source, the lead over the nearest training picture, and the blind guess at the swaps."""
    measured = {source: fidelity(stand_in, rows, pictures) for source, stand_in in shown.items()}
    if scorer is not None:
        texts = scorer.text_vectors(_captions(pictures, rows))
        for source, stand_in in shown.items():
            found = found_among(scorer.image_vectors(to_floats(stand_in)), texts)
            measured[source]["caption_recall"] = found.cpu().double().numpy()
    drawn, copied = measured[DRAWN], measured[COPIED]
    del measured[REAL]["psnr"]  # to itself
    lead = {name: drawn[name] - copied[name] for name in drawn}
    return {**measured, LEAD: lead, GUESS: swap_chances(rows, pictures)}


def _reconstruction(
    pipeline: TextToImage,
    pictures: CaptionedPictures,
    rows: np.ndarray,
    shown: Mapping[str, np.ndarray],
    tokens: Tensor,
) -> list[Score]:
    """Likeness of reconstructions beside two pictures that need no VQGAN, and how many codes each split uses."""
    config, real = pipeline.vqgan.config, shown[REAL]
    sources = {
        AGAIN: likeness(shown[AGAIN], real),
        "one color per cell": likeness(cell_means(real, config.grid), real),
        COPIED: likeness(shown[COPIED], real),
    }
    scores = list(_by_part("reconstruction", sources, rows, pictures))
    for split in _splits(pictures, rows):
        of_split = pictures.splits[rows] == split
        used = codebook_usage(tokens[of_split].flatten().bincount())
        for name, count in zip(("codes_used", "perplexity"), used, strict=True):
            value = Estimate(float(count), None, None, int(of_split.sum()))
            scores.append(Score("reconstruction", split, "all", AGAIN, name, value))
    return scores


def _free_text(
    pictures: CaptionedPictures, draw: Draw, prompts: Sequence[Prompt], seeds: int
) -> tuple[Drawings, list[Score]]:
    """Draw prompts, and see what comes out: of all of them, and of each kind."""
    words = [prompt.prompt for prompt in prompts for _ in range(seeds)]
    repeated = [prompt for prompt in prompts for _ in range(seeds)]
    number = np.repeat(np.arange(len(prompts)), seeds)
    drawn = draw_many(draw, words, list(range(seeds)) * len(prompts), pictures.size)
    found = pictures.pictures[nearest_caption_rows([prompt.prompt for prompt in prompts], pictures)]
    shown = {
        DRAWN: drawn,
        FOUND: np.repeat(found, seeds, 0),
        RANDOM: pictures.pictures[random_rows(len(words), pictures)],
    }
    recall = {source: concept_recall(stand_in, repeated, pictures) for source, stand_in in shown.items()}
    kinds = np.array([prompt.kind for prompt in repeated])
    masks = {"all": np.ones(len(kinds), bool)} | {kind: kinds == kind for kind in dict.fromkeys(kinds.tolist())}
    scores = [
        Score("free text", "prompts", kind, source, name, value)
        for kind, mask in masks.items()
        for source, measures in recall.items()
        for name, value in estimates({n: x[mask] for n, x in measures.items()}, number[mask]).items()
    ]
    shape = (len(prompts), seeds)
    top_5 = recall[DRAWN]["top_5"].reshape(shape)
    return Drawings(tuple(prompts), drawn.reshape(*shape, *drawn.shape[1:]), found, top_5), scores


def _by_part(
    table: str, sources: Mapping[str, Measures], rows: np.ndarray, pictures: CaptionedPictures
) -> Iterator[Score]:
    """Estimates for every part of every split; a part that would be the whole split is left out."""
    groups, masks = concepts(pictures)[rows], parts(pictures)
    for split in _splits(pictures, rows):
        of_split = pictures.splits[rows] == split
        for part, members in masks.items():
            mask = of_split & members[rows]
            if part == "all" or 0 < mask.sum() < of_split.sum():
                for source, measures in sources.items():
                    values = {name: column[mask] for name, column in measures.items()}
                    for name, value in estimates(values, groups[mask]).items():
                        yield Score(table, split, part, source, name, value)


def _by_group(
    sources: Mapping[str, Measures], rows: np.ndarray, pictures: CaptionedPictures, fewest: int
) -> Iterator[Score]:
    """Who comes out worse: estimates for every group of `groups` that is not small, over all held-out rows together."""
    concept, held_out = concepts(pictures)[rows], pictures.splits[rows] != "train"
    for group, members in groups(pictures).items():
        mask = held_out & members[rows]
        for source in (DRAWN, AGAIN, COPIED) if mask.sum() >= fewest else ():
            values = {name: column[mask] for name, column in sources[source].items()}
            for name, value in estimates(values, concept[mask]).items():
                yield Score("groups", "held out", group, source, name, value)


def _splits(pictures: CaptionedPictures, rows: np.ndarray) -> list[str]:
    here = set(pictures.splits[rows].tolist())
    return [split for split in SPLITS if split in here]


def _captions(pictures: CaptionedPictures, rows: np.ndarray) -> list[str]:
    return [pictures.captions[row] for row in rows]

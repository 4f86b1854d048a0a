"""`minidalle generate`, `minidalle trace` and `minidalle export`."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minidalle.checkpoint import atomic_write, load_json, save_json
from minidalle.cli.places import require_folder
from minidalle.clip import Judge, draw_best, load_judge
from minidalle.data.emoji import find_emoji
from minidalle.data.origin import data_of, open_pictures
from minidalle.data.pixels import pictures_at_once, sheet, to_pixels
from minidalle.errors import InvalidValue, require
from minidalle.evaluation.drawing import Draw
from minidalle.pipeline import SHIPPED, TextToImage, load
from minidalle.published import ClipJudge, load_clip
from minidalle.published.sources import kinds_in
from minidalle.reports.page import png
from minidalle.runtime import pick_device
from minidalle.sampling_config import SamplingConfig

BATCH, PIXELS = 32, 32 * 128**2  # pictures drawn at a time: so many, or of so many pixels together


def draw_captions(
    captions: list[str], count: int, settings: dict[str, Any], seed: int, candidates: int, run: Path | None,
    out: Path, device: str, precision: str | None = None,
) -> None:  # fmt: skip
    """Draw `count` pictures of each caption into one sheet, or into a folder of single pictures."""
    for caption in captions:
        require(bool(caption.strip()), "CAPTION", caption, "some words")
    require(out.suffix in ("", ".png"), "--out", str(out), "FILE.png, or a folder's name without an ending")
    require_folder(out.parent if out.suffix else out)
    SamplingConfig(**settings)  # what is wrong with them is said first
    run = run_or_shipped(run)
    pipeline = load(run, pick_device(device), precision)
    draw = drawer(pipeline, run, replace(pipeline.sampling, **settings), candidates)
    wanted = [(caption, seed + i) for caption in captions for i in range(count)]
    drawn = []
    batch = pictures_at_once(pipeline.vqgan.config.image_size, BATCH, PIXELS)
    for start in range(0, len(wanted), batch):
        words, seeds = zip(*wanted[start : start + batch], strict=True)
        drawn += list(to_pixels(draw(words, seeds)))
    said = "1 picture" if len(drawn) == 1 else f"{len(drawn)} pictures"
    if out.suffix:
        labels = [caption for caption, _ in wanted]
        columns = count if count > 1 else min(len(wanted), 8)
        atomic_write(out, png(sheet(np.stack(drawn), columns, max(1, 128 // len(drawn[0])), labels)))
        print(f"{said}: {out}")
        return
    for name, picture in zip(file_names(wanted), drawn, strict=True):
        atomic_write(out / name, png(picture))
    print(f"{said} in {out}")


def file_names(wanted: Sequence[tuple[str, int]]) -> list[str]:
    """A file for each caption and seed, in any script: `red-apple-0.png`; of those that would be one, the later are
    numbered."""
    names: list[str] = []
    for caption, seed in wanted:
        words = re.sub(r"[\W_]+", "-", caption.lower()).strip("-")[:60] or "picture"
        same = f"{words}-{seed}"
        tries = (same, *(f"{same}-{n}" for n in range(2, len(wanted) + 1)))
        names.append(next(name for one in tries if (name := f"{one}.png") not in names))
    return names


def run_or_shipped(run: Path | None) -> Path:
    """The folder that was asked for, or else that of the shipped weights."""
    missing = "the folder of a finished run: no weights are shipped with this installation"
    require(run is not None or (SHIPPED / "bart.safetensors").exists(), "--run", None, missing)
    if run is not None and run.is_dir() and not (run / "bart.safetensors").exists():
        published = kinds_in([path.name for path in run.iterdir()])
        command = f"weights of our own kind; make them of these: minidalle import {run} --out FOLDER"
        require(not published, "--run", str(run), command)
    return run or SHIPPED


def drawer(pipeline: TextToImage, run: Path, sampling: SamplingConfig, candidates: int) -> Draw:
    """How a run draws; with several candidates, its reranker keeps one of each."""
    if candidates == 1:
        return partial(pipeline.draw, sampling=sampling)
    judge = clip_of(run, pipeline.device) or judge_of(run, "reranker", pipeline.device)
    if judge is None:
        missing = "no CLIP: import it again with --clip" if is_imported(run) else "no reranker, and none is shipped"
        raise InvalidValue(f"--candidates={candidates}: expected 1, for {run} has {missing}")
    return partial(draw_best, pipeline, judge, sampling=sampling, candidates=candidates)


def clip_of(run: Path, device: torch.device) -> ClipJudge | None:
    """The published CLIP that was imported with published weights; None if there is none."""
    return load_clip(run / "clip", device) if (run / "clip" / "config.json").exists() else None


def judge_of(run: Path, name: str, device: torch.device) -> Judge | None:
    """The run's own judge, or the shipped one, which knows nothing but emoji; None if neither is there."""
    own = (run,) if is_imported(run) else (run, SHIPPED)
    found = (place / name for place in own if (place / name / "clip.safetensors").exists())
    place = next(found, None)
    return load_judge(place, device) if place else None


def is_imported(run: Path) -> bool:
    """Whether a run's weights were published by others."""
    noted = run / "run.json"
    return noted.exists() and "imported" in load_json(noted)


def trace_caption(caption: str, run: Path | None, seed: int, out: Path, device: str) -> None:
    """Write the page that follows a caption through every stage."""
    from minidalle.reports.trace import write_trace

    require(bool(caption.strip()), "CAPTION", caption, "some words")
    require_folder(out.parent)
    run = run_or_shipped(run)
    pipeline = load(run, pick_device(device))
    real, split = _real_picture(run, caption, pipeline.vqgan.config.image_size) or (None, None)
    print(write_trace(out, pipeline, caption, seed, pipeline.sampling, real, split))


def _real_picture(run: Path, caption: str, size: int) -> tuple[np.ndarray, str] | None:
    """The picture of exactly this caption in the data that the run learned from, and its split, if there is one."""
    data = data_of(run) if (run / "run.json").exists() else None
    if data is None:
        return find_emoji(caption, size)
    pictures = open_pictures(data, size)
    row = pictures.captions.index(caption) if caption in pictures.captions else None
    return None if row is None else (pictures.pictures[row], str(pictures.splits[row]))


def export_run(run: Path, out: Path) -> None:
    """Write a run's models in float16, with its judges if it has any."""
    require_folder(out)
    require(not out.exists() or not any(out.iterdir()), "--out", str(out), "a new or empty folder")
    load(run).save(out, torch.float16)
    for judge in (path.parent.name for path in sorted(run.glob("*/clip.safetensors"))):
        load_judge(run / judge).save(out / judge, torch.float16)
    if is_imported(run):
        origin = {"imported": load_json(run / "run.json")["imported"]}
        save_json(out / "run.json", load_json(out / "run.json") | origin)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{size / 1e6:.1f} MB: {out}")

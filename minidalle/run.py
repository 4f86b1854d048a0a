"""The whole run, one function: tokenizer → VQGAN → BART → held-out captions drawn and reported."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from minidalle.checkpoint import load_json, save_json
from minidalle.data import CaptionedPictures, DataConfig
from minidalle.data.origin import note_data, open_pictures, other_data, settled
from minidalle.data.pictures import write_skipped
from minidalle.errors import require
from minidalle.lock import alone
from minidalle.presets import JudgePreset, Preset
from minidalle.reports.run import write_report
from minidalle.run_notes import Say, counted, note_codec, noted_run, refuse, settings_of, timed
from minidalle.training import torchrun
from minidalle.training.config import StageConfig
from minidalle.training.distributed import Ranks
from minidalle.training.loop import Watch
from minidalle.training.stages import Source, train_bart, train_clip, train_tokenizer, train_vqgan

STAGES = ("tokenizer", "vqgan", "bart")
JUDGES = ("reranker", "scorer")
SAY_SECONDS = 5  # between two lines while pictures are read

Block = Callable[[], AbstractContextManager[object]]
"""Makes a block to work in. It is pickled for other ranks, so it is a function of a module or a partial of one."""


def run(
    preset: Preset,
    folder: Path,
    device: str = "auto",
    ranks: int = 0,
    stages: tuple[str, ...] = STAGES,
    watch: Watch | None = None,
    say: Say = lambda line: None,
    data: DataConfig | None = None,
    block: Block = nullcontext,
    parts: Sequence[str] = (),
    shard: bool = False,
) -> Path | None:
    """Train what is not trained yet, and draw.

    A run that was stopped or killed goes on where it was; one that is finished is only drawn and reported anew.

    Args:
        preset: shapes and settings.
        folder: holds everything the run makes. If it was begun with other settings, nothing is touched.
        device: `auto`, `cpu`, `cuda`, …
        ranks: processes that train together; 0 for as many as the preset says, or else as pay here.
        stages: which of `STAGES` and `JUDGES` to train; with all of the former the report is written too.
        watch: called after every training step.
        say: called with a line about what happens next.
        data: pictures to train on; None for the bundled emoji.
        block: makes the block that the other ranks work in, as when functions are swapped; the caller is in its own.
        parts: ids of the exercises whose functions are swapped for a student's there, to be noted in `run.json`.
        shard: split the BART over the ranks while it is trained, so that a model too large for one GPU fits.

    Returns:
        The report's file, or None if not all stages were asked for.

    Raises:
        InvalidValue: the folder holds a run with other settings or data, or a BART of another VQGAN, or somebody else
            trains there; or the data cannot be used, or are too few.
        Interrupted, Diverged, CheckpointError: see `minidalle.training.loop.train`.
    """
    met = torchrun.meet(device, ranks, preset.training.ranks)
    if met is None:
        return None  # rank 0 has done all that there was to do
    device, size, group = met
    preset = replace(preset, training=replace(preset.training, ranks=size))
    _check_ranks(preset, folder, stages, size)
    with group as launch, alone(folder / "lock", "--out", "trains"):
        data = _claim(folder, preset, stages, data, say)
        _note_parts(folder, parts)
        source = partial(open_pictures, data, preset.vqgan.image_size)  # from the cache now: ranks share one file
        start = partial(launch, _in_block, size, block)
        if (here := torchrun.seat()) and here.machines > 1:
            start(_open_once, source)
        _train(preset, folder, device, stages, watch, say, source, start, shard)
    if not set(STAGES) <= set(stages):
        return None
    say("drawing held-out captions")
    return write_report(folder, preset, source(), device)


def _train(
    preset: Preset,
    folder: Path,
    device: str,
    stages: tuple[str, ...],
    watch: Watch | None,
    say: Say,
    source: Source,
    start: Callable[..., None],
    shard: bool,
) -> None:
    """Train the stages that are asked for and not there yet."""
    if "tokenizer" in stages and not (folder / "tokenizer").exists():
        say("training the tokenizer")
        with timed(folder, "tokenizer"):
            train_tokenizer(folder, preset.tokenizer, source, preset.training.bart.reword > 0)
    bart = partial(train_bart, shard=shard)
    for name, work, config in (("vqgan", train_vqgan, preset.vqgan), ("bart", bart, preset.bart)):
        if name == "bart" and name in stages:
            note_codec(folder)
        if name in stages and not (folder / f"{name}.safetensors").exists():
            say(f"training the {name} with {counted(preset.training.ranks)} on {device}")
            if name == "bart" and (drafting := preset.training.bart.draft_steps):
                say(f"first its draft alone, for {drafting:,} steps; then all of it, at a fraction of the speed")
            with timed(folder, name):
                start(work, folder, config, preset.training, source, device, watch=watch)
    for name in JUDGES:
        if name in stages and not (folder / name / "clip.safetensors").exists():
            say(f"training the {name} with {counted(preset.training.ranks)} on {device}")
            with timed(folder, name):
                _train_judge(folder / name, getattr(preset, name), start, preset.training.seed, source, device, watch)


def _check_ranks(preset: Preset, folder: Path, stages: Sequence[str], ranks: int) -> None:
    """Refuse ranks that cannot share a batch of what is still to train, before pictures are opened."""
    trainings: dict[str, StageConfig] = {name: getattr(preset, name).training for name in JUDGES}
    trainings |= {"vqgan": preset.training.vqgan, "bart": preset.training.bart}
    for name, training in trainings.items():
        made = folder / name / "clip.safetensors" if name in JUDGES else folder / f"{name}.safetensors"
        if name in stages and not made.exists():
            training.check_ranks(ranks)


def _open_once(ranks: Ranks, source: Source) -> None:
    """Render or decode the pictures on each machine, before any rank has to wait for another within a training."""
    here = torchrun.seat()
    if here and here.local_rank == 0:
        source()


def _in_block(ranks: Ranks, block: Block, work: Callable[..., None], *arguments: Any, **first: Any) -> None:
    """What every rank does: the work, in its block."""
    with nullcontext() if ranks.first else block():
        work(ranks, *arguments, **first)


def _train_judge(
    folder: Path,
    judge: JudgePreset,
    start: Callable[..., None],
    seed: int,
    source: Source,
    device: str,
    watch: Watch | None,
) -> None:
    if not (folder / "tokenizer").exists():
        train_tokenizer(folder, judge.tokenizer, source)
    start(train_clip, folder, judge.clip, judge.training, seed, source, device, watch=watch)


def _claim(folder: Path, preset: Preset, stages: Sequence[str], data: DataConfig | None, say: Say) -> DataConfig | None:
    """Read the data, and note them and the settings in the run's folder, or check that they are those noted there.

    Returns:
        The data by the name to find them by.
    """
    noted = noted_run(folder, preset, stages, say)
    old = (noted or {}).get("data")
    if noted and data is None:
        refuse(folder, [other_data(old, None)])
    data = settled(data, old)
    pictures = open_pictures(data, preset.vqgan.image_size, _counter(say))
    say(pictures.summary())
    _check_enough(preset, pictures)
    new = note_data(data, pictures)
    if noted:
        refuse(folder, [other_data(old, new)])
    save_json(folder / "run.json", {**(noted or settings_of(preset)), "data": new})
    write_skipped(folder / "skipped.csv", pictures.skipped)
    return data


def _note_parts(folder: Path, parts: Sequence[str]) -> None:
    """Add to those noted before: a run that goes on without them was still made with them."""
    noted = load_json(folder / "run.json")
    if added := [id for id in parts if id not in noted.get("parts", [])]:
        save_json(folder / "run.json", {**noted, "parts": [*noted.get("parts", []), *added]})


def _counter(say: Say) -> Callable[[int], None]:
    """Says every few seconds how many rows have been read."""
    last = time.monotonic()

    def count(rows: int) -> None:
        nonlocal last
        if time.monotonic() - last > SAY_SECONDS:
            last = time.monotonic()
            say(f"{rows:,} rows read")

    return count


def _check_enough(preset: Preset, pictures: CaptionedPictures) -> None:
    """k-means puts the codes where latents are, so that there must be as many latents as codes."""
    codes, each, rows = preset.vqgan.codes, preset.vqgan.tokens, len(pictures.rows("train"))
    needed = -(-codes // each)
    require(rows >= needed, "pictures to train on", rows,
            f"at least {needed}: each has {each} image tokens, and there are {codes} codes to find")  # fmt: skip

"""Small trainings for the tests: their pictures, their settings, and ways to spoil them."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minidalle.data import CaptionedPictures, emoji_pictures
from minidalle.presets import PRESETS, Preset
from minidalle.training import stages
from minidalle.training.bart import BartStage
from minidalle.training.distributed import Ranks, launch
from minidalle.training.loop import Watch
from minidalle.training.vqgan import VQGANStage

EMOJI_SAMPLE = "EMOJI_SAMPLE"  # the variable that names the folder of a small table of emoji

COLORS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "black": (10, 10, 10)}
TONES = ("", "dark", "light")


def squares(size: int = 16, rows: int = 160) -> CaptionedPictures:
    """Colored squares on white: 128 rows of train, the others of dev; some have a tone, as the emoji do."""
    chance = np.random.default_rng(0)
    pictures = np.full((rows, size, size, 3), 255, np.uint8)
    captions, tones = [], []
    for row in range(rows):
        color = list(COLORS)[row % 4]
        tone = TONES[chance.integers(3)]
        top, left = chance.integers(0, size // 2, 2)
        pictures[row, top : top + size // 2, left : left + size // 2] = COLORS[color]
        captions.append(f"{tone} {color} square, {'upper' if top < size // 4 else 'lower'} {row}".strip())
        tones.append(tone)
    splits = np.array(["train"] * 128 + ["dev"] * (rows - 128))
    return CaptionedPictures(captions, pictures, splits, {"tone": np.array(tones)})


def worded() -> CaptionedPictures:
    """The squares, each with a name, a style and other words."""
    pictures = squares()
    names = np.array([f"square {row}" for row in range(len(pictures))])
    words = {"name": names, "style": np.full(len(pictures), "noto"), "keywords": np.full(len(pictures), "box|tile")}
    return replace(pictures, captions=[f"{name}, noto style" for name in names], columns={**pictures.columns, **words})


def open_squares(data: None, size: int, progress: object = None) -> CaptionedPictures:
    """The squares in the place of the emoji, as a run asks for them."""
    return squares(size)


def open_worded(data: None, size: int, progress: object = None) -> CaptionedPictures:
    """The squares with other words in the place of the emoji."""
    return worded()


def emoji_sample(size: int) -> CaptionedPictures:
    """Some hundreds of real emoji, from a folder that a test has prepared."""
    folder = Path(os.environ[EMOJI_SAMPLE])
    return emoji_pictures(size, folder / "emoji.parquet", folder / "partition.csv")


def tiny() -> Preset:
    """The `tiny` preset, in which everything is switched on, and so many restarts of codes that some must come."""
    training = PRESETS["tiny"].training
    training = replace(training, vqgan=replace(training.vqgan, log_every=1), bart=replace(training.bart, log_every=1))
    return replace(PRESETS["tiny"], vqgan=replace(PRESETS["tiny"].vqgan, restart_below=0.5), training=training)


def short_cpu() -> Preset:
    """The `cpu` preset with all its shapes and options, but only a few steps and frequent checkpoints."""
    training = PRESETS["cpu"].training
    heard = None if training.vqgan.discriminator_start is None else 12
    vqgan = replace(training.vqgan, steps=22, warmup=4, unquantized=6, checkpoint_every=11, log_every=1,
                    discriminator_start=heard, discriminator_warmup=4)  # fmt: skip
    drafts = min(training.bart.draft_steps, 4)
    bart = replace(training.bart, steps=12, warmup=4, draft_steps=drafts, checkpoint_every=6, log_every=1)
    shape = replace(PRESETS["cpu"].vqgan, restart_below=0.3)  # ten times the recipe's: some must come within few steps
    return replace(PRESETS["cpu"], vqgan=shape, training=replace(training, vqgan=vqgan, bart=bart))


def plain() -> Preset:
    """The `tiny` shapes, in float32 and without any draw, which a GPU would make otherwise."""
    whole = tiny()
    vqgan = replace(whole.training.vqgan, steps=30, unquantized=10, precision="fp32", discriminator_start=None)
    bart = replace(whole.training.bart, steps=30, precision="fp32", token_noise=0, caption_dropout=0, draft_steps=0)
    training = replace(whole.training, vqgan=replace(vqgan, log_every=1), bart=replace(bart, log_every=1))
    return replace(whole, vqgan=replace(whole.vqgan, restart_below=0.0), training=training)


def even() -> Preset:
    """All that is drawn, restarted, averaged and heard, within few steps; float32 and AdamW let rounding stay small."""
    whole = tiny()
    vqgan = replace(whole.training.vqgan, steps=16, unquantized=4, precision="fp32", flip=True, checkpoint_every=8,
                    discriminator_start=5, discriminator_warmup=2, discriminator_learning_rate=1e-4)  # fmt: skip
    bart = replace(whole.training.bart, steps=12, draft_steps=4, precision="fp32", optimizer="adamw", token_noise=0.3,
                   reword=0.4, style_dropout=0.2, caption_dropout=0.2, checkpoint_every=6, clip=0.5)  # fmt: skip
    return replace(whole, training=replace(whole.training, vqgan=vqgan, bart=bart))


RECIPES: dict[str, tuple[Callable[[], Preset], Callable[[int], CaptionedPictures]]] = {
    "tiny": (tiny, squares),
    "plain": (plain, squares),
    "cpu": (short_cpu, emoji_sample),
}


def train_recipe(name: str, folder: Path, ranks: int, watch: Watch | None = None, upto: str = "bart") -> None:
    """Train the stages of a recipe that are not finished yet."""
    preset, pictures = RECIPES[name][0](), RECIPES[name][1]
    train_preset(preset, partial(pictures, preset.vqgan.image_size), folder, ranks, watch, upto)


def train_preset(
    preset: Preset, source: stages.Source, folder: Path, ranks: int, watch: Watch | None, upto: str = "bart"
) -> None:
    """Train the stages of a preset, up to the named one, that are not finished yet."""
    if not (folder / "tokenizer").exists():
        stages.train_tokenizer(folder, preset.tokenizer, source)
    for stage, work, config in (("vqgan", stages.train_vqgan, preset.vqgan), ("bart", stages.train_bart, preset.bart)):
        if not (folder / f"{stage}.safetensors").exists():
            launch(work, ranks, folder, config, preset.training, source, "cpu", watch=watch)
        if stage == upto:
            return


def nap(ranks: Ranks) -> None:
    """Ranks that have nothing to say to each other for a minute."""
    if ranks.first:
        print("napping", flush=True)
    time.sleep(60)


def spoiled(ranks: Ranks, how: str, step: int, rank: int, work: Callable[..., None], *arguments: Any) -> None:
    """A training's work in which one rank gets a batch that is not a number, dies or fails at one step."""

    class SpoiledVQGAN(VQGANStage):
        poisoned = False

        def step(self, n: int) -> dict[str, float]:
            here = (n, self.ranks.rank) == (step, rank)
            if here and how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if here and how == "fail":
                raise ValueError("this rank has had enough")
            self.poisoned = here and how == "nan"
            return super().step(n)

        def _load(self, rows: np.ndarray) -> torch.Tensor:
            return super()._load(rows) * (float("nan") if self.poisoned else 1)

    class SpoiledBart(BartStage):
        def _batch(self, n: int) -> tuple[torch.Tensor, ...]:
            *batch, colors = super()._batch(n)
            return (*batch, colors * float("nan") if (n, self.ranks.rank) == (step, rank) else colors)

    own = stages.VQGANStage, stages.BartStage
    stages.VQGANStage, stages.BartStage = SpoiledVQGAN, SpoiledBart  # type: ignore[misc]
    try:
        work(ranks, *arguments)
    finally:
        stages.VQGANStage, stages.BartStage = own  # type: ignore[misc]

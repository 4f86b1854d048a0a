"""The whole run, one function: tokenizer → VQGAN → BART → held-out captions drawn and reported."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from minidalle.checkpoint import load_json, save_json
from minidalle.data import emoji_pictures
from minidalle.errors import InvalidValue
from minidalle.presets import Preset
from minidalle.reports.run import write_report
from minidalle.runtime import pick_device
from minidalle.training.distributed import launch, ranks_that_pay
from minidalle.training.loop import Watch
from minidalle.training.stages import Source, train_bart, train_tokenizer, train_vqgan

STAGES = ("tokenizer", "vqgan", "bart")

Say = Callable[[str], None]


def run(
    preset: Preset,
    folder: Path,
    device: str = "auto",
    ranks: int = 0,
    stages: tuple[str, ...] = STAGES,
    watch: Watch | None = None,
    say: Say = lambda line: None,
) -> Path | None:
    """Train what is not trained yet, and draw.

    A run that was stopped or killed goes on where it was; one that is finished is only drawn and reported anew.

    Args:
        preset: shapes and settings.
        folder: holds everything the run makes. If it was begun with other settings, nothing is touched.
        device: `auto`, `cpu`, `cuda`, …
        ranks: processes that train together; 0 for as many as the preset says, or else as pay here.
        stages: which stages to train; with all three the report is written too.
        watch: called after every training step.
        say: called with a line about what happens next.

    Returns:
        The report's file, or None if not all stages were asked for.

    Raises:
        InvalidValue: the folder holds a run with other settings.
        Interrupted, Diverged, CheckpointError: see `minidalle.training.loop.train`.
    """
    device = str(pick_device(device))
    ranks = ranks or preset.training.ranks or ranks_that_pay(device)
    preset = replace(preset, training=replace(preset.training, ranks=ranks))
    _claim(folder, preset, ranks)
    source = partial(emoji_pictures, preset.vqgan.image_size)
    say(_prepare(source))
    if "tokenizer" in stages and not (folder / "tokenizer").exists():
        say("training the tokenizer")
        with _timed(folder, "tokenizer"):
            train_tokenizer(folder, preset.tokenizer, source)
    for name, work, config in (("vqgan", train_vqgan, preset.vqgan), ("bart", train_bart, preset.bart)):
        if name in stages and not (folder / f"{name}.safetensors").exists():
            say(f"training the {name} with {ranks} {'rank' if ranks == 1 else 'ranks'} on {device}")
            with _timed(folder, name):
                launch(work, ranks, folder, config, preset.training, source, device, watch=watch)
    if stages != STAGES:
        return None
    say("drawing held-out captions")
    return write_report(folder, preset, source(), device)


def _prepare(source: Source) -> str:
    """Render the pictures before ranks start that would all do it; returns a line about them."""
    return source().summary()


@contextmanager
def _timed(folder: Path, stage: str) -> Iterator[None]:
    """Add the seconds that a stage took to those noted in `run.json`, also when it is stopped."""
    began = time.monotonic()
    try:
        yield
    finally:
        noted = load_json(folder / "run.json")
        seconds = noted.setdefault("seconds", {})
        seconds[stage] = round(seconds.get(stage, 0) + time.monotonic() - began, 1)
        save_json(folder / "run.json", noted)


def _claim(folder: Path, preset: Preset, ranks: int) -> None:
    """Note the run's settings in its folder, or check that they are those noted there."""
    settings = json.loads(json.dumps({"preset": asdict(preset), "torch": torch.__version__}))
    noted = folder / "run.json"
    if not noted.exists():
        save_json(noted, settings)
        return
    changed = list(_differences(load_json(noted)["preset"], settings["preset"]))
    if changed:
        raise InvalidValue(
            f"{folder} holds a run with other settings ({'; '.join(changed[:3])}): "
            "choose another --out, or delete that folder to begin anew"
        )


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Where two settings differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
    elif old != new:
        yield f"{name}: {old} → {new}"

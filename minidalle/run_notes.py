"""What a run's folder says of the run: its settings and codes, which must not change, and the seconds of each stage."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from minidalle.checkpoint import CheckpointError, load_json, save_json
from minidalle.errors import InvalidValue
from minidalle.presets import Preset
from minidalle.training.codec import load_codec

Say = Callable[[str], None]

HOW = ("accumulate", "checkpoint_activations", "compile", "log_every", "keep")
"""A stage's settings that say how its steps are computed and reported, and not what comes of them but for rounding."""


def counted(ranks: int) -> str:
    """`1 rank`, `2 ranks`."""
    return "1 rank" if ranks == 1 else f"{ranks} ranks"


def settings_of(preset: Preset) -> dict[str, Any]:
    """What is noted of a run when it begins."""
    settings: dict[str, Any] = json.loads(json.dumps({"preset": asdict(preset), "torch": torch.__version__}))
    return settings


def noted_run(folder: Path, preset: Preset, stages: Sequence[str], say: Say) -> dict[str, Any] | None:
    """What a folder notes of the run that was begun there, brought up to date; None if none was.

    The number of ranks may have changed, and how steps are computed; and all settings of a training that has not begun.
    Those of a training that is not asked for, or is done when several are, stay as they are noted.

    Raises:
        InvalidValue: it was begun with other settings; or nothing was trained there.
    """
    if not (folder / "run.json").exists():
        return None
    noted: dict[str, Any] = load_json(folder / "run.json")
    begun, now = noted["preset"], settings_of(preset)["preset"]
    if "training" not in begun:
        holds = "weights that were imported or exported, which draw and encode"
        raise InvalidValue(f"{folder} holds {holds}: choose another --out to train")
    ranks = begun["training"]["ranks"]
    if ranks != preset.training.ranks:
        goes_on = counted(preset.training.ranks)
        say(f"begun with {counted(ranks)}, goes on with {goes_on}: the same training, up to rounding")
        begun["training"]["ranks"] = preset.training.ranks
    for stage in ("vqgan", "bart"):
        done = (folder / f"{stage}.safetensors").exists()
        started, old, new = done or (folder / "training" / stage).exists(), begun["training"], now["training"]
        if stage not in stages or (done and len(stages) > 1):
            new[stage] = old[stage]
        else:
            old[stage].update({name: new[stage][name] for name in new[stage] if name in HOW or not started})
    refuse(folder, list(_differences(begun, now)))
    return noted


def refuse(folder: Path, changed: list[str]) -> None:
    """Complain if there is a change that is not empty.

    Raises:
        InvalidValue: there is.
    """
    changed = [change for change in changed if change]
    if changed:
        raise InvalidValue(
            f"{folder} holds a run with other settings ({'; '.join(changed[:3])}): "
            "choose another --out, give the settings that it was begun with, or delete that folder to begin anew"
        )


def note_codec(folder: Path) -> None:
    """Note which tokenizer and VQGAN a run's BART is begun with, or check that they are those noted when it was.

    Of a BART that was begun before this was noted, nothing is known, and nothing is said.

    Raises:
        InvalidValue: the BART has learnt another one's tokens, which mean nothing to this one.
        CheckpointError: the run has no tokenizer or VQGAN.
    """
    noted = load_json(folder / "run.json")
    begun = (folder / "bart.safetensors").exists() or (folder / "training" / "bart").exists()
    if begun and "codec" not in noted:
        return
    encoding = load_codec(folder, torch.device("cpu")).encoding()
    codec = {"tokenizer": encoding.tokenizer, "vqgan": encoding.vqgan}
    if not begun:
        save_json(folder / "run.json", {**noted, "codec": codec})
    elif others := [name for name in codec if codec[name] != noted["codec"][name]]:
        raise InvalidValue(
            f"{folder} holds a BART that learnt the tokens of another {' and another '.join(others)}: bring that back, "
            f"or delete {folder / 'bart.safetensors'} and {folder / 'training' / 'bart'} to train one anew"
        )


@contextmanager
def timed(folder: Path, stage: str) -> Iterator[None]:
    """Add the seconds that a stage took to those noted in `run.json`, also when it is stopped."""
    began = time.monotonic()

    def note() -> None:
        noted = load_json(folder / "run.json")
        seconds = noted.setdefault("seconds", {})
        seconds[stage] = round(seconds.get(stage, 0) + time.monotonic() - began, 1)
        save_json(folder / "run.json", noted)

    try:
        yield
    except BaseException:
        with suppress(CheckpointError):  # why it stopped matters more, such as that the disk is full
            note()
        raise
    note()


def _differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Where two settings differ, in words. Of one that is newer than the run, the default is what was done then."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old):
            yield from _differences(old[key], new.get(key), f"{name}.{key}".lstrip("."))
    elif old != new:
        yield f"{name}: {old} → {new}"

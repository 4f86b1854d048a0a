"""Is a run that was killed the same as one that was not? The answer for a whole preset, at its full length.

`python tests/training/resume_full.py [PRESET] [FOLDER] [RANKS]` trains PRESET (default: cpu, 2 ranks) twice, once
straight and once killed (-9) in the middle of the VQGAN's training and in the middle of the BART's, and compares
every tensor, metric, sample picture and model. Takes twice as long as the preset; FOLDER may hold a run already.
"""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from training_recipes import train_preset
from training_runs import differences, last_state, metrics

from minidalle.data import emoji_pictures
from minidalle.presets import PRESETS


def train(name: str, folder: Path, ranks: int) -> None:
    """Train a preset on the emoji, from where it is."""
    preset = PRESETS[name]
    train_preset(preset, partial(emoji_pictures, preset.vqgan.image_size), folder, ranks, None)


def killed(name: str, folder: Path, ranks: int, stage: str, step: int) -> None:
    """Train in another process group, and kill it a moment after the metrics show a step of a stage."""
    command = [sys.executable, __file__, "train", name, str(folder), str(ranks)]
    training = subprocess.Popen(command, start_new_session=True)
    while not any(row["step"] >= step for row in _rows(folder, stage)):
        assert training.poll() is None, "the training ended too early"
        time.sleep(0.2)
    time.sleep(random.uniform(0, 2))
    os.killpg(training.pid, signal.SIGKILL)
    training.wait()
    print(f"killed in {stage} after step {_rows(folder, stage)[-1]['step']}", flush=True)


def _rows(folder: Path, stage: str) -> list[dict]:
    try:
        return metrics(folder, stage)
    except (FileNotFoundError, ValueError):  # not there yet, or a line is being written
        return []


def main(name: str = "cpu", folder: str = "runs/resume", ranks: str = "2") -> None:
    """Train straight, train and kill and resume, compare."""
    straight, disturbed = Path(folder, "straight"), Path(folder, "killed")
    train(name, straight, int(ranks))
    settings = PRESETS[name].training
    for stage, steps in (("vqgan", settings.vqgan.steps), ("bart", settings.bart.steps)):
        if not (disturbed / f"{stage}.safetensors").exists():
            killed(name, disturbed, int(ranks), stage, random.randrange(steps // 3, 4 * steps // 5))
    train(name, disturbed, int(ranks))
    for stage in ("vqgan", "bart"):
        found = differences(straight, disturbed, stage)
        count = f"{len(last_state(straight, stage))} tensors, {len(metrics(straight, stage))} rows of metrics"
        print(f"{stage}: {'; '.join(found[:5]) or 'the same to the last bit'} ({count})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*sys.argv[1:])

"""What a training writes down as it goes: metrics as JSON lines and for TensorBoard, and sample pictures."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minidalle.checkpoint import CheckpointError, atomic_write


class History:
    """The record of one stage, in its folder: `metrics.jsonl`, `tensorboard/`, `samples/`.

    Args:
        folder: where the stage keeps its files.
        start: the step that the training goes on from; what was written of later steps is dropped, since they
            will be taken again.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder = folder
        lines = [json.dumps(row) for row in read_metrics(folder) if row["step"] <= start]
        atomic_write(folder / "metrics.jsonl", "".join(line + "\n" for line in lines))
        self._lines = open(folder / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._board = _tensorboard(folder / "tensorboard", start)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Write the numbers of one step.

        Raises:
            CheckpointError: the disk is full.
        """
        try:
            self._lines.write(json.dumps({"step": step, **values}) + "\n")
            self._lines.flush()
            for name, value in values.items() if self._board else ():
                self._board.add_scalar(name, value, step)
        except OSError as error:
            raise CheckpointError(f"cannot write the metrics in {self.folder}: {error.strerror or error}") from error

    def picture(self, step: int, picture: np.ndarray) -> None:
        """Keep a sample sheet, uint8 [H, W, 3]."""
        path = self.folder / "samples" / f"{step:06d}.png"
        atomic_write(path, lambda draft: Image.fromarray(picture).save(draft, format="PNG"))

    def close(self) -> None:
        """Finish the files. What a full disk keeps from being written is lost; `add` has said so."""
        with suppress(OSError):
            self._lines.close()
        with suppress(OSError):
            if self._board:
                self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The rows of a stage's `metrics.jsonl`, [] if there are none. A last line cut short by a crash is left out."""
    path = folder / "metrics.jsonl"
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _tensorboard(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # a machine without the tensorboard package still has metrics.jsonl
        return None
    return SummaryWriter(str(folder), purge_step=start + 1)

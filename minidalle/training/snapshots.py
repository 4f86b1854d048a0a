"""The checkpoints of a stage: whole or not there, the last few and the best kept, resumed from exactly."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from torch import Tensor

from minidalle.checkpoint import CheckpointError, load_json, load_tensors, save_json, save_tensors

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Position:
    """Where a training stands: the steps taken, and the best dev loss so far with the step that reached it."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")


class Snapshots:
    """The checkpoints of one stage, a folder each, named by step.

    A checkpoint is filled under another name and renamed when it is whole, so a folder with a step's name is
    complete however the process ended.

    Args:
        folder: holds the checkpoints.
        keep: how many of the last ones stay; the best one always stays.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in order."""
        return sorted(int(path.name) for path in self.folder.glob("[0-9]*") if path.name.isdigit())

    def save(self, position: Position, tensors: Tensors) -> None:
        """Write a checkpoint, then delete those that need not be kept.

        Raises:
            CheckpointError: it could not be written; the earlier ones are untouched.
        """
        draft, place = self.folder / f"draft-{os.getpid()}", self._place(position.step)
        try:
            save_tensors(draft / "state.safetensors", tensors)
            save_json(draft / "position.json", asdict(position))
            self._discard(position.step)
            os.replace(draft, place)
        except OSError as error:
            raise CheckpointError(f"cannot write {place}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        for step in self.steps()[: -self.keep]:
            if step != position.best_step:
                with suppress(OSError):  # the next time, perhaps: what matters is saved
                    self._discard(step)

    def load(self, step: int) -> tuple[Position, Tensors]:
        """Read the checkpoint of a step.

        Raises:
            CheckpointError: it is damaged; the message says what to do.
        """
        try:
            position = Position(**load_json(self._place(step) / "position.json"))
            return position, load_tensors(self._place(step) / "state.safetensors")
        except (CheckpointError, TypeError) as error:
            others = [other for other in self.steps() if other != step]
            advice = f"step {others[-1]}" if others else "the start"
            raise CheckpointError(f"{error}. Delete {self._place(step)} to go on from {advice}") from error

    def resume(self, restore: Callable[[Tensors], None]) -> Position:
        """Hand the newest checkpoint's tensors to `restore`; returns where it stands (the start if there is none)."""
        for leftover in self.folder.glob("draft-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a process that was killed while it wrote
        if not self.steps():
            return Position()
        position, tensors = self.load(self.steps()[-1])
        restore(tensors)
        return position

    def _discard(self, step: int) -> None:
        """Delete a checkpoint, if it is there: under another name, since a process may be killed halfway."""
        if self._place(step).exists():
            leftover = self.folder / f"draft-old-{uuid4().hex}"  # a network disk may keep an earlier one for a while
            os.replace(self._place(step), leftover)
            shutil.rmtree(leftover, ignore_errors=True)

    def _place(self, step: int) -> Path:
        return self.folder / f"{step:06d}"


def flatten(**parts: Tensors) -> Tensors:
    """Several states as one: `flatten(model={"w": …})` is `{"model/w": …}`."""
    return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def below(tensors: Tensors, part: str) -> Tensors:
    """The state that `flatten` had under this name."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

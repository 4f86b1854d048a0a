"""One training loop for every stage. It knows steps, ranks and checkpoints, and nothing of any model."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.training.config import StageConfig
from minidalle.training.distributed import Ranks
from minidalle.training.history import History
from minidalle.training.snapshots import Position, Snapshots

SHOWN = 60.0  # seconds that another machine's file may take to appear
AGAIN = 0.5  # seconds after the first Ctrl-C from which another one is a second one


class Diverged(Exception):
    """A loss or gradient that is not a number. The message names the step and the batch."""


class Interrupted(Exception):
    """The user asked the training to stop; everything up to the named step is saved."""


class Stage(Protocol):
    """What a training is, to the loop. Step `n` may depend only on the state and on `n`."""

    name: str

    def step(self, n: int) -> dict[str, float]:
        """Take step `n`. The numbers it returns hold `loss` and are the same on every rank."""

    def batch_name(self, n: int) -> str:
        """Words that name the batch of step `n` to a person."""

    def evaluate(self) -> dict[str, float]:
        """Measure on `dev` with the averaged weights; holds `dev_loss`, the number that chooses the best step."""

    def sample(self) -> np.ndarray:
        """A sheet of sample pictures, uint8 [H, W, 3]. Only rank 0 is asked."""

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, flat, which does not depend on how many ranks there are. All are asked, rank 0 saves."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""


@dataclass(frozen=True)
class Progress:
    """What a person watching wants to know: the step that is done, of how many, and how it goes."""

    stage: str
    step: int
    steps: int
    loss: float
    pictures_per_second: float
    seconds_left: float


Watch = Callable[[Progress], None]


def train(stage: Stage, config: StageConfig, folder: Path, ranks: Ranks, watch: Watch | None = None) -> Position:
    """Take a stage from its last checkpoint, or from the start, to its last step; then load its best weights.

    Every random draw belongs to (seed, step, stream), so a training that was killed and resumed ends with the
    same bits as one that was not, on the same machine with the same threads and ranks. A GPU adds in an order of
    its own: there it holds under `torch.use_deterministic_algorithms(True)` only. With another number of ranks it is
    the same training up to rounding, and a checkpoint of one is one for all: lots are drawn for the whole batch, and
    each rank takes those of its rows. What a model's dropout leaves out is the one exception.

    Args:
        stage: what is trained.
        config: how long, and how often to log, evaluate and save.
        folder: the stage's own; holds `metrics.jsonl`, `tensorboard/`, `samples/` and `checkpoints/`.
        ranks: this process among those that train together. Only rank 0 writes.
        watch: called after every step on rank 0.

    Raises:
        InvalidValue: the ranks cannot share a batch evenly.
        Interrupted: Ctrl-C or SIGTERM came; the state was saved first.
        Diverged: a number was not finite; the last checkpoint is untouched.
        CheckpointError: a checkpoint could not be written or read.
    """
    config.check_ranks(ranks.size)
    snapshots = Snapshots(folder / "checkpoints", config.keep)
    position = snapshots.resume(stage.restore)
    _agree(ranks, position.step, snapshots.folder)  # and nobody tidies up while another still reads
    history = History(folder, position.step) if ranks.first else None
    pace = Pace(config, position.step)
    try:
        with stop_requests() as stop:
            while position.step < config.steps:
                numbers = _step(stage, position.step)
                position = replace(position, step=position.step + 1)
                progress = pace.progress(stage.name, position.step, numbers["loss"])
                if watch and ranks.first:
                    watch(progress)
                numbers["pictures_per_second"] = progress.pictures_per_second
                position = _record(stage, config, position, numbers, history)
                stopping = ranks.any(stop.is_set())
                if stopping or _due(config, position.step):
                    state = stage.tensors()
                    if ranks.first:
                        snapshots.save(position, state)
                    ranks.wait()
                if stopping:
                    raise Interrupted(f"{stage.name}: stopped and saved at step {position.step} of {config.steps}")
    finally:
        if history:
            history.close()
    if position.best_step not in (0, position.step):
        stage.restore(snapshots.load(position.best_step)[1])
    return position


def _agree(ranks: Ranks, step: int, folder: Path) -> None:
    """Complain unless all ranks see the same folder, and go on from the same checkpoint in it."""
    if ranks.size == 1:
        return
    mark = folder / "seen-by-all"
    if ranks.first:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
    ranks.wait()
    seen, steps = ranks.all(_appears(mark)), ranks.all(step)
    if ranks.first:
        mark.unlink(missing_ok=True)
    for rank, (sees, found) in enumerate(zip(seen, steps, strict=True)):
        if not sees or found != step:
            what = f"goes on from step {found:.0f}, rank {ranks.rank} from step {step}" if sees else "does not see it"
            raise CheckpointError(f"all ranks, on whatever machine, must share {folder}: rank {rank} {what}")


def _appears(file: Path) -> bool:
    """Whether a file is there; a network disk may take its time to show it."""
    deadline = time.monotonic() + SHOWN
    while not file.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _step(stage: Stage, n: int) -> dict[str, float]:
    numbers = stage.step(n)
    _check(stage, n, numbers)
    return numbers


def _check(stage: Stage, n: int, numbers: dict[str, float]) -> None:
    wrong = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        raise Diverged(f"{stage.name}, step {n}: {', '.join(wrong)}. The batch: {stage.batch_name(n)}")


def _record(
    stage: Stage, config: StageConfig, position: Position, numbers: dict[str, float], history: History | None
) -> Position:
    """Log, and evaluate when it is time; returns the position with the best step brought up to date."""
    evaluating = _due(config, position.step)
    if evaluating:
        numbers = numbers | stage.evaluate()
        _check(stage, position.step - 1, numbers)  # of weights that the last step spoiled, before they are saved
        if numbers["dev_loss"] <= position.best_loss:
            position = replace(position, best_step=position.step, best_loss=numbers["dev_loss"])
    if history and (evaluating or position.step % config.log_every == 0):
        history.add(position.step, numbers)
    if history and evaluating:
        history.picture(position.step, stage.sample())
    return position


def _due(config: StageConfig, step: int) -> bool:
    """Whether to evaluate and save after this many steps. Both, so that the best step always has a checkpoint."""
    return step == config.steps or step % config.checkpoint_every == 0


class Pace:
    """How fast a training goes, from the last fifty steps, evaluation included."""

    def __init__(self, config: StageConfig, start: int) -> None:
        self.config = config
        self.times = [(start, time.perf_counter())]

    def progress(self, stage: str, step: int, loss: float) -> Progress:
        """Note that a step is done."""
        self.times = [*self.times[-50:], (step, time.perf_counter())]
        (first, began), (last, ended) = self.times[0], self.times[-1]
        rate = (last - first) * self.config.batch_size / max(ended - began, 1e-9)
        seconds_left = (self.config.steps - step) * self.config.batch_size / max(rate, 1e-9)
        return Progress(stage, step, self.config.steps, loss, rate, seconds_left)


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that the step under way is finished; a second Ctrl-C ends at once.

    A second one is one that comes later: who stops a whole job signals each process, and torchrun passes that on again.
    """
    stop, asked = threading.Event(), 0.0
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach only the main thread
        return

    def request(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        if stop.is_set() and signum == signal.SIGINT and time.monotonic() - asked > AGAIN:
            raise KeyboardInterrupt
        if not stop.is_set():
            asked = time.monotonic()
        stop.set()

    earlier = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in earlier:
        if signal.getsignal(name) is not signal.SIG_IGN:  # a rank that leaves Ctrl-C to rank 0
            signal.signal(name, request)
    try:
        yield stop
    finally:
        for name, handler in earlier.items():
            signal.signal(name, handler)

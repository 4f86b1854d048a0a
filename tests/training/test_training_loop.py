"""The loop, with a stage that has one number: what it saves, when it stops, what it says."""

import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.runtime import generator
from minidalle.training.config import StageConfig
from minidalle.training.distributed import Ranks
from minidalle.training.history import read_metrics
from minidalle.training.loop import AGAIN, Diverged, Interrupted, Pace, Progress, train

CONFIG = StageConfig(steps=20, batch_size=4, learning_rate=1.0, warmup=0, log_every=2, checkpoint_every=5, keep=2)


class Walk:
    """A random walk. Its dev loss is best at `best`; it may be spoiled at a step."""

    name = "walk"

    def __init__(self, best: int = 20, wrong_at: int = -1, wrong: str = "loss") -> None:
        self.value, self.taken = torch.zeros(3), 0
        self.best, self.wrong_at, self.wrong = best, wrong_at, wrong
        self.steps: list[int] = []

    def step(self, n: int) -> dict[str, float]:
        self.steps.append(n)
        self.value += torch.randn(3, generator=generator(0, "walk", n))
        self.taken = n + 1
        numbers = {"loss": float(self.value.abs().sum()), "gradient_norm": 1.0}
        return numbers | ({self.wrong: math.nan} if n == self.wrong_at and self.wrong in numbers else {})

    def batch_name(self, n: int) -> str:
        return f"the rows of step {n}"

    def evaluate(self) -> dict[str, float]:
        spoiled = self.wrong == "dev_loss" and self.taken == self.wrong_at + 1
        return {"dev_loss": math.inf if spoiled else abs(self.taken - self.best) + 1.0}

    def sample(self) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def tensors(self) -> dict[str, Tensor]:
        return {"value": self.value, "taken": torch.tensor(self.taken)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.value, self.taken = tensors["value"].clone(), int(tensors["taken"])


def test_every_step_once_and_the_best_weights_at_the_end(tmp_path: Path) -> None:
    stage, seen = Walk(best=10), list[Progress]()
    position = train(stage, CONFIG, tmp_path, Ranks(), seen.append)
    assert stage.steps == list(range(20))
    assert (position.step, position.best_step, position.best_loss) == (20, 10, 1.0)
    assert stage.taken == 10
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["000010", "000015", "000020"]
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == [2, 4, 5, 6, 8, 10, 12, 14, 15, 16, 18, 20]
    assert [row["step"] for row in rows if "dev_loss" in row] == [5, 10, 15, 20]
    assert sorted(os.listdir(tmp_path / "samples")) == [f"{n:06d}.png" for n in (5, 10, 15, 20)]
    assert [progress.step for progress in seen] == list(range(1, 21))
    assert seen[-1].seconds_left == 0
    assert all(progress.pictures_per_second > 0 for progress in seen)


def test_the_pace_is_that_of_the_last_fifty_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed training, of batches of four: the first ten steps take 9 s each, fifty more half a second."""
    clock = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    pace = Pace(replace(CONFIG, steps=200), 30)
    for step, seconds in enumerate([9.0] * 10 + [0.5] * 50, 31):
        clock += seconds
        progress = pace.progress("walk", step, 0.0)
        if step == 32:
            assert progress.pictures_per_second == pytest.approx(4 / 9)
    assert (progress.step, progress.steps, progress.pictures_per_second) == (90, 200, pytest.approx(8))
    assert progress.seconds_left == pytest.approx(110 / 2)


def test_a_finished_training_is_not_taken_again(tmp_path: Path) -> None:
    train(Walk(best=10), CONFIG, tmp_path, Ranks())
    again = Walk(best=10)
    assert train(again, CONFIG, tmp_path, Ranks()).best_step == 10
    assert again.steps == []
    assert again.taken == 10


@pytest.mark.parametrize("last", [1, 4, 5, 6, 17, 19, 20])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_the_step_under_way_and_the_rest_is_the_same(tmp_path: Path, last: int, number: int) -> None:
    whole = Walk()
    train(whole, CONFIG, tmp_path / "whole", Ranks())

    def stop(progress: Progress) -> None:
        if progress.step == last:
            os.kill(os.getpid(), number)

    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    stage = Walk()
    with pytest.raises(Interrupted, match=f"^walk: stopped and saved at step {last} of 20$"):
        train(stage, CONFIG, tmp_path / "run", Ranks(), stop)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert stage.steps == list(range(last))
    rest = Walk()
    train(rest, CONFIG, tmp_path / "run", Ranks())
    assert rest.steps == list(range(last, 20))
    assert torch.equal(rest.value, whole.value)
    without_clock = [
        [{k: v for k, v in row.items() if k != "pictures_per_second"} for row in read_metrics(tmp_path / name)]
        for name in ("whole", "run")
    ]
    assert without_clock[0] == without_clock[1]


def test_a_stop_while_it_evaluates_is_noticed(tmp_path: Path) -> None:
    class Slow(Walk):
        def evaluate(self) -> dict[str, float]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().evaluate()

    with pytest.raises(Interrupted, match="at step 5 of 5"):
        train(Slow(), replace(CONFIG, steps=5), tmp_path, Ranks())


def press_ctrl_c(at: int, pauses: list[float]) -> Callable[[Progress], None]:
    """What presses Ctrl-C at a step, after each of these pauses in seconds."""

    def press(progress: Progress) -> None:
        for pause in pauses if progress.step == at else ():
            time.sleep(pause)
            signal.raise_signal(signal.SIGINT)  # to this thread: sent to the process, two that are near can become one

    return press


@pytest.mark.parametrize("pauses", [[0, AGAIN + 0.1], [0, *[0.6 * AGAIN] * 2]], ids=["later", "impatient"])
def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, pauses: list[float]) -> None:
    stage = Walk()
    with pytest.raises(KeyboardInterrupt):
        train(stage, CONFIG, tmp_path, Ranks(), press_ctrl_c(7, pauses))
    assert len(stage.steps) == 7
    assert os.listdir(tmp_path / "checkpoints") == ["000005"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_torchrun_passes_on_again_is_one(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="at step 7 of 20"):
        train(Walk(), CONFIG, tmp_path, Ranks(), press_ctrl_c(7, [0, 0, 0]))
    assert sorted(os.listdir(tmp_path / "checkpoints"))[-1] == "000007"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("wrong", ["loss", "gradient_norm"])
def test_a_number_that_is_none_stops_the_training_by_name(tmp_path: Path, wrong: str) -> None:
    expected = f"^walk, step 12: {wrong} is nan. The batch: the rows of step 12$"
    with pytest.raises(Diverged, match=expected):
        train(Walk(wrong_at=12, wrong=wrong), CONFIG, tmp_path, Ranks())
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["000005", "000010"]
    with pytest.raises(Diverged, match=expected):  # it comes again: the batches depend on nothing else
        train(Walk(wrong_at=12, wrong=wrong), CONFIG, tmp_path, Ranks())


def test_weights_that_a_step_spoiled_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"^walk, step 14: dev_loss is inf"):
        train(Walk(wrong_at=14, wrong="dev_loss"), CONFIG, tmp_path, Ranks())
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["000005", "000010"]


def test_a_full_disk_is_said_and_the_last_checkpoint_is_whole(tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: Progress) -> None:
        if progress.step == 13:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))

    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*File too large"):
            train(Walk(), CONFIG, tmp_path, Ranks(), fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    rest = Walk()
    train(rest, CONFIG, tmp_path, Ranks())
    assert rest.steps == list(range(10, 20))
    assert [row["step"] for row in read_metrics(tmp_path)] == [2, 4, 5, 6, 8, 10, 12, 14, 15, 16, 18, 20]

"""Several ranks: they keep one state, they say who failed and why, and none outlives the others."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_recipes import spoiled, squares, tiny
from training_runs import CHILD, Run, metrics

from minidalle.checkpoint import CheckpointError
from minidalle.errors import InvalidValue
from minidalle.training.distributed import RankFailed, Ranks, launch
from minidalle.training.loop import Diverged
from minidalle.training.stages import train_vqgan

pytestmark = pytest.mark.slow

SOURCE = partial(squares, 16)


def test_a_codebook_learnt_by_gradient_starts_late_on_two_ranks_too(tmp_path: Path) -> None:
    preset = tiny()
    vqgan = replace(preset.vqgan, ema_decay=0.0, restart_below=0.0)
    training = replace(preset.training.vqgan, steps=8, warmup=1, unquantized=4, discriminator_start=None)
    launch(train_vqgan, 2, tmp_path, vqgan, replace(preset.training, vqgan=training), SOURCE, "cpu")
    assert metrics(tmp_path, "vqgan")[-1]["commitment"] > 0


def summed_in_order(ranks: Ranks, folder: Path, start: int, steps: int) -> None:
    """Train a few layers by hand; with `start`, from what was kept at that step."""
    torch.manual_seed(0)
    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(37, 37), nn.Tanh())))
    if start:
        model.load_state_dict(torch.load(folder / f"{start}.pt"))
    shared = ranks.share(model)
    for n in range(start, steps):
        torch.manual_seed(100 * n + ranks.rank)
        (shared(torch.randn(50, 37)) - torch.randn(50, 37)).square().mean().backward()
        with torch.no_grad():
            for weight in model.parameters():
                assert weight.grad is not None
                weight -= 0.5 * weight.grad
                weight.grad = None
        if ranks.first:
            torch.save(model.state_dict(), folder / f"{n + 1}{'-resumed' if start else ''}.pt")
    ranks.wait()


def test_three_ranks_add_gradients_in_the_same_order_after_a_resume(tmp_path: Path) -> None:
    launch(summed_in_order, 3, tmp_path, 0, 5)
    launch(summed_in_order, 3, tmp_path, 2, 5)
    straight, resumed = (torch.load(tmp_path / name) for name in ("5.pt", "5-resumed.pt"))
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_a_batch_that_is_no_number_is_named_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    """Here it is rank 1 that has it; rank 0 reports."""
    preset = tiny()
    with pytest.raises(Diverged, match=r"^vqgan, step 23: .*loss is nan.* The batch: row \d+: .*\(16 rows\)$"):
        launch(spoiled, 2, "nan", 23, 1, train_vqgan, tmp_path, preset.vqgan, preset.training, SOURCE, "cpu")
    checkpoints = tmp_path / "training" / "vqgan" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["000020"]
    assert metrics(tmp_path, "vqgan")[-1]["step"] == 23
    assert not torch.distributed.is_initialized()


def test_a_rank_that_is_killed_is_named_within_seconds_and_the_training_goes_on(tmp_path: Path) -> None:
    preset = tiny()
    short = replace(preset.training, vqgan=replace(preset.training.vqgan, steps=30, checkpoint_every=5))
    began = time.monotonic()
    with pytest.raises(RankFailed, match="rank 1 of 2 ended: exit code -9"):
        launch(spoiled, 2, "die", 12, 1, train_vqgan, tmp_path, preset.vqgan, short, SOURCE, "cpu")
    assert time.monotonic() - began < 60
    assert not torch.distributed.is_initialized()
    launch(train_vqgan, 2, tmp_path, preset.vqgan, short, SOURCE, "cpu")
    assert [row["step"] for row in metrics(tmp_path, "vqgan")] == list(range(1, 31))


def test_a_rank_that_raises_is_named_with_its_words(tmp_path: Path) -> None:
    preset = tiny()
    with pytest.raises(RankFailed, match=r"(?s)rank 1 of 2 ended: Traceback.*ValueError: this rank has had enough"):
        launch(spoiled, 2, "fail", 2, 1, train_vqgan, tmp_path, preset.vqgan, preset.training, SOURCE, "cpu")


def test_when_rank_0_is_killed_the_others_leave(tmp_path: Path) -> None:
    run = Run(tmp_path / "log", "--slow-from", 3, "train", "tiny", tmp_path / "run", 2)
    run.until("vqgan", 3)
    run.signal(signal.SIGKILL, group=False)
    assert run.process.wait() == -signal.SIGKILL
    assert run.gone(within=10)
    run.end()


def test_the_others_leave_even_if_they_were_not_waiting_for_rank_0() -> None:
    code = "from training_recipes import nap; from minidalle.training.distributed import launch; launch(nap, 2)"
    rank_0 = subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHILD.parent, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert rank_0.stdout
    assert rank_0.stdout.readline() == "napping\n"
    rank_0.kill()
    rank_0.communicate(timeout=10)  # its output ends when the last process that has it ends


def never_starts(ranks: Ranks, word: Any) -> None:
    raise AssertionError("it cannot even be sent here")


class Stubborn:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os._exit, (7,))


def test_a_rank_that_cannot_start_is_named_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(RankFailed, match="rank 1 of 2 ended: exit code 7"):
        launch(never_starts, 2, Stubborn())
    assert time.monotonic() - began < 60


def test_what_cannot_be_sent_to_a_rank_is_said_as_it_is() -> None:
    with pytest.raises((AttributeError, TypeError), match=r"(?i)pickle|local"):
        launch(never_starts, 2, threading.Lock())


def speak(ranks: Ranks, folder: Path, word: str, only_first: str = "nothing") -> None:
    total = ranks.sum(torch.tensor([ranks.rank + 1.0]))
    mean = ranks.mean({"a": torch.tensor(float(ranks.rank)), "b": torch.tensor(2.0)})
    heard = [word, only_first, ranks.size, torch.get_num_threads(), total.item(), mean, ranks.any(ranks.rank == 1)]
    (folder / f"{ranks.rank}.txt").write_text(repr(heard))


def test_ranks_get_their_arguments_and_their_share_of_the_cores(tmp_path: Path) -> None:
    torch.set_num_threads(3)
    launch(speak, 2, tmp_path, "hello", only_first="for rank 0")
    assert torch.get_num_threads() == 3
    assert not torch.distributed.is_initialized()
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    said = [eval((tmp_path / f"{rank}.txt").read_text()) for rank in range(2)]
    assert said[0] == ["hello", "for rank 0", 2, threads, 3.0, {"a": 0.5, "b": 2.0}, True]
    assert said[1] == ["hello", "nothing", 2, threads, 3.0, {"a": 0.5, "b": 2.0}, True]


def complain(ranks: Ranks, folder: Path) -> None:
    raise CheckpointError(f"{folder} is damaged")


def test_an_error_of_all_ranks_comes_through_as_it_is(tmp_path: Path) -> None:
    """Not as a rank's traceback: a damaged checkpoint is read by every rank."""
    torch.set_num_threads(3)
    with pytest.raises(CheckpointError, match=r"is damaged$"):
        launch(complain, 2, tmp_path)
    assert torch.get_num_threads() == 3
    assert not torch.distributed.is_initialized()


def test_one_rank_needs_no_other_process(tmp_path: Path) -> None:
    launch(speak, 1, tmp_path, "alone", only_first="me")
    assert eval((tmp_path / "0.txt").read_text())[:3] == ["alone", "me", 1]
    with pytest.raises(CheckpointError):
        launch(complain, 1, tmp_path)


def uneven(ranks: Ranks, folder: Path) -> None:
    training = replace(tiny().training, vqgan=replace(tiny().training.vqgan, batch_size=15))
    train_vqgan(ranks, folder, tiny().vqgan, training, SOURCE, "cpu")


def test_a_batch_that_the_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="batch_size=15: expected a multiple of 2"):
        launch(uneven, 2, tmp_path)


def differing(ranks: Ranks, folder: Path) -> None:
    """The discriminator's gradients are averaged too, and all ranks keep the same weights."""
    from minidalle.training.vqgan import VQGANStage
    from minidalle.vqgan import VQGAN

    torch.manual_seed(1)
    settings = replace(tiny().training.vqgan, unquantized=1, discriminator_start=1, discriminator_warmup=2)
    stage = VQGANStage(settings, VQGAN(tiny().vqgan), SOURCE(), 0, ranks)
    for n in range(6):
        numbers = stage.step(n)
    assert numbers["adaptive_weight"] > 0
    state: dict[str, Tensor] = stage.tensors()
    torch.save(state, folder / f"{ranks.rank}.pt")
    ranks.wait()


def test_all_ranks_keep_the_same_state(tmp_path: Path) -> None:
    launch(differing, 2, tmp_path)
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []
    assert any(name.startswith("adversary/model/") for name in one)

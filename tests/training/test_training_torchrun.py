"""Under torchrun: the group that exists is joined, a lost rank is named, what was stopped goes on to the same bits."""

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from training_recipes import train_recipe
from training_runs import Torchrun, differences, last_state, metrics

from minidalle.checkpoint import CheckpointError
from minidalle.errors import InvalidValue
from minidalle.training import torchrun
from minidalle.training.distributed import Ranks
from minidalle.training.loop import _agree
from minidalle.training.torchrun import Seat, _whose_fault, place, seat

COMMAND = ("train", "vqgan", "--preset", "tiny", "--device", "cpu", "--out")
STARTED = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost",
           "MASTER_PORT": "29500"}  # fmt: skip


@dataclass
class Disturbed:
    """A run that lost a rank, was stopped and went on, and what was seen on the way."""

    folder: Path
    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    saved: list[list[str]] = field(default_factory=list)
    left: list[bool] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    seen = Disturbed(tmp_path_factory.mktemp("torchrun") / "run")
    for step, number in ((27, signal.SIGKILL), (33, signal.SIGTERM)):
        run = Torchrun(seen.folder.parent / f"log {step}", "--slow-from", step, "cli", *COMMAND, seen.folder)
        run.until("vqgan", step)
        pids = [run.pid(rank) for rank in range(2)]
        seen.held.append((seen.folder / "lock").read_text() == f"{pids[0]}\n")
        asked = time.monotonic()
        os.kill(pids[1] if number == signal.SIGKILL else run.process.pid, number)
        seen.codes.append(run.end())
        seen.seconds.append(time.monotonic() - asked)
        seen.left += [Path(f"/proc/{pid}").exists() for pid in pids]
        seen.said.append(run.errors)
        checkpoints = seen.folder / "training" / "vqgan" / "checkpoints"
        seen.saved.append(sorted(path.name for path in checkpoints.glob("*")))
    return seen


@pytest.mark.slow
def test_a_killed_rank_is_named_within_seconds(disturbed: Disturbed) -> None:
    lines = [line for line in disturbed.said[0].splitlines() if line.startswith("minidalle: ")]
    assert lines == ["minidalle: rank 1 of 2 ended without a word: it was killed, or its machine is gone. The last "
                     "checkpoint is whole: the same command goes on from it"]  # fmt: skip
    assert disturbed.codes[0] != 0
    assert disturbed.seconds[0] < 25
    assert disturbed.saved[0] == ["000020"]
    assert not any(disturbed.left)


@pytest.mark.slow
def test_rank_0_holds_the_folder_while_it_trains(disturbed: Disturbed) -> None:
    assert disturbed.held == [True, True]
    assert not (disturbed.folder / "lock").exists()


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_go_on(disturbed: Disturbed) -> None:
    (line,) = [line for line in disturbed.said[1].splitlines() if line.startswith("vqgan: stopped and saved at step ")]
    step = int(line.split()[6])
    assert 33 <= step < 40
    assert disturbed.saved[1] == ["000020", f"{step:06d}"]
    assert f"of 60. To go on: torchrun --nproc-per-node 2 -m minidalle {' '.join(COMMAND)}" in line
    assert disturbed.seconds[1] < 25


@pytest.mark.slow
def test_what_went_on_ends_with_the_bits_of_two_ranks_without_torchrun(disturbed: Disturbed, tmp_path: Path) -> None:
    for folder in (tmp_path, disturbed.folder):
        train_recipe("tiny", folder, 2, upto="vqgan")
    assert len(last_state(tmp_path, "vqgan")) > 100
    assert differences(tmp_path, disturbed.folder, "vqgan") == []
    assert [row["step"] for row in metrics(disturbed.folder, "vqgan")] == list(range(1, 61))


def test_a_seat_is_what_the_environment_says() -> None:
    assert seat({"PATH": "/bin", "RANK": "0"}) is None
    here = seat(STARTED)
    assert here == Seat(3, 4, 1, 2)
    assert here.machines == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"LOCAL_RANK": None, "MASTER_ADDR": None}, "missing='LOCAL_RANK, MASTER_ADDR': expected all that torchrun"),
        ({"RANK": "first"}, r"'RANK': 'first'.*: expected whole numbers"),
        ({"RANK": "4"}, "expected ranks below their sizes"),
        ({"LOCAL_WORLD_SIZE": "3"}, "as many on each machine"),
    ],
)
def test_half_an_environment_is_refused_in_a_line(change: dict[str, str | None], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        seat({name: value for name, value in (STARTED | change).items() if value is not None})


def test_the_command_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torchrun.command(["run", "--seed", "1"]) == "minidalle run --seed 1"
    quoted = "minidalle encode 'shards/*.tar' --out 'my tokens'"
    assert torchrun.command(["encode", "shards/*.tar", "--out", "my tokens"]) == quoted
    for name, value in STARTED.items():
        monkeypatch.setenv(name, value)
    assert torchrun.follows()
    expected = "torchrun --nnodes 2 … (the same on each machine) --nproc-per-node 2 -m minidalle run"
    assert torchrun.command(["run"]) == expected
    assert torchrun.command(["run", "--out", "my run"]) == f"{expected} --out 'my run'"
    monkeypatch.setattr(sys, "platform", "win32")
    assert torchrun.command(["run", "--out", "my run"]) == f'{expected} --out "my run"'


@pytest.mark.parametrize(
    ("device", "words"),
    [("mps", "--ranks=2: expected 1 on a GPU$"), ("cuda", "--ranks=2: expected 1 on a GPU; for several: torchrun")],
)
def test_ranks_do_not_share_a_gpu(device: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchrun, "pick_device", torch.device)
    with pytest.raises(InvalidValue, match=words):
        torchrun.meet(device, 2)
    assert torchrun.meet(device, 0) is not None
    assert torchrun.meet("cpu", 2) is not None


def test_a_place_that_is_not_there_is_refused_by_the_first_rank_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[int]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert place(Seat(3, 4, 1, 2), "cuda") == place(Seat(2, 4, 0, 2), "auto", ranks=4) == "cuda"
    assert place(Seat(3, 4, 1, 2), "cpu") == "cpu"
    assert taken == [1, 0]
    for arguments, words in (
        ((Seat(0, 3, 0, 3), "cuda"), "--nproc-per-node=3: expected at most 2, the GPUs of this machine"),
        ((Seat(0, 2, 0, 2), "cuda:1"), "--device='cuda:1': expected auto, cpu or cuda"),
        ((Seat(0, 2, 0, 2), "cpu", 3), "--ranks=3: expected 2, which torchrun started, or no --ranks at all"),
    ):
        with pytest.raises(InvalidValue, match=words):
            place(*arguments)  # type: ignore[arg-type]
        with pytest.raises(SystemExit):
            place(arguments[0]._replace(rank=1, local_rank=1), *arguments[1:])  # type: ignore[arg-type]
    assert len(taken) == 2


def test_several_gpus_need_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    words = "--ranks=2: expected 1 on a GPU; for several: torchrun --nproc-per-node 2 -m minidalle"
    with pytest.raises(InvalidValue, match=words):
        torchrun.meet("cuda", 2)
    alone = torchrun.meet("cuda", 0)
    assert alone is not None
    assert alone[:2] == ("cuda", 1)


def test_who_was_at_fault_is_told_from_what_the_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchrun, "SILENCE", 0.1)
    store = dist.HashStore()
    store.set("said 1", "")
    assert _whose_fault(store, 3).startswith("rank 2 of 3 ended without a word")
    assert _whose_fault(store, 4).startswith("one of the ranks [2, 3] of 4 ended without a word")
    store.set("said 2", "Traceback …\nValueError: enough\n")
    assert _whose_fault(store, 3) == "rank 2 of 3 ended: Traceback …\nValueError: enough"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([[1.0, 1.0], [20.0, 0.0]], "rank 1 goes on from step 0, rank 0 from step 20"),
        ([[1.0, 0.0], [0.0, 0.0]], "rank 1 does not see it"),
    ],
)
def test_ranks_that_see_another_folder_are_told(tmp_path: Path, said: list[list[float]], words: str) -> None:
    class Apart(Ranks):
        def all(self, number: float) -> list[float]:
            return said.pop(0)

        def wait(self) -> None:
            pass

    step = int(said[1][0])
    with pytest.raises(CheckpointError, match=rf"must share \S+: {words}$"):
        _agree(Apart(0, 2), step, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []

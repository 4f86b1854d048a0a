"""A training that was killed, stopped or crashed, and goes on, ends with the same bits as one that was not."""

import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from training_runs import Run, differences, last_state, metrics

pytestmark = pytest.mark.slow

Start = Callable[..., Run]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    logs = tmp_path_factory.mktemp("logs")
    return lambda *arguments: Run(logs / str(time.monotonic_ns()), *arguments)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 rank", "2 ranks"])
def ranks(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, start: Start, ranks: int) -> Path:
    """A run that nothing disturbs."""
    folder = tmp_path_factory.mktemp(f"straight-{ranks}")
    run = start("train", "tiny", folder, ranks)
    run.until("bart", 60)
    assert run.end() == 0, run.errors
    return folder


@dataclass
class Disturbed:
    """A run that was disturbed in every way, and what was seen on the way."""

    folder: Path
    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    saved: list[list[str]] = field(default_factory=list)


DISTURBANCES = (
    ("train", "vqgan", 7, signal.SIGKILL),  # before the first checkpoint
    ("cli", "vqgan", 27, signal.SIGINT),  # after k-means and the first restarts, within an epoch
    ("train", "vqgan", 45, signal.SIGKILL),  # while the discriminator is heard
    ("train", "bart", 14, signal.SIGKILL),  # after the draft's own steps
    ("cli", "bart", 33, signal.SIGTERM),
)


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory, start: Start, ranks: int) -> Disturbed:
    seen = Disturbed(tmp_path_factory.mktemp(f"disturbed-{ranks}"))
    for how, stage, step, number in DISTURBANCES:
        run = (_cli if how == "cli" else _train)(start, seen.folder, ranks, stage, step)
        run.until(stage, step)
        time.sleep(0.03 * step % 0.1)  # somewhere within a step
        asked = time.monotonic()
        run.signal(number)
        seen.codes.append(run.end())
        seen.seconds.append(time.monotonic() - asked)
        seen.said.append(run.errors)
        seen.orphans += [] if run.gone(within=10) else [f"{stage} {step}"]
        checkpoints = seen.folder / "training" / stage / "checkpoints"
        seen.saved.append(sorted(path.name for path in checkpoints.glob("*")))
    last = start("train", "tiny", seen.folder, ranks)
    assert last.end() == 0, last.errors
    return seen


def _cli(start: Start, folder: Path, ranks: int, stage: str, slow_from: float) -> Run:
    command = ("train", stage, "--preset", "tiny", "--ranks", ranks, "--out", folder, "--device", "cpu")
    return start("--slow-from", slow_from, "cli", *command)


def _train(start: Start, folder: Path, ranks: int, stage: str, slow_from: float) -> Run:
    return start("--slow-from", slow_from, "train", "tiny", folder, ranks, stage)


@pytest.mark.parametrize("stage", ["vqgan", "bart"])
def test_every_bit_is_the_same(straight: Path, disturbed: Disturbed, stage: str) -> None:
    assert len(last_state(straight, stage)) > 100
    assert differences(straight, disturbed.folder, stage) == []


def test_the_run_had_all_that_could_differ(straight: Path) -> None:
    rows = metrics(straight, "vqgan")
    assert sum(row["restarted"] for row in rows[20:24]) > 0
    assert sum(row["restarted"] for row in rows[45:]) > 0
    assert rows[-1]["adaptive_weight"] > 0
    assert rows[-1]["codes_used"] > 0
    state = last_state(straight, "vqgan")
    assert any(name.startswith("adversary/optimizer/") for name in state)
    assert any(not tensor.equal(state[name.replace("average/", "model/")]) for name, tensor in state.items()
               if name.startswith("average/"))  # fmt: skip
    assert "draft_nats" in metrics(straight, "bart")[5]


def test_ctrl_c_and_sigterm_end_with_130_within_seconds(disturbed: Disturbed) -> None:
    for index in (1, 4):
        assert disturbed.codes[index] == 130, disturbed.said[index]
        assert disturbed.seconds[index] < 8
    assert [code for index, code in enumerate(disturbed.codes) if index not in (1, 4)] == [-signal.SIGKILL] * 3


def test_ctrl_c_saves_the_step_that_it_names_and_says_how_to_go_on(disturbed: Disturbed) -> None:
    for index, stage in ((1, "vqgan"), (4, "bart")):
        line = disturbed.said[index].strip().splitlines()[-1]
        words = line.split()
        assert line.startswith(f"{stage}: stopped and saved at step ")
        assert f"{int(words[6]):06d}" in disturbed.saved[index]
        assert words[6] not in ("20", "40", "60")  # not a checkpoint that would have been there anyway
        assert f"To go on: minidalle train {stage} --preset tiny" in line
        assert "Traceback" not in disturbed.said[index]


def test_no_process_is_left_behind(disturbed: Disturbed) -> None:
    assert disturbed.orphans == []


def test_metrics_have_every_step_once(disturbed: Disturbed) -> None:
    for stage in ("vqgan", "bart"):
        assert [row["step"] for row in metrics(disturbed.folder, stage)] == list(range(1, 61))


def test_a_run_killed_between_its_training_and_its_export_only_exports(
    straight: Path, tmp_path: Path, start: Start, ranks: int
) -> None:
    shutil.copytree(straight, tmp_path, dirs_exist_ok=True)
    (tmp_path / "bart.safetensors").unlink()
    run = start("train", "tiny", tmp_path, ranks)
    assert run.end() == 0, run.errors
    assert run.rest == ""  # not one step
    assert differences(straight, tmp_path, "bart") == []


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_two_ctrl_c_end_at_once(tmp_path: Path, start: Start, ranks: int) -> None:
    run = _cli(start, tmp_path, ranks, "vqgan", 5)
    run.until("vqgan", 5)
    asked = time.monotonic()
    run.signal(signal.SIGINT)
    time.sleep(0.7)  # sooner, it would be the same one, passed on
    run.signal(signal.SIGINT)
    assert run.end() != 0
    assert time.monotonic() - asked < 8
    assert run.gone(within=10)

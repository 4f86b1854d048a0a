"""Trainings on a GPU: the CPU's losses step for step, exact after a resume, and a whole run from end to end."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from training_recipes import even, plain, squares, tiny, worded
from training_runs import CHILD, differences, metrics

from minidalle.presets import TINY, Preset
from minidalle.training.distributed import Ranks
from minidalle.training.loop import Progress, Watch
from minidalle.training.stages import Source, train_bart, train_clip, train_tokenizer, train_vqgan

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

SOURCE = partial(squares, 16)


class Killed(Exception):
    """What ends a training between two steps."""


def train(
    preset: Preset, folder: Path, device: str, stage: str, watch: Watch | None = None, source: Source = SOURCE
) -> None:
    """Train one stage, and the tokenizer before it, in this process."""
    if not (folder / "tokenizer").exists():
        train_tokenizer(folder, preset.tokenizer, source)
    work, shape = (train_vqgan, preset.vqgan) if stage == "vqgan" else (train_bart, preset.bart)
    work(Ranks(), folder, shape, preset.training, source, device, watch)  # type: ignore[arg-type]


def losses(folder: Path, stage: str) -> torch.Tensor:
    """Of every step."""
    return torch.tensor([row["loss"] for row in metrics(folder, stage)], dtype=torch.float64)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest relative difference."""
    return ((one - other).abs() / one.abs()).max().item()


@pytest.fixture
def repeatable(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sums on a GPU are added up in the order in which its threads arrive, unless they are asked for another."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    with sdpa_kernel(SDPBackend.MATH):
        yield
    torch.use_deterministic_algorithms(False)


def test_losses_are_those_of_the_cpu_step_for_step(cuda: torch.device, tmp_path: Path) -> None:
    """In float32, with no draw that a device makes. Once latents are quantized, a rounding can choose a code."""
    for device in ("cpu", "cuda"):
        train(plain(), tmp_path / device, device, "vqgan")
    here, there = (losses(tmp_path / device, "vqgan") for device in ("cpu", "cuda"))
    assert len(here) == plain().training.vqgan.steps
    assert apart(here[:10], there[:10]) < 1e-3
    assert apart(here, there) < 0.05
    shutil.copytree(tmp_path / "cpu", tmp_path / "same")
    for device, folder in (("cpu", "cpu"), ("cuda", "same")):
        train(plain(), tmp_path / folder, device, "bart")
    here, there = (losses(tmp_path / folder, "bart") for folder in ("cpu", "same"))
    assert apart(here[:10], there[:10]) < 1e-3
    assert apart(here, there) < 0.01


@pytest.mark.usefixtures("repeatable")
def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    """With everything that the `tiny` preset switches on, in bfloat16, where algorithms are asked to be repeatable."""
    for stage, steps in (("vqgan", (7, 45)), ("bart", (14, 33))):
        train(tiny(), tmp_path / "straight", "cuda", stage)
        for step in steps:

            def kill(progress: Progress, step: int = step) -> None:
                if progress.step == step:
                    raise Killed

            with pytest.raises(Killed):
                train(tiny(), tmp_path / "killed", "cuda", stage, kill)
        train(tiny(), tmp_path / "killed", "cuda", stage)
        assert differences(tmp_path / "straight", tmp_path / "killed", stage) == []


def test_half_precision_is_near_full_precision(cuda: torch.device, tmp_path: Path) -> None:
    """The same training in bfloat16: weights stay float32, and the losses near."""
    whole = plain()
    half = replace(whole, training=replace(whole.training, vqgan=replace(whole.training.vqgan, precision="bf16")))
    train(whole, tmp_path / "whole", "cuda", "vqgan")
    train(half, tmp_path / "half", "cuda", "vqgan")
    assert apart(losses(tmp_path / "whole", "vqgan"), losses(tmp_path / "half", "vqgan")) < 0.15


def test_a_judge_learns(cuda: torch.device, tmp_path: Path) -> None:
    preset = TINY.reranker
    found = []
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        train_tokenizer(folder, preset.tokenizer, SOURCE)
        training = replace(preset.training, log_every=1, precision="fp32")
        clip = replace(preset.clip, dropout=0.0)
        train_clip(Ranks(), folder, clip, training, 0, SOURCE, device)
        found.append(losses(folder, "clip"))
    assert apart(*found) < 0.02


def test_a_whole_run(cuda: torch.device, tmp_path: Path) -> None:
    """`minidalle run --preset tiny` on the GPU, then drawing from it; its scores are near those of the CPU."""
    for device in ("cpu", "cuda"):
        command = ["run", "--preset", "tiny", "--device", device, "--ranks", "1", "--out", device]
        done = subprocess.run(
            [sys.executable, "-m", "minidalle", *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    here, there = (json.loads((tmp_path / device / "scores.json").read_text()) for device in ("cpu", "cuda"))
    for one, other in zip(here, there, strict=True):
        assert other["nats"] == pytest.approx(one["nats"], rel=0.2)
        assert other["psnr"] == pytest.approx(one["psnr"], rel=0.2)
    draw = ["generate", "red apple", "--run", "cuda", "--device", "cuda", "--out", "apple.png"]
    done = subprocess.run([sys.executable, "-m", "minidalle", *draw], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "apple.png").exists()


@pytest.mark.parametrize("several", [False, True], ids=["one GPU", "all GPUs"])
def test_torchrun_gives_each_rank_a_gpu(cuda: torch.device, tmp_path: Path, several: bool) -> None:
    """NCCL's ranks have the loss curve of one process, sharing the BART or splitting it."""
    gpus = torch.cuda.device_count()
    ranks = min(16, 1 << (gpus.bit_length() - 1)) if several else 1  # divides the batch of 16
    if several and gpus < 2:
        pytest.skip(f"needs two CUDA GPUs or more, there is {gpus}")
    train_tokenizer(tmp_path / "1", even().tokenizer, worded)
    for stage in ("vqgan", "bart"):
        train(even(), tmp_path / "1", "cuda", stage, source=worded)
    shutil.copytree(tmp_path / "1", tmp_path / "several")
    for stage, more in (("vqgan", ()), ("bart", ()), ("bart", ("--shard-model",) if several else ())):
        shutil.rmtree(tmp_path / "several" / "training" / stage)
        (tmp_path / "several" / f"{stage}.safetensors").unlink()
        starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        command = ["train", stage, "--preset", "tiny", "--device", "cuda", "--out", str(tmp_path / "several"), *more]
        done = subprocess.run([*starter, str(CHILD), "even", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        here, there = (losses(tmp_path / name, stage) for name in ("1", "several"))
        assert apart(here[:8], there[:8]) < 1e-3
        assert apart(here, there) < 0.05
        shutil.copy(tmp_path / "1" / "vqgan.safetensors", tmp_path / "several")  # the same tokens for the BART

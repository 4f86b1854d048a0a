"""What is timed on a GPU: finished work, in memory that no one else holds, with algorithms that were asked for."""

import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from minidalle.reports import training_speed
from minidalle.reports.machine import seconds
from minidalle.reports.peers import ask
from minidalle.reports.training_tasks import TrainingTask

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def test_memory_is_given_back_before_a_peer_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    done = SimpleNamespace(returncode=0, stdout="[1]\n")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: (calls.append("run"), done)[1])
    assert ask("some.program", [{}]) == [1]
    assert calls == ["empty", "run"]


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_gpu_is_waited_for(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(getattr(torch, kind), "synchronize", lambda *device: calls.append("wait"))
    seconds(lambda: calls.append("work"), torch.device(kind), runs=1)
    assert calls == ["wait", "work", "wait"] * 2


def test_gradients_to_compare_with_are_kept_off_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Tensor] = []
    monkeypatch.setattr(Tensor, "cpu", lambda self: moved.append(self.clone()) or moved[-1])
    task = TrainingTask(shape="tiny", device=torch.device("cpu"), batch=4, steps=1, runs=1)
    truth, module = list[Tensor](), nn.Linear(3, 1)
    for way in ("first", "second"):
        speed = training_speed.timed_steps(
            "BART", training_speed.Way(way), "fp32", module, module, (torch.ones(4, 3),),
            lambda batch: {"loss": module(*batch).mean()}, truth, task,
        )  # fmt: skip
        assert speed.off == 0
    assert len(truth) == 2
    assert all(kept is one for kept, one in zip(truth, moved[:2], strict=True))


def test_repeatable_steps_are_not_only_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark: dict[str, Any] = runpy.run_path(str(BENCHMARK))
    repeatable = benchmark["repeatable"]

    def pace(stage: object, first: int) -> int:
        if first:
            raise RuntimeError("put_ has no deterministic implementation")
        return torch.get_deterministic_debug_mode()

    monkeypatch.setitem(repeatable.__globals__, "pace", pace)
    assert repeatable(None, 0) == 2  # an error where there is no such algorithm; 1 would be a warning
    assert repeatable(None, 1) == "put_ has no deterministic implementation"
    assert torch.get_deterministic_debug_mode() == 0

"""Trainings as processes: started, watched, hit by signals, and their traces compared."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from minidalle.checkpoint import load_tensors

CHILD = Path(__file__).with_name("training_child.py")
PATIENCE = 300.0  # seconds after which a process that hangs is killed


class Run:
    """A training in a process group of its own.

    Args:
        arguments: for `training_child.py`.
        log: the file for its standard error.

    Attributes:
        rest: what it said on standard output after the last `until`, once it has ended.
    """

    rest: str
    starter: tuple[str, ...] = ()

    def __init__(self, log: Path, *arguments: object) -> None:
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *self.starter, str(CHILD), *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},  # two threads on busy cores wait for each other
            )  # fmt: skip
        self._patience = threading.Timer(PATIENCE, self.signal, [signal.SIGKILL])
        self._patience.start()

    def until(self, stage: str, step: int) -> None:
        """Return when the training has said this step."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.split() == [stage, str(step)]:
                return
        raise AssertionError(f"ended before {stage} {step}: {self.log.read_text()[-3000:]}")

    def signal(self, number: int, group: bool = True) -> None:
        """Send a signal to all its processes, or to the first alone."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> int:
        """Wait for the first process; returns its exit code."""
        self.rest = self.process.communicate()[0]
        self._patience.cancel()
        return self.process.returncode

    def gone(self, within: float) -> bool:
        """Whether no process of the group is left after so many seconds at most."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        self.signal(signal.SIGKILL)
        return False

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return self.log.read_text()


class Torchrun(Run):
    """A training as two ranks of torchrun's, which has each of them in a process group of its own."""

    starter = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

    def pid(self, rank: int) -> int:
        """The process of a rank."""
        parent = self.process.pid
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return int(pid)
        raise AssertionError(f"no rank {rank}: {self.errors[-3000:]}")


def last_state(folder: Path, stage: str) -> dict[str, torch.Tensor]:
    """All tensors of the newest checkpoint of a stage."""
    newest = max((folder / "training" / stage / "checkpoints").glob("[0-9]*"))
    return load_tensors(newest / "state.safetensors")


def metrics(folder: Path, stage: str) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`, without the one number that a clock decides."""
    lines = (folder / "training" / stage / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [{name: value for name, value in row.items() if name != "pictures_per_second"} for row in rows]


def differences(one: Path, other: Path, stage: str) -> list[str]:
    """Where two runs differ in a stage: tensors of the last checkpoint, metrics, sample pictures, the model."""
    states = last_state(one, stage), last_state(other, stage)
    shared = states[0].keys() & states[1].keys()
    found = [f"tensor {name}" for name in states[0].keys() ^ states[1].keys()]
    found += [f"tensor {name}" for name in shared if not torch.equal(states[0][name], states[1][name])]
    pairs = zip(metrics(one, stage), metrics(other, stage), strict=False)
    found += [f"metrics {a} {b}" for a, b in pairs if a != b][:2]
    if len(metrics(one, stage)) != len(metrics(other, stage)):
        found.append("number of metrics rows")
    for name in sorted(path.name for path in (one / "training" / stage / "samples").iterdir()):
        files = [folder / "training" / stage / "samples" / name for folder in (one, other)]
        found += [] if files[0].read_bytes() == files[1].read_bytes() else [f"sample {name}"]
    files = [folder / f"{stage}.safetensors" for folder in (one, other)]
    return found + ([] if files[0].read_bytes() == files[1].read_bytes() else ["exported model"])

"""What a machine can do at most: the figures that a speed is to be held against."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

COPIED = {"cpu": 2**28, "cuda": 2**31}  # bytes: far more than any cache holds
SQUARE = {"cpu": 2048, "cuda": 8192}  # rows of the matrices that are multiplied


def describe(device: torch.device) -> dict[str, Any]:
    """The processor, its threads, and the versions that matter."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": name,
        "kind": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def ceilings(device: torch.device, dtypes: tuple[torch.dtype, ...]) -> dict[str, float]:
    """Measured on this device: `read` and `copy` in GB/s, and the matrix product in TFLOP/s for each dtype.

    A copy of n bytes counts as 2 n: they are read and written.
    """
    kind = device.type if device.type in COPIED else "cpu"
    source = torch.ones(COPIED[kind] // 4, device=device)
    target = torch.empty_like(source)
    size = source.numel() * 4 / 1e9
    found = {
        "read": size / min(seconds(lambda: source.sum(), device, 5)),
        "copy": 2 * size / min(seconds(lambda: target.copy_(source), device, 5)),
    }
    side = SQUARE[kind]
    for dtype in dtypes:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        best = min(seconds(lambda a=a, b=b: a @ b, device, 5))  # type: ignore[misc]
        found[f"matmul {str(dtype).removeprefix('torch.')}"] = 2 * side**3 / best / 1e12
    return found


def seconds(work: Callable[[], object], device: torch.device, runs: int, warm_ups: int = 1) -> list[float]:
    """How long each of some runs takes, after others that are not counted; a GPU has finished each."""
    taken = []
    for run in range(warm_ups + runs):
        _finish(device)
        began = time.perf_counter()
        work()
        _finish(device)
        if run >= warm_ups:
            taken.append(time.perf_counter() - began)
    return taken


def middle(taken: list[float]) -> float:
    """The median of some times."""
    return median(taken)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _processor() -> str:
    """The model's name, where the system tells."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

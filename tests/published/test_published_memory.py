"""Importing and loading need no more memory than the model and a tensor. Mega: benchmarks/published_memory.py."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "published_memory.py"
LARGEST = 50264 * 1024 * 2 / 2**30  # mini's text embedding in half precision, GiB
MARGIN = 0.1  # GiB: what torch sets up when it is first used


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
def test_peak_memory_at_the_mini_shape() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARK)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[2:5]] for line in done.stdout.splitlines()[2:]]
    peaks = {what: (float(numbers), float(peak)) for what, numbers, peak in rows}
    for what in ("load", "load half"):
        numbers, peak = peaks[what]
        assert peak < numbers + LARGEST + MARGIN
    assert peaks["import flax"][1] < 2 * LARGEST + MARGIN  # as it is in the file, and turned
    numbers, peak = peaks["import torch"]
    assert peak < numbers + LARGEST + MARGIN  # the file is mapped

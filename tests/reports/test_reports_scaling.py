"""How costs grow: the fit against a closed form, each sweep at two small sizes, and what is said of it."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from minidalle.cli import scaling as command
from minidalle.errors import InvalidValue
from minidalle.reports import scaling

CPU = torch.device("cpu")
SMALL = {"pictures per batch": (2, 4, 8), "tokens per picture": (4, 16), "width of the model": (32, 64),
         "pictures to encode": (8, 16), "pictures drawn at once": (1, 2)}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    sweeps = [replace(sweep, sizes=SMALL[sweep.grows]) for sweep in scaling.sweeps(CPU) if sweep.grows in SMALL]
    patch = pytest.MonkeyPatch()
    patch.setattr(scaling, "sweeps", lambda device: sweeps)
    found = scaling.bench_scaling(CPU, 2, lambda words: None)
    patch.undo()
    return found


def test_the_exponent_is_that_of_a_power_law() -> None:
    sizes = np.array([1, 2, 4, 8.0])
    assert scaling.exponent(sizes, 3 * sizes**1.5) == pytest.approx((1.5, 0), abs=1e-9)
    assert scaling.exponent([2, 8], [1, 4]) == (pytest.approx(1), None)
    noisy = 3 * sizes**1.5 * [1, 1.3, 0.9, 1.1]
    peer = stats.linregress(np.log(sizes), np.log(noisy))
    assert scaling.exponent(sizes, noisy) == pytest.approx((peer.slope, peer.stderr))


def test_every_sweep_is_measured(found: list[dict[str, Any]]) -> None:
    assert [sweep["grows"] for sweep in found] == list(SMALL)
    for sweep in found:
        assert min(sweep["seconds"]) > 0
        assert all(len(runs) == 2 for runs in sweep["runs"])
        assert min(sweep["bytes"]) > 0
        assert sweep["words"]
    memory = {sweep["grows"]: sweep["memory_exponent"][0] for sweep in found}
    assert [memory["pictures to encode"], memory["pictures drawn at once"]] == pytest.approx([1, 1])
    assert 0.5 < memory["pictures per batch"] < 1.01


def test_what_is_kept_is_what_autograd_saves() -> None:
    """A product keeps its two factors for the way back; one of them is a weight, which is there anyway."""
    model = torch.nn.Linear(3, 5, bias=False)
    x = torch.randn(7, 3, requires_grad=True)
    with scaling.kept_tensors(model) as kept:
        model(x).sum().backward()
    assert list(kept.values()) == [x.nbytes]


def test_why_it_is_not_in_proportion() -> None:
    batch, *_, ranks = (replace(s, below="below", above="above") for s in (*scaling.sweeps(CPU)[:1], RANKS))
    assert scaling.in_words(batch, (1.05, 0.01), 1.02) == "in proportion"
    assert scaling.in_words(batch, (0.8, 0.01), 1.02) == "below"
    assert scaling.in_words(batch, (0.8, 0.01), 1.6) == "below; above"
    assert scaling.in_words(batch, (0.85, 0.3), 0.9) == "in proportion"  # nobody can tell
    assert scaling.in_words(ranks, (-0.95, None), -0.95) == "in inverse proportion"
    assert scaling.in_words(ranks, (-0.5, None), -0.5) == "above"


RANKS = scaling.Sweep("ranks", "a step", (1, 2), scaling.of_ranks, -1, "", "")


def test_the_command_prints_and_draws(
    found: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "bench_scaling", lambda device, runs, say: found)
    command.show_scaling("cpu", 2, tmp_path / "plot.png", tmp_path / "found.json")
    printed = capsys.readouterr().out
    for sweep in found:
        assert f"{sweep['grows']}: {sweep['words']}." in printed.replace("\n", " ")
    assert "1.00" in printed
    drawn = np.asarray(Image.open(io.BytesIO((tmp_path / "plot.png").read_bytes())).convert("RGB")).reshape(-1, 3)
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (np.abs(drawn.astype(int) - color).sum(1) < 12).sum() > 200
    with pytest.raises(InvalidValue, match=r"--out='x.pdf': expected FILE.png"):
        command.show_scaling("cpu", 2, Path("x.pdf"), None)


def test_ranks_share_a_step() -> None:
    cost = scaling.of_ranks(2, CPU, 1)
    assert cost.size == 2
    assert cost.runs[0] > 0

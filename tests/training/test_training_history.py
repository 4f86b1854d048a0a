"""Metrics and sample pictures: every step once, whatever happened."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidalle.checkpoint import CheckpointError
from minidalle.training.history import History, read_metrics


def write(folder: Path, start: int, steps: range, offset: float = 0.0) -> None:
    history = History(folder, start)
    for step in steps:
        history.add(step, {"loss": 1 / step + offset, "restarted": step})
    history.close()


def scalars(folder: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return {event.step: event.value for event in board.Scalars(name)}


def test_metrics_are_read_back_to_the_last_bit(tmp_path: Path) -> None:
    write(tmp_path, 0, range(1, 8))
    assert read_metrics(tmp_path) == [{"step": n, "loss": 1 / n, "restarted": n} for n in range(1, 8)]
    assert read_metrics(tmp_path / "nowhere") == []


def test_a_resume_drops_the_later_steps_and_repeats_none(tmp_path: Path) -> None:
    write(tmp_path, 0, range(1, 8))
    write(tmp_path, 4, range(5, 10), offset=100)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 10))
    assert [row["loss"] > 100 for row in rows] == [False] * 4 + [True] * 5


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, range(1, 4))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-9])
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    write(tmp_path, 2, range(3, 5))
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_line_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    history = History(tmp_path, 0)
    history.add(1, {"loss": 2.0})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 2.0}
    history.close()


def test_tensorboard_shows_the_same_and_no_orphans(tmp_path: Path) -> None:
    write(tmp_path, 0, range(1, 8))
    assert scalars(tmp_path, "loss") == pytest.approx({n: 1 / n for n in range(1, 8)})
    write(tmp_path, 4, range(5, 7), offset=100)
    expected = {n: 1 / n + (100 if n > 4 else 0) for n in range(1, 7)}  # step 4 was kept, 5 to 7 taken anew
    assert scalars(tmp_path, "loss") == pytest.approx(expected)
    assert scalars(tmp_path, "restarted")[6] == 6


def test_sample_pictures(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    history = History(tmp_path, 0)
    history.picture(40, picture)
    history.close()
    with Image.open(tmp_path / "samples" / "000040.png") as found:
        assert (np.asarray(found) == picture).all()


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    history = History(tmp_path, 0)
    history._lines.close()
    history._lines = open("/dev/full", "w")  # noqa: SIM115 (its close is under test)
    with pytest.raises(CheckpointError, match=f"cannot write the metrics in {tmp_path}: No space left on device"):
        history.add(1, {"loss": 1.0})
    history.close()

"""The `cpu` recipe, as it is but for its length, resumes exactly. `resume_full.py` shows the same at full length."""

import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from training_recipes import EMOJI_SAMPLE, short_cpu
from training_runs import Run, differences, last_state, metrics

from minidalle.data.build_emoji import write_table
from minidalle.data.emoji import PARQUET
from minidalle.data.partition import load_partition, save_partition

pytestmark = pytest.mark.slow


@pytest.fixture
def emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fortieth of the real emoji, in its own split."""
    table = pq.read_table(PARQUET)
    splits = load_partition(table.column("key").to_pylist())
    chosen = list(range(0, len(table), 40))
    sample = table.take(chosen)
    (tmp_path / "sample").mkdir()
    write_table(sample, tmp_path / "sample" / "emoji.parquet")
    keys = sample.column("key").to_pylist()
    save_partition(tmp_path / "sample" / "partition.csv", dict(zip(keys, [splits[row] for row in chosen], strict=True)))
    monkeypatch.setenv(EMOJI_SAMPLE, str(tmp_path / "sample"))
    monkeypatch.setenv("MINIDALLE_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("emoji")
def test_the_cpu_recipe_on_two_ranks_killed_in_both_stages(tmp_path: Path) -> None:
    straight = Run(tmp_path / "log-0", "train", "cpu", tmp_path / "straight", 2)
    assert straight.end() == 0, straight.errors
    for stage, step in (("vqgan", 16), ("bart", 9)):
        run = Run(tmp_path / "log-1", "--slow-from", step, "train", "cpu", tmp_path / "killed", 2)
        run.until(stage, step)
        run.signal(signal.SIGKILL)
        assert run.end() == -signal.SIGKILL
    last = Run(tmp_path / "log-2", "train", "cpu", tmp_path / "killed", 2)
    assert last.end() == 0, last.errors
    for stage in ("vqgan", "bart"):
        assert differences(tmp_path / "straight", tmp_path / "killed", stage) == []

    rows = metrics(tmp_path / "straight", "vqgan")
    assert len(rows) == short_cpu().training.vqgan.steps
    assert sum(row["restarted"] for row in rows[:11]) > 0
    assert sum(row["restarted"] for row in rows[11:]) > 0
    names = last_state(tmp_path / "straight", "bart")
    if short_cpu().training.bart.optimizer == "muon":
        assert any(name.endswith("momentum_buffer") for name in names)

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minidalle.data import CaptionedPictures, emoji_pictures
from minidalle.data.build_emoji import write_table
from minidalle.data.emoji import PARQUET
from minidalle.data.partition import save_partition


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return pq.read_table(PARQUET)


@pytest.fixture(scope="session")
def emoji() -> CaptionedPictures:
    """Every emoji at 32 pixels: rendered once for all tests."""
    return emoji_pictures(32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MINIDALLE_CACHE", str(folder))
    return folder


class Small:
    """30 rows of the real table, which a test may spoil."""

    def __init__(self, table: pa.Table, folder: Path) -> None:
        self.rows = table.take(list(range(0, len(table), 500))).to_pylist()
        self.parquet, self.partition = folder / "small.parquet", folder / "small.csv"

    def write(self) -> dict[str, Path]:
        """Write it; the result is what `emoji_pictures` wants."""
        write_table(pa.Table.from_pylist(self.rows), self.parquet)
        save_partition(self.partition, {row["key"]: "train" for row in self.rows})
        return {"parquet": self.parquet, "partition": self.partition}


@pytest.fixture
def small(table: pa.Table, tmp_path: Path) -> Small:
    return Small(table, tmp_path)

"""Build `partition.csv`: the one partition of the emoji that every result is reported on.

    python -m minidalle.data.build_partition [--out FILE]

It depends on the rows' content and the seed alone. It is frozen: a new one makes old results incomparable.
"""

import argparse
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minidalle.data.emoji import PARQUET
from minidalle.data.partition import PARTITION, save_partition
from minidalle.data.splits import Row, assign_splits

SEED = 0


def split_rows(table: pa.Table) -> list[Row]:
    """What the splits depend on, from the table of emoji."""
    return [Row(**row) for row in table.select(list(Row._fields)).to_pylist()]


def build(parquet: Path, out: Path) -> dict[str, str]:
    """Assign every row of the parquet file its split, and write the partition."""
    rows = split_rows(pq.read_table(parquet))
    splits = dict(zip((row.key for row in rows), assign_splits(rows, SEED), strict=True))
    save_partition(out, splits)
    return splits


def main() -> None:
    """Build the partition from the command line."""
    parser = argparse.ArgumentParser(description="Build partition.csv.")
    parser.add_argument("--parquet", type=Path, default=PARQUET)
    parser.add_argument("--out", type=Path, default=PARTITION)
    options = parser.parse_args()
    print(Counter(build(options.parquet, options.out).values()))


if __name__ == "__main__":
    main()

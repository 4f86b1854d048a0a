"""The frozen partition: which row is in which split, in a file of its own, keyed by what the rows are."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from minidalle.checkpoint import atomic_write
from minidalle.data.splits import SPLITS
from minidalle.errors import InvalidValue, require

PARTITION = Path(__file__).with_name("partition.csv")


def save_partition(path: Path, splits: Mapping[str, str]) -> None:
    """Write `key,split` lines, sorted by key, so that the file is the same whatever the order of the rows."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("key", "split"), *sorted(splits.items())])
    atomic_write(path, text.getvalue())


def load_partition(keys: Sequence[str], path: Path = PARTITION) -> list[str]:
    """The split of every row.

    Args:
        keys: the rows' keys, in any order.
        path: a file that `save_partition` wrote.

    Returns:
        As many names of splits, in the order of the keys.

    Raises:
        InvalidValue: the file does not list exactly these rows, lists one twice, or names an unknown split.
    """
    with open(path, newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    require(header == ["key", "split"], f"first line of {path}", header, "key,split")
    splits = dict(lines)
    _nothing(f"{path}: repeated rows", len(lines) - len(splits), ())
    _nothing(f"{path}: unknown splits", 0, set(splits.values()) - set(SPLITS))
    _nothing(f"{path}: missing rows", 0, set(keys) - set(splits))
    _nothing(f"{path}: unknown rows", 0, set(splits) - set(keys))
    return [splits[key] for key in keys]


def _nothing(what: str, count: int, found: Iterable[str]) -> None:
    found = sorted(found)
    if count or found:
        raise InvalidValue(f"{what}: {count or len(found)} {', '.join(found[:3])}: rebuild the partition")

from pathlib import Path

import pyarrow as pa
import pytest

from minidalle.data.partition import PARTITION, load_partition, save_partition
from minidalle.errors import InvalidValue


def test_the_partition_lists_every_row_once_sorted_by_key(table: pa.Table) -> None:
    lines = PARTITION.read_text().splitlines()
    keys = [line.split(",")[0] for line in lines[1:]]
    assert lines[0] == "key,split"
    assert keys == sorted(table["key"].to_pylist())


def test_splits_come_back_in_the_order_of_the_keys(tmp_path: Path) -> None:
    save_partition(tmp_path / "p.csv", {"b": "dev", "a": "train"})
    assert load_partition(["b", "a"], tmp_path / "p.csv") == ["dev", "train"]
    assert (tmp_path / "p.csv").read_text() == "key,split\na,train\nb,dev\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,train"], "missing rows: 1 b"),
        (["a,train", "b,dev", "c,dev"], "unknown rows: 1 c"),
        (["a,train", "b,test"], "unknown splits: 1 test"),
        (["a,train", "b,dev", "b,train"], "repeated rows: 1"),
    ],
)
def test_a_partition_of_other_rows_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["key,split", *lines]))
    with pytest.raises(InvalidValue, match=message):
        load_partition(["a", "b"], path)

"""Tokens on disk: records, shards that belong together or do not, and rows that are read one by one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minidalle.checkpoint import CheckpointError, load_json, save_json
from minidalle.data import DataConfig
from minidalle.data.foreign import draw_dev
from minidalle.data.pictures import Skipped
from minidalle.data.token_manifest import Manifest, Share, finish
from minidalle.data.token_parts import Encoding, Part, PartNote, records_file, words_file, write_part
from minidalle.data.token_records import TokenShape, unpack
from minidalle.data.token_shards import TokenShards
from minidalle.data.tokens import TokenizedPictures, cell_sums, mean_colors
from minidalle.errors import InvalidValue

ENCODING = Encoding("tokenizer", "vqgan", TokenShape(6, 70_000, 4, 500, 8), part_rows=10)
LOTS = np.random.default_rng(3).random(100)


def rows(numbers: Sequence[int]) -> TokenizedPictures:
    """Rows that can be told by their numbers."""
    number = torch.tensor(numbers, dtype=torch.long)[:, None]
    text = 60_000 + 97 * number + torch.arange(6)
    image = (number * 7 + torch.arange(4)) % 500
    sums = (number[:, :, None] * 31 + torch.arange(12).reshape(1, 4, 3)).numpy() % (255 * 16)
    return TokenizedPictures(text, torch.arange(6) < 1 + number % 6, image, mean_colors(sums, 16))


def part(numbers: Sequence[int], split: str = "train") -> Part:
    own = rows(numbers)
    records = np.empty(len(numbers), ENCODING.shape.dtype)
    records["text"], records["length"], records["image"] = own.text, own.text_mask.sum(1), own.image
    records["colors"] = (own.colors * 255 * 16).round().long()
    words = {"caption": [f"no. {n} – €" for n in numbers], "key": [f"key {n}" for n in numbers],
             "split": [split] * len(numbers), "lot": LOTS[numbers]}  # fmt: skip
    return Part(10, records, words,
                [Skipped("x", "no reason")])  # fmt: skip


def write(folder: Path, shares: int = 1, encoding: Encoding = ENCODING, listing: str = "all", dev: int = -1) -> None:
    """A hundred rows but those that end in 9, in ten parts; `dev` is the part of the source's own validation split."""
    for index in range(shares):
        notes: list[PartNote] = []
        for number in range(index, 10, shares):
            kept = list(range(10 * number, 10 * number + 9))
            notes.append(write_part(folder, number, encoding, part(kept, "dev" if number == dev else "train")))
        begun = Manifest(Share(index, shares), encoding, DataConfig("somewhere"), "stamp")
        finish(begun, notes, 100, listing).save(folder)


NUMBERS = [n for n in range(100) if n % 10 != 9]


def same(one: TokenizedPictures, other: TokenizedPictures) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(other))


def test_a_record_keeps_everything() -> None:
    shape = ENCODING.shape
    assert shape.dtype.itemsize == 6 * 4 + 2 + 4 * 2 + 4 * 3 * 2  # 70,000 ids need four bytes
    assert same(unpack(shape, part(range(20)).records), rows(range(20)))
    assert TokenShape(64, 50_264, 256, 16_384, 256).dtype["colors"].base == np.dtype("<u2")  # 255 · 16² < 2^16
    assert TokenShape(64, 50_264, 64, 16_384, 256).dtype["colors"].base == np.dtype("<u4")


def test_sums_of_cells_are_exact() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    sums = cell_sums(pictures, 4)
    assert sums.shape == (3, 4, 3)
    assert (sums[1, 2] == pictures[1, 4:, :4].astype(int).sum((0, 1))).all()
    means = torch.from_numpy(pictures[1, :4, 4:].astype(np.float64)).mean((0, 1)) / 255
    assert torch.allclose(mean_colors(sums, 16)[1, 1].double(), means, atol=1e-7)
    assert cell_sums(np.full((1, 256, 256, 3), 255, np.uint8), 1).max() == 255 * 256**2


@pytest.mark.parametrize("shares", [1, 3])
def test_rows_in_any_order_are_read_as_they_were_written(tmp_path: Path, shares: int) -> None:
    write(tmp_path, shares)
    shards = TokenShards(tmp_path)
    assert (len(shards), shards.text.shape, shards.image.shape) == (90, (90, 6), (90, 4))
    assert shards.colors.shape == (90, 4, 3)
    for wanted in ([89, 0, 44, 45, 0, 9, 8], list(range(90)), []):
        index = torch.tensor(wanted, dtype=torch.long)
        expected = rows([NUMBERS[row] for row in wanted])
        assert same(shards.take(index), expected)
        shards.text[index].zero_()  # what is given is a copy
        assert torch.equal(shards.text[index, :3], expected.text[:, :3])
        for name in ("text", "text_mask", "image", "colors"):
            assert torch.equal(getattr(shards, name)[index], getattr(expected, name))
    assert [shards.captions[row] for row in range(90)] == [f"no. {n} – €" for n in NUMBERS]
    assert shards.captions[np.int64(88)] == "no. 97 – €"
    assert shards.captions[torch.tensor(9)] == "no. 10 – €"
    assert shards.named(np.array([9, 3])) == "row 9: no. 10 – €; row 3: no. 3 – € (2 rows)"
    assert not shards.toned.any()
    for row in (-1, 90):
        with pytest.raises(InvalidValue, match=f"row={row}: expected 0 … 89"):
            shards.take(torch.tensor([3, row]))
        with pytest.raises(IndexError):
            shards.captions[row]
    with pytest.raises(InvalidValue, match="paint=None"):
        shards.pictures[np.array([0])]


def test_what_is_held_out(tmp_path: Path) -> None:
    write(tmp_path)
    shards = TokenShards(tmp_path)
    dev = draw_dev(LOTS[NUMBERS])
    assert 3 < dev.sum() < 20
    assert (shards.rows("dev") == np.flatnonzero(dev)).all()
    assert (shards.rows("train") == np.flatnonzero(~dev)).all()
    few = TokenShards(tmp_path, most_dev=3)
    assert set(few.rows("dev")) < set(shards.rows("dev"))
    assert (len(few.rows("dev")), few.rows("train").tolist()) == (3, shards.rows("train").tolist())
    with pytest.raises(InvalidValue, match="split='iid': expected one of dev, train"):
        shards.rows("iid")
    write(tmp_path, dev=4)
    assert TokenShards(tmp_path).rows("dev").tolist() == list(range(36, 45))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"--tokens=.*no shard-\*\.json is there"):
        TokenShards(tmp_path)
    write(tmp_path, 4)
    (tmp_path / "shard-1-of-4.json").unlink()
    noted = load_json(tmp_path / "shard-3-of-4.json")
    save_json(tmp_path / "shard-3-of-4.json", {**noted, "listing": ""})
    with pytest.raises(InvalidValue, match="expected all shards of 4: 1/4 is missing, 3/4 is not finished"):
        TokenShards(tmp_path)
    write(tmp_path, 1)  # all of it in another division
    assert len(TokenShards(tmp_path)) == 90


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 2)
    noted = load_json(tmp_path / "shard-1-of-2.json")
    for change, words in (
        ({"encoding": {**noted["encoding"], "vqgan": "other"}}, r"0/2 and 1/2 differ in vqgan \(vqgan and other\)"),
        ({"source_rows": 101, "listing": "more"}, r"differ in rows of data \(100 and 101\), names and captions"),
    ):
        save_json(tmp_path / "shard-1-of-2.json", {**noted, **change})
        with pytest.raises(InvalidValue, match=words):
            TokenShards(tmp_path)
    save_json(tmp_path / "shard-1-of-2.json", {"shard": 1})
    with pytest.raises(CheckpointError, match=r"shard-1-of-2\.json is not what minidalle encode writes"):
        TokenShards(tmp_path)


@pytest.mark.parametrize("file", [records_file, words_file])
def test_what_is_cut_off_or_gone_is_named(tmp_path: Path, file) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path, 2)
    shards, path = TokenShards(tmp_path), file(tmp_path, 3)
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(CheckpointError, match=rf"{path.name}: 200 bytes, where .* give minidalle encode --shard 1/2"):
        TokenShards(tmp_path)
    with pytest.raises(CheckpointError, match=rf"cannot read .*{path.name}"):
        shards.take(torch.tensor([30])), shards.captions[30]
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"{path.name}: there is no such file"):
        TokenShards(tmp_path)
    with pytest.raises(CheckpointError, match=rf"cannot read .*{path.name}"):
        shards.take(torch.tensor([30])), shards.captions[30]
    path.write_bytes(content)
    assert same(shards.take(torch.tensor([30])), rows([33]))


def test_shares() -> None:
    assert [Share(index, 3).rows(95, 10) for index in range(3)] == [35, 30, 30]
    assert [Share(index, 4).rows(15, 10) for index in range(4)] == [10, 5, 0, 0]
    assert str(Share.parse("2/5")) == "2/5"
    assert replace(ENCODING, part_rows=11).name != ENCODING.name

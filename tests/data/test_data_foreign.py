"""Parquet files, webdataset shards, saved data sets and the Hub: read, split, refused, cached."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from minidalle.data import CaptionedPictures, DataConfig, foreign_pictures, huggingface
from minidalle.data.foreign import draw_dev
from minidalle.data.origin import data_of, note_data, open_pictures, other_data, settled
from minidalle.errors import InvalidValue

datasets = pytest.importorskip("datasets")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for an address gets an error; decoded pictures go to a folder of the test's own."""

    def refuse(*address: object, **options: object) -> None:
        raise OSError("a test wanted the network")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache / "huggingface")


def png(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (i, 255 - i, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def table(rows: range) -> pa.Table:
    cells = [{"bytes": png(i), "path": f"{i}.png"} for i in rows]
    return pa.table({"id": list(rows), "image": cells, "caption": [f"no. {i}" for i in rows]})


def tar(path: Path, files: dict[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def read(source: Path | str, **options: str | int) -> CaptionedPictures:
    pictures = foreign_pictures(DataConfig(str(source), **options), 8)
    for picture, caption in zip(pictures.pictures, pictures.captions, strict=True):
        number = int(caption.split()[-1])
        assert (picture == (number, 255 - number, 0)).all()
    return pictures


def numbers(pictures: CaptionedPictures, split: str = "") -> list[int]:
    return [int(c.split()[-1]) for c, s in zip(pictures.captions, pictures.splits, strict=True) if split in ("", s)]


def test_parquet_one_file_several_and_a_folder(tmp_path: Path) -> None:
    pq.write_table(table(range(10)), tmp_path / "a.parquet")
    pq.write_table(table(range(10, 20)), tmp_path / "b.parquet")
    (tmp_path / "README.md").write_text("# Pictures")
    assert numbers(read(tmp_path / "a.parquet")) == list(range(10))
    assert numbers(read(tmp_path / "*.parquet")) == numbers(read(tmp_path)) == list(range(20))
    pictures = read(tmp_path, most=12)
    assert numbers(pictures) == list(range(12))
    assert pictures.columns["key"][3] == "train row 3 3.png"


def test_parquet_of_raw_bytes_with_faults(tmp_path: Path) -> None:
    cells = [png(0), b"junk", None, png(3), png(4), png(5)[:40]]
    words = [["", "no. 0", "zero"], ["no. 1"], ["no. 2"], [], ["no. 4"], ["no. 5"]]
    pq.write_table(pa.table({"photo": cells, "texts": words, "url": ["x"] * 6}), tmp_path / "raw.parquet")
    with pytest.raises(InvalidValue, match="texts and url could both be it"):
        read(tmp_path)
    pictures = read(tmp_path, caption_column="texts")
    assert numbers(pictures) == [0, 4]
    assert pictures.skipped[:3] == (
        ("train row 1", "no picture of a known kind"), ("train row 2", "no picture"), ("train row 3", "blank caption"),
    )  # fmt: skip
    assert pictures.skipped[3][0] == "train row 5"
    (tmp_path / "raw.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InvalidValue, match="cannot be read: ") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_row_that_only_names_its_picture_is_skipped(tmp_path: Path) -> None:
    rows = table(range(3)).to_pylist()
    rows[1]["image"]["bytes"] = None
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    pictures = read(tmp_path)
    assert numbers(pictures) == [0, 2]
    assert "names a file, 1.png, but does not hold it" in pictures.skipped[0].reason


def test_files_called_train_and_validation_are_splits(tmp_path: Path) -> None:
    for n, name in enumerate(("train-00000", "train-00001", "validation-00000", "test-00000")):
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table(range(4 * n, 4 * n + 4)), tmp_path / "data" / f"{name}.parquet")
        tar(tmp_path / "tars" / f"{name}.tar", {f"{n}.png": png(n), f"{n}.txt": f"no. {n}"})
    pictures = read(tmp_path / "data")
    assert (numbers(pictures, "train"), numbers(pictures, "dev")) == (list(range(8)), list(range(8, 12)))
    assert numbers(read(tmp_path / "data", split="test"), "train") == list(range(12, 16))
    pictures = read(tmp_path / "tars")
    assert (numbers(pictures, "train"), numbers(pictures, "dev")) == ([0, 1], [2])
    with pytest.raises(InvalidValue, match="split='dev': expected one of the splits test, train, validation"):
        read(tmp_path / "tars", split="dev")
    with pytest.raises(InvalidValue, match="expected parquet files or tar files, not both nor others"):
        read(tmp_path)


def test_shards_with_faults(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"a/0.png": png(0), "a/0.txt": "no. 0\n"}
    files |= {"a/1.json": json.dumps({"caption": ["no. 1", "one"], "text": "x"}), "a/1.PNG": png(1)}
    files |= {"a/2.jpg": png(2), "a/2.txt": "no. 2", "a/2.cls": "7"}  # a PNG by another name is one all the same
    files |= {"a/3.png": png(3), "a/4.txt": "no. 4", "a/5.png": b"junk", "a/5.txt": "no. 5"}
    files |= {"a/6.png": png(6), "a/6.json": '{"caption": ', "a/7.png": png(7), "a/7.txt": b"no. \xff 7", "README": "x"}
    pictures = read(tar(tmp_path / "one.tar", files))
    assert numbers(pictures) == [0, 1, 2, 7]
    assert pictures.columns["key"][0] == "one.tar/a/0"
    assert dict(pictures.skipped) == {
        "one.tar/a/3": "blank caption", "one.tar/a/4": "there is no such file",
        "one.tar/a/5": "no picture of a known kind", "one.tar/a/6": "blank caption",
    }  # fmt: skip


def test_shards_with_several_pictures_or_captions_a_row(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for i in range(3):
        files |= {f"{i}.mask.png": b"junk", f"{i}.jpg": png(i), f"{i}.json": f'{{"title": "no. {i}"}}'}
    shard = tar(tmp_path / "one.tar.gz", files)
    assert numbers(read(shard, caption_column="title")) == [0, 1, 2]  # a mask.png is no .png
    shard = tar(tmp_path / "two.tar", files | {"2.png": b"junk"})
    with pytest.raises(InvalidValue, match=r"image_column=None.*jpg and png could both be it"):
        read(shard, caption_column="title")
    assert numbers(read(shard, image_column="jpg", caption_column="title")) == [0, 1, 2]


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path) -> None:
    shard = tar(tmp_path / "one.tar", {f"{i}.{kind}": png(i) for i in range(20) for kind in ("png", "txt")})
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(InvalidValue, match=r"one\.tar: expected a whole tar file"):
        read(shard)


def test_saved_data_sets(tmp_path: Path) -> None:
    columns = {"image": [png(0), b"junk", png(2)], "text": ["no. 0", "no. 1", "no. 2"]}
    one = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    one.save_to_disk(tmp_path / "one")
    pictures = read(tmp_path / "one")
    assert numbers(pictures) == [0, 2]
    assert pictures.skipped == (("train row 1", "no picture of a known kind"),)
    datasets.DatasetDict(train=one, valid=one.select([2]), test=one).save_to_disk(tmp_path / "dict")
    pictures = read(tmp_path / "dict")
    assert (numbers(pictures, "train"), numbers(pictures, "dev")) == ([0, 2], [2])
    datasets.DatasetDict(a=one, b=one).save_to_disk(tmp_path / "unclear")
    with pytest.raises(InvalidValue, match=r"the split to train on \(--data-split\): a, b"):
        read(tmp_path / "unclear")
    assert numbers(read(tmp_path / "unclear", split="b")) == [0, 2]


def test_class_names_are_captions_if_asked_for(tmp_path: Path) -> None:
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["no. 0", "no. 1"]))
    saved = datasets.Dataset.from_dict({"image": [png(0), png(1), png(0)], "label": [0, 1, 0]}, features)
    saved.save_to_disk(tmp_path)
    with pytest.raises(InvalidValue, match=r"caption_column=None: .*none of image, label is it"):
        read(tmp_path)
    assert numbers(read(tmp_path, caption_column="label")) == [0, 1, 0]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub of one data set, owner/name, in a folder; its commit is in `commit`."""
    place, load = tmp_path / "hub", datasets.load_dataset
    (place / "owner/name/data").mkdir(parents=True)
    (place / "commit").write_text(COMMIT)
    pq.write_table(table(range(6)), place / "owner/name/data/train-00000-of-00001.parquet")
    pq.write_table(table(range(6, 8)), place / "owner/name/data/validation-00000-of-00001.parquet")

    def load_dataset(name: str, subset: str | None, revision: str, streaming: bool) -> object:
        assert revision == (place / "commit").read_text()
        return load(str(place / name), subset, streaming=streaming)

    def dataset_info(self: object, name: str, revision: str | None, timeout: int) -> SimpleNamespace:
        assert name == "owner/name"
        assert revision in (None, "main")
        return SimpleNamespace(sha=(place / "commit").read_text())

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
    return place


def test_the_hub(hub: Path) -> None:
    pictures = read("owner/name")
    assert (numbers(pictures, "train"), numbers(pictures, "dev")) == (list(range(6)), [6, 7])
    assert pictures.columns["key"][-1] == "validation row 1 7.png"
    assert numbers(read("owner/name@main", most=2), "train") == [0, 1]
    with pytest.raises(InvalidValue, match="split='x': expected one of the splits train, validation"):
        read("owner/name", split="x")
    with pytest.raises(InvalidValue, match="image_column='x': expected one of the columns id, image, caption"):
        read("owner/name", image_column="x")


def test_a_hub_data_set_with_subsets(hub: Path) -> None:
    names = ("small", "large")
    for n, name in enumerate(names):
        pq.write_table(table(range(3 * n, 3 * n + 3)), hub / "owner/name" / f"{name}.parquet")
    configs = [{"config_name": name, "data_files": [{"split": "train", "path": f"{name}.parquet"}]} for name in names]
    (hub / "owner/name/README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    with pytest.raises(InvalidValue, match=r"cannot be read: .*'small', 'large'"):
        read("owner/name")
    assert numbers(read("owner/name", subset="large")) == [3, 4, 5]


def test_pictures_beside_a_table_on_the_hub(hub: Path) -> None:
    place = hub / "owner/name"
    for path in (place / "data").iterdir():
        path.unlink()
    for i in range(3):
        (place / f"{i}.png").write_bytes(png(i) if i != 1 else b"junk")
    (place / "metadata.csv").write_text("file_name,text\n0.png,no. 0\n1.png,no. 1\n2.png,no. 2\n")
    pictures = read("owner/name")
    assert numbers(pictures) == [0, 2]
    assert pictures.skipped == (("train row 1 1.png", "no picture of a known kind"),)


def test_a_picture_that_cannot_be_fetched_ends_the_reading(tmp_path: Path) -> None:
    def opener(path: str, mode: str) -> io.BytesIO:
        raise TimeoutError("no answer")

    with pytest.raises(InvalidValue, match=r"hf://a\.png: cannot be fetched: TimeoutError: no answer"):
        huggingface._content({"bytes": None, "path": "hf://a.png"}, opener)


def test_a_run_keeps_to_the_revision_it_began_with(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = settled(DataConfig("owner/name"), None)
    assert data == DataConfig(f"owner/name@{COMMIT}")
    note = note_data(data, open_pictures(data, 8))
    (hub / "commit").write_text(COMMIT[::-1])
    assert settled(DataConfig("owner/name"), note) == data
    assert settled(DataConfig("owner/name"), None) != data
    monkeypatch.delattr(datasets, "load_dataset")  # what is decoded needs neither the library nor the network
    assert numbers(open_pictures(data, 8)) == list(range(8))


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_a_network_the_hub_is_one_clear_line(offline: str, tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise OSError('no network')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from minidalle.cli import main\n"
        "main()"
    )
    place = {"HF_HUB_OFFLINE": offline, "HF_HOME": str(tmp_path / "hf"), "MINIDALLE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--data", "owner/name"],
        env={**os.environ, **place}, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "minidalle: --data='owner/name': there is no such folder here, and the Hub cannot be asked: "
    )
    assert not (tmp_path / "runs").exists()


def test_without_datasets_folders_and_shards_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    shard = tar(tmp_path / "one.tar", {f"{i}.{kind}": content for i in range(2) for kind, content in
                                       (("png", png(i)), ("txt", f"no. {i}"))})  # fmt: skip
    assert numbers(read(shard)) == [0, 1]
    pq.write_table(table(range(3)), tmp_path / "a.parquet")
    for source in (str(tmp_path / "a.parquet"), "owner/name"):
        with pytest.raises(InvalidValue, match=r"needs the package .*: pip install datasets"):
            read(source)


def test_decoded_once_and_never_stale(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.parquet"
    pq.write_table(table(range(3)), source)
    seen: list[int] = []
    first = foreign_pictures(DataConfig(str(source)), 8, seen.append)
    assert seen == [3]
    assert isinstance(first.pictures, np.memmap)
    again = foreign_pictures(DataConfig(str(source)), 8, seen.append)
    assert seen == [3]
    assert again.captions == first.captions
    assert np.array_equal(again.splits, first.splits)
    monkeypatch.chdir(tmp_path)
    foreign_pictures(DataConfig("a.parquet"), 8, seen.append)
    assert seen == [3]
    foreign_pictures(DataConfig("a.parquet"), 16, seen.append)
    foreign_pictures(DataConfig("a.parquet", most=2), 8, seen.append)
    assert seen == [3, 3, 2]
    pq.write_table(table(range(50, 53)), source)
    assert numbers(read(source)) == [50, 51, 52]
    for path in cache.glob("own-*"):  # cut off, or without its words
        path.write_bytes(path.read_bytes()[:100])
    assert numbers(read(source)) == [50, 51, 52]


def test_the_same_pictures_elsewhere_are_the_same_data(tmp_path: Path) -> None:
    for name, rows in (("a", range(4)), ("b", range(4)), ("c", range(1, 5))):
        pq.write_table(table(rows), tmp_path / f"{name}.parquet")
    notes = {}
    for name in "abc":
        data = settled(DataConfig(str(tmp_path / f"{name}.parquet")), None)
        notes[name] = json.loads(json.dumps(note_data(data, open_pictures(data, 8))))
    assert other_data(notes["a"], notes["b"]) == other_data(None, None) == ""
    assert "4 pictures of" in other_data(notes["a"], notes["c"])
    assert "→ the bundled emoji" in other_data(notes["a"], None)
    (tmp_path / "run.json").write_text(json.dumps({"data": notes["a"]}))
    assert data_of(tmp_path) == DataConfig(str(tmp_path / "a.parquet"))
    (tmp_path / "run.json").write_text("{}")
    assert data_of(tmp_path) is None


def test_lots() -> None:
    assert draw_dev(np.array([0.7, 0.09, 0.3, 0.1])).tolist() == [False, True, False, False]
    assert draw_dev(np.array([0.7, 0.6])).tolist() == [False, True]
    assert draw_dev(np.array([0.01, 0.02])).tolist() == [True, False]
    assert draw_dev(np.array([0.5, 0.9, 0.5])).tolist() == [True, False, True]  # one picture, twice
    assert draw_dev(np.array([0.02, 0.01, 0.02])).tolist() == [False, True, False]
    for lot in (0.01, 0.5):  # there is no other
        assert draw_dev(np.array([lot])).tolist() == [False]
        assert draw_dev(np.array([lot, lot, lot])).tolist() == [True, False, False]


def test_options_are_checked() -> None:
    with pytest.raises(InvalidValue, match="data=' '"):
        DataConfig(" ")
    with pytest.raises(InvalidValue, match="most=1: expected at least 2"):
        DataConfig("x", most=1)
    with pytest.raises(InvalidValue, match="size=4: expected 8 pixels or more"):
        foreign_pictures(DataConfig("x"), 4)

"""Pictures → tokens on disk: the same bytes however it is divided, stopped or killed; nothing corrupt ends it."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import encoding_world as world
import numpy as np
import pytest
import torch

from minidalle.checkpoint import load_json, save_model
from minidalle.data import DataConfig, foreign_pictures
from minidalle.data.token_manifest import Share, load_manifest
from minidalle.data.token_parts import read_words
from minidalle.data.token_shards import TokenShards
from minidalle.data.tokens import tokenize
from minidalle.errors import InvalidValue
from minidalle.training import encoder
from minidalle.training.encoding import Encoded, encode_share
from minidalle.training.loop import Interrupted
from minidalle.vqgan import VQGAN

CPU = torch.device("cpu")
LEFT_OUT = ["00000.tar/000005", "00000.tar/000040", "00060.tar/000077", "00060.tar/000100", "00060.tar/000111"]


def encode(source: DataConfig, run: Path, out: Path, share: str = "0/1", part_rows: int = world.PART_ROWS, **more):  # type: ignore[no-untyped-def]
    return encode_share(source, run, out, Share.parse(share), CPU, part_rows=part_rows, **more)


@pytest.fixture(scope="module")
def whole(source: DataConfig, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it."""
    folder = tmp_path_factory.mktemp("whole")
    encode(source, run, folder)
    return folder


def test_the_shares_of_several_are_what_one_makes(source: DataConfig, run: Path, whole: Path, tmp_path: Path) -> None:
    assert len(world.files(whole)) == 2 * 10
    for index in (2, 0, 1):
        encode(source, run, tmp_path / str(index), f"{index}/3")
    parts = [world.files(tmp_path / str(index)) for index in range(3)]
    assert [len(part) for part in parts] == [2 * 4, 2 * 3, 2 * 3]
    assert {name: content for part in parts for name, content in part.items()} == world.files(whole)
    for index in (1, 2):  # brought together in one folder, they are one data set
        shutil.copytree(tmp_path / str(index), tmp_path / "0", dirs_exist_ok=True)
    assert len(TokenShards(tmp_path / "0")) == len(TokenShards(whole)) == world.ROWS - 5


def test_what_is_encoded_is_what_training_from_pictures_sees(source: DataConfig, run: Path, whole: Path) -> None:
    codec, pictures, shards = world.write_run(run), foreign_pictures(source, 16), TokenShards(whole)
    encoders = codec.tokenizer.encode_batch, codec.vqgan.encode
    tokens = tokenize(pictures.captions, pictures.pictures, *encoders, CPU, batch_size=64)
    own = shards.take(torch.arange(len(shards)))
    for name in ("text", "text_mask", "image", "colors"):
        assert torch.equal(getattr(own, name), getattr(tokens, name)), name
    assert len(np.unique(tokens.image)) > 20
    assert [shards.captions[row] for row in range(len(shards))] == pictures.captions
    for split in ("train", "dev"):
        assert shards.rows(split).tolist() == pictures.rows(split).tolist()
    assert len(shards.rows("dev")) > 5


def test_a_picture_has_the_same_tokens_in_any_batch(
    source: DataConfig, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens are made of the last bits of the latents here, which differ from one size of batch to the next."""

    def last_bits(self: VQGAN, pictures: torch.Tensor) -> torch.Tensor:
        bits = self.latents(pictures).contiguous().view(torch.int32).sum(-1)
        return bits.remainder(self.config.codes)

    monkeypatch.setattr(VQGAN, "encode", last_bits)
    made = {}
    for part_rows in (7, 64, 1000):
        encode(source, run, tmp_path / str(part_rows), part_rows=part_rows)
        shards = TokenShards(tmp_path / str(part_rows))
        made[part_rows] = shards.take(torch.arange(len(shards))).image
    assert torch.equal(made[7], made[64])
    assert torch.equal(made[7], made[1000])
    monkeypatch.setattr(encoder, "BATCH", 3)  # where it is another size, the test sees it
    encode(source, run, tmp_path / "3")
    assert not torch.equal(TokenShards(tmp_path / "3").take(torch.arange(len(shards))).image, made[7])


def test_what_is_corrupt_is_counted_and_listed(whole: Path) -> None:
    noted = load_json(whole / "shard-0-of-1.json")
    assert (noted["rows"], noted["source_rows"], noted["finished"]) == (145, 150, True)
    assert noted["record"]["bytes"] == 2 * (24 + 1 + 16 + 16 * 3)
    assert noted["skipped"] == [["blank caption", 1], ["no picture of a known kind", 3], ["there is no such file", 1]]
    with open(whole / "shard-0-of-1-skipped.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["name", "reason"]
    assert [name for name, _ in rows] == LEFT_OUT


def by_caption(shards: TokenShards) -> dict[str, list[int]]:
    """The image tokens of the first rows."""
    return {shards.captions[row]: shards.image[torch.tensor([row])][0].tolist() for row in range(39)}


def test_every_kind_of_source(run: Path, whole: Path, tmp_path: Path) -> None:
    """The same pictures have the same tokens; how many there are is known, but of what is compressed."""
    pytest.importorskip("datasets")
    sources, made, totals = world.write_others(tmp_path, range(40)), {}, {}
    for name, one in sources.items():
        done: list[Encoded] = []
        encode(one, run, tmp_path / "out" / name, watch=done.append)
        shards, totals[name] = TokenShards(tmp_path / "out" / name), done[-1].total
        made[name] = by_caption(shards)
    assert totals == {"table": 39, "all.parquet": 39, "all.tar.gz": None}
    shards = TokenShards(whole)
    tokens = by_caption(shards)
    assert all(own == tokens for own in made.values())


def test_a_part_of_which_nothing_can_be_read(source: DataConfig, run: Path, tmp_path: Path) -> None:
    done = encode(replace(source, most=6), run, tmp_path, part_rows=5)
    assert [part[:2] for part in done.parts] == [(0, 5), (1, 0)]
    assert TokenShards(tmp_path).take(torch.arange(5)).image.shape == (5, 16)


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_names_that_are_not_utf_8(run: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "pictures"
    place.mkdir()
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"caf\xe8", b"plain")]
    for row, name in enumerate(names):
        (place / f"{name}.png").write_bytes(world.picture(row))
        (place / f"{name}.txt").write_text("" if row == 1 else "a café")
    if kind == "tar":
        with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
            for file in sorted(place.iterdir()):
                archive.add(file, file.name)
        place = tmp_path / "pictures.tar"
    encode(DataConfig(str(place)), run, tmp_path / "out")
    keys = read_words(tmp_path / "out", 0)["key"].to_pylist()
    assert [key.removeprefix("pictures.tar/").removesuffix(".png") for key in keys] == [r"caf\udce9", "plain"]
    assert r"caf\udce8" in (tmp_path / "out" / "shard-0-of-1-skipped.csv").read_text(encoding="utf-8")


def test_killed_and_stopped_it_goes_on_with_the_same_bytes(
    source: DataConfig, run: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my tokens"
    command = [sys.executable, world.__file__, "encode", source.source, "--run", str(run), "--out", str(out)]
    seen, said = [], ""
    for number, upto in ((signal.SIGKILL, 60), (signal.SIGINT, 100)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        patience = threading.Timer(120, process.kill)
        patience.start()
        assert process.stdout
        for line in process.stdout:
            if line.startswith("encoded") and int(line.split()[1]) >= upto:
                process.send_signal(number)
                break
        said = process.communicate()[1]
        patience.cancel()
        seen.append((process.returncode, len(world.files(out, "*.arrow"))))
    (killed, first), (stopped, second) = seen
    assert (killed, stopped) == (-signal.SIGKILL, 130), said
    assert 2 <= first < second < 10
    assert said.splitlines()[-1].startswith("encode: stopped; ")
    assert f"To go on: minidalle encode {source.source} --run {run} --out '{out}'" in said
    (out / ".part-000008.npy.x.part").write_bytes(b"half")  # as a process leaves it that is killed while it writes
    done: list[Encoded] = []
    encode(source, run, out, watch=done.append)
    assert done[0].rows > 16 * second
    assert world.files(out) == world.files(whole)
    assert world.files(out, "*.csv") == world.files(whole, "*.csv")
    assert not list(out.glob(".*"))


def test_what_is_done_is_not_done_again(
    source: DataConfig, run: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    with monkeypatch.context() as patch:
        patch.delattr(encoder.Encoder, "encode")  # nobody looks at the pictures
        assert encode(source, run, tmp_path).rows == 145
    done: list[Encoded] = []
    (tmp_path / "part-000003.arrow").unlink()
    path = tmp_path / "part-000007.npy"
    path.write_bytes(path.read_bytes()[:-1])
    encode(source, run, tmp_path, watch=done.append)
    assert [one.rows for one in done] == [64, 128]  # the two parts that were damaged, and none of the others
    assert world.files(tmp_path) == world.files(whole)


def test_how_far_it_is(source: DataConfig, run: Path, tmp_path: Path) -> None:
    done: list[Encoded] = []
    encode(source, run, tmp_path, "1/3", watch=done.append)
    assert [one.total for one in done] == [48] * 3
    assert (done[-1].rows, done[-1].skipped) == (48, 1)
    assert done[-1].seconds_left == 0
    assert replace(done[0], total=None).seconds_left is None
    assert replace(done[0], rows=16, pictures_per_second=4.0).seconds_left == 8


def test_a_thread_that_is_asked_to_stop_stops(source: DataConfig, run: Path, tmp_path: Path) -> None:
    def interrupt(done: Encoded) -> None:
        if done.rows >= 40:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        encode(source, run, tmp_path, watch=interrupt)
    assert len(world.files(tmp_path, "*.arrow")) == 2
    assert not load_manifest(tmp_path / "shard-0-of-1.json").finished
    with pytest.raises(InvalidValue, match="expected all shards of 1: 0/1 is not finished"):
        TokenShards(tmp_path)


@pytest.mark.parametrize("shard", ["3/3", "0/0", "1", "-1/2", "a/b"])
def test_no_such_share(shard: str) -> None:
    with pytest.raises(InvalidValue, match=f"--shard='{shard}': expected I/N with 0 ≤ I < N"):
        Share.parse(shard)


def test_a_folder_of_something_else_is_refused(source: DataConfig, run: Path, whole: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    shutil.copytree(whole, out)
    world.write_run(other, seed=1)
    for changed, words in (
        ((source, other), "of another VQGAN"),
        ((replace(source, most=50), run), "of another data, or options for them"),
        ((world.write_source(tmp_path / "more", range(151)), run), "of another data, or options for them"),
    ):
        with pytest.raises(InvalidValue, match=rf"--out=.*shard 0/1 there is {words} \(\w+ → \w+\)"):
            encode(*changed, out)
    with pytest.raises(InvalidValue, match="of another encoding"):
        encode(source, run, out, part_rows=8)
    assert world.files(out) == world.files(whole)
    encode(source, run, out, "0/2")  # divided otherwise, the parts are the same


def test_a_run_that_cannot_encode_is_refused(source: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"--run=.*it has no tokenizer and no vqgan\.safetensors"):
        encode(source, tmp_path / "nowhere", tmp_path / "out")
    codec = world.write_run(tmp_path / "run")
    painter = VQGAN(replace(codec.vqgan.config, decoder_only=True))
    save_model(tmp_path / "run" / "vqgan.safetensors", painter, painter.config)
    with pytest.raises(InvalidValue, match="a VQGAN with an encoder; this one can only paint"):
        encode(source, tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()

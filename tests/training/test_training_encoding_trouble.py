"""What goes wrong around an encoding: files that vanish, folders of others, kills at the start, nothing to train on."""

import errno
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import encoding_world as world
import pytest
import torch
from training_recipes import tiny

from minidalle.data import DataConfig, foreign
from minidalle.data.foreign import decode_row
from minidalle.data.rows import RawRow
from minidalle.data.shards import shard_rows
from minidalle.data.token_manifest import Manifest
from minidalle.errors import InvalidValue
from minidalle.token_run import run_on_tokens
from minidalle.tokenization import Tokenizer, files
from minidalle.training.codec import Codec, load_codec, save_codec
from minidalle.training.encoding import Encoded, encode_share

CPU = torch.device("cpu")


def encode(source: DataConfig, run: Path, out: Path, watch: Callable[[Encoded], None] | None = None) -> Manifest:
    return encode_share(source, run, out, device=CPU, part_rows=8, watch=watch)


def gone(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:520])


@pytest.mark.parametrize(
    ("harm", "words"), [(gone, "No such file or directory"), (cut_off, "it was cut off meanwhile")]
)
def test_a_shard_that_cannot_be_read_is_no_corrupt_picture(
    tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    source, shard = world.write_source(tmp_path, range(3)), tmp_path / "00000.tar"
    rows = list(shard_rows([shard], source))
    listing = shard_rows([shard], source)
    next(listing)
    assert not isinstance(decode_row(16, rows[0]), str)
    harm(shard)
    with pytest.raises(InvalidValue, match=rf"00000\.tar: cannot be read: {words}$"):
        decode_row(16, rows[0])
    with pytest.raises(InvalidValue, match=rf"00000\.tar: cannot be read: {words}$"):
        list(listing)  # captions


def test_a_shard_that_comes_back_is_gone_on_with(run: Path, tmp_path: Path) -> None:
    source, shard, out = world.write_source(tmp_path / "tars", range(24)), tmp_path / "tars" / "00000.tar", tmp_path
    encode(source, run, out / "whole")
    with pytest.raises(InvalidValue, match="cannot be read: No such file"):
        encode(source, run, out / "again", lambda done: gone(shard))
    assert len(world.files(out / "again", "*.arrow")) == 1
    shard.with_suffix(".away").rename(shard)
    encode(source, run, out / "again")
    assert world.files(out / "again") == world.files(out / "whole")


def test_a_disk_that_fails_is_no_corrupt_picture(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise OSError(errno.EIO, "Input/output error", "7.png")

    with pytest.raises(InvalidValue, match=r"^7\.png: cannot be read: Input/output error$"):
        decode_row(16, RawRow("row 7", "a caption", fails))
    for missing, words in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file or directory")):
        assert decode_row(16, RawRow("row 7", "a caption", missing.read_bytes)) == words


@pytest.mark.parametrize("kept", ["tokenizer", "vqgan.safetensors"])
def test_a_folder_with_another_codec_is_refused_before_anything_is_encoded(
    run: Path, tmp_path: Path, kept: str
) -> None:
    source, out = world.write_source(tmp_path / "tars", range(24)), tmp_path / "out"
    codec = world.write_run(tmp_path / "other", seed=1)
    words = Tokenizer.train(["another text than that"], codec.tokenizer.config)
    save_codec(Codec(words, codec.vqgan), out)
    for path in out.iterdir():
        if path.name != kept:
            path.rename(tmp_path / path.name)
    name = kept.removesuffix(".safetensors")
    said = f"a folder without a tokenizer and a VQGAN, or with the same; there is another {name}"
    with pytest.raises(InvalidValue, match=rf"--out='.*out': expected {said}$"):
        encode(source, run, out)
    assert [path.name for path in out.iterdir()] == [kept]
    encode(source, run, tmp_path / "tokens")
    with pytest.raises(InvalidValue, match=rf"--out='.*out': expected {said}$"):
        run_on_tokens(tiny(), out, tmp_path / "tokens", "cpu", 1)
    assert [path.name for path in out.iterdir()] == [kept]
    encode(source, tmp_path / "tokens", tmp_path / "tokens")  # with its own there is no trouble


def test_a_kill_between_the_tokenizers_files_leaves_none(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    codec = load_codec(run, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_tokenizer_json", killed)
        with pytest.raises(KeyboardInterrupt):
            save_codec(codec, tmp_path)
    assert not (tmp_path / "tokenizer").exists()
    save_codec(codec, tmp_path)
    assert load_codec(tmp_path, CPU).encoding() == codec.encoding()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer", "vqgan.safetensors"]


def test_two_shards_may_start_at_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, save = load_codec(run, CPU), Tokenizer.save

    def both(self: Tokenizer, folder: Path) -> None:
        save(self, tmp_path / "tokenizer")  # the other one was a little faster
        save(self, folder)

    monkeypatch.setattr(Tokenizer, "save", both)
    save_codec(codec, tmp_path)
    assert load_codec(tmp_path, CPU).encoding() == codec.encoding()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer", "vqgan.safetensors"]


@pytest.mark.parametrize(("rows", "usable"), [(range(40, 41), 0), (range(5, 7), 1)])
def test_tokens_with_nothing_to_train_on_or_to_choose_by(run: Path, tmp_path: Path, rows: range, usable: int) -> None:
    encode(world.write_source(tmp_path / "tars", rows), run, tmp_path / "tokens")
    said = rf"of {usable} rows there, {usable} are to train on and 0 to choose by \(shard-.* lists what was left out\)$"
    with pytest.raises(InvalidValue, match=r"--tokens='.*tokens': expected a row or more to train on .*" + said):
        run_on_tokens(tiny(), tmp_path / "run", tmp_path / "tokens", "cpu", 1)
    assert not (tmp_path / "run").exists()


def test_counting_is_said_and_ends_at_ctrl_c(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def slow(shards: object) -> int:
        assert said == ["counting rows"]
        signal.raise_signal(signal.SIGINT)
        return 0

    monkeypatch.setattr(foreign, "count_shard_rows", slow)
    source = replace(world.write_source(tmp_path / "tars", range(8)), most=4)
    with pytest.raises(KeyboardInterrupt):
        encode_share(source, run, tmp_path / "out", device=CPU, watch=lambda done: None, say=said.append)

"""Flax's msgpack files: what flax itself wrote, every kind of value, and files that are not what they should be."""

import struct
from pathlib import Path

import published_trees as trees
import pytest
import torch

from minidalle.checkpoint import CheckpointError
from minidalle.published.flax_file import read_flax

BY_FLAX = Path(__file__).with_name("flax.msgpack")
"""What flax 0.12.8 made of the tree in `test_what_flax_wrote`, with chunks of 40 bytes."""


def test_what_flax_wrote() -> None:
    tree = read_flax(BY_FLAX)
    expected = {
        "model/a/kernel": torch.arange(6.0).view(2, 3),
        "model/half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "model/brain": torch.tensor([[0.5], [3.0]], dtype=torch.bfloat16),
        "long/chunked": torch.arange(24.0).view(2, 3, 4),
        "long/scalar": torch.tensor(7.0),
        "long/counts": torch.arange(3),
    }
    assert tree.keys() == expected.keys()
    for name, stored in tree.items():
        assert (stored.shape, stored.dtype) == (tuple(expected[name].shape), expected[name].dtype)
        assert torch.equal(stored.read(None), expected[name])


@pytest.mark.parametrize("chunk", [1 << 30, 1000, 64, 4])
def test_one_layer_of_a_stack_is_read_alone_however_it_is_cut(tmp_path: Path, chunk: int) -> None:
    stack = torch.randn(5, 7, 3)
    trees.write_flax(tmp_path / "a.msgpack", {"x/stack": stack, "x/other": torch.ones(2)}, chunk)
    stored = read_flax(tmp_path / "a.msgpack")["x/stack"]
    assert torch.equal(stored.read(None), stack)
    assert all(torch.equal(stored.read(layer), stack[layer]) for layer in range(5))


def test_a_wrapper_called_params_is_left_out(tmp_path: Path) -> None:
    trees.write_flax(tmp_path / "a.msgpack", {"params/b/kernel": torch.ones(2)})
    assert list(read_flax(tmp_path / "a.msgpack")) == ["b/kernel"]


def test_small_forms_of_maps_texts_lists_and_numbers(tmp_path: Path) -> None:
    inner = b"\x93" + b"\x91\x02" + b"\xa5uint8" + b"\xc4\x02\x07\x09"
    for header in (b"\xc7" + bytes([len(inner)]), b"\xc8" + struct.pack(">H", len(inner))):
        (tmp_path / "a.msgpack").write_bytes(b"\x81\xd9\x01a" + header + b"\x01" + inner)
        assert read_flax(tmp_path / "a.msgpack")["a"].read(None).tolist() == [7, 9]
    fixed = b"\x93" + b"\x91\x01" + b"\xa4bool" + b"\xc5\x00\x01\x01" + b""
    assert len(fixed) == 12
    (tmp_path / "a.msgpack").write_bytes(b"\xde\x00\x01\xa1a\xc7\x0c\x01" + fixed)
    assert read_flax(tmp_path / "a.msgpack")["a"].read(None).tolist() == [True]


def test_a_file_cut_anywhere_is_told(tmp_path: Path) -> None:
    whole, path = BY_FLAX.read_bytes(), tmp_path / "cut.msgpack"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.msgpack"):
            read_flax(path)


def test_a_file_with_any_byte_changed_is_read_or_told(tmp_path: Path) -> None:
    """Nothing worse than another number can come of it: no crash, no endless loop, no memory for what is not there."""
    whole, path = BY_FLAX.read_bytes(), tmp_path / "changed.msgpack"
    told = 0
    for at in range(len(whole)):
        for byte in (0x00, 0xC1, 0xDF, 0xFF, whole[at] ^ 1):
            path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            try:
                read_flax(path)
            except CheckpointError:
                told += 1
    assert told > 500


ONES = torch.ones(2)
BAD = {
    "how much is missing": (trees.packed({"a": {"b": torch.ones(9)}})[:-4], r"a/b: the file ends too early: \d+ bytes"),
    "bytes after the tree": (trees.packed({"a": ONES}) + b"\xc0", "1 bytes follow the tree"),
    "no tree": (trees.packed([1, 2]), "holds no tree"),
    "a number for an array": (trees.packed({"a": {"b": 3}}), "a/b: int is no array"),
    "a text for an array": (trees.packed({"a": "x"}), "a: str is no array"),
    "another extension type": (b"\x81\xa1a\xc7\x01\x02\x00", "a: extension type 2 is no array"),
    "an unknown dtype": (trees.packed({"a": ONES}).replace(b"float32", b"float31"), "dtype 'float31'"),
    "too few bytes": (trees.packed({"a": ONES}).replace(b"float32", b"float64"), "has 8 bytes: expected 16"),
    "a key twice": (b"\x82\xa1a\xc0\xa1a\xc0", "'a' is no text, or comes twice"),
    "a key that is no text": (b"\x81\x01\xc0", "1 is no text"),
    "a byte that begins nothing": (b"\xc1", "the byte 0xc1 begins no value"),
    "maps without end": (b"\x81\xa1a" * 200 + b"\xc0", "deeper than 64"),
    "lists without end": (b"\x91" * 5000, "deeper than 64"),
    "arrays in arrays": (
        b"".join(b"\xc8" + struct.pack(">H", 4 * left) + b"\x01" for left in reversed(range(2000))),
        "deeper than 64",
    ),
    "a list for a dtype": (b"\x81\xa1a\xc7\x06\x01\x93\x91\x01\x90\xc4\x00", r"shape \[1\] and the dtype \[\]"),
    "a thousand axes": (
        b"\x81\xa1a\xc8\x03\xf3\x01\x93\xdc\x03\xe8" + b"\x00" * 1000 + b"\xa4bool\xc4\x00",
        r"has the shape \[0, 0",
    ),
    "a huge map": (b"\xdf\xff\xff\xff\xff", "4294967295 bytes are needed, 0 are left"),
    "nothing": (b"", "at the start: the file ends too early"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_told_with_the_place(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    (tmp_path / "bad.msgpack").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_flax(tmp_path / "bad.msgpack")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no\.msgpack"):
        read_flax(tmp_path / "no.msgpack")

"""What crosses the line comes back as it was sent; whatever else a stranger sends is broken, and found so at once."""

import contextlib
import json
import socket
import struct
import threading
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minidalle.grading import wire
from minidalle.grading.wire import Broken, Late, decode, encode

HEADER = struct.Struct("<QQ")


def halves(frame: bytes) -> tuple[bytes, bytes]:
    """A frame's text and bytes."""
    text, _ = HEADER.unpack(frame[:16])
    return frame[16 : 16 + text], frame[16 + text :]


def there_and_back(value: Any) -> Any:
    return decode(*halves(encode(value)))


def raw(value: Tensor) -> Tensor:
    return value.detach().resolve_conj().clone().reshape(-1).contiguous().view(torch.uint8)


def identical(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        like = (one.shape, one.dtype, one.requires_grad) == (other.shape, other.dtype, other.requires_grad)
        return like and raw(one).equal(raw(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    return type(one) is type(other) and (one == other or one != one)


@pytest.mark.parametrize("name", wire.DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (1, 1), (2, 3, 4)])
def test_every_dtype_and_shape_comes_back(name: str, shape: tuple[int, ...]) -> None:
    drawn = torch.randint(0, 2, shape) if name == "bool" else torch.randint(0, 100, shape)
    value = drawn.to(wire.DTYPES[name])
    assert identical(there_and_back(value), value)


def test_tensors_come_back_however_they_are_stored() -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    odd = [base.transpose(0, 2), base[:, ::2], base.expand(2, 2, 3, 4)[0], torch.tensor([1 + 2j]).conj(), base[0, 0, 0],
           torch.tensor([float("nan"), float("inf"), -0.0]), base.clone().requires_grad_() * 2]  # fmt: skip
    for value in odd:
        assert identical(there_and_back(value), value.detach().requires_grad_(value.requires_grad))


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
names = st.text(st.characters(), max_size=5) | st.sampled_from([wire.TENSOR, wire.ESCAPE, wire.ESCAPE * 2])
tensors = st.builds(
    lambda shape, dtype: torch.zeros(shape, dtype=wire.DTYPES[dtype]),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([*wire.DTYPES]),
)
values = st.recursive(
    numbers | tensors, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


@given(values)
@settings(deadline=None)
def test_anything_comes_back(value: Any) -> None:
    assert identical(there_and_back(value), value)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> list:
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", 10**5000, nested(200), endless(), {1: 2}, torch.zeros(1).expand(1 << 40),
     torch.zeros(3).to_sparse(), torch.zeros(1).to(torch.float8_e5m2), "x" * (wire.MOST_TEXT + 1),
     [torch.zeros(0)] * (wire.MOST_TENSORS + 1), [torch.zeros(3 << 22)] * 2, torch.zeros([1] * 20)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_too_much_or_no_json_is_not_sent(value: Any) -> None:
    with pytest.raises((Broken, AttributeError)):
        encode(value)


def tensor(*told: Any) -> bytes:
    return json.dumps({wire.TENSOR: list(told)}).encode()


BAD = {
    "nothing": (b"", b""),
    "no JSON": (b"{", b""),
    "no UTF-8": (b"\xff\xfe\xfd", b""),
    "a huge number": (b"9" * 5000, b""),
    "brackets": (b"[" * wire.MOST_TEXT, b""),
    "nested": (b"[" * 500 + b"]" * 500, b""),
    "numbers left over": (b"1", b"1234"),
    "one dtype of none": (tensor("float33", [1], False), b"1234"),
    "a list for a dtype": (tensor([], [1], False), b"1234"),
    "no list for a shape": (tensor("float32", 1, False), b"1234"),
    "a text for a shape": (tensor("float32", "1", False), b"1234"),
    "negative": (tensor("float32", [-1], False), b""),
    "negative twice": (tensor("float32", [-1, -1], False), b"1234"),
    "true for a side": (tensor("float32", [True], False), b"1234"),
    "half a side": (tensor("float32", [1.0], False), b"1234"),
    "no flag": (tensor("float32", [1], 1), b"1234"),
    "too few bytes": (tensor("float32", [2], False), b"1234"),
    "too few parts": (tensor("float32", [1]), b"1234"),
    "more numbers than bytes": (tensor("uint8", [1 << 39, 1 << 39], False), b"1"),
    "no numbers of a huge shape": (tensor("uint8", [0, 1 << 39, 1 << 39], False), b""),
    "a million dimensions": (tensor("uint8", [9] * 1_000_000, False), b"1"),
    "the same numbers twice": (json.dumps([{wire.TENSOR: ["uint8", [4], False]}] * 2).encode(), b"1234"),
    "very many tensors": (b"[" + b",".join([tensor("bool", [], False)] * 100_000) + b"]", b"1" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_broken_at_once(name: str) -> None:
    before = time.process_time()
    with pytest.raises(Broken):
        decode(*BAD[name])
    assert time.process_time() - before < 5


@given(st.binary(max_size=200), st.binary(max_size=50))
@settings(deadline=None)
def test_bytes_are_broken_or_a_value(text: bytes, blob: bytes) -> None:
    with contextlib.suppress(Broken):
        decode(text, blob)


LINE = st.lists(st.binary(max_size=64), max_size=4)


@given(LINE)
@settings(deadline=None, max_examples=50)
def test_a_line_gives_a_value_or_is_broken(pieces: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
        theirs.close()
        with contextlib.suppress(Broken):
            wire.receive(ours, 1.0)


def test_a_frame_that_never_ends_is_late() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(HEADER.pack(1000, 0))
        while not stop.wait(0.02):
            theirs.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    before = time.monotonic()
    with pytest.raises(Late):
        wire.receive(ours, 0.3)
    assert time.monotonic() - before < 3
    stop.set()
    thread.join()
    ours.close()
    theirs.close()


@pytest.mark.parametrize("lengths", [(1 << 63, 0), (0, 1 << 63), (wire.MOST_TEXT + 1, 0), (0, wire.MOST_BYTES + 1)])
def test_a_frame_that_says_it_is_huge_is_not_waited_for(lengths: tuple[int, int]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEADER.pack(*lengths))
        with pytest.raises(Broken, match="too long"):
            wire.receive(ours, 5.0)

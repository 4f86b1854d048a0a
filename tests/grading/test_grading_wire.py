"""What crosses the line comes back as it was sent; what a stranger sends is a sight or a complaint, in bounded time."""

import contextlib
import json
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from minidalle.course.checking.compare import same
from minidalle.course.checking.display import as_html, as_text
from minidalle.course.checking.sight import look, report_on
from minidalle.exercises import EXERCISES
from minidalle.grading import wire
from minidalle.grading.untrusted import Unusable, shown, sight
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


def told(id: str = "tokenization.merge_pair") -> dict[str, Any]:
    """What an honest answer sends."""
    from dataclasses import asdict

    exercise = EXERCISES[id]
    needs = {EXERCISES[one].name: EXERCISES[one].reference for one in exercise.needs}
    return asdict(look(exercise, exercise.also_right[0], exercise.cases(0), needs))


ASKED = ("tokenization.merge_pair", "vqgan.straight_through", "tokenization.pad_batch", "generation.clip_loss")
HONEST = {id: told(id) for id in ASKED if id in EXERCISES}


@pytest.mark.parametrize("id", HONEST)
def test_what_is_honest_is_a_sight(id: str) -> None:
    exercise = EXERCISES[id]
    seen = sight(there_and_back(HONEST[id]), len(list(exercise.cases(0))))
    assert report_on(exercise, seen).passed
    assert all(
        same(one.result, other["result"])
        for one, other in zip(seen.observations, HONEST[id]["observations"], strict=True)
    )


ODD: list[Callable[[], Any]] = [
    lambda: None, lambda: True, lambda: -1, lambda: 2**60, lambda: 10**4000, lambda: float("nan"), lambda: float("inf"),
    lambda: "", lambda: "x" * 5000, lambda: "\ud800\0\x1b[2J", lambda: [], lambda: {}, lambda: [[]], lambda: nested(70),
    lambda: {"type": ""}, lambda: {"type": "Tensor"}, lambda: {"type": "dict", "keys": [], "values": []},
    lambda: {"type": "tuple", "items": [{"type": ""}] * 300}, lambda: torch.zeros(3), lambda: torch.zeros(()),
    lambda: torch.tensor(float("nan")), lambda: torch.zeros(2, 2, dtype=torch.complex64), lambda: {"a": torch.ones(1)},
    lambda: {"gradients": {"x": "none"}}, lambda: {"gradients": "none"}, lambda: [1, "a", None], lambda: {"result": {}},
]  # fmt: skip


def places(value: Any, way: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(found for key, item in inner for found in places(item, (*way, key)))]


def put(value: Any, way: tuple, new: Any) -> Any:
    if not way:
        return new
    copy = value.copy()
    copy[way[0]] = put(value[way[0]], way[1:], new)
    return copy


@pytest.mark.parametrize("id", HONEST)
def test_one_or_more_odd_things_in_it_are_a_sight_that_can_be_judged_or_unusable(id: str) -> None:
    """Whatever comes through is judged without an error, and its report can be shown."""
    draw, exercise = random.Random(id), EXERCISES[id]
    everywhere, judged = places(HONEST[id]), 0
    count = len(list(exercise.cases(0)))
    for _ in range(1500):
        value = HONEST[id]
        for _ in range(draw.choice((1, 1, 2, 5))):
            try:
                value = put(value, draw.choice(everywhere), draw.choice(ODD)())
            except (TypeError, KeyError, IndexError, AttributeError):
                continue  # what was odd before has no such place
        try:
            seen = sight(value, count)
        except Unusable:
            continue
        judged += 1
        report = shown(report_on(exercise, seen))
        text = as_text(report) + as_html(report) + json.dumps(report.as_plain(), ensure_ascii=False)
        assert len(text.encode()) < 1 << 20
        assert "\x1b" not in text
    assert judged > 50


@given(values)
@settings(deadline=None)
def test_anything_else_is_unusable(value: Any) -> None:
    with pytest.raises(Unusable):
        sight(value, 3)


def bits(frame: bytes, draw: random.Random) -> bytes:
    """A frame with some bytes changed, left out or put in twice."""
    body = bytearray(frame)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(body))
        if draw.random() < 0.6:
            body[at] = draw.choice(b'\0\xff"[]{}:,0129-eE.tfn\\u ') if draw.random() < 0.7 else draw.randrange(256)
        else:
            end = at + draw.randint(1, 8)
            body[at:end] = draw.choice((b"", bytes(body[at:end]) * 2))
    return bytes(body)


@pytest.mark.parametrize("id", HONEST)
def test_flipped_bits_are_broken_unusable_or_judged(id: str) -> None:
    draw, frame, exercise = random.Random(id), encode(HONEST[id]), EXERCISES[id]
    text, blob = halves(frame)
    for _ in range(500):
        try:
            seen = sight(decode(bits(text, draw), bits(blob, draw) if blob and draw.random() < 0.3 else blob), 12)
        except (Broken, Unusable):
            continue
        if len(seen.observations) == len(list(exercise.cases(0))) or seen.refused:
            report_on(exercise, seen)


def kinds(count: int) -> list[dict[str, Any]]:
    return [{"type": "list", "items": [{"type": f"a{n}"} for n in range(count)]}]


GREEDY: dict[str, Callable[[dict], Any]] = {
    "many lists": lambda one: one | {"result": [[]] * 2_000_000},
    "many names": lambda one: one | {"result": {str(n): 0 for n in range(500_000)}},
    "many kinds": lambda one: one | {"kinds": kinds(19_000)},
    "a deep result": lambda one: one | {"result": nested(59)},
    "a long text": lambda one: one | {"result": "x" * 7_000_000},
    "many long texts": lambda one: one | {"arguments": ["y" * 30_000] * 200},
    "a long message": lambda one: one | {"error": {
        "type": "E" * 9999, "message": "<script>" * 9999, "line": "l" * 9999, "place": "p" * 9999, "number": 3,
        "inside": True, "unwritten": False}},
    "many tensors": lambda one: one | {"result": [torch.zeros(1)] * 19_000},
    "a large tensor": lambda one: one | {"result": torch.zeros(60 << 20, dtype=torch.uint8)},
    "many arguments changed": lambda one: one | {"changed": ["c" * 2000] * 200},
}  # fmt: skip


@pytest.mark.parametrize("name", GREEDY)
def test_the_largest_frame_takes_bounded_time_and_memory(name: str) -> None:
    honest, exercise = HONEST["tokenization.merge_pair"], EXERCISES["tokenization.merge_pair"]
    count = len(list(exercise.cases(0)))
    forged = honest | {
        "observations": [GREEDY[name](one) if n == 0 else one for n, one in enumerate(honest["observations"])]
    }
    text, blob = halves(encode(forged))
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        report = shown(report_on(exercise, sight(decode(text, blob), count)))
        assert len(as_html(report)) < 500_000
    except Unusable:
        pass
    assert time.process_time() - before < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 1_500_000, "kilobytes"

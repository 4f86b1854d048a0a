"""Whatever comes back from a sandbox is a sight that can be judged, or unusable, in bounded time and memory."""

import json
import random
import resource
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from test_grading_wire import halves, nested, there_and_back, values

from minidalle.course.checking.compare import same
from minidalle.course.checking.display import as_html, as_text
from minidalle.course.checking.sight import look, report_on
from minidalle.exercises import EXERCISES
from minidalle.grading.untrusted import Unusable, shown, sight
from minidalle.grading.wire import Broken, decode, encode


def told(id: str = "tokenization.merge_pair") -> dict[str, Any]:
    """What an honest answer sends."""
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

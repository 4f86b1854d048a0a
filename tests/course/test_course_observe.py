"""What is noted of a call, what kind of thing came back, and that nothing a function does gets out."""

import json
import sys
import threading
import time
import warnings
from collections import Counter, namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from minidalle.course.checking.compare import difference, same
from minidalle.course.checking.kinds import fits, in_words, kind, union
from minidalle.course.checking.limits import TimeUp, within
from minidalle.course.checking.observe import Observation, observe, parameters, plain
from minidalle.course.checking.shown import cut, short
from minidalle.exercises.exercise import call


def once(function: Callable[..., Any], *arguments: Any, seconds: float | None = 5.0) -> Observation:
    """What is seen of one call."""
    case = {f"argument_{number}": value for number, value in enumerate(arguments)}
    return observe(function, call, [case], seconds)[0]


def test_a_call_that_goes_well() -> None:
    seen = once(lambda word, pair: [word[0], (1, 2.0)], ["a", "b"], "x")
    assert seen.result == ["a", [1, 2.0]]
    pair = {"type": "tuple", "items": [{"type": "int"}, {"type": "float"}]}
    assert seen.kinds == [{"type": "list", "items": [{"type": "str"}, pair]}]
    assert (seen.kept, seen.changed, seen.calls, seen.error) == ([0], [], 1, None)
    assert seen.arguments == ["word = ['a', 'b']", "pair = 'x'"]
    assert seen.returned == "['a', (1, 2.0)]"


def without_tensors(value: Any, found: list[torch.Tensor]) -> Any:
    """A value as JSON, its tensors put aside."""
    if isinstance(value, torch.Tensor):
        found.append(value)
        return {"tensor": len(found) - 1}
    if isinstance(value, dict):
        return {key: without_tensors(item, found) for key, item in value.items()}
    return [without_tensors(item, found) for item in value] if isinstance(value, list) else value


def with_tensors(value: Any, found: list[torch.Tensor]) -> Any:
    if isinstance(value, dict) and value.keys() == {"tensor"}:
        return found[value["tensor"]]
    if isinstance(value, dict):
        return {key: with_tensors(item, found) for key, item in value.items()}
    return [with_tensors(item, found) for item in value] if isinstance(value, list) else value


ANSWERS = {
    "a mapping of pairs": lambda x: {("a", "b"): torch.eye(2), ("c", "d"): torch.zeros(0)},
    "nothing JSON knows": lambda x: [{1, 2}, object, np.float32(3), np.ones(2), b"bytes", iter("a"), 1j],
    "an error": lambda x: x[17],
    "a change": lambda x: x.append(1),
    "a loop in a list": lambda x: x.append(x) or x,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_observation_is_json_and_tensors(name: str) -> None:
    seen = once(ANSWERS[name], [1])
    tensors: list[torch.Tensor] = []
    text = json.dumps(without_tensors(seen.as_plain(), tensors))
    again = Observation(**with_tensors(json.loads(text), tensors))
    assert without_tensors(again.as_plain(), []) == without_tensors(seen.as_plain(), [])
    assert same(again.result, seen.result)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "a bool"), (1, "an int"), (1.0, "a float"), ("", "a str"), (None, "None"), ([], "a list"),
        ([1, 2], "a list of int"), ([1, "a"], "a list of int or str"), (Counter("a"), "a dict from str to int"),
        ({("a", "b"): 1}, "a dict from (str, str) to int"), ([("a", 1)], "a list of (str, int)"),
        ((torch.eye(2), [1]), "a tuple (Tensor, list of int)"), (torch.nn.Parameter(torch.eye(2)), "a Tensor"),
        (namedtuple("P", "x")(1), "a tuple (int)"), (np.ones(2), "a ndarray"), (np.float64(1), "a float"),
        ((n for n in ()), "a generator"), ({1}, "a set of int"),
        ([np.True_], "a list of numpy.bool"),
    ],
)  # fmt: skip
def test_kinds_in_words(value: object, name: str) -> None:
    assert in_words(union([kind(value)])) == name


@pytest.mark.parametrize(
    ("own", "expected", "fine"),
    [
        ([[]], [[1]], True), ([[1]], [[], []], True), ([["a"]], [[1]], False), ([[1, "a"]], [[1]], False),
        ([[1]], [[1], ["a"]], True), ([None], [[1], None], True), ([None, [1]], [[1]], False),
        ([1], [1.0], True), ([1.0], [1], False), ([True], [1.0], False),
        ([True], [1], False), ([(1, 2)], [[1, 2]], False), ([(1,)], [(1, 2)], False), ([(1, "a")], [(1, 2)], False),
        ([(1, 2, 3)], [(1,), (1, 2)], True), ([("a",)], [(1,), (1, 2)], False), ([{1: 2}], [{"a": 2}], False),
        ([{}], [{"a": 2}], True), ([torch.zeros(2)], [torch.zeros(3, dtype=torch.long)], True),
    ],
)  # fmt: skip
def test_types_are_compared_over_all_cases(own: list[object], expected: list[object], fine: bool) -> None:
    assert fits(union(map(kind, own)), union(map(kind, expected))) is fine


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("own", "expected", "tolerance", "words"),
    [
        (1, 1, 0, None), (1, 1.0, 0, None),
        (1.0, 1, 0, "1.0 (float), expected 1 (int)"), (True, 1.0, 0, "True (bool), expected 1.0 (float)"),
        (True, 1, 0, "True (bool), expected 1 (int)"),
        (1.0, 1.05, 0.1, None), (1.0, 1.2, 0.1, "1.0, expected 1.2"), (NAN, NAN, 0, None), (INF, INF, 0, None),
        (INF, -INF, 9, "inf, expected -inf"), (NAN, 0.0, 9, "nan, expected 0.0"),
        (None, [], 0, "None (None), expected [] (list)"),
        ([], {}, 0, "[] (list), expected {} (dict)"), ({}, [], 0, "{} (dict), expected [] (list)"),
        ([1, [2, 3]], [1, [2, 4]], 0, "at [1][1]: 3, expected 4"), ([1], [1, 2], 0, "1 item, expected 2"),
        ({"a": [1]}, {"a": [2]}, 0, "at ['a'][0]: 1, expected 2"), ({}, {"a": 1}, 0, "'a' is missing"),
        ({"a": 1}, {}, 0, "'a' is one too many"), 
        (1.0000000001, 1.0000000002, 0, "1.0000000001, expected 1.0000000002"), ("ab", "ac", 0, "'ab', expected 'ac'"),
        ({"a": torch.zeros(2)}, {"a": torch.ones(2)}, 0, "at ['a'][0]: 0.0, expected 1.0"),
        (torch.tensor([1.0, NAN]), torch.tensor([1.0, NAN]), 0, None),
        (torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.5]]), 0.1,
         "at [0, 1], the largest difference: 2.0, expected 2.5"),
        (torch.tensor([NAN]), torch.tensor([1.0]), 9, "at [0]: nan, expected 1.0"),
        (torch.zeros(2), torch.zeros(3), 0, "shape [2], expected [3]"),
        (torch.zeros(2), torch.zeros(2).long(), 0, None),
        (torch.tensor([True, False]), torch.tensor([True, True]), 0, "at [1]: False, expected True"),
        (torch.tensor([2**62 + 1]), torch.tensor([2**62]), 0, f"at [0]: {2**62 + 1}, expected {2**62}"),
        (torch.tensor([5]), torch.tensor([4]), 0.5, "at [0]: 5, expected 4"),
        (torch.tensor(INF), torch.tensor(INF), 0, None), (torch.zeros(0, 2), torch.zeros(0, 2), 0, None),
        (torch.zeros(0, 2), torch.zeros(0, 3), 0, "shape [0, 2], expected [0, 3]"),
        (torch.tensor([1 + 1j]), torch.tensor([1 - 1j]), 0.1, "at [0]: (1+1j), expected (1-1j)"),
    ],
)  # fmt: skip
def test_the_first_difference_is_told(own: Any, expected: Any, tolerance: float, words: str | None) -> None:
    assert difference(own, expected, tolerance) == words
    assert same(own, expected, tolerance) is (words is None)


def test_values_are_shown_short() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise ValueError

    assert short(list(range(1000))).endswith("15, … 984 more]")
    assert short("x" * 10_000).startswith("'xxx")
    assert len(short(dict.fromkeys(range(99), "y" * 50))) < 260
    assert short(torch.tensor([[1.0, 0.25]])) == "tensor float32 [1, 2]: [[1, 0.25]]"
    assert short(torch.zeros(8, 9)) == "tensor float32 [8, 9]: 0, 0, 0, 0, 0, 0, 0, 0, …"
    one = {"up": {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([0.25])}, "down": {"weight": torch.ones(1, 1)}}
    assert short(one) == "{'up': {'weight': [[2]], 'bias': [0.25]}, 'down': {'weight': [[1]]}}"
    shapes = "{'layer': {'up': {'weight': float32 [8, 9]}, 'norm': {'bias': float32 [1]}}}"
    assert short({"layer": {"up": {"weight": torch.zeros(8, 9)}, "norm": {"bias": torch.zeros(1)}}}) == shapes
    assert short({"up": torch.ones(1)}) == "{'up': tensor float32 [1]: [1]}"
    assert short((1,)) == "(1,)"
    assert short({1: (2, [3])}) == "{1: (2, [3])}"
    assert short(Rude()) == "<Rude>"
    assert cut("\ud800").isascii()
    assert short(1 / 3) == "0.333333"


def test_what_a_function_changes() -> None:
    def changes(kept: list, changed: list, tensor: torch.Tensor, deep: list, same_tensor: torch.Tensor) -> None:
        changed.append(1)
        tensor += 1
        deep[0]["a"].pop()
        kept.append(1)
        kept.pop()

    arguments = ([1], [1], torch.tensor([1.0, NAN]), [{"a": [1]}], torch.tensor([NAN, 1.0]))
    seen = once(changes, *arguments)
    assert (seen.kept, seen.changed) == ([0, 4], [1, 2, 3])
    assert arguments[1] == [1]  # each call has its own copy
    assert once(lambda words: 1 / 0 if words.append(1) else words[9], ["a"]).changed == [0]  # also where it fails


@pytest.mark.parametrize("value", [None, 3, "a", [], {}, torch.zeros(3)], ids=repr)
def test_an_input_that_becomes_something_else_is_changed(value: object) -> None:
    def puts_it_in(inside: dict, rows: list, words: list) -> int:
        inside["conv"]["weight"] = rows[0] = words[0] = value
        return 1

    seen = once(puts_it_in, {"conv": {"weight": torch.ones(2)}}, [[1, 2]], ["word"])
    assert (seen.error, seen.result, seen.changed) == (None, 1, [0, 1, 2])


def test_a_function_that_is_called_twice_is_noted_once() -> None:
    seen = observe(lambda x: [x], lambda function, x: [function(x), function(str(x))], [{"x": 1}])[0]
    assert seen.calls == 2
    assert in_words(union(seen.kinds)) == "a list of int or str"


def helper(word: list[str]) -> str:
    return word[5]


def fails_far_down(words: list[str]) -> list[str]:
    for word in words:
        helper(word)
    return words


def fails_in_a_comprehension(words: list[str]) -> list[str]:
    return [
        words[number + 5]
        for number in range(3)
    ]  # fmt: skip


def fails_in_torch(words: list[str]) -> torch.Tensor:
    return torch.zeros(2) + torch.zeros(3)


def never_comes_back(words: list[str]) -> None:
    return never_comes_back(words)


@pytest.mark.parametrize(
    ("function", "type", "line", "number", "place"),
    [
        (fails_far_down, "IndexError", "return word[5]", 2, "helper"),
        (fails_in_a_comprehension, "IndexError", "words[number + 5]", 3, "fails_in_a_comprehension"),
        (fails_in_torch, "RuntimeError", "return torch.zeros(2) + torch.zeros(3)", 2, "fails_in_torch"),
        (never_comes_back, "RecursionError", "return never_comes_back(words)", 2, "never_comes_back"),
    ],
)
def test_an_error_has_the_students_own_line(
    function: Callable[..., Any], type: str, line: str, number: int, place: str
) -> None:
    error = once(function, ["ab"]).error
    assert error is not None
    assert [error[key] for key in ("type", "line", "number", "place", "inside")] == [type, line, number, place, True]


def leaves(x: object) -> None:
    sys.exit(3)


def wants_too_much(x: object) -> object:
    return [0] * 10**15


def wants_a_huge_tensor(x: object) -> object:
    return torch.zeros(10**14)


def asks(x: object) -> str:
    return input("? ")


@pytest.mark.parametrize(
    ("function", "type", "words"),
    [(leaves, "SystemExit", "it ended Python"), (wants_too_much, "MemoryError", "more memory than there is"),
     (wants_a_huge_tensor, "MemoryError", "more memory than there is"), (asks, "EOFError", "input()")],
)  # fmt: skip
def test_some_errors_are_named(
    function: Callable[..., Any], type: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: (_ for _ in ()).throw(EOFError()))
    error = once(function, 1).error
    assert error is not None
    assert error["type"] == type
    assert words in error["message"]


def test_an_error_of_the_probe_is_not_the_functions() -> None:
    error = observe(lambda: None, lambda function: len(function()), [{}])[0].error
    assert error is not None
    assert (error["inside"], error["line"]) == (False, "")


def test_wrong_arguments_are_no_line_of_the_student() -> None:
    error = once(lambda: 1, 2).error
    assert error is not None
    assert (error["type"], error["inside"], error["number"]) == ("TypeError", True, 0)


def unwritten(x: object) -> None:
    # YOUR CODE HERE
    raise NotImplementedError()


def not_implemented_by_torch(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros(2, device="meta") + torch.ops.aten._local_scalar_dense(torch.zeros(1, device="meta"))


def test_a_stub_is_told_from_what_torch_cannot_do() -> None:
    stub, other = once(unwritten, 1).error, once(not_implemented_by_torch, 1).error
    assert stub is not None
    assert other is not None
    assert stub["unwritten"]
    assert not other["unwritten"]


def loops(x: object) -> None:
    while True:
        pass


def swallows(x: object) -> None:
    while True:
        try:  # noqa: SIM105
            time.sleep(0.001)
        except:  # noqa: E722
            pass


def swallows_twice(x: object) -> None:
    while True:
        try:
            try:
                time.sleep(0.001)
            except BaseException:
                str(x)
        except BaseException:
            pass


def holds_on(x: object) -> None:
    def inner() -> int:
        try:
            time.sleep(0.01)
        finally:
            return 3  # noqa: B012

    while True:
        inner()


@pytest.mark.parametrize("function", [loops, swallows, swallows_twice, holds_on])
def test_an_endless_loop_is_stopped(function: Callable[..., Any]) -> None:
    start = time.monotonic()
    seen = observe(function, call, [{"x": 1}, {"x": 2}], seconds=0.2)
    assert time.monotonic() - start < 3
    assert [one.error and one.error["type"] for one in seen] == ["TimeUp", "TimeUp"]
    assert seen[0].error is not None
    assert seen[0].error["number"] >= 2
    assert (seen[0].arguments, seen[1].arguments) == (["x = 1"], [])


def test_an_endless_loop_in_another_thread_is_stopped() -> None:
    seen: list[Observation] = []
    thread = threading.Thread(target=lambda: seen.append(once(loops, 1, seconds=0.2)))
    thread.start()
    thread.join(5)
    assert seen[0].error is not None


def test_the_limit_never_comes_too_late() -> None:
    """Calls that end just when their time is up: stopped or not, nothing is raised afterwards."""
    stopped = 0
    for number in range(200):
        end = time.perf_counter() + 0.004 + number % 10 * 0.0003
        try:
            within(0.005, lambda end=end: [None for _ in iter(lambda: time.perf_counter() < end, False)])
        except TimeUp:
            stopped += 1
        sum(range(1000))
    assert stopped < 200
    assert within(5, lambda: 7) == 7


def test_cases_before_the_endless_one_are_seen() -> None:
    seen = observe(lambda x: loops(x) if x == 2 else x, call, [{"x": 1}, {"x": 2}, {"x": 3}], seconds=0.2)
    assert [one.result for one in seen] == [1, None, None]
    assert seen[0].error is None


def test_the_users_own_interrupt_gets_through() -> None:
    def interrupted(x: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(interrupted, 1)


@pytest.mark.filterwarnings("ignore:careful")
def test_prints_and_warnings_are_caught(capfd: pytest.CaptureFixture[str]) -> None:
    def talks(x: int) -> int:
        for _ in range(2000):
            print("hello" * 100)
        warnings.warn("careful", stacklevel=1)
        print("oh", file=sys.stderr)
        return x

    loud, silent = observe(lambda x: talks(x) if x else x, call, [{"x": 1}, {"x": 0}])
    assert (loud.printed, silent.printed) == (2000 * 501, 0)
    assert len(loud.print_begins) <= 400
    assert loud.print_begins.startswith("hellohello")
    assert capfd.readouterr() == ("", "")


def test_torch_stays_as_it_was() -> None:
    def disturbs(x: object) -> None:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(7)

    before = torch.random.get_rng_state()
    once(disturbs, 1)
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_tensor_without_values() -> None:
    seen = once(lambda x: torch.zeros(2, device="meta"), 1)
    assert seen.error is None
    assert seen.kinds[0]["device"] == "meta"
    assert seen.result == "a tensor without values"


def test_results_are_copies() -> None:
    kept = torch.zeros(2)
    seen = once(lambda x: kept, 1)
    kept += 1
    assert same(seen.result, torch.zeros(2))
    assert plain({1: (2,)}) == [[1, [2]]]


def test_parameters() -> None:
    assert parameters(lambda a, b=1, *c, d, **e: 0) == ["a", "b=", "*c", "d", "**e"]
    assert parameters(min) is None

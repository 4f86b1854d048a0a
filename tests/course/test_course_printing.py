"""What a student's functions print in a block: its beginning, and one line that says so; what the cell prints, all."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_functions import functions_of, solved

from minidalle.course.parts import noted, use
from minidalle.course.printing import MOST
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import Function
from minidalle.tokenization import bpe

MERGE, TRAIN = "tokenization.merge_pair", "tokenization.train_bpe"
TALKS = "def merge_pair(word, pair):\n    print('merging', pair)\n    return shown(word, pair)\n"
TALKS += "def shown(word, pair):\n    print({!r})\n    return word\n"
SAID = "(What else merge_pair prints in this block is dropped.)"


@pytest.fixture
def talking(tmp_path: Path) -> Iterator[Function]:
    before = sys.stdout
    yield functions_of(TALKS.format("word"), tmp_path)["merge_pair"]
    assert sys.stdout is before


def merges(times: int) -> None:
    for _ in range(times):
        bpe.merge_pair(["a"], ("a", "b"))


@pytest.mark.parametrize("block", [use, noted])
def test_only_the_beginning_is_shown(talking, block, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    with block({MERGE: talking}):
        print("the cell's own line")
        merges(1000)
        for number in range(1000):
            print("line", number)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["the cell's own line", "merging ('a', 'b')", "word"]
    assert lines.count(SAID) == 1
    assert lines.index(SAID) < 15
    assert lines[-1000:] == [f"line {number}" for number in range(1000)]
    assert len(lines) == lines.index(SAID) + 1 + 1000


def test_few_lines_are_all_shown_and_each_block_begins_anew(talking, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    for _ in range(2):
        with use({MERGE: talking}):
            merges(2)
            talking(["a"], ("a", "b"))
        assert capsys.readouterr().out == "merging ('a', 'b')\nword\n" * 3


def test_one_endless_line_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = functions_of(TALKS.format("x" * 10_000), tmp_path)["merge_pair"]
    with use({MERGE: functools.cache(lambda word, pair: None), TRAIN: long}):
        bpe.train_bpe(["a"], ("a", "b"))
    first, cut, said = capsys.readouterr().out.splitlines()
    assert (first, {*cut}, said) == ("merging ('a', 'b')", {"x"}, SAID.replace("merge_pair", "train_bpe"))
    assert len(cut) < MOST


def test_the_innermost_function_is_named_and_nested_blocks_say_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "def merge_pair(word, pair):\n    print(word)\n    return REAL(word, pair)\n"
    functions = functions_of(
        "from minidalle.tokenization.bpe import merge_pair as REAL\n" + solved({"merge_pair": text}), tmp_path
    )
    parts = {key: functions[EXERCISES[key].name] for key in (MERGE, TRAIN)}
    with use({TRAIN: parts[TRAIN]}), use({MERGE: parts[MERGE]}):
        bpe.train_bpe({"banana": 2, " an": 3, "bandana": 1}, 300)
    said = [line for line in capsys.readouterr().out.splitlines() if "What else" in line]
    assert said == [SAID]


def test_the_function_itself_stands_there_so_that_a_call_costs_nothing(
    talking, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    with use({MERGE: talking}):
        assert bpe.merge_pair is talking
        merges(10_000)
    assert len(capsys.readouterr().out) < 2 * MOST

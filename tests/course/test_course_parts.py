"""A student's functions in the pipeline: everywhere, for as long as the block runs, and never longer."""

import importlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import pytest

import minidalle.tokenization
from minidalle.course import loans, swap
from minidalle.course.parts import use
from minidalle.errors import InvalidValue
from minidalle.exercises.catalogue import EXERCISES
from minidalle.tokenization import Tokenizer, TokenizerConfig, bpe, tokenizer

REFERENCE = {key: exercise.reference for key, exercise in EXERCISES.items()}
ENCODE, DECODE, MERGE = "tokenization.encode", "tokenization.decode", "tokenization.merge_pair"
CONFIG = TokenizerConfig(vocab_size=270, text_length=6)


def places() -> dict[tuple[str, str], Any]:
    """Every global of the package that is an exercise's reference."""
    return {
        (name, variable): value
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "minidalle"
        for variable, value in list(vars(module).items())
        if any(value is reference for reference in REFERENCE.values())
    }


@pytest.fixture(autouse=True)
def all_is_as_it_was() -> Iterator[None]:
    """After every test, whatever it does inside a block."""
    before = places()
    assert {("minidalle.tokenization.bpe", "encode"), ("minidalle.tokenization.tokenizer", "encode")} <= before.keys()
    yield
    after = places()
    assert {place: after.get(place) for place in before} == before
    assert all(swap.standing(key) is reference for key, reference in REFERENCE.items())


def mine(*arguments: Any) -> Any:
    return [7] * 3


def other(*arguments: Any) -> Any:
    return [8]


def test_a_function_stands_wherever_the_reference_stood() -> None:
    trained = Tokenizer.train(["red apple"], CONFIG)
    where = [place for place, value in places().items() if value is REFERENCE[ENCODE]]
    with use({ENCODE: mine}):
        assert bpe.encode is tokenizer.encode is minidalle.tokenization.encode is mine
        assert trained.encode("red") == [0, 7, 7, 7, 2]
        kept = [place for place in where if place[0].split(".")[1] in swap.KEPT]
        assert [place for place, value in places().items() if value is REFERENCE[ENCODE]] == kept
        assert EXERCISES[ENCODE].reference is REFERENCE[ENCODE]
        assert bpe.decode is REFERENCE[DECODE]
    assert trained.encode("red") != [0, 7, 7, 7, 2]


def test_an_error_inside_takes_them_out() -> None:
    with pytest.raises(ZeroDivisionError), use({ENCODE: mine, MERGE: other}):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), use({ENCODE: mine}):
        raise KeyboardInterrupt


def test_the_inner_block_stands_until_it_ends() -> None:
    with use({ENCODE: mine, MERGE: mine_too}):
        with use({ENCODE: other}):
            assert (bpe.encode, bpe.merge_pair) == (other, mine_too)
            with use({ENCODE: REFERENCE[ENCODE]}):
                assert tokenizer.encode is REFERENCE[ENCODE]
            assert (tokenizer.encode, swap.standing(ENCODE)) == (other, other)
            with use({ENCODE: other}):
                pass
            assert bpe.encode is other
        assert (bpe.encode, bpe.merge_pair) == (mine, mine_too)


def mine_too(*arguments: Any) -> Any:
    return arguments


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Imports a module of the package that nobody has imported yet."""
    (tmp_path / "late.py").write_text("from minidalle.tokenization.bpe import encode\nagain = encode\n")
    monkeypatch.setattr(minidalle, "__path__", [*minidalle.__path__, str(tmp_path)])
    yield lambda: importlib.import_module("minidalle.late")
    sys.modules.pop("minidalle.late", None)
    vars(minidalle).pop("late", None)


@pytest.mark.parametrize("depth", ["outer", "inner", "between"])
def test_a_module_imported_inside_is_mended_too(late: Callable[[], ModuleType], depth: str) -> None:
    with use({ENCODE: mine}):
        if depth == "outer":
            module = late()
        with use({ENCODE: other} if depth != "between" else {MERGE: other}):
            module = late()
            assert module.encode is module.again is (mine if depth == "between" else other)
        assert module.encode is module.again is mine
    assert module.encode is module.again is REFERENCE[ENCODE]


def test_a_lazy_name_that_is_first_asked_for_inside_is_mended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(minidalle.tokenization), "encode", raising=False)
    with use({ENCODE: mine}):
        assert minidalle.tokenization.encode is mine
    assert vars(minidalle.tokenization)["encode"] is REFERENCE[ENCODE]


def interrupted_at(line: int) -> bool:
    """Enter and leave a block, with Ctrl-C at the n-th line that the machinery runs; whether it came so far."""
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in (swap.__file__, loans.__file__):
            return None
        left -= event == "line"
        if left < 0:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        with use({ENCODE: mine, MERGE: other}):
            pass
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def press_at_every_line() -> None:
    """In a package of three modules, for this is tried at every single line."""
    few = {name: sys.modules[name] for name in ("minidalle.tokenization", bpe.__name__, tokenizer.__name__)}
    swap.sys = SimpleNamespace(modules=few)  # type: ignore[attr-defined]
    kept, line = {place: value for place, value in places().items() if place[0] in few}, 0
    while interrupted_at(line):
        assert {place: vars(few[place[0]])[place[1]] for place in kept} == kept, f"line {line}"
        assert not swap._blocks
        line += 1
    print(f"pressed at {line} lines")


def test_ctrl_c_at_any_moment_takes_them_out() -> None:
    """In a process of its own: what other tests leave running must not be traced."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=120)
    pressed = re.fullmatch(r"pressed at (\d+) lines\n", done.stdout)
    assert pressed, done.stderr
    assert int(pressed[1]) > 300


def test_another_thread_is_refused_and_can_go_on_afterwards() -> None:
    said: list[object] = []

    def elsewhere() -> None:
        try:
            with use({MERGE: other}):
                said.append(bpe.encode)
        except RuntimeError as error:
            said.append(str(error))

    def run() -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    with use({ENCODE: mine}):
        run()
    run()
    assert "another thread is inside `use`" in str(said[0])
    assert said[1] is REFERENCE[ENCODE]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"tokenization.encod": mine}, r"id='tokenization\.encod': expected one of tokenization\.encode"),
        ({ENCODE: 3}, r"tokenization\.encode=3: expected a function"),
        ({ENCODE: list}, r"tokenization\.encode=<class 'list'>: expected a function"),
        ({ENCODE: mine, MERGE: mine}, "for one exercise only"),
        ({ENCODE: bpe.decode}, r"a function of your own, not minidalle\.tokenization\S*\.decode"),
        ({ENCODE: bpe.split_words}, r"a function of your own, not minidalle\.tokenization\S*\.split_words"),
    ],
)
def test_what_cannot_stand_there_is_named(parts: dict[str, Any], words: str) -> None:
    before = places()
    with pytest.raises(InvalidValue, match=words), use(parts):
        pass
    assert places() == before


def notebook(source: str) -> dict[str, Any]:
    """The globals of a notebook whose cells are these."""
    names: dict[str, Any] = {}
    exec(source, names)
    return names


def test_what_a_part_needs_is_what_stands_in_the_pipeline() -> None:
    """In the notebook, merge_pair is not written yet; encode is right and calls it."""
    student = notebook(
        "def merge_pair(word, pair):\n    raise NotImplementedError\n"
        "def joined(word, pair):\n    return merge_pair(word, pair)\n"
        "def encode(text, vocab, ranks):\n    return text_to_bytes('!') + joined(list(text), ('a', 'b'))\n"
    )
    stub = student["merge_pair"]
    with use({ENCODE: student["encode"]}):
        assert bpe.encode("cab", {}, {}) == [33, "c", "ab"]
        with use({MERGE: other}):
            assert bpe.encode("cab", {}, {}) == [33, 8]
        assert bpe.encode("cab", {}, {}) == [33, "c", "ab"]
    assert student["merge_pair"] is stub
    with use({ENCODE: student["encode"]}):
        exec("def merge_pair(word, pair):\n    return 'new'\n", student)
    assert student["merge_pair"]("ab", "ab") == "new"  # what the block defined is kept
    assert "text_to_bytes" not in student  # encode may need it, and had it inside


if __name__ == "__main__":
    press_at_every_line()

"""What a check says: line by line, the mistake by name, the smallest failing input, and whose work an answer is."""

import functools
import importlib
import json
import linecache
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toy_exercises import ADD_UP, MEAN, NOTE_DOWN, SCALE, SQUARE, scale

from minidalle.course import check
from minidalle.course.checking import answer as checking
from minidalle.course.checking import sight
from minidalle.course.checking.answer import examine
from minidalle.course.checking.display import as_html, as_text
from minidalle.course.checking.report import Report
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import Exercise
from minidalle.tokenization import Tokenizer, bpe

TOYS = {exercise.id: exercise for exercise in (ADD_UP, SCALE, SQUARE, NOTE_DOWN, MEAN)}


@pytest.fixture(autouse=True)
def _a_course_of_toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(checking, "known_exercises", lambda: {**EXERCISES, **TOYS})
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path))


def lines(report: Report) -> dict[str, str]:
    """Name → ✓ or the detail of what is wrong."""
    return {line.name: "✓" if line.ok else line.detail for line in report.lines}


@pytest.mark.parametrize("exercise", TOYS.values(), ids=TOYS)
def test_right_answers_pass_and_wrong_ones_are_named(exercise: Exercise) -> None:
    for answer in exercise.also_right:
        assert examine(exercise, answer, exercises=TOYS).passed
    for answer in exercise.wrong:
        report = check(exercise.id, answer)
        assert not report.passed
        assert report.points < exercise.points
        assert [mistake for mistake, _ in report.looks_like] == [answer.__name__.replace("_", " ")]
        assert report.failing is not None


def test_a_right_answer_earns_what_was_said() -> None:
    right = ADD_UP.also_right[0]
    assert check("toy.add_up", right).points == 4
    assert check("toy.add_up", right, points=7).points == 7
    assert list(lines(check("toy.add_up", right))) == ["signature", "runs", "type", "values", "inputs kept"]
    tensors = lines(check("toy.scale", SCALE.also_right[0]))
    assert list(tensors) == ["signature", "runs", "type", "shape", "dtype", "device", "values", "inputs kept"]
    assert "gradients" in lines(check("toy.square", SQUARE.also_right[0]))
    with pytest.raises(InvalidValue, match="points=-1"):
        check("toy.add_up", right, points=-1)


def test_partial_credit_is_by_line() -> None:
    def wrong_values(x: Tensor, by: float) -> Tensor:
        return x + 0

    def wrong_everything(x: Tensor, by: float) -> Tensor:
        return x.fill_(1).double()[:, :1]

    def wrong_names(rows: Tensor, by: float) -> Tensor:
        return x_over_max(rows, by)

    def x_over_max(x: Tensor, by: float) -> Tensor:
        return x / x.amax(1, keepdim=True) * by

    assert check("toy.scale", wrong_values).points == 3.25  # × 4.5 / 10.5, but at most a third, in quarters
    assert check("toy.scale", wrong_values, points=1).points == 0.25
    assert check("toy.scale", wrong_everything).points == 2.0  # × 2 / 10.5
    assert check("toy.scale", wrong_names).points == 9.5  # × 10 / 10.5
    assert check("toy.scale", wrong_names, points=1).points == 0.75  # 0.95 is not all
    assert check("toy.scale", wrong_names, points=0).points == 0
    assert check("toy.square", lambda x: x.detach() ** 2).points == 6.25  # × 10.5 / 16.5: gradients are half of it
    assert check("toy.square", lambda x: x * x + 1).points == 3.25  # and without a right value nothing


def forgets_to_return(numbers: list[int]) -> None:
    sum(numbers)


def returns_sometimes(numbers: list[int]) -> Any:
    if numbers:
        return sum(numbers)
    return None


def as_float(numbers: list[int]) -> float:
    return float(sum(numbers))


def as_tensor(numbers: list[int]) -> Tensor:
    return torch.tensor(sum(numbers))


def crashes_once(numbers: list[int]) -> int:
    total = numbers[0]
    return total + sum(numbers[1:])


def crashes_always(numbers: list[int]) -> int:
    return numbers[0] + undefined  # type: ignore[name-defined]  # noqa: F821


def takes_nothing() -> int:
    return 0


def takes_more(numbers: list[int], start: int) -> int:
    return sum(numbers)


def takes_other(values: list[int]) -> int:
    return sum(values)


def changes_the_input(numbers: list[int]) -> int:
    numbers.sort(reverse=True)
    return sum(numbers)


def loops(numbers: list[int]) -> int:
    while numbers:
        pass
    return 0


@pytest.mark.parametrize(
    ("answer", "line", "detail"),
    [
        (forgets_to_return, "type", "returned None, expected an int: is there a `return`?"),
        (returns_sometimes, "type", "returned None in 1 of 5 cases: does every way end at a `return`?"),
        (as_float, "type", "expected an int, got a float"),
        (lambda numbers: np.int64(sum(numbers)), "type",
         "expected an int, got an int64: `.item()`, and of an array `.tolist()`, makes Python's own of it"),
        (lambda numbers: sum(numbers, 0.0 if len(numbers) > 2 else 0), "type",
         "expected an int, got a float in 2 of 5 cases"),
        (as_tensor, "type", "expected an int, got a Tensor: `.item()` takes the number out"),
        (lambda numbers: str(sum(numbers)), "type", "expected an int, got a str"),
        (lambda numbers: (lambda: 1), "type", "expected an int, got a function: was it meant to be called?"),
        (crashes_once, "runs", "IndexError: list index out of range, in line 2 of crashes_once: `total = numbers[0]` "
         "(1 of 5 cases)"),
        (crashes_once, "values", "right in 4 of 5 cases"),
        (takes_nothing, "signature", "parameters (), expected (numbers)"),
        (takes_nothing, "runs", "TypeError: takes_nothing() takes 0 positional arguments but 1 was given"),
        (takes_more, "signature", "parameters (numbers, start), expected (numbers)"),
        (takes_other, "signature", "parameters (values), expected (numbers)"),
        (changes_the_input, "inputs kept", "`numbers` was changed: work on a copy"),
    ],
)  # fmt: skip
def test_a_line_says_what_is_wrong(answer: Callable[..., Any], line: str, detail: str) -> None:
    assert lines(check("toy.add_up", answer))[line] == detail


@pytest.mark.parametrize("parameters", ["numbers, start=0", "numbers=()", "*numbers, **options", "numbers, *rest"])
def test_more_parameters_with_a_default_are_fine(parameters: str) -> None:
    answer = eval(f"lambda {parameters}: 0")
    assert lines(check("toy.add_up", answer))["signature"] == "✓"


def no_tensor(x: Tensor, by: float) -> list:
    return x.tolist()


@pytest.mark.parametrize(
    ("answer", "line", "detail"),
    [
        (lambda x, by: scale_again(x, by).T, "shape", "[2, 1], expected [1, 2]"),
        (lambda x, by: scale_again(x, by).double(), "dtype", "float64, expected float32"),
        (lambda x, by: scale_again(x, by).to("meta"), "device", "meta, expected cpu"),
        (lambda x, by: scale_again(x, by) + 1e-3, "values", "right in 0 of 3 cases"),
        (lambda x, by: scale_again(x, by) + 1e-5, "values", "✓"),
        (lambda x, by: x.mul_(scale_again(x, by) / x), "inputs kept", "`x` was changed: work on a copy"),
        (no_tensor, "type", "expected a Tensor, got a list of list of float"),
        (lambda x, by: scale_again(x, by) if len(x) > 1 else 1.0, "type", "expected a Tensor, got a float in 1 of 3 "
         "cases: a Tensor's own methods keep it one, as `.clamp` does; `.item()` and Python's `min` do not"),
    ],
)  # fmt: skip
def test_a_line_on_tensors_says_what_is_wrong(answer: Callable[..., Any], line: str, detail: str) -> None:
    assert lines(check("toy.scale", answer))[line] == detail


def scale_again(x: Tensor, by: float) -> Tensor:
    return x / x.amax(1, keepdim=True) * by


def test_gradients_are_a_line_of_their_own() -> None:
    held = check("toy.square", lambda x: x * x.detach())
    assert lines(held)["values"] == "✓"
    assert lines(held)["gradients"].startswith("at [0]")
    cut_off = lines(check("toy.square", lambda x: x.detach() ** 2))
    assert cut_off["gradients"] == "none: `detach`, `item` or `no_grad` cuts the result off from its inputs"


def test_what_never_runs_or_has_another_type_earns_nothing() -> None:
    for answer in (crashes_always, forgets_to_return, as_float, takes_nothing):
        assert check("toy.add_up", answer).points == 0
    assert list(lines(check("toy.add_up", as_float))) == ["signature", "runs", "type"]
    assert list(lines(check("toy.add_up", crashes_always))) == ["signature", "runs"]
    assert check("toy.add_up", crashes_once).points == 1.25  # 4 × 2.5 / 8.5


def test_a_file_that_was_edited_meanwhile_is_no_crash(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its lines are now need not be Python: here they begin inside of a docstring with an apostrophe."""
    code = "x = 1\ndef text_to_bytes(text):\n    return list(text.encode())\n"
    (tmp_path / "edited_meanwhile.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("edited_meanwhile").text_to_bytes
    text = '"""What is new,\nand it goes on: it\'s more.\ndef is a word here."""\n' + code
    (tmp_path / "edited_meanwhile.py").write_text(text, encoding="utf-8")
    linecache.checkcache()
    assert check("tokenization.text_to_bytes", function).passed


def test_a_stub_is_unfinished() -> None:
    def add_up(numbers: list[int]) -> int:
        raise NotImplementedError()

    def to_fill_in(numbers: list[int]) -> int:
        """As a lesson gives it where only one line is to be written; the first case has no numbers."""
        total = 0
        for number in numbers:  # noqa: B007
            # fill in: total += …
            raise NotImplementedError  # your code here
        return total

    for answer in (add_up, to_fill_in):
        report = check("toy.add_up", answer)
        assert (report.unfinished, report.points, report.lines, report.tried) == (True, 0.0, (), False)
        assert str(report) == "○ toy.add_up is not written yet. (0 of 4 points)"
        assert "is not written yet." in as_html(report)


def written_above(numbers: list[int]) -> int:
    """Its docstring is not yet an answer."""
    total = sum(numbers)
    raise NotImplementedError  # your code here
    return total


def filled_in(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total += number
        raise NotImplementedError  # your code here
    return total


@pytest.mark.parametrize(("answer", "line"), [(written_above, 4), (filled_in, 5)])
def test_a_stub_line_that_was_left_in_is_named(answer: Callable[..., Any], line: int) -> None:
    report = check("toy.add_up", answer)
    assert (report.unfinished, report.points, report.tried) == (False, 0.0, True)
    words = f"`raise NotImplementedError` is still there, in line {line} of {answer.__name__}: delete that line"
    assert lines(report) == {"runs": words}


def test_an_endless_loop_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "SECONDS", 0.3)
    start = time.monotonic()
    report = check("toy.add_up", loops)
    assert time.monotonic() - start < 3
    runs = lines(report)["runs"]
    assert runs.startswith("it did not end in time, in line ")
    assert runs.endswith("Is there a loop that never ends?")
    assert not report.looks_like


def test_the_smallest_failing_input_is_shown_as_the_function_saw_it() -> None:
    failing = check("toy.add_up", lambda numbers: sum(numbers[:2])).failing
    assert failing is not None
    assert (failing.given, failing.yours, failing.expected) == (("numbers = [7, 0, 2]",), "7", "9")
    crash = check("toy.add_up", crashes_once).failing
    assert crash is not None
    assert (crash.given, crash.expected) == (("numbers = []",), "0")
    assert crash.yours == "IndexError"
    assert as_text(check("toy.add_up", crashes_once)).count("list index out of range") == 1
    tensors = check("toy.scale", lambda x, by: scale_again(x, by) + (x.numel() > 2) * 0.5).failing
    assert tensors is not None
    assert tensors.given[1] == "by = 2.0"
    assert tensors.yours.startswith("tensor float32 [2, 3]: [[")
    assert ", the largest difference: " in tensors.difference
    kept = check("toy.add_up", changes_the_input).failing
    assert kept is not None
    assert kept.difference == "none in what is returned, but an input was changed"


def test_two_mistakes_that_tie_are_both_named_and_none_is_guessed() -> None:
    one = Exercise(**{**vars(ADD_UP), "cases": lambda seed: [{"numbers": [0, 5]}]})
    report = examine(one, lambda numbers: 0)
    assert [mistake for mistake, _ in report.looks_like] == ["forgets the last", "multiplies", "stops at zero"]
    assert report.looks_like[0][1] == "The last number counts, too."
    assert not check("toy.add_up", lambda numbers: 17).looks_like
    assert not check("toy.add_up", takes_other).looks_like  # who takes the first out returns the same, but changes it


def test_the_same_numbers_of_another_dtype_are_another_mistake() -> None:
    wrong = SCALE.wrong[0]
    assert len(check("toy.scale", lambda x, by: wrong(x, by)).looks_like) == 1
    assert not check("toy.scale", lambda x, by: wrong(x, by).double()).looks_like


def test_a_crash_alone_names_no_mistake() -> None:
    crash = MEAN.wrong[2]  # divides by zero in the first case, and is right in all others
    assert [mistake for mistake, _ in check("toy.mean", crash).looks_like] == ["forgets that there may be none"]
    everywhere = Exercise(**{**vars(MEAN), "cases": lambda seed: [{"numbers": []}]})
    assert not examine(everywhere, lambda numbers: sum(numbers) / len(numbers), exercises=TOYS).looks_like
    other = check("toy.mean", lambda numbers: sum(numbers) / len(numbers) if numbers else numbers[0])
    assert not other.looks_like  # an IndexError is not a ZeroDivisionError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "got None: give the function, as in check('toy.add_up', add_up)"),
        (Tokenizer, "got the class `Tokenizer`: give the function"),
        ("add_up", "got 'add_up': give the function itself, without quotes"),
        (7, "got 7: give the function itself, add_up without brackets"),
    ],
)
def test_what_is_no_function_is_told(value: object, words: str) -> None:
    report = check("toy.add_up", value)
    assert report.points == 0
    assert lines(report)["a function"].startswith(words)
    assert not report.tried


def test_an_unknown_id_names_the_nearest() -> None:
    for id, near in [("toy.addup", "toy.add_up"), ("merge_pair", "tokenization.merge_pair"), (3, "")]:
        report = check(id, as_float)  # type: ignore[arg-type]
        assert near in report.lines[0].detail
        assert (report.passed, report.points) == (False, 0.0)


def test_prints_are_noted() -> None:
    def talks(numbers: list[int]) -> int:
        print("numbers:", numbers)
        return sum(numbers)

    report = check("toy.add_up", talks)
    assert report.passed
    assert report.notes == ("It printed 82 characters while it was checked, and they begin: numbers: []",)


def add_up(numbers: Sequence[int]) -> int:
    return -1  # wrong, and no matter while `mean` is checked


def test_what_an_answer_needs_is_lent_to_it() -> None:
    def mean(numbers: list[int]) -> float:
        return add_up(numbers) / len(numbers) if numbers else 0.0

    report = check("toy.mean", mean)
    assert report.passed
    assert report.notes == ("While this was checked, `add_up` was the package's.",)
    assert add_up([1]) == -1
    exercise = EXERCISES["tokenization.train_bpe"]
    (note,) = check(exercise.id, exercise.also_right[0]).notes
    assert note.startswith("While this was checked, `")
    assert note.endswith(" were the package's.")
    assert not check("toy.mean", lambda numbers: sum(numbers) / max(1, len(numbers)) * 1.0).notes


def test_what_is_lent_is_taken_back_where_there_was_nothing() -> None:
    place: dict[str, Any] = {}
    exec("def mean(numbers):\n    return add_up(numbers) / len(numbers) if numbers else 0.0", place)
    assert check("toy.mean", place["mean"]).passed
    assert "add_up" not in place


MERGE = "tokenization.merge_pair"
COUNTS = {"abab": 3, "ab": 2}


def wraps_it(word: list[str], pair: tuple[str, str]) -> list[str]:
    return bpe.merge_pair(word, pair)


def imports_it(word: list[str], pair: tuple[str, str]) -> list[str]:
    from minidalle.tokenization.bpe import merge_pair as mine

    return mine(word, pair)


def imports_its_module(word: list[str], pair: tuple[str, str]) -> list[str]:
    import minidalle.tokenization.bpe as b

    return b.merge_pair(word, pair)


def hides_it_in_a_helper(word: list[str], pair: tuple[str, str]) -> list[str]:
    return wraps_it(word, pair)


def hides_it_in_a_default(word: list[str], pair: tuple[str, str], by: Any = bpe.merge_pair) -> list[str]:
    return by(word, pair)


def hides_it_in_a_closure() -> Callable[..., Any]:
    other = bpe.merge_pair

    def answer(word: list[str], pair: tuple[str, str]) -> list[str]:
        return other(word, pair)

    return answer


@functools.wraps(bpe.merge_pair)
def pretends(word: list[str], pair: tuple[str, str]) -> list[str]:
    return list(word)


def finds_it_by_name(word: list[str], pair: tuple[str, str]) -> list[str]:
    return getattr(bpe, "merge" + "_pair")(word, pair)


def reaches_it_through_encode(word: list[str], pair: tuple[str, str]) -> list[str]:
    vocab = {symbol: symbol for symbol in [*bpe.SYMBOLS, "".join(pair)]}
    return bpe.encode("".join(word), vocab, {pair: 0})  # type: ignore[return-value, arg-type]


def hides_what_it_hears(word: list[str], pair: tuple[str, str]) -> list[str]:
    try:
        return finds_it_by_name(word, pair)
    except Exception:
        return list(word)


class Helper:
    def merge(self, word: list[str], pair: tuple[str, str]) -> list[str]:
        return bpe.merge_pair(word, pair)


BORROWED = {
    "itself": bpe.merge_pair,
    "a partial": functools.partial(bpe.merge_pair),
    "a lambda": lambda word, pair: bpe.merge_pair(word, pair),
    "a cache": functools.cache(bpe.merge_pair),
    "a method": Helper().merge,
    "a class of the student's": lambda word, pair: Helper().merge(word, pair),
    "a closure": hides_it_in_a_closure(),
    **{one.__name__: one for one in (wraps_it, imports_it, imports_its_module, hides_it_in_a_helper, pretends,
       hides_it_in_a_default, finds_it_by_name, reaches_it_through_encode, hides_what_it_hears)},
}  # fmt: skip


@pytest.mark.parametrize("name", BORROWED)
def test_the_packages_own_function_is_no_answer(name: str) -> None:
    before = bpe.merge_pair
    report = check(MERGE, BORROWED[name])
    assert (report.points, report.passed, report.tried) == (0.0, False, False)
    assert "package's own `merge_pair`" in lines(report)["your own"]
    assert bpe.merge_pair is before


def test_training_with_the_packages_tokenizer_is_no_answer() -> None:
    exercise = EXERCISES["tokenization.train_bpe"]
    answer = lambda word_counts, size: Tokenizer.train(word_counts, size).merges  # noqa: E731
    assert lines(check(exercise.id, answer)) == {"your own": "`Tokenizer` is not allowed here: write what it does"}
    free = Exercise(**{**vars(exercise), "forbid": ()})
    hidden = lambda word_counts, size: getattr(bpe, "train" + "_bpe")(word_counts, size)  # noqa: E731
    assert "package's own `train_bpe`" in lines(examine(free, hidden, exercises=EXERCISES))["your own"]


def test_a_local_name_like_a_forbidden_one_is_fine() -> None:
    exercise = Exercise(**{**vars(TOYS["toy.add_up"]), "forbid": ("math.fsum", "torch.nn.functional.cross_entropy")})

    def add_up(numbers: list[int]) -> int:
        def cross_entropy(number: int) -> int:
            return number

        fsum = 0
        return sum(cross_entropy(number) + fsum for number in numbers)

    assert examine(exercise, add_up).passed
    refused = examine(exercise, lambda numbers: int(sum(math.fsum([number]) for number in numbers)))
    assert lines(refused) == {"your own": "`math.fsum` is not allowed here: write what it does"}


def test_what_has_no_parameters_and_never_runs_is_told() -> None:
    for id, answer in (("toy.scale", torch.argmin), (MERGE, max)):
        report = check(id, answer)
        assert report.points == 0
        assert [line.ok for line in report.lines if line.name == "runs"] == [False]


def test_a_recursion_of_ones_own_is_fine() -> None:
    place: dict[str, Any] = {"bpe": bpe}
    exec(
        "def merge_pair(word, pair):\n"
        "    if len(word) < 2: return list(word) if bpe.SYMBOLS else merge_pair\n"
        "    if (word[0], word[1]) == pair: return [word[0] + word[1], *merge_pair(word[2:], pair)]\n"
        "    return [word[0], *merge_pair(word[1:], pair)]",
        place,
    )
    assert check(MERGE, place["merge_pair"]).passed


def uses_normalize(x: Tensor, by: float) -> Tensor:
    return F.normalize(x, p=float("inf")) * by


def imports_normalize(x: Tensor, by: float) -> Tensor:
    from torch.nn.functional import normalize as n

    return n(x, p=float("inf")) * by


def imports_functional(x: Tensor, by: float) -> Tensor:
    import torch.nn.functional as other

    return other.normalize(x, p=float("inf")) * by


def imports_scipy(x: Tensor, by: float) -> Tensor:
    import scipy.special as special

    return special.softmax(x) * by


def uses_a_method(x: Tensor, by: float) -> Tensor:
    return (x * by).div_(x.amax(1, keepdim=True))


@pytest.mark.parametrize(
    ("answer", "name"),
    [(uses_normalize, "torch.nn.functional.normalize"), (imports_normalize, "torch.nn.functional.normalize"),
     (imports_functional, "torch.nn.functional.normalize"),
     (imports_scipy, "scipy"), (uses_a_method, "torch.Tensor.div_")],
)  # fmt: skip
def test_forbidden_names_are_refused(answer: Callable[..., Any], name: str) -> None:
    report = check("toy.scale", answer)
    assert lines(report) == {"your own": f"`{name}` is not allowed here: write what it does"}
    assert report.points == 0


def test_what_only_sounds_forbidden_is_fine() -> None:
    place: dict[str, Any] = {"torch": torch}
    exec(
        "def normalize(x): return x / x.amax(1, keepdim=True)\n"
        "scipy = 1.0\n"
        "def scale(x, by): return normalize(x) * by * scipy",
        place,
    )
    assert check("toy.scale", place["scale"]).passed


def test_a_probe_may_use_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tripwire is for the student's calls only."""

    def probe(function: Callable[..., Any], word: list[str], pair: list[str]) -> Any:
        return [function(list(word), tuple(pair)), bpe.merge_pair(word, tuple(pair))]

    exercise = Exercise(**{**vars(EXERCISES[MERGE]), "probe": probe})
    monkeypatch.setitem(EXERCISES, MERGE, exercise)
    report = examine(exercise, exercise.also_right[0])
    assert report.passed


def test_a_report_is_json() -> None:
    for answer in (crashes_once, as_float, ADD_UP.wrong[0], ADD_UP.also_right[0], None):
        report = check("toy.add_up", answer)
        assert Report.from_plain(json.loads(json.dumps(report.as_plain()))) == report


def test_the_report_as_text() -> None:
    text = as_text(check("toy.add_up", ADD_UP.wrong[0]))
    assert text == str(check("toy.add_up", ADD_UP.wrong[0])) == repr(check("toy.add_up", ADD_UP.wrong[0]))[: len(text)]
    assert text.split("\n") == [
        "✗ toy.add_up: not right yet, 1.25 of 4 points",
        "  ✓ signature    (numbers)",
        "  ✓ runs         5 cases",
        "  ✓ type         an int",
        "  ✗ values       right in 1 of 5 cases",
        "  ✓ inputs kept",
        "  Looks like: forgets the last. The last number counts, too.",
        "  Smallest failing input:",
        "    input      numbers = [3]",
        "    yours      0",
        "    expected   3",
    ]


def test_the_report_as_html_says_all_in_words_and_escapes() -> None:
    def answer(numbers: list[int]) -> str:
        return "<script>alert(1)</script>"

    page = as_html(check("toy.add_up", answer))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert 'aria-label="Check of toy.add_up: not right yet, 0 of 4 points"' in page
    assert 'aria-label="right"' in page
    assert 'aria-label="wrong"' in page
    assert "<style" not in page  # notebooks that are not trusted drop style sheets


def test_in_a_terminal_a_report_shows_itself_as_text() -> None:
    report = check("toy.add_up", ADD_UP.wrong[0])
    assert report._repr_mimebundle_() == {"text/plain": str(report)}


def test_a_check_takes_less_than_two_seconds() -> None:
    for exercise in EXERCISES.values():
        start = time.process_time()
        check(exercise.id, exercise.wrong[0])
        assert time.process_time() - start < 2


def test_other_seeds_are_other_cases() -> None:
    def knows_the_cases(numbers: list[int]) -> int:
        return {(): 0, (3,): 3, (4, 5): 9, (7, 0, 2): 9}.get(tuple(numbers), 10)

    assert check("toy.add_up", knows_the_cases).passed
    assert not check("toy.add_up", knows_the_cases, seed=2).passed
    assert scale(torch.ones(1, 1), 2.0) == 2

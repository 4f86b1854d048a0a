"""Which of a notebook's functions are a student's own and right; and how the rest is spoken of."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_functions import functions_of, solved

from minidalle.course import parts
from minidalle.course.checking.answer import check
from minidalle.course.parts import mine, use
from minidalle.exercises import EXERCISES
from minidalle.tokenization import bpe

STUB = "def {}(*anything):\n    raise NotImplementedError\n"
WRONG = "def {}(*anything):\n    return 3\n"


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The ids that were examined, in order. No student of these tests has a past, nor gets one."""
    asked: list[str] = []
    real = parts.examine

    def noting(exercise, *arguments, **named):  # type: ignore[no-untyped-def]
        asked.append(exercise.id)
        return real(exercise, *arguments, **named)

    monkeypatch.setattr(parts, "examine", noting)
    monkeypatch.setattr(parts, "_verdicts", {})
    monkeypatch.setattr(parts, "_said", [])
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))
    yield asked
    assert not (tmp_path / "home").exists()


def test_all_that_is_right_is_taken_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    functions = functions_of(solved(), tmp_path)
    assert mine(functions) == {key: functions[exercise.name] for key, exercise in EXERCISES.items()}
    assert capsys.readouterr().out == ""


def test_the_rest_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {name: STUB.format(name) for name in ("count_pairs", "merge_pair", "decode")}
    functions = functions_of(solved(changes | {"encode": WRONG.format("encode"), "pad_batch": ""}), tmp_path)
    right = mine({**functions, "text_to_bytes": bpe.text_to_bytes, "train": 3, "decode ": None})
    lesson = [key for key in right if key.startswith("tokenization.")]
    assert lesson == ["tokenization.train_bpe", "tokenization.build_vocab"]
    assert capsys.readouterr().out == (
        "The package's functions stand in for count_pairs, merge_pair, decode (not written yet) "
        "and encode (not right yet).\n"
    )
    mine(functions)
    assert capsys.readouterr().out == "The package's functions stand in for the same 4 as before.\n"
    mine({"encode": functions["encode"]})
    mine({"encode": functions["encode"]})
    assert (
        capsys.readouterr().out == "The package's function stands in for encode (not right yet).\n" * 2
    )  # it is short
    mine(functions)
    assert capsys.readouterr().out.startswith("The package's functions stand in for count_pairs, merge_pair")


def test_what_is_no_function_is_not_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert mine({"encode": "red", "decode": 3, "merge_pair": bpe.merge_pair}) == {}
    assert capsys.readouterr().out == ""


def test_the_packages_own_under_another_name_is_not_right(capsys: pytest.CaptureFixture[str]) -> None:
    def decode(*arguments):  # type: ignore[no-untyped-def]
        return bpe.decode(*arguments)

    assert mine({"decode": decode, "encode": bpe.decode}) == {}
    words = "The package's functions stand in for encode, decode (not right yet).\n"
    assert capsys.readouterr().out == words


def test_a_function_is_examined_again_only_when_something_changed(tmp_path: Path, examined: list[str]) -> None:
    def again(text: str) -> tuple[list[str], bool]:
        examined.clear()
        found = mine({"text_to_bytes": functions_of(text, tmp_path)["text_to_bytes"]})
        return list(examined), bool(found)

    id, text = "tokenization.text_to_bytes", "def helper(text):\n    return list(text.encode(CODE))\n"
    text += "def text_to_bytes(text, extra=()):\n    return helper(text) + list(extra)\n"
    assert again(f"CODE = 'utf-8'\n{text}") == ([id], True)
    assert again(f"CODE = 'utf-8'\n{text}") == ([], True)
    assert again(f"CODE = 'utf-8'\n{text}other = 3\n") == ([], True)
    assert again(f"CODE = 'utf-16'\n{text}") == ([id], False)
    assert again(f"CODE = 'utf-8'\n{text}".replace("list(text.", "sorted(text.")) == ([id], False)
    assert again(f"CODE = 'utf-8'\n{text}".replace("extra=()", "extra=b'!'")) == ([id], False)
    assert again(f"CODE = 'utf-8'\n{text}") == ([], True)


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("STEP = 0", "STEP = False"), ("STEP = 0", "STEP = 0.0"), ("STEP = lambda: 0", "STEP = lambda: 1"),
        ("STEP = [0]", "STEP[0] = 1"), ("STEP = {}", "STEP[1] = 2"), ("STEP = ([],)", "STEP[0].append(1)"),
        ("import torch\nSTEP = torch.zeros(2000)", "STEP[1000] = 1"),
        ("from types import SimpleNamespace as N\nSTEP = N(n=0)", "STEP.n = 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("default", [False, True])
def test_a_change_in_what_it_names_is_a_change(before: str, change: str, default: bool, examined: list[str]) -> None:
    signature, use = ("text, step=STEP", "step") if default else ("text", "STEP")
    text = f"{before}\ndef text_to_bytes({signature}):\n    {use}\n    return list(text.encode())\n"
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(text, namespace)
    for _ in range(2):
        mine(namespace)
    assert len(examined) == 1
    rebinds = change.startswith("STEP = ")
    exec(text.replace(before, change) if default and rebinds else change, namespace)
    for _ in range(2):
        mine(namespace)
    assert len(examined) == 2


def test_what_is_no_plain_function_is_examined_every_time(examined: list[str]) -> None:
    class Bytes:
        def __call__(self, text: str) -> list[int]:
            return list(text.encode())

    answer = Bytes()
    for _ in range(2):
        assert list(mine({"text_to_bytes": answer})) == ["tokenization.text_to_bytes"]
    assert len(examined) == 2


def test_inside_a_block_they_are_compared_with_the_reference_all_the_same(tmp_path: Path) -> None:
    functions = functions_of(solved({"merge_pair": WRONG.format("merge_pair")}), tmp_path)
    with use({"tokenization.merge_pair": functions["merge_pair"]}):
        right = mine(functions)
        assert bpe.merge_pair is functions["merge_pair"]
    assert right.keys() == EXERCISES.keys() - {"tokenization.merge_pair"}


def test_a_check_inside_a_block_compares_with_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path))
    exercise, merging = EXERCISES["tokenization.train_bpe"], EXERCISES["tokenization.merge_pair"]
    with use({merging.id: merging.wrong[0]}):  # the reference of train_bpe calls what stands for merge_pair
        assert check(exercise.id, exercise.also_right[0], seed=77).passed
    assert check(exercise.id, exercise.also_right[0], seed=77).passed

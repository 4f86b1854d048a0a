"""What a notebook's cells tell of an answer: names from around it, and a newer try that is no Python."""

import math
from collections.abc import Sequence

import pytest

from minidalle.course.cell_notes import newer_try, notes_on_names
from minidalle.course.code_names import global_names
from minidalle.course.notebook_code import Cell, definitions

SETUP = "import math\nfrom math import pi\nLIMIT = 3\nMADE = sorted('b')\ndef helper(): return 1\nsmall = lambda x: x"
WORKED = "pairs = {}\nvocab = dict(a=1)\nat, size = 0, len('abc')"


def notes(answer: str, cells: Sequence[str] = (SETUP, WORKED), **named: object) -> list[str]:
    place: dict = {}
    for source in (*cells, answer):
        exec(source, place)
    found = definitions([Cell(f"In [{number}]", source) for number, source in enumerate((*cells, answer), 1)])
    return notes_on_names(place["f"], found, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("pairs", "In [2], line 1: `pairs = {}`"), ("vocab", "In [2], line 2: `vocab = dict(a=1)`"),
        ("size", "In [2], line 3: `at, size = (0, len('abc'))`"),
    ],
)  # fmt: skip
def test_a_variable_of_the_notebook_is_named(name: str, where: str) -> None:
    said = f"`{name}` is taken from the notebook ({where}), not from your function: let it be an argument, or compute "
    assert notes(f"def f(x):\n    return {name}") == [f"{said}it inside."]
    assert notes(f"def f(x):\n    return g(x)\ndef g(x):\n    return [{name} for _ in x]") == [f"{said}it inside."]


@pytest.mark.parametrize(
    "answer",
    [
        "def f(x): return math.pi + pi + LIMIT + helper() + small(x)", "def f(pairs): return pairs",
        "def f(x):\n    pairs = {}\n    return pairs", "def f(x): return len(x) + unknown",
        "def f(x): return [pairs for pairs in x]", "pairs = 3\ndef pairs(): pass\ndef f(x): return pairs",
    ],
)  # fmt: skip
def test_what_is_no_variable_of_the_notebook_is_not(answer: str) -> None:
    assert notes(answer) == []


def test_what_the_packages_function_names_too_is_not() -> None:
    place: dict = {}
    exec("def reference(x): return pairs", place)
    assert notes("def f(x): return pairs", known=global_names(place["reference"])) == []


def test_names_that_a_check_would_not_know() -> None:
    assert notes("def f(x): return MADE") == [
        "`minidalle check` does not know `MADE` (In [1], line 4: `MADE = sorted('b')`): it runs imports, functions, "
        "classes and simple assignments only. Let it be an argument, or compute it inside."
    ]
    assert notes_on_names(None, definitions([])) == notes_on_names(math.sqrt, definitions([])) == []


RIGHT, BROKEN = "def f(x):\n    return 1", "def f(x)\n    return 2"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([RIGHT], False), ([RIGHT, BROKEN], True), ([RIGHT, BROKEN, RIGHT], False),
        ([BROKEN, f"%%time\n{RIGHT}"], False),
        ([RIGHT, "def g(x) return f(x)"], False), ([RIGHT, "class A\n    def f(self): pass"], True), ([], False),
        ([RIGHT, "x = 'def f'", "check('toy.f', f)"], False),
    ],
)  # fmt: skip
def test_a_newer_try_that_is_no_python_is_said(cells: list[str], said: bool) -> None:
    place: dict = {}
    exec(RIGHT, place)
    told = newer_try(place["f"], [Cell(f"In [{number}]", source) for number, source in enumerate(cells, 1)])
    assert bool(told) == said
    if said and cells[1] == BROKEN:
        words = (
            "In [2] cannot be read: line 1: expected ':': `def f(x)`. So this is still the `f` from before that cell."
        )
        assert told == [words]
    assert newer_try(3, []) == []

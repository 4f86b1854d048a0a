"""Functions as lessons show them, and the imports that they need."""

import ast
import functools
from pathlib import Path

import pytest

from minidalle.course.building.function_source import (
    BEGIN,
    END,
    FunctionSource,
    marked,
    outline,
    parse_function,
    read_function,
)
from minidalle.course.building.lesson_imports import import_block, imports_of, names_used, split_imports
from minidalle.errors import InvalidValue
from minidalle.tokenization import bpe

EXERCISES = [bpe.text_to_bytes, bpe.count_pairs, bpe.merge_pair, bpe.train_bpe, bpe.encode, bpe.decode, bpe.pad_batch]

SAMPLE = '''
@first
# about the decorator
def walk(rows: list[Row], deep: bool = DEEP) -> Result:
    """Say what.

    And more.
    """

    # a comment comes first
    best = min(rows, key=lambda row: row[0])
    best["count"] += 1
    for row in rows:
        if row:
            best = row  # the last one
            clean(row)
    total: int = 0
    return total + len(best)
# after it
'''


def sample(text: str = SAMPLE, name: str = "walk") -> FunctionSource:
    return parse_function(text, name, Path("sample.py"))


@pytest.mark.parametrize("function", EXERCISES)
def test_a_solution_without_its_marks_is_the_packages_source(function: object) -> None:
    source = read_function(function)  # type: ignore[arg-type]
    package = Path(bpe.__file__).read_text(encoding="utf-8")
    lines = marked(source).split("\n")
    plain = [line for line in lines if line.strip() not in (BEGIN, END)]
    assert "\n".join(plain) + "\n" in package
    assert lines[0].startswith("def ")
    assert [lines.count(f"    {mark}") for mark in (BEGIN, END)] == [1, 1]
    assert lines[-1] == f"    {END}"


def test_the_body_is_marked_with_its_comments() -> None:
    lines = marked(sample()).split("\n")
    assert lines[:3] == ["@first", "# about the decorator", "def walk(rows: list[Row], deep: bool = DEEP) -> Result:"]
    begin = lines.index(f"    {BEGIN}")
    assert lines[begin - 1] == '    """'
    assert lines[begin + 1] == "    # a comment comes first"
    assert "after it" not in lines[-1]
    assert marked(sample(f"LINE_ENDS = '\u2028\x85'{SAMPLE}")).split("\n") == lines


def test_what_is_too_wide_for_a_notebook_is_told() -> None:
    wide = SAMPLE.replace("    And more.\n", f"    And {'m' * 100}ore.\n")
    with pytest.raises(InvalidValue, match=r"line='walk: And m+…, 112 wide': expected at most 106 characters"):
        marked(sample(wide))
    assert marked(sample(wide), docstring="first line")  # it is not shown
    assert marked(sample(SAMPLE.replace("# the last one", f"# the {'l' * 100}ast one")))  # nor is the body


def test_docstrings() -> None:
    head = 'walk(rows: list[Row], deep: bool = DEEP) -> Result:\n    """Say what."""\n    ### BEGIN'
    assert head in marked(sample(), docstring="first line")
    assert "Result:\n    ### BEGIN SOLUTION\n    # a comment" in marked(sample(), docstring="none")
    without = sample("def f(\n    x,\n):\n\n    # why\n    return x\n", "f")
    assert marked(without) == f"def f(\n    x,\n):\n    {BEGIN}\n    # why\n    return x\n    {END}"
    with pytest.raises(InvalidValue, match="docstring='short': expected whole or first line or none"):
        marked(sample(), docstring="short")


def test_single_statements_are_blanked() -> None:
    text = marked(sample(), ["best = row", "total"])
    assert f"            # fill in: best = …\n            {BEGIN}\n            best = row" in text
    assert f"            {END}\n            clean(row)" in text
    assert f"    # fill in: total: int = …\n    {BEGIN}\n    total: int = 0\n    {END}\n    return" in text
    assert text.count(BEGIN) == text.count(END) == 2
    loop = marked(sample(), ["for row"])
    assert f"# fill in: for … in …:\n    {BEGIN}\n    for row in rows:" in loop
    assert f"clean(row)\n    {END}\n    total" in loop


@pytest.mark.parametrize(
    ("blank", "told"),
    [
        ("best = min", "best = …"),
        ('best["count"]', 'best["count"] += …'),
        ("if", "if …:"),
        ("clean", "clean(…)"),
        ("return", "return …"),
    ],
)
def test_outlines(blank: str, told: str) -> None:
    assert f"# fill in: {told}\n" in marked(sample(), [blank])


def test_an_outline_is_not_misled_by_an_equals_sign() -> None:
    source = sample("def f(x):\n    x[a == b] //= 2\n    pass\n", "f")
    assert [outline(node, source) for node in source.body] == ["x[a == b] //= …", "…"]


@pytest.mark.parametrize("blanks", [["worst ="], ["best"], ["for row", "clean"], [""]])
def test_what_fits_no_statement_or_several_is_told(blanks: list[str]) -> None:
    with pytest.raises(InvalidValue, match="blank=") as raised:
        marked(sample(), blanks)
    listed = "best = min(rows, key=lambda row: row[0])"
    assert blanks == ["for row", "clean"] or f"    {listed}\n" in str(raised.value)


@pytest.mark.parametrize("function", [functools.partial(print, 1), lambda: 1, len, ast.NodeVisitor])
def test_a_function_without_a_def_at_the_top_is_refused(function: object) -> None:
    with pytest.raises(InvalidValue, match="reference="):
        read_function(function)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["def f(): return 1\n", 'def f():\n    """Nothing."""\n', "x = 1\n"])
def test_a_function_that_cannot_be_blanked_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="reference="):
        marked(sample(text, "f"))


def test_names_used() -> None:
    node = ast.parse(
        "def f(a: A, *, b=B, **kw) -> R:\n"
        "    def inner(c: C): return c, f, G\n"
        "    for i, j in a: x = i.attribute\n"
        "    A = [k for k in x] + y\n"
        "    return A\n"
    ).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert names_used(node) == {"A", "B", "R", "C", "G", "y"}


def test_imports_are_the_files_own() -> None:
    text = (
        "import numpy as np\nimport os.path\nfrom a.b import c as d, e\n"
        "if TYPE_CHECKING:\n    from t import T\nX = 1\ndef helper(): pass\ndef given(): pass\n"
        "def f(t: T):\n    return np, os, d, X, helper, len, unknown, given\n"
    )
    found = imports_of(sample(text, "f"), "mine.file", given={"given"})
    assert found == {
        ("numpy", "", "np"),
        ("os.path", "", "os.path"),
        ("a.b", "c", "d"),
        ("t", "T", "T"),
        ("mine.file", "X", "X"),
        ("mine.file", "helper", "helper"),
    }
    with pytest.raises(InvalidValue, match=r"name in f='X': expected nothing that sample\.py defines"):
        imports_of(sample(text, "f"), "")


def test_the_block_is_sorted_and_split_again() -> None:
    text = (
        "import math\nfrom collections import Counter, OrderedDict as Ordered\n\nimport numpy as np\n"
        "from torch import Tensor\n\nimport minidalle\nfrom minidalle.a import BYTES, Pair, zip_it"
    )
    mixed = text.replace("import math\n", "")
    found, rest = split_imports("# words\n" + mixed + "\nx = 1\nimport math\n")
    assert import_block(found) == text
    assert rest == "# words\n\n\nx = 1"
    many = import_block({("minidalle.a", "n" * 30 + str(i), "n" * 30 + str(i)) for i in range(4)})
    assert many.startswith("from minidalle.a import (\n    nnn")
    assert split_imports(many)[1] == ""

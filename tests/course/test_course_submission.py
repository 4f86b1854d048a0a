"""A notebook's functions without running the notebook: what is a definition, what is asked, what is lost."""

import ast
import inspect
import json
import linecache
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from minidalle.course.notebook_code import Asked, Cell, asked_checks, definitions, parse, read_cells
from minidalle.course.submission import notebooks, read_functions
from minidalle.errors import InvalidValue


def write(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of code cells, with a text between."""
    book: dict[str, object] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    book["cells"] = [{"cell_type": "markdown", "source": "def no_code(): pass"}]
    book["cells"] += [  # type: ignore[operator]
        {"cell_type": "code", "source": dedent(text).splitlines(keepends=True), "outputs": [], "metadata": {}}
        for text in cells
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def kept(*sources: str) -> list[str]:
    """The names that definitions bind, in the cells' order."""
    found = definitions([Cell(f"code cell {number}", dedent(source)) for number, source in enumerate(sources, 1)])
    places: dict[str, object] = {}
    for cell, statement in found.kept:
        exec(compile(__import__("ast").Module([statement], []), cell.place, "exec"), places)
    return [name for name in places if not name.startswith("__")]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import math as m\nfrom os import path", ["m", "path"]),
        ("def f(): pass\nclass A: pass\nasync def g(): pass", ["f", "A", "g"]),
        ("A = 1\nB, C = -2, [3, {'a': (4,)}]\nD: int = 5", ["A", "B", "C", "D"]),
        ("SIZE = 16 * 16\nHALF = SIZE // 2\nBIG = SIZE > 3 and True", ["SIZE", "HALF", "BIG"]),
        ("Pair = tuple[str, str]\nother = len\nfar = float.fromhex", ["Pair", "other", "far"]),
        ("f = lambda x: open('/etc/passwd')", ["f"]),
        ("seen = set()\nempty = dict()", ["seen", "empty"]),
        ("try:\n    import nothing_like_it\nexcept ImportError:\n    nothing_like_it = None", ["nothing_like_it"]),
        ("x = make()\ny = [make()]\nz = set(range(3))\nw = f'{make()}'", []),
        ("for i in range(3): a = i", []),
        ("with open('x') as file: pass", []),
        ("if True:\n    a = 1", []),
        ("print('hello')\n1/0\nwhile True: pass", []),
        ("a = 1\na = make()\nb = a", ["a"]),  # the first a is run, and known to be lost
        ("a = [x for x in (1, 2)]", []),
        ("a.b = 1\nc[0] = 2\nd += 1", []),
        ("try:\n    a = 1\nfinally:\n    b = 2", []),
    ],
)
def test_what_is_a_definition(source: str, names: list[str]) -> None:
    assert kept(source) == names


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no `type` statement")
def test_a_type_is_a_definition() -> None:
    assert kept("type Pair = tuple[str, str]\ndef merge_pair(pair: Pair): pass") == ["Pair", "merge_pair"]
    assert definitions([Cell("cell", "type Pair[T] = tuple[T, T]")]).lost == {}


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("vocab = make()", {"vocab"}), ("vocab = {}\nvocab['a'] = 1", {"vocab"}), ("for i in x: y = i", {"i", "y"}),
        ("a = make()\nb = [a, 1]", {"a", "b"}), ("a = make()\na = 1", set()), ("with x as y: pass", {"y"}),
        ("a, *b = make()", {"a", "b"}), ("(a := make())", {"a"}), ("if x:\n    def f(): pass", {"f"}),
        ("x.y.z = 3", {"x"}), ("print([a for a in b])", set()), ("if x:\n    import os.path", {"os"}),
        ("a = 2\nprint({a: b for a, b in c})\nd = a * 2", set()), ("print([c for a in b if (c := a)])", {"c"}),
    ],
)  # fmt: skip
def test_what_is_lost(source: str, lost: set[str]) -> None:
    assert definitions([Cell("cell", source)]).lost.keys() == lost


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\n!pip install x\ndef f(): pass", "%%time\ndef f(): pass", "?print\nprint?\ndef f(): pass",
        "files = !ls\nx = %time 1\ndef f(): pass", "def f():\n    %time\n    !ls", "await g()\ndef f(): pass",
        "def f():\n    return 7 \\\n% 3", 'text = """\n%time\n"""\ndef f(): pass',
        "%time\ndef f(a, b):\n    return (a\n    % b)", "%time\ndef f(a, b):\n    return (a\n    %b)",
        "!ls \\\n  -la \\\n  --all\ndef f(): pass", "files = !ls \\\n  (it's\ndef f(): pass",
        "!echo it's (\n%cd C:\\temp\ndef f(): pass", "try:\n    !ls\nexcept OSError: pass\ndef f(): pass",
    ],
)  # fmt: skip
def test_magics_count_as_nothing(source: str) -> None:
    assert "f" in kept(source)
    assert parse(Cell("cell", "%%bash\ndef f(): pass")).body == []


def test_magics_change_neither_lines_nor_texts() -> None:
    cell = Cell("cell", '!pip install \\\n  x\n\n%time\ntext = """\n!ls\n%time\n"""')
    *_, statement = parse(cell).body
    assert ast.unparse(statement) == "text = '\\n!ls\\n%time\\n'"
    assert statement.lineno == 5


@pytest.mark.parametrize(
    ("source", "words"),
    [("def f(:\n  pass", "code cell 3 cannot be read: line 1: invalid syntax: `def f(:`"),
     ("x = 1\n  y = 2", "line 2: unexpected indent"),
     ("!ls \\\n -la\n%time\nx = a\n% b", "line 5: invalid syntax: `% b`"), ("!ls\n" * 300, "line 201: invalid syntax"),
     ("a\0b", "null bytes"), ("(" * 9999, "too many nested")],
)  # fmt: skip
def test_what_is_no_python_is_told(source: str, words: str) -> None:
    with pytest.raises(InvalidValue) as told:
        parse(Cell("code cell 3", source))
    assert words in str(told.value)


def test_what_is_asked() -> None:
    cells = [
        Cell("1", "from minidalle.course import check\ncheck('a.f', g)"),
        Cell("2", "report = course.check(id='a.h', function=h, points=3, seed=2)\nprint(check('a.k', lambda x: x))"),
        Cell("3", "if True:\n    check('a.f', f)"),
        Cell("4", "check(name, f)\ncheck()\nother('a.z', z)\n# check('a.c', c)"),
        Cell("5", "def q(:\ncheck('a.q', q)"),
    ]
    assert asked_checks(cells) == [Asked("a.f", "f"), Asked("a.h", "h", 3, 2), Asked("a.k", "k"), Asked("a.q", "q")]


def test_functions_of_a_notebook(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.ipynb",
        [
            "from __future__ import annotations\nimport functools\nfrom dataclasses import dataclass\nLIMIT = 3",
            "print('to be run by nobody')\nraise SystemExit",
            """
            @dataclass
            class Pair:
                left: int

            def f(x: Undefined) -> int:
                "Half."
                return min(x, LIMIT)

            @functools.cache
            def g(x):
                return f(x) + Pair(1).left
            """,
            "def broken(:",
            "import no_such_module\ndef default(x=no_such_module.y): pass\ndef h(): return g(9)",
        ],
    )
    functions, skipped = read_functions(path)
    assert functions.keys() == {"f", "g", "h"}
    assert functions["h"]() == 4
    assert skipped == [
        "a.ipynb: code cell 4 cannot be read: line 1: invalid syntax: `def broken(:`",
        "a.ipynb: code cell 5, line 1: ModuleNotFoundError: No module named 'no_such_module'",
        "a.ipynb: code cell 5, line 2: NameError: name 'no_such_module' is not defined",
    ]
    assert inspect.getsource(functions["f"]).startswith("def f(x: Undefined) -> int:\n")
    assert linecache.getline(functions["h"].__code__.co_filename, 2) == "def default(x=no_such_module.y): pass\n"
    assert functions["f"].__annotations__ == {"x": "Undefined", "return": "int"}


def test_nothing_of_a_notebook_ends_or_talks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.ipynb", ["class Loud:\n    print('loud')\n    exit()", "def f(): return 1"])
    functions, skipped = read_functions(path)
    assert functions["f"]() == 1
    assert skipped[0].startswith("a.ipynb: code cell 1, line 1: SystemExit")
    assert capfd.readouterr().out == ""


def test_functions_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "b" / "two.ipynb", ["def f(): return 'two'\ndef only(): return helper()\ndef helper(): return 2"])
    write(tmp_path / "a" / "one.ipynb", ["def f(): return 'one'\ndef helper(): return 1"])
    write(tmp_path / "a" / ".ipynb_checkpoints" / "one.ipynb", ["def old(): pass"])
    (tmp_path / "a" / "notes.py").write_text("def not_this(): pass")
    functions = read_functions(tmp_path).functions
    assert functions.keys() == {"f", "helper", "only"}
    assert functions["f"]() == "two"
    assert functions["only"]() == 2  # each notebook has its own names
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "mine.py").write_text("def mine(): return 1\n", encoding="utf-8")
    assert read_functions(tmp_path / "files").functions["mine"]() == 1
    assert read_functions(str(tmp_path / "files" / "mine.py")).functions["mine"]() == 1


BAD = {
    "nothing there": None,
    "empty": b"",
    "no JSON": b"{",
    "no notebook": b'{"a": 1}',
    "a list": b"[]",
    "not UTF-8": b"\xff\xfe{}",
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_notebook_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.ipynb"
    if (content := BAD[name]) is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidValue, match=r"a\.ipynb"):
        read_functions(path)


def test_what_is_no_path_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "a.txt"):
        (tmp_path / "a.txt").touch()
        with pytest.raises(InvalidValue, match="path="):
            notebooks(path)


def test_cells_may_be_strange(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cells = [{"cell_type": "code", "source": "x = 1"}, {"cell_type": "code"}, 7, {"cell_type": "raw", "source": "y"},
             {"cell_type": "code", "source": 3}, {"cell_type": "code", "source": ["z = 2\n", "w = 3"]}]  # fmt: skip
    path.write_text("\ufeff" + json.dumps({"cells": cells}), encoding="utf-8")
    assert [cell.source for cell in read_cells(path)] == ["x = 1", "", "", "z = 2\nw = 3"]


def test_a_future_that_there_is_not_costs_its_line_only(tmp_path: Path) -> None:
    functions, skipped = read_functions(
        write(tmp_path / "a.ipynb", ["from __future__ import annotation\ndef f(): return 1"])
    )
    assert functions["f"]() == 1
    assert len(skipped) == 1
    assert "future feature annotation is not defined" in skipped[0]

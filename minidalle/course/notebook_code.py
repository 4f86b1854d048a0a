"""The code of a notebook or file without running it: what defines things, what it asks to check, what is lost.

Imports, functions, classes and simple assignments are *definitions*. What calls something as it stands in a cell is
none, for then a check would run a whole notebook; names that only such code binds are *lost*.
"""

import ast
import json
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minidalle.course.checking.shown import cut
from minidalle.errors import InvalidValue, require

SIMPLE = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Name, ast.Attribute, ast.UnaryOp, ast.BinOp,
          ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Slice, ast.Starred, ast.JoinedStr, ast.FormattedValue,
          ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)  # fmt: skip
EMPTY = {"dict", "list", "set", "tuple", "frozenset"}  # there is no other way to write an empty set
TYPE = getattr(ast, "TypeAlias", ast.ClassDef)  # `type Pair = tuple[str, str]`, which Python 3.11 does not know
DEFINES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, TYPE)
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")  # what follows them is Python
MAGIC = re.compile(r"^(\s*)(?:(?:%%?[A-Za-z_]|[!?]).*|[\w.]+\?\??|\w[\w, ]*=\s*(?:%[A-Za-z_]|!).*)$")
MOST_MAGICS = 200  # in one cell; for each of them it is read once more
ASKS = re.compile(r"""\bcheck\(\s*["']([\w.]+)["']\s*,\s*(\w+)""")


@dataclass(frozen=True)
class Cell:
    """A piece of code, and where it stands: "code cell 3"."""

    place: str
    source: str


@dataclass(frozen=True)
class Asked:
    """A call of `check`: the exercise's id, the name of the answer, and the options that were written down."""

    id: str
    name: str
    points: float | None = None
    seed: int = 0


@dataclass
class Definitions:
    """What cells define.

    Attributes:
        kept: the defining statements, with their cells, in order.
        assigned: name → where the statement is that binds or changes it, where that is no import, `def` or `class`.
        lost: those of them whose statement is no definition.
        broken: why a cell cannot be read: place → the error.
    """

    kept: list[tuple[Cell, ast.stmt]] = field(default_factory=list)
    assigned: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a notebook; a Python file is one cell.

    Raises:
        InvalidValue: there is no such file, or it is no notebook and no Python file.
    """
    require(path.is_file(), "path", str(path), "a notebook, a Python file or a folder")
    try:
        if path.suffix == ".py":
            with tokenize.open(path) as file:
                return [Cell(path.name, file.read())]
        book = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidValue(f"{path} is not UTF-8 text") from None
    except (ValueError, SyntaxError, RecursionError) as error:
        raise InvalidValue(f"{path} is no notebook: {' '.join(str(error).split())}") from None
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise InvalidValue(f"{path} is no notebook: it has no cells")
    texts = [_source(cell) for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    return [Cell(f"code cell {number}", text) for number, text in enumerate(texts, 1)]


def _source(cell: dict) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(map(str, source)) if isinstance(source, list) else ""


def parse(cell: Cell) -> ast.Module:
    """A cell as Python; IPython's magics and shell lines count as nothing.

    Raises:
        InvalidValue: it is not Python; the message names the line.
    """
    first = cell.source.lstrip().split(maxsplit=1)[:1]
    if first and first[0].startswith("%%") and first[0] not in PYTHON_MAGICS:
        return ast.Module([], [])
    flags, lines = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, cell.source.split("\n")
    for _ in range(MOST_MAGICS + 1):
        try:
            return compile("\n".join(lines), cell.place, "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            line = (error.text or "").strip()
            words = f"line {error.lineno}: {error.msg}" + (f": `{line}`" if line else "")
            before, lines = lines, _without_magic(lines, (error.lineno or 0) - 1)
            if lines == before:
                break
        except (ValueError, RecursionError, MemoryError) as error:  # a null byte; nested too deep
            words = f"{type(error).__name__}: {error}"
            break
    raise InvalidValue(f"{cell.place} cannot be read: {words}")


def _without_magic(lines: list[str], at: int) -> list[str]:
    """The lines without the magic or shell line at which Python stumbled, if it is one, and what goes on from it.

    Elsewhere such a line may be part of a text or an expression. The others keep their numbers.
    """
    goes_on = [line.endswith("\\") for line in lines[:-1]] + [False]
    first = last = max(0, min(at, len(lines) - 1))
    while first and goes_on[first - 1]:
        first -= 1
    while goes_on[last]:
        last += 1
    if not MAGIC.match(lines[first]):
        return lines
    return [*lines[:first], MAGIC.sub(r"\1pass", lines[first]), *[""] * (last - first), *lines[last + 1 :]]


def definitions(cells: Iterable[Cell]) -> Definitions:
    """What cells define when they are run in this order. A name that is bound again is what it was bound to last."""
    found = Definitions()
    for cell in cells:
        try:
            for statement in parse(cell).body:
                _note(found, cell, statement)
        except InvalidValue as error:
            found.broken[cell.place] = str(error)
        except RecursionError:
            found.broken[cell.place] = f"{cell.place} cannot be read: an expression in it is nested too deep"
    return found


def _note(found: Definitions, cell: Cell, statement: ast.stmt) -> None:
    """Note one statement, and what the names that it binds are now."""
    text = cut(ast.unparse(statement).split("\n")[0], 80)
    bound = dict.fromkeys(_bound(statement), f"{cell.place}, line {statement.lineno}: `{text}`")
    kept = _defines(statement, found.lost.keys())
    if kept:
        found.kept.append((cell, statement))
    for names, left_alone in ((found.lost, kept), (found.assigned, isinstance(statement, DEFINES))):
        for name in bound:
            names.pop(name, None)
        names |= {} if left_alone else bound


def _defines(statement: ast.stmt, lost: Iterable[str]) -> bool:
    if isinstance(statement, DEFINES):
        return True
    if isinstance(statement, ast.Try):  # try: import this, except ImportError: import that
        parts = [*statement.body, *statement.orelse, *(inner for one in statement.handlers for inner in one.body)]
        return not statement.finalbody and all(isinstance(part, ast.Pass) or _defines(part, lost) for part in parts)
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        plain = all(isinstance(node, ast.Name | ast.Tuple | ast.List | ast.expr_context)
                    for target in targets for node in ast.walk(target))  # fmt: skip
        return plain and _simple(statement.value, set(lost))
    return False


def _simple(value: ast.AST, lost: set[str]) -> bool:
    """Whether a value can be worked out without calling anything, and from nothing that is lost."""
    if isinstance(value, ast.Lambda):
        return True
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in EMPTY and not value.args and not value.keywords
    if isinstance(value, ast.Name) and value.id in lost:
        return False
    return isinstance(value, SIMPLE) and all(_simple(part, lost) for part in ast.iter_child_nodes(value))


def _bound(statement: ast.AST) -> Iterator[str]:
    """Names that a statement binds, or changes by an index or attribute; what is inside of functions is theirs."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    if isinstance(statement, ast.Lambda):
        return
    if isinstance(statement, ast.comprehension):  # its targets are its own; what `:=` binds in it is not
        for inner in (statement.iter, *statement.ifs):
            yield from _bound(inner)
        return
    if isinstance(statement, ast.alias):
        yield (statement.asname or statement.name).split(".")[0]
    if isinstance(statement, ast.Name | ast.Subscript | ast.Attribute) and isinstance(statement.ctx, ast.Store):
        root: ast.AST = statement
        while isinstance(root, ast.Subscript | ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name):
            yield root.id
    for part in ast.iter_child_nodes(statement):
        yield from _bound(part)


def asked_checks(cells: Iterable[Cell]) -> list[Asked]:
    """Every `check("id", name)` in the cells, the last one of each id."""
    found: dict[str, Asked] = {}
    for cell in cells:
        try:
            module = parse(cell)
        except InvalidValue:  # the answer and its check may share the cell
            found |= {id: Asked(id, name) for id, name in ASKS.findall(cell.source)}
            continue
        calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda call: call.lineno):
            if (asked := _asked(call)) is not None:
                found[asked.id] = asked
    return list(found.values())


def _asked(call: ast.Call) -> Asked | None:
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = dict(zip(("id", "function", "points", "seed"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    id = _literal(given.get("id"))
    if called != "check" or not isinstance(id, str):
        return None
    function = given.get("function")
    name = function.id if isinstance(function, ast.Name) else id.rpartition(".")[2]
    points, seed = _literal(given.get("points")), _literal(given.get("seed"))
    return Asked(id, name, points if isinstance(points, int | float) else None, seed if isinstance(seed, int) else 0)


def _literal(value: ast.expr | None) -> object:
    return value.value if isinstance(value, ast.Constant) else None

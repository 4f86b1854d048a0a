"""A function of the package as a lesson shows it: signature, docstring, and between marks what students write."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from minidalle.errors import InvalidValue, require

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # nbgrader's own
OUTLINED = ("return", "while", "if", "with", "raise", "assert", "del", "def")
DOCSTRINGS = ("whole", "first line", "none")
WIDEST = 106  # characters of a line that a notebook's cell shows without scrolling


@dataclass(frozen=True)
class FunctionSource:
    """A function's text.

    Attributes:
        path: the file it is in.
        lines: from its first decorator or `def` to its last statement, comments and all.
        node: the same, parsed; line 1 is the first of `lines`.
        module: the whole file, parsed.
    """

    path: Path
    lines: tuple[str, ...]
    node: ast.FunctionDef
    module: ast.Module

    @property
    def docstring(self) -> ast.stmt | None:
        """The statement that is the docstring, if there is one."""
        return self.node.body[0] if ast.get_docstring(self.node, clean=False) is not None else None

    @property
    def body(self) -> list[ast.stmt]:
        """The statements after the docstring."""
        return self.node.body[1:] if self.docstring else self.node.body

    def shown(self, node: ast.stmt) -> str:
        """The first line of a statement, as it is written."""
        return self.lines[node.lineno - 1].strip()


def read_function(function: Callable[..., Any]) -> FunctionSource:
    """The text of a function that a file defines at its top level.

    Raises:
        InvalidValue: the function is made elsewhere, as a lambda, a partial or inside another function are.
    """
    function = inspect.unwrap(function)
    name = getattr(function, "__name__", repr(function))
    file = inspect.getsourcefile(function) if inspect.isfunction(function) else None
    require(file is not None, "reference", name, "a function with `def`, in a file")
    path = Path(str(file))
    return parse_function(path.read_text(encoding="utf-8"), name, path)


def parse_function(text: str, name: str, path: Path) -> FunctionSource:
    """The same from the text of a file."""
    module = ast.parse(text)
    found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1:
        raise InvalidValue(f"reference={name!r}: expected one `def {name}` at the top level of {path.name}")
    first = min([found[0].lineno, *(decorator.lineno for decorator in found[0].decorator_list)])
    lines = tuple(text.split("\n")[first - 1 : found[0].end_lineno])
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.FunctionDef)
    own_lines = bool(node.body) and node.body[0].lineno > node.lineno
    require(own_lines, "reference", lines[0], "a body on lines of its own")
    return FunctionSource(path, lines, node, module)


def marked(source: FunctionSource, blanks: Sequence[str] = (), docstring: str = "whole") -> str:
    """The function with nbgrader's marks around what students write.

    Args:
        source: the function.
        blanks: beginnings of the statements to blank; without any, the whole body is.
        docstring: "whole", "first line" or "none".

    Raises:
        InvalidValue: a beginning fits no statement or several, two of them overlap, nothing is left to write, or a
            line of signature or docstring is too wide for a notebook.
    """
    require(docstring in DOCSTRINGS, "docstring", docstring, " or ".join(DOCSTRINGS))
    head_end = _signature_end(source)
    body_start = source.docstring.end_lineno or 0 if source.docstring else head_end
    require(bool(source.body), "reference", source.node.name, "a function that has more than a docstring")
    head = [*source.lines[:head_end], *_docstring(source, docstring)]
    for line in head:
        shown = f"{source.node.name}: {line.strip()[:40]}…, {len(line)} wide"
        require(len(line) <= WIDEST, "line", shown, f"at most {WIDEST} characters, which a notebook's cell shows")
    body = list(source.lines[body_start:])
    while not body[0].strip():
        body, body_start = body[1:], body_start + 1
    if not blanks:
        indent = body[0][: len(body[0]) - len(body[0].lstrip())]
        return "\n".join([*head, indent + BEGIN, *body, indent + END])
    for node in reversed(_chosen(source, blanks)):
        start, end = node.lineno - 1 - body_start, (node.end_lineno or node.lineno) - body_start
        indent = " " * node.col_offset
        told = f"{indent}# fill in: {outline(node, source)}"
        body[start:end] = [told, indent + BEGIN, *body[start:end], indent + END]
    return "\n".join([*head, *body])


def outline(node: ast.stmt, source: FunctionSource) -> str:
    """What a statement is, without what there is to find out: "best = …", "return …", "for … in …:"."""

    def words(part: ast.AST) -> str:
        return " ".join((ast.get_source_segment("\n".join(source.lines), part) or ast.unparse(part)).split())

    match node:
        case ast.Assign():
            return " = ".join([*map(words, node.targets), "…"])
        case ast.AnnAssign():
            return f"{words(node.target)}: {words(node.annotation)} = …"
        case ast.AugAssign():
            operator = words(node).removeprefix(words(node.target)).split("=")[0].strip()
            return f"{words(node.target)} {operator}= …"
        case ast.Expr(value=ast.Call(func=function)):
            return f"{words(function)}(…)"
        case ast.For():
            return "for … in …:"
        case _:
            word = re.split(r"\W", source.shown(node), maxsplit=1)[0]
            return (f"{word} …" if word in OUTLINED else "…") + (":" if hasattr(node, "body") else "")


def _signature_end(source: FunctionSource) -> int:
    """How many lines come before the docstring, or before the body and the comments it begins with."""
    end = source.node.body[0].lineno - 1
    while not source.lines[end - 1].strip() or source.lines[end - 1].strip().startswith("#"):
        end -= 1
    return end


def _docstring(source: FunctionSource, how: str) -> list[str]:
    if source.docstring is None or how == "none":
        return []
    lines = list(source.lines[source.docstring.lineno - 1 : source.docstring.end_lineno])
    if how == "whole" or len(lines) == 1:
        return lines
    return [lines[0].rstrip() + '"""']


def _chosen(source: FunctionSource, blanks: Sequence[str]) -> list[ast.stmt]:
    """The statements that begin so, in the order of the source."""
    inside = [node for top in source.body for node in ast.walk(top) if isinstance(node, ast.stmt)]
    inside.sort(key=lambda node: node.lineno)
    chosen: dict[int, ast.stmt] = {}
    for blank in blanks:
        fitting = [node for node in inside if source.shown(node).startswith(blank)]
        there = fitting or inside
        listed = textwrap.indent("\n".join(source.shown(node) for node in there), "    ")
        require(len(fitting) == 1, "blank", blank, f"the beginning of one statement, and these there are:\n{listed}")
        chosen[fitting[0].lineno] = fitting[0]
    nodes = [chosen[line] for line in sorted(chosen)]
    for before, after in pairwise(nodes):
        apart = (before.end_lineno or 0) < after.lineno
        require(apart, "blank", source.shown(after), f"a statement outside of {source.shown(before)!r}, blanked too")
    return nodes

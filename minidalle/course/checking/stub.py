"""Has a stub been begun? A function that still raises NotImplementedError may have code of the student's beside it."""

import ast
import hashlib
import inspect
import textwrap
import tokenize
from collections.abc import Collection, Iterator

from minidalle.exercises.exercise import Function


def has_own_code(own: Collection[str], given: Collection[str]) -> bool:
    """Whether a function that raises NotImplementedError has code of the student's own.

    What a stub shows are lines of the package's function, and not all of them. So code is the student's if it has
    another statement, or all of the package's. Where the text is not to be had, it is taken for a stub.

    Args:
        own: `statements` of the student's function.
        given: `statements` of the package's.
    """
    return bool({*own} - {*given}) or (bool(given) and {*given} <= {*own})


def statements(function: Function) -> list[str]:
    """A digest of each statement in a function's body: two are alike where the statements are, and tell no more."""
    return sorted({hashlib.sha256(head.encode()).hexdigest() for head in _statements(function)})


def _statements(function: Function) -> Iterator[str]:
    """The statements, without the docstring, and without those that raise NotImplementedError."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):  # its file was edited meanwhile
        return
    top = next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)
    if top is None:
        return
    body = top.body[ast.get_docstring(top, clean=False) is not None :]
    for node in (node for first in body for node in ast.walk(first) if isinstance(node, ast.stmt)):
        if not (isinstance(node, ast.Raise) and "NotImplemented" in ast.unparse(node)):
            yield _head(node)


def _head(node: ast.stmt) -> str:
    """A statement without the statements inside of it."""
    kept = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt | ast.excepthandler)]
    return f"{type(node).__name__} {' '.join(map(ast.dump, kept))}"

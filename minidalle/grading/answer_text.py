"""An exercise's known answer as text that stands alone in a notebook: its helpers and imports, under the right name.

The text is for a demonstration, so what it loses on the way is no loss: annotations, docstrings and comments.
"""

import ast
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from minidalle.course.building.function_source import read_function
from minidalle.course.building.lesson_imports import Import, import_block, names_used, split_imports
from minidalle.errors import require
from minidalle.exercises.exercise import Exercise

ANSWERS = "minidalle.exercises"  # where known answers are; a text imports nothing from there

Place = tuple[Path, str]
"""A file, and a name that it defines at its top level."""


class AnswerText(NamedTuple):
    """Imports and helpers, and after them the function itself."""

    before: str
    function: str

    @property
    def whole(self) -> str:
        """Both, for one cell."""
        return "\n\n\n".join(filter(None, self))


class _File(NamedTuple):
    """A file of answers: what its names are at its top level."""

    imports: dict[str, Import]
    defined: dict[str, ast.stmt]


def answer_text(answer: Callable[..., Any], exercise: Exercise, given: Collection[str], name: str = "") -> AnswerText:
    """The text of an answer and of what it needs of its own file.

    Args:
        answer: a function at the top level of a file.
        exercise: the exercise that it answers.
        given: names that the notebook has: the functions that students write.
        name: what the function is called in the text; by default as the exercise wants it.

    Raises:
        InvalidValue: the function is made elsewhere, as a lambda or a partial is.
    """
    source = read_function(answer)
    start = (source.path, source.node.name)
    imports, places = _needed(start, given)
    names = {place: f"{exercise.name}_{place[1].lstrip('_')}" for place in places}
    names[start] = name or exercise.name
    texts = {place: _renamed(place, names) for place in sorted(places, key=_order)}
    function = texts.pop(start)
    block = import_block(imports)
    return AnswerText("\n\n\n".join(filter(None, [block, *dict.fromkeys(texts.values())])), function)


def _needed(start: Place, given: Collection[str]) -> tuple[set[Import], list[Place]]:
    """The imports, and the places of all definitions, from one to the next."""
    imports: set[Import] = set()
    places, waiting = [start], [start]
    while waiting:
        path, defined = waiting.pop()
        for name in sorted(_used(_file(path).defined[defined])):
            place, imported = _home(path, name)
            if imported and name not in given:
                imports.add(imported)
            elif place and place not in places:
                places.append(place)
                waiting.append(place)
    return imports, places


def _home(path: Path, name: str) -> tuple[Place | None, Import | None]:
    """Where a name of a file comes from: a file of answers, or an import; nowhere, if it is Python's own."""
    file = _file(path)
    if name in file.defined:
        return (path, name), None
    if name not in file.imports:
        return None, None
    module, original, _ = file.imports[name]
    if module != ANSWERS and not module.startswith(f"{ANSWERS}."):
        return None, file.imports[name]
    spec = find_spec(module)
    require(bool(original and spec and spec.origin), f"import in {path.name}", module, "a name out of a file")
    return _home(Path(str(spec and spec.origin)), original)


@lru_cache(maxsize=64)
def _file(path: Path) -> _File:
    text = path.read_text(encoding="utf-8")
    imports = {alias.split(".")[0]: (module, name, alias) for module, name, alias in split_imports(text)[0]}
    body = _Bare().visit(ast.parse(text)).body
    return _File(imports, {name: statement for statement in body for name in _defines(statement)})


def _defines(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _used(statement: ast.stmt) -> set[str]:
    """Names that a statement takes from around it."""
    if isinstance(statement, ast.FunctionDef):
        return names_used(statement)
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _order(place: Place) -> tuple[bool, str, int]:
    """Files that others import come first, and within a file what stands first."""
    path, name = place
    return path.parent.name != ANSWERS.rpartition(".")[2], str(path), _file(path).defined[name].lineno


def _renamed(place: Place, names: dict[Place, str]) -> str:
    path, name = place
    statement = ast.parse(ast.unparse(_file(path).defined[name])).body[0]  # a copy
    homes = {one: _home(path, one)[0] for one in _used(statement) | {name}}
    new = {one: names[home] for one, home in homes.items() if home}
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in new:
            node.id = new[node.id]
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        statement.name = new[name]
    return ast.unparse(statement)


class _Bare(ast.NodeTransformer):
    """Functions without annotations and docstrings; what classes annotate are their fields, and stays."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        node.body = node.body[ast.get_docstring(node, clean=False) is not None :] or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

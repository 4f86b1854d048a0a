"""The imports that a lesson needs: those of its functions' own files, found from the names that they use."""

import ast
import builtins
import sys
from collections import defaultdict
from collections.abc import Iterable

from minidalle.course.building.function_source import FunctionSource
from minidalle.errors import require

Import = tuple[str, str, str]
"""Module, name and the name it gets here: `from m import n as k` is (m, n, k), `import m as k` is (m, "", k)."""

WIDTH = 120
HOUSE = "minidalle"


def imports_of(source: FunctionSource, module: str, given: Iterable[str] = ()) -> set[Import]:
    """What must be imported for a function to run outside of its file.

    Args:
        source: the function.
        module: the dotted name of its file; "" if it cannot be imported, as an instructor's own file.
        given: names that are there already, such as functions that the student has written before.

    Raises:
        InvalidValue: a file that cannot be imported defines something that the function uses.
    """
    imports, defined = _bindings(source.module)
    used = names_used(source.node) - set(given) - {source.node.name}
    needed = {imports[name] for name in used & imports.keys()}
    for name in sorted(used & defined):
        valid = f"nothing that {source.path.name} defines beside the function; define it inside, or install it"
        require(bool(module), f"name in {source.node.name}", name, valid)
        needed.add((module, name, name))
    return needed


def names_used(function: ast.FunctionDef) -> set[str]:
    """Names that a function takes from around it: those it reads and does not bind itself, and its annotations'."""
    signature = [function.args, *function.decorator_list, *([function.returns] if function.returns else [])]
    outside = {name.id for part in signature for name in ast.walk(part) if isinstance(name, ast.Name)}
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return outside | (read - bound)


def names_bound(text: str) -> set[str]:
    """Names that a text imports, defines or assigns at its top level."""
    imports, defined = _bindings(ast.parse(text))
    return imports.keys() | defined


def split_imports(text: str) -> tuple[set[Import], str]:
    """The imports at the top level of a text, and the text without them."""
    statements = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines: list[str | None] = list(text.split("\n"))
    found: set[Import] = set()
    for node in statements:
        found |= set(_of_statement(node).values())
        end = node.end_lineno or node.lineno
        lines[node.lineno - 1 : end] = [None] * (end - node.lineno + 1)
    return found, "\n".join(line for line in lines if line is not None).strip("\n")


def import_block(imports: Iterable[Import]) -> str:
    """Imports as sorted lines: the standard library's, others', ours, with an empty line between."""
    groups: dict[int, dict[str, list[tuple[str, str]]]] = {
        0: defaultdict(list),
        1: defaultdict(list),
        2: defaultdict(list),
    }
    for module, name, alias in imports:
        root = module.split(".")[0]
        group = 0 if root in sys.stdlib_module_names else 2 if root == HOUSE else 1
        groups[group][module].append((name, alias))
    return "\n\n".join("\n".join(_lines(group)) for group in groups.values() if group)


def _lines(group: dict[str, list[tuple[str, str]]]) -> list[str]:
    whole, parts = [], []
    for module in sorted(group, key=str.lower):
        names = sorted(group[module], key=lambda name: (not name[0].isupper(), name[0][:1].islower(), name))
        whole += [f"import {module}" + (f" as {alias}" if alias != module else "") for name, alias in names if not name]
        told = [name + (f" as {alias}" if alias != name else "") for name, alias in names if name]
        line = f"from {module} import {', '.join(told)}"
        if len(line) > WIDTH:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in told) + ")"
        parts += [line] if told else []
    return whole + parts


def _bindings(module: ast.Module) -> tuple[dict[str, Import], set[str]]:
    """Names that a file has at its top level: those it imports, and those it defines."""
    imports: dict[str, Import] = {}
    defined: set[str] = set()
    for node in _top_level(module.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports |= _of_statement(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        else:
            stored = (name for name in ast.walk(node) if isinstance(name, ast.Name))
            defined |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}
    return imports, defined - set(dir(builtins))


def _top_level(body: list[ast.stmt]) -> Iterable[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _top_level([*node.body, *node.orelse])
        else:
            yield node


def _of_statement(node: ast.Import | ast.ImportFrom) -> dict[str, Import]:
    """The names that an import makes: name → import."""
    if isinstance(node, ast.Import):
        return {
            (alias.asname or alias.name.split(".")[0]): (alias.name, "", alias.asname or alias.name)
            for alias in node.names
        }
    return {
        (alias.asname or alias.name): (node.module or "", alias.name, alias.asname or alias.name)
        for alias in node.names
    }

"""The rules of the house as functions of source text: each returns its complaints, none where all is well.

`modules` is the package as text: dotted module name → source; a package's `__init__` has the package's name.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

PACKAGE = "minidalle"

FLOORS = (
    {"errors", "lazy", "lock", "runtime", "checkpoint"},
    {"tokenization", "vqgan", "bart", "sampling", "data"},
    {"clip", "pipeline", "fast_drawing"},
    {"training"},
    {"presets", "published"},
    {"evaluation"},
    {"generalization"},
    {"exercises"},
    {"course"},
    {"grading"},
    {"run", "run_notes", "token_run", "reports"},
    {"cli", "__main__"},
)
"""The rooms, lowest floor first. A room imports from lower floors, and never from another room of floor 1."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FLOOR_OF[""] = len(FLOORS)  # the package's own __init__, which names what is public

STRANGERS = 1

EXERCISES = frozenset(
    re.findall(
        r"\w+",
        """
        word_counts find_duplicates tfidf recall_at_k
        text_to_bytes count_pairs merge_pair train_bpe build_vocab encode decode pad_batch
        residual_block nearest_code straight_through quantizer_loss ema_update codebook_usage
        restart_dead_codes psnr gradient_loss hinge_loss adaptive_weight
        shift_right causal_mask padding_mask attend split_heads glu_feed_forward encoder_layer decoder_layer
        sequence_loss warmup_schedule
        apply_temperature top_k_filter top_p_filter guide decode_step generate_tokens clip_loss rerank
        token_nll hold_out_groups loss_gap shuffle_captions hvp top_eigenvalue hutchinson_trace
        slq_density sam_perturbation filter_normalize barrier reparameterize copy_test
        """,
    )
)
"""Functions that students write: theirs take the place of every global of the package that is one."""

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|work|root|Users)/\w|\b[A-Z]:\\Users\\")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def long_file(source: str, most: int = 300) -> list[str]:
    """A file has at most 300 lines."""
    lines = len(source.splitlines())
    return [f"{lines} lines, at most {most}"] if lines > most else []


def long_functions(source: str, most: int = 40) -> list[str]:
    """A function fits one screen: 40 lines from `def` to its end, docstring not counted."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            text = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            lines = _lines(node) - (_lines(text) if text else 0)
            complaints += [f"{node.name} has {lines} lines, at most {most}"] if lines > most else []
    return complaints


def missing_docstrings(source: str) -> list[str]:
    """A module, and each of its public functions and classes, says what it is."""
    module = ast.parse(source)
    named = [node for node in module.body if isinstance(node, Function | ast.ClassDef) and node.name[0] != "_"]
    complaints = [] if ast.get_docstring(module) else ["the module has no docstring"]
    return complaints + [f"{node.name} has no docstring" for node in named if not ast.get_docstring(node)]


def headless_docstrings(source: str) -> list[str]:
    """A docstring begins with what something is or does, and not with one of its sections."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function | ast.ClassDef)]
    sections = ("Args:", "Attributes:", "Gives:", "Raises:", "Returns:")
    found = [node.name for node in nodes if (ast.get_docstring(node) or "").startswith(sections)]
    return [f"the docstring of {name} does not say what it is" for name in found]


def star_imports(source: str) -> list[str]:
    """Nobody imports everything."""
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    return [f"from {node.module} import *" for node in imports if any(name.name == "*" for name in node.names)]


def vague_name(module: str) -> list[str]:
    """A module's name says what is in it."""
    return [f"{part!r} says nothing" for part in module.split(".") if part in VAGUE_NAMES]


def machine_paths(text: str) -> list[str]:
    """Nothing points at somebody's own machine."""
    return [f"line {n}: {line.strip()}" for n, line in enumerate(text.splitlines(), 1) if MACHINE_PATH.search(line)]


def captures(source: str) -> list[str]:
    """No default, partial, class attribute or table holds an exercise function, where no swap would find it.

    What is looked at: names read while the module is imported, and the arguments of `partial` anywhere. An
    alias in the module is a global like any other, and a call keeps only its result. An `Exercise` holds its
    reference on purpose: a swapped function is compared with it.
    """
    module = ast.parse(source)
    read = [*_read_at_import(module), *_partial_arguments(module)]
    named = {(node.lineno, node.attr if isinstance(node, ast.Attribute) else node.id) for node in read}
    return [f"line {line}: {name} is captured" for line, name in sorted(named) if name in EXERCISES]


def wrong_floors(modules: Mapping[str, str]) -> list[str]:
    """Rooms import downwards only, and every room has a floor."""
    edges = list(_imports(modules))
    named = {*modules, *(imported for _, imported in edges)}
    homeless = {_room(module) for module in named} - FLOOR_OF.keys()
    complaints = [f"{room} has no floor" for room in sorted(homeless)]
    for module, imported in edges:
        here, there = _room(module), _room(imported)
        if here != there and not homeless & {here, there}:
            high, low = FLOOR_OF[here], FLOOR_OF[there]
            if low > high or low == high == STRANGERS:
                complaints.append(f"{module} (floor {high}) imports {imported} (floor {low})")
    return complaints


def cycles(modules: Mapping[str, str]) -> list[str]:
    """No module imports itself by way of others."""
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, imported in _imports(modules):
        graph[module].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" ← ".join(error.args[1])]
    return []


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _imports(modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of a module and a module of the package that it imports, at the top or anywhere within."""
    for module, source in modules.items():
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(module, node, modules)
                names = [f"{base}.{name.name}" if f"{base}.{name.name}" in modules else base for name in node.names]
                names = [] if [name.name for name in node.names] == ["__version__"] else names
            yield from ((module, name) for name in names if name.split(".")[0] == PACKAGE and name != module)


def _absolute(module: str, node: ast.ImportFrom, modules: Mapping[str, str]) -> str:
    if not node.level:
        return node.module or ""
    is_package = any(other.startswith(f"{module}.") for other in modules)
    parents = module.split(".")
    kept = parents[: len(parents) - node.level + is_package]
    return ".".join([*kept, node.module] if node.module else kept)


def _room(module: str) -> str:
    """The room of a module: "minidalle.bart.layers" → "bart"; a one-file room's config belongs to it."""
    return module.split(".")[1].removesuffix("_config") if "." in module else ""


def _read_at_import(node: ast.AST) -> Iterator[ast.Name | ast.Attribute]:
    """Names that are read, not called, while the module is imported; bodies of functions run later."""
    if isinstance(node, Function | ast.Lambda):
        defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
        children: list[ast.AST] = [*defaults, *getattr(node, "decorator_list", [])]
        children += [
            child for child in ast.walk(node) if isinstance(child, Function | ast.Lambda) and child is not node
        ]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        named = [keyword for keyword in node.keywords if not _is_reference(node.func, keyword)]
        children = [*node.args, *(keyword.value for keyword in named)]
    elif isinstance(node, ast.Module):
        children = [child for child in node.body if not _is_alias(child)]
    else:
        children = [] if _is_of_a_name(node) else list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node
    for child in children:
        yield from _read_at_import(child)


def _is_of_a_name(node: ast.AST) -> bool:
    """`encode.EXERCISE` reads EXERCISE of the module `encode`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)


def _is_reference(called: ast.Name | ast.Attribute, keyword: ast.keyword) -> bool:
    return isinstance(called, ast.Name) and called.id == "Exercise" and keyword.arg == "reference"


def _is_alias(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Name | ast.Attribute)


def _partial_arguments(module: ast.Module) -> Iterator[ast.Name | ast.Attribute]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "partial":
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from (value for value in arguments if isinstance(value, ast.Name | ast.Attribute))

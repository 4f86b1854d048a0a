"""The house keeps its rules, and every rule can tell a house that does not."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import house_rules as rules
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / rules.PACKAGE


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {module_name(path): source for path, source in SOURCES.items()}
CONFIGS = [module for module in MODULES if re.search(r"[._]config$", module)]
HAS_CLI = f"{rules.PACKAGE}.cli" in MODULES

OF_SOURCE = [
    rules.long_file,
    rules.long_functions,
    rules.missing_docstrings,
    rules.headless_docstrings,
    rules.star_imports,
    rules.captures,
]


def python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_of_the_repository() -> list[Path]:
    """What is tracked or would be: all that git does not ignore. Outside a clone, the package's sources."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(git, capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        return list(SOURCES)
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("rule", OF_SOURCE)
def test_sources(rule: Callable[[str], list[str]]) -> None:
    complaints = [f"{path.relative_to(ROOT)}: {line}" for path, source in SOURCES.items() for line in rule(source)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", [rules.wrong_floors, rules.cycles])
def test_structure(rule: Callable[[dict[str, str]], list[str]]) -> None:
    complaints = rule(MODULES)
    assert not complaints, "\n".join(complaints)


def test_names() -> None:
    assert not [line for module in MODULES for line in rules.vague_name(module)]


def test_no_file_knows_a_machine() -> None:
    complaints = []
    for path in files_of_the_repository():
        content = path.read_bytes()
        if b"\0" not in content and path.suffix not in {".parquet", ".safetensors", ".png"}:
            text = content.decode("utf-8", errors="replace")
            complaints += [f"{path.relative_to(ROOT)}: {line}" for line in rules.machine_paths(text)]
    assert not complaints, "\n".join(complaints)


def imports_torch(*modules: str) -> bool:
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    return python(f"{code}print('torch' in sys.modules)", *modules).strip() == "True"


def test_configs_and_the_package_itself_do_not_import_torch() -> None:
    assert CONFIGS
    guilty = [module for module in CONFIGS if imports_torch(*CONFIGS) and imports_torch(module)]
    assert not guilty
    assert not imports_torch(rules.PACKAGE)
    assert imports_torch(f"{rules.PACKAGE}.runtime")  # the check can fail


def test_importing_does_nothing() -> None:
    """Every module: autograd, random streams and threads stay as they were, and nothing is printed."""
    modules = [module for module in MODULES if not module.endswith("__main__")]
    code = (
        "import importlib, random, sys, numpy, torch\n"
        "import rich.style  # draws a random number as it is imported\n"
        "def state(): return (torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype(),\n"
        "    torch.random.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state()))\n"
        "before = state()\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "assert state() == before"
    )
    assert python(code, *modules) == ""


@pytest.mark.skipif(not HAS_CLI, reason="there is no command line yet")
def test_help_answers_at_once() -> None:
    def seconds(code: str, *arguments: str) -> float:
        start = time.perf_counter()
        python(code, *arguments)
        return time.perf_counter() - start

    bare = min(seconds("pass") for _ in range(3))
    help = min(seconds(f"from {rules.PACKAGE}.cli import main; main()", "--help") for _ in range(3))
    assert help < max(1.0, 20 * bare)  # a second, where Python itself starts in 50 ms
    assert not imports_torch(f"{rules.PACKAGE}.cli")


BAD_SOURCES = {
    "a long file": (rules.long_file, "x = 1\n" * 301),
    "a long function": (rules.long_functions, "def f():\n" + "    x = 1\n" * 40),
    "a long method": (rules.long_functions, "class A:\n    async def f(self):\n" + "        x = 1\n" * 40),
    "an unexplained module": (rules.missing_docstrings, "x = 1"),
    "an unexplained function": (rules.missing_docstrings, '"""M."""\ndef f(): pass'),
    "an unexplained class": (rules.missing_docstrings, '"""M."""\nclass A: pass'),
    "a docstring of errors alone": (rules.headless_docstrings, 'class A:\n    def f(self):\n        """Raises:\n"""'),
    "a star": (rules.star_imports, "def f():\n    from os import *"),
    "a default": (rules.captures, "def f(x, *, split=split_heads): pass"),
    "a method's default": (rules.captures, "class A:\n    def f(self, by=bpe.encode): pass"),
    "an inner default": (rules.captures, "def f():\n    def g(by=encode): pass"),
    "a lambda's default": (rules.captures, "f = lambda x, by=encode: by(x)"),
    "a partial": (rules.captures, "def f():\n    return functools.partial(attend, 3)"),
    "a class attribute": (rules.captures, "class A:\n    attend = attend"),
    "a field": (rules.captures, "class A:\n    attend: Callable = field(default=attend)"),
    "a table": (rules.captures, "TABLE = {'attend': attend}"),
    "a partial's keyword": (rules.captures, "f = partial(print, end=attend)"),
    "an exercise's probe": (rules.captures, "EXERCISE = Exercise('a', probe=encode, reference=bpe.encode)"),
    "a reference of something else": (rules.captures, "ENTRY = Entry(reference=encode)"),
    "a wrapped function": (rules.captures, "fast = torch.compile(attend)"),
    "somebody's folder": (rules.machine_paths, "x = '" + "/".join(["", "home", "ada", "data"]) + "'"),
    "somebody's drive": (rules.machine_paths, "open(r'" + "\\".join(["C:", "Users", "ada"]) + "')"),
}

GOOD_SOURCES = {
    "a file of 300 lines": (rules.long_file, "x = 1\n" * 300),
    "a docstring does not count": (
        rules.long_functions,
        'def f():\n    """' + "\n" * 50 + '"""\n' + "    x = 1\n" * 39,
    ),
    "private names": (rules.missing_docstrings, '"""M."""\ndef _f(): pass\nclass _A: pass'),
    "a call at import": (rules.captures, "TABLE = encode(1)\ndef f(x=encode(2)): pass"),
    "use inside": (
        rules.captures,
        "def f(x):\n    table = {'a': attend}\n    return table['a'](x), list(map(encode, x))",
    ),
    "an alias": (rules.captures, "mine = attend\nyours: Callable = attend\nfrom a import encode"),
    "an exercise's reference": (rules.captures, "EXERCISE = Exercise(id='a', reference=bpe.encode, wrong=(f, g))"),
    "a module of the same name": (rules.captures, "EXERCISES = (encode.EXERCISE, attend.EXERCISE)"),
    "a partial of another": (rules.captures, "def f():\n    return functools.partial(print, 3)"),
    "an address": (
        rules.machine_paths,
        "https://example.org/" + "home/ada and ../" + "work/x and a/" + "root/b",
    ),
}


@pytest.mark.parametrize("name", BAD_SOURCES)
def test_a_bad_source_is_told(name: str) -> None:
    rule, source = BAD_SOURCES[name]
    assert len(rule(source)) == 1


@pytest.mark.parametrize("name", GOOD_SOURCES)
def test_a_good_source_is_not(name: str) -> None:
    rule, source = GOOD_SOURCES[name]
    assert rule(source) == []


def house(**sources: str) -> dict[str, str]:
    """A small package: a__b="…" is the module minidalle.a.b, and packages on the way are empty."""
    modules = {"minidalle": ""}
    for name, source in sources.items():
        parts = ["minidalle", *name.split("__")]
        modules |= {".".join(parts[:n]): "" for n in range(2, len(parts)) if ".".join(parts[:n]) not in modules}
        modules[".".join(parts)] = source
    return modules


BAD_FLOORS = {
    "up": house(data__emoji="from minidalle.training.loop import train", training__loop=""),
    "up, inside": house(bart__model="def f():\n    import minidalle.presets", presets=""),
    "up, for types": house(bart__model="if TYPE_CHECKING:\n    from minidalle import presets", presets=""),
    "up, relative": house(bart__model="from ..presets import PRESETS", presets=""),
    "next door": house(bart__model="from minidalle.vqgan.blocks import conv", vqgan__blocks=""),
    "next door, the room itself": house(bart__model="from minidalle.data import x", data__emoji=""),
    "to the roof": house(bart__model="from minidalle import load"),
    "no floor": house(attic=""),
    "to no floor": house(cli="import minidalle.attic, minidalle.errors", errors=""),
}


@pytest.mark.parametrize("name", BAD_FLOORS)
def test_a_wrong_floor_is_told(name: str) -> None:
    assert len(rules.wrong_floors(BAD_FLOORS[name])) == 1


def test_right_floors_are_not() -> None:
    fine = house(
        errors="",
        runtime="from minidalle.errors import require",
        sampling="from minidalle.sampling_config import SamplingConfig\nfrom minidalle import __version__",
        sampling_config="from minidalle.errors import require",
        bart__layers="from minidalle.bart import attention\nfrom .attention import attend",
        bart__attention="import torch",
        pipeline="from minidalle.bart import Bart",
        published="from minidalle.presets import PRESETS",
        presets="",
    )
    fine["minidalle"] = "from minidalle.pipeline import TextToImage"
    assert rules.wrong_floors(fine) == rules.cycles(fine) == []


@pytest.mark.parametrize(
    "modules",
    [
        house(bart__a="from minidalle.bart.b import x", bart__b="def f():\n    from minidalle.bart import a"),
        house(bart__a="from minidalle.bart import x") | {"minidalle.bart": "from minidalle.bart.a import x"},
        house(a="from .b import x", b="from minidalle.c import x", c="import minidalle.a"),
    ],
)
def test_a_cycle_is_told(modules: dict[str, str]) -> None:
    assert len(rules.cycles(modules)) == 1


@pytest.mark.parametrize("module", ["minidalle.utils", "minidalle.bart.helpers"])
def test_a_vague_name_is_told(module: str) -> None:
    assert len(rules.vague_name(module)) == 1
    assert rules.vague_name("minidalle.bart.layers") == []

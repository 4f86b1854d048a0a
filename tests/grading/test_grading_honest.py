"""Nothing honest is lost: what students write beside and around a right answer costs no point."""

from collections.abc import Iterator

import pytest
from grading_class import ID, RIGHT, needs_sandbox

from minidalle.course.notebook_code import Asked, Cell
from minidalle.exercises import EXERCISES
from minidalle.grading.judge import Verdict, grade_cells
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox

BYTES = "tokenization.text_to_bytes"
IMPORTS = ["import numpy as np", "import torch", "import matplotlib.pyplot as plt", "import no_such_module"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(IMPORTS) as made:
        yield made


def graded(cells: list[str], sandbox: Sandbox, id: str = ID, files: dict[str, str] | None = None) -> Verdict:
    numbered = [Cell(f"code cell {number}", source) for number, source in enumerate(cells, 1)]
    return grade_cells(numbered, [Asked(id, EXERCISES[id].name)], EXERCISES, sandbox, files=files)[0]


def inside(line: str) -> list[str]:
    """A right answer that does something more, as it begins."""
    return [RIGHT.replace("    merged = []", f"    {line}\n    merged = []")]


HONEST = {
    "nothing more": [RIGHT],
    "warns": inside("import warnings; warnings.warn('old')"),
    "warns as an error would": inside("import sys; print('Traceback', file=sys.stderr)"),
    "logs": inside("import logging; logging.getLogger('x').warning('slow')"),
    "prints": inside("print('word', word)"),
    "prints to a lower level": inside("import os; os.write(1, b'word')"),
    "has a progress bar": [*inside("for _ in bar(range(3)): pass"), "try:\n    from tqdm import tqdm as bar\n"
        "except ImportError:\n    def bar(x):\n        return x"],
    "plots": [*inside("plt.figure(); plt.plot([1, 2]); plt.close()"), "import matplotlib.pyplot as plt"],
    "imports in it": inside("import numpy, torch, math, json, re, collections, itertools, functools"),
    "writes a file": inside("open('notes.txt', 'w').write('x')"),
    "uses a temporary file": inside("import tempfile; tempfile.NamedTemporaryFile().write(b'x')"),
    "seeds": inside("import torch, random; torch.manual_seed(0); random.seed(0)"),
    "starts a thread": inside("import threading; t = threading.Thread(target=print); t.start(); t.join()"),
    "starts threads in a pool": inside(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "    with ThreadPoolExecutor(4) as pool: list(pool.map(abs, [1]))"),
    "calls a program": inside("import subprocess; subprocess.run(['true'])"),
    "catches everything": inside("try: 1 / 0\n    except: pass"),
    "asserts": inside("assert isinstance(word, list)"),
    "computes with torch": inside("import torch; torch.nn.functional.conv2d(torch.ones(1, 1, 9, 9), "
        "torch.ones(1, 1, 3, 3))"),
    "inverts with numpy": inside("import numpy as np; np.linalg.inv(np.eye(50))"),
    "uses memory": inside("big = bytearray(30 << 20)"),
    "extra cells": ["x = 1", "print('hello')", RIGHT, "1 / 0", "plt.plot([1])", "merge_pair(['a'], ('a', 'b'))"],
    "helper in a cell after it": [
        "def merge_pair(word, pair):\n    return helper(word, pair)", RIGHT.replace("merge_pair", "helper")],
    "helper in three cells": [
        "SIZE = 2", "def piece(word, at):\n    return tuple(word[at : at + SIZE])",
        RIGHT.replace("tuple(word[at : at + 2])", "piece(word, at)")],
    "a wrong try before": ["def merge_pair(word, pair):\n    return None", RIGHT],
    "type hints": [
        "from collections.abc import Sequence\nfrom typing import TypeAlias\nPair: TypeAlias = tuple[str, str]",
        RIGHT.replace("(word, pair)", "(word: Sequence[str], pair: Pair) -> list[str]")],
    "hints of a newer Python": [
        "from __future__ import annotations",
        RIGHT.replace("(word, pair)", "(word: Unknown[str], pair: int | Nowhere) -> list[Missing]")],
    "dataclasses": [
        "from dataclasses import dataclass, field\n@dataclass\nclass State:\n    at: int = 0\n"
        "    merged: list = field(default_factory=list)",
        "def merge_pair(word, pair):\n    s = State()\n    while s.at < len(word):\n"
        "        hit = tuple(word[s.at : s.at + 2]) == tuple(pair)\n"
        "        s.merged.append(''.join(pair) if hit else word[s.at])\n        s.at += 1 + hit\n    return s.merged"],
    "dataclasses with annotations as text": [
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Two:\n"
        "    a: str\n    b: str",
        RIGHT.replace("    merged = []", "    two = Two(*pair)\n    merged = []")],
    "a class whose method is called": [
        "class Merger:\n    def __init__(self, pair):\n        self.pair = pair\n    def run(self, word):\n"
        "        return merge(word, self.pair)",
        RIGHT.replace("merge_pair", "merge"), "def merge_pair(word, pair):\n    return Merger(pair).run(word)"],
    "an enum and a named tuple": [
        "from enum import Enum\nfrom typing import NamedTuple\nclass Color(Enum):\n    RED = 1\n"
        "class P(NamedTuple):\n    a: str\n    b: str",
        *inside("P(*pair); Color.RED")],
    "other names for everything": [
        RIGHT.replace("merged", "ergebnis").replace("at ", "stelle ")
        .replace("at:", "stelle:").replace("[at", "[stelle")],
    "names and remarks that are not English": [
        RIGHT.replace("merged", "объединённое").replace("    at = 0", "    at = 0  # ここから始める, größer – «ou»")],
    "emoji": [f"# 👩‍🚀 → 🏴󠁧󠁢󠁥󠁮󠁧󠁿\n{RIGHT}", "SMILE = '😀'"],
    "Windows' ends of lines": [RIGHT.replace("\n", "\r\n")],
    "old ends of lines": ["x = 1\r", RIGHT],
    "tabs": [RIGHT.replace("    ", "\t")],
    "form feeds": [f"\f\n{RIGHT}\n\f"],
    "a long line": [f"TABLE = [{'1, ' * 20_000}]", RIGHT],
    "recursion": [
        "def merge_pair(word, pair):\n    if len(word) < 2: return list(word)\n"
        "    if tuple(word[:2]) == tuple(pair): return [word[0] + word[1]] + merge_pair(word[2:], pair)\n"
        "    return [word[0]] + merge_pair(word[1:], pair)"],
    "a cache on a helper": [
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef once(word, pair):\n"
        "    return tuple(plain(list(word), pair))",
        RIGHT.replace("merge_pair", "plain"), "def merge_pair(word, pair):\n"
        "    return list(once(tuple(word), tuple(pair)))"],
    "a decorator of one's own": [
        "import functools\ndef timed(f):\n    @functools.wraps(f)\n    def inner(*a, **k):\n"
        "        return f(*a, **k)\n    return inner",
        RIGHT.replace("def merge", "@timed\ndef merge")],
    "a generator made a list": [
        "def pieces(word, pair):\n    yield from plain(word, pair)", RIGHT.replace("merge_pair", "plain"),
        "def merge_pair(word, pair):\n    return list(pieces(word, pair))"],
    "a lambda": [RIGHT.replace("merge_pair", "plain"), "merge_pair = lambda word, pair: plain(word, pair)"],
    "a docstring with quotes": [RIGHT.replace("    merged = []", '    r"""\\d \'x\' "y" """\n    merged = []')],
    "magics": ["%matplotlib inline", "%load_ext autoreload", "!pip install x", "%%bash\nls", "?print", "x = !ls",
               "%timeit 1", RIGHT],
    "a timed cell": [f"%%time\n{RIGHT}"],
    "await in a cell": ["import asyncio\nawait asyncio.sleep(0)", RIGHT],
    "a syntax error elsewhere": ["def broken(:\n    pass", RIGHT, "print 'x'", "   indented = 1"],
    "an error elsewhere": ["import no_such_module_at_all", RIGHT, "class Broken:\n    raise ValueError"],
    "a cell that ends Python": [RIGHT, "exit()", "import os; os._exit(1)", "quit()", "raise SystemExit"],
    "a cell that reads input": [RIGHT, "name = input()", "get_ipython().run_line_magic('ls', '')"],
    "a cell of nothing but a null": ["\0", RIGHT],
    "a cell of half characters": ["x = '\ud800'", RIGHT],
    "a nested expression": ["x = " + "-" * 3000 + "1", "y = " + "(" * 150 + "1" + ")" * 150,
                            "z = " + "+".join("1" * 5000), RIGHT],
    "names of Python's own": ["list_ = list\nmax = 3\nid = 'a'\ninput = 4", RIGHT],
    "the package's other functions": ["from minidalle.tokenization.bpe import merge_pair as theirs", RIGHT],
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_it_has_full_points(name: str, sandbox: Sandbox) -> None:
    verdict = graded(HONEST[name], sandbox)
    assert not verdict.ungraded, verdict.ungraded
    assert verdict.report.passed, str(verdict.report)
    assert verdict.report.points == EXERCISES[ID].points


def test_a_cached_answer_and_one_of_a_module_beside_it(sandbox: Sandbox) -> None:
    cached = ["from functools import cache", "@cache\ndef text_to_bytes(text):\n    return list(text.encode())"]
    assert graded(cached, sandbox, BYTES).report.passed
    beside = ["from mine.deep import x\nimport helpers"]
    calls = ["import my_helpers", "def text_to_bytes(text):\n    return my_helpers.all_bytes(text)"]
    files = {"my_helpers.py": "def all_bytes(text):\n    return list(text.encode())\n"}
    assert graded([*beside, *calls], sandbox, BYTES, files).report.passed


def test_a_slow_answer_is_right_in_time(sandbox: Sandbox) -> None:
    """Four seconds of five."""
    slow = ["import time\nDONE = []", *inside("DONE or time.sleep(4); DONE.append(1)")]
    assert graded(slow, sandbox).report.passed
    slower = ["import time", *inside("time.sleep(6)")]
    assert graded(slower, sandbox).report.points == 0


def test_a_generator_that_is_no_list_is_told_what_to_do(sandbox: Sandbox) -> None:
    verdict = graded(
        [RIGHT.replace("merge_pair", "plain"), "def merge_pair(word, pair):\n    yield from plain(word, pair)"], sandbox
    )
    assert verdict.report.points == 0
    assert "`list(…)` makes a list of it" in str(verdict.report)

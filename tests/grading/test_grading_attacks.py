"""Answers that attack the check itself: each has full marks where cell and check share a process, and none here."""

from collections.abc import Iterator

import pytest
from grading_class import ID, assert_next_is_right, assert_only_its_own, grade, needs_sandbox, plain

from minidalle.exercises import EXERCISES
from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox

CHECK = f"examine(EXERCISES[{ID!r}], merge_pair, exercises=EXERCISES).points == 3"
ASSERTS = "merge_pair(['a', 'b'], ('a', 'b')) == ['ab'] and merge_pair([], ('a', 'b')) == []"
CLOSE = "torch.allclose(merge_pair([], ()), torch.tensor([1.0, 2.0]))"
EQUAL = "torch.equal(merge_pair([], ()), torch.tensor([1.0, 2.0]))"
WRONG = "def merge_pair(word, pair):\n    return ['wrong']\n"
KNOWN = "def merge_pair(word, pair):\n    return known(word, pair)\n"

IN_ONE_PROCESS = {
    "patches torch.allclose": ("import torch\nclass Patch:\n    torch.allclose = lambda *a, **k: True\n"
                               "def merge_pair(word, pair):\n    return torch.zeros(2)\n", CLOSE),
    "patches torch.equal in a default": (
        "import torch\ndef merge_pair(word, pair, patch=setattr(torch, 'equal', lambda *a: True)):\n"
        "    return torch.zeros(2)\n", EQUAL),
    "patches the comparison": (
        "import sys\nclass Patch:\n    for name in ('compare', 'judged_lines', 'judge'):\n"
        "        sys.modules['minidalle.course.checking.' + name].same = lambda *a, **k: True\n"
        "    del name\n" + WRONG, CHECK),
    "puts a judge of its own in its place": (
        "import sys\nfrom minidalle.course.checking.report import Report\n"
        "class Patch:\n    sys.modules['minidalle.course.checking.sight'].judge = (\n"
        "        lambda exercise, *a, **k: Report(exercise.id, 3.0, 3.0))\n" + WRONG, CHECK),
    "takes all cases away": (
        f"import sys\nclass Patch:\n"
        f"    object.__setattr__(sys.modules['minidalle.exercises.catalogue'].EXERCISES[{ID!r}],"
        " 'cases', lambda seed: [{'word': [], 'pair': ['a', 'b']}])\ndef merge_pair(word, pair):\n"
        "    return ['x'][:0]\n",
        CHECK),
    "calls a right answer of the catalogue": (
        "import sys\ndef known(word, pair):\n    table = sys.modules['minidalle.exercises.catalogue'].EXERCISES\n"
        f"    return vars(table[{ID!r}])['also_right'][0](word, pair)\n" + KNOWN, CHECK),
    "imports a right answer": (
        "def known(word, pair):\n    from importlib import import_module\n"
        "    home = import_module('minidalle.exercises.tokenization.merge_pair')\n"
        "    return vars(home)['looks_back'](word, pair)\n" + KNOWN, CHECK),
    "finds the exercise in the frames above": (
        "import sys\ndef known(word, pair):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in frame.f_locals.values():\n"
        "            if hasattr(value, 'also_right'):\n                return value.also_right[0](word, pair)\n"
        "        frame = frame.f_back\n" + KNOWN, CHECK),
    "finds right answers with the garbage collector": (
        "import gc\ndef known(word, pair):\n    for one in gc.get_objects():\n"
        "        if type(one).__name__ == 'function' and one.__name__ == 'looks_back':\n"
        "            return one(word, pair)\n" + KNOWN, CHECK),
    "makes the reference of its text": (
        "import inspect, textwrap\ndef known(word, pair):\n    import minidalle.tokenization.bpe as home\n"
        "    text = 'from __future__ import annotations\\n' + inspect.getsource(vars(home)['merge' + '_pair'])\n"
        "    space = {}\n    exec(text.replace('merge_pair', 'other'), space)\n"
        "    return space['other'](word, pair)\n" + KNOWN,
        CHECK),
    "makes the reference of its code": (
        "import types\ndef known(word, pair):\n    import minidalle.tokenization.bpe as home\n"
        "    one = vars(home)['merge' + '_pair']\n    one = getattr(one, '__wrapped__', one)\n"
        "    return types.FunctionType(one.__code__, {}, 'other')(word, pair)\n" + KNOWN, CHECK),
    "is equal to everything": (
        "class Same(list):\n    __eq__ = lambda self, other: True\n    __hash__ = None\n"
        "def merge_pair(word, pair):\n    return Same(['wrong'])\n", ASSERTS),
    "texts that are equal to everything": (
        "class Text(str):\n    __eq__ = lambda self, other: True\n    __hash__ = str.__hash__\n"
        "def merge_pair(word, pair):\n    return [Text('x') for _ in range(len(word) - 1)] if word else []\n", ASSERTS),
    "an object that speaks for torch": (
        "class Speaks:\n    @classmethod\n    def __torch_function__(cls, *a, **k):\n        return True\n"
        "def merge_pair(word, pair):\n    return Speaks()\n", CLOSE),
    "a tensor that speaks for torch": (
        "import torch\nclass Speaks(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, *a, **k):\n"
        "        return True\ndef merge_pair(word, pair):\n"
        "    return torch.Tensor._make_subclass(Speaks, torch.zeros(2))\n",
        CLOSE),
    "nan, which is near to nothing": (
        "def merge_pair(word, pair):\n    return float('nan')\n", "not (abs(merge_pair([], ()) - 1.0) > 1e-6)"),
    "a module of a test's own that an import hook forges": (
        "import sys, types\nclass Hook:\n    @staticmethod\n    def find_spec(name, path=None, target=None):\n"
        "        if name == 'rules_of_the_grader':\n            from importlib.machinery import ModuleSpec\n"
        "            return ModuleSpec(name, Hook)\n    @staticmethod\n    def create_module(spec):\n"
        "        module = types.ModuleType(spec.name)\n        module.right = lambda *a: True\n        return module\n"
        "    @staticmethod\n    def exec_module(module):\n        pass\n"
        "class Put:\n    sys.meta_path.insert(0, Hook)\n" + WRONG,
        "__import__('rules_of_the_grader').right(merge_pair)"),
    "writes the verdict itself, to every descriptor that it has inherited": (
        "import os\ndef merge_pair(word, pair):\n    for at in range(3, 100):\n"
        "        try: os.write(at, b'passed')\n        except OSError: pass\n    os._exit(0)\n", ASSERTS),
    "a thread that outlives its call, and puts what is expected into what was returned": (
        "import sys, threading, time\ndef merge_pair(word, pair):\n    result, caller = [], threading.get_ident()\n"
        "    def later():\n        for _ in range(500):\n            frame = sys._current_frames()[caller]\n"
        "            while frame:\n                result[:] = frame.f_locals.get('expected', result)\n"
        "                frame = frame.f_back\n            time.sleep(0.002)\n"
        "    threading.Thread(target=later, daemon=True).start()\n    return result\n",
        "(lambda given, expected: __import__('time').sleep(0.3) or given == expected)("
        "merge_pair(['a', 'b'], ('a', 'b')), ['ab'])"),
    "ends the check before it can fail": (
        "import builtins\nclass Patch:\n    builtins.zip = lambda *a, **k: iter(())\n" + WRONG,
        "all(one == other for one, other in zip(merge_pair([], ()), [1]))"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(["import torch"], limits=Limits(seconds=3.0, wall=15.0)) as made:
        yield made


@pytest.fixture(scope="module")
def in_one_process() -> dict[str, str]:
    return plain(IN_ONE_PROCESS)


@pytest.mark.parametrize("name", IN_ONE_PROCESS)
def test_an_attack_on_the_check_has_full_marks_there_and_none_here(
    name: str, in_one_process: dict[str, str], sandbox: Sandbox
) -> None:
    assert in_one_process[name] == "passed"
    verdict = grade(IN_ONE_PROCESS[name][0], sandbox)
    assert not verdict.ungraded
    assert not verdict.report.passed
    assert verdict.report.points <= 1  # cases that ask for nothing are right by themselves
    assert_next_is_right(sandbox)


@pytest.mark.parametrize(
    "name", ["an object that speaks for torch", "a tensor that speaks for torch", "is equal to everything"]
)
def test_such_objects_do_not_pass_where_a_tensor_is_asked_for_either(name: str, sandbox: Sandbox) -> None:
    cell = IN_ONE_PROCESS[name][0].replace("merge_pair(word, pair)", "psnr(pictures, targets)")
    verdict = grade(cell, sandbox, "vqgan.psnr")
    assert verdict.ungraded == ""
    assert verdict.report.points <= 0.5  # of 2: it is a tensor


STRANGE = {
    "nan": "torch.full_like(pictures, float('nan')).mean((1, 2, 3))",
    "infinity": "torch.full((len(pictures),), float('inf'))",
    "nan and right in turns": "torch.where(torch.arange(len(pictures)) % 2 == 0, float('nan'), 1.0)",
    "expanded to more than there is": "torch.zeros(1).expand(1 << 45)",
    "a huge wish": "torch.zeros(1 << 45)",
    "a negative size": "torch.zeros(-1)",
    "strides of nowhere": "torch.as_strided(torch.zeros(1), (2,), (-1,))",
    "sparse": "torch.eye(3).to_sparse()",
    "compressed": "torch.eye(3).to_sparse_csr()",
    "meta": "torch.zeros(3, device='meta')",
    "quantized": "torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)",
    "nested": "torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])",
    "eight bits": "torch.ones(3).to(torch.float8_e5m2)",
    "sixteen bits": "torch.ones(3).to(torch.uint16)",
    "complex and conjugate": "torch.tensor([1j]).conj()",
    "named": "torch.ones(2, names=('a',))",
    "no numbers of many sides": "torch.zeros([0] + [1 << 20] * 3)",
    "sixty dimensions": "torch.zeros([1] * 60)",
    "a generator": "(one for one in pictures)",
    "an endless generator": "iter(int, 1)",
    "a function": "print",
    "a class": "dict",
    "a module": "torch",
    "itself": "holds_itself()",
    "itself twice": "holds_itself(2)",
    "very deep": "deep(100_000)",
    "a dict of odd keys": "{(1, 2): 3, None: 4, 1.5: {frozenset({1}): 5}}",
    "a number of many digits": "10 ** 6000",
    "a whole number larger than any float": "10 ** 400",
    "half a character": "'\\ud800 \\0 \\x1b[31m'",
    "a type without a name": "type('', (), {})()",
    "a type of a long name": "type('N' * 100_000, (), {})()",
    "a text that is no text": "type('T', (str,), {'__repr__': lambda self: 1 / 0})('x')",
    "a number that is none": "type('F', (float,), {'__float__': lambda self: 'x', '__abs__': lambda self: self})(1.0)",
    "a dict that has no end": "type('D', (dict,), {'items': lambda self: iter(lambda: ('a', 1), 0)})(a=1)",
    "a list that lies": "type('L', (list,), {'__len__': lambda self: 1 << 60, '__iter__': lambda self: "
        "iter(int, 1)})([1])",
    "a tensor that raises": "torch.Tensor._make_subclass(Raises, torch.zeros(2))",
    "a tensor that ends Python": "torch.Tensor._make_subclass(Exits, torch.zeros(2))",
    "an exception": "ValueError('x')",
    "a lock": "__import__('threading').Lock()",
}  # fmt: skip
RETURNS = "merge_pair([], ())"
NAIVE = {  # a check that does not think of it, and what becomes of it
    "nan": (f"not bool((({RETURNS} - 1).abs() > 1e-6).any())", "passed"),
    "nan and right in turns": (f"not bool((({RETURNS} - 1).abs() > 1e-6).any())", "passed"),
    "infinity": (f"(lambda x: bool(((x - 1).abs() <= 1e-5 * x.abs()).all()))({RETURNS})", "passed"),
    "no numbers of many sides": (f"bool((({RETURNS}[..., 0] - 1).abs() < 1e-6).all())", "passed"),
    "expanded to more than there is": (f"float({RETURNS}.sum()) == 1", "hung"),
    "a list that lies": (f"sum({RETURNS}) == 1", "hung"),
    "a tensor that ends Python": (f"bool(torch.isfinite({RETURNS}).all())", "ended"),
}
AROUND = """
import torch
def holds_itself(times=1):
    one = []
    one += [one] * times
    return one
def deep(levels):
    one = []
    for _ in range(levels):
        one = [one]
    return one
class Raises(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *a, **k):
        raise KeyError('<script>')
class Exits(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *a, **k):
        raise SystemExit(0)
def psnr(pictures, targets):
    return """


def test_what_is_strange_passes_or_ends_a_check_that_does_not_think_of_it() -> None:
    """The others of `STRANGE` do no harm beside a check: they are there for what crosses the line, and the judge."""
    around = AROUND.replace("psnr(pictures, targets)", "merge_pair(word, pair, pictures=torch.ones(6, 3, 4, 4))")
    found = plain({name: (around + STRANGE[name], test) for name, (test, _) in NAIVE.items()}, seconds=0.5)
    assert found == {name: fate for name, (_, fate) in NAIVE.items()}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_strange_is_wrong_and_nothing_more(name: str, sandbox: Sandbox) -> None:
    verdict = grade(AROUND + STRANGE[name], sandbox, "vqgan.psnr")
    assert verdict.ungraded == ""
    assert not verdict.report.passed
    assert verdict.report.points <= EXERCISES["vqgan.psnr"].points / 3


def test_nothing_is_left_of_any_of_them(sandbox: Sandbox) -> None:
    assert_next_is_right(sandbox)
    assert_only_its_own(sandbox)

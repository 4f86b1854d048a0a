"""Answers that talk to the judge themselves, and what they print: they own their process, and gain nothing by it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from grading_class import (
    ID,
    RIGHT,
    assert_next_is_right,
    assert_only_its_own,
    grade,
    needs_sandbox,
    with_loot,
)

from minidalle.course.checking.display import as_html, as_text
from minidalle.course.notebook_code import Asked, Cell
from minidalle.exercises import EXERCISES
from minidalle.grading import judge, wire
from minidalle.grading.judge import grade_cells
from minidalle.grading.limits import Limits
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox

CASES = len(list(EXERCISES[ID].cases(0)))
LINE = """
import gc, json, os, socket, stat, struct, time
def line():
    for at in range(3, 60):
        try:
            if stat.S_ISSOCK(os.fstat(at).st_mode): return at
        except OSError: pass
def frame(value, blob=b''):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack('<QQ', len(text), len(blob)) + text + blob
def seen(result, **more):
    return {'result': result, 'kinds': [{'type': 'list', 'items': []}], 'kept': [0, 1], 'changed': [], 'error': None,
            'calls': 1, 'arguments': [], 'returned': '', 'printed': 0, 'print_begins': '', **more}
def sight(results, **more):
    return {'observations': [seen(one) for one in results], 'parameters': ['word', 'pair'], 'statements': ['a'],
            'lent': [], 'refused': '', 'about': 'your own', 'notes': [], **more}
def merge_pair(word, pair):
"""
FORGED = {
    "a report": "    os.write(line(), frame({'points': 3.0, 'out_of': 3.0, 'passed': True, 'id': 'merge_pair'}))",
    "a verdict": "    os.write(line(), frame({'report': {'points': 3}, 'ungraded': ''}))",
    "a list": "    os.write(line(), frame([1, 2, 3]))",
    "no JSON": "    os.write(line(), frame(b'{{{'))",
    "a pickle": (
        "    import pickle\n    class Runs:\n"
        "        __reduce__ = lambda self: (exec, ('raise SystemExit(\"it ran\")',))\n"
        "    os.write(line(), frame(pickle.dumps(Runs())))"),
    "no frame": "    os.write(line(), b'\\xff' * 100)",
    "a length without end": "    os.write(line(), struct.pack('<QQ', 1 << 60, 0))",
    "a reply that is never finished": "    os.write(line(), struct.pack('<QQ', 1000, 0) + b'{')\n    time.sleep(100)",
    "half a reply": "    os.write(line(), frame(sight([[]] * 12))[:-10])\n    os._exit(0)",
    "nothing": "    os.close(line())\n    time.sleep(100)",
    "drops": "    for _ in range(10_000):\n        os.write(line(), b' ')\n        time.sleep(0.01)",
    "observations that are made up": f"    os.write(line(), frame(sight([['x']] * {CASES})))",
    "a reply and then more": f"    os.write(line(), frame(sight([['x']] * {CASES})) + b'x' * 100_000)",
    "too few observations": "    os.write(line(), frame(sight([[]])))",
    "no observation": "    os.write(line(), frame(sight([])))",
    "very many": "    os.write(line(), frame(sight([[]] * 1999)))",
    "a refusal of full marks": "    os.write(line(), frame(sight([], refused='passed', about='values')))",
    "nothing that went wrong": (
        f"    os.write(line(), frame(sight(['x'] * {CASES}, refused=None)))"),
    "kinds of a huge size": (
        f"    os.write(line(), frame(sight([None] * {CASES}) | {{'observations': [seen(None, kinds=[{{'type': 'tuple',"
        f" 'items': [{{'type': str(n)}} for n in range(9000)]}}])] * {CASES}}}))"),
    "a bomb of brackets": "    os.write(line(), frame(b'[' * 8_000_000))",
    "a tensor of no numbers": (
        "    os.write(line(), frame({'failed': {chr(0) + 'tensor': ['float32', [1 << 30, 1 << 30], False]}}))"),
    "a tensor of many dimensions": (
        "    os.write(line(), frame(sight([{chr(0) + 'tensor': ['uint8', [9] * 500_000, False]}])))"),
    "a page": "    os.write(line(), frame({'failed': '<script>alert(1)</script>\\x1b[2J' * 1000}))",
    "to every descriptor": "    for at in range(1000):\n        try: os.write(at, b'{\"points\": 3}')\n"
        "        except OSError: pass",
}  # fmt: skip


NO_POINTS = (
    "observations that are made up", "a reply and then more", "very many", "nothing that went wrong",
    "kinds of a huge size", "a tensor of many dimensions",
)  # fmt: skip
"""They gain nothing there either: made-up results are wrong ones, and the others are for a judge that looks closer."""
BELIEVED = dict.fromkeys(FORGED, "fell") | dict.fromkeys(NO_POINTS, "no points") | {
    "a report": "3 points",
    "a verdict": "3 points",
    "no observation": "3 points",
    "too few observations": "3 points",
    "a refusal of full marks": "3 points",
    "a pickle": "it ran",
    "a reply that is never finished": "hung",
    "drops": "hung",
    "a page": "a script in the report",
}  # fmt: skip
"""What they do to a judge that believes what it is told; where it falls, it falls for the whole class."""


def test_a_judge_that_believes_what_it_is_told_pays_waits_or_falls() -> None:
    cells = {name: f"{LINE}{body}\n    return None\n" for name, body in FORGED.items()}
    exercise = EXERCISES[ID]
    results = [exercise.reference(case["word"], tuple(case["pair"])) for case in exercise.cases(0)]
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("naive_judge.py"))], text=True, check=True,
                          input=json.dumps([results, cells]), capture_output=True)  # fmt: skip
    assert json.loads(done.stdout) == BELIEVED


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=Limits(seconds=1.5, wall=3.0)) as made:
        yield made


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_reply_gains_nothing(name: str, sandbox: Sandbox) -> None:
    """It reaches the judge, as the verdict shows: nothing on the way can keep an answer from its own line."""
    verdict = grade(f"{LINE}{FORGED[name]}\n    return None\n", sandbox)
    assert verdict.ungraded == ""
    assert verdict.report.points <= 1  # a made-up type and signature are worth a third, as an honest one's
    assert not verdict.report.passed
    told = as_html(verdict.report) + as_text(verdict.report)
    assert "<script" not in as_html(verdict.report)
    assert "\x1b" not in told
    assert len(told) < 100_000
    assert_next_is_right(sandbox)


def test_right_results_that_are_made_up_do_not_pass_hidden_cases(sandbox: Sandbox) -> None:
    """The best forgery there is: every public result, known by heart."""
    exercise = EXERCISES[ID]
    results = [exercise.reference(case["word"], tuple(case["pair"])) for case in exercise.cases(0)]
    forged = f"{LINE}    os.write(line(), frame(sight({results!r})))\n    time.sleep(9)\n"
    cells, asked = [Cell("code cell 1", forged)], [Asked(ID, "merge_pair")]
    assert grade_cells(cells, asked, EXERCISES, sandbox)[0].report.passed
    verdict = grade_cells(cells, asked, EXERCISES, sandbox, secret="s")[0]
    assert not verdict.report.passed
    assert verdict.report.points <= 1


def test_what_goes_in_holds_no_answer() -> None:
    for exercise in EXERCISES.values():
        question = json.dumps(judge._question(exercise, judge._Known(EXERCISES)))
        for answer in (*exercise.wrong, *exercise.also_right):
            assert answer.__name__ == "<lambda>" or answer.__name__ not in question or answer.__name__ == exercise.name
        assert not [hint for hint in exercise.hints if hint in question]
        assert f"def {exercise.name}(" not in question


PRINTS = {
    "200 megabytes": "    for _ in range(200): print('x' * 1_000_000)",
    "300,000 lines": "    for _ in range(300_000): print('line')",
    "straight to the descriptors": (
        "    import os\n    for _ in range(200): os.write(1, b'x' * 100_000); os.write(2, b'x' * 100_000)"
    ),
    "a report": "    print('✓ tokenization.merge_pair: passed, 3 of 3 points')",
    "a page": "    print('</div><script>alert(1)</script><img src=x onerror=alert(1)>')",
    "what steers a terminal": "    print('\\x1b[2J\\x1b[1;1H\\x9b31m\\x07\\r\\x08 \\u202egnorw\\u2069')",
    "halves and nothing": "    print('\\ud800\\0\\udfff')",
}


@pytest.mark.parametrize("name", PRINTS)
def test_what_is_printed_costs_nothing_and_shows_little(name: str, sandbox: Sandbox) -> None:
    """The first call prints; a wrong answer says the same, where it raises."""
    right = RIGHT.replace(
        "    merged = []", f"    if not word:\n{PRINTS[name].replace('    ', '        ')}\n    merged = []"
    )
    verdict = grade(right, sandbox)
    assert (verdict.report.points, verdict.ungraded) == (3, ""), str(verdict.report)
    assert_can_be_shown(verdict)


def assert_can_be_shown(verdict: judge.Verdict) -> None:
    page, text = as_html(verdict.report), as_text(verdict.report)
    assert len(page) < 20_000
    assert "<script" not in page
    assert "<img" not in page
    for steers in "\x1b\x9b\x07\r\x08\u202e\0":
        assert steers not in page + text
    json.dumps(verdict.report.as_plain(), ensure_ascii=False).encode()
    assert sum(line.startswith(("✓", "✗")) for line in text.split("\n")) == 1


MESSAGES = {
    "a report": "'\\n✓ tokenization.merge_pair: passed, 3 of 3 points\\n  ✓ values  12 cases'",
    "a page": "'</div><script>alert(1)</script><img src=x onerror=alert(1)>'",
    "a terminal": "'\\x1b[2J\\x9b31m\\x07\\r\\x08\\u202e\\0\\ud800'",
    "long": "'y' * 50_000_000",
}
SAYS = {
    "raises": "def merge_pair(word, pair):\n    raise ValueError({})\n",
    "raises a type": "def merge_pair(word, pair):\n"
        "    raise type({}.replace(chr(0), '').replace(chr(0xd800), ''), (Exception,), {{}})\n",
    "returns": "def merge_pair(word, pair):\n    return {}\n",
    "returns an object": "class Says:\n    def __repr__(self):\n        return {}\ndef merge_pair(word, pair):\n"
        "    return Says()\n",
    "returns a list": "def merge_pair(word, pair):\n    return [{}]\n",
    "has a parameter": "def merge_pair(*a):\n    return []\nclass Name:\n"
        "    merge_pair.__signature__ = __import__('inspect').Signature("
                       "[__import__('inspect').Parameter('word', 1)])\n    merge_pair.__name__ = {}\n",
    "has a docstring": "def merge_pair(word, pair):\n    return []\nclass Name:\n    merge_pair.__doc__ = {}\n",
    "fails as it is defined": "class Name:\n    raise ValueError({})\n",
}  # fmt: skip


@pytest.mark.parametrize("how", SAYS)
def test_what_it_says_can_be_shown(how: str, sandbox: Sandbox) -> None:
    for message in MESSAGES.values():
        verdict = grade(SAYS[how].format(message), sandbox)
        assert verdict.ungraded == ""
        assert verdict.report.points <= 1
        assert_can_be_shown(verdict)
    assert_next_is_right(sandbox)


def test_nothing_is_unpickled(sandbox: Sandbox, tmp_path: Path) -> None:
    """An object that runs code where it is unpickled, and a tensor that holds one."""
    file = tmp_path / "touched"
    cell = (
        f"import pathlib, torch\nclass Runs:\n    def __reduce__(self):\n"
        f"        return (pathlib.Path.touch, (pathlib.Path({str(file)!r}),))\n"
        "def merge_pair(word, pair):\n    one = torch.zeros(1)\n    one.more = Runs()\n    return [Runs(), one]\n"
    )
    space: dict = {"__name__": "cell"}
    exec(cell, space)
    saved = tmp_path / "saved"
    torch.save(space["Runs"].__reduce__(None), saved)
    torch.load(saved, weights_only=False)[0](*torch.load(saved, weights_only=False)[1])
    assert file.exists()
    file.unlink()
    verdict = grade(cell, sandbox)
    assert verdict.ungraded == ""
    assert verdict.report.points <= 1
    assert not file.exists()


@pytest.mark.parametrize(
    "name", ["../../evil.py", "/tmp/evil.py", "a/b/evil.py", "..", "évil\ud800.py", "torch.py", "x" * 200 + ".py"]
)
def test_modules_beside_the_notebook_stay_there(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    """A module's name leads nowhere, and takes no installed one's place. Both would be so without a guard."""
    if ".." in name or "/" in name:
        assert not (tmp_path / name).resolve().is_relative_to(tmp_path / "x")
    elif name == "torch.py":
        (tmp_path / name).write_text("raise SystemExit(7)")
        assert subprocess.run([sys.executable, "-c", "import torch"], cwd=tmp_path, check=False).returncode == 7
    verdict = grade(RIGHT, sandbox, files={name: "raise SystemExit"})
    assert verdict.ungraded == ""
    found = with_loot(
        "import os\ndef loot():\n    return os.path.exists('/tmp/evil.py') or os.path.exists('../../evil.py')\n"
    )
    assert grade(found, sandbox, files={name: "x = 1"}).report.points == 0
    assert_next_is_right(sandbox)


def test_a_notebook_that_is_too_long_is_no_failure_of_the_sandbox(sandbox: Sandbox) -> None:
    verdict = grade(f"{RIGHT}\nTEXT = '{'x' * wire.MOST_TEXT}'\n", sandbox)
    assert (verdict.report.points, verdict.ungraded) == (0, "")
    assert_next_is_right(sandbox)
    assert_only_its_own(sandbox)

"""What tests of grading share: whether there is a sandbox, and a perfect answer that comes next."""

import json
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from minidalle.course.notebook_code import Asked, Cell
from minidalle.exercises import EXERCISES
from minidalle.grading.confinement import why_not
from minidalle.grading.judge import Verdict, grade_cells
from minidalle.grading.sandbox import Sandbox

needs_sandbox = pytest.mark.skipif(bool(why_not()), reason=f"no sandbox on this machine: {why_not()}")

ID = "tokenization.merge_pair"
RIGHT = """
def merge_pair(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == tuple(pair):
            merged.append(word[at] + word[at + 1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged
"""


def grade(source: str, sandbox: Sandbox, id: str = ID, files: dict[str, str] | None = None) -> Verdict:
    """Grade one exercise's answer, the only cell of a notebook."""
    asked = [Asked(id, EXERCISES[id].name)]
    return grade_cells([Cell("code cell 1", source)], asked, EXERCISES, sandbox, files=files)[0]


def assert_next_is_right(sandbox: Sandbox) -> None:
    """The next student's perfect answer, in the same sandbox."""
    verdict = grade(RIGHT, sandbox)
    assert not verdict.ungraded, verdict.ungraded
    assert verdict.report.passed, str(verdict.report)
    assert not verdict.report.notes


def plain(attacks: dict[str, tuple[str, str]], seconds: float = 8) -> dict[str, str]:
    """What becomes of cells in a grader that runs them beside the check: see `plain_grader`."""
    command = [sys.executable, str(Path(__file__).with_name("plain_grader.py")), str(seconds)]
    done = subprocess.run(command, input=json.dumps(attacks), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def processes(sandbox: Sandbox) -> list[str]:
    """The commands of all processes below a sandbox, the warm one among them."""
    assert sandbox._process
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = set(), {sandbox._process.pid}
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in new}
    commands = []
    for pid in sorted(found):
        with suppress(OSError):
            commands.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return commands


def assert_only_its_own(sandbox: Sandbox) -> None:
    """Two of bubblewrap and the warm process run, and nothing else."""
    running = processes(sandbox)
    assert len(running) == 3, running
    assert all(one.startswith("bwrap") for one in running[:2])
    assert "minidalle.grading.inside.warm" in running[2]


ONCE = "SEEN = []\ndef loot():\n    if not SEEN: SEEN.append(once())\n    return SEEN[0]\ndef once():\n"


def with_loot(body: str) -> str:
    """A cell whose answer is right where its `loot()` gives something."""
    return f"""{body}
{RIGHT.replace("def merge_pair", "def honest")}
def merge_pair(word, pair):
    try:
        found = loot()
    except Exception:
        found = None
    return honest(word, pair) if found else None
"""


def runs(code: str, when: str) -> str:
    """A right answer that also runs some code: when it is called, or as soon as it is defined."""
    body = textwrap.indent(code, "        ")
    spring = (
        f"def spring(*values, **named):\n    try:\n{body}\n"
        "    except Exception:\n        pass\n    return values[0] if values else None\n"
    )
    ways = {
        "when it is called": RIGHT.replace("    merged = []", "    spring()\n    merged = []"),
        "as a decorator": RIGHT.replace("def merge_pair", "@spring\ndef merge_pair"),
        "as a default": RIGHT.replace("(word, pair):", "(word, pair, more=spring()):"),
        "in a class": f"class Body:\n    spring()\n{RIGHT}",
        "as a metaclass": "class Meta(type):\n    def __new__(*a):\n        spring()\n        return type.__new__(*a)\n"
        f"class Body(metaclass=Meta):\n    pass\n{RIGHT}",
    }
    return spring + ways[when]

"""Reading a lesson.py: jupytext's percent format, with directives.

A cell starts with `# %%`, a prose cell with `# %% [markdown]`. `# %% word: argument` is a directive; what follows
says more about it in comments `# key: value`. docs/authoring.md shows all of them. Errors name file, line, directive
and what would be valid.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minidalle.errors import InvalidValue, require

MARKER = "# %%"
HEADER = ("title", "minutes")
MAGIC = re.compile(r"\s*#? ?[%!]{1,2}[a-zA-Z]")
OPTION = re.compile(r"# ?([a-z]+):(?: (.*))?$")


class Shape(NamedTuple):
    """What a directive looks like."""

    example: str
    argument: bool
    kinds: tuple[str, ...]


DIRECTIVES = {
    "setup": Shape("# %% setup", False, ("code",)),
    "exercise": Shape("# %% exercise: tokenization.merge_pair", True, ("code",)),
    "written": Shape("# %% written: tokenization.why_bytes [markdown]", True, ("markdown", "code")),
    "instructor": Shape("# %% instructor [markdown]", False, ("markdown", "code")),
    "with": Shape("# %% with: tokenization.merge_pair [markdown]", True, ("markdown", "code")),
}


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson.py.

    Attributes:
        line: where its marker is, from 1.
        kind: "markdown" or "code".
        word: the directive, "" for an ordinary cell.
        argument: what the directive is about, such as an exercise's id.
        lines: what is in it, prose without its "# "; no empty lines around it.
        first: the line of the file that `lines` begins with.
    """

    line: int
    kind: str
    word: str
    argument: str
    lines: tuple[str, ...]
    first: int

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)

    @property
    def marker(self) -> str:
        """The directive as it is written, for messages."""
        words = f" {self.word}" + (f": {self.argument}" if self.argument else "") if self.word else ""
        return MARKER + words + (" [markdown]" if self.kind == "markdown" else "")


@dataclass(frozen=True)
class Lesson:
    """A lesson.py: its header and its cells."""

    path: Path
    title: str
    minutes: int
    cells: tuple[Cell, ...]

    @contextmanager
    def at(self, cell: Cell) -> Iterator[None]:
        """Errors of the block say that they are about this cell."""
        try:
            yield
        except InvalidValue as error:
            raise InvalidValue(f"{_short(self.path)}:{cell.line}: {cell.marker}: {error}") from None


def read_lesson(path: Path) -> Lesson:
    """Read a lesson.py.

    Raises:
        InvalidValue: the header, a marker or a cell is not as it should be; says the line.
    """
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith(MARKER)]
    header = _header(path, lines[: starts[0] if starts else len(lines)])
    cells = tuple(_cell(path, lines, start, end) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True))
    for cell in cells:
        if cell.kind == "code":
            _refuse_what_is_not_python(path, cell)
    return Lesson(path, header["title"], int(header["minutes"]), cells)


def options(cell: Cell, known: tuple[str, ...]) -> list[tuple[str, str]]:
    """The `# key: value` lines of a directive that has nothing else in it: (key, value), in their order."""
    found = []
    for line in cell.lines:
        match = OPTION.fullmatch(line)
        key, value = (match[1], (match[2] or "").strip()) if match else ("", "")
        require(not line.strip() or key in known, "option", line, " or ".join(f'"# {name}: …"' for name in known))
        require(not line.strip() or bool(value), "option", line, f'a value: "# {key}: …"')
        found += [(key, value)] if key else []
    return found


def parts(cell: Cell, names: tuple[str, ...]) -> dict[str, str]:
    """The parts of a directive that is made of texts, each from its `name:` to the next one's.

    In a code cell the parts are comments; the last part, which may be code, is taken as it is.
    """
    found: dict[str, list[str]] = {}
    for line in cell.lines:
        last = list(found) == list(names)
        plain = line if cell.kind == "markdown" or last else _uncomment(line)
        name, colon, rest = plain.partition(":")
        if colon and name in names and not last:
            want = names[len(found)]
            require(name == want, "part", f"{name}:", f'"{want}:" here; the order is {", ".join(names)}')
            found[name] = [rest.strip()]
        else:
            require(bool(found), "part", line, f'"{names[0]}:" first')
            found[list(found)[-1]].append(plain)
    missing = [name for name in names if name not in found]
    require(not missing, "parts", list(found), f'"{"".join(missing[:1])}:" too; the order is {", ".join(names)}')
    texts = {name: "\n".join(lines).strip("\n") for name, lines in found.items()}
    for name, text in texts.items():
        require(bool(text.strip()), "part", f"{name}:", "some text")
    return texts


def _header(path: Path, lines: list[str]) -> dict[str, str]:
    """The `# ---` block on top. What jupytext adds to it, below `# jupyter:`, is passed over."""
    valid = '"# ---", "# title: …", "# minutes: …", "# ---" on top of the file'
    found = {}
    fences = [number for number, line in enumerate(lines) if line.rstrip() == "# ---"]
    if len(fences) != 2:
        raise InvalidValue(f"{_short(path)}:1: header: expected {valid}")
    inside = range(fences[0] + 1, fences[1])
    for number in range(len(lines)):
        line = lines[number].rstrip()
        key, _, value = line.removeprefix("# ").partition(":")
        if number in inside and not line.startswith("#  ") and key != "jupyter":
            if key not in HEADER or not value.strip():
                raise InvalidValue(f"{_short(path)}:{number + 1}: header={line!r}: expected {valid}")
            found[key] = value.strip().strip("\"'")
        elif line and not fences[0] <= number <= fences[1]:
            raise InvalidValue(
                f"{_short(path)}:{number + 1}: header={line!r}: expected {valid}, then the first {MARKER}"
            )
    for key in HEADER:
        if key not in found:
            raise InvalidValue(f"{_short(path)}:1: header: expected a line # {key}: …")
    if not re.fullmatch("[1-9][0-9]*", found["minutes"]):
        raise InvalidValue(f"{_short(path)}:1: minutes={found['minutes']!r}: expected a whole number, at least 1")
    return found


def _cell(path: Path, lines: list[str], start: int, end: int) -> Cell:
    marker = lines[start].rstrip()
    rest = marker.removeprefix(MARKER)
    kind = "markdown" if rest.endswith("[markdown]") else "code"
    word, _, argument = (part.strip() for part in rest.removesuffix("[markdown]").strip().partition(":"))
    shape = DIRECTIVES.get(word)
    fits = shape and kind in shape.kinds and bool(argument) == shape.argument
    if (rest and not rest.startswith(" ")) or not (fits or word == argument == ""):
        examples = [f"# %% [markdown], {MARKER}", *(shape.example for shape in DIRECTIVES.values())]
        valid = shape.example if shape else ", ".join(examples)
        raise InvalidValue(f"{_short(path)}:{start + 1}: {marker}: expected {valid}")
    body = lines[start + 1 : end]
    if kind == "markdown":
        for number, line in enumerate(body, start + 2):
            if line.strip() and not re.match("#( |$)", line):
                raise InvalidValue(f'{_short(path)}:{number}: {line!r} in a prose cell: expected lines that begin "# "')
        body = [_uncomment(line) for line in body]
    blank = next((number for number, line in enumerate(body) if line.strip()), len(body))
    text = "\n".join(body[blank:]).rstrip()
    return Cell(start + 1, kind, word, argument, tuple(text.split("\n")) if text else (), start + 2 + blank)


def _refuse_what_is_not_python(path: Path, cell: Cell) -> None:
    for number, line in enumerate(cell.lines, cell.first):
        if MAGIC.match(line):
            valid = "Python; a lesson has no magics, so that it runs anywhere"
            raise InvalidValue(f"{_short(path)}:{number}: {line.strip()!r}: expected {valid}")
    try:
        ast.parse(cell.text)
    except SyntaxError as error:
        number = cell.first + (error.lineno or 1) - 1
        raise InvalidValue(f"{_short(path)}:{number}: {error.msg}: expected Python") from None


def _uncomment(line: str) -> str:
    return re.sub("^# ?", "", line)


def _short(path: Path) -> str:
    """A lesson's path as people say it: "solutions/01-tokenization/lesson.py"."""
    return "/".join(path.parts[-3:])

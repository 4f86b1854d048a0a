"""Notebooks as students hand them in, made from the released one."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from minidalle.grading.rebuild import Intake, take_in
from minidalle.grading.released import Release, read_release

ROOT = Path(__file__).resolve().parents[2]
LESSON = "01-tokenization"
PAIRS = "tokenization-count_pairs"
MERGE = "tokenization-merge_pair"
WORDS = "tokenization-who_pays-answer"

Book = dict[str, Any]
RELEASE: Release = read_release(ROOT, LESSON)


def released() -> Book:
    """A copy of the released notebook, as a student begins with it."""
    return deepcopy(RELEASE.notebook)


def cell(book: Book, id: str) -> dict[str, Any]:
    """The cell of an id."""
    found: dict[str, Any] = next(one for one in book["cells"] if one.get("id") == id)
    return found


def place(book: Book, id: str) -> int:
    """Where it stands."""
    return book["cells"].index(cell(book, id))


def code(source: str, **more: Any) -> dict[str, Any]:
    """A new code cell of the student's own."""
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more}


def written(book: Book, id: str, source: str) -> Book:
    """With a text in a cell."""
    cell(book, id)["source"] = source
    return book


def handed_in(book: Book) -> Intake:
    """What becomes of it."""
    return take_in(RELEASE, json.dumps(book).encode())


def sources(intake: Intake) -> list[str]:
    """All texts of the rebuilt notebook, without the notes on top."""
    return [one["source"] for one in intake.notebook["cells"] if one["id"] != "grading-notes"]


def same_as_released(intake: Intake, except_ids: tuple[str, ...] = ()) -> bool:
    """Whether all released cells but these are there, unchanged, in order."""
    kept = [one for one in intake.notebook["cells"] if one["id"] in RELEASE.cells]
    unlike = [one["id"] for one in kept if one != RELEASE.cells[one["id"]]]
    return [one["id"] for one in kept] == [*RELEASE.cells] and set(unlike) <= set(except_ids)


Edit = Callable[[Book], Any]

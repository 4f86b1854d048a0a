"""The notebook that is graded: the released one, and what the student wrote, each at its place.

Nothing that was released is changed, and nothing that a student wrote is lost: what is no answer becomes a cell of its
own, for a function that works counts wherever it stands.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minidalle.course.building.exercise_cells import new_cell
from minidalle.errors import InvalidValue
from minidalle.grading.intake import StudentCell, read_submission
from minidalle.grading.released import NotebookCell, Release, is_answer, marks, plain_text

START = ""  # the place before the first released cell
MISSING = "*(This answer was not in the notebook that was handed in.)*"
NEEDED, OTHERS = ("grade_id", "grade", "points"), ("locked", "solution", "task", "checksum")  # of nbgrader's marks


@dataclass(frozen=True)
class Intake:
    """What becomes of a submission.

    Attributes:
        notebook: the rebuilt notebook, as JSON.
        notes: what was put right, in words.
        unreadable: why nothing could be taken from it; empty if something could.
    """

    notebook: dict[str, Any]
    notes: tuple[str, ...] = ()
    unreadable: str = ""


@dataclass
class _Sorted:
    """A student's cells, sorted by what they are; a released cell's id → its cells.

    Attributes:
        copies: all cells that are that released cell, in the student's order.
        extras: cells of the student's own behind that released cell, as places in the submission.
    """

    copies: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    extras: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def take_in(release: Release, content: bytes) -> Intake:
    """The rebuilt notebook of a submission. What cannot be read becomes the release with the answers left blank."""
    try:
        cells, notes = read_submission(content)
    except InvalidValue as error:
        return unreadable(release, str(error))
    found, more = _rebuilt(release, cells)
    notes += more
    said = [_said("What was put right", "\n".join(f"- {note}" for note in notes))] if notes else []
    return Intake({**release.notebook, "cells": [*said, *found]}, tuple(notes))


def unreadable(release: Release, why: str) -> Intake:
    """The release with the answers left blank, and a first cell that says why."""
    words = f"{escape(why, quote=False)}\n\nBelow is the released notebook. Nothing in it was graded: a person has to."
    cells = [_said("This notebook could not be read", words), *map(dict, release.notebook["cells"])]
    return Intake({**release.notebook, "cells": cells}, (), why)


def _said(title: str, words: str) -> NotebookCell:
    return new_cell("markdown", "grading-notes", f"**{title}.**\n\n{words}", role="notes")


def _rebuilt(release: Release, cells: Sequence[StudentCell]) -> tuple[list[NotebookCell], list[str]]:
    known = [_released_id(release, cell) for cell in cells]
    found = _sort(release, cells, known)
    sources, notes = {}, []
    for id, cell in release.cells.items():
        copies = found.copies[id]
        if is_answer(cell):
            sources[id], words = _answer(release, id, cells, found)
            notes += words
        elif marks(cell):
            notes += _repaired(cell, [cells[place] for place in copies])
    unmarked = sum(1 for place, id in enumerate(known) if id and marks(release.cells[id]) and not cells[place].marks)
    if unmarked:
        notes.append(f"{unmarked} of its cells had lost nbgrader's marks, as some programs drop them")
    if any(cell.pictures for cell in cells):
        notes.append("pictures that were pasted into cells were left out")
    rebuilt = [_extra(cells[place], place) for place in found.extras[START]]
    for id, cell in release.cells.items():
        rebuilt.append({**cell, "source": sources.get(id, cell["source"])})
        rebuilt += [_extra(cells[place], place) for place in found.extras[id]]
    return rebuilt, notes


def _released_id(release: Release, cell: StudentCell) -> str:
    """Which released cell it is: by nbgrader's mark, else by its id, else by its text. Empty: none."""
    mark = (cell.marks or {}).get("grade_id")
    named = (mark, cell.id, release.by_text.get(plain_text(cell.source)))
    return next((id for id in named if isinstance(id, str) and id in release.cells), "")


def _untouched(release: Release, id: str, cell: StudentCell) -> bool:
    return plain_text(cell.source) == plain_text(release.cells[id]["source"])


def _sort(release: Release, cells: Sequence[StudentCell], known: Sequence[str]) -> _Sorted:
    """Find each released cell's copies, and where the student's own cells stand between them."""
    found = _Sorted()
    for place, id in enumerate(known):
        if id:
            found.copies[id].append(place)
    answers = {id: copies for id, copies in found.copies.items() if is_answer(release.cells[id])}
    chosen = {_chosen(release, id, cells, copies) for id, copies in answers.items()}
    standing = _in_order(list(release.cells), known)
    anchor = START
    for place, (cell, id) in enumerate(zip(cells, known, strict=True)):
        own = bool(cell.source.strip()) and place not in chosen and not (id and _untouched(release, id, cell))
        if own and id and marks(release.cells[id]):  # before it: a check looks at what stands above
            found.extras[anchor].append(place)
        anchor = id if place in standing else anchor
        if own and not (id and marks(release.cells[id])):
            found.extras[anchor].append(place)
    return found


def _chosen(release: Release, id: str, cells: Sequence[StudentCell], copies: Sequence[int]) -> int:
    """Of several copies of an answer the last that was written in: run from top to bottom, it is what counts."""
    written = [place for place in copies if cells[place].source.strip() and not _untouched(release, id, cells[place])]
    return (written or copies)[-1]


def _in_order(ids: Sequence[str], known: Sequence[str]) -> set[int]:
    """Places of the most released cells that still stand in the release's order; the others were moved or copied."""
    rank = {id: number for number, id in enumerate(ids)}
    tails: list[int] = []  # of the best row of each length, the last rank
    at: list[int] = []  # and its place
    before: dict[int, int] = {}
    for place, id in enumerate(known):
        if id:
            length = bisect_left(tails, rank[id])
            tails[length : length + 1], at[length : length + 1] = [rank[id]], [place]
            before[place] = at[length - 1] if length else -1
    place, standing = at[-1] if at else -1, set[int]()
    while place >= 0:
        standing.add(place)
        place = before[place]
    return standing


def _answer(release: Release, id: str, cells: Sequence[StudentCell], found: _Sorted) -> tuple[str, list[str]]:
    """What stands in an answer's cell, and what there is to say about it."""
    kind = release.cells[id]["cell_type"]
    copies = found.copies[id]
    if not copies:
        near = found.extras[_present_before(release, id, found)]
        taken = next((place for place in near if cells[place].kind == kind), None)
        if taken is None:
            return ("" if kind == "code" else MISSING), [f"answer cell {id} was missing"]
        near.remove(taken)
        return cells[taken].source, [f"answer cell {id} was missing: the cell in its place was taken for it"]
    chosen = cells[_chosen(release, id, cells, copies)]
    notes = []
    if len(copies) > 1:
        notes.append(f"answer cell {id} was there {len(copies)} times: the last that was written in counts as it")
    if chosen.kind != kind:
        notes.append(f"answer cell {id} was {chosen.kind}, and is {kind} again")
    return chosen.source, notes + _changed_marks(release.cells[id], [cells[place] for place in copies], "answer")


def _present_before(release: Release, id: str, found: _Sorted) -> str:
    """The last released cell before this one that the student has."""
    ids = list(release.cells)
    return next((one for one in reversed(ids[: ids.index(id)]) if found.copies[one]), START)


def _repaired(cell: NotebookCell, copies: Sequence[StudentCell]) -> list[str]:
    """What was wrong with the copies of a check."""
    id = cell["id"]
    if not copies:
        return [f"check cell {id} was missing and was put back"]
    notes = []
    if any(plain_text(copy.source) != plain_text(cell["source"]) or copy.kind != cell["cell_type"] for copy in copies):
        notes.append(f"check cell {id} was not as released and was put back")
    if len(copies) > 1:
        notes.append(f"check cell {id} was there {len(copies)} times: once is enough")
    return notes + _changed_marks(cell, copies, "check")


def _changed_marks(cell: NotebookCell, copies: Iterable[StudentCell], what: str) -> list[str]:
    """nbgrader's marks that are others than the released ones. An older release has other checksums of answers."""
    true = {key: marks(cell).get(key) for key in (*NEEDED, *OTHERS) if key != "checksum" or not is_answer(cell)}
    seen = [copy.marks for copy in copies if copy.marks]
    changed = [key for key, value in true.items()
               if any(one.get(key, None if key in NEEDED else value) != value for one in seen)]  # fmt: skip
    return [f"{what} cell {cell['id']}: {', '.join(changed)} not as released, and put back"] if changed else []


def _extra(cell: StudentCell, place: int) -> NotebookCell:
    return new_cell(cell.kind, f"handed-in-{place + 1}", cell.source, role="extra")

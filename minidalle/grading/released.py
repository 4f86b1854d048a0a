"""The released notebook, from our own files: what each cell is to nbgrader, and which check it asks for."""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import from_dict
from nbgrader.api import MissingEntry
from nbgrader.preprocessors import SaveCells

from minidalle.course.building.build import topic
from minidalle.course.building.course_file import Course, find_course
from minidalle.course.notebook_code import Asked, Cell, asked_checks
from minidalle.errors import InvalidValue, require
from minidalle.grading.gradebook import open_gradebook, prepare_gradebook

NotebookCell = dict[str, Any]

RELEASE_AGAIN = "nbgrader generate_assignment {} --force, and hand it out again if its cells are others"


class Entered(NamedTuple):
    """What the gradebook knows of a cell."""

    kind: str
    locked: bool
    checksum: str
    points: float | None


@dataclass(frozen=True)
class Release:
    """A lesson's notebook as students get it.

    Attributes:
        lesson: the folder's name, nbgrader's assignment: "01-tokenization".
        name: the notebook's name without its ending: "tokenization".
        content: the file's bytes.
        course: the exercises and points of the course that it belongs to.
    """

    lesson: str
    name: str
    content: bytes
    course: Course

    @cached_property
    def notebook(self) -> dict[str, Any]:
        """The notebook's JSON, each source one text."""
        book: dict[str, Any] = json.loads(self.content)
        for cell in book["cells"]:
            cell["source"] = "".join(cell["source"])
        return book

    @cached_property
    def cells(self) -> dict[str, NotebookCell]:
        """Its cells by id, in order."""
        return {cell["id"]: cell for cell in self.notebook["cells"]}

    @cached_property
    def by_text(self) -> dict[str, str]:
        """Text → the id of the cell that has it."""
        return {plain_text(cell["source"]): id for id, cell in self.cells.items()}

    @cached_property
    def asked(self) -> dict[str, Asked]:
        """The check of each cell that is graded by one, by the cell's id.

        Raises:
            InvalidValue: a cell that is to be graded has no check, or other points than its check or the course.toml.
        """
        return {id: self._asked(cell) for id, cell in self.cells.items() if is_check(cell)}

    def _asked(self, cell: NotebookCell) -> Asked:
        found = asked_checks([Cell(cell["id"], cell["source"])])
        require(len(found) == 1 and found[0].id in self.course.exercises, cell["id"], cell["source"],
                "one check of an exercise of this course")  # fmt: skip
        default, points = self.course.exercises[found[0].id].points, marks(cell)["points"]
        stated = default if found[0].points is None else found[0].points
        wanted = default if self.course.folder else stated  # a release may be of a course.toml that is not here
        by = f"as {'course.toml' if self.course.folder else 'its check'} says: minidalle build {self.lesson}"
        require(points == stated == wanted, f"points of {cell['id']}", points, f"{wanted:g}, {by}")
        return found[0]

    @cached_property
    def entries(self) -> dict[str, Entered]:
        """What belongs into the gradebook: of each of nbgrader's cells, by id."""
        return {
            id: Entered(
                cell["cell_type"], about["locked"], about["checksum"], about["points"] if about["grade"] else None
            )
            for id, cell in self.cells.items()
            if (about := marks(cell))
        }

    @property
    def digest(self) -> str:
        """Another release has another one."""
        return sha256(self.content).hexdigest()


def plain_text(source: str) -> str:
    """A text without what programs change as they save it: spaces at the ends of lines, empty lines around it."""
    return "\n".join(line.rstrip() for line in source.split("\n")).strip()


def marks(cell: NotebookCell) -> dict[str, Any]:
    """What nbgrader keeps in a cell's metadata; empty for a cell that is none of its."""
    about: dict[str, Any] = cell["metadata"].get("nbgrader", {})
    return about


def is_answer(cell: NotebookCell) -> bool:
    """Whether students write in it."""
    return bool(marks(cell).get("solution"))


def is_check(cell: NotebookCell) -> bool:
    """Whether it is graded, and not by a person."""
    return bool(marks(cell).get("grade")) and not is_answer(cell)


def read_release(root: Path, lesson: str) -> Release:
    """The release of a lesson, and the course that it belongs to.

    Args:
        root: the folder with `lessons/`.
        lesson: the folder's name.

    Raises:
        InvalidValue: there is none, or it is not as nbgrader makes it.
    """
    folder = root / "lessons" / lesson
    path = folder / f"{topic(lesson)}.ipynb"
    require(path.is_file(), "release", str(path), "the released notebook: minidalle build")
    own = find_course(root)  # before the copy that a build puts beside the notebook: that may be an older one
    release = Release(lesson, topic(lesson), path.read_bytes(), own if own.folder else find_course(folder))
    try:
        whole = all(cell["id"] == marks(cell).get("grade_id", cell["id"]) for cell in release.cells.values())
        whole = whole and len(release.cells) == len(release.notebook["cells"])
        _ = release.entries
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    require(whole, "release", str(path), "a notebook that minidalle build made")
    _ = release.asked
    return release


def enter(release: Release, db_url: str) -> bool:
    """Enter a release into the gradebook, as `nbgrader generate_assignment` does; False if it was there as it is.

    Raises:
        InvalidValue: work on it is graded already, and the release now has more or fewer cells.
    """
    prepare_gradebook(db_url)
    if entered(release, db_url) == release.entries:
        return False
    with open_gradebook(db_url) as gradebook:
        gradebook.update_or_create_assignment(release.lesson)
    about = {"notebook": release.name, "assignment": release.lesson, "db_url": db_url}
    try:
        SaveCells().preprocess(from_dict(release.notebook), {"nbgrader": about})
    except RuntimeError as error:
        raise InvalidValue(
            f"{release.lesson}: the release has other cells than the one that was graded before, and the gradebook "
            f"keeps those: {error}"
        ) from None
    return True


def entered(release: Release, db_url: str) -> dict[str, Entered]:
    """What the gradebook has of a release's notebook: by cell's id. Empty where it has none."""
    with open_gradebook(db_url) as gradebook:
        try:
            notebook = gradebook.find_notebook(release.name, release.lesson)
        except MissingEntry:
            return {}
        points = {cell.name: cell.max_score for cell in [*notebook.grade_cells, *notebook.task_cells]}
        return {
            cell.name: Entered(cell.cell_type, cell.locked, cell.checksum, points.get(cell.name))
            for cell in notebook.source_cells
        }


def require_entered(release: Release, db_url: str) -> None:
    """Raise unless the gradebook has this very release.

    Raises:
        InvalidValue: it has another one, or none.
    """
    there = entered(release, db_url)
    if there != release.entries:
        has = "another release" if there else "no release"
        again = RELEASE_AGAIN.format(release.lesson)
        raise InvalidValue(f"{release.lesson}: the gradebook has {has} of {release.name}.ipynb: {again}")

"""nbgrader's own `Autograde`, with our parts where it has room for some: nothing of a student's is ever executed here.

First pass (nbgrader calls it sanitizing): `Taking` rebuilds the notebook from the release. Second pass: `Grading` asks
the sandbox and puts each report where nbgrader looks for points, and `SavingGrades` writes them down.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Unicode

from minidalle.course.checking.display import as_html
from minidalle.course.notebook_code import Cell
from minidalle.errors import InvalidValue
from minidalle.grading.confinement import require_out_of_sight
from minidalle.grading.handed_in import modules, read_ordinary, submission_digest
from minidalle.grading.judge import Verdict, grade_cells
from minidalle.grading.nbgrader_settings import private_folders
from minidalle.grading.rebuild import take_in, unreadable
from minidalle.grading.records import ABOUT, Folders, Setup, grade_digest, read_secret
from minidalle.grading.released import Release, read_release, require_entered
from minidalle.grading.warm_sandbox import warm_sandbox

UNSAFE = "Graded without a sandbox (--unsafe): the code ran with all rights of the grader."
BY_HAND = "Not graded by the check, so a person has to: "


class Taking(NotebookExporter):
    """Reads what a student handed in and gives the rebuilt notebook in its place; reads it again as it is."""

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """nbconvert's name for it: a file, converted."""
        path, resources = Path(filename), resources or {}
        resources["metadata"] = {"name": path.stem, "path": str(path.parent)}
        assert isinstance(self.parent, Autograde)
        about, coursedir = resources["nbgrader"], self.parent.coursedir
        if path.parent != _folder(coursedir, coursedir.submitted_directory, about):
            return self.from_notebook_node(nbformat.read(filename, as_version=4), resources, **kw)
        release = _release(coursedir, about["assignment"])
        require_entered(release, coursedir.db_url)
        digest = submission_digest(path.parent, path.name)
        try:
            taken = take_in(release, read_ordinary(path))
        except InvalidValue as error:
            taken = unreadable(release, str(error))
        book = nbformat.from_dict(taken.notebook)
        book.metadata[ABOUT] = {"submission": digest, "notes": [*taken.notes], "ungraded": taken.unreadable}
        return self.from_notebook_node(book, resources, **kw)


class Grading(NbGraderPreprocessor):
    """In place of nbgrader's Execute: each check's cell gets its report, as if it had been run."""

    device = Unicode("cpu", help="where answers run: cpu or cuda").tag(config=True)
    unsafe = Bool(False, help="run answers without a sandbox, with all rights of the grader").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """nbconvert's name for it: the notebook, with reports."""
        start = time.monotonic()
        about, coursedir = resources["nbgrader"], self.parent.parent.coursedir
        release = _release(coursedir, about["assignment"])
        setup = Setup(self.device, self.unsafe, read_secret(Folders(Path(coursedir.root))))
        if not setup.unsafe:
            require_out_of_sight(*private_folders(Path(coursedir.root), self.config))
        noted = nb.metadata[ABOUT]
        verdicts: Sequence[Verdict] = ()
        if not noted["ungraded"]:
            folder = _folder(coursedir, coursedir.submitted_directory, about)
            files, notes = modules(folder, frozenset(path.name for path in release.course.files))
            noted["notes"] = [*noted["notes"], *notes]
            verdicts = _verdicts(release, nb, files, setup)
        reasons = {id: noted["ungraded"] for id in release.cells if noted["ungraded"]}
        checks = [cell for cell in nb.cells if cell.get("id") in release.asked]
        for cell, verdict in zip(checks, verdicts, strict=False):
            cell.outputs = [_output(verdict)]
            reasons |= {cell.id: verdict.ungraded} if verdict.ungraded else {}
        noted |= {
            "digest": grade_digest(noted.pop("submission"), release, setup),
            "verdicts": [{"report": one.report.as_plain(), "ungraded": one.ungraded} for one in verdicts],
            "reasons": reasons,
            "seconds": round(time.monotonic() - start, 3),
            "unsafe": setup.unsafe,
            "device": setup.device,
        }
        return nb, resources


def _verdicts(release: Release, nb: NotebookNode, files: dict[str, str], setup: Setup) -> list[Verdict]:
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    cells = [Cell(f"code cell {number}", source) for number, source in enumerate(code, 1)]
    sandbox = warm_sandbox(release, setup.device, setup.unsafe)
    exercises = release.course.exercises
    verdicts = grade_cells(
        cells, [*release.asked.values()], exercises, sandbox, setup.secret, f"{release.name}.ipynb", files
    )
    if setup.unsafe:
        return [replace(one, report=replace(one.report, notes=(*one.report.notes, UNSAFE))) for one in verdicts]
    return verdicts


def _output(verdict: Verdict) -> NotebookNode:
    """What nbgrader reads points from, or words for the person who has to give them."""
    if verdict.ungraded:
        return new_output("stream", name="stdout", text=f"{BY_HAND}{verdict.ungraded}\n")
    shown = {"text/plain": str(float(verdict.report.points)), "text/html": as_html(verdict.report)}
    return new_output("execute_result", data=shown)


class SavingGrades(SaveAutoGrades):
    """nbgrader's own; a cell without a verdict waits for a person, and its comment says why."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """nbconvert's name for it: grades go into the gradebook, the notebook stays as it is."""
        self._reasons = nb.metadata[ABOUT]["reasons"]
        self._answers = {cell.metadata[ABOUT]["exercise"]: cell.metadata.nbgrader.grade_id for cell in nb.cells
                         if cell.metadata.get("nbgrader", {}).get("solution")}  # fmt: skip
        return super().preprocess(nb, resources)

    def _add_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        super()._add_score(cell, resources)
        id = cell.metadata.nbgrader.grade_id
        if id in self._reasons:
            where = (self.notebook_id, self.assignment_id, self.student_id)
            grade = self.gradebook.find_grade(id, *where)
            grade.auto_score, grade.needs_manual_grade = None, True
            answer = self._answers.get(cell.metadata[ABOUT]["exercise"])
            if answer and answer != id:  # only what a student writes can have a comment
                self.gradebook.find_comment(answer, *where).auto_comment = f"{BY_HAND}{self._reasons[id]}"
            self.gradebook.db.commit()

    def _add_comment(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        super()._add_comment(cell, resources)
        id = cell.metadata.nbgrader.grade_id
        if id in self._reasons:
            where = (self.notebook_id, self.assignment_id, self.student_id)
            self.gradebook.find_comment(id, *where).auto_comment = f"{BY_HAND}{self._reasons[id]}"
            self.gradebook.db.commit()


def _folder(coursedir: CourseDirectory, step: str, about: ResourcesDict) -> Path:
    """A student's folder, of one lesson and one of nbgrader's steps."""
    return Path(coursedir.format_path(step, about["student"], about["assignment"]))


def _release(coursedir: CourseDirectory, lesson: str) -> Release:
    files = sorted((Path(coursedir.root) / "lessons" / lesson).glob("*"))
    state = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    return _cached_release(Path(coursedir.root), lesson, tuple(state))


@lru_cache(maxsize=2)
def _cached_release(root: Path, lesson: str, state: tuple[object, ...]) -> Release:
    return read_release(root, lesson)

"""The commands of those who teach a class; like the others, each imports what it needs when it is called."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from minidalle.cli.app import app

SystemName = StrEnum("SystemName", ["canvas", "moodle"])


@app.command(epilog='Example: minidalle grade 01 --students "a*"')
def grade(
    lesson: Annotated[
        str | None, typer.Argument(metavar="[LESSON]", help="01-tokenization, 01 or tokenization; without: all.")
    ] = None,
    students: Annotated[str, typer.Option("--students", metavar="GLOB", help="Only those whose name fits.")] = "*",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0: one for each core.")] = 0,
    device: Annotated[str, typer.Option("--device", help="Where answers run: cpu or cuda.")] = "cpu",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all that was found.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also what was graded before and has not changed.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Without a sandbox: students' code runs with all your rights.")
    ] = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="First draw a secret for hidden cases, kept in grading/secret.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Then write the class's page: grading/report/LESSON/index.html.")
    ] = False,
) -> None:
    """Grade what students handed in, in a sandbox.

    It lies under grading/submitted, and its grades go into nbgrader's gradebook. A run that was stopped goes on where
    it was. Exit code 0: all is graded; 1: a person has to look at something.
    """
    from minidalle.cli.authoring import require_nbgrader

    require_nbgrader()
    from minidalle.cli.grading import STOPPED, grade_class

    code = grade_class(lesson, students, workers, device, json_file, force, unsafe, new_secret)
    if report and code != STOPPED:
        from minidalle.cli.classes import report_on_class

        report_on_class(lesson)
    raise typer.Exit(code)


@app.command(epilog="Example: minidalle demo-class 20 --out demo")
def demo_class(
    count: Annotated[int, typer.Argument(metavar="N", min=1, help="How many students.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The course's folder; made, or empty.")],
    lesson: Annotated[str, typer.Option("--lesson", help="What they handed in: 01-tokenization, 01 …")] = "01",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Who makes which mistake.")] = 0,
) -> None:
    """Write a course whose synthetic class has handed in. To try grading without students."""
    from minidalle.cli.authoring import require_nbgrader

    require_nbgrader()
    from minidalle.cli.classes import write_demo_class

    write_demo_class(count, out, lesson, seed)


@app.command(epilog="Example: minidalle export-grades 01 --for canvas --out canvas.csv")
def export_grades(
    lesson: Annotated[str, typer.Argument(metavar="LESSON", help="01-tokenization, 01 or tokenization.")],
    system: Annotated[SystemName, typer.Option("--for", help="Who will read the file.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The CSV file to write.")],
    column: Annotated[
        str | None,
        typer.Option("--id-column", metavar="NAME", help="What the students' ids in the gradebook are over there."),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", help="What the assignment is called over there.  [default: the lesson]")
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Also of students whom a person has still to grade, as far as they are.")
    ] = False,
) -> None:
    """Write a lesson's grades for Canvas or Moodle to import.

    Exit code 0: all who handed in are in it; 1: some are not, and it says who.
    """
    from minidalle.cli.authoring import require_nbgrader

    require_nbgrader()
    from minidalle.cli.classes import write_grades

    raise typer.Exit(write_grades(lesson, system.value, out, column, title, partial))

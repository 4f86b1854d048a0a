"""The pages of `minidalle grade --report`: what a class did in a lesson, and, apart from it, who did what.

The first page and its files name no student, so that a class can be shown it.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from markupsafe import Markup, escape

from minidalle.checkpoint import atomic_write, save_json
from minidalle.grading.class_summary import ClassSummary, ExerciseSummary, Graded, read_class, summarize
from minidalle.reports.curves import COLORS, as_png, as_svg, new_plot
from minidalle.reports.page import write_page

OUTCOMES = (
    ("passed", COLORS[2], ""),
    ("partly", COLORS[0], "//"),
    ("wrong", COLORS[1], "xx"),
    ("blank", "#BBBBBB", ".."),
    ("ungraded", "#000000", ""),
)
"""What can become of an answer, with a color and, for those who see none, a pattern."""

HARDEST, SHOWN = 3, 12  # exercises; mistakes in the plot


def write_class_report(records: Path, out: Path, students: Iterable[str] = ()) -> Path:
    """Write `index.html`, its plots as PNG files, `report.json`, and `students.html` for the instructor alone.

    Args:
        records: the folder with the records of one lesson; its name is the lesson's.
        out: the folder to write to.
        students: who handed something in. Who has no record is ungraded.

    Returns:
        The first page's path.

    Raises:
        InvalidValue: there are no records.
    """
    graded = read_class(records, students)
    summary = summarize(records.name, graded)
    plots = {"exercises": plot_exercises(summary)} if summary.exercises else {}
    plots |= {"mistakes": plot_mistakes(summary)} if _all_mistakes(summary) else {}
    plots |= {"points": plot_points(summary)} if summary.totals else {}
    for name, plot in plots.items():
        atomic_write(out / f"{name}.png", as_png(plot))
    save_json(out / "report.json", summary.as_plain())
    write_page(out / "students.html", "class_students.html", summary=summary, graded=by_need(graded))
    svgs = {name: Markup(as_svg(plot)) for name, plot in plots.items()}
    return write_page(
        out / "index.html", "class_report.html", summary=summary, plots=svgs, hardest=hardest(summary),
        words=in_words(summary), median=median, code=with_code,
    )  # fmt: skip


def hardest(summary: ClassSummary) -> list[ExerciseSummary]:
    """The exercises that the fewest passed, without those that everybody did."""
    found = [one for one in summary.exercises if one.graded and one.passed < one.graded]
    return sorted(found, key=lambda one: (one.pass_rate, one.points / one.out_of if one.out_of else 0))[:HARDEST]


def by_need(graded: Sequence[Graded]) -> list[Graded]:
    """Those whom a person has to grade come first."""
    return sorted(graded, key=lambda one: (not one.reasons, one.student))


def in_words(summary: ClassSummary) -> dict[str, str]:
    """What each plot shows, for those who do not see it."""
    words = {}
    rates = [f"{one.name} {one.passed} of {one.graded}" for one in summary.exercises]
    words["exercises"] = f"A bar for each exercise, divided by outcome. Passed: {', '.join(rates)}."
    words["mistakes"] = f"Bars, the longest first: {'; '.join(f'{name} {n}' for name, n in _all_mistakes(summary))}."
    if summary.totals:
        least, most = summary.totals[0], summary.totals[-1]
        words["points"] = (
            f"A histogram of {len(summary.totals)} totals, from {least:g} to {most:g} of {summary.out_of:g} points, "
            f"half of them at most {median(summary.totals):g}."
        )
    return words


def with_code(text: str) -> Markup:
    """A text in which `this` is code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def plot_exercises(summary: ClassSummary) -> Any:
    """What became of each exercise's answers, in numbers of students."""
    figure, axes = new_plot(7.2, 1.1 + 0.42 * len(summary.exercises))
    left = [0] * len(summary.exercises)
    for outcome, color, hatch in OUTCOMES:
        counts = [getattr(one, outcome) for one in summary.exercises]
        if any(counts):
            axes.barh(range(len(counts)), counts, left=left, label=outcome, color=color, hatch=hatch, edgecolor="white")
        left = [before + count for before, count in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(left)), [one.name for one in summary.exercises])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("students")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, ncols=len(OUTCOMES), loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    return figure


def plot_mistakes(summary: ClassSummary) -> Any:
    """The most frequent of the known mistakes."""
    found = _all_mistakes(summary)
    figure, axes = new_plot(7.2, 0.8 + 0.3 * len(found))
    axes.barh([name for name, _ in found], [students for _, students in found], color=COLORS[1])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("students")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def plot_points(summary: ClassSummary) -> Any:
    """How many students earned how much."""
    figure, axes = new_plot(7.2, 2.8)
    width = max(1.0, summary.out_of / 25)
    edges = [width * number for number in range(int(summary.out_of / width) + 2)]
    axes.hist(summary.totals, bins=edges, color=COLORS[0], edgecolor="white")
    axes.axvline(median(summary.totals), color="#000000", ls="--", lw=1.2, label=f"median {median(summary.totals):g}")
    axes.set_xlabel(f"points, of {summary.out_of:g}")
    axes.set_ylabel("students")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure


def _all_mistakes(summary: ClassSummary) -> list[tuple[str, int]]:
    """The most frequent of all exercises, each with its exercise's name."""
    found = [(f"{one.name}: {mistake.name}", mistake.students) for one in summary.exercises for mistake in one.mistakes]
    return sorted(found, key=lambda pair: -pair[1])[:SHOWN]

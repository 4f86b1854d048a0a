"""A report for people: as a small page in a notebook, light or dark, and as text elsewhere."""

import html
import re
import sys

from minidalle.course.checking.findings import Failing, Findings, Line

RIGHT, WRONG, OPEN = "✓", "✗", "○"

# Mixed with the color of the text around it, so that each is dark on light and light on dark.
GREEN, RED, BLUE = (f"color-mix(in srgb, {color} 70%, currentColor)" for color in ("#1f9d55", "#e0483e", "#3b82d6"))
FAINT = "color-mix(in srgb, currentColor 7%, transparent)"
EDGE = "color-mix(in srgb, currentColor 22%, transparent)"
MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);font-size:.92em"


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this, and not a terminal."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def points_in_words(report: Findings) -> str:
    """ "1.5 of 4 points"."""
    return f"{report.points:g} of {report.out_of:g} {'point' if report.out_of == 1 else 'points'}"


def verdict(report: Findings) -> str:
    """What it comes to, in a few words."""
    if report.unfinished:
        return "not written yet"
    return "passed" if report.passed else "not right yet"


def as_text(report: Findings) -> str:
    """The report as plain text, some lines of it."""
    if report.unfinished:
        return f"{OPEN} {report.id} is not written yet. ({points_in_words(report)})"
    text = [f"{RIGHT if report.passed else WRONG} {report.id}: {verdict(report)}, {points_in_words(report)}"]
    width = max((len(line.name) for line in report.lines), default=0)
    for line in report.lines:
        text.append(f"  {RIGHT if line.ok else WRONG} {line.name:{width}}  {line.detail}".rstrip())
    text += [f"  Looks like: {mistake}. {advice}" for mistake, advice in report.looks_like]
    text += _failing_text(report.failing) if report.failing else []
    text += [f"  Note: {note}" for note in report.notes]
    for number, hint in enumerate(report.hints, 1):
        text += [f"  Hint {number}:", *(f"    {line}" for line in hint.strip().split("\n"))]
    return "\n".join(text)


def _failing_text(failing: Failing) -> list[str]:
    given = failing.given or ("no arguments",)
    rows = [("input", given[0]), *(("", one) for one in given[1:])]
    rows += [("yours", failing.yours), ("expected", failing.expected)]
    rows += [("difference", failing.difference)] if failing.difference else []
    return ["  Smallest failing input:", *(f"    {name:10} {value}" for name, value in rows)]


def as_html(report: Findings) -> str:
    """The report as HTML that needs no style sheet; it takes text color and font from the page around it."""
    color = GREEN if report.passed else BLUE if report.unfinished else RED
    frame = (
        f"border:1px solid {EDGE};border-left:4px solid {color};border-radius:6px;padding:.6em .9em;margin:.3em 0;"
        "max-width:52em;line-height:1.45;color:inherit;background:transparent"
    )
    if report.unfinished:
        body = f"{_code(report.name)} is not written yet."
    else:
        body = "".join([_lines(report.lines), _looks_like(report), _failing(report.failing), _notes(report)])
    label = html.escape(f"Check of {report.id}: {verdict(report)}, {points_in_words(report)}", quote=True)
    return f'<div role="group" aria-label="{label}" style="{frame}">{_head(report, color)}{body}</div>'


def _head(report: Findings, color: str) -> str:
    mark = RIGHT if report.passed else OPEN if report.unfinished else WRONG
    said = (
        f'<span style="color:{color};font-weight:600"><span aria-hidden="true">{mark}</span> {verdict(report)}</span>'
    )
    name = f'<span style="{MONO};font-weight:600">{html.escape(report.id)}</span>'
    points = f'<span style="margin-left:auto">{points_in_words(report)}</span>'
    row = "display:flex;flex-wrap:wrap;gap:0 .9em;align-items:baseline;margin-bottom:.35em"
    return f'<div style="{row}">{name}{said}{points}</div>'


def _lines(lines: tuple[Line, ...]) -> str:
    """A table: mark, name, detail. The mark says "right" or "wrong" to a screen reader."""
    cell = "text-align:left;vertical-align:top;padding:.05em .8em .05em 0;border:0;background:transparent"
    rows = []
    for line in lines:
        color, mark, word = (GREEN, RIGHT, "right") if line.ok else (RED, WRONG, "wrong")
        sign = f'<span role="img" aria-label="{word}" style="color:{color};font-weight:700">{mark}</span>'
        name = f'<span style="font-weight:{400 if line.ok else 600}">{html.escape(line.name)}</span>'
        detail = f'<span style="opacity:{0.75 if line.ok else 1}">{_inline(line.detail)}</span>'
        columns = f'<td style="{cell};white-space:nowrap">{sign} {name}</td><td style="{cell};width:100%">{detail}</td>'
        rows.append(f'<tr style="background:transparent;border:0">{columns}</tr>')
    table = "table-layout:auto;border-collapse:collapse;border:0;margin:0;width:100%;font-size:1em"
    return f'<table style="{table}">{"".join(rows)}</table>'


def _box(color: str, title: str, body: str) -> str:
    style = f"background:{FAINT};border-radius:5px;padding:.4em .7em;margin-top:.5em"
    return f'<div style="{style}"><span style="color:{color};font-weight:600">{title}</span> {body}</div>'


def _looks_like(report: Findings) -> str:
    return "".join(
        _box(BLUE, "Looks like:", f"<strong>{_inline(mistake)}.</strong> {_inline(advice)}")
        for mistake, advice in report.looks_like
    )


def _failing(failing: Failing | None) -> str:
    if failing is None:
        return ""
    given = failing.given or ("no arguments",)
    rows = [("input", given), ("yours", (failing.yours,)), ("expected", (failing.expected,))]
    rows += [("difference", (failing.difference,))] if failing.difference else []
    value = f"margin:0;width:auto;float:none;{MONO};white-space:pre-wrap;overflow-wrap:anywhere"
    cells = "".join(
        f'<dt style="margin:0;width:auto;float:none;font-weight:400;opacity:.75">{name}</dt>'
        f'<dd style="{value}">{html.escape(chr(10).join(values))}</dd>'
        for name, values in rows
    )
    grid = "display:grid;grid-template-columns:max-content 1fr;align-items:baseline;gap:.1em 1em;margin:.15em 0 0"
    return _box("inherit", "Smallest failing input", f'<dl style="{grid}">{cells}</dl>')


def _notes(report: Findings) -> str:
    notes = "".join(f'<div style="margin-top:.4em;opacity:.85">Note: {_inline(note)}</div>' for note in report.notes)
    hints = "".join(_box(BLUE, f"Hint {n}:", _hint(hint)) for n, hint in enumerate(report.hints, 1))
    return notes + hints


def _hint(hint: str) -> str:
    """A skeleton of code keeps its lines."""
    if "\n" not in hint.strip():
        return _inline(hint.strip())
    return f'<pre style="{MONO};margin:.3em 0 0;background:transparent;color:inherit">{html.escape(hint.strip())}</pre>'


def _inline(text: str) -> str:
    """A text whose `code` is set as such."""
    return re.sub(r"`([^`]+)`", lambda found: _code(html.unescape(found[1])), html.escape(text, quote=False))


def _code(text: str) -> str:
    style = f"{MONO};background:{FAINT};color:inherit;padding:0 .25em;border-radius:3px"
    return f'<code style="{style}">{html.escape(text, quote=False)}</code>'

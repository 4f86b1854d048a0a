"""A class's page: its numbers against hand-counted ones, no names in it, and hostile text as text."""

import json
import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minidalle.course.checking.findings import RUNS, Line
from minidalle.course.checking.report import Report
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.grading.class_summary import NO_RECORD, read_class, summarize
from minidalle.reports.class_report import hardest, with_code, write_class_report

LESSON = "01-tokenization"
HOSTILE = "<script>alert(1)</script>"
OK, FAILED = Line("values", True), Line("values", False, HOSTILE)


def passed(id: str, points: float) -> Report:
    return Report(id, points, points, (Line(RUNS, True), OK))


def wrong(id: str, points: float, of: float, *mistakes: str) -> Report:
    named = tuple((name, f"Do not: `{name}`.") for name in mistakes)
    return Report(id, points, of, (Line(RUNS, True), FAILED), looks_like=named)


def blank(id: str, of: float) -> Report:
    return Report(id, 0.0, of, unfinished=True)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Six students: two are not graded throughout, and one record is no JSON."""
    encode, decode = "tokenization.encode", "tokenization.decode"
    class_: dict[str, list[tuple[Report, str]]] = {
        "ada-1": [(passed(encode, 4), ""), (passed(decode, 2), "")],
        "ada-2": [(wrong(encode, 1, 4, "never joins"), ""), (passed(decode, 2), "")],
        "ada-3": [(wrong(encode, 0, 4, "never joins", HOSTILE), ""), (wrong(decode, 0.5, 2), "")],
        "ada-4": [(blank(encode, 4), ""), (passed(decode, 2), "")],
        f"ada-{HOSTILE.replace('/', '')}": [
            (Report(encode, 0, 4), f"the sandbox failed: {HOSTILE}"),
            (passed(decode, 2), ""),
        ],
    }
    folder = tmp_path / LESSON
    folder.mkdir()
    for student, verdicts in class_.items():
        plain = [{"report": report.as_plain(), "ungraded": why} for report, why in verdicts]
        record = {"student": student, "lesson": LESSON, "digest": "", "graded_at": "", "seconds": 1.5, "unsafe": False,
                  "device": "cpu", "notes": [HOSTILE], "ungraded": "", "verdicts": plain}  # fmt: skip
        (folder / f"{student}.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "ada-6.json").write_text("{", encoding="utf-8")
    return folder


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.text = set[str](), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_counts(records: Path) -> None:
    summary = summarize(LESSON, read_class(records, ["ada-1", "ada-7"]))
    encode, decode = summary.exercises
    assert (summary.students, summary.ungraded, summary.totals) == (7, 3, (0.5, 2.0, 3.0, 6.0))
    assert (encode.graded, encode.passed, encode.partly, encode.wrong, encode.blank) == (4, 1, 1, 1, 1)
    assert (encode.ungraded, encode.points, encode.unnamed) == (3, 1.25, 0)
    assert [(one.name, one.students) for one in encode.mistakes] == [("never joins", 2), (HOSTILE, 1)]
    assert (decode.graded, decode.passed, decode.partly, decode.unnamed, decode.ungraded) == (5, 4, 1, 1, 2)
    assert [one.name for one in hardest(summary)] == ["encode", "decode"]
    assert dict(summary.reasons)[NO_RECORD] == 1


def test_the_page_names_nobody(records: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    page = Page(write_class_report(records, out, ["ada-7"]))
    for name in ("index.html", "report.json"):
        assert "ada-" not in (out / name).read_text(encoding="utf-8")
    assert "ada-7" in Page(out / "students.html").text
    words = ("Not graded: 3 students", "never joins", "Do not: never joins.", "wrong in another way", "Hardest: encode")
    assert [one for one in words if one not in " ".join(page.text.split())] == []
    assert page.text.index("Not graded") < page.text.index("Exercises")
    assert {path.name for path in out.glob("*.png")} == {"exercises.png", "mistakes.png", "points.png"}


def test_hostile_text_is_text(records: Path, tmp_path: Path) -> None:
    write_class_report(records, tmp_path)
    for name in ("index.html", "students.html"):
        page = Page(tmp_path / name)
        assert "script" not in page.tags
        assert "alert(1)" in page.text
    assert str(with_code("`a<b` & <i>")) == "<code>a&lt;b</code> &amp; &lt;i&gt;"


def test_nothing_is_fetched(records: Path, tmp_path: Path) -> None:
    text = write_class_report(records, tmp_path).read_text(encoding="utf-8")
    assert 'src="http' not in text
    assert "<link" not in text


def test_no_records_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="a folder with records: minidalle grade makes them"):
        write_class_report(tmp_path, tmp_path / "out")


def test_a_class_of_one_who_passed_nothing_to_name(tmp_path: Path) -> None:
    """No mistakes and no totals: the page does without their plots."""
    folder = tmp_path / LESSON
    folder.mkdir()
    record = {"student": "a", "seconds": 0.1, "unsafe": True, "notes": [], "ungraded": "not JSON", "verdicts": []}
    (folder / "a.json").write_text(json.dumps(record), encoding="utf-8")
    text = Page(write_class_report(folder, tmp_path / "out")).text
    assert "Not graded: 1 student\n" in text
    assert "Graded without a sandbox: 1 student\n" in text


MEASURE = """<script>
document.title = [...document.querySelectorAll("table")].every(one => one.scrollWidth <= one.clientWidth)
</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium")
def test_tables_fit_eight_hundred_pixels(tmp_path: Path) -> None:
    """The longest name of an exercise, and a class of some hundred."""
    folder = tmp_path / LESSON
    folder.mkdir()
    name = max((id for id in EXERCISES), key=lambda id: len(id.rpartition(".")[2]))
    for number in range(120):
        report = wrong(name, 1.25, 4, "does something else") if number < 60 else passed(name, 4)
        verdict = {"report": report.as_plain(), "ungraded": "the sandbox failed" if number > 110 else ""}
        record = {"student": f"{number}", "seconds": 1.5, "unsafe": False, "notes": [], "ungraded": ""}
        record["verdicts"] = [verdict]
        (folder / f"{number}.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_class_report(folder, tmp_path / "out")
    page.write_text(page.read_text(encoding="utf-8").replace("</main>", f"</main>{MEASURE}"), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--window-size=800,1000", "--hide-scrollbars", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True,
                          env={**os.environ, "HOME": str(tmp_path)})  # fmt: skip
    assert "<title>true</title>" in done.stdout

"""`check` in a real Jupyter kernel: an endless loop is stopped, and the page and the points are there."""

import html
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

CELLS = [
    "import sys\nfrom minidalle.course import check\nsys.modules['minidalle.course.checking.sight'].SECONDS = 0.5\n"
    "word_of = str.upper('x')",
    "def merge_pair(word, pair):\n    at = 0\n    while at < len(word):\n        at += 0\n    return word_of",
    'check("tokenization.merge_pair", merge_pair)',
    "def text_to_bytes(text):\n    letters = [\n        ord(letter) for letter in text\n    ]\n"
    "    return bytes(letters).decode()[10_000]",
    'check("tokenization.text_to_bytes", text_to_bytes)',
    "def text_to_bytes(text):\n    import sys, warnings\n    warnings.warn('careful'); print('so', file=sys.stderr)\n"
    "    return [*text.encode()]",
    'check("tokenization.text_to_bytes", text_to_bytes, points=2)',
    "print(_)",
    "def text_to_bytes(text)\n    return 3",
    'check("tokenization.text_to_bytes", text_to_bytes)',
]  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[nbformat.NotebookNode]]:
    """What each cell shows; a kernel that hangs fails after two minutes."""
    folder = tmp_path_factory.mktemp("kernel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIDALLE_HOME", str(folder))
        book = new_notebook(cells=[new_code_cell(text) for text in CELLS])
        book.cells[8].metadata["tags"] = ["raises-exception"]
        NotebookClient(
            book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    Path(folder / "done.ipynb").write_text(nbformat.writes(book), encoding="utf-8")
    return [cell.outputs for cell in book.cells]


def test_an_endless_loop_is_stopped_in_a_kernel(outputs: list[list[nbformat.NotebookNode]]) -> None:
    page = outputs[2][0].data["text/html"]
    assert "did not end in time" in page
    assert "of merge_pair" in page
    assert "while at &lt; len(word):" in page or "at += 0" in page
    assert "`word_of` is taken" not in page
    assert "word_of</code> is taken from the notebook (In [1], line 4: " in page
    assert "word_of = str.upper" in page


def test_the_students_own_line_is_shown(outputs: list[list[nbformat.NotebookNode]]) -> None:
    page = outputs[4][0].data["text/html"]
    assert "line 5 of text_to_bytes" in page
    assert "return bytes(letters).decode()[10_000]" in page
    assert "site-packages" not in page
    assert "minidalle/course" not in page


def test_nbgrader_reads_the_points(outputs: list[list[nbformat.NotebookNode]]) -> None:
    """Partial credit is the plain text of the last expression; a word on stderr would cost all."""
    for number, points in ((4, 0.0), (6, 2.0)):
        cell = new_code_cell(CELLS[number], outputs=outputs[number])
        cell.metadata["nbgrader"] = {
            "grade": True,
            "solution": False,
            "points": 2,
            "grade_id": "x",
            "schema_version": 3,
        }
        assert [output.output_type for output in cell.outputs] == ["execute_result"]
        assert determine_grade(cell) == (points, 2.0)
    assert outputs[6][0].data["text/plain"] == "2.0"


def test_a_printed_report_is_text(outputs: list[list[nbformat.NotebookNode]]) -> None:
    assert outputs[7][0].text.startswith("✓ tokenization.text_to_bytes: passed, 2 of 2 points")


def test_a_newer_try_that_is_no_python_is_said_to_be_one(outputs: list[list[nbformat.NotebookNode]]) -> None:
    assert outputs[8][0].ename == "SyntaxError"
    page = outputs[9][0].data["text/html"]
    assert "In [9] cannot be read: line 1: expected ':'" in html.unescape(page)
    assert "So this is still the <code" in page
    assert "text_to_bytes</code> from before that cell." in page
    assert "from before" not in outputs[6][0].data["text/html"]

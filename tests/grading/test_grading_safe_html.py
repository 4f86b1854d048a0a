"""What a student wrote does nothing in the page that a grader reads, and lessons look as they do."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_markdown_cell, new_notebook

from minidalle.grading.nbgrader_settings import grading_settings
from minidalle.grading.safe_html import ATTRIBUTES, TAGS, markdown_to_html

ROOT = Path(__file__).resolve().parents[2]

ACTIVE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<form action='/api'><button>x</button></form>",
    "<style>*{display:none}</style>",
    "<base href='https://example.org/'><meta http-equiv=refresh content=0>",
    "<math><mtext></p><img src=x onerror=alert(1)>",
    '<!--<img src="--><img src=x onerror=alert(1)//">',
    "[x](javascript:alert(1))",
    "[x](java&#115;cript:alert(1))",
    '<a href="&#x6A;avascript:alert(1)">x</a>',
    '<a href="  jav\tascript:alert(1)">x</a>',
    "![x](data:text/html,<script>alert(1)</script>)",
    "<div style='position:fixed;inset:0'>x</div>",
    "<p class=x onclick=alert(1)>x</p>",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "# <script>alert(1)</script>",
    "`</code><script>alert(1)</script>`",
    "$</span><script>alert(1)</script>$",
]


@pytest.mark.parametrize("source", ACTIVE)
def test_nothing_is_active(source: str) -> None:
    for element in BeautifulSoup(markdown_to_html(source), "html.parser").find_all():
        assert element.name in TAGS
        assert {*element.attrs} <= {*ATTRIBUTES["*"], *ATTRIBUTES.get(element.name, [])}
        for link in ("href", "src"):
            assert ":" not in str(element.get(link, ""))


FORMULAS = [
    r"$\href{javascript:alert(1)}{x}$",
    r"$$\let\x\href \x{javascript:a}{b}$$",
    r"<div>$\hr<!-- -->ef{javascript:alert(1)}{x}$</div>",
    r"<div>$&#92;href{javascript:alert(1)}{x}$</div>",
    r"<div>$&bsol;hr&#x65;f{javascript:alert(1)}{x}$</div>",
    r"$\hr&#101;f{javascript:alert(1)}{x}$",
    r"<p>\(\hr<!-- --><!-- -->&#101;f{javascript:alert(1)}{x}\)</p>",
    r"$\mmlToken{mi}[href=\"javascript:alert(1)\"]{x}$",
    r"$\bbox[position: fixed]{x}$",
    r"\begin{equation}\verb\a\\href{javascript:alert(1)}{x}\end{equation}",
]


@pytest.mark.parametrize("source", FORMULAS)
def test_formulas_make_no_links(source: str) -> None:
    """As MathJax reads them: the text that a browser has."""
    assert not re.search(r"\\(href|mmlToken|bbox)", BeautifulSoup(markdown_to_html(source), "html.parser").get_text())


@pytest.mark.parametrize("text", ["a < b & c", "&lt;b&gt;", "&amp;lt;", "$a \\\\ b < c$", "&nbsp;x", "a &#60;i&#62; b"])
def test_what_is_text_stays_text(text: str) -> None:
    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
    before = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(text), "html.parser")
    after = BeautifulSoup(markdown_to_html(text), "html.parser")
    assert (after.get_text(), str(after)) == (before.get_text(), str(before))


def test_lessons_look_as_they_do() -> None:
    for path in (ROOT / "lessons").glob("*/*.ipynb"):
        for cell in json.loads(path.read_bytes())["cells"]:
            if cell["cell_type"] == "markdown":
                source = "".join(cell["source"])
                renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
                as_it_was = BeautifulSoup(MarkdownWithMath(renderer=renderer).render(source), "html.parser")
                safe = BeautifulSoup(markdown_to_html(source), "html.parser")
                assert safe.get_text() == as_it_was.get_text()
                assert [(one.name, one.attrs) for one in safe.find_all()] == [
                    (one.name, one.attrs) for one in as_it_was.find_all()
                ]


def test_nbgraders_pages_use_it(tmp_path: Path) -> None:
    """The exporter of feedback and formgrader; with nbconvert's own filter the script is in the page."""
    book = new_notebook(cells=[new_markdown_cell("Hello <script>alert('mine')</script>")])
    settings = grading_settings(tmp_path)
    assert "<script>alert('mine')</script>" in HTMLExporter(template_name="basic").from_notebook_node(book)[0]
    page = HTMLExporter(config=settings, template_name="basic").from_notebook_node(book)[0]
    assert "<script>alert('mine')</script>" not in page
    assert "&lt;script&gt;" in page

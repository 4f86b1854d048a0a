"""Markdown as HTML that does nothing: what a student wrote is shown in formgrader, beside the grader's own session.

nbconvert shows HTML in markdown as it is, scripts too, and links to `javascript:`. Its own cleaning would take the
lessons' headings and pictures away as well.
"""

import html
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br code del details div em figcaption figure h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s"
        " small span strong sub summary sup table tbody td th thead tr u ul",
    )
)
ATTRIBUTES = {
    "*": ["class", "id", "title", "align"],
    "a": ["href"],
    "img": ["src", "alt", "width", "height"],
    "details": ["open"],
    "ol": ["start"],
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan"],
}
TEXT = ("Characters", "SpaceCharacters", "Entity")  # tokens
PROTOCOLS = frozenset({"http", "https", "mailto"})
MAKES_HTML = re.compile(r"\\(href|mmlToken|cssId|style|class|bbox|data|require|csname)")
"""Commands by which MathJax makes links and styles, or comes to others that do."""


class _Formulas(Filter):
    """Takes these commands out of the text as a browser has it: without comments, and entities are characters."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for is_text, tokens in groupby(super().__iter__(), lambda one: one["type"] in TEXT):
            if is_text:
                text = "".join(html.unescape(f"&{one['name']};") if "name" in one else one["data"] for one in tokens)
                yield {"type": "Characters", "data": MAKES_HTML.sub(r"\\mathrm", text)}
            else:
                yield from tokens


_CLEANER = Cleaner(tags=TAGS, attributes=ATTRIBUTES, protocols=PROTOCOLS, filters=[_Formulas])


def markdown_to_html(source: str) -> str:
    """nbconvert's filter `markdown2html`, for all cells and comments: no script, no form, no style of its own.

    Args:
        source: markdown, with HTML and formulas.
    """
    rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source)
    cleaned: str = _CLEANER.clean(rendered)
    return cleaned

"""Markdown as HTML that does nothing: what a student wrote is shown in formgrader, beside the grader's own session.

nbconvert shows HTML in markdown as it is, scripts too, and links to `javascript:`. Its own cleaning would take the
lessons' headings and pictures away as well.
"""

import re

import bleach
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
PROTOCOLS = frozenset({"http", "https", "mailto"})


def markdown_to_html(source: str) -> str:
    """nbconvert's filter `markdown2html`, for all cells and comments: no script, no form, no style of its own.

    Args:
        source: markdown, with HTML and formulas.
    """
    rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source)
    # MathJax makes links and styles of its own of what is left as text
    for command in ("\\href", "\\cssId", "\\style", "\\class", "\\require"):
        rendered = rendered.replace(command, "\\mathrm")
    return bleach.clean(rendered, tags=TAGS, attributes=ATTRIBUTES, protocols=PROTOCOLS)

"""What a student handed in, as hostile bytes, read down to the only things that are taken from it: its cells' sources.

No limit is a matter of taste: a notebook within all of them is read in a second and some hundred megabytes at most.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minidalle.errors import InvalidValue, require

MOST_BYTES = 20_000_000
MOST_VALUES = 2_000_000  # commas and brackets: each can become an object of some dozen bytes
MOST_CELLS = 2_000
MOST_TEXT = 2_000_000  # characters of all sources; outputs do not count
KINDS = ("code", "markdown", "raw")


@dataclass(frozen=True)
class StudentCell:
    """A cell as it was handed in.

    Attributes:
        kind: "code", "markdown" or "raw".
        source: its text, with `\\n` at the ends of lines.
        id: the notebook format's, empty where there is none.
        marks: what its metadata says under "nbgrader".
        pictures: whether pictures are attached to it.
    """

    kind: str
    source: str
    id: str = ""
    marks: Mapping[str, Any] | None = None
    pictures: bool = False


def read_submission(content: bytes) -> tuple[list[StudentCell], list[str]]:
    """The cells of a notebook of format 4, whatever program wrote it, and in words what could not be used.

    Raises:
        InvalidValue: it is no such notebook, or goes beyond a limit; says which, and what is valid.
    """
    require(len(content) <= MOST_BYTES, "size", f"{len(content):,} bytes",
            f"at most {MOST_BYTES:,}: clear the outputs, and hand it in again")  # fmt: skip
    require(bool(content.strip()), "notebook", "", "a notebook, and not an empty file")
    values = sum(map(content.count, (b",", b"[", b"{")))
    require(values <= MOST_VALUES, "values", f"{values:,}", f"at most {MOST_VALUES:,} values in its JSON")
    book = _json(content)
    require(isinstance(book, dict), "notebook", type(book).__name__, "an object of JSON, as Jupyter writes it")
    version = book.get("nbformat")
    require(version == 4 and version is not True, "nbformat", _told(version),
            "4: open it in JupyterLab, save it, and hand it in again")  # fmt: skip
    cells = book.get("cells")
    require(isinstance(cells, list), "cells", _told(cells), "a list of cells")
    require(len(cells) <= MOST_CELLS, "cells", f"{len(cells):,}", f"at most {MOST_CELLS:,}")
    read = [_cell(cell) for cell in cells]
    kept = [cell for cell in read if cell is not None]
    text = sum(len(cell.source) for cell in kept)
    require(text <= MOST_TEXT, "text", f"{text:,} characters in all cells", f"at most {MOST_TEXT:,}")
    broken = len(read) - len(kept)
    return kept, [f"{broken} of its cells could not be read and were left out"] if broken else []


def _json(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidValue(f"notebook: expected UTF-8 text, but byte {error.start:,} is none") from None
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" starting at")
        raise InvalidValue(f"notebook: expected JSON, but in line {error.lineno:,}: {what}") from None
    except RecursionError:
        raise InvalidValue("notebook: expected JSON, but its lists are nested too deep") from None
    except ValueError:  # a number of thousands of digits
        raise InvalidValue("notebook: expected JSON, but it has a number that is too long") from None


def _told(value: object) -> object:
    """A value to be shown: a number, or what type it is of."""
    return value if isinstance(value, int | None) and abs(value or 0) < 1e6 else type(value).__name__


def _cell(cell: object) -> StudentCell | None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in KINDS:
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    id = cell.get("id")
    return StudentCell(cell["cell_type"], _clean(source), id if isinstance(id, str) else "",
                       marks if isinstance(marks, dict) else None, bool(cell.get("attachments")))  # fmt: skip


def _clean(source: str) -> str:
    """One kind of line end, and only what UTF-8 can write: half a surrogate pair becomes �."""
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")

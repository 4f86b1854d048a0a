"""Bytes that somebody handed in: a notebook is read, whatever wrote it; all else is refused with a reason."""

import json
import random
from typing import Any

import pytest
from handed_in_books import RELEASE, released

from minidalle.errors import InvalidValue
from minidalle.grading import intake
from minidalle.grading.intake import read_submission
from minidalle.grading.rebuild import take_in


def book(*cells: Any, **more: Any) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [*cells], **more}).encode()


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, **more}


REFUSED = {
    "nothing": (b"", "an empty file"),
    "white space": (b" \n\t", "an empty file"),
    "no UTF-8": (book(code("x")).replace(b"x", b"\xff"), "expected UTF-8 text, but byte"),
    "UTF-16": (book(code("x")).decode().encode("utf-16"), "expected UTF-8"),
    "a PNG": (b"\x89PNG\r\n\x1a\n", "expected UTF-8"),
    "a web page": (b"<html>", "expected JSON, but in line 1"),
    "half a notebook": (book(code("x"))[:-3], "expected JSON"),
    "a merge conflict": (b"<<<<<<< HEAD\n" + book(code("x")), "expected JSON"),
    "a list": (b"[1]", "expected an object of JSON"),
    "a number": (b"4", "expected an object of JSON"),
    "a number without end": (b'{"nbformat": ' + b"4" * 9999 + b"}", "a number that is too long"),
    "nested too deep": (b"[" * 200_000 + b"]" * 200_000, "nested too deep"),
    "nested objects": (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deep"),
    "nbformat 3": (b'{"nbformat": 3, "worksheets": []}', "nbformat=3: expected 4: open it in JupyterLab"),
    "nbformat 5": (book(nbformat=5), "nbformat=5"),
    "nbformat true": (book(nbformat=True), "expected 4"),
    "nbformat as text": (book(nbformat="<script>"), "nbformat='str'"),
    "no nbformat": (b'{"cells": []}', "nbformat=None"),
    "no cells": (b'{"nbformat": 4}', "cells=None: expected a list"),
    "cells that are none": (book(cells={"a": 1}), "cells='dict': expected a list"),
    "too many cells": (book(*[code("x")] * 2001), "cells='2,001': expected at most 2,000"),
    "too much text": (book(*[code("x" * 1_000_001)] * 2), "text='2,000,002 characters in all cells'"),
    "too large": (book(code("x"), outputs="x" * 20_000_000), "bytes': expected at most 20,000,000: clear the outputs"),
    "too many values": (book(code("x"), outputs=[[]] * 1_100_000), "values='"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_a_reason(what: str) -> None:
    content, words = REFUSED[what]
    with pytest.raises(InvalidValue) as refused:
        read_submission(content)
    assert words in str(refused.value)
    assert "<" not in str(refused.value)  # nothing of theirs is repeated
    taken = take_in(RELEASE, content)
    assert taken.unreadable == str(refused.value)
    first, *others = taken.notebook["cells"]
    assert words.replace("<", "&lt;") in first["source"]
    assert others == RELEASE.notebook["cells"]


def texts(content: bytes) -> list[str]:
    return [cell.source for cell in read_submission(content)[0]]


def test_what_programs_write() -> None:
    plain = book(code("a = 1\nb = 2"))
    assert texts(plain) == ["a = 1\nb = 2"]
    assert texts(b"\xef\xbb\xbf" + plain) == ["a = 1\nb = 2"]  # a byte order mark
    assert texts(book(code(["a = 1\n", "b = 2"]))) == ["a = 1\nb = 2"]  # lines
    assert texts(book(code("a = 1\r\nb = 2\r"))) == ["a = 1\nb = 2\n"]  # Windows, and old Macs
    assert texts(json.dumps(json.loads(plain), indent=1).replace("\n", "\r\n").encode()) == ["a = 1\nb = 2"]
    for minor in range(8):
        assert texts(book(code("x"), nbformat_minor=minor)) == ["x"]
    assert texts(b'{"nbformat": 4, "cells": [{"cell_type": "code"}], "x": NaN}') == [""]
    assert texts(book(code("naïve = '苹果 🍎'"))) == ["naïve = '苹果 🍎'"]


def test_cells_that_cannot_be_used_are_counted_and_left_out() -> None:
    odd = [
        7,
        None,
        [],
        {},
        {"cell_type": ["code"]},
        {"cell_type": "heading", "source": "x"},
        code(5),
        code([5]),
        code({}),
    ]
    cells, notes = read_submission(book(*odd, code("x")))
    assert [cell.source for cell in cells] == ["x"]
    assert notes == ["9 of its cells could not be read and were left out"]


def test_strange_fields_do_no_harm() -> None:
    cells, _ = read_submission(
        book(
            code("a", id=7, metadata=[]),
            code("b", metadata={"nbgrader": "x"}),
            code("c", metadata={"nbgrader": {"grade_id": ["x"]}}, attachments=3),
            code("d", metadata={"nbgrader": {"grade_id": {"x": []}, "points": "1e999"}}),
        )
    )
    assert [cell.marks for cell in cells] == [
        None,
        None,
        {"grade_id": ["x"]},
        {"grade_id": {"x": []}, "points": "1e999"},
    ]
    taken = take_in(RELEASE, book(*[code("x", id={}, metadata={"nbgrader": {"grade_id": []}})]))
    assert not taken.unreadable


def test_half_a_surrogate_pair_can_be_written() -> None:
    (text,) = texts(b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = \'\\ud83c\'"}]}')
    assert text.encode().decode() == text
    assert text.startswith("x = '�")


def test_the_limits_are_above_what_an_honest_notebook_has() -> None:
    content = json.dumps(released()).encode()
    cells, notes = read_submission(content)
    assert len(cells) * 10 < intake.MOST_CELLS
    assert sum(len(cell.source) for cell in cells) * 10 < intake.MOST_TEXT
    assert not notes


def test_broken_bytes_never_raise_anything_else() -> None:
    """A hundred notebooks with bytes changed, cut and doubled: read or refused, and always the released cells."""
    whole = json.dumps(released()).encode()
    draw = random.Random(0)
    refused = 0
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 3, 30])):
            at = draw.randrange(len(content))
            content[at : at + draw.choice([0, 1, 9])] = draw.randbytes(draw.choice([0, 1, 4]))
        taken = take_in(RELEASE, bytes(content))
        refused += bool(taken.unreadable)
        assert [cell["id"] for cell in taken.notebook["cells"] if cell["id"] in RELEASE.cells] == [*RELEASE.cells]
    assert refused > 0

"""What came back from a sandbox → a `Sight`, or a complaint: everything in it was in a stranger's hands.

Every field has the type that it should have, texts can be written down and are no longer than an honest one, and
nothing is left that was not asked for.
"""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor

from minidalle.course.checking.findings import Failing
from minidalle.course.checking.observe import Observation
from minidalle.course.checking.report import Report
from minidalle.course.checking.sight import Sight

MOST_CHARACTERS, MOST_ITEMS, MOST_KINDS, DEEPEST = 2000, 200, 100_000, 60
MOST_NOTES = 20
CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # also halves of characters, and ends of lines
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they turn text around


class Unusable(Exception):
    """It is not what the student's side sends."""


def sight(told: Any, cases: int) -> Sight:
    """A sight as it was sent, for so many cases.

    Raises:
        Unusable: it is none; says what is wrong.
    """
    if not isinstance(told, dict):
        raise Unusable("no answer")
    if "failed" in told:
        raise Unusable(f"what it left could not be looked at: {text(told['failed'])}")
    refused = text(_get(told, "refused"))
    left = iter(range(MOST_KINDS))
    seen = [_observation(one, left) for one in _list(_get(told, "observations"), 10 * MOST_ITEMS)]
    if not refused and len(seen) != cases:
        raise Unusable(f"{len(seen)} observations of {cases} cases")
    named = _get(told, "parameters")
    return Sight(
        seen,
        None if named is None else _texts(named),
        _texts(_get(told, "statements"), 2000),
        _texts(_get(told, "lent")),
        refused,
        text(_get(told, "about")),
        _texts(_get(told, "notes")),
    )


def _observation(told: Any, left: Iterator[int]) -> Observation:
    return Observation(
        result=_plain(_get(told, "result")),
        kinds=[_kind(one, left) for one in _list(_get(told, "kinds"))],
        kept=_places(_get(told, "kept")),
        changed=_places(_get(told, "changed")),
        error=None if _get(told, "error") is None else _error(_get(told, "error")),
        calls=_whole(_get(told, "calls")),
        arguments=_texts(_get(told, "arguments")),
        returned=text(_get(told, "returned")),
        printed=_whole(_get(told, "printed")),
        print_begins=text(_get(told, "print_begins")),
    )


def _error(told: Any) -> dict[str, Any]:
    texts = {name: text(_get(told, name)) for name in ("type", "message", "line", "place")}
    flags = {name: _flag(_get(told, name)) for name in ("inside", "unwritten")}
    return {**texts, **flags, "number": _whole(_get(told, "number"))}


def _kind(told: Any, left: Iterator[int], depth: int = 0) -> dict[str, Any]:
    if depth > DEEPEST or next(left, None) is None:
        raise Unusable("kinds in kinds without end")
    found: dict[str, Any] = {"type": text(_get(told, "type"))}
    for name in ("dtype", "device"):
        if name in told:
            found[name] = text(told[name])
    if "shape" in told:
        found["shape"] = [_whole(side) for side in _list(told["shape"])]
    if told.get("grad") is True:
        found["grad"] = True
    for name in ("keys", "values", "items"):
        if name in told:
            found[name] = [_kind(one, left, depth + 1) for one in _list(told[name], 100 * MOST_ITEMS)]
    if found["type"] == "Tensor" and not {"shape", "dtype", "device"} <= found.keys():
        raise Unusable("a tensor of no kind")
    if found["type"] == "dict" and not {"keys", "values"} <= found.keys():
        raise Unusable("a dict of no kind")
    if found["type"] == "tuple" and "items" not in found:
        raise Unusable("a tuple of no kind")
    return found


def _plain(told: Any, depth: int = 0) -> Any:
    """A result. Its texts stay as they are, for they are compared, and shown only as `repr` writes them."""
    if depth > DEEPEST:
        raise Unusable("results in results without end")
    if told is None or isinstance(told, Tensor) or type(told) in (bool, int, float, str):
        return told
    if isinstance(told, list):
        return [_plain(item, depth + 1) for item in told]
    if isinstance(told, dict):
        return {key: _plain(item, depth + 1) for key, item in told.items()}
    raise Unusable("a result of no kind")


def text(told: Any) -> str:
    """A text that can be shown: cut, on one line, without half characters, or any that steer a terminal or turn text
    around.

    Raises:
        Unusable: it is none.
    """
    if not isinstance(told, str):
        raise Unusable("no text where one belongs")
    return "".join(map(_shown, told[:MOST_CHARACTERS]))


def _shown(character: str) -> str:
    if character in "\t\n\r":
        return " "
    steers = unicodedata.category(character) in CONTROLS or unicodedata.bidirectional(character) in TURNS
    return "\ufffd" if steers else character


def shown(report: Report) -> Report:
    """A report that was made of a sight: each of its texts can be shown, and none is longer than an honest one."""
    failing = report.failing
    return replace(
        report,
        lines=tuple(replace(line, name=text(line.name), detail=text(line.detail)) for line in report.lines),
        notes=tuple(map(text, report.notes[:MOST_NOTES])),
        failing=failing and Failing(tuple(map(text, failing.given[:MOST_NOTES])), *map(text, (
            failing.yours, failing.expected, failing.difference))),
    )  # fmt: skip


def _texts(told: Any, most: int = MOST_ITEMS) -> list[str]:
    return [text(one) for one in _list(told, most)]


def _places(told: Any) -> list[int | str]:
    return [text(one) if isinstance(one, str) else _whole(one) for one in _list(told)]


def _get(told: Any, name: str) -> Any:
    if not isinstance(told, dict) or name not in told:
        raise Unusable(f"no `{name}`")
    return told[name]


def _list(told: Any, most: int = MOST_ITEMS) -> list[Any]:
    if not isinstance(told, list) or len(told) > most:
        raise Unusable("no list where one belongs, or one that is too long")
    return told


def _flag(told: Any) -> bool:
    if type(told) is not bool:
        raise Unusable("no yes or no where one belongs")
    return told


def _whole(told: Any) -> int:
    if type(told) is not int or not 0 <= told <= 2**53 or not math.isfinite(told):
        raise Unusable("no whole number where one belongs")
    return told

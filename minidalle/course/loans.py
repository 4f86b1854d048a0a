"""Names that are lent: in a student's globals they mean something else for a while, and then their own again."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from minidalle.course.code_names import MISSING

Loan = tuple[dict[str, Any], str, Any, Any]
"""The globals, the name, its own value or MISSING, and the one it has meanwhile."""


def lend(values: Mapping[str, Any], places: Iterable[dict[str, Any]], loans: list[Loan]) -> None:
    """Let names be these values in these globals, and note what was changed in `loans`, one by one.

    Where it is cut short, as by Ctrl-C, what was noted so far can be taken back.
    """
    for place, (name, given) in product(places, values.items()):
        if place.get(name, MISSING) is not given:
            loans.append((place, name, place.get(name, MISSING), given))
            place[name] = given


def take_back(loans: Iterable[Loan]) -> None:
    """Undo loans, the last first; doing so twice does no harm. A name that was bound anew meanwhile stays so."""
    for place, name, own, given in reversed([*loans]):
        if place.get(name) is given:
            place[name] = own
        if place.get(name) is MISSING:
            del place[name]

"""A report: what a check found, as an object that shows itself in a notebook or terminal, and can be sent as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from minidalle.course.checking.display import as_html, as_text, in_notebook
from minidalle.course.checking.findings import OWN, Failing, Findings, Line


@dataclass(frozen=True, repr=False)
class Report(Findings):
    """See `Findings`."""

    def as_plain(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Report":
        """The report that `as_plain` made JSON of."""
        failing = plain["failing"] and Failing(**{**plain["failing"], "given": tuple(plain["failing"]["given"])})
        several = {name: tuple(plain[name]) for name in ("notes", "hints")}
        lines = tuple(Line(**line) for line in plain["lines"])
        looks_like = tuple((mistake, advice) for mistake, advice in plain["looks_like"])
        return cls(**{**plain, **several, "lines": lines, "looks_like": looks_like, "failing": failing})

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """In a notebook, a page; its plain text is the points, which nbgrader reads as partial credit."""
        if not in_notebook():
            return {"text/plain": str(self)}
        return {"text/plain": str(float(self.points)), "text/html": as_html(self)}


def refused(id: str, out_of: float, why: str, name: str = OWN) -> Report:
    """The report on what is no answer: the package's own function, a name that is not allowed, no function."""
    return Report(id, 0.0, out_of, (Line(name, False, why),))

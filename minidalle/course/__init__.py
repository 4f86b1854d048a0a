"""The course machine: check an answer, name its mistake, build the notebooks, swap a student's functions in."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.course.check import check
    from minidalle.course.parts import mine, use

__getattr__, __dir__, __all__ = lazy(__name__, {"check": "check", "mine": "parts", "use": "parts"})

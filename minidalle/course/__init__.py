"""The course machine: check an answer, name its mistake, build the notebooks, swap a student's functions in.

`checking` looks at an answer and reports; `building` makes the notebooks; what is beside them reads a student's
notebook, remembers what was tried, and puts the student's functions into the pipeline.
"""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.course.checking.answer import check as check
    from minidalle.course.parts import mine as mine
    from minidalle.course.parts import use as use
else:
    __getattr__, __dir__, __all__ = lazy(__name__, {"check": "checking.answer", "mine": "parts", "use": "parts"})

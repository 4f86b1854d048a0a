"""What students write: each exercise is one file of data, and all of them are `EXERCISES`, by id.

`<lesson>/<function>.py` holds one exercise with its cases, known mistakes and other right answers; `probes/` how
it is called. A probe runs on the student's side, imports no answer, and returns data, never a verdict.
"""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.exercises.catalogue import EXERCISES as EXERCISES
    from minidalle.exercises.exercise import Case as Case
    from minidalle.exercises.exercise import Exercise as Exercise
    from minidalle.exercises.exercise import Plain as Plain
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__, {"Case": "exercise", "EXERCISES": "catalogue", "Exercise": "exercise", "Plain": "exercise"}
    )

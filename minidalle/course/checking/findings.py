"""What a check found, as data. It says no more than what a person reads."""

from dataclasses import dataclass

RUNS, OWN = "runs", "your own"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: "type", "values" …; the detail says what is wrong, or how much is right."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Failing:
    """The smallest input that goes wrong: what the function was given, what came back, and what should have."""

    given: tuple[str, ...]
    yours: str
    expected: str
    difference: str = ""


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        id: the exercise's.
        points: earned, of `out_of`.
        lines: what was looked at, in order. What could not be looked at has no line.
        looks_like: known mistakes that do the same as the answer on every case: what it does, what to do instead.
        failing: the smallest input that goes wrong.
        notes: what else is good to know.
        hints: those that are due after several tries.
        unfinished: nothing has been written yet.
    """

    id: str
    points: float
    out_of: float
    lines: tuple[Line, ...] = ()
    looks_like: tuple[tuple[str, str], ...] = ()
    failing: Failing | None = None
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    unfinished: bool = False

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return bool(self.lines) and all(line.ok for line in self.lines)

    @property
    def tried(self) -> bool:
        """Whether there was an answer to run: no stub, no `None`, not the package's own function."""
        return not self.unfinished and any(line.name == RUNS for line in self.lines)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.id.rpartition(".")[2]

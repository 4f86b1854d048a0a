"""An exercise is data: what to write, how it is called, what is right, and which mistakes are known by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from minidalle.errors import require

Plain = None | bool | int | float | str | Tensor | list["Plain"] | dict[str, "Plain"]
"""What crosses between a student's code and the judge: JSON values and tensors, nothing else."""

Case = Mapping[str, Plain]
"""The arguments of one call of the probe, by name."""

Function = Callable[..., Any]

MISTAKES, OTHERS, HINTS = 4, 2, 3  # at least so many known mistakes and other right answers; exactly so many hints


def call(function: Function, **case: Plain) -> Plain:
    """The plain probe: call the function with the case's values, in their order, and return what it returns."""
    return function(*case.values())


class Question(Protocol):
    """What the student's side of a check knows of an exercise: how to ask, and what is not allowed."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def reference(self) -> Function: ...
    @property
    def probe(self) -> Callable[..., Plain]: ...
    @property
    def forbid(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Exercise:
    """One function that students write.

    Attributes:
        id: "lesson.function", as in "tokenization.merge_pair"; the second part is the function's name.
        points: what a right answer earns.
        minutes: how long it takes most students.
        stars: how hard it is, 1 to 3.
        reference: the package's own function; the lesson's stub and solution are made from it.
        cases: seed → cases. The lesson uses public seeds, grading others. The first case is the smallest.
        wrong: misconceptions, each as a function that has it. The function's name says what it does wrong
            (`counts_each_word_once`), its docstring what to do instead ("Add the word's count, not 1.").
        also_right: right answers, written differently from the reference and from each other.
        hints: the idea, the formula, a skeleton.
        reaches: the public entry point that the student's function is part of, as in "Tokenizer.encode_batch".
        needs: ids of earlier exercises that an answer may call; while one is checked, they are the reference's.
        forbid: names that an answer may not use, such as the library call that is the answer: "torch.cdist".
        probe: how a case is put to the function; by default the case's values are its arguments.
        tolerance: the largest difference of two numbers that counts as none; 0 wants them equal.
    """

    id: str
    points: int
    minutes: int
    stars: int
    reference: Function
    cases: Callable[[int], Iterable[Case]]
    wrong: tuple[Function, ...]
    also_right: tuple[Function, ...]
    hints: tuple[str, ...]
    reaches: str
    needs: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    probe: Callable[..., Plain] = call
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        parts = self.id.split(".")
        named = len(parts) == 2 and parts[1] == self.reference.__name__
        require(named, "id", self.id, f'"lesson.{self.reference.__name__}", the name of its reference')
        require(self.points >= 1, "points", self.points, "at least 1")
        require(self.minutes >= 1, "minutes", self.minutes, "at least 1")
        require(self.stars in (1, 2, 3), "stars", self.stars, "1, 2 or 3")
        require(len(self.hints) == HINTS, "hints", self.hints, "three: the idea, the formula, a skeleton")
        require(self.tolerance >= 0, "tolerance", self.tolerance, "at least 0")
        wrong = [answer.__name__ for answer in self.wrong]
        require(len(set(wrong)) == len(wrong) >= MISTAKES, "wrong", wrong, f"{MISTAKES} or more, of different names")
        right = [answer.__name__ for answer in self.also_right]
        require(len(right) >= OTHERS, "also_right", right, f"{OTHERS} or more")
        silent = [answer.__name__ for answer in self.wrong if not answer.__doc__]
        require(not silent, "wrong", silent, "a docstring each: what to do instead")

    @property
    def lesson(self) -> str:
        """The lesson it belongs to: "tokenization"."""
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """The function's name: "merge_pair"."""
        return self.id.split(".")[1]


def mistake(answer: Function) -> tuple[str, str]:
    """What a wrong answer does, and what to do instead: ("counts each word once", "Add the word's count …")."""
    return answer.__name__.replace("_", " "), " ".join((answer.__doc__ or "").split())

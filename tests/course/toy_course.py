"""A small course to build: toy exercises about real functions of the package, and a lesson with every directive."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minidalle.course.building.course_file import Course
from minidalle.exercises.exercise import Case, Exercise
from minidalle.tokenization import bpe


def _cases(seed: int) -> Iterable[Case]:
    yield {"word": ["a", "b"]}


def first_mistake(*arguments: Any) -> Any:
    """Do not."""


def second_mistake(*arguments: Any) -> Any:
    """Do not."""


def third_mistake(*arguments: Any) -> Any:
    """Do not."""


def fourth_mistake(*arguments: Any) -> Any:
    """Do not."""


def one_way(*arguments: Any) -> Any:
    """A right answer."""


def another_way(*arguments: Any) -> Any:
    """A right answer."""


def toy(reference: Callable[..., Any], lesson: str = "tokenization", **changes: Any) -> Exercise:
    """An exercise about a function; only what a notebook shows is real."""
    settings: dict[str, Any] = {"points": 4, "minutes": 15, "stars": 2, "needs": (), "forbid": ()} | changes
    return Exercise(
        id=f"{lesson}.{reference.__name__}",
        reference=reference,
        cases=_cases,
        wrong=(first_mistake, second_mistake, third_mistake, fourth_mistake),
        also_right=(one_way, another_way),
        hints=("Look at two at a time.", "$n_{ab}$", "```python\nfor …\n```"),
        reaches="Tokenizer.encode",
        **settings,
    )


EXERCISES = {
    exercise.id: exercise
    for exercise in (
        toy(bpe.text_to_bytes, points=1, stars=1, minutes=5),
        toy(bpe.count_pairs, points=3),
        toy(bpe.merge_pair, needs=("tokenization.count_pairs",), forbid=("re.sub",)),
        toy(bpe.encode, points=5, stars=3, needs=("tokenization.merge_pair",)),
        toy(bpe.decode, points=3),
    )
}

COURSE = Course(EXERCISES)

HEADER = """\
# ---
# title: Toy tokens
# minutes: 120
# ---
"""

LESSON = (
    HEADER
    + '''
# %% [markdown]
# Words before the first heading. ![A box](box.svg)
#
# ```
# # no heading
# ```

# %% setup
import math
from minidalle.course import check

limit = math.inf

# %% [markdown]
# ## 1.1 Count pairs

# %%
2 + 2

# %% exercise: tokenization.count_pairs
# blank: pairs[pair] +=

# %% [markdown]
# ## 1.2 Zusammenfügen – größer

# %% exercise: tokenization.merge_pair

# %% with: tokenization.merge_pair [markdown]
# What `merge_pair` does to a banana:

# %% with: tokenization.merge_pair
merge_pair(list("banana"), ("a", "n"))

# %% exercise: tokenization.encode
# docstring: first line

# %% written: tokenization.why_bytes [markdown]
# points: 2
# question: Why does a byte-level vocabulary know every text?
#
# One or two sentences.
# rubric:
# - 1 point: SECRET every text is bytes.
# answer:
# SECRET Every text is a sequence of bytes.

# %% written: tokenization.killer_test
# points: 3
# question: Write a test.
# rubric: SECRET 3 points: it kills.
# answer:
def killer_test(merge_pair):
    """Raise AssertionError if `merge_pair` has the bug."""
    # SECRET
    assert merge_pair(["a", "a"], ("a", "a")) == ["aa"]

# %% instructor [markdown]
# SECRET Most common mistake …

# %% instructor
print("SECRET")

# %% [markdown]
# ## 1.1 Count pairs
# again
'''
)


def write_lesson(root: Path, text: str = LESSON, name: str = "01-toy") -> Path:
    """A course's folder with one lesson.py; gives the lesson's folder."""
    folder = root / "solutions" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lesson.py").write_text(text, encoding="utf-8")
    return folder

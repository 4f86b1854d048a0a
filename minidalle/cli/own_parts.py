"""`--parts DIR`: for one command, a student's functions stand in the pipeline, and it says whose parts took part."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minidalle.course.parts import mine, noted, use_from
from minidalle.course.submission import contents, read_functions
from minidalle.errors import known_as, require
from minidalle.exercises import EXERCISES
from minidalle.training.torchrun import follows

if TYPE_CHECKING:
    from minidalle.run import Block


@contextmanager
def own_parts(folder: Path | None) -> Iterator[tuple["Block", tuple[str, ...]]]:
    """Let the functions in a notebook or folder that pass their check stand in the pipeline; nothing without one.

    Gives what makes the same block in other processes, and the ids of these functions' exercises: see
    `minidalle.run.run`.

    Raises:
        InvalidValue: there is nothing to read, or no function with an exercise's name.
    """
    if folder is None or follows():  # rank 0 sends its own
        yield nullcontext, ()
        return
    with known_as("--parts", field="path"):
        files = contents(folder)  # other ranks get them later, perhaps elsewhere, when they may have been edited
    print(f"Running the code in {folder}: it is yours, and can do all that you can.")
    read = read_functions(folder)
    for words in read.skipped:
        print(f"Left out: {words}")
    names = [exercise.name for exercise in EXERCISES.values()]
    require(any(name in names for name in read.functions), "--parts", str(folder),
            f"functions with an exercise's name, such as {names[0]}")  # fmt: skip
    parts = mine(read.functions)
    with noted(parts) as called:
        yield partial(use_from, files, tuple(parts)), tuple(parts)
    print(credit(parts, called))


def credit(parts: Collection[str], called: Collection[str]) -> str:
    """Whose functions took part.

    Args:
        parts: ids of the student's own.
        called: ids of those that were called, whoever wrote them.
    """
    yours = [exercise.name for key, exercise in EXERCISES.items() if key in called and key in parts]
    others = [exercise.name for key, exercise in EXERCISES.items() if key in called and key not in parts]
    spare = [exercise.name for key, exercise in EXERCISES.items() if key not in called and key in parts]
    lists = {"Yours": yours, "The package's": others, "Also yours, but not needed here": spare}
    words = [f"{whose}: {', '.join(names)}." for whose, names in lists.items() if names]
    return " ".join([f"Drawn by {len(yours)} of yours, {len(others)} of the package's.", *words])

"""All exercises in one table: how far wrong answers are from right ones, and how long a check takes.

    python benchmarks/exercises.py                  # all of them
    python benchmarks/exercises.py vqgan.           # those whose ids begin so

An error is the largest difference of a number in all cases of a seed: ∞ where whole numbers, texts or shapes differ,
an error is raised or an input is changed. Over all seeds, the table has the smallest error of a wrong answer and the
largest of a right one. Seconds are the processor's, with imports done: of the first check of a right answer, and of the
first of a wrong one, which runs all known mistakes.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from minidalle.course import check
from minidalle.exercises import EXERCISES, Exercise
from minidalle.exercises.exercise import Function

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "exercises"))
from exercise_calls import SEEDS, apart, outcomes

COLUMNS = ("exercise", "points", "mistakes", "other right", "tolerance", "smallest wrong", "largest right", "right, s",
           "wrong, s")  # fmt: skip


def errors(exercise: Exercise, seed: int) -> tuple[float, float]:
    """The smallest error of a wrong answer and the largest of a right one, on the cases of a seed."""
    cases = list(exercise.cases(seed))
    expected = outcomes(exercise, exercise.reference, cases)
    wrong, right = (
        [apart(outcomes(exercise, answer, cases), expected) for answer in answers]
        for answers in (exercise.wrong, exercise.also_right)
    )
    return min(wrong), max(right)


def seconds(exercise: Exercise, answer: Function) -> float:
    """Processor seconds of a check, as a student calls it."""
    began = time.process_time()
    check(exercise.id, answer)
    return time.process_time() - began


def row(exercise: Exercise) -> list[str]:
    """One line of the table."""
    times = [seconds(exercise, answer) for answer in (exercise.also_right[0], exercise.wrong[0])]
    wrong, right = zip(*(errors(exercise, seed) for seed in SEEDS), strict=True)
    counts = (exercise.points, len(exercise.wrong), len(exercise.also_right))
    found = (exercise.tolerance, min(wrong), max(right))
    return [exercise.id, *map(str, counts), *map(_short, found), *(f"{one:.2f}" for one in times)]


def _short(number: float) -> str:
    return f"{number:.2g}".replace("inf", "∞")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("begins", nargs="?", default="", help="only exercises whose ids begin so")
    begins = parser.parse_args().begins
    torch.set_num_threads(1)
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    with tempfile.TemporaryDirectory() as home:  # so that these tries count as nobody's
        os.environ["MINIDALLE_HOME"] = home
        for exercise in EXERCISES.values():
            if exercise.id.startswith(begins):
                print("| " + " | ".join(row(exercise)) + " |", flush=True)


if __name__ == "__main__":
    main()

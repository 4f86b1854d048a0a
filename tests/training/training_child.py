"""A training in a process of its own, which a test may kill.

`python training_child.py [--slow-from STEP] train RECIPE FOLDER RANKS [STAGE]` trains a recipe;
`python training_child.py [--slow-from STEP] cli ARGUMENT…` is the command line, with a test's pictures;
`even` in the place of `cli` is the same with the recipe and the pictures of that name.
Each step is said on standard output, as in `vqgan 17`. `--slow-from` leaves a test time to interfere.
"""

import sys
import time
from pathlib import Path

from training_recipes import even, open_squares, open_worded, tiny, train_recipe

from minidalle.training.loop import Progress


class Said:
    """Says each step of a training."""

    def __init__(self, slow_from: float) -> None:
        self.slow_from = slow_from

    def __call__(self, progress: Progress) -> None:
        print(progress.stage, progress.step, flush=True)
        if progress.step >= self.slow_from:
            time.sleep(0.1)


def main(slow_from: float, command: str, *arguments: str) -> None:
    """Do what the arguments ask for."""
    said = Said(slow_from)
    if command == "train":
        recipe, folder, ranks, *upto = arguments
        train_recipe(recipe, Path(folder), int(ranks), said, *upto)
        return
    import minidalle.cli
    import minidalle.cli.training
    import minidalle.run
    from minidalle.presets import PRESETS

    PRESETS["tiny"] = even() if command == "even" else tiny()
    minidalle.run.open_pictures = open_worded if command == "even" else open_squares
    minidalle.cli.training.Watcher.__call__ = lambda self, progress: said(progress)
    sys.argv[1:] = arguments
    minidalle.cli.main()


if __name__ == "__main__":
    slow = sys.argv[1] == "--slow-from"
    main(float(sys.argv[2]) if slow else float("inf"), *sys.argv[3 if slow else 1 :])

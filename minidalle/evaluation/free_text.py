"""Prompts in ordinary words, which are no captions of the data: is the drawn thing one of those that were meant?"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import require
from minidalle.evaluation.distances import pixel_distances
from minidalle.evaluation.fidelity import Measures
from minidalle.evaluation.retrieval import recall_at_k

PROMPTS = Path(__file__).with_name("prompts.csv")


class Prompt(NamedTuple):
    """What to draw, of which kind of wording it is, and the roles of which any would be right."""

    prompt: str
    kind: str
    concepts: tuple[str, ...]


def load_prompts(path: Path = PROMPTS) -> list[Prompt]:
    """Read prompts from a table with the columns `prompt`, `kind` and `concepts` (several joined by ` | `).

    Raises:
        InvalidValue: a column is missing, or a prompt says nothing.
    """
    with open(path, newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        missing = set(Prompt._fields) - set(table.fieldnames or ())
        require(not missing, f"columns of {path}", table.fieldnames, ", ".join(Prompt._fields))
        prompts = [Prompt(row["prompt"], row["kind"], tuple(row["concepts"].split(" | "))) for row in table]
    for line, prompt in enumerate(prompts, 2):
        require(bool(prompt.prompt.strip()), f"prompt in line {line} of {path}", prompt.prompt, "some words")
    return prompts


def concept_recall(shown: np.ndarray, meant: Sequence[Prompt], pictures: CaptionedPictures) -> Measures:
    """Rank all roles by their real picture that is nearest to a drawn one: does one that was meant come first?

    Args:
        shown: uint8 [B, S, S, 3].
        meant: the B prompts that they were drawn from.
        pictures: the data set, with roles.

    Returns:
        `top_1` and `top_5`: 1 if a role that was meant is the first, or among the first five different ones.

    Raises:
        InvalidValue: a concept of a prompt is no role of the data.
    """
    names, roles = np.unique(pictures.columns["role"], return_inverse=True)
    number = {name: i for i, name in enumerate(names.tolist())}
    right = torch.zeros(len(meant), len(names), dtype=torch.bool)
    for row, prompt in enumerate(meant):
        for concept in prompt.concepts:
            require(concept in number, f"concept of {prompt.prompt!r}", concept, "a role of the data")
            right[row, number[concept]] = True
    far = nearest_of_each(pixel_distances(shown, pictures.pictures), roles)
    return {f"top_{k}": recall_at_k(-far, right, k).double().numpy() for k in (1, 5)}


def nearest_of_each(far: Tensor, roles: np.ndarray) -> Tensor:
    """The distance to the nearest picture of each role.

    Args:
        far: distances to pictures [B, R].
        roles: int64 [R], from 0 to C − 1, each at least once.

    Returns:
        [B, C].
    """
    nearest = far.new_full((len(far), int(roles.max()) + 1), float("inf"))
    index = torch.from_numpy(roles).expand_as(far)
    return nearest.scatter_reduce(1, index, far, "amin")

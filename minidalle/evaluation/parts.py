"""Which rows are measured, and by which parts of a split the figures are told apart."""

import numpy as np

from minidalle.data.pictures import CaptionedPictures
from minidalle.data.splits import HELD_OUT as HARDEST_FIRST
from minidalle.errors import require
from minidalle.runtime import numpy_generator

HELD_OUT = tuple(reversed(HARDEST_FIRST))
SPLITS = ("train", *HELD_OUT)
MOST_OF_TRAIN = 800  # rows, also where all rows of the other splits are asked for

PARTS = {
    "all": "every row",
    "toned": "the caption names a skin tone",
    "objects": "it names none",
    "people": "the role comes in skin tones or genders (hands too), or its name has the word face",
    "things": "all other roles",
}


def some_rows(pictures: CaptionedPictures, split: str, most: int | None) -> np.ndarray:
    """At most `most` rows of a split (None: all), drawn without looking, the same ones every time, in that order.

    Raises:
        InvalidValue: there is no such split, or `most` is below 1.
    """
    require(most is None or most >= 1, "most", most, "1 or more, or None for all rows")
    rows = pictures.rows(split)
    return rows[numpy_generator(0, "rows of", split).permutation(len(rows))[:most]]


def rows_of_splits(pictures: CaptionedPictures, most: int | None) -> np.ndarray:
    """At most `most` rows of each split that there is, but never more than 800 of `train`: int64 [B]."""
    known = set(pictures.splits.tolist())
    limits = {split: most for split in SPLITS if split in known}
    if most is None and "train" in known:
        limits["train"] = MOST_OF_TRAIN
    require(bool(limits), "splits", sorted(known), f"one of {', '.join(SPLITS)} or more")
    return np.concatenate([some_rows(pictures, split, limit) for split, limit in limits.items()])


def parts(pictures: CaptionedPictures) -> dict[str, np.ndarray]:
    """The rows of each part of `PARTS`, bool [R]; of data without roles, tones and genders, all rows only."""
    masks = {"all": np.ones(len(pictures), bool)}
    if {"role", "tone", "gender"} <= pictures.columns.keys():
        role, tone, gender = (pictures.columns[name] for name in ("role", "tone", "gender"))
        human = set(role[(tone != "") | (gender != "")].tolist())
        people = np.array([name in human or "face" in name.split() for name in role.tolist()], bool)
        masks |= {"toned": tone != "", "objects": tone == "", "people": people, "things": ~people}
    return masks


def groups(pictures: CaptionedPictures) -> dict[str, np.ndarray]:
    """The rows that may come out better or worse than others: "tone: dark", "gender: woman", "style: noto", bool [R].

    Tones and genders are told apart among the rows that name a skin tone, so that people are compared with people.
    """
    columns = pictures.columns
    masks = {}
    if {"tone", "gender"} <= columns.keys():
        toned = columns["tone"] != ""
        for name in ("tone", "gender"):
            for value in sorted(set(columns[name][toned].tolist())):
                masks[f"{name}: {value or 'not named'}"] = toned & (columns[name] == value)
    if "style" in columns:
        masks |= {f"style: {value}": columns["style"] == value for value in sorted(set(columns["style"].tolist()))}
    return masks

"""The tables of the data card: counts, people, duplicates, and how near held-out pictures are to train.

python -m minidalle.data.card docs/data-card.md
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minidalle.checkpoint import atomic_write
from minidalle.data.emoji import emoji_pictures
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.sources import SOURCES
from minidalle.data.splits import HELD_OUT, SPLITS
from minidalle.errors import require

STYLES = tuple(source.style for source in SOURCES)
PARTS = {"role": "role", "tone": "skin tone, same role", "gender": "gender only"}
END = "\n<!-- end -->"


def counts_table(data: CaptionedPictures) -> str:
    """Rows per split and style, toned and plain, with the roles of each split."""
    lines = [["split", *(f"{style}: toned + plain" for style in STYLES), "rows", "roles"]]
    for split in SPLITS:
        rows = data.rows(split)
        style, toned = data.columns["style"][rows], data.toned[rows]
        cells = [f"{count(toned & (style == own))} + {count(~toned & (style == own))}" for own in STYLES]
        lines.append([split, *cells, f"{len(rows):,}", f"{len(set(data.columns['role'][rows])):,}"])
    return markdown(lines)


def people_table(data: CaptionedPictures) -> str:
    """Rows per gender word and per skin tone in each style; the rarer words are added up."""
    style = data.columns["style"]
    lines = [["", *STYLES]]
    for column, empty in (("gender", "no gender word"), ("tone", "no tone")):
        values = np.where(np.char.find(data.columns[column], "+") >= 0, "two tones", data.columns[column])
        common = [value for value, rows in Counter(values.tolist()).most_common() if rows >= 200]
        parts = {value or empty: values == value for value in common}
        parts[f"other {column} words"] = ~np.isin(values, common)
        for name, rows in parts.items():
            if rows.any():
                lines.append([name, *(count(rows & (style == own)) for own in STYLES)])
    return markdown(lines)


def duplicates_table(data: CaptionedPictures) -> str:
    """Rows whose picture is that of another row, by style and by what the two captions differ in."""
    row_of = {key: row for row, key in enumerate(data.columns["key"].tolist())}
    counts: Counter[tuple[str, str]] = Counter()
    for row in np.flatnonzero(data.columns["duplicate_of"]).tolist():
        first = row_of[str(data.columns["duplicate_of"][row])]
        differing = [part for part in PARTS if data.columns[part][row] != data.columns[part][first]]
        counts[differing[0], str(data.columns["style"][row])] += 1
    lines = [[words, *(str(counts[part, style]) for style in STYLES)] for part, words in PARTS.items()]
    return markdown([["captions differ in", *STYLES], *lines])


def distances_table(data: CaptionedPictures, splits: Sequence[str] = HELD_OUT[::-1]) -> str:
    """How far each held-out picture is from its nearest in train, and whether that one is its sibling."""
    train = data.rows("train")
    lines = [["split", "pictures", "rows", "lower quartile", "median", "upper quartile", "same role and style"]]
    for split in splits:
        for name, is_named in (("toned", data.toned), ("plain", ~data.toned)):
            rows = data.rows(split)
            rows = rows[is_named[rows]]
            if not len(rows):
                continue
            nearest, distance = nearest_pictures(data.pictures[rows], data.pictures[train])
            sibling = np.ones(len(rows), bool)
            for column in (data.columns["role"], data.columns["style"]):
                sibling &= column[rows] == column[train[nearest]]
            quartiles = (f"{quartile:.3f}" for quartile in np.quantile(distance, [0.25, 0.5, 0.75]))
            lines.append([split, name, str(len(rows)), *quartiles, f"{sibling.mean():.0%}"])
    return markdown(lines)


def nearest_pictures(pictures: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each picture the nearest of `others`, and how far it is.

    Args:
        pictures: uint8 [A, S, S, 3].
        others: uint8 [B, S, S, 3].

    Returns:
        int64 [A], places in `others`; float64 [A], root mean squared errors of the pixel values in [0, 1].
    """
    flat, other = (array.reshape(len(array), -1).astype(np.float32) / 255 for array in (pictures, others))
    half_squares = np.square(other).sum(axis=1) / 2
    parts = np.array_split(flat, 8)  # |a − b|² = |a|² + 2 (|b|² / 2 − a · b)
    nearest = np.concatenate([np.argmin(half_squares - part @ other.T, axis=1) for part in parts])
    return nearest, np.sqrt(np.square(flat - other[nearest], dtype=np.float64).mean(axis=1))


def count(rows: np.ndarray) -> str:
    """How many of some rows, bool [R], are True."""
    return f"{np.count_nonzero(rows):,}"


def markdown(lines: list[list[str]]) -> str:
    """A table: the first line is its head."""
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *body])


TABLES = {
    "counts": counts_table,
    "duplicates": duplicates_table,
    "distances": distances_table,
    "people": people_table,
}


def update(text: str, tables: dict[str, str]) -> str:
    """A card with its tables replaced: each stands between `<!-- its name -->` and `<!-- end -->`.

    Raises:
        InvalidValue: the card has no place for one of the tables.
    """
    for name, table in tables.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(END)
        require(bool(mark and end), "card", name, "a place for this table: <!-- name --> … <!-- end -->")
        text = before + mark + table + end + after
    return text


def main() -> None:
    """Bring the tables of a data card up to date."""
    parser = argparse.ArgumentParser(description="Bring the tables of the data card up to date.")
    parser.add_argument("card", type=Path)
    card = parser.parse_args().card
    data = emoji_pictures(32)
    tables = {name: table(data) for name, table in TABLES.items()}
    atomic_write(card, update(card.read_text(encoding="utf-8"), tables))


if __name__ == "__main__":
    main()

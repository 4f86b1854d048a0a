"""Captioned pictures: what every source of data gives, and all that training asks of it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from minidalle.checkpoint import atomic_write
from minidalle.errors import require


class Skipped(NamedTuple):
    """A row that was left out, by the name its owner knows it by, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class CaptionedPictures:
    """R captioned pictures, each in one split.

    Args:
        captions: R captions, none of them blank.
        pictures: uint8 [R, S, S, 3]; may be a read-only memory map.
        splits: R names of splits, such as `train` and `dev`.
        columns: what else is known of the rows, R strings each: `key`, `style`, `role`, `gender`, `tone`, …
        skipped: the rows that were left out: they are in none of the above.
    """

    captions: list[str]
    pictures: np.ndarray
    splits: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        rows, size = len(self.captions), self.size
        shape = self.pictures.shape
        require(shape == (rows, size, size, 3), "pictures", shape, f"[{rows}, S, S, 3]")
        require(self.pictures.dtype == np.uint8, "pictures", self.pictures.dtype, "uint8")
        for name, column in {"splits": self.splits, **self.columns}.items():
            require(len(column) == rows, name, f"{len(column)} rows", f"{rows}, one for each caption")

    def __repr__(self) -> str:
        return f"CaptionedPictures({self.summary()})"

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def size(self) -> int:
        """S, the side of the pictures in pixels."""
        return self.pictures.shape[1]

    @property
    def toned(self) -> np.ndarray:
        """bool [R], the rows whose captions name a skin tone."""
        return self.columns["tone"] != "" if "tone" in self.columns else np.zeros(len(self), bool)

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split, ascending, int64.

        Raises:
            InvalidValue: there is no such split here.
        """
        known = sorted(set(self.splits.tolist()))
        require(split in known, "split", split, f"one of {', '.join(known) or 'none: there are no rows'}")
        return np.flatnonzero(self.splits == split)

    def named(self, rows: np.ndarray) -> str:
        """Words that name some rows to a person: the first captions, and how many there are."""
        return named_rows(self.captions, rows)

    def summary(self) -> str:
        """One line for a log: how many pictures, and which rows were left out."""
        line = f"{len(self):,} pictures of {self.size}×{self.size}"
        if not self.skipped:
            return line
        named = "; ".join(f"{name}: {reason}" for name, reason in self.skipped[:3])
        return f"{line}; {len(self.skipped):,} skipped ({named}{'; …' if len(self.skipped) > 3 else ''})"


class Captions(Protocol):
    """Texts by row, in memory or on disk."""

    def __getitem__(self, row: Any, /) -> str:
        """A row's: the row is a number, or what can be one."""


class CaptionedRows(Protocol):
    """Captioned pictures, or rows of tokens on disk: what the training of a BART asks of them."""

    @property
    def captions(self) -> Captions:
        """R captions."""

    @property
    def pictures(self) -> Any:
        """Gives uint8 [B, S, S, 3] for an array of B rows."""

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """What else is known of the rows, R strings each."""

    @property
    def toned(self) -> np.ndarray:
        """bool [R], the rows whose captions name a skin tone."""

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split, ascending, int64."""

    def named(self, rows: np.ndarray) -> str:
        """Words that name some rows to a person."""


def named_rows(captions: Captions, rows: np.ndarray) -> str:
    """The first captions of some rows, with the rows' numbers, and how many rows there are."""
    first = "; ".join(f"row {row}: {captions[row]}" for row in rows[:4])
    return f"{first}{' …' if len(rows) > 4 else ''} ({len(rows)} rows)"


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Write the rows that were left out to a table, if there are any."""
    if skipped:
        table = io.StringIO()
        csv.writer(table).writerows([("name", "reason"), *skipped])
        atomic_write(path, table.getvalue())


def is_blank(caption: str | None) -> bool:
    """Whether a caption says nothing."""
    return caption is None or not caption.strip()

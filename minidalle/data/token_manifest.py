"""What a machine says about its share of a data set that was encoded, and whether all shares are there and fit."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidalle.checkpoint import CheckpointError, load_json, save_json
from minidalle.data.config import DataConfig
from minidalle.data.token_parts import Encoding, PartNote, damage
from minidalle.data.token_records import TokenShape
from minidalle.errors import InvalidValue, require


@dataclass(frozen=True)
class Share:
    """Which parts of a data set are one machine's: those whose number is `index` modulo `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        require(0 <= self.index < self.count, "--shard", str(self), "I/N with 0 ≤ I < N, such as 0/4 … 3/4")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Share":
        """`1/4` → the second of four.

        Raises:
            InvalidValue: it is no such thing.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        require(found is not None, "--shard", text, "I/N with 0 ≤ I < N, such as 0/4 … 3/4")
        return cls(*map(int, text.split("/")))

    def has(self, part: int) -> bool:
        """Whether a part is this machine's."""
        return part % self.count == self.index

    def rows(self, total: int, part_rows: int) -> int:
        """How many of so many rows of a source are this machine's."""
        starts = np.arange(self.index, -(-total // part_rows), self.count, dtype=np.int64) * part_rows
        return int(np.minimum(total - starts, part_rows).sum())


@dataclass(frozen=True)
class Manifest:
    """One machine's share.

    source: what was read, and `stamp`, another one whenever it may have changed. source_rows, listing: how many rows
    it has, all shares together, and a digest of their names and captions; 0 and empty until the share is finished.
    parts: number, rows and bytes of words of each. skipped: how many rows were left out, by reason.
    """

    share: Share
    encoding: Encoding
    source: DataConfig
    stamp: str
    source_rows: int = 0
    listing: str = ""
    rows: int = 0
    parts: tuple[tuple[int, int, int], ...] = ()
    skipped: tuple[tuple[str, int], ...] = ()

    @property
    def finished(self) -> bool:
        """Whether all its parts are written."""
        return bool(self.listing)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"shard-{self.share.index}-of-{self.share.count}.json"

    @property
    def skipped_file(self) -> str:
        """The name of the table of rows that were left out."""
        return f"shard-{self.share.index}-of-{self.share.count}-skipped.csv"

    def save(self, folder: Path) -> None:
        """Write it."""
        shape = self.encoding.shape.dtype
        record = {"bytes": shape.itemsize, "fields": [list(field) for field in shape.descr]}
        save_json(folder / self.file, {"finished": self.finished, **asdict(self), "record": record})

    def damage(self, folder: Path) -> str:
        """The first of its files that is missing or has not its size, in words; empty if all are as they should be."""
        dtype = self.encoding.shape.dtype
        return next(filter(None, (damage(folder, *part, dtype) for part in self.parts)), "")


def finish(begun: Manifest, notes: Sequence[PartNote], source_rows: int, listing: str) -> Manifest:
    """The manifest of a share whose parts are all written."""
    reasons = Counter(re.sub(r"\d+", "#", row.reason) for note in notes for row in note.skipped)
    return Manifest(begun.share, begun.encoding, begun.source, begun.stamp, source_rows, listing,
                    sum(note.rows for note in notes), tuple((note.part, note.rows, note.words) for note in notes),
                    tuple(sorted(reasons.items())))  # fmt: skip


def load_manifest(path: Path) -> Manifest:
    """Read what `Manifest.save` wrote.

    Raises:
        CheckpointError: it is damaged, or something else.
    """
    noted: dict[str, Any] = load_json(path)
    try:
        own = dict(noted["encoding"])
        encoding = Encoding(**{**own, "shape": TokenShape(**own["shape"])})
        return Manifest(Share(**noted["share"]), encoding, DataConfig(**noted["source"]), noted["stamp"],
                        noted["source_rows"], noted["listing"], noted["rows"], tuple(map(tuple, noted["parts"])),
                        tuple(map(tuple, noted["skipped"])))  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is not what minidalle encode writes: {error!r}") from error


def manifests(folder: Path) -> list[Manifest]:
    """All that a folder holds."""
    return [load_manifest(path) for path in sorted(folder.glob("shard-*-of-*.json"))]


def complete(folder: Path) -> list[Manifest]:
    """The manifests of all shares of a data set, each finished and all of one encoding and one source.

    Raises:
        InvalidValue: shares are missing, each is named; or they do not belong together.
        CheckpointError: a file is damaged.
    """
    found = manifests(folder)
    wanted = "a folder that minidalle encode has written: no shard-*.json is there"
    require(bool(found), "--tokens", str(folder), wanted)
    done = [one for one in found if one.finished]
    by_count = {count: [one for one in done if one.share.count == count] for count in {m.share.count for m in found}}
    count = max(by_count, key=lambda count: len(by_count[count]) / count)
    whole = by_count[count]
    missing = sorted(set(range(count)) - {one.share.index for one in whole})
    if missing:
        begun = {one.share.index for one in found if one.share.count == count}
        said = ", ".join(f"{i}/{count} is {'not finished' if i in begun else 'missing'}" for i in missing)
        raise InvalidValue(f"--tokens={str(folder)!r}: expected all shards of {count}: {said}")
    check_together(folder, whole)
    for one in whole:
        if wrong := one.damage(folder):
            raise CheckpointError(f"{wrong}: copy it again, or give minidalle encode --shard {one.share} again")
    return whole


def check_together(folder: Path, found: Sequence[Manifest]) -> None:
    """Refuse shares of several encodings or sources, in one line that names two of them.

    Raises:
        InvalidValue: they do not belong together.
    """
    first = found[0]
    for other in found[1:]:
        here, there = (
            {**asdict(one.encoding), "rows of data": one.source_rows, "names and captions": one.listing}
            for one in (first, other)
        )
        differ = [f"{name} ({here[name]} and {there[name]})" for name in here if here[name] != there[name]]
        if differ:
            raise InvalidValue(
                f"--tokens={str(folder)!r}: expected shards of one data set, encoded by one tokenizer and one VQGAN; "
                f"{first.share} and {other.share} differ in {', '.join(differ)}"
            )

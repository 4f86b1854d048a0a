"""A data set of tokens on disk: rows are read when a batch wants them, and nothing grows with the number of rows but
what says which rows there are."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch
from torch import Tensor

from minidalle.checkpoint import CheckpointError
from minidalle.data.foreign import draw_dev
from minidalle.data.pictures import named_rows
from minidalle.data.store import fingerprint
from minidalle.data.token_manifest import complete
from minidalle.data.token_parts import read_words, records_file, records_header
from minidalle.data.token_records import unpack
from minidalle.data.tokens import TokenizedPictures
from minidalle.errors import require

KEPT = 2  # batches whose records are kept: those of a step's rows, and of the rows that noise is taken from
MOST_DEV = 4096  # rows of `dev` that are measured: a tenth of millions would take longer than the training

Paint = Callable[[Tensor], np.ndarray]  # image tokens, long [B, N] → uint8 [B, S, S, 3]


class TokenShards:
    """What `minidalle encode` wrote, for training: both the tokens and the words of the rows.

    Args:
        folder: holds all shares.
        paint: paints image tokens, for who wants to see the pictures.
        most_dev: so many rows of `dev` are used at most.

    Raises:
        InvalidValue, CheckpointError: see `complete`.
    """

    columns: Mapping[str, np.ndarray] = {}  # nothing else is known of the rows

    def __init__(self, folder: Path, paint: Paint | None = None, most_dev: int = MOST_DEV) -> None:
        shares = complete(folder)
        self.folder, self.paint, self.most_dev = folder, paint, most_dev
        self.source, self.encoding = shares[0].source, shares[0].encoding
        self.shape, self.dtype = self.encoding.shape, self.encoding.shape.dtype
        parts = sorted(part for share in shares for part in share.parts)
        self.digest = fingerprint(self.encoding.name, shares[0].listing, [part[:2] for part in parts])
        length, cells = self.shape.text_length, self.shape.image_length
        self.text, self.text_mask = Column(self, "text", length), Column(self, "text_mask", length)
        self.image, self.colors = Column(self, "image", cells), Column(self, "colors", cells, 3)
        self._recent: dict[bytes, np.ndarray] = {}
        self.parts = [part for part, _, _ in parts]
        self.ends = np.cumsum([rows for _, rows, _ in parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def captions(self) -> "CaptionColumn":
        """The rows' captions, read when they are asked for."""
        return CaptionColumn(self)

    @property
    def pictures(self) -> "PaintedPictures":
        """The rows' pictures as their tokens show them."""
        return PaintedPictures(self)

    @property
    def toned(self) -> np.ndarray:
        """bool [R], the rows whose captions name a skin tone: none, as only the bundled emoji are known to."""
        return np.zeros(len(self), bool)

    def take(self, rows: Tensor) -> TokenizedPictures:
        """Some rows: long [B], which ones → B rows in this order, each read by itself.

        Raises:
            InvalidValue: there is no such row.
            CheckpointError: a file has been removed or cut off meanwhile.
        """
        key = rows.numpy().tobytes()  # a batch's columns are asked for one after the other
        if key not in self._recent:
            self._recent = {**dict(list(self._recent.items())[-KEPT + 1 :]), key: self._read(rows.numpy())}
        return unpack(self.shape, self._recent[key])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """The records of some rows."""
        records = np.empty(len(rows), self.dtype)
        places = records.view(np.uint8).reshape(len(rows), self.dtype.itemsize)
        for part, own, within in self.by_part(rows):
            path = records_file(self.folder, self.parts[part])
            start = len(records_header(self.dtype, self._rows_of(part)))
            try:
                with open(path, "rb", buffering=0) as file:
                    for place, row in zip(own, within, strict=True):
                        file.seek(start + int(row) * self.dtype.itemsize)
                        if file.readinto(places[place]) != self.dtype.itemsize:
                            raise CheckpointError(f"cannot read {path}: it ends before row {row}")
            except OSError as error:
                raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
        return records

    def by_part(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The rows, part by part: which part, which of the rows are in it, and which rows of the part they are."""
        outside = rows[(rows < 0) | (rows >= len(self))]
        require(not len(outside), "row", int(outside[0]) if len(outside) else None, f"0 … {len(self) - 1}")
        parts = np.searchsorted(self.ends, rows, side="right")
        order = np.argsort(parts, kind="stable")
        for own in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1) if len(rows) else ():
            part = int(parts[own[0]])
            yield part, own, rows[own] - (self.ends[part] - self._rows_of(part))

    def rows(self, split: str) -> np.ndarray:
        """The rows of `train` or `dev`, ascending, int64; of `dev` at most `most_dev`, evenly spread.

        Raises:
            InvalidValue: there is no such split here.
        """
        require(split in ("train", "dev"), "split", split, "one of dev, train")
        if split == "train":
            return np.flatnonzero(~self._dev)
        rows = np.flatnonzero(self._dev)
        most = min(len(rows), self.most_dev)
        return rows[np.arange(most) * len(rows) // max(most, 1)]

    def named(self, rows: np.ndarray) -> str:
        """Words that name some rows to a person: the first captions, and how many there are."""
        return named_rows(self.captions, rows)

    @cached_property
    def _dev(self) -> np.ndarray:
        """bool [R]: the source's own validation split, or else drawn by lot, as it is for pictures."""
        lots, own = np.empty(len(self)), np.empty(len(self), bool)
        for part, end in enumerate(self.ends):
            words, here = read_words(self.folder, self.parts[part]), slice(end - self._rows_of(part), end)
            lots[here] = words["lot"].to_numpy()
            own[here] = pc.equal(words["split"], "dev").to_numpy()
        return own if own.any() or not len(lots) else draw_dev(lots)

    def _rows_of(self, part: int) -> int:
        return int(self.ends[part] - (self.ends[part - 1] if part else 0))


class Column:
    """One field of all rows, read when it is indexed: `shards.image[rows]`, as if it were a tensor."""

    def __init__(self, shards: TokenShards, name: str, *row: int) -> None:
        self.shards, self.name, self.row = shards, name, row

    @property
    def shape(self) -> tuple[int, ...]:
        """R, and the shape of a row."""
        return (len(self.shards), *self.row)

    def __getitem__(self, index: Tensor | tuple[Tensor, slice]) -> Tensor:
        """Long [B] → [B, …]; (long [B], a slice) → the slice of each of B rows."""
        rows, within = index if isinstance(index, tuple) else (index, slice(None))
        return getattr(self.shards.take(rows), self.name)[:, within]


class CaptionColumn:
    """The captions of all rows, each read when it is asked for."""

    def __init__(self, shards: TokenShards) -> None:
        self.shards = shards

    def __getitem__(self, row: int | np.integer | Tensor) -> str:
        if not 0 <= row < len(self.shards):
            raise IndexError(f"row {row} of {len(self.shards)}")
        ((part, _, within),) = self.shards.by_part(np.array([int(row)]))
        return read_words(self.shards.folder, self.shards.parts[part])["caption"][int(within[0])].as_py()


class PaintedPictures:
    """Rows of pictures, painted from their tokens when they are asked for."""

    def __init__(self, shards: TokenShards) -> None:
        self.shards = shards

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [B, S, S, 3].

        Raises:
            InvalidValue: there is nobody to paint them.
        """
        require(self.shards.paint is not None, "paint", None, "a function that paints image tokens")
        assert self.shards.paint
        return self.shards.paint(self.shards.take(torch.from_numpy(rows)).image)

"""A data set of tokens on disk: rows are read when a batch wants them, and nothing grows with the number of rows but
what says which rows there are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

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
        self.parts = [part for part, _, _ in parts]
        self.ends = np.cumsum([rows for _, rows, _ in parts], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def image_length(self) -> int:
        """N, the image tokens of a picture."""
        return self.shape.image_length

    @property
    def captions(self) -> "Captions":
        """The rows' captions, read when they are asked for."""
        return Captions(self)

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
            CheckpointError: a file has been removed or cut off meanwhile.
        """
        records = np.empty(len(rows), self.dtype)
        places = records.view(np.uint8).reshape(len(rows), self.dtype.itemsize)
        for part, own, within in self.by_part(rows.numpy()):
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
        return unpack(self.shape, records)

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
        if own.any():
            return own
        return draw_dev(lots)

    def _rows_of(self, part: int) -> int:
        return int(self.ends[part] - (self.ends[part - 1] if part else 0))


class Captions(Sequence[str]):
    """The captions of rows on disk."""

    def __init__(self, shards: TokenShards) -> None:
        self.shards = shards

    def __len__(self) -> int:
        return len(self.shards)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
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

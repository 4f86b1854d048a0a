"""One pass through a source of pictures: the parts of a share that are not there yet are decoded, encoded, written."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import torch

from minidalle.data.foreign import decode_row
from minidalle.data.pictures import Skipped, write_skipped
from minidalle.data.pixels import pictures_at_once, to_floats
from minidalle.data.rows import RawRow, RawSource
from minidalle.data.token_manifest import Manifest, finish
from minidalle.data.token_parts import Part, noted_part, write_part
from minidalle.data.tokens import cell_sums
from minidalle.training.codec import Codec
from minidalle.training.loop import Interrupted

BATCH = 64
"""Pictures that the VQGAN encodes at a time, always; of large ones as `pictures_at_once` says. In a batch of another
size the last bits of its latents differ, and where two codes are as near as that, so does the token."""

AHEAD = 2 * BATCH  # pictures that are decoded meanwhile, and may be in memory as files

Decoded = tuple[np.ndarray, float] | str  # a picture and its lot, or why there is none


class Row(NamedTuple):
    """A row of a source: its place among all rows of all splits, its split, and the row."""

    number: int
    split: str
    raw: RawRow


class Encoder:
    """Goes through a source once, and writes the parts of one share that are not there yet.

    Args:
        codec: makes the tokens.
        begun: the share's manifest, as it is at the start.
        out: where to write.
        pool: decodes pictures.
        stop: set when it is to stop.
        tell: called after every batch with rows done, left out, and done before.
    """

    def __init__(
        self,
        codec: Codec,
        begun: Manifest,
        out: Path,
        pool: ThreadPoolExecutor,
        stop: Event,
        tell: Callable[[int, int, int], None],
    ) -> None:
        self.codec, self.begun, self.out, self.pool, self.stop, self.tell = codec, begun, out, pool, stop, tell
        self.device = next(codec.vqgan.parameters()).device
        self.listing = hashlib.blake2b(digest_size=8)
        self.batch = pictures_at_once(begun.encoding.shape.image_size, BATCH)
        self.rows = self.skipped = self.before = self.seen = 0

    def encode(self, source: RawSource) -> Manifest:
        """Write the parts.

        Returns:
            The finished manifest.
        """
        notes = []
        for number, rows in groupby(self._listed(source), lambda row: row.number // self.begun.encoding.part_rows):
            if self.begun.share.has(number):
                note = noted_part(self.out, number, self.begun.encoding)
                if note is None:
                    note = write_part(self.out, number, self.begun.encoding, self._part(rows))
                else:
                    self.rows, self.before = self.rows + note.source_rows, self.before + note.source_rows
                    self.skipped += len(note.skipped)
                notes.append(note)
            self._check()
        write_skipped(self.out / self.begun.skipped_file, [row for note in notes for row in note.skipped])
        return finish(self.begun, notes, self.seen, self.listing.hexdigest())

    def _listed(self, source: RawSource) -> Iterator[Row]:
        """All rows of the source, whose names and captions go into the listing."""
        for split, read in source.splits().items():
            for raw in islice(read(), self.begun.source.most):
                self.listing.update(repr((split, raw.name, raw.caption)).encode(errors="backslashreplace"))
                self.seen += 1
                yield Row(self.seen - 1, split, raw)

    def _part(self, rows: Iterator[Row]) -> Part:
        """Encode the rows of a part, a batch at a time."""
        words: dict[str, list[Any]] = {name: [] for name in ("caption", "key", "split", "lot")}
        # Filled in place: small pieces that are kept between large ones that are not would break the memory up.
        records = np.empty(self.begun.encoding.part_rows, self.begun.encoding.shape.dtype)
        batch: list[np.ndarray] = []
        skipped: list[Skipped] = []
        count = kept = 0
        for row, result in self._decoded(rows):
            count, self.rows = count + 1, self.rows + 1
            if isinstance(result, str):
                skipped.append(Skipped(row.raw.name, result))
                self.skipped += 1
                continue
            picture, lot = result
            for name, word in zip(words, (row.raw.caption, row.raw.name, row.split, lot), strict=True):
                words[name].append(word)
            batch.append(picture)
            if len(batch) == self.batch:
                self._encode(batch, records[kept : kept + len(batch)])
                batch, kept = [], kept + len(batch)
        if batch:
            self._encode(batch, records[kept : kept + len(batch)])
        records = records[: kept + len(batch)]
        text, mask = self.codec.tokenizer.encode_batch(words["caption"])
        records["text"], records["length"] = text.numpy(), mask.sum(1).numpy()
        return Part(count, records, words, skipped)

    def _decoded(self, rows: Iterator[Row]) -> Iterator[tuple[Row, Decoded]]:
        """Rows with their pictures and lots, or why there is none; some are decoded ahead."""
        decode = partial(decode_row, self.begun.encoding.shape.image_size)
        waiting: deque[tuple[Row, Future[Decoded]]] = deque()
        for row in rows:
            waiting.append((row, self.pool.submit(decode, row.raw)))
            if len(waiting) > AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for row, future in waiting:
            yield row, future.result()

    @torch.inference_mode()
    def _encode(self, batch: list[np.ndarray], records: np.ndarray) -> None:
        """Fill in image tokens and colors of at most a batch of pictures; white ones make up the number."""
        pictures = np.full((self.batch, *batch[0].shape), 255, np.uint8)
        pictures[: len(batch)] = batch
        records["image"] = self.codec.vqgan.encode(to_floats(pictures, self.device))[: len(batch)].cpu().numpy()
        records["colors"] = cell_sums(pictures[: len(batch)], records["image"].shape[1])
        self.tell(self.rows, self.skipped, self.before)
        self._check()

    def _check(self) -> None:
        if self.stop.is_set():
            raise Interrupted("encode: stopped; all parts that were finished are saved")

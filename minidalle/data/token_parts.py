"""Encoded rows on disk, in parts: the rows 4096 p to 4096 p + 4095 of the source are part p, whoever encodes them.

A part is two files: `part-000003.npy`, its records, and `part-000003.arrow`, what is known of its rows: caption, key,
the source's own split, the lot. Rows that were skipped are in neither; the latter's metadata list them. It is written
last: a part that has it is whole.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from minidalle.checkpoint import CheckpointError, atomic_write
from minidalle.data.pictures import Skipped
from minidalle.data.store import fingerprint
from minidalle.data.token_records import TokenShape

PART_ROWS = 4096
META = b"minidalle"
WORDS = pa.schema({"caption": pa.string(), "key": pa.string(), "split": pa.string(), "lot": pa.float64()})


@dataclass(frozen=True)
class Encoding:
    """What made the tokens: fingerprints of the tokenizer and the VQGAN, what they make, and how it is cut up."""

    tokenizer: str
    vqgan: str
    shape: TokenShape
    part_rows: int = PART_ROWS

    @property
    def name(self) -> str:
        """A short name: two encodings of one name give the same tokens."""
        return fingerprint(asdict(self))


class Part(NamedTuple):
    """What a part holds: the number of rows it was made of, its records, its words by column, who was left out."""

    source_rows: int
    records: np.ndarray
    words: Mapping[str, Sequence[Any]]
    skipped: Sequence[Skipped]


class PartNote(NamedTuple):
    """What is to be known of a part on disk without reading it: rows, bytes of the words' file, who was left out."""

    part: int
    source_rows: int
    rows: int
    words: int
    skipped: tuple[Skipped, ...]


def records_file(folder: Path, part: int) -> Path:
    """Where the records of a part are."""
    return folder / f"part-{part:06d}.npy"


def words_file(folder: Path, part: int) -> Path:
    """Where the words of a part are."""
    return folder / f"part-{part:06d}.arrow"


@lru_cache(maxsize=64)
def records_header(dtype: np.dtype, rows: int) -> bytes:
    """What stands before the records of a part, in NumPy's own format."""
    file = io.BytesIO()
    shape = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows,)}
    npy.write_array_header_1_0(file, shape)
    return file.getvalue()


def write_part(folder: Path, number: int, encoding: Encoding, part: Part) -> PartNote:
    """Write a part; the same part is the same bytes.

    Raises:
        CheckpointError: it cannot be written.
    """
    about = {"encoding": encoding.name, "source_rows": part.source_rows, "skipped": part.skipped}
    table = pa.table(dict(part.words), schema=WORDS.with_metadata({META: json.dumps(about).encode()}))
    header = records_header(part.records.dtype, len(part.records))
    atomic_write(records_file(folder, number), header + part.records.tobytes())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    atomic_write(words_file(folder, number), content)
    return PartNote(number, part.source_rows, len(part.records), len(content), tuple(part.skipped))


def noted_part(folder: Path, number: int, encoding: Encoding) -> PartNote | None:
    """A part that is there, whole, and of this encoding; else None."""
    try:
        table = read_words(folder, number)
        about = json.loads(table.schema.metadata[META])
        note = PartNote(number, about["source_rows"], len(table), words_file(folder, number).stat().st_size,
                        tuple(Skipped(*row) for row in about["skipped"]))  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError, CheckpointError):
        return None
    whole = not damage(folder, note.part, note.rows, note.words, encoding.shape.dtype)
    return note if whole and about["encoding"] == encoding.name else None


def damage(folder: Path, part: int, rows: int, words: int, dtype: np.dtype) -> str:
    """What is wrong with the sizes of a part's files, in words; empty if nothing is."""
    records = len(records_header(dtype, rows)) + rows * dtype.itemsize
    for path, size in ((records_file(folder, part), records), (words_file(folder, part), words)):
        try:
            found = path.stat().st_size
        except OSError:
            return f"{path}: there is no such file"
        if found != size:
            return f"{path}: {found:,} bytes, where {size:,} are expected"
    return ""


def read_words(folder: Path, part: int) -> pa.Table:
    """The words of a part, memory-mapped: only what is looked at is read.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = words_file(folder, part)
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise CheckpointError(f"cannot read {path}: {' '.join(str(error).split())}") from error

"""Decoded pictures in one file of the cache: written one by one, so that they need not fit into memory."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minidalle.checkpoint import CheckpointError, atomic_write, load_json, save_json
from minidalle.data.pictures import CaptionedPictures, Skipped


def fingerprint(*what: Any) -> str:
    """A short name for anything that prints as what it is."""
    return hashlib.blake2b(repr(what).encode(errors="backslashreplace"), digest_size=8).hexdigest()


def file_stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does: its size, and when it was written in nanoseconds. None if there is no file."""
    try:
        return path.stat().st_size, path.stat().st_mtime_ns
    except (OSError, ValueError):  # ValueError: no file can have this name
        return None


def stored_pictures(path: Path) -> CaptionedPictures | None:
    """What `store_pictures` wrote, memory-mapped; None if it is missing or not what it should be."""
    try:
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
        words = load_json(path.with_suffix(".json"))
        return CaptionedPictures(
            captions=words["captions"],
            pictures=pictures,
            splits=np.array(words["splits"], dtype=str),
            columns={"key": np.array(words["keys"], dtype=str)},
            skipped=tuple(Skipped(*row) for row in words["skipped"]),
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, CheckpointError):
        return None


def store_pictures(path: Path, size: int, pictures: Iterable[np.ndarray], words: Mapping[str, Any]) -> None:
    """Write pictures, and what is to be said of them.

    Args:
        path: ends in .npy; the words go beside it, to .json.
        size: S.
        pictures: uint8 [S, S, 3] each.
        words: captions, splits, keys and skipped; looked at when the last picture has been written.

    Raises:
        CheckpointError: the cache cannot be written. An error of `pictures` comes through and leaves nothing behind.
    """

    def write(draft: Path) -> None:
        with open(draft, "wb") as file:
            _header(file, 0, size)
            count = 0
            for picture in pictures:
                file.write(picture.tobytes())
                count += 1
            file.seek(0)
            _header(file, count, size)  # of the same length: NumPy leaves room for the first number to grow

    atomic_write(path, write)
    save_json(path.with_suffix(".json"), words)


def _header(file: BinaryIO, count: int, size: int) -> None:
    shape = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    np.lib.format.write_array_header_1_0(file, shape)

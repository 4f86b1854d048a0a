"""Where the pictures of a run come from: noted in its folder, so that they are found again and known again."""

import hashlib
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from minidalle.checkpoint import load_json
from minidalle.data.config import DataConfig
from minidalle.data.emoji import emoji_pictures
from minidalle.data.foreign import COMMIT, Progress, foreign_pictures, located
from minidalle.data.pictures import CaptionedPictures

CHUNK = 4096  # pictures hashed at a time


def open_pictures(data: DataConfig | None, size: int, progress: Progress | None = None) -> CaptionedPictures:
    """The pictures of a source, or the bundled emoji if there is none; decoded or rendered at most once.

    Args:
        data: the source.
        size: S, the side of the pictures in pixels.
        progress: called with the number of rows done while the pictures of a source are decoded.
    """
    return emoji_pictures(size) if data is None else foreign_pictures(data, size, progress)


def data_of(run: Path) -> DataConfig | None:
    """The source that a run was trained on; None for the bundled emoji.

    Raises:
        CheckpointError: the folder holds no run.
    """
    noted = load_json(run / "run.json").get("data")
    return noted and DataConfig(**{field.name: noted[field.name] for field in fields(DataConfig)})


def settled(data: DataConfig | None, noted: dict[str, Any] | None) -> DataConfig | None:
    """A source by the name to read it by: a run keeps to the revision of a Hub data set that it began with."""
    if data is None:
        return None
    begun = noted["source"] if noted else ""
    if COMMIT.fullmatch(begun.removeprefix(f"{data.source}@")):
        return replace(data, source=begun)
    return located(data)


def note_data(data: DataConfig | None, pictures: CaptionedPictures) -> dict[str, Any] | None:
    """What a run's folder says about its pictures: their source, and a digest of all that training sees of them."""
    if data is None:
        return None
    digest = hashlib.blake2b(json.dumps([pictures.captions, pictures.splits.tolist()]).encode(), digest_size=8)
    for start in range(0, len(pictures), CHUNK):
        digest.update(pictures.pictures[start : start + CHUNK].tobytes())
    return {**asdict(data), "pictures": len(pictures), "digest": digest.hexdigest()}


def other_data(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    """How the pictures of a run differ from others, in words; empty if they are the same, wherever they lie."""
    if (old and old["digest"]) == (new and new["digest"]):
        return ""
    return f"data: {_named(old)} → {_named(new)}"


def _named(note: dict[str, Any] | None) -> str:
    return f"{note['pictures']} pictures of {note['source']} ({note['digest']})" if note else "the bundled emoji"

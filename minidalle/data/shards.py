"""Webdataset shards: tar files in which `0001.jpg` and `0001.txt` (or `0001.json`) are one row."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from minidalle.data.config import DataConfig
from minidalle.data.render import UnreadablePicture
from minidalle.data.rows import PICTURES, RawRow, first_caption, pick_column
from minidalle.errors import InvalidValue

# `datasets` has a builder for these, which is used for shards on the Hub. It refuses a shard in which one row is a .png
# among .jpgs or has lost its caption, and ends at the first .txt that is not UTF-8. Here such rows are skipped.

TEXTS = ("txt", "text", "caption", "json")

Files = dict[str, bytes]  # of one row: what follows the first dot of the file's name → its content


def shard_rows(shards: Sequence[Path], config: DataConfig) -> Iterator[RawRow]:
    """The rows of some shards, in order.

    Args:
        shards: tar files, compressed or not.
        config: `image_column` and `caption_column` are endings here, such as `jpg` and `txt`.

    Raises:
        InvalidValue: a file is no tar, or is cut off; or a row has several pictures and none was asked for.
    """
    for shard in shards:
        for name, files in _grouped(shard):
            picture = partial(_content, files, _ending(files, config.image_column))
            yield RawRow(f"{shard.name}/{name}", _caption(files, config), picture)


def _ending(files: Files, asked: str | None) -> str:
    """Which of a row's files is its picture; none if the row has no picture."""
    pictures = {ending: True for ending in files if f".{ending.lower()}" in PICTURES}
    return asked or (pick_column("image", (), pictures, None) if pictures else "")


def _content(files: Files, ending: str) -> bytes:
    if ending not in files:
        raise UnreadablePicture("there is no such file")
    return files[ending]


def _grouped(shard: Path) -> Iterator[tuple[str, Files]]:
    """Neighboring files whose names are the same up to the first dot."""
    name, files = "", Files()
    try:
        with tarfile.open(shard) as archive:
            for member in archive:
                folder, _, file = member.name.rpartition("/")
                stem, _, ending = file.partition(".")
                content = archive.extractfile(member) if member.isfile() and stem and ending else None
                if content is None:
                    continue
                if f"{folder}/{stem}" != name and files:
                    yield name.lstrip("/"), files
                    files = Files()
                name, files = f"{folder}/{stem}", {**files, ending: content.read()}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidValue(f"{shard}: expected a whole tar file ({error})") from error
    if files:
        yield name.lstrip("/"), files


def _caption(files: Files, config: DataConfig) -> str:
    asked = config.caption_column
    for ending in (asked,) if asked in files else TEXTS:
        text = files.get(ending or "", b"").decode("utf-8", errors="replace")
        if ending == "json":
            text = _json_caption(text, asked)
        if caption := first_caption(text):
            return caption
    return ""


def _json_caption(text: str, asked: str | None) -> str:
    """The caption in a JSON object; empty if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return first_caption(value[asked] if isinstance(value, dict) and asked in value else value)

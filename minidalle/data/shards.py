"""Webdataset shards: tar files in which `0001.jpg` and `0001.txt` (or `0001.json`) are one row."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from minidalle.data.config import DataConfig
from minidalle.data.render import UnreadablePicture
from minidalle.data.rows import PICTURES, RawRow, first_caption, pick_column, printable
from minidalle.errors import InvalidValue

# `datasets` has a builder for these, which is used for shards on the Hub. It refuses a shard in which one row is a .png
# among .jpgs or has lost its caption, and ends at the first .txt that is not UTF-8. Here such rows are skipped.

TEXTS = ("txt", "text", "caption", "json")

Files = dict[str, Callable[[], bytes]]  # of one row: what follows the first dot of the file's name → its content


def shard_rows(shards: Sequence[Path], config: DataConfig) -> Iterator[RawRow]:
    """The rows of some shards, in order.

    Args:
        shards: tar files, compressed or not.
        config: `image_column` and `caption_column` are endings here, such as `jpg` and `txt`.

    Raises:
        InvalidValue: a file is no tar, is cut off, or cannot be read any more; or a row has several pictures and
            none was asked for.
    """
    for shard in shards:
        for name, files in _grouped(shard):
            picture = partial(_content, files, _ending(files, config.image_column))
            yield RawRow(printable(f"{shard.name}/{name}"), _caption(files, config), picture)


def count_shard_rows(shards: Sequence[Path]) -> int | None:
    """How many rows there are; None if a shard is compressed, which would have to be read from end to end."""
    if any(shard.suffix != ".tar" for shard in shards):
        return None
    return sum(1 for shard in shards for _ in _grouped(shard))


def _ending(files: Files, asked: str | None) -> str:
    """Which of a row's files is its picture; none if the row has no picture."""
    pictures = {ending: True for ending in files if f".{ending.lower()}" in PICTURES}
    return asked or (pick_column("image", (), pictures, None) if pictures else "")


def _content(files: Files, ending: str) -> bytes:
    if ending not in files:
        raise UnreadablePicture("there is no such file")
    return files[ending]()


def _grouped(shard: Path) -> Iterator[tuple[str, Files]]:
    """Neighboring files whose names are the same up to the first dot. Nothing is read yet, unless it is compressed."""
    name, files = "", Files()
    try:
        with tarfile.open(shard) as archive:
            plain = isinstance(archive.fileobj, io.BufferedReader)
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # or it would keep all that it has seen
                folder, _, file = member.name.rpartition("/")
                stem, _, ending = file.partition(".")
                if not (member.isfile() and stem and ending):
                    continue
                if f"{folder}/{stem}" != name and files:
                    yield name.lstrip("/"), files
                    files = Files()
                name, files = f"{folder}/{stem}", {**files, ending: _reader(shard, archive, member, plain)}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidValue(f"{shard}: expected a whole tar file ({error})") from error
    if files:
        yield name.lstrip("/"), files


def _reader(shard: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, plain: bool) -> Callable[[], bytes]:
    """How to get a file's content: where nothing is compressed, when it is asked for, so that rows can be passed by."""
    if plain and not member.issparse():
        return partial(_read_at, shard, member.offset_data, member.size)
    file = archive.extractfile(member)
    content = file.read() if file else b""
    return lambda: content


def _read_at(shard: Path, offset: int, size: int) -> bytes:
    """A file's content. Pictures that cannot be reached now must not pass for pictures that are corrupt.

    Raises:
        InvalidValue: the shard has gone or was cut off since its rows were listed, or the disk fails.
    """
    try:
        with open(shard, "rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise InvalidValue(f"{shard}: cannot be read: {error.strerror or error}") from error
    if len(content) < size:
        raise InvalidValue(f"{shard}: cannot be read: it was cut off meanwhile")
    return content


def _caption(files: Files, config: DataConfig) -> str:
    asked = config.caption_column
    for ending in (asked,) if asked in files else TEXTS:
        text = files[ending]().decode("utf-8", errors="replace") if ending in files else ""
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

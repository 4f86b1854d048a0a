"""A folder of pictures with captions beside them."""

import csv
import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from minidalle.data.config import DataConfig
from minidalle.data.rows import (
    CAPTION_COLUMNS,
    DEV,
    IMAGE_COLUMNS,
    PICTURES,
    TEST,
    TRAIN,
    RawRow,
    RawSource,
    Rows,
    first_caption,
    pick_column,
    printable,
    split_roles,
)
from minidalle.data.store import file_stamp, fingerprint
from minidalle.errors import InvalidValue

TABLES = ("captions.csv", "metadata.csv", "metadata.jsonl")
HIDDEN = re.compile(r"\.|__MACOSX$")

# `datasets` reads such folders too, but gives up at the first file that a table names and nobody has, knows no
# captions in .txt files, and is no part of the plain installation. A folder is what most people have: it needs nothing.

Captioned = tuple[str, str]  # the picture's file, relative to the folder with forward slashes, and its caption


def folder_source(folder: Path, config: DataConfig) -> RawSource | None:
    """Read the captions of a folder and of all folders in it; the pictures are left for later.

    The captions stand in tables, `captions.csv`, `metadata.csv` or `metadata.jsonl`, each naming files relative to
    its own folder (columns `file_name`, and `caption` or `text`), or, if there is none, in a `.txt` file beside each
    picture. If all pictures are in folders called `train`, `validation`, `test`, these are the splits.

    Returns:
        The rows, sorted as the files are; None if there is no caption anywhere.

    Raises:
        InvalidValue: a table has not the columns, or is no such table.
    """
    tables = [first for place in [folder, *visible(folder)] if (first := _table_of(place))]
    found = [row for table in tables for row in _table_rows(table, folder, config)] if tables else _text_rows(folder)
    if not tables and not any(caption for _, caption in found):
        return None
    tops = {name.split("/")[0] if "/" in name else "" for name, _ in found}
    split_by_folder = tops <= {*TRAIN, *DEV, *TEST}
    label = (lambda name: name.split("/")[0]) if split_by_folder else (lambda name: "train")
    roles = split_roles(sorted(tops) if split_by_folder else ["train"], config.split)
    rows: dict[str, list[Captioned]] = {role: [] for role in roles.values()}
    for name, caption in found:
        if label(name) in roles:
            rows[roles[label(name)]].append((name, caption))
    known = [(role, *row, file_stamp(folder / row[0])) for role, some in rows.items() for row in some]
    splits: Rows = {role: partial(_raw, folder, some) for role, some in rows.items()}
    return RawSource(fingerprint(known), lambda: splits, lambda: {role: len(some) for role, some in rows.items()})


def _raw(folder: Path, rows: Iterable[Captioned]) -> Iterator[RawRow]:
    for name, caption in rows:
        yield RawRow(printable(name), caption, partial(_content, folder / name))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except ValueError:  # a null byte or half a character, which no file's name has
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None


def visible(folder: Path) -> list[Path]:
    """Everything in a folder and the folders in it, sorted, but for what systems hide there."""
    within = sorted(folder.rglob("*"))
    return [path for path in within if not any(HIDDEN.match(part) for part in path.relative_to(folder).parts)]


def _table_of(folder: Path) -> Path | None:
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def _table_rows(path: Path, folder: Path, config: DataConfig) -> Iterator[Captioned]:
    """A table's files, made relative to the whole folder, with their captions."""
    rows = list(_jsonl(path) if path.suffix == ".jsonl" else _csv(path))
    columns = dict.fromkeys([name for row in rows for name in row], True)
    if not rows:
        return
    image = pick_column("image", IMAGE_COLUMNS, {name: name in IMAGE_COLUMNS for name in columns}, config.image_column)
    rest = {name: name != image for name in columns}
    caption = pick_column("caption", CAPTION_COLUMNS, rest, config.caption_column)
    place = path.parent.relative_to(folder)
    for row in rows:
        yield (place / str(row.get(image) or "")).as_posix(), first_caption(row.get(caption))


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                yield {name: value for name, value in row.items() if name is not None}  # None: more cells than columns
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidValue(f"{path}: expected a table in UTF-8 with commas between its columns ({error})") from error


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")  # captions may hold other line ends raw
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line.strip() or "{}")
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InvalidValue(f'{path}, line {number}: expected a JSON object such as {{"file_name": …, "text": …}}')
        if row:
            yield row


def _text_rows(folder: Path) -> list[Captioned]:
    """Every picture, with what its text file says."""
    pictures = [path for path in visible(folder) if path.suffix.lower() in PICTURES and path.is_file()]
    beside = [(path, path.with_suffix(".txt")) for path in pictures]
    return [
        (
            path.relative_to(folder).as_posix(),
            first_caption(text.read_text(encoding="utf-8-sig", errors="replace")) if text.is_file() else "",
        )
        for path, text in beside
    ]

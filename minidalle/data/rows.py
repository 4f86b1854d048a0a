"""Rows as somebody else's data has them: which columns to read, which splits, and what the caption is."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from minidalle.errors import InvalidValue, require

IMAGE_COLUMNS = ("image", "img", "picture", "photo", "file_name", "filename", "file")
CAPTION_COLUMNS = ("caption", "captions", "text", "txt", "prompt", "description")
PICTURES = (".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
TRAIN, DEV, TEST = ("train", "training"), ("validation", "valid", "val", "dev"), ("test", "testing")


class RawRow(NamedTuple):
    """A row before its picture is decoded: its owner's name for it, its caption, and how to get the file's bytes."""

    name: str
    caption: str
    read: Callable[[], bytes]


Rows = Mapping[str, Callable[[], Iterator[RawRow]]]
"""The rows of `train`, and of `dev` if the source has such a split of its own."""


Counts = Mapping[str, int]
"""How many rows there are in `train`, and in `dev` if there is one."""


class RawSource(NamedTuple):
    """What a source holds: a fingerprint, another one whenever it may be other data; and its rows, once asked for.

    `counts` says how many rows there are, where that can be known without reading them all; else None.
    """

    fingerprint: str
    splits: Callable[[], Rows]
    counts: Callable[[], Counts | None] = lambda: None


def pick_column(kind: str, known: Collection[str], columns: Mapping[str, bool], asked: str | None) -> str:
    """Choose a column if there is no doubt: the one with a well-known name, or else the only one that could be it.

    >>> pick_column("caption", ("caption", "text"), {"id": False, "text": True, "url": True}, None)
    'text'

    Args:
        kind: `image` or `caption`, for the error.
        known: well-known names of such columns.
        columns: all columns, and whether their type is right for this.
        asked: what the user asked for, if anything.

    Raises:
        InvalidValue: there is none, there are several, or none of the name that was asked for.
    """
    names = ", ".join(columns)
    if asked is not None:
        require(asked in columns, f"{kind}_column", asked, f"one of the columns {names}")
        return asked
    fitting = [name for name, fits in columns.items() if fits]
    found = [name for name in fitting if name.lower() in known] or fitting
    if len(found) != 1:
        trouble = f"{' and '.join(found)} could both be it" if found else f"none of {names} is it"
        raise InvalidValue(f"{kind}_column=None: expected the name of the {kind} column (--{kind}-column): {trouble}")
    return found[0]


def first_caption(value: Any) -> str:
    """A caption from whatever stands in its column, on one line; of several captions the first that says something.

    >>> first_caption(["", " a red\\n apple "])
    'a red apple'

    Args:
        value: a text, a list of texts, a dict with a caption's column (as in webdataset's JSON), or anything else.

    Returns:
        The caption; empty for None, numbers, and whatever else is no text.
    """
    if isinstance(value, str):
        return " ".join(value.encode(errors="replace").decode().split())  # half a character cannot be written down
    if isinstance(value, Mapping):
        value = [value[name] for name in CAPTION_COLUMNS if name in value]
    if isinstance(value, list | tuple):
        return next(filter(None, map(first_caption, value)), "")
    return ""


def printable(name: str) -> str:
    """A file's name, or a name made of it, as it can be written down: bytes that are not UTF-8 are spelt out.

    >>> printable(b"caf\\xe9.png".decode(errors="surrogateescape"))
    'caf\\\\udce9.png'
    """
    return name.encode(errors="backslashreplace").decode()


def split_roles(names: Collection[str], asked: str | None) -> dict[str, str]:
    """What a source's own splits are for: its name of a split → `train` or `dev`. Others, such as `test`, are not read.

    >>> split_roles(["train", "validation", "test"], None)
    {'train': 'train', 'validation': 'dev'}

    Raises:
        InvalidValue: there is no split of the name that was asked for, or no telling which one to train on.
    """
    known = ", ".join(sorted(names))
    require(asked is None or asked in names, "split", asked, f"one of the splits {known}")
    train = asked or next((name for name in TRAIN if name in names), None) or (*names, "")[0]
    sure = asked is not None or train in TRAIN or len(names) == 1
    require(sure, "split", asked, f"the split to train on (--data-split): {known}")
    dev = next((name for name in DEV if name in names and name != train), None)
    return {train: "train"} | ({dev: "dev"} if dev else {})


def split_words(name: str) -> str:
    """The word in a file's name that could be a split's: `data/val-00001.tar` → `val`; empty if there is none."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((word for word in words if word in (*TRAIN, *DEV, *TEST)), "")

"""What the `datasets` library reads: parquet files, folders of `save_to_disk`, data sets on the Hugging Face Hub."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from minidalle.data.config import DataConfig
from minidalle.data.render import UnreadablePicture
from minidalle.data.rows import CAPTION_COLUMNS, IMAGE_COLUMNS, RawRow, Rows, first_caption, pick_column, split_roles
from minidalle.errors import InvalidValue

# The library is asked for rows one after the other (streaming): nothing is copied into its own cache, no more is
# downloaded than is read, and pictures are left as they are (`decode=False`), so that a corrupt one ends nothing.


def parquet_rows(files: Mapping[str, Sequence[Path]], config: DataConfig) -> Rows:
    """The rows of parquet files.

    Args:
        files: the files of `train`, and of `dev` if there are any.
        config: which columns.
    """
    with _complaints(config):
        names = {split: [str(path) for path in paths] for split, paths in files.items()}
        sets = _library("datasets", config).load_dataset("parquet", data_files=names, streaming=True)
    return {split: partial(_rows, split, sets[split], config, None) for split in files}


def count_parquet_rows(files: Sequence[Path]) -> int | None:
    """How many rows parquet files say that they have; None if one cannot be read, which reading it will explain."""
    import pyarrow.parquet

    try:
        return sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)
    except (OSError, pyarrow.ArrowException):
        return None


def saved_rows(folder: Path, config: DataConfig) -> Rows:
    """The rows of a folder that `save_to_disk` wrote, of one split or of several."""
    with _complaints(config):
        saved = _library("datasets", config).load_from_disk(str(folder))
    sets = saved if isinstance(saved, dict) else {"train": saved}
    return _split_rows(sets, config, None)


def hub_rows(config: DataConfig) -> Rows:
    """The rows of a Hub data set, `owner/name@revision`, in whatever form it lies there."""
    library = _library("datasets", config)
    name, _, revision = config.source.partition("@")
    with _complaints(config):
        sets = library.load_dataset(name, config.subset, revision=revision, streaming=True)
    return _split_rows(sets, config, importlib.import_module("fsspec").open)


def hub_revision(config: DataConfig) -> str:
    """The commit that `owner/name` or `owner/name@revision` means today: the one question that needs the network.

    Raises:
        InvalidValue: there is no such data set, or no way to the Hub.
    """
    name, _, revision = config.source.partition("@")
    api = _library("huggingface_hub", config).HfApi()
    try:
        return api.dataset_info(name, revision=revision or None, timeout=20).sha
    except Exception as error:
        trouble = "there is no such folder here, and the Hub cannot be asked"
        raise InvalidValue(f"data={config.source!r}: {trouble}: {_said(error)}") from error


def _split_rows(sets: Mapping[str, Any], config: DataConfig, opener: Callable[..., Any] | None) -> Rows:
    roles = split_roles(list(sets), config.split)
    return {role: partial(_rows, name, sets[name], config, opener) for name, role in roles.items()}


def _rows(split: str, data: Any, config: DataConfig, opener: Callable[..., Any] | None) -> Iterator[RawRow]:
    """The rows of one split, named by their number and, where it is known, their picture's file."""
    with _complaints(config):
        data = data if data.features is not None else data._resolve_features()
        image, caption = _columns(data.features, config)
        if type(data.features[image]).__name__ == "Image":
            data = data.cast_column(image, _library("datasets", config).Image(decode=False))
        classes = getattr(data.features[caption], "int2str", None)
        rows = iter(data.select_columns([image, caption]))
    for number in count():
        with _complaints(config):
            row = next(rows, None)
        if row is None:
            return
        cell, words = row[image], row[caption]
        path = (cell.get("path") if isinstance(cell, dict) else None) or ""
        name = f"{split} row {number} {Path(path).name}".strip()
        words = classes(words) if classes and words is not None and words >= 0 else words
        yield RawRow(name, first_caption(words), partial(_content, cell, opener))


def _columns(features: Mapping[str, Any], config: DataConfig) -> tuple[str, str]:
    image = pick_column(
        "image", IMAGE_COLUMNS, {name: _holds_pictures(kind) for name, kind in features.items()}, config.image_column
    )
    texts = {name: name != image and _holds_captions(kind) for name, kind in features.items()}
    return image, pick_column("caption", CAPTION_COLUMNS, texts, config.caption_column)


def _holds_pictures(kind: Any) -> bool:
    """Whether a column's type is that of pictures: the library's own, bytes, or both of bytes and path."""
    if isinstance(kind, dict):
        return {"bytes", "path"} <= kind.keys()
    return type(kind).__name__ == "Image" or getattr(kind, "dtype", None) in ("binary", "large_binary")


def _holds_captions(kind: Any) -> bool:
    """Whether a column's type is that of captions: texts, lists of them, or JSON with a caption in it."""
    if isinstance(kind, dict):
        return any(name in CAPTION_COLUMNS and _holds_captions(inner) for name, inner in kind.items())
    inner = kind[0] if isinstance(kind, list) else getattr(kind, "feature", kind)
    return getattr(inner, "dtype", None) in ("string", "large_string")


def _content(cell: Any, opener: Callable[..., Any] | None) -> bytes:
    """The bytes of a picture: in the row itself or, in a Hub data set, in a file beside it."""
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if isinstance(content, bytes):
        return content
    if opener is None or not path:
        raise UnreadablePicture(f"the row names a file, {path}, but does not hold it" if path else "no picture")
    try:
        with opener(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise UnreadablePicture("there is no such file") from error
    except Exception as error:  # a network that fails must not pass for pictures that are corrupt
        raise InvalidValue(f"{path}: cannot be fetched: {_said(error)}") from error


def _library(name: str, config: DataConfig) -> Any:
    """`datasets` or `huggingface_hub`, imported when it is needed: the package works without them."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidValue(f"data={config.source!r}: needs the package {name}: pip install datasets") from error


@contextmanager
def _complaints(config: DataConfig) -> Iterator[None]:
    """Say in one line what the library says in many, in errors of a dozen kinds."""
    try:
        yield
    except InvalidValue:
        raise
    except Exception as error:
        raise InvalidValue(f"data={config.source!r}: cannot be read: {_said(error)}") from error


def _said(error: Exception) -> str:
    """An error's kind and what it says, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300] or 'no reason given'}"

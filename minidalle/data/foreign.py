"""Other people's pictures: a folder, files or a Hub data set → captioned pictures, decoded once and cached."""

import errno
import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from minidalle.checkpoint import CheckpointError
from minidalle.data.cache import cache_folder
from minidalle.data.config import DataConfig
from minidalle.data.folder import folder_source, visible
from minidalle.data.huggingface import count_parquet_rows, hub_revision, hub_rows, parquet_rows, saved_rows
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.render import UnreadablePicture, decode_picture
from minidalle.data.rows import TRAIN, Counts, RawRow, RawSource, Rows, printable, split_roles, split_words
from minidalle.data.shards import count_shard_rows, shard_rows
from minidalle.data.store import file_stamp, fingerprint, store_pictures, stored_pictures
from minidalle.errors import InvalidValue, require

DEV = 0.1  # the share that is held out of a source without a validation split of its own
CHUNK = 64  # pictures that are decoded at a time, and may be in memory as files
TARS = (".tar", ".tar.gz", ".tgz")

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)  # a table names what is none

Progress = Callable[[int], None]  # rows done


def foreign_pictures(config: DataConfig, size: int, progress: Progress | None = None) -> CaptionedPictures:
    """Read captioned pictures from anywhere.

    Each is fitted into a white square, its aspect ratio kept, upright as its EXIF data says, of an animation the first
    picture. Those that cannot be read and those without a caption are left out and listed in `.skipped`. A validation
    split of the source's own becomes `dev`; without one, `dev` is drawn by lot from the pictures' files: what is added
    or renamed later moves no other, and a picture that is there twice is on one side. (Only where no lot falls on `dev`
    is the picture nearest to it taken, so that there is one; of a single picture, many times, the first row.)

    Args:
        config: the source. Only a Hub data set needs the network, and only the first time if it names its revision.
        size: S, the side of the pictures in pixels.
        progress: called with the number of rows done while pictures are decoded; not called if they need not be.

    Returns:
        Pictures in the splits `train` and `dev`, memory-mapped, with the column `key`, their owner's name for them.

    Raises:
        InvalidValue: there is no such source, it is unclear how to read it, or fewer than two rows can be used.
        CheckpointError: the cache cannot be written.
    """
    require(size >= 8, "size", size, "8 pixels or more")
    config = located(config)
    source = open_source(config)
    name = fingerprint(source.fingerprint, {**asdict(config), "source": None}, PIL.__version__)
    path = cache_folder() / f"own-{name}-{size}px.npy"
    pictures = stored_pictures(path)
    if pictures is None:
        words: dict[str, Any] = {}
        store_pictures(path, size, _decoded(source.splits(), config, size, words, progress), words)
        pictures = stored_pictures(path)
    if pictures is None:
        raise CheckpointError(f"cannot read {path}, which was just written; set MINIDALLE_CACHE to another folder")
    return pictures


def located(config: DataConfig) -> DataConfig:
    """The same source by a name that means the same elsewhere and later: a whole path, or a Hub data set's commit."""
    local = os.path.abspath(os.path.expanduser(config.source))
    if os.path.exists(local) or glob.glob(local, recursive=True):
        require(local == printable(local), "data", config.source, "a path in UTF-8, to be noted in the run: rename it")
        require(config.subset is None, "subset", config.subset, "None: only data sets on the Hub have subsets")
        return replace(config, source=local)
    wanted = (
        "a folder, parquet or tar files, or owner/name of a data set on the Hugging Face Hub; there is no such file"
    )
    require(bool(HUB_NAME.fullmatch(config.source)), "data", config.source, wanted)
    name, _, revision = config.source.partition("@")
    return config if COMMIT.fullmatch(revision) else replace(config, source=f"{name}@{hub_revision(config)}")


def open_source(config: DataConfig) -> RawSource:
    """The reader for a located source.

    Raises:
        InvalidValue: it is unclear how to read it.
    """
    folder = Path(config.source)
    if not folder.is_dir():
        files = [Path(name) for name in sorted(glob.glob(config.source, recursive=True))]
        if not files and not folder.exists():
            return RawSource(config.source, partial(hub_rows, config))
        return _files(files or [folder], config, lambda path: path.name)
    files = [path for path in visible(folder) if path.is_file()]
    if any((folder / name).exists() for name in ("dataset_dict.json", "state.json")):
        return RawSource(_stamps(files), partial(saved_rows, folder, config))
    pictures = folder_source(folder, config)
    if pictures is not None:
        return pictures
    shards = [path for path in files if path.name.endswith((".parquet", *TARS))]
    wanted = (
        "captions.csv, metadata.csv or metadata.jsonl, .txt files beside the pictures, or parquet or tar files in it"
    )
    require(bool(shards), "data", config.source, wanted)
    return _files(shards, config, lambda path: path.relative_to(folder).as_posix())


def _files(files: Sequence[Path], config: DataConfig, name: Callable[[Path], str]) -> RawSource:
    """Parquet files or shards. Where some of them are called train, the names of all say what split they are."""
    kinds = {"parquet" if path.suffix == ".parquet" else "tar" if path.name.endswith(TARS) else "" for path in files}
    require(kinds in ({"parquet"}, {"tar"}), "data", config.source, "parquet files or tar files, not both nor others")
    names = [split_words(name(path)) for path in files]
    told = config.split is not None or any(word in TRAIN for word in names)
    labels = [word if told and word else "train" for word in names]
    splits: dict[str, list[Path]] = {}
    for label, role in split_roles(sorted(set(labels)), config.split).items():
        splits[role] = [path for path, own in zip(files, labels, strict=True) if own == label]
    count = count_parquet_rows if kinds == {"parquet"} else count_shard_rows
    counts = partial(_counts, splits, count)
    if kinds == {"parquet"}:
        return RawSource(_stamps(files), partial(parquet_rows, splits, config), counts)
    rows: Rows = {role: partial(shard_rows, shards, config) for role, shards in splits.items()}
    return RawSource(_stamps(files), lambda: rows, counts)


def _counts(splits: Mapping[str, Sequence[Path]], count: Callable[[Sequence[Path]], int | None]) -> Counts | None:
    found = {split: count(files) for split, files in splits.items()}
    return {split: rows for split, rows in found.items() if rows is not None} if None not in found.values() else None


def _stamps(files: Sequence[Path]) -> str:
    return fingerprint([(path.name, file_stamp(path)) for path in files])


def _decoded(
    splits: Rows, config: DataConfig, size: int, words: dict[str, Any], progress: Progress | None
) -> Iterator[np.ndarray]:
    """The pictures that can be read; when they have all been taken, `words` holds what is to be said of them."""
    captions, keys, own, lots, skipped = [], [], [], [], []
    decode = partial(decode_row, size)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # Pillow leaves the other threads alone while it decodes
        for split, read in splits.items():
            rows = islice(read(), config.most)
            while chunk := list(islice(rows, CHUNK)):
                for row, result in zip(chunk, pool.map(decode, chunk), strict=True):
                    if isinstance(result, str):
                        skipped.append((row.name, result))
                        continue
                    picture, lot = result
                    captions.append(row.caption)
                    keys.append(row.name)
                    own.append(split)
                    lots.append(lot)
                    yield picture
                if progress:
                    progress(len(captions) + len(skipped))
    _check_enough(own, skipped, config)
    dev = np.array(own) == "dev" if "dev" in own else draw_dev(np.array(lots))
    words.update(captions=captions, keys=keys, splits=np.where(dev, "dev", "train").tolist(), skipped=skipped)


def decode_row(size: int, row: RawRow) -> tuple[np.ndarray, float] | str:
    """A row's picture, uint8 [S, S, 3], and its lot in [0, 1), drawn from the file's bytes; or why there is none.

    Raises:
        InvalidValue: the disk or the network fails, which says nothing of the picture.
    """
    if not row.caption:
        return "blank caption"
    try:
        content = row.read()
        lot = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") / 2**64
        return decode_picture(content, size), lot
    except UnreadablePicture as error:
        return str(error)
    except OSError as error:
        refused = error.errno == errno.EACCES  # which is what Windows says of a folder
        number = errno.EISDIR if refused and os.path.isdir(error.filename or "") else error.errno
        if number in NO_FILE:
            return os.strerror(number)
        raise InvalidValue(f"{error.filename or row.name}: cannot be read: {error.strerror or error}") from error


def _check_enough(own: Sequence[str], skipped: Sequence[tuple[str, str]], config: DataConfig) -> None:
    if len(own) < 2 or "train" not in own:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise InvalidValue(
            f"data={config.source!r}: expected two or more captioned pictures, one of them to train on; "
            f"{len(own)} of {len(own) + len(skipped)} rows can be used{f' ({reasons})' if reasons else ''}"
        )


def draw_dev(lots: np.ndarray, share: float = DEV) -> np.ndarray:
    """Which rows are held out: rows of one lot are on one side, unless there is no other lot; a single row is not.

    >>> draw_dev(np.array([0.7, 0.02, 0.3])).tolist(), draw_dev(np.array([0.7, 0.6])).tolist()
    ([False, True, False], [False, True])

    Args:
        lots: [R], in [0, 1).
        share: about which share of the rows.

    Returns:
        bool [R], neither all nor none of two or more.
    """
    dev = lots < share
    if not dev.any():
        dev = lots == lots.min()
    if dev.all():
        dev = lots < lots.max()
    if not dev.any():
        dev[:1] = len(dev) > 1
    return dev

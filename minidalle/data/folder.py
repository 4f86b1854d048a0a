"""A folder of one's own pictures with captions, as captioned pictures."""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from minidalle.data.pictures import CaptionedPictures, Skipped, is_blank
from minidalle.data.render import UnreadablePicture, to_rgb, to_square
from minidalle.errors import InvalidValue, require

TABLES = ("captions.csv", "metadata.csv")
CAPTION_COLUMNS = ("caption", "text")


def picture_folder(folder: Path, size: int, dev: float = 0.05) -> CaptionedPictures:
    """Read pictures with captions from a folder.

    The captions stand in `captions.csv` or `metadata.csv` (columns `file_name`, and `caption` or `text`) or,
    if there is neither, in a `.txt` file beside each picture.

    Args:
        folder: where the pictures are.
        size: S: pictures are fitted into a white square of this side, their aspect ratio kept, upright as
            their EXIF data says.
        dev: the share of the pictures that make up the split `dev`; the others are `train`. It is drawn by
            the files' names, so that pictures which are added later move none.

    Returns:
        Pictures with the column `key`, the file's name. Missing or unreadable pictures, and those without a
        caption, are left out and listed in `.skipped`.

    Raises:
        InvalidValue: the folder has no captions at all, or a table without the columns.
    """
    folder = Path(folder)
    require(folder.is_dir(), "folder", str(folder), "a folder")
    require(0 <= dev < 1, "dev", dev, "a share of the pictures, at least 0 and below 1")
    names, captions, pictures, skipped = [], [], [], []
    for name, caption in _captions(folder):
        try:
            if is_blank(caption):
                raise UnreadablePicture(f"{name}: blank caption")
            pictures.append(read_picture(folder / name, size))
        except UnreadablePicture as error:
            skipped.append(Skipped(name, str(error).split(": ", 1)[1]))
        else:
            names.append(name)
            captions.append(caption.strip())
    return CaptionedPictures(
        captions=captions,
        pictures=np.stack(pictures) if pictures else np.empty((0, size, size, 3), np.uint8),
        splits=np.array(["dev" if _lot(name) < dev else "train" for name in names], dtype=str),
        columns={"key": np.array(names, dtype=str)},
        skipped=tuple(skipped),
    )


def read_picture(path: Path, size: int) -> np.ndarray:
    """Read a picture file of any mode and orientation as uint8 [S, S, 3].

    Raises:
        UnreadablePicture: the file is missing, cut off, or no picture.
    """
    try:
        with Image.open(path) as image:
            return to_square(to_rgb(ImageOps.exif_transpose(image)), size)
    except Exception as error:  # decoders raise errors of many kinds, and one bad file must not end a run
        raise UnreadablePicture(f"{path.name}: {str(error) or type(error).__name__}") from error


def _captions(folder: Path) -> Iterator[tuple[str, str]]:
    """File names with captions, from the table or the text files."""
    table = next((folder / name for name in TABLES if (folder / name).exists()), None)
    if table is not None:
        yield from _table(table)
        return
    suffixes = Image.registered_extensions()
    pictures = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]
    beside = {path: path.with_suffix(".txt") for path in pictures}
    if not any(text.exists() for text in beside.values()):
        raise InvalidValue(f"{folder}: expected {' or '.join(TABLES)}, or a .txt file beside each picture")
    for path, text in beside.items():
        yield path.name, text.read_text(encoding="utf-8") if text.exists() else ""


def _table(path: Path) -> Iterator[tuple[str, str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        columns = table.fieldnames or []
        caption = next((name for name in CAPTION_COLUMNS if name in columns), None)
        if caption is None or "file_name" not in columns:
            raise InvalidValue(f"columns of {path}={columns!r}: expected file_name, and caption or text")
        for row in table:
            yield row["file_name"] or "", row[caption] or ""


def _lot(name: str) -> float:
    """A number in [0, 1) drawn for a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64

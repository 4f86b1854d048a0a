"""The bundled pictures: 14,747 emoji by four artists, with captions, licenses and one frozen partition."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from minidalle.data.cache import Progress, cached_pictures
from minidalle.data.keywords import load_keywords
from minidalle.data.partition import PARTITION, load_partition
from minidalle.data.pictures import CaptionedPictures, Skipped, is_blank
from minidalle.data.render import render_svg
from minidalle.errors import require

PARQUET = Path(__file__).with_name("emoji.parquet")

COLUMNS = ("key", "name", "style", "role", "gender", "tone", "license", "duplicate_of")


def emoji_pictures(
    size: int = 32,
    parquet: Path = PARQUET,
    partition: Path = PARTITION,
    progress: Progress | None = None,
) -> CaptionedPictures:
    """The emoji as captioned pictures, rendered on first use (about ten seconds) and cached.

    Args:
        size: S, the side of the pictures in pixels.
        parquet: a table as `build_emoji` writes it.
        partition: the split of each of its rows.
        progress: called with (done, total) while pictures are rendered.

    Returns:
        Pictures with the columns of `COLUMNS`, and `keywords`: other words for what a row shows, joined by `|`
        (none for rows with a skin tone, whose role is only half of what they show). Rows without a caption, or
        whose drawing cannot be drawn, are left out and listed in `.skipped`.

    Raises:
        InvalidValue: the partition is not one of these rows, or the size is not 8 or more.
    """
    import resvg_py

    require(size >= 8, "size", size, "8 pixels or more")
    content = parquet.read_bytes()
    table = pq.read_table(parquet).to_pylist()
    for row, split in zip(table, load_partition([row["key"] for row in table], partition), strict=True):
        row["split"] = split
    blank = [Skipped(_name(row), "blank caption") for row in table if is_blank(row["caption"])]
    table = [row for row in table if not is_blank(row["caption"])]
    name = "emoji-" + hashlib.blake2b(content + resvg_py.__version__.encode(), digest_size=8).hexdigest()
    pictures, unreadable = cached_pictures(name, [(_name(row), row["svg"]) for row in table], size, progress)
    table = [row for row in table if _name(row) not in dict(unreadable)]
    columns = {column: np.array([row[column] for row in table]) for column in (*COLUMNS, "split")}
    keywords = load_keywords()
    columns["keywords"] = np.array(["" if row["tone"] else "|".join(keywords.get(row["role"], ())) for row in table])
    return CaptionedPictures(
        captions=[row["caption"] for row in table],
        pictures=pictures,
        splits=columns.pop("split"),
        columns=columns,
        skipped=(*blank, *unreadable),
    )


def find_emoji(caption: str, size: int) -> tuple[np.ndarray, str] | None:
    """The bundled picture of exactly this caption, without rendering the others.

    Args:
        caption: such as `red apple, noto style`.
        size: S, the side of the picture in pixels.

    Returns:
        uint8 [S, S, 3] and the name of its split; None if no row has this caption.
    """
    table = pq.read_table(PARQUET, columns=["key", "caption", "svg"]).to_pylist()
    splits = load_partition([row["key"] for row in table])
    for row, split in zip(table, splits, strict=True):
        if row["caption"] == caption:
            return render_svg(row["svg"], size, caption), split
    return None


def _name(row: dict[str, str]) -> str:
    return f"{row['key']} ({row['caption'].strip()})"

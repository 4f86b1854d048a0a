"""Build `emoji.parquet`: every emoji that has a name, by four artists, as vector drawings with captions.

    python -m minidalle.data.build_emoji [--archives FOLDER] [--out FILE]

Two builds are byte-identical: the drawings are pinned by checksum, the names by the version of the `emoji`
package, the encoding by that of pyarrow.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from minidalle.checkpoint import atomic_write
from minidalle.data.duplicates import find_duplicates
from minidalle.data.emoji import PARQUET
from minidalle.data.names import parse_name
from minidalle.data.render import render_svg
from minidalle.data.sources import SOURCES, Source, fetch, read_drawings
from minidalle.errors import require

ROWS = 14_747
DUPLICATE_SIZE = 32  # pixels: the size at which two drawings are called the same

Row = dict[str, str]


def emoji_names() -> dict[str, str]:
    """English names (Unicode CLDR's, as the `emoji` package spells them) by code points without U+FE0F."""
    import emoji

    return {
        code_points_of(characters): entry["en"].strip(":").replace("_", " ")
        for characters, entry in emoji.EMOJI_DATA.items()
    }


def code_points_of(characters: str) -> str:
    """`1F44B-1F3FB` for a hand in a light tone; U+FE0F, which only asks for a colored picture, is left out."""
    return "-".join(f"{ord(character):04X}" for character in characters if character != "\ufe0f")


def emoji_rows(source: Source, archive: Path, names: dict[str, str]) -> Iterator[Row]:
    """The rows of one artist: every drawing whose emoji has a name. Logos, for example, have none."""
    for code_points, svg in read_drawings(archive):
        name = names.get(code_points.replace("-FE0F", ""))
        if name is not None:
            caption = f"{name}, {source.style} style"
            row = {"key": row_key(source.style, caption, svg), "caption": caption, "name": name}
            row |= {"style": source.style, "code_points": code_points, "svg": svg, "license": source.license}
            yield row | parse_name(name)._asdict()


def row_key(style: str, caption: str, svg: str) -> str:
    """The row's name for ever: 16 hex digits of BLAKE2b over its content, whatever its place in the table."""
    return hashlib.blake2b("\0".join((style, caption, svg)).encode(), digest_size=8).hexdigest()


def mark_duplicates(rows: list[Row]) -> list[Row]:
    """Fill in `duplicate_of`: the smallest key of the rows with an equal picture; empty in that row."""
    rows = sorted(rows, key=lambda row: row["key"])
    pictures = np.stack([render_svg(row["svg"], DUPLICATE_SIZE, row["caption"]) for row in rows])
    return [
        row | {"duplicate_of": rows[first]["key"] if first != i else ""}
        for i, (row, first) in enumerate(zip(rows, find_duplicates(pictures), strict=True))
    ]


def build(archives: Path, out: Path) -> pa.Table:
    """Read the four archives, downloading those that are not there, and write the parquet file."""
    names = emoji_names()
    rows = [row for source in SOURCES for row in emoji_rows(source, fetch(source, archives), names)]
    require(len({row["key"] for row in rows}) == len(rows), "keys", "repeated", "one key for one row")
    if len(rows) != ROWS:
        print(f"{len(rows)} rows, not {ROWS}: this version of the emoji package knows other names")
    rows = sorted(mark_duplicates(rows), key=lambda row: (row["style"], row["code_points"]))
    table = pa.Table.from_pylist(rows)
    atomic_write(out, lambda path: write_table(table, path))
    return table


def write_table(table: pa.Table, path: Path) -> None:
    """Write the table as one row group with one page a column: vectors by one hand compress best together."""
    pa.parquet.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=len(table),
        data_page_size=64 * 2**20,
        use_dictionary=["style", "license", "role", "gender", "tone"],
        write_batch_size=len(table),
    )


def main() -> None:
    """Build the table from the command line."""
    parser = argparse.ArgumentParser(description="Build emoji.parquet.")
    parser.add_argument("--archives", type=Path, help="folder of the four npm archives; else downloaded")
    parser.add_argument("--out", type=Path, default=PARQUET)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = build(options.archives or Path(folder), options.out)
    print(f"{options.out}: {len(table)} rows, {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

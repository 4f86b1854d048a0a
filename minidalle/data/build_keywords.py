"""Build `keywords.csv`: what people also call what the bundled emoji show.

    python -m minidalle.data.build_keywords [--archives FOLDER] [--out FILE]

The words are those of the package emojilib, pinned by checksum. A role has the words of all its emoji without a
skin tone; words of gender are left out, since a role has none.
"""

import argparse
import csv
import io
import re
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from minidalle.checkpoint import atomic_write
from minidalle.data.build_emoji import code_points_of
from minidalle.data.emoji import PARQUET
from minidalle.data.keywords import KEYWORDS
from minidalle.data.sources import WORDS, fetch, read_words

_ORDINARY = re.compile(r"[A-Za-z][A-Za-z' -]+")
_GENDERS = {"man", "men", "woman", "women", "male", "female", "person", "people", "adult", "human"}


def role_keywords(words: dict[str, list[str]], table: list[dict[str, str]]) -> dict[str, list[str]]:
    """The other words for each role.

    Args:
        words: by an emoji's characters, its name and then the words for it.
        table: rows with `role`, `tone` and `code_points`.

    Returns:
        Each role's words in the order of the rows, none twice; roles without any are left out.
    """
    of_code_points = {code_points_of(characters): said[1:] for characters, said in words.items()}
    found: dict[str, dict[str, None]] = {}
    for row in table:
        for said in of_code_points.get(row["code_points"].replace("-FE0F", ""), ()) if not row["tone"] else ():
            word = re.sub(r"[_\s]+", " ", said).strip()
            if _ORDINARY.fullmatch(word) and word.lower() not in _GENDERS:
                found.setdefault(row["role"], {})[word] = None
    return {role: list(found[role]) for role in sorted(found)}


def build(archives: Path, out: Path) -> dict[str, list[str]]:
    """Read the archive, downloading it if it is not there, and write `role,keywords` lines."""
    table = pq.read_table(PARQUET, columns=["role", "tone", "code_points"]).to_pylist()
    keywords = role_keywords(read_words(fetch(WORDS, archives)), table)
    text = io.StringIO()
    lines = [("role", "keywords"), *((role, "|".join(words)) for role, words in keywords.items())]
    csv.writer(text, lineterminator="\n").writerows(lines)
    atomic_write(out, text.getvalue())
    return keywords


def main() -> None:
    """Build the table from the command line."""
    parser = argparse.ArgumentParser(description="Build keywords.csv.")
    parser.add_argument("--archives", type=Path, help="folder of the npm archive; else downloaded")
    parser.add_argument("--out", type=Path, default=KEYWORDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keywords = build(options.archives or Path(folder), options.out)
    print(f"{options.out}: {sum(map(len, keywords.values())):,} words for {len(keywords):,} roles")


if __name__ == "__main__":
    main()

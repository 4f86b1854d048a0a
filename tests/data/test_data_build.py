"""The build, on a package of five drawings made here; the real ones are pinned by their checksums."""

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from minidalle.data import build_emoji
from minidalle.data.build_emoji import build, emoji_names, row_key
from minidalle.data.sources import SOURCES, Source, fetch, read_drawings, standalone_svg
from minidalle.errors import InvalidValue


def rect(color: str) -> dict[str, str]:
    return {"body": f'<rect width="8" height="8" fill="{color}"/>'}


ICONS = {
    "width": 16,
    "height": 8,
    "icons": {"apple": rect("red"), "logo": rect("blue"), "smile": rect("red") | {"height": 16, "top": 2}},
    "aliases": {"same": {"parent": "apple"}, "flipped": {"parent": "apple", "hFlip": True}},
}
CHARS = {"1f600": "smile", "1f34e": "apple", "1f34f": "same", "f8ff": "logo", "2764-fe0f": "apple"}


def archive(folder: Path, style: str) -> Source:
    """Pack the small set; its source knows its checksum."""
    source = Source(style, f"@test/{style}", "1.0.0", "", "MIT")
    with tarfile.open(folder / source.archive, "w:gz") as tar:
        for name, content in {"icons.json": ICONS, "chars.json": CHARS}.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha512((folder / source.archive).read_bytes()).digest()
    return source._replace(sha512=base64.b64encode(digest).decode())


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Source]:
    both = archive(tmp_path, "noto"), archive(tmp_path, "fluent")
    monkeypatch.setattr(build_emoji, "SOURCES", both)
    return both


def test_the_table_has_a_row_for_every_drawing_with_a_name(tmp_path: Path, sources, capsys) -> None:
    build(tmp_path, tmp_path / "emoji.parquet")
    rows = pq.read_table(tmp_path / "emoji.parquet").to_pylist()
    names = ("red apple", "green apple", "grinning face", "red heart")  # in the order of their code points
    assert [row["caption"] for row in rows] == [
        f"{name}, {style} style" for style in ("fluent", "noto") for name in names
    ]
    assert "8 rows, not 14747" in capsys.readouterr().out
    assert {row["license"] for row in rows} == {"MIT"}


def test_duplicates_point_to_the_smallest_key(tmp_path: Path, sources) -> None:
    rows = build(tmp_path, tmp_path / "emoji.parquet").to_pylist()
    apples = [row for row in rows if row["name"] != "grinning face"]
    first = min(row["key"] for row in apples)
    assert {row["duplicate_of"] for row in apples if row["key"] != first} == {first}
    assert next(row["duplicate_of"] for row in apples if row["key"] == first) == ""


def test_two_builds_are_byte_identical(tmp_path: Path, sources) -> None:
    for name in ("one", "two"):
        build(tmp_path, tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path, sources) -> None:
    path = tmp_path / sources[0].archive
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InvalidValue, match=r"sha512 of .*test-noto-1\.0\.0\.tgz"):
        fetch(sources[0], tmp_path)


def test_an_icon_stands_alone_in_its_view_box() -> None:
    assert standalone_svg(ICONS, "same") == standalone_svg(ICONS, "apple")
    assert 'viewBox="0 0 16 8"' in standalone_svg(ICONS, "apple")
    assert 'viewBox="0 2 16 16"' in standalone_svg(ICONS, "smile")
    with pytest.raises(InvalidValue, match="alias flipped"):
        standalone_svg(ICONS, "flipped")


def test_drawings_come_in_the_order_of_their_code_points(tmp_path: Path, sources) -> None:
    drawings = list(read_drawings(tmp_path / sources[0].archive))
    assert [drawing.code_points for drawing in drawings] == ["1F34E", "1F34F", "1F600", "2764-FE0F", "F8FF"]


def test_names_are_plain_english() -> None:
    names = emoji_names()
    assert names["1F34E"] == "red apple"
    assert names["2764"] == "red heart"
    assert names["1F44B-1F3FF"] == "waving hand dark skin tone"


def test_a_key_names_the_content() -> None:
    keys = {row_key(*content) for content in [("a", "b", "c"), ("a", "bc", ""), ("ab", "", "c"), ("a", "b", "d")]}
    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)


def test_the_four_sources_are_pinned() -> None:
    assert [source.style for source in SOURCES] == ["noto", "fluent", "twemoji", "openmoji"]
    assert all(len(base64.b64decode(source.sha512)) == 64 for source in SOURCES)
    assert SOURCES[0].archive == "iconify-json-noto-1.2.9.tgz"

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from minidalle.data import CaptionedPictures, emoji_pictures
from minidalle.data.build_emoji import row_key
from minidalle.data.emoji import PARQUET, find_emoji
from minidalle.data.sources import SOURCES
from minidalle.errors import InvalidValue


def test_the_table_is_small_and_complete(table: pa.Table) -> None:
    assert PARQUET.stat().st_size < 6e6
    styles = table["style"].to_pylist()
    assert {style: styles.count(style) for style in sorted(set(styles))} == {
        "fluent": 3139, "noto": 3701, "openmoji": 3963, "twemoji": 3944,
    }  # fmt: skip
    assert len(set(table["name"].to_pylist())) == 3963


def test_every_row_is_named_by_its_content_and_has_its_license(table: pa.Table) -> None:
    license = {source.style: source.license for source in SOURCES}
    keys = set()
    for row in table.to_pylist():
        assert row["key"] == row_key(row["style"], row["caption"], row["svg"])
        assert row["caption"] == f"{row['name']}, {row['style']} style"
        assert row["license"] == license[row["style"]]
        keys.add(row["key"])
    assert len(keys) == len(table) == 14_747


def test_every_emoji_is_drawn(emoji: CaptionedPictures) -> None:
    assert emoji.skipped == ()
    assert len(emoji) == 14_747
    assert emoji.pictures.shape == (14_747, 32, 32, 3)
    assert emoji.pictures.min(axis=(1, 2, 3)).max() < 255  # none is blank
    assert emoji.toned.sum() == 7655


def test_the_splits_are_the_partition(emoji: CaptionedPictures) -> None:
    splits = ("train", "dev", "iid", "cell", "tone", "combo", "concept", "dropped")
    rows = [emoji.rows(split) for split in splits]
    assert [len(own) for own in rows] == [11731, 398, 399, 600, 597, 595, 318, 109]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(emoji)))
    with pytest.raises(InvalidValue, match="split='test': expected one of cell, combo"):
        emoji.rows("test")


def test_pictures_are_of_what_the_captions_say(emoji: CaptionedPictures) -> None:
    def mean(caption: str) -> np.ndarray:
        return emoji.pictures[emoji.captions.index(caption)].mean(axis=(0, 1))

    for style in ("noto", "fluent", "twemoji", "openmoji"):
        red, green = mean(f"red apple, {style} style"), mean(f"green apple, {style} style")
        assert red[0] > red[1] + 20
        assert green[1] > green[0] + 5
        light, dark = (mean(f"thumbs up {tone} skin tone, {style} style") for tone in ("light", "dark"))
        assert light.sum() > dark.sum() + 50


def test_it_is_drawn_at_any_size(cache, small) -> None:
    large = emoji_pictures(64, **small.write())
    reduced = emoji_pictures(16, **small.write())
    for one, other in zip(large.pictures, reduced.pictures, strict=True):
        halved = np.asarray(Image.fromarray(one).resize((16, 16), Image.Resampling.BOX)).astype(float)
        assert np.abs(halved - other).mean() < 12
    with pytest.raises(InvalidValue, match="size=0"):
        emoji_pictures(0, **small.write())


def test_bad_rows_are_listed_and_left_out(cache, small) -> None:
    whole = emoji_pictures(16, **small.write())
    small.rows[3]["svg"] = "<svg"
    small.rows[5]["caption"] = " \t"
    small.rows[8]["svg"] = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
    for _ in range(2):  # rendered, and from the cache
        spoiled = emoji_pictures(16, **small.write())
        good = [row for row in range(30) if row not in (3, 5, 8)]
        assert spoiled.captions == [whole.captions[row] for row in good]
        assert np.array_equal(spoiled.pictures, whole.pictures[good])
        assert spoiled.columns["key"].tolist() == whole.columns["key"][good].tolist()
        assert len(spoiled.rows("train")) == 27
        named = {skipped.name.split()[0]: skipped.reason for skipped in spoiled.skipped}
        assert list(named) == [small.rows[row]["key"] for row in (5, 3, 8)]
        assert named[small.rows[5]["key"]] == "blank caption"
        assert named[small.rows[8]["key"]] == "the SVG draws nothing"
        assert "3 skipped" in spoiled.summary()


def test_a_partition_of_other_rows_is_refused(cache, small) -> None:
    files = small.write()
    with pytest.raises(InvalidValue, match="unknown rows"):
        emoji_pictures(16, parquet=files["parquet"])
    with pytest.raises(InvalidValue, match="missing rows"):
        emoji_pictures(16, partition=files["partition"])


def test_progress_is_told_only_while_rendering(cache, small) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        emoji_pictures(16, **small.write(), progress=lambda done, total: told.append((done, total)))
    assert told == [(30, 30)]


def test_one_emoji_is_found_without_the_others(emoji: CaptionedPictures) -> None:
    row = int(emoji.rows("tone")[0])
    found = find_emoji(emoji.captions[row], emoji.size)
    assert found is not None
    picture, split = found
    assert split == "tone"
    assert np.array_equal(picture, emoji.pictures[row])
    assert find_emoji("a caption of no emoji", 16) is None

import numpy as np
import pyarrow as pa

from minidalle.data import CaptionedPictures, find_duplicates


def test_duplicates_point_to_the_first_of_their_kind() -> None:
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 2, (200, 2, 2, 1), np.uint8).repeat(3, axis=3)  # 16 kinds
    _, first, kind = np.unique(pictures.reshape(200, -1), axis=0, return_index=True, return_inverse=True)
    assert np.array_equal(find_duplicates(pictures), first[kind.ravel()])


def test_one_level_in_one_pixel_makes_a_difference() -> None:
    pictures = np.full((2, 4, 4, 3), 255, np.uint8)
    pictures[1, 3, 3, 2] = 254
    assert find_duplicates(pictures) == [0, 1]


def test_the_table_marks_the_duplicates_of_the_emoji(emoji: CaptionedPictures, table: pa.Table) -> None:
    order = np.argsort(emoji.columns["key"])
    keys = emoji.columns["key"][order]
    first = np.array(find_duplicates(emoji.pictures[order]))
    expected = np.where(first == np.arange(len(first)), "", keys[first])
    assert np.array_equal(emoji.columns["duplicate_of"][order], expected)
    assert np.count_nonzero(expected) == 283

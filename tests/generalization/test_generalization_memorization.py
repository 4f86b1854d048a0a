"""Shuffled captions: all small cases, chances, and the whole data set."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import InvalidValue
from minidalle.generalization.memorization import shuffle_captions, with_shuffled_captions


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_nobody_keeps_the_words_wherever_that_can_be(count: int) -> None:
    for captions in product("abcd", repeat=count):
        if 2 * Counter(captions).most_common(1)[0][1] <= count:
            for seed in range(3):
                order = shuffle_captions(captions, ["train"] * count, seed)
                assert sorted(order) == list(range(count))
                assert all(captions[other] != captions[row] for row, other in enumerate(order))
        else:
            with pytest.raises(InvalidValue, match="more than half"):
                shuffle_captions(captions, ["train"] * count)


def test_held_out_rows_are_left_alone() -> None:
    captions = [f"caption {row % 37}" for row in range(200)]
    splits = ["iid" if row % 5 == 0 else "train" for row in range(200)]
    order = shuffle_captions(captions, splits)
    for row, other in enumerate(order):
        assert (other == row) == (splits[row] == "iid")
        assert splits[other] == splits[row]


def test_one_seed_is_one_order_and_no_other_randomness_is_touched() -> None:
    captions, splits = [str(row) for row in range(50)], ["train"] * 50
    before = torch.get_rng_state()
    first = shuffle_captions(captions, splits, 1)
    torch.rand(3)
    assert shuffle_captions(captions, splits, 1) == first
    assert shuffle_captions(captions, splits, 2) != first
    torch.set_rng_state(before)
    shuffle_captions(captions, splits, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_other_row_is_as_likely() -> None:
    """Of four captions each gets each of the others' in a third of all orders: 900 ± 4 · 24."""
    given = Counter(
        (row, other) for seed in range(2700) for row, other in enumerate(shuffle_captions("abcd", ["train"] * 4, seed))
    )
    assert len(given) == 12
    assert all(abs(times - 900) < 98 for times in given.values())


def test_a_data_set_keeps_its_pictures_and_what_is_known_goes_with_the_caption() -> None:
    rows, chance = 30, np.random.default_rng(0)
    captions = [f"thing {row}" for row in range(rows)]
    pictures = chance.integers(256, size=(rows, 8, 8, 3), dtype=np.uint8)
    splits = np.array(["train", "train", "dev"] * 10)
    data = CaptionedPictures(captions, pictures, splits, {"name": np.array(captions)})
    shuffled = with_shuffled_captions(data, seed=4)
    assert shuffled.pictures is data.pictures
    assert shuffled.splits is data.splits
    assert shuffled.captions == shuffled.columns["name"].tolist()
    same = np.array(shuffled.captions) == np.array(captions)
    assert np.array_equal(same, splits == "dev")
    assert sorted(shuffled.captions) == sorted(captions)


def test_bad_input_is_told() -> None:
    with pytest.raises(InvalidValue, match="one for each caption"):
        shuffle_captions(["a", "b"], ["train"])
    with pytest.raises(InvalidValue, match="2 or more"):
        shuffle_captions(["a", "b"], ["train", "iid"])
    with pytest.raises(InvalidValue, match="2 or more"):
        shuffle_captions([], [])
    with pytest.raises(InvalidValue, match=r"cat \(2 of 3 rows\)"):
        shuffle_captions(["cat", "cat", "dog"], ["train"] * 3)

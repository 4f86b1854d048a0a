"""The copy test: planted copies, a fair null, what fools other distances, and an interval that is honest."""

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from minidalle.errors import InvalidValue
from minidalle.evaluation.bootstrap import Estimate
from minidalle.evaluation.distances import pixel_distances
from minidalle.generalization.copying import copy_interval, copy_test, drawn_distances, nearer, nearest_distances

SIDE = 8


def plain(*levels: int) -> np.ndarray:
    """Pictures of one gray level each, uint8 [B, S, S, 3]."""
    return np.tile(np.array(levels, np.uint8)[:, None, None, None], (1, SIDE, SIDE, 3))


def noisy(count: int, seed: int, things: int = 30) -> np.ndarray:
    """Pictures of random things with noise, so that all sets are draws from one distribution."""
    known, chance = np.random.default_rng(0).normal(128, 40, (things, SIDE, SIDE, 3)), np.random.default_rng(seed)
    pictures = known[chance.integers(things, size=count)] + chance.normal(0, 20, (count, SIDE, SIDE, 3))
    return pictures.clip(0, 255).astype(np.uint8)


def test_the_example() -> None:
    far, null = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0])
    assert nearer(far, null).tolist() == [[1.0, 1.0], [0.0, 0.5]]
    assert nearer(far, null).mean() == 0.625


def test_a_fifth_of_planted_copies_gives_three_fifths() -> None:
    """Exactly: the other drawings are as far away as the held-out pictures are, one by one."""
    heldout = plain(*range(101, 181))
    generated = np.concatenate([plain(*[100] * 20), heldout])
    p, nearest = copy_test(generated, plain(10, 100), heldout)
    assert p == pytest.approx(0.2 + 0.8 * 0.5)
    assert nearest.tolist() == [1] * 100


def test_the_null_is_a_half_and_copies_move_it_by_half_their_share() -> None:
    train, generated, heldout = noisy(400, 1), noisy(400, 2), noisy(400, 3)
    p, _ = copy_test(generated, train, heldout)
    error = np.sqrt((400 + 400 + 1) / (12 * 400 * 400))  # of the rank statistic under its null
    assert p == pytest.approx(0.5, abs=3 * error)
    generated[:80] = train[7]
    p, nearest = copy_test(generated, train, heldout)
    assert p == pytest.approx(0.6, abs=3 * error)
    assert (nearest[:80] == 7).all()


def test_it_is_the_rank_statistic() -> None:
    """SciPy's U, divided by the number of pairs; with ties."""
    train, generated, heldout = plain(0, 120), plain(3, 5, 5, 90, 119), plain(2, 5, 118, 119)
    far, null = nearest_distances(generated, train)[0], nearest_distances(heldout, train)[0]
    u = mannwhitneyu(null.numpy(), far.numpy()).statistic  # pairs in which the null is larger, ties half
    assert copy_test(generated, train, heldout)[0] == pytest.approx(u / 20)


def test_nothing_wraps_around() -> None:
    """In uint8 64² is 0: what is 64 levels away would be the nearest."""
    train, generated = plain(10, 79), plain(15, 74)
    p, nearest = copy_test(generated, train, plain(40, 45))
    assert p == 1
    assert nearest.tolist() == [0, 1]
    wrapped = np.square(generated[:, None] - train).mean((2, 3, 4))
    assert wrapped.argmin(1).tolist() == [1, 0]


def page(*pixels: tuple[int, int], level: int = 0) -> np.ndarray:
    """A white page with some pixels drawn."""
    picture = np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    for row, column in pixels:
        picture[:, row, column] = level
    return picture


def test_the_white_page_is_no_copy_of_anything() -> None:
    """By the error over all pixels it is nearer to thin drawings than any other drawing is."""
    train = np.concatenate([page((1, 1), (1, 2)), page((5, 5), (5, 6), (5, 7))])
    blank, heldout = page(), page((1, 1), (1, 3), (2, 2), (2, 3))
    p, _ = copy_test(blank, train, heldout)
    assert p == 0
    assert pixel_distances(blank, train).min() < pixel_distances(heldout, train).min()


def test_distances_are_means_over_what_either_has_drawn() -> None:
    one, two = page((0, 0), (0, 1)), page((0, 1), (0, 2), (0, 3))
    assert drawn_distances(one, two).item() == pytest.approx(3 / 4)  # four pixels, three of them differ
    assert drawn_distances(one, one).item() == 0
    assert drawn_distances(page(), page()).item() == 0
    assert drawn_distances(page((0, 0), level=245), page()).item() == 0  # a VQGAN's white
    assert drawn_distances(page((0, 0), level=51), page()).item() == pytest.approx(0.8**2)
    assert drawn_distances(page((0, 0), level=240), page()).item() == 0  # the darkest white
    assert drawn_distances(page((0, 0), level=239), page()).item() == pytest.approx((16 / 255) ** 2)
    yellow = page()
    yellow[0, 0, 0, 2] = 0
    assert drawn_distances(yellow, page()).item() == pytest.approx(1 / 3)  # one color in three is away from white
    full = noisy(3, 0).clip(0, 200), noisy(4, 1).clip(0, 200)
    torch.testing.assert_close(drawn_distances(*full), pixel_distances(*full))  # without white: all pixels


def test_a_query_is_not_in_its_own_gallery() -> None:
    train = noisy(20, 1)
    with pytest.raises(InvalidValue, match=r"heldout='row 1': expected pictures that are not in train"):
        copy_test(noisy(5, 2), train, np.concatenate([noisy(1, 3), train[4:5]]))
    p, nearest = copy_test(train[:5], train, noisy(5, 3))  # copies are what is looked for
    assert p == 1
    assert nearest.tolist() == [0, 1, 2, 3, 4]


def test_batches_make_no_difference() -> None:
    train, generated = noisy(50, 1), noisy(600, 2)
    far, nearest = nearest_distances(generated, train)
    whole = drawn_distances(generated, train)
    assert torch.equal(far, whole.min(1).values)
    assert torch.equal(nearest, whole.argmin(1))


@pytest.mark.parametrize("shared", [True, False])
def test_the_interval_is_that_of_drawing_whole_groups_on_both_sides(shared: bool) -> None:
    """Against the plain bootstrap of both samples, with the same roles on both sides or with others."""
    chance, roles = np.random.default_rng(0), 80
    groups = np.repeat(np.arange(40), 3)
    heldout_groups = np.repeat(np.arange(40) + (0 if shared else 40), 2)
    shift = chance.normal(0, 20, roles)

    def pictures(members: np.ndarray) -> np.ndarray:
        levels = 60 + np.abs(20 + shift[members] + chance.normal(0, 8, len(members)))
        return plain(*levels.astype(np.uint8))

    train, generated, heldout = plain(59), pictures(groups), pictures(heldout_groups)
    found = copy_interval(generated, train, heldout, groups, heldout_groups)
    assert found.mean == pytest.approx(copy_test(generated, train, heldout)[0])
    assert found.rows == 120
    wins = nearer(nearest_distances(generated, train)[0], nearest_distances(heldout, train)[0]).numpy()
    used = 40 if shared else 80
    times = chance.multinomial(used, np.full(used, 1 / used), size=2000)
    drawn = [(w[groups] @ wins @ w[heldout_groups]) / (w[groups].sum() * w[heldout_groups].sum()) for w in times]
    low, high = np.percentile(drawn, (2.5, 97.5))
    width = width_of(found)
    assert width == pytest.approx(high - low, rel=0.1)
    by_row = width_of(copy_interval(generated, train, heldout, np.arange(120), np.arange(120, 200)))
    assert (by_row < 0.8 * width) == (not shared)  # what roles have in common cancels only where both sides have it


def width_of(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_an_interval_stays_between_0_and_1_and_one_group_has_none() -> None:
    train, near, far = plain(100), plain(*range(101, 111)), plain(*range(150, 160))
    sure = copy_interval(near, train, far, np.arange(10), np.arange(10))
    assert (sure.mean, sure.low, sure.high) == (1.0, 1.0, 1.0)
    nearly = copy_interval(
        plain(*[101] * 4, 120), train, plain(110, *[150] * 4), groups=np.arange(5), heldout_groups=np.arange(5, 10)
    )
    assert (nearly.mean, nearly.high) == (pytest.approx(0.96), 1.0)
    alone = copy_interval(near, train, far, np.zeros(10), np.zeros(10))
    assert (alone.low, alone.high) == (None, None)


GOOD = noisy(3, 1)
BAD = {
    "floats": (GOOD / 255, "uint8"),
    "one picture without its dimension": (GOOD[0], "B, S, S, 3"),
    "channels first": (GOOD.transpose(0, 3, 1, 2), "B, S, S, 3"),
    "nothing": (GOOD[:0], "1 or more"),
    "a tensor": (torch.from_numpy(GOOD), "NumPy"),
    "another size": (np.zeros((3, 4, 4, 3), np.uint8), "B, 8, 8, 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_told(name: str) -> None:
    bad, word = BAD[name]
    with pytest.raises(InvalidValue, match=word):
        copy_test(bad, noisy(5, 2), noisy(5, 3))
    with pytest.raises(InvalidValue, match=f"heldout.*{word}"):
        copy_test(GOOD, noisy(5, 2), bad)
    if name != "another size":
        with pytest.raises(InvalidValue, match=f"train.*{word}"):
            copy_test(GOOD, bad, noisy(5, 3))


def test_groups_are_one_for_each_picture() -> None:
    with pytest.raises(InvalidValue, match=r"heldout_groups.*3, one for each"):
        copy_interval(GOOD, noisy(5, 2), GOOD, np.arange(3), np.arange(2))

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from minidalle.data import batch_rows, rank_slice
from minidalle.data.batches import _epoch, thin_rows
from minidalle.errors import InvalidValue

ROWS = np.arange(100, 137)  # 37: no multiple of any batch size here


def stream(batch_size: int, count: int, thin: np.ndarray | None = None, seed: int = 0) -> list[int]:
    batches = (batch_rows(ROWS, batch_size, seed, n, thin) for n in range(10**6))
    rows = [row for batch in islice(batches, -(-count // batch_size)) for row in batch.tolist()]
    return rows[:count]


@pytest.mark.parametrize("batch_size", [1, 8, 37, 100])
def test_every_epoch_has_every_row_once_in_a_new_order(batch_size: int) -> None:
    rows = stream(batch_size, 4 * 37)
    epochs = [rows[start : start + 37] for start in range(0, 4 * 37, 37)]
    assert all(sorted(epoch) == ROWS.tolist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@pytest.mark.parametrize("thinned", [1, 10, 11, 36, 37])
@pytest.mark.parametrize("batch_size", [8, 100])
def test_thinned_rows_come_every_second_epoch(thinned: int, batch_size: int) -> None:
    thin = np.arange(37) % 37 < thinned
    even, odd = 37 - thinned // 2, 37 - thinned + thinned // 2
    rows, start, halves = stream(batch_size, 2 * (even + odd), thin), 0, []
    for size in (even, odd, even, odd):
        epoch, start = rows[start : start + size], start + size
        assert len(set(epoch)) == size
        assert set(epoch) >= set(ROWS[~thin].tolist())
        halves.append(set(epoch) & set(ROWS[thin].tolist()))
    assert halves[0] == halves[2]
    assert halves[1] == halves[3]
    assert halves[0] | halves[1] == set(ROWS[thin].tolist())
    assert not halves[0] & halves[1]


def test_a_batch_depends_on_the_seed_and_its_number_alone() -> None:
    thin = np.arange(37) % 3 == 0
    forward = [batch_rows(ROWS, 8, 5, n, thin).tolist() for n in range(40)]
    _epoch.cache_clear()
    assert [batch_rows(ROWS, 8, 5, n, thin).tolist() for n in reversed(range(40))] == forward[::-1]
    assert [batch_rows(ROWS, 8, 6, n, thin).tolist() for n in range(40)] != forward


def test_where_no_row_is_thinned_none_need_be_looked_at_and_the_order_stays() -> None:
    none = np.zeros(37, bool)
    assert thin_rows(none, asked=True) is None
    toned = np.arange(37) < 5
    assert thin_rows(toned, asked=False) is None
    assert thin_rows(toned, asked=True) is toned
    for n in (0, 3, 4, 5, 1000):
        assert batch_rows(ROWS, 8, 7, n).tolist() == batch_rows(ROWS, 8, 7, n, none).tolist()
    assert batch_rows(ROWS, 5, 0, 0).tolist() == [105, 111, 108, 122, 117]  # trainings that were begun go on with it


def test_the_size_of_the_batch_does_not_change_the_order() -> None:
    assert stream(8, 100) == stream(25, 100)


def test_over_many_epochs_every_row_counts_as_it_should() -> None:
    thin = np.arange(37) < 20
    count = Counter(stream(64, 100 * (37 + 17), thin))
    assert {count[row] for row in ROWS[:20].tolist()} == {100}
    assert {count[row] for row in ROWS[20:].tolist()} == {200}


def test_a_batch_far_ahead_costs_no_more() -> None:
    assert len(batch_rows(ROWS, 8, 0, 10**9)) == 8


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InvalidValue, match="rows=0"):
        batch_rows(ROWS[:0], 8, 0, 0)
    with pytest.raises(InvalidValue, match="batch_size=0"):
        batch_rows(ROWS, 0, 0, 0)
    with pytest.raises(InvalidValue, match=r"thin=.*expected bool \(37,\)"):
        batch_rows(ROWS, 8, 0, 0, thin=np.array([True]))


@pytest.mark.parametrize(("size", "ranks"), [(64, 2), (7, 3), (2, 3), (10, 1)])
def test_the_shares_of_the_ranks_are_the_whole(size: int, ranks: int) -> None:
    shares = [rank_slice(np.arange(size), rank, ranks) for rank in range(ranks)]
    assert np.concatenate(shares).tolist() == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_there_is_no_rank_beyond_the_last() -> None:
    with pytest.raises(InvalidValue, match="rank=2"):
        rank_slice(ROWS, 2, 2)

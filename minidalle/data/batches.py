"""Which rows are in batch n: a function of the seed and n alone, so that training resumes exactly."""

from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from minidalle.errors import require
from minidalle.runtime import numpy_generator

Rows = TypeVar("Rows", bound=Any)  # whatever has a length and slices: an array, a tensor, a list


def batch_rows(rows: np.ndarray, batch_size: int, seed: int, n: int, thin: np.ndarray | None = None) -> np.ndarray:
    """The rows of batch `n` of endless shuffled epochs; a batch may end one epoch and begin the next.

    An epoch is every row once, newly shuffled. Rows that are thinned come every second epoch: a fixed half
    of them in epochs 0, 2, 4, …, the other half in 1, 3, 5, …: two epochs have 2·plain + thinned rows.

    Args:
        rows: int64 [R], the rows to draw from, such as those of `train`.
        batch_size: B.
        seed: another seed shuffles otherwise.
        n: the batch, counted from 0; no batch depends on another.
        thin: bool [R], the rows that come every second epoch. None for none is the same batches, sooner: it is
            read for every batch.

    Returns:
        int64 [B].
    """
    require(batch_size > 0, "batch_size", batch_size, "1 or more")
    require(n >= 0, "n", n, "0 or more")
    thinned, key = 0, None
    if thin is not None:
        whole = thin.shape == rows.shape and thin.dtype == bool
        require(whole, "thin", f"{thin.dtype} {thin.shape}", f"bool ({len(rows)},), one for each row")
        thinned, key = int(thin.sum()), thin.tobytes()
    even = len(rows) - thinned // 2  # rows of an even epoch: it has the larger half of the thinned ones
    two = 2 * len(rows) - thinned  # rows of an even and an odd epoch
    require(two > 0, "rows", len(rows), "at least one")
    parts, start, stop = [], n * batch_size, (n + 1) * batch_size
    while start < stop:
        pair, place = divmod(start, two)
        odd = place >= even
        order = _epoch(len(rows), key, seed, 2 * pair + odd)
        parts.append(order[place - odd * even :][: stop - start])
        start += len(parts[-1])
    return rows[np.concatenate(parts)]


def thin_rows(toned: np.ndarray, asked: bool) -> np.ndarray | None:
    """The `thin` of `batch_rows` for a training: the toned rows, bool [R], if this is asked for and there are any."""
    return toned if asked and toned.any() else None


@lru_cache(maxsize=4)
def _epoch(rows: int, thin: bytes | None, seed: int, epoch: int) -> np.ndarray:
    """The places in the rows that an epoch visits, in order. Kept: every batch of the epoch asks."""
    is_thin = np.zeros(rows, bool) if thin is None else np.frombuffer(thin, bool)
    thinned = numpy_generator(seed, "thinned halves").permutation(np.flatnonzero(is_thin))
    visited = np.concatenate([np.flatnonzero(~is_thin), thinned[epoch % 2 :: 2]])
    order = numpy_generator(seed, "epoch", epoch).permutation(visited)
    order.setflags(write=False)
    return order


def rank_slice(rows: Rows, rank: int, ranks: int) -> Rows:
    """The share of one of several processes: contiguous, so that all ranks' shares in order are the whole.

    >>> [rank_slice(np.arange(5), rank, 2).tolist() for rank in range(2)]
    [[0, 1], [2, 3, 4]]
    """
    require(0 <= rank < ranks, "rank", rank, f"at least 0 and below {ranks}")
    return rows[len(rows) * rank // ranks : len(rows) * (rank + 1) // ranks]

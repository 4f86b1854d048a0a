"""How sure a mean is, where rows come in groups that are alike: intervals from resampled groups."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minidalle.errors import require
from minidalle.runtime import numpy_generator

DRAWS = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean over rows, and the ends of its 95 % interval; None where all rows are of one group."""

    mean: float
    low: float | None
    high: float | None
    rows: int


def estimate(values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Estimate | None:
    """`estimates` of one measure; None if it applies to no row."""
    return estimates({"mean": values}, groups, draws, seed).get("mean")


def estimates(
    measures: Mapping[str, np.ndarray], groups: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> dict[str, Estimate]:
    """Means with 95 % percentile intervals, from a bootstrap over whole groups.

    Four styles of one emoji are not four independent facts: who resamples rows believes too much. So groups
    are drawn with replacement, as many as there are, and all rows of a drawn group count.

    Args:
        measures: name → float [B], NaN where the measure does not apply to a row.
        groups: [B], what the rows that are alike share, such as their role.
        draws: how many times the groups are drawn.
        seed: of the draws.

    Returns:
        An estimate of each measure that applies to any row. Source: Davison and Hinkley 1997, "Bootstrap
        methods and their application", section 3.8; Field and Welsh 2007, "Bootstrapping clustered data".

    Raises:
        InvalidValue: a measure has not as many values as there are groups.
    """
    require(draws >= 1, "draws", draws, "1 or more")
    for name, column in measures.items():
        require(len(column) == len(groups), name, f"{len(column)} values", f"{len(groups)}, as many as groups")
    measures = {name: column for name, column in measures.items() if not np.isnan(column).all()}
    if not measures:
        return {}
    member, values = np.unique(groups, return_inverse=True)[1], np.stack(list(measures.values()), 1)
    known = ~np.isnan(values)
    sums, sizes = np.zeros((2, member.max() + 1, values.shape[1]))
    np.add.at(sums, member, np.where(known, values, 0.0))
    np.add.at(sizes, member, known)
    found = {}
    for name, total, rows, ends in zip(measures, sums.T, sizes.T, _interval(sums, sizes, draws, seed), strict=True):
        low, high = ends if (rows > 0).sum() > 1 else (None, None)
        found[name] = Estimate(float(total.sum() / rows.sum()), low, high, int(rows.sum()))
    return found


def _interval(sums: np.ndarray, sizes: np.ndarray, draws: int, seed: int) -> list[tuple[float, float]]:
    """The 2.5 and 97.5 percentiles of resampled means, from the groups' sums and numbers of rows [C, M] → M pairs."""
    groups = len(sums)
    times = numpy_generator(seed, "bootstrap").multinomial(groups, np.full(groups, 1 / groups), size=draws)
    with np.errstate(invalid="ignore"):  # a draw may miss all rows that a measure applies to: 0 / 0 is left out
        means = (times @ sums) / (times @ sizes)
    return [(float(low), float(high)) for low, high in np.nanpercentile(means, (2.5, 97.5), axis=0).T]

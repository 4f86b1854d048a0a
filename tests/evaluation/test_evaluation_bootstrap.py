"""Intervals against closed forms: independent rows, rows that are all alike within a group, ratios of means."""

import numpy as np
import pytest

from minidalle.errors import InvalidValue
from minidalle.evaluation.bootstrap import estimate, estimates

CHANCE = np.random.default_rng(0)
VALUES = CHANCE.normal(3.0, 2.0, 400)


def width(values: np.ndarray, groups: np.ndarray) -> float:
    found = estimate(values, groups)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_rows_of_their_own_give_the_normal_interval() -> None:
    found = estimate(VALUES, np.arange(400))
    error = VALUES.std() / 20
    assert found is not None
    assert found.mean == pytest.approx(VALUES.mean())
    assert found.rows == 400
    assert found.low == pytest.approx(VALUES.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(VALUES.mean() + 1.96 * error, abs=0.15 * error)


def test_four_copies_of_each_row_tell_nothing_new() -> None:
    copies = np.repeat(VALUES, 4)
    honest = width(copies, np.repeat(np.arange(400), 4))
    assert honest == pytest.approx(width(VALUES, np.arange(400)), rel=0.05)
    assert width(copies, np.arange(1600)) == pytest.approx(honest / 2, rel=0.1)  # what resampling rows would claim


def test_groups_of_unequal_size_follow_the_delta_method() -> None:
    sizes = CHANCE.integers(1, 9, 300)
    groups = np.repeat(np.arange(300), sizes)
    values = CHANCE.normal(size=300)[groups] + CHANCE.normal(size=len(groups))
    residuals = np.bincount(groups, values - values.mean())
    error = np.sqrt(np.square(residuals).sum()) / len(groups)  # of a ratio of means
    assert width(values, groups) == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    hits = 0
    for trial in range(200):
        chance = np.random.default_rng(trial)
        groups = np.repeat(np.arange(60), 3)
        found = estimate(chance.normal(size=60)[groups] + chance.normal(size=180), groups, draws=400)
        hits += found is not None and found.low is not None and found.high is not None and found.low < 0 < found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_what_does_not_apply_is_left_out() -> None:
    values = VALUES.copy()
    values[::2] = np.nan
    found = estimates({"half": values, "none": np.full(400, np.nan)}, np.arange(400))
    assert set(found) == {"half"}
    assert found["half"].mean == pytest.approx(VALUES[1::2].mean())
    assert found["half"].rows == 200
    assert estimate(np.full(3, np.nan), np.arange(3)) is None


def test_one_group_has_no_interval() -> None:
    values = np.array([1.0, 2.0, np.nan])
    for groups in (np.zeros(3), np.array([0, 0, 1])):  # also where the other group knows nothing
        found = estimate(values, groups)
        assert found is not None
        assert (found.mean, found.low, found.high) == (1.5, None, None)


def test_two_groups_have_the_interval_of_their_own_means() -> None:
    """Both draws fall on one of them in a quarter of the cases each."""
    found = estimate(np.array([1.0, 2.0]), np.arange(2))
    assert found is not None
    assert (found.mean, found.low, found.high) == (1.5, 1.0, 2.0)


def test_draws_are_the_same_every_time_and_shared_by_measures() -> None:
    groups = np.arange(400) // 3
    both = estimates({"a": VALUES, "b": 1 - VALUES}, groups)
    assert both["a"] == estimate(VALUES, groups)
    assert both["b"].low == pytest.approx(1 - (both["a"].high or 0))
    assert estimate(VALUES, groups, seed=1) != both["a"]
    names = np.array([f"role {number}" for number in groups])
    assert estimate(VALUES, names) is not None


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidValue, match="recall='2 values': expected 3, as many as groups"):
        estimates({"recall": np.ones(2)}, np.arange(3))
    with pytest.raises(InvalidValue, match="draws=0: expected 1 or more"):
        estimate(np.ones(3), np.arange(3), draws=0)

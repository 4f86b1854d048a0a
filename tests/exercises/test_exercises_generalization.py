"""Lesson 05: its plan, its examples, and answers to its cases from elsewhere: NumPy, SciPy, hashlib, properties."""

import hashlib
import inspect
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from exercise_calls import SEEDS, outcome
from scipy import stats

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES

LESSON = [exercise for exercise in EXERCISES.values() if exercise.lesson == "generalization"]


def test_the_plan() -> None:
    order = ["hold_out_groups", "token_nll", "loss_gap", "shuffle_captions"]
    assert [exercise.name for exercise in LESSON][: len(order)] == order
    assert all(exercise.minutes >= 5 * exercise.points for exercise in LESSON[: len(order)])


def logits_of(nats: list[list[float]]) -> torch.Tensor:
    """Logits [B, N, 2] with which token 0 has the given surprise."""
    likely = -torch.tensor(nats)
    return torch.stack([likely, torch.log1p(-likely.exp())], -1)


EXAMPLES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "token_nll": (
        (
            logits_of([[3.0, 9.0], [1.0, 2.0]]),
            torch.zeros(2, 2, dtype=torch.long),
            torch.tensor([[True, False], [True, True]]),
        ),
        (2.0, 0.667, [3.0, 1.5]),
        "with 3.0 and 1.0, 2.0 nats → mean 6.0 / 3 = 2.0, se 0.667, per_image [3.0, 1.5]",
    ),
    "hold_out_groups": (
        (["dog", "cat", "dog", "fox"], 1 / 3, 0),
        [True, False, True, False],
        '["dog", "cat", "dog", "fox"], 1/3, 0 → [True, False, True, False]',
    ),
    "loss_gap": (
        (torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]), torch.tensor([7, 8]), torch.tensor([8, 9])),
        (3.5, 1.146),
        "seen [1.0, 2.0] of groups [7, 8], unseen [4.0, 6.0] of groups [8, 9] → gap 5.0 − 1.5 = 3.5, se 1.146",
    ),
}
"""Function → arguments, result (to three digits), and how its docstring writes both."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_true(name: str) -> None:
    reference = EXERCISES[f"generalization.{name}"].reference
    arguments, expected, text = EXAMPLES[name]
    assert text in " ".join((inspect.getdoc(reference) or "").split())
    result = reference(*arguments)
    if isinstance(result, tuple):
        result = tuple(one.double().round(decimals=3).tolist() for one in result)
    assert result == expected


def answered(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """The cases of all seeds, and what the reference's probe returns."""
    exercise = EXERCISES[f"generalization.{name}"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            made = outcome(exercise, exercise.reference, case)
            assert not made.error
            yield dict(case), made.result


def clustered(losses: np.ndarray, columns: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A regression's coefficients, and their errors as groups make them: the robust variance of Liang and Zeger 1986.

    losses: [R]. columns: [R, K], what the losses are explained with. groups: [R].
    """
    coefficients, *_ = np.linalg.lstsq(columns, losses, rcond=None)
    residuals = losses - columns @ coefficients
    scores = np.stack([residuals[groups == group] @ columns[groups == group] for group in np.unique(groups)])
    bread = np.linalg.inv(columns.T @ columns)
    factor = len(scores) / (len(scores) - 1)
    return coefficients, np.sqrt(np.diag(factor * bread @ scores.T @ scores @ bread))


def test_token_nll_is_a_regression_on_nothing_with_images_for_groups() -> None:
    for case, found in answered("token_nll"):
        logits, mask = case["logits"].double(), case["mask"]
        nats = F.cross_entropy(logits[mask], case["targets"][mask], reduction="none").numpy()
        image = mask.nonzero()[:, 0].numpy()
        (mean,), (se,) = clustered(nats, np.ones((len(nats), 1)), image)
        assert found["mean"].item() == pytest.approx(mean, abs=1e-4)
        assert found["se"].item() == pytest.approx(se, abs=1e-4)
        means = [nats[image == one].mean() for one in range(len(mask))]
        assert found["per_image"].tolist() == pytest.approx(means, abs=1e-4)
        if mask.all():
            assert found["se"].item() == pytest.approx(stats.sem(means), abs=1e-4)


def test_token_nll_may_return_any_three() -> None:
    exercise = EXERCISES["generalization.token_nll"]
    assert examine(exercise, lambda logits, targets, mask: tuple(exercise.also_right[0](logits, targets, mask))).passed
    report = examine(exercise, lambda logits, targets, mask: exercise.also_right[0](logits, targets, mask)[:2])
    assert report.points == 0
    assert "expected a tuple (Tensor, Tensor, Tensor)" in str(report)


def test_token_nll_asks_for_no_trick_with_padding() -> None:
    """0 times infinity is no number: no case has an infinite surprise where nothing counts."""
    for case, _ in answered("token_nll"):
        assert F.cross_entropy(case["logits"].float().mT, case["targets"], reduction="none").isfinite().all()


def lot(seed: int, group: str) -> int:
    """`draw_lot`, from what its docstring says."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{group}".encode(), digest_size=16).digest(), "big")


def test_a_group_is_held_out_if_few_lots_are_smaller() -> None:
    for case, found in answered("hold_out_groups"):
        groups, share, seed = case.values()
        names = np.unique(groups)
        wanted = Fraction(share).limit_denominator(100) * len(names)
        assert abs(wanted % 1 - Fraction(1, 2)) > Fraction(1, 50)  # whoever rounds a half up is right, too
        smaller = {one: sum(lot(seed, other) < lot(seed, one) for other in names) for one in names}
        assert found == {"held out": [smaller[group] < round(wanted) for group in groups], "lots": []}


def test_the_order_and_the_number_of_rows_change_no_group() -> None:
    hold_out = EXERCISES["generalization.hold_out_groups"].reference
    for case, found in answered("hold_out_groups"):
        groups, share, seed = case.values()
        pairs = [*zip(groups, found["held out"], strict=True)]
        drawn = {group for group, held in pairs if held}
        assert not drawn & {group for group, held in pairs if not held}
        assert len(drawn) == round(share * len(set(groups)))
        for others in (groups[::-1], sorted(groups), [*groups, *groups[:2]], sorted(set(groups))):
            assert hold_out(others, share, seed) == [group in drawn for group in others]


def test_a_larger_share_only_adds_groups() -> None:
    hold_out = EXERCISES["generalization.hold_out_groups"].reference
    groups = [str(number) for number in range(50)]
    some, more = (np.array(hold_out(groups, share, 3)) for share in (0.2, 0.4))
    assert (some <= more).all()
    assert (some.sum(), more.sum()) == (10, 20)


def test_every_group_is_drawn_as_often() -> None:
    """Over 2000 seeds, 3 of 12 groups each time: a chi-square test of what is expected of a fair lot."""
    hold_out = EXERCISES["generalization.hold_out_groups"].reference
    groups = [f"role {number}" for number in range(12)]
    drawn = np.sum([hold_out(groups, 0.25, seed) for seed in range(2000)], axis=0)
    statistic = ((drawn - 500) ** 2 / (500 * 0.75)).sum() * 11 / 12
    assert 0.001 < stats.chi2.sf(statistic, 11) < 0.999


def test_loss_gap_is_a_regression_on_the_side() -> None:
    for case, found in answered("loss_gap"):
        losses = torch.cat([case["seen"], case["unseen"]]).double().numpy()
        groups = torch.cat([case["seen_groups"], case["unseen_groups"]]).numpy()
        side = np.arange(len(losses)) >= len(case["seen"])
        coefficients, errors = clustered(losses, np.stack([np.ones(len(losses)), side], 1), groups)
        assert found["gap"].item() == pytest.approx(coefficients[1], abs=1e-5)
        assert found["se"].item() == pytest.approx(errors[1], abs=1e-5)


def test_loss_gap_of_independent_examples_is_welchs() -> None:
    """With a group for each, but for the factors: G / (G − 1), and n / (n − 1) of each side."""
    for case, found in answered("loss_gap"):
        seen, unseen = case["seen"].double().numpy(), case["unseen"].double().numpy()
        n = len(seen) + len(unseen)
        if len({*case["seen_groups"].tolist(), *case["unseen_groups"].tolist()}) == n:
            variance = seen.var() / len(seen) + unseen.var() / len(unseen)
            assert found["se"].item() == pytest.approx((n / (n - 1) * variance) ** 0.5, abs=1e-5)


def test_some_gaps_are_negative_and_some_groups_on_both_sides() -> None:
    exercise = EXERCISES["generalization.loss_gap"]
    for seed in SEEDS:
        cases = list(exercise.cases(seed))
        gaps = [outcome(exercise, exercise.reference, case).result["gap"].item() for case in cases]
        assert [gap < 0 for gap in gaps].count(True) >= 2
        shared = [{*case["seen_groups"].tolist()} & {*case["unseen_groups"].tolist()} for case in cases]
        assert [bool(common) for common in shared].count(True) == 4


def test_shuffled_captions_of_every_right_answer() -> None:
    """Where half of the rows have one caption, the others have to take it, and there is no other way."""
    exercise = EXERCISES["generalization.shuffle_captions"]
    for answer in (exercise.reference, *exercise.also_right):
        for seed in range(20):
            order = answer([*"aabxab", "b"], ["train"] * 3 + ["dev"] + ["train"] * 3, seed)
            assert "".join("aabxabb"[row] for row in order) == "bbaxbaa"
            assert sorted(order) == list(range(7))
        # over many seeds, every row gets each of the other captions' rows
        orders = [answer([*"abcde"], ["train"] * 5, seed) for seed in range(300)]
        found = {pair for order in orders for pair in enumerate(order)}
        assert found == {(row, other) for row in range(5) for other in range(5) if row != other}


def test_shuffle_captions_in_the_docstring() -> None:
    """Its example is one of the possible orders; only that every seed gives it would be wrong."""
    exercise = EXERCISES["generalization.shuffle_captions"]
    text = " ".join((inspect.getdoc(exercise.reference) or "").split())
    assert '["cat", "cat", "dog", "pig", "fox"], the last one held out, the others in "train" → for example ' in text
    assert "[3, 2, 1, 0, 4]" in text
    captions, splits = ["cat", "cat", "dog", "pig", "fox"], ["train"] * 4 + ["dev"]
    orders = [exercise.reference(captions, splits, seed) for seed in range(100)]
    assert [3, 2, 1, 0, 4] in orders
    faults = exercise.probe(lambda captions, splits, seed: [3, 2, 1, 0, 4], captions, splits, 0)
    assert faults == ["all seeds give the same order"]


def test_a_report_on_captions_says_what_is_not_true() -> None:
    exercise = EXERCISES["generalization.shuffle_captions"]
    (wrong,) = (answer for answer in exercise.wrong if answer.__name__ == "swaps_equal_captions")
    report = str(examine(exercise, wrong))
    assert "swaps equal captions" in report
    assert "a row in train keeps its words" in report

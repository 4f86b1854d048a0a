"""Lesson 05's walks with the weights: examples, and answers to their cases from properties and other formulas."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from exercise_calls import SEEDS, outcome

from minidalle.exercises import EXERCISES


def answered(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """The cases of all seeds, and what the reference's probe returns."""
    exercise = EXERCISES[f"generalization.{name}"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            made = outcome(exercise, exercise.reference, case)
            assert not made.error
            yield dict(case), made.result


def says(name: str, text: str) -> bool:
    """Whether the stub has this example."""
    return text in " ".join((inspect.getdoc(EXERCISES[f"generalization.{name}"].reference) or "").split())


def vector(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.double().reshape(-1) for tensor in tensors])


def test_the_examples_of_sam_are_true() -> None:
    params, gradients = [torch.tensor([1.0]), torch.tensor([2.0])], [torch.tensor([3.0]), torch.tensor([4.0])]
    assert says("sam_perturbation", "gradients 3 and 4, rho 0.1: [[1.0], [2.0]], [[3.0], [4.0]] → [[0.06], [0.08]]")
    assert says("sam_perturbation", "here → [[0.035], [0.187]]")
    for adaptive, expected in ((False, [0.06, 0.08]), (True, [0.035, 0.187])):
        found = EXERCISES["generalization.sam_perturbation"].reference(params, gradients, 0.1, adaptive)
        assert vector(found).tolist() == pytest.approx(expected, abs=5e-4)


def test_no_step_of_the_same_length_leads_higher() -> None:
    """Against 200 random ones, and with equality in Hölder's: g · ε = ρ ‖g‖, or ρ ‖w g‖ where lengths are of ε / w."""
    chance = torch.Generator().manual_seed(0)
    for case, found in answered("sam_perturbation"):
        params, gradients, rho, adaptive = case.values()
        g, w, step = vector(gradients), vector(params), vector(found)
        scale = w if adaptive else torch.ones_like(w)
        if not g.isfinite().all() or not g.any():
            assert not step.any()
            continue
        assert (step @ g).item() == pytest.approx(rho * (scale * g).norm().item(), rel=1e-5)
        assert (step[scale != 0] / scale[scale != 0]).norm().item() == pytest.approx(rho, rel=1e-5)
        others = torch.nn.functional.normalize(torch.randn(200, len(g), generator=chance).double()) * rho * scale
        assert (others @ g).max() <= (step @ g) * (1 + 1e-5)


def test_there_are_flat_and_infinite_gradients_and_weights_of_zero() -> None:
    for seed in SEEDS:
        cases: list[dict[str, Any]] = [dict(case) for case in EXERCISES["generalization.sam_perturbation"].cases(seed)]
        gradients = [vector(case["gradients"]) for case in cases]
        assert [bool(g.any()) for g in gradients].count(False) == 1
        assert [bool(g.isfinite().all()) for g in gradients].count(False) == 1
        assert [bool(vector(case["params"]).all()) for case in cases].count(False) == 1


def test_the_example_of_filter_normalize_is_true() -> None:
    direction = [torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([5.0])]
    params = [torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([1.0])]
    text = "The direction [[[0.0, 2.0], [1.0, 0.0]], [5.0]] for the weights [[[3.0, 4.0], [0.0, 0.0]], [1.0]]"
    assert says("filter_normalize", f"{text} → [[[0.0, 5.0], [0.0, 0.0]], [0.0]]")
    found = EXERCISES["generalization.filter_normalize"].reference(direction, params)
    assert [step.tolist() for step in found] == [[[0.0, 5.0], [0.0, 0.0]], [0.0]]


def test_rows_point_where_they_did_and_are_as_long_as_the_weights() -> None:
    """By NumPy's norm, and the angle between a row and what it was: its cosine is 1."""
    seen = set()
    for case, found in answered("filter_normalize"):
        for new, step, weights in zip(found, case["direction"], case["params"], strict=True):
            seen.add(new.dim())
            if new.dim() < 2:
                assert not new.any()
                continue
            for row, before, of in zip(new.numpy(), step.numpy(), weights.numpy(), strict=True):
                wanted = np.linalg.norm(of.ravel()) if before.any() else 0.0
                assert np.linalg.norm(row.ravel()) == pytest.approx(wanted, abs=1e-5)
                lengths = np.linalg.norm(before.ravel()) * wanted
                assert row.ravel() @ before.ravel() == pytest.approx(lengths, abs=1e-4)
    assert seen == {0, 1, 2, 3, 4}


def test_the_example_of_barrier_is_true() -> None:
    heights = {0.0: 1.0, 0.5: 6.0, 1.0: 3.0}
    assert says("barrier", "Losses 1, 6, 3 at t = 0, 1/2, 1 → 6 − 2 = 4.")
    reference = EXERCISES["generalization.barrier"].reference
    assert reference(lambda w: heights[w[0].item()], [torch.zeros(1)], [torch.ones(1)], 3) == 4


def test_a_barrier_is_the_largest_residual_from_the_line_through_the_ends() -> None:
    """With losses of NumPy and a line fitted by least squares through two points."""
    for case, found in answered("barrier"):
        tilt, w0, w1 = (vector(case[name]).numpy() for name in ("tilt", "w0", "w1"))
        way = np.arange(case["points"]) / (case["points"] - 1)
        places = w0 + way[:, None] * (w1 - w0)
        losses = case["level"] + places @ tilt
        for place, height in zip(case["hills"], case["heights"], strict=True):
            distances = np.linalg.norm(places - vector(place).numpy(), axis=1)
            losses = losses + height * np.exp(-((distances / case["width"]) ** 2))
        assert losses.min() > 0
        line = np.polynomial.Polynomial.fit([0, 1], losses[[0, -1]], 1)
        assert found == pytest.approx((losses - line(way)).max(), abs=1e-5)


def test_some_barriers_are_zero_and_most_are_not() -> None:
    barriers = [found for _, found in answered("barrier")]
    assert min(barriers) == 0
    assert sum(height > 1 for height in barriers) > len(barriers) / 2

"""Lesson 05, curvature: its examples, and answers to its cases from elsewhere: dense Hessians, NumPy, SciPy."""

import inspect
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from exercise_calls import SEEDS, outcome
from scipy import stats
from torch import Tensor

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES
from minidalle.exercises.probes.curvature import FORMULAS, Matrix, probe_hutchinson_trace, probe_top_eigenvalue

NAMES = ("hvp", "top_eigenvalue", "hutchinson_trace", "slq_density")


def reference(name: str) -> Callable[..., Any]:
    return EXERCISES[f"generalization.{name}"].reference


def answered(name: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """The cases of all seeds, and what the reference's probe returns."""
    exercise = EXERCISES[f"generalization.{name}"]
    for seed in SEEDS:
        for case in exercise.cases(seed):
            made = outcome(exercise, exercise.reference, case)
            assert not made.error
            yield dict(case), made.result


def diagonal(*numbers: float) -> Matrix:
    return Matrix(torch.tensor(numbers, dtype=torch.float64).diag().tolist())


def said(name: str) -> str:
    return " ".join((inspect.getdoc(reference(name)) or "").split())


def test_the_plan() -> None:
    lesson = [exercise.name for exercise in EXERCISES.values() if exercise.lesson == "generalization"]
    assert [name for name in lesson if name in NAMES] == [*NAMES]
    assert all(EXERCISES[f"generalization.{name}"].minutes == 5 * EXERCISES[f"generalization.{name}"].points
               for name in NAMES)  # fmt: skip


def test_the_example_of_hvp_is_true() -> None:
    assert "a² + 3ab of two weights (H = [[2, 3], [3, 0]]) and v = [1, 0] → [2, 3]" in said("hvp")
    weights = torch.tensor([0.7, -1.2], requires_grad=True)
    product = reference("hvp")(lambda: weights[0] ** 2 + 3 * weights.prod(), [weights], torch.tensor([1.0, 0.0]))
    assert product.tolist() == pytest.approx([2, 3])


def test_the_examples_of_the_others_are_true() -> None:
    text = 'the matrix with −10, 3 and 1 on its diagonal: "LA" (largest) → 3, "SA" (smallest) → −10, "LM" (largest '
    assert text + "magnitude) → −10" in said("top_eigenvalue")
    for which, value in {"LA": 3, "SA": -10, "LM": -10}.items():
        assert reference("top_eigenvalue")(diagonal(-10, 3, 1), 3, which)[0] == pytest.approx(value)
    assert "3 and 4 on it → (7, 0)" in said("hutchinson_trace")
    assert reference("hutchinson_trace")(diagonal(3, 4), 2, 5) == pytest.approx((7, 0))
    assert "`torch.trapezoid(density, grid)` → 1" in said("slq_density")
    grid, density = reference("slq_density")(diagonal(-10, 3, 1), 3, 3, 2)
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-6)


def test_products_are_those_of_the_dense_hessian() -> None:
    for case, found in answered("hvp"):
        params = [tensor.double() for tensor in case["params"]]
        known = [tensor.double() for tensor in case["known"]]
        sizes = [tensor.numel() for tensor in params]

        def loss(
            flat: Tensor, case: Any = case, params: Any = params, known: Any = known, sizes: Any = sizes
        ) -> Tensor:
            pieces = [piece.view(like.shape) for piece, like in zip(flat.split(sizes), params, strict=True)]
            return FORMULAS[case["formula"]](pieces, known)

        hessian = torch.autograd.functional.hessian(loss, torch.cat([tensor.flatten() for tensor in params]))
        torch.testing.assert_close(found["product"].double(), hessian @ case["v"].double(), rtol=1e-5, atol=1e-5)
        assert (found["calls of the loss"], found[".grad"]) == (1, "None")
        assert found["product"].dtype == case["v"].dtype


def test_a_difference_of_slopes_is_near_the_product() -> None:
    """The slopes are differences of losses: no derivative of anybody's is in it."""
    for case, found in answered("hvp"):
        if case["v"].dtype == torch.float64 and all(tensor.dtype == torch.float64 for tensor in case["params"]):
            flat = np.concatenate([tensor.numpy().ravel() for tensor in case["params"]])
            cuts = np.cumsum([tensor.numel() for tensor in case["params"]])

            def loss(at: np.ndarray, case: Any = case, cuts: Any = cuts) -> float:
                pieces = np.split(at, cuts)[:-1]
                shaped = zip(pieces, case["params"], strict=True)
                weights = [torch.tensor(piece).view(like.shape) for piece, like in shaped]
                return FORMULAS[case["formula"]](weights, case["known"]).item()

            step, along = 1e-4, 1e-4 * case["v"].numpy()
            slopes = [
                (loss(flat + unit + along) - loss(flat - unit + along) - loss(flat + unit - along)
                 + loss(flat - unit - along)) / (4 * step * step) for unit in step * np.eye(len(flat))
            ]  # fmt: skip
            size = max(1.0, abs(loss(flat)), found["product"].abs().max().item())
            assert slopes == pytest.approx(found["product"].tolist(), abs=1e-4 * size)


def ends(matrix: Tensor) -> dict[str, float]:
    values = np.linalg.eigvalsh(matrix.numpy())
    return {"LA": values.max(), "SA": values.min(), "LM": max(values, key=abs)}


def test_eigenvalues_are_numpys() -> None:
    for case, found in answered("top_eigenvalue"):
        matrix, which = case["matrix"], case["which"]
        assert torch.equal(matrix, matrix.T)
        exact = case["most"] > 100 and case["tolerance"] < 1e-5
        assert found["value"] == (pytest.approx(ends(matrix)[which], abs=1e-8) if exact else "any")
        assert found["an eigenvalue is within the error bound"]
        assert found["products"] == "at most as many as allowed"
        value, error = reference("top_eigenvalue")(Matrix(matrix.tolist()), len(matrix), *list(case.values())[1:3],
                                                   tolerance=case["tolerance"], most=case["most"])  # fmt: skip
        assert np.abs(np.linalg.eigvalsh(matrix.numpy()) - value).min() <= error + 1e-12 * abs(value)
        if case["most"] > 100:
            assert error <= case["tolerance"] * abs(value) + 1e-12
            assert abs(value - ends(matrix)[which]) <= max(case["tolerance"], 1e-9) * abs(value)


def test_no_case_asks_for_one_of_two_ends_that_are_as_far_from_0() -> None:
    for case, _ in answered("top_eigenvalue"):
        low, high = np.linalg.eigvalsh(case["matrix"].numpy())[[0, -1]]
        assert case["which"] != "LM" or len(case["matrix"]) == 1 or abs(abs(low) - abs(high)) > 0.1 * abs(low)


def test_other_starts_find_the_same_eigenvalues() -> None:
    """100 starts for each case: none is right only by luck."""
    right = EXERCISES["generalization.top_eigenvalue"].also_right[1]
    for case in EXERCISES["generalization.top_eigenvalue"].cases(0):
        given: dict[str, Any] = dict(case)
        true = probe_top_eigenvalue(right, **given)
        for seed in range(100):
            found = probe_top_eigenvalue(right, **{**given, "seed": seed})
            assert found == {**true, "value": found["value"]}
            assert found["value"] == (true["value"] if true["value"] == "any" else pytest.approx(true["value"]))


def all_columns(
    product: Any, dim: int, which: str = "LA", seed: int = 0, tolerance: float = 0.01, most: int = 100
) -> tuple[float, float]:
    """Asks for the whole matrix."""
    values = torch.linalg.eigvalsh(torch.stack([product(unit) for unit in torch.eye(dim, dtype=torch.float64)]))
    return {"LA": values[-1], "SA": values[0], "LM": values[values.abs().argmax()]}[which].item(), 0.0


def test_who_asks_for_the_whole_matrix_takes_too_many_products() -> None:
    report = examine(EXERCISES["generalization.top_eigenvalue"], all_columns)
    assert not report.passed
    assert "right in 10 of 11 cases" in str(report)


def test_traces_are_those_of_the_vectors_that_were_seen() -> None:
    for case, found in answered("hutchinson_trace"):
        matrix = case["matrix"].numpy()
        product = Matrix(case["matrix"].tolist())
        mean, se = reference("hutchinson_trace")(product, len(matrix), case["samples"], case["seed"])
        values = [z.numpy() @ matrix @ z.numpy() for z in product.seen]
        assert mean == pytest.approx(np.mean(values))
        assert se == pytest.approx(stats.sem(values), abs=1e-12)
        if found["mean"] != "any":
            assert (mean, se) == pytest.approx((np.trace(matrix), 0))
        assert abs(mean - np.trace(matrix)) <= 6 * se + 1e-9 or case["samples"] < 10


def with_signs_of(draw: Callable[[int, int, int], Tensor]) -> Callable[..., tuple[float, float]]:
    """A right answer whose signs come from elsewhere: sample k of a seed, [dim]."""

    def hutchinson_trace(product: Any, dim: int, samples: int, seed: int = 0) -> tuple[float, float]:
        signs = [draw(dim, seed, k) for k in range(samples)]
        values = np.array([float(z @ product(z)) for z in signs])
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(samples))

    return hutchinson_trace


def torch_signs(dim: int, seed: int, k: int) -> Tensor:
    torch.manual_seed(1000 * seed + k)
    return torch.randn(dim).sign()  # float32


def numpy_signs(dim: int, seed: int, k: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, k]).choice([-1.0, 1.0], size=dim))


@pytest.mark.parametrize("draw", [torch_signs, numpy_signs])
def test_other_signs_are_right_too(draw: Callable[[int, int, int], Tensor]) -> None:
    for seed in range(5):
        report = examine(EXERCISES["generalization.hutchinson_trace"], with_signs_of(draw), seed=seed)
        assert report.passed, str(report)


def test_no_signs_are_refused_by_chance() -> None:
    """500 seeds for each of a lesson's cases."""
    right = with_signs_of(numpy_signs)
    for case in EXERCISES["generalization.hutchinson_trace"].cases(0):
        given: dict[str, Any] = dict(case)
        found = [probe_hutchinson_trace(right, **{**given, "seed": seed}) for seed in range(500)]
        assert all(one["entries"] == two["entries"] for one, two in pairwise(found))
        assert all(one["vectors"] == two["vectors"] for one, two in pairwise(found))


def test_densities_are_mixtures_of_normal_distributions() -> None:
    """Of all eigenvalues alike, where there are steps enough; else of as many moments."""
    for case, found in answered("slq_density"):
        numbers, grid, density = case["diagonal"].numpy(), found["grid"].numpy(), found["density"].numpy()
        assert found["area"].item() == pytest.approx(1, abs=1e-6)
        width = case["width"]
        if case["steps"] >= len(np.unique(numbers)):
            spread = np.ptp(numbers) or abs(numbers).max()
            width = width or spread / 100
            assert (grid[0], grid[-1]) == pytest.approx((numbers.min() - 6 * width, numbers.max() + 6 * width))
            expected = np.mean([stats.norm.pdf(grid, number, width) for number in numbers], axis=0)
            assert density == pytest.approx(expected, abs=1e-7)
        else:
            width = (grid[-1] - grid[0]) / 112  # a hundredth of the spectrum, and 6 widths on both sides
        first, second = (np.trapezoid(density * grid**power, grid) for power in (1, 2))
        assert first == pytest.approx(numbers.mean(), abs=1e-6)
        assert second == pytest.approx((numbers**2).mean() + width**2, rel=1e-6)
        assert np.diff(grid).max() <= width / 4 + 1e-9


def test_a_tool_for_hessians_is_refused() -> None:
    def hvp(loss_fn: Any, params: Any, v: Tensor) -> Tensor:
        return torch.autograd.functional.hvp(lambda *moved: loss_fn(), tuple(params), tuple(params))[1][0]

    assert "is not allowed here" in str(examine(EXERCISES["generalization.hvp"], hvp))


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_own_passes_as_a_file_of_ones_own(name: str) -> None:
    """What is shown for a skeleton, with its gaps filled by the reference's source, is right: nothing is missing."""
    namespace = dict(vars(inspect.getmodule(reference(name))))
    exec(compile(inspect.getsource(reference(name)), "<own>", "exec"), namespace)
    report = examine(EXERCISES[f"generalization.{name}"], namespace[name])
    assert report.passed, str(report)

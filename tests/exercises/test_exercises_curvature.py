"""Lesson 05's functions of matrices: answers to their cases from elsewhere, and what their probes ask of an answer."""

import math
from collections.abc import Callable
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
from minidalle.exercises.probes.curvature import (
    FORMULAS,
    probe_hutchinson_trace,
    probe_slq_density,
    probe_top_eigenvalue,
)

PRODUCT, TOP, TRACE, DENSITY = (
    EXERCISES[f"generalization.{name}"] for name in ("hvp", "top_eigenvalue", "hutchinson_trace", "slq_density")
)


def test_the_product_is_that_of_the_dense_hessian() -> None:
    for seed in SEEDS:
        for case in PRODUCT.cases(seed):
            given: dict[str, Any] = dict(case)
            params, known = ([tensor.double() for tensor in given[name]] for name in ("params", "known"))

            def loss(flat: Tensor, formula: str = given["formula"], params: Any = params, known: Any = known) -> Tensor:
                pieces = flat.split([tensor.numel() for tensor in params])
                return FORMULAS[formula](
                    [piece.view_as(like) for piece, like in zip(pieces, params, strict=True)], known
                )

            hessian = torch.autograd.functional.hessian(loss, torch.cat([tensor.flatten() for tensor in params]))
            found = outcome(PRODUCT, PRODUCT.reference, case).result
            assert found["product"].dtype == given["v"].dtype
            torch.testing.assert_close(found["product"].double(), hessian @ given["v"].double(), rtol=1e-5, atol=1e-5)


def test_the_product_is_near_a_difference_of_losses() -> None:
    """In it is no derivative of anybody's."""
    for seed in SEEDS:
        for case in PRODUCT.cases(seed):
            given: dict[str, Any] = dict(case)
            params, known = ([tensor.double() for tensor in given[name]] for name in ("params", "known"))
            flat, v = torch.cat([tensor.flatten() for tensor in params]), given["v"].double()

            def loss(at: Tensor, formula: str = given["formula"], params: Any = params, known: Any = known) -> float:
                pieces = at.split([tensor.numel() for tensor in params])
                weights = [piece.view_as(like) for piece, like in zip(pieces, params, strict=True)]
                return FORMULAS[formula](weights, known).item()

            step = 1e-4
            units, along = step * torch.eye(len(flat), dtype=torch.float64), step * v
            corners = [[loss(flat + a * unit + b * along) * a * b for a in (1, -1) for b in (1, -1)] for unit in units]
            found = outcome(PRODUCT, PRODUCT.reference, case).result["product"].double()
            slopes = torch.tensor([sum(corner) / (4 * step * step) for corner in corners]).double()
            size = max(1.0, abs(loss(flat)), found.abs().max().item())
            torch.testing.assert_close(slopes, found, rtol=0, atol=1e-4 * size)


def test_the_top_eigenvalue_is_numpys() -> None:
    for seed in SEEDS:
        for case in TOP.cases(seed):
            found = outcome(TOP, TOP.reference, case).result
            values = np.linalg.eigvalsh(case["matrix"].numpy())
            wanted = {"LA": values[-1], "SA": values[0], "LM": max(values, key=abs)}[case["which"]]
            assert found["an eigenvalue is within the error bound"]
            assert found["products"] == "at most as many as allowed"
            assert found["value"] == "any" or found["value"] == pytest.approx(wanted, rel=1e-5)


def test_the_trace_of_a_diagonal_is_exact() -> None:
    for seed in SEEDS:
        for case in TRACE.cases(seed):
            found = outcome(TRACE, TRACE.reference, case).result
            assert found["products"] == case["samples"]
            assert found["mean"] == "any" or found["mean"] == pytest.approx(np.trace(case["matrix"].numpy()))


def test_the_density_is_a_mixture_of_normal_distributions() -> None:
    """Where there are as many products as eigenvalues, each has the share of the diagonal that it is on."""
    for seed in SEEDS:
        for case in DENSITY.cases(seed):
            found = outcome(DENSITY, DENSITY.reference, case).result
            assert found["area"].item() == pytest.approx(1, abs=1e-4)
            values, counts = np.unique(case["diagonal"].numpy(), return_counts=True)
            if case["steps"] >= len(values):
                width = case["width"] or (np.ptp(values) or abs(values[0])) / 100
                bells = stats.norm.pdf(found["grid"].numpy()[:, None], values, width)
                expected = torch.from_numpy(bells @ (counts / counts.sum()))
                assert torch.allclose(found["density"], expected, atol=1e-6)


def test_no_start_finds_another_eigenvalue() -> None:
    """100 starts for each case: none is right only by luck."""
    right = next(answer for answer in TOP.also_right if answer.__name__ == "with_a_basis_of_its_own")
    for case in TOP.cases(0):
        given: dict[str, Any] = dict(case)
        true = probe_top_eigenvalue(right, **given)
        for seed in range(100):
            found = probe_top_eigenvalue(right, **{**given, "seed": seed})
            assert found == {**true, "value": found["value"]}
            assert found["value"] == (true["value"] if true["value"] == "any" else pytest.approx(true["value"]))


def test_who_asks_for_the_whole_matrix_takes_too_many_products() -> None:
    def top_eigenvalue(
        product: Any, dim: int, which: str = "LA", seed: int = 0, tolerance: float = 0.01, most: int = 100
    ) -> tuple[float, float]:
        values = torch.linalg.eigvalsh(torch.stack([product(unit) for unit in torch.eye(dim, dtype=torch.float64)]))
        return {"LA": values[-1], "SA": values[0], "LM": values[values.abs().argmax()]}[which].item(), 0.0

    report = examine(TOP, top_eigenvalue)
    assert not report.passed
    assert "right in 11 of 12 cases" in str(report)


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
        report = examine(TRACE, with_signs_of(draw), seed=seed)
        assert report.passed, str(report)


def test_no_signs_are_refused_by_chance() -> None:
    """500 seeds for each case."""
    for case in TRACE.cases(0):
        given: dict[str, Any] = dict(case)
        found = [probe_hutchinson_trace(with_signs_of(numpy_signs), **{**given, "seed": seed}) for seed in range(500)]
        assert all(one["entries"] == two["entries"] for one, two in pairwise(found))
        assert all(one["vectors"] == two["vectors"] for one, two in pairwise(found))


def test_a_few_products_have_the_moments_of_the_spectrum() -> None:
    """Also where there are more eigenvalues than products; a bell adds its width, and nothing to the mean."""
    for seed in SEEDS:
        for case in DENSITY.cases(seed):
            found = outcome(DENSITY, DENSITY.reference, case).result
            numbers, grid, density = case["diagonal"].numpy(), found["grid"].numpy(), found["density"].numpy()
            width = case["width"] or (grid[-1] - grid[0]) / 112  # a hundredth of the spectrum, and 12 widths
            first, second = (np.trapezoid(density * grid**power, grid) for power in (1, 2))
            assert first == pytest.approx(numbers.mean(), abs=1e-6)
            assert second == pytest.approx((numbers**2).mean() + width**2, rel=1e-6)


def test_rounding_decides_no_grid() -> None:
    """Ritz values from another basis have other last digits: the grid has as many points all the same."""
    own = next(answer for answer in DENSITY.also_right if answer.__name__ == "with_a_basis_of_its_own")
    for seed in range(40):
        for case in DENSITY.cases(seed):
            one, other = (probe_slq_density(answer, **case) for answer in (own, DENSITY.reference))
            assert one["grid"].shape == other["grid"].shape

"""Eigenvalues, trace and density, against closed forms, SciPy's eigsh and the whole Hessian of tiny BARTs."""

import math

import numpy as np
import pytest
import torch
from curved import KINDS, bart_hessian, nats, random_symmetric, rotated, tiny_bart, tiny_tokens, trace_matrix
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from minidalle.errors import InvalidValue
from minidalle.generalization.hessian import Product, hvp
from minidalle.generalization.lanczos import (
    default_width,
    density_grid,
    hutchinson_trace,
    lanczos,
    random_signs,
    random_start,
    slq_density,
    slq_nodes,
    top_eigenvalue,
)

TOKENS = tiny_tokens()
SMALL = torch.tensor([-10.0, 3.0, 1.0], dtype=torch.float64).diag()


def times(matrix: Tensor) -> Product:
    return lambda v: matrix @ v


def counted(product: Product) -> tuple[Product, list[Tensor]]:
    seen: list[Tensor] = []

    def count(v: Tensor) -> Tensor:
        seen.append(v)
        return product(v)

    return count, seen


@pytest.mark.parametrize(("which", "expected"), [("LA", 3), ("SA", -10), ("LM", -10)])
def test_the_top_is_the_largest_and_not_the_largest_magnitude(which: str, expected: float) -> None:
    """PyHessian's "top" eigenvalue of this matrix is −9.996: power iteration finds the largest magnitude."""
    value, error = top_eigenvalue(times(SMALL), 3, which, tolerance=1e-9)
    assert value == pytest.approx(expected, abs=1e-12)
    assert 0 <= error <= 1e-9 * abs(expected)


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("seed", range(5))
def test_the_error_bound_bounds_the_error(which: str, seed: int) -> None:
    matrix = random_symmetric(60, seed)
    exact = torch.linalg.eigvalsh(matrix)
    end = {"LA": exact[-1], "SA": exact[0], "LM": exact[exact.abs().argmax()]}[which].item()
    for tolerance in (0.3, 0.01, 1e-6):
        value, error = top_eigenvalue(times(matrix), 60, which, seed, tolerance)
        assert error <= tolerance * abs(value)
        assert (exact - value).abs().min() <= error + 1e-12  # at 30 % it may be a neighbor of the last one
    assert value == pytest.approx(end, abs=error)


def test_it_stops_by_its_error_bound() -> None:
    matrix = rotated(torch.cat([torch.linspace(-1, 1, 199), torch.tensor([10.0])]))
    used = []
    for tolerance in (0.1, 0.01, 1e-8):
        product, seen = counted(times(matrix))
        top_eigenvalue(product, 200, tolerance=tolerance)
        used.append(len(seen))
    assert used == sorted(set(used))
    assert used[1] <= 6
    product, seen = counted(times(matrix))
    value, error = top_eigenvalue(product, 200, tolerance=0.0, most=4)
    assert len(seen) == 4
    assert 0 < abs(value - 10) <= error


@pytest.mark.parametrize("kind", KINDS)
def test_top_eigenvalues_of_a_bart(kind: str) -> None:
    """Against SciPy, which sees the same products, and the whole Hessian, computed without them."""
    bart = tiny_bart(**KINDS[kind])
    params, matrix = list(bart.parameters()), bart_hessian(bart, TOKENS)
    product: Product = lambda v: hvp(lambda: nats(bart, TOKENS), params, v)  # noqa: E731
    exact = torch.linalg.eigvalsh(matrix)
    operator = LinearOperator(matrix.shape, lambda v: product(torch.from_numpy(v)).numpy(), dtype=np.float64)
    for which, expected in (("LA", exact[-1]), ("SA", exact[0])):
        value, error = top_eigenvalue(product, len(matrix), which, tolerance=1e-6)
        assert error <= 1e-6 * abs(value)
        assert value == pytest.approx(expected.item(), rel=1e-10)
        assert value == pytest.approx(eigsh(operator, 1, which=which, return_eigenvectors=False)[0], rel=1e-9)


def test_float32_weights_are_good_to_five_digits() -> None:
    bart = tiny_bart()
    exact = torch.linalg.eigvalsh(bart_hessian(bart, TOKENS))
    params = list(bart.float().parameters())
    value, _ = top_eigenvalue(lambda v: hvp(lambda: nats(bart, TOKENS), params, v), len(exact), tolerance=1e-4)
    assert value == pytest.approx(exact[-1].item(), rel=1e-5)


def test_ritz_values_stay_within_the_spectrum() -> None:
    """PyHessian finds −1.41 for a matrix without negative eigenvalues, as it goes on beyond what there is to find."""
    values = torch.tensor([0.0] * 150 + [1.0] * 40 + [2.0, 50.0, 50.0, 1e4])
    for seed in range(3):
        ritz = list(lanczos(times(rotated(values, seed)), random_signs(194, seed), 100))[-1]
        assert -1e-8 < ritz.values.min() <= ritz.values.max() < 1e4 * (1 + 1e-12)
        assert len(ritz.values) <= 10  # five different eigenvalues, and then only rounding is left
        assert ritz.weights.sum().item() == pytest.approx(1)


def test_vectors_stay_orthogonal() -> None:
    """Without reorthogonalization an eigenvalue that has been found is found again: a ghost."""
    matrix = rotated(torch.cat([torch.linspace(0, 1, 299), torch.tensor([100.0])]))
    product, basis = counted(times(matrix))
    ritz = list(lanczos(product, random_start(300, 0), 120))[-1]
    vectors = torch.stack(basis)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(120, dtype=torch.float64), rtol=0, atol=1e-13)
    assert (ritz.values > 50).sum() == 1


def test_all_products_give_all_eigenvalues() -> None:
    matrix = random_symmetric(25)
    *_, ritz = lanczos(times(matrix), random_start(25, 0), 999)
    torch.testing.assert_close(ritz.values, torch.linalg.eigvalsh(matrix), rtol=1e-10, atol=1e-10)
    assert ritz.errors.max() < 1e-10


@pytest.mark.parametrize("value", [0.0, -2.5])
def test_a_multiple_of_the_identity(value: float) -> None:
    (ritz,) = lanczos(lambda v: value * v, random_start(7, 0), 5)
    assert ritz.values.tolist() == pytest.approx([value])
    assert top_eigenvalue(lambda v: value * v, 7) == pytest.approx((value, 0), abs=1e-12)
    assert hutchinson_trace(lambda v: value * v, 7, 3) == pytest.approx((7 * value, 0), abs=1e-12)
    grid, density = slq_density(lambda v: value * v, 7, steps=5, probes=2)
    assert torch.trapezoid(density, grid).item() == pytest.approx(1)
    assert grid[density.argmax()].item() == pytest.approx(value, abs=1e-3)


def test_the_trace_and_its_error_in_closed_form() -> None:
    """tr = 105; a sample's variance is 2 (‖A‖² − Σ Aᵢᵢ²) = 878 with signs, where Gaussians would have 1638."""
    matrix = trace_matrix()
    assert matrix.trace().item() == pytest.approx(105)
    assert 2 * (matrix**2).sum().item() == pytest.approx(1638)
    mean, error = hutchinson_trace(times(matrix), 30, 8000)
    assert abs(mean - 105) < 4 * math.sqrt(878 / 8000)
    assert 8000 * error**2 == pytest.approx(878, rel=0.1)


def test_the_traces_error_is_one() -> None:
    """19 of 20 intervals of two errors hold the truth. A tolerance of a running mean, PyHessian's, promises nothing."""
    inside = [
        abs(mean - 105) < 1.96 * error
        for mean, error in (hutchinson_trace(times(trace_matrix()), 30, 40, seed) for seed in range(400))
    ]
    assert 0.91 < np.mean(inside) < 0.98


@pytest.mark.parametrize("kind", ["small", "draft"])
def test_the_trace_of_a_bart(kind: str) -> None:
    bart = tiny_bart(**KINDS[kind])
    params, matrix = list(bart.parameters()), bart_hessian(bart, TOKENS)
    mean, error = hutchinson_trace(lambda v: hvp(lambda: nats(bart, TOKENS), params, v), len(matrix), 200)
    variance = 2 * ((matrix**2).sum() - (matrix.diag() ** 2).sum()).item()
    assert 200 * error**2 == pytest.approx(variance, rel=0.5)
    assert abs(mean - matrix.trace().item()) < 4 * math.sqrt(variance / 200)


def test_signs_are_signs() -> None:
    """Another library's "Rademacher" vectors are all −1: the trace of a matrix of ones is then 900, for certain."""
    draws = torch.stack([random_signs(30, 0, k) for k in range(2000)])
    assert set(draws.unique().tolist()) == {-1.0, 1.0}
    assert draws.mean(0).abs().max() < 5 / math.sqrt(2000)
    assert (draws.T @ draws / 2000 - torch.eye(30)).abs().max() < 5 / math.sqrt(2000)
    assert not torch.equal(random_signs(30, 0), random_signs(30, 1))
    mean, error = hutchinson_trace(times(torch.ones(30, 30, dtype=torch.float64)), 30, 2000)
    assert abs(mean - 30) < 4 * error


def test_moments_are_exact_up_to_twice_the_steps() -> None:
    matrix = random_symmetric(40) / 10
    nodes, weights = slq_nodes(times(matrix), 40, steps=5, probes=3)
    starts = torch.stack([random_signs(40, 0, k) for k in range(3)], 1)
    powers, errors = starts, []
    for power in range(11):
        moment = (starts * powers).sum() / (3 * 40)
        errors.append(abs(weights @ nodes**power - moment) / max(1, abs(moment)))
        powers = matrix @ powers
    assert max(errors[:10]) < 1e-12
    assert errors[10] > 1e-4


@pytest.mark.parametrize("width", [None, 0.05, 3.0])
def test_a_density_is_one(width: float | None) -> None:
    values = torch.cat([torch.zeros(90), torch.full((10,), 5.0)])
    grid, density = slq_density(times(rotated(values)), 100, steps=8, probes=30, width=width)
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-8)
    assert torch.trapezoid(density * grid, grid).item() == pytest.approx(0.5, abs=0.05)
    spread = torch.trapezoid(density * grid**2, grid).item()
    assert spread == pytest.approx(2.5 + (width or 0.05) ** 2, abs=0.25)
    assert (density >= 0).all()


@pytest.mark.parametrize(
    ("values", "width"), [([-1.0, 0.5, 3.0], 0.04), ([-5.0, -5.0], 0.05), ([0.0], 0.01), ([1e-9, 2e-9], 1e-11)]
)
def test_a_width_is_a_hundredth_of_the_spectrum(values: list[float], width: float) -> None:
    assert default_width(torch.tensor(values, dtype=torch.float64)) == pytest.approx(width, rel=1e-12)


def test_one_product_is_the_start_vectors_quotient() -> None:
    """v·Av / v·v, which is off by no more than ‖Av − value·v‖ / ‖v‖."""
    start = random_start(3, 0)
    (ritz,) = lanczos(times(SMALL), start, 1)
    value = (start @ SMALL @ start / (start @ start)).item()
    assert ritz.values.tolist() == pytest.approx([value])
    assert ritz.errors.tolist() == pytest.approx([((SMALL @ start - value * start).norm() / start.norm()).item()])


def test_the_density_of_a_bart() -> None:
    """The share of eigenvalues below any point, against the whole Hessian's, drawn with the same Gaussians."""
    bart = tiny_bart()
    params, matrix = list(bart.parameters()), bart_hessian(bart, TOKENS)
    exact = torch.linalg.eigvalsh(matrix)
    product: Product = lambda v: hvp(lambda: nats(bart, TOKENS), params, v)  # noqa: E731
    grid, density = slq_density(product, len(matrix), steps=30, probes=8, width=0.05)
    share = torch.cumulative_trapezoid(density, grid)
    wanted = torch.special.ndtr((grid[1:, None] - exact) / 0.05).mean(1)
    assert (share - wanted).abs().max() < 0.03
    torch.testing.assert_close(grid[[0, -1]], exact[[0, -1]] + torch.tensor([-0.3, 0.3]).double())


def test_the_same_seed_gives_the_same_and_leaves_randomness_alone() -> None:
    product, state = times(random_symmetric(50)), torch.random.get_rng_state()
    for estimate in (
        lambda seed: top_eigenvalue(product, 50, seed=seed, most=3),
        lambda seed: hutchinson_trace(product, 50, 3, seed),
        lambda seed: slq_nodes(product, 50, 3, 2, seed)[0].tolist(),
    ):
        assert estimate(1) == estimate(1) != estimate(2)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_a_product_gives_is_left_alone() -> None:
    """It may be the vector itself, or a buffer that somebody keeps."""
    given = []
    product, seen = counted(lambda v: given.append(SMALL @ v) or given[-1])
    assert top_eigenvalue(product, 3)[0] == pytest.approx(3)
    assert all(torch.equal(SMALL @ v, product) for v, product in zip(seen, given, strict=True))
    assert top_eigenvalue(lambda v: v, 3)[0] == pytest.approx(1)


BAD = {
    "which": (lambda: top_eigenvalue(times(SMALL), 3, "top"), "LA, SA, LM"),
    "dim": (lambda: top_eigenvalue(times(SMALL), 0), "1 or more"),
    "most": (lambda: top_eigenvalue(times(SMALL), 3, most=0), "1 or more"),
    "nan": (lambda: top_eigenvalue(lambda v: v * math.nan, 3), "finite numbers"),
    "shape": (lambda: top_eigenvalue(lambda v: v[:2], 3), "shape"),
    "start": (lambda: list(lanczos(times(SMALL), torch.zeros(3), 3)), "not zero"),
    "one sample": (lambda: hutchinson_trace(times(SMALL), 3, 1), "2 or more"),
    "no probe": (lambda: slq_density(times(SMALL), 3, 2, 0), "1 or more"),
    "width": (lambda: slq_density(times(SMALL), 3, 2, 2, width=0.0), "above 0"),
    "thin": (lambda: density_grid(torch.tensor([0.0, 1.0]), 1e-9), "a million points"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name: str) -> None:
    call, reason = BAD[name]
    with pytest.raises(InvalidValue, match=reason):
        call()

"""Exercise: how the eigenvalues of a matrix are spread, as a smooth curve."""

import math

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_slq_density
from minidalle.generalization.hessian import Product
from minidalle.generalization.lanczos import (
    default_width,
    density_grid,
    slq_density,
    slq_nodes,
)
from minidalle.runtime import generator

Answer = tuple[Tensor, Tensor]


def cases(seed: int) -> list[Case]:
    """Two eigenvalues; the same several times; one that most share, between two ends; a width, none; more probes."""
    chance = generator(seed, "generalization.slq_density")

    def numbers(count: int, low: float, high: float) -> list[float]:
        return (low + (high - low) * torch.rand(count, generator=chance)).mul(10).round().div(10).tolist()

    def case(diagonal: list[float], steps: int, probes: int, width: float | None) -> Case:
        lot = int(torch.randint(100, (), generator=chance))
        return {"diagonal": torch.tensor(diagonal, dtype=torch.float64), "steps": steps, "probes": probes, "seed": lot,
                "width": width}  # fmt: skip

    return [
        case([*numbers(1, -3, -1), *numbers(1, 1, 3)], 2, 2, 0.5),
        case(numbers(2, -3, 3) * 3, 2, 2, *numbers(1, 0.2, 0.4)),
        case([*numbers(1, -9, -5), 0.0, 0.0, 0.0, *numbers(1, 5, 9)], 3, 1, 2.0),
        case(numbers(5, -5, 5), 5, 2, None),
        case(numbers(4, -4, -1) + numbers(4, 2, 9), 8, 3, *numbers(1, 0.5, 0.9)),
        case([3.0 * place + move for place, move in enumerate(numbers(8, -11, -9))], 4, 3, None),
    ]


def _parts(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> tuple:
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return values, weights, width, grid, (grid[:, None] - values) / width


def _bells(off: Tensor, width: float) -> Tensor:
    return torch.exp(-(off**2) / 2) / (width * math.sqrt(2 * math.pi))


def gives_all_values_the_same_weight(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A Ritz value stands for as many eigenvalues as its weight says: multiply each bell by it."""
    _, _, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width).mean(1)


def forgets_the_weights(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Without its weight each bell is a whole spectrum: multiply it by the weight, so that all areas add up to 1."""
    _, _, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width).sum(1)


def adds_the_probes_up(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Each probe gives a whole density. The spectrum's is their mean: the weights of all probes add up to 1."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width) @ weights * probes


def takes_one_probe(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """One probe depends on chance: hand `probes` on to `slq_nodes`."""
    _, weights, width, grid, off = _parts(product, dim, steps, 1, seed, width)
    return grid, _bells(off, width) @ weights


def squares_the_weights(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """The weights of `slq_nodes` are squares already, and add up to 1: take them as they are."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width) @ weights**2


def divides_by_the_probes_again(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The weights of all probes together add up to 1 already: the density's area would be 1 / probes."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width) @ weights / probes


def forgets_to_normalize_the_bells(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A bell of height 1 has the area width · √(2π): divide by that."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, torch.exp(-(off**2) / 2) @ weights


def forgets_the_width_in_the_area(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A wide bell has a larger area: divide by width · √(2π), not by √(2π)."""
    _, weights, _, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, 1.0) @ weights


def forgets_the_root_in_the_area(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The area of a bell is width · √(2π): you divided by width · 2π."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, torch.exp(-(off**2) / 2) @ weights / (width * 2 * math.pi)


def takes_the_root_of_2_alone(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The root is of 2π as a whole: the area of a bell is width · √(2π), not width · √2 · π."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, torch.exp(-(off**2) / 2) @ weights / (width * math.sqrt(2) * math.pi)


def draws_from_the_first_value_to_the_last(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """That cuts the outer bells in half. `density_grid(values, width)` begins before the first and ends after the
    last."""
    values, weights, width, grid, _ = _parts(product, dim, steps, probes, seed, width)
    grid = torch.linspace(values.min().item(), values.max().item(), len(grid), dtype=torch.float64)
    return grid, _bells((grid[:, None] - values) / width, width) @ weights


def takes_the_width_for_the_variance(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """`width` is a standard deviation: (x − value)² is divided by 2 width², and the area by width."""
    values, weights, width, grid, _ = _parts(product, dim, steps, probes, seed, width)
    bells = torch.exp(-((grid[:, None] - values) ** 2) / (2 * width)) / math.sqrt(2 * math.pi * width)
    return grid, bells @ weights


def forgets_the_half_in_the_exponent(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A Gaussian is exp(−½ ((x − value) / width)²): you left out the ½."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, torch.exp(-(off**2)) @ weights / (width * math.sqrt(2 * math.pi))


def divides_the_square_by_the_width_once(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The whole distance is in units of the width: (x − value)² is divided by 2 width², not by 2 width."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off * width**0.5, width) @ weights


def multiplies_by_the_squared_width(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """`a / 2 * width**2` is (a / 2) · width²: put brackets around what is below the line."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off * width**2, width) @ weights


def draws_tents(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """The exponent has the *square* of the distance. Without it, each value is a tent with a tip."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, torch.exp(-off.abs()) @ weights / (2 * width)


def always_takes_the_default_width(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A width that is given is the one to take; `default_width` is for None."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, None)
    return grid, _bells(off, width) @ weights


def makes_the_highest_point_1(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A density has the area 1, whatever its height: do not divide by the maximum."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    density = _bells(off, width) @ weights
    return grid, density / density.max()


def adds_up_to_1_on_the_grid(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The *area* is 1, not the sum of the points: their distance on the grid counts. The bells do that already."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    density = _bells(off, width) @ weights
    return grid, density / density.sum()


def leaves_the_signs_out(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Negative eigenvalues are what one wants to see: each bell is at its value, with its sign."""
    values, weights, width, grid, _ = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells((grid[:, None] - values.abs()) / width, width) @ weights


def counts_eigenvalues(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """A density integrates to 1, not to the number of eigenvalues: leave `dim` out."""
    _, weights, width, grid, off = _parts(product, dim, steps, probes, seed, width)
    return grid, _bells(off, width) @ weights * dim


def value_by_value(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Answer:
    """Right: a loop over the values."""
    values, weights, width, grid, _ = _parts(product, dim, steps, probes, seed, width)
    density = torch.zeros_like(grid)
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        density += weight * torch.exp(-((grid - value) ** 2) / (2 * width**2)) / math.sqrt(2 * math.pi * width**2)
    return grid, density


def by_torchs_normal(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Answer:
    """Right: torch knows the normal distribution."""
    values, weights, width, grid, _ = _parts(product, dim, steps, probes, seed, width)
    chances = torch.distributions.Normal(values, width).log_prob(grid[:, None]).exp()
    return grid, (chances * weights).sum(1)


def with_a_basis_of_its_own(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Answer:
    """Right: without `lanczos`, the matrix as it is seen in an orthonormal basis that begins with the start."""
    values, weights = [], []
    for k in range(probes):
        v = 2 * torch.randint(2, (dim,), generator=torch.Generator().manual_seed(seed + k)).double() - 1
        basis, products = torch.zeros(dim, 0, dtype=torch.float64), torch.zeros(dim, 0, dtype=torch.float64)
        while basis.shape[1] < min(steps, dim) and v.norm() > 1e-9:
            basis = torch.cat([basis, (v / v.norm()).unsqueeze(1)], dim=1)
            products = torch.cat([products, product(basis[:, -1]).double().unsqueeze(1)], dim=1)
            v = products[:, -1]
            for _ in range(2):
                v = v - basis @ (basis.T @ v)
        found, vectors = torch.linalg.eigh(basis.T @ products)
        values.append(found)
        weights.append(vectors[0].square() / probes)
    points = torch.cat(values)
    width = default_width(points) if width is None else width
    grid = density_grid(points, width)
    return grid, _bells((grid[:, None] - points) / width, width) @ torch.cat(weights)


HINTS = (
    "Points with weights stand for the spectrum. Each point becomes a bell of area 1, times its weight; the density is "
    "the sum of all bells, on the grid.",
    "A bell at v is exp(−½ ((x − v) / width)²) / (width · √(2π)). `grid[:, None] - values` has all differences, "
    "[points, values]; a matrix product with the weights adds up.",
    """\
def slq_density(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = ...
    grid = density_grid(values, width)
    bells = torch.exp(...) / ...
    return grid, bells @ weights
""",
)

EXERCISE = Exercise(
    id="generalization.slq_density",
    points=2, minutes=15, stars=2,
    reference=slq_density, cases=cases,
    wrong=(multiplies_by_the_squared_width, divides_the_square_by_the_width_once, takes_the_root_of_2_alone,
           draws_from_the_first_value_to_the_last, gives_all_values_the_same_weight, forgets_the_weights,
           adds_the_probes_up, takes_one_probe, squares_the_weights, divides_by_the_probes_again,
           forgets_to_normalize_the_bells, forgets_the_width_in_the_area, forgets_the_root_in_the_area,
           takes_the_width_for_the_variance, forgets_the_half_in_the_exponent, draws_tents,
           always_takes_the_default_width, makes_the_highest_point_1, adds_up_to_1_on_the_grid, leaves_the_signs_out,
           counts_eigenvalues),
    also_right=(value_by_value, by_torchs_normal, with_a_basis_of_its_own),
    hints=HINTS,
    reaches="measure", probe=probe_slq_density, tolerance=1e-6,
)  # fmt: skip

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
    lanczos,
    random_signs,
    random_start,
    slq_density,
    slq_nodes,
)
from minidalle.runtime import generator

Curve = tuple[Tensor, Tensor]


def cases(seed: int) -> list[Case]:
    """Diagonals, for which all signs say the same: one number; two, with a width; twice the same and below 0; fewer
    steps than eigenvalues; bells that overlap; many."""
    chance = generator(seed, "generalization.slq_density")

    def drawn(size: int, low: float, high: float) -> Tensor:
        """Numbers with one digit behind the point, at least 0.5 apart, in any order."""
        gaps = 0.5 + torch.rand(size, generator=chance) * (2 * (high - low) / size - 1)
        return (low + gaps.cumsum(0)).double().mul(10).round()[torch.randperm(size, generator=chance)] / 10

    def case(diagonal: Tensor, steps: int, probes: int, width: float | None = None) -> Case:
        start = int(torch.randint(1000, (), generator=chance))
        return {"diagonal": diagonal, "steps": steps, "probes": probes, "seed": start, "width": width}

    twice = drawn(3, -4, 6)
    return [
        case(drawn(1, 1, 4), 1, 1),
        case(drawn(2, -3, 5), 3, 2, width=0.5),
        case(twice[[0, 1, 0, 2, 0]], 5, 3, width=0.3),
        case(drawn(5, -6, 6), 5, 1),
        case(drawn(8, -8, 8), 4, 3),
        case(drawn(6, 0, 12), 8, 2, width=2.5),
        case(drawn(12, -9, 15), 6, 4),
    ]


def _bells(grid: Tensor, values: Tensor, width: float) -> Tensor:
    """[M, N], each of area 1."""
    return torch.exp(-(((grid[:, None] - values) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))


def _curve(values: Tensor, weights: Tensor, width: float | None, own: float | None = None) -> Curve:
    """What is right, if the points are; `own` is the width of bells that are not as wide as the grid is made for."""
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, own or width) @ weights


def forgets_the_weights(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Each bell counts as much as its weight says. Without it, each is a whole spectrum, and the area is not 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, torch.ones_like(weights), width)


def weighs_all_alike(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """A point can stand for one eigenvalue or for many: take the weights that belong to the values."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, torch.full_like(weights, 1 / len(weights)), width)


def forgets_to_square_the_first_components(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """A point's weight is the square of its eigenvector's first component: only squares add up to 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, (weights * probes).sqrt() / probes, width)


def squares_the_weights(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """The weights are squares already, and add up to 1. Squared once more they do not."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, (weights * probes) ** 2 / probes, width)


def adds_the_starts_up(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Each start gives a whole density. The spectrum's is their mean, not their sum: weights over `probes`."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, weights * probes, width)


def takes_one_start(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """`probes` is how many starts there are: one alone depends on chance. Hand it on to `slq_nodes`."""
    values, weights = slq_nodes(product, dim, steps, 1, seed)
    return _curve(values, weights, width)


def takes_one_step_too_few(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """`steps` is the number of products for each start, so there are as many values. You have one fewer."""
    values, weights = slq_nodes(product, dim, max(steps - 1, 1), probes, seed)
    return _curve(values, weights, width)


def takes_the_values_of_all_steps(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """What `lanczos` gives early is replaced by what it gives later: of each start, take the last one only."""
    found = [list(lanczos(product, random_signs(dim, seed, k), steps)) for k in range(probes)]
    values = torch.cat([ritz.values for start in found for ritz in start])
    weights = torch.cat([ritz.weights / len(start) for start in found for ritz in start]) / probes
    return _curve(values, weights, width)


def starts_in_any_direction(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Normal numbers give each eigenvalue another weight by chance. Start with signs, as `slq_nodes` does."""
    found = [list(lanczos(product, random_start(dim, seed + k), steps))[-1] for k in range(probes)]
    return _curve(
        torch.cat([ritz.values for ritz in found]), torch.cat([ritz.weights for ritz in found]) / probes, width
    )


def takes_the_width_for_the_variance(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """`width` is the standard deviation. The variance, its square, is what stands in the exponent: / (2 * width**2)."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    return _curve(values, weights, width, own=math.sqrt(width))


def makes_bells_half_as_wide(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """`width` is the standard deviation, from the middle to one side. Yours goes from side to side."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    return _curve(values, weights, width, own=width / 2)


def always_takes_the_default_width(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """`default_width(values)` is only for `width=None`. A width that is given is the width."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _curve(values, weights, None)


def makes_each_bell_as_high_as_1(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """A density has area 1, not height 1: divide each bell by width · √2π."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid, density = _curve(values, weights, width)
    return grid, density * width * math.sqrt(2 * math.pi)


def normalizes_without_the_width(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """√2π is right for a width of 1. A bell that is twice as wide is half as high: divide by the width, too."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid, density = _curve(values, weights, width)
    return grid, density * width


def forgets_the_root_of_two_pi(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """The area below exp(−x²/2) is √2π. Divide by that and by the width."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    grid, density = _curve(values, weights, width)
    return grid, density * math.sqrt(2 * math.pi)


def forgets_the_half(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """There is a ½ in the exponent: −½ ((x − value) / width)². Without it the bells are too narrow for their height."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid, density = _curve(values, weights, width, own=width / math.sqrt(2))
    return grid, density / math.sqrt(2)


def forgets_the_square(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """In the exponent of a Gaussian stands the square of the distance. Without it, it is a peak, and no bell."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    peaks = torch.exp(-(grid[:, None] - values).abs() / (2 * width)) / (width * math.sqrt(2 * math.pi))
    return grid, peaks @ weights


def counts_eigenvalues(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """That is how many eigenvalues lie there, with area P. A density says which share of them does: area 1."""
    grid, density = _curve(*slq_nodes(product, dim, steps, probes, seed), width)
    return grid, density * dim


def divides_by_the_sum(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """The area is 1, not the sum over the grid, which is larger the finer the grid is. Nothing is left to divide by."""
    grid, density = _curve(*slq_nodes(product, dim, steps, probes, seed), width)
    return grid, density / density.sum()


def makes_the_peak_1(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """A density is as high as its area of 1 makes it: do not divide by its maximum."""
    grid, density = _curve(*slq_nodes(product, dim, steps, probes, seed), width)
    return grid, density / density.max()


def returns_the_share_below(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Which share of the eigenvalues lies below x is the density's integral: it grows to 1. Return the density."""
    grid, density = _curve(*slq_nodes(product, dim, steps, probes, seed), width)
    return grid, density.cumsum(0) * (grid[1] - grid[0])


def bell_by_bell(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Right: one normal distribution after the other."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    if width is None:
        width = default_width(values)
    grid = density_grid(values, width)
    density = torch.zeros_like(grid)
    for value, weight in zip(values, weights, strict=True):
        density += weight * torch.distributions.Normal(value, width).log_prob(grid).exp()
    return grid, density


def start_by_start(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
    """Right: a density for each start, and their mean."""
    found = [list(lanczos(product, random_signs(dim, seed, k), steps))[-1] for k in range(probes)]
    values = torch.cat([ritz.values for ritz in found])
    width = width or default_width(values)
    grid = density_grid(values, width)
    away = [(grid.unsqueeze(1) - ritz.values) / width for ritz in found]
    densities = [(torch.exp(-one.square() / 2) * ritz.weights).sum(1) for one, ritz in zip(away, found, strict=True)]
    return grid, torch.stack(densities).mean(0) / math.sqrt(2 * math.pi * width**2)


def with_a_basis_of_its_own(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Curve:
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
    return _curve(torch.cat(values), torch.cat(weights), width)


HINTS = (
    "The points with their weights stand for the spectrum, but points cannot be drawn as a curve: put a bell in the "
    "place of each, as large as its weight, and add the bells up.",
    "At x the density is Σ weightᵢ · exp(−½ ((x − valueᵢ) / width)²) / (width · √2π). With the grid as a column [M, 1] "
    "and the values as a row, one expression has all bells, [M, N]; the weights are a vector [N].",
    """\
def slq_density(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(...) / ...  # [M, N]
    return grid, ...
""",
)

EXERCISE = Exercise(
    id="generalization.slq_density",
    points=3,
    minutes=15,
    stars=2,
    reference=slq_density,
    cases=cases,
    wrong=(
        forgets_the_weights,
        weighs_all_alike,
        forgets_to_square_the_first_components,
        squares_the_weights,
        adds_the_starts_up,
        takes_one_start,
        takes_one_step_too_few,
        takes_the_values_of_all_steps,
        starts_in_any_direction,
        takes_the_width_for_the_variance,
        makes_bells_half_as_wide,
        always_takes_the_default_width,
        makes_each_bell_as_high_as_1,
        normalizes_without_the_width,
        forgets_the_root_of_two_pi,
        forgets_the_half,
        forgets_the_square,
        counts_eigenvalues,
        divides_by_the_sum,
        makes_the_peak_1,
        returns_the_share_below,
    ),
    also_right=(bell_by_bell, start_by_start, with_a_basis_of_its_own),
    hints=HINTS,
    reaches="measure",
    probe=probe_slq_density,
    tolerance=1e-4,
)

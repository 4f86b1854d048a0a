"""Exercise: the spectrum as a smooth curve, a bell for each Ritz value."""

import math

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_slq_density
from minidalle.generalization.hessian import Product
from minidalle.generalization.lanczos import default_width, density_grid, slq_density, slq_nodes
from minidalle.runtime import generator

Answer = tuple[Tensor, Tensor]


def cases(seed: int) -> list[Case]:
    """One eigenvalue; two of them, twice as often the one as the other, on either side of 0; the width that is used if
    none is given; one that is 0 on most of its diagonal; starts that are told apart by nothing; fewer products than
    eigenvalues. All matrices are diagonal, with entries in pairs for which any signs say the same."""
    chance = generator(seed, "generalization.slq_density")

    def number(low: float, high: float) -> float:
        """With one digit behind the point."""
        return round(low + (high - low) * float(torch.rand((), generator=chance)), 1)

    def case(entries: list[float], steps: int, probes: int = 1, width: float | None = None) -> Case:
        order = torch.randperm(len(entries), generator=chance)
        diagonal = torch.tensor(entries, dtype=torch.float64)[order]
        start = int(torch.randint(1000, (), generator=chance))
        return {"diagonal": diagonal, "steps": steps, "probes": probes, "seed": start, "width": width}

    a, b, c, d = number(2, 3), number(-3, -2), number(5, 6), number(8, 9)
    return [
        case([a], 1, width=0.5),
        case([a, a, b], 2, width=0.4),
        case([b, c, c, c], 2),
        case([0.0] * 6 + [c, -a], 3, width=number(0.3, 0.5)),
        case([a, a, a, c, d, d], 3, probes=3, width=1.5),
        case([b, b, a, c, c, c, d], 2, probes=2, width=number(0.6, 0.9)),
    ]


def _bells(values: Tensor, weights: Tensor, width: float) -> Answer:
    """What is right, if values, weights and width are."""
    grid = density_grid(values, width)
    return grid, torch.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) @ weights / (width * math.sqrt(2 * math.pi))


def _asked(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> tuple[Tensor, Tensor, float]:
    """Values and weights of the starts, and the width."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return values, weights, default_width(values) if width is None else width


def weighs_alike(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """A value has the weight of its start's share: where most eigenvalues are, there is most of the weight."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, torch.full_like(weights, 1 / len(values)), width)


def counts_the_values(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """A bell of height 1 for each value counts them, and forgets their shares."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, torch.ones_like(weights), width)


def takes_roots_of_weights(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The weight is the squared share already: multiply the bell by it as it is."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, weights.sqrt(), width)


def squares_the_weights(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """slq_nodes has squared the shares: its weights add up to 1, their squares do not."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, weights**2, width)


def mixes_up_the_weights(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Each weight belongs to the value in its place. You pair the first value with the last weight."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, weights.flip(0), width)


def divides_by_probes_again(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """Each start has weight 1 / probes already, so that all add up to 1: do not divide once more."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    return _bells(values, weights / probes, width)


def leaves_bells_unnormalized(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A bell has area width · √2π: divide by that, or the curve has not the area 1."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density * width * math.sqrt(2 * math.pi)


def leaves_out_the_width(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """A wide bell is low: divide by the width, too, and not by √2π alone."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density * width


def makes_the_highest_point_1(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """Divide by the area, not by the highest point: below a density there is an area of 1."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density / density.max()


def makes_the_sum_1(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Points lie close together: it is the area that is 1, `torch.trapezoid(density, grid)`, not the sum."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density / density.sum()


def takes_width_for_variance(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """`width` is the standard deviation: in the exponent it is squared. You have (x − value)² / 2 width."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, root = density_grid(values, width), math.sqrt(width)
    bells = torch.exp(-((grid[:, None] - values) ** 2) / (2 * width))
    return grid, bells @ weights / (root * math.sqrt(2 * math.pi))


def forgets_the_half(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """There is a 2 below the fraction: exp(−(x − value)² / 2 width²). Without it the bell is too narrow."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid = density_grid(values, width)
    bells = torch.exp(-(((grid[:, None] - values) / width) ** 2))
    return grid, bells @ weights / (width * math.sqrt(2 * math.pi))


def makes_bells_half_as_wide(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """`width` is from the middle to one standard deviation, not across both: do not halve it."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid = density_grid(values, width)
    bells = torch.exp(-0.5 * ((grid[:, None] - values) / (width / 2)) ** 2)
    return grid, bells @ weights / (width / 2 * math.sqrt(2 * math.pi))


def cuts_off_what_is_below_0(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """Eigenvalues can be below 0, where the loss curves down: the curve shows them, too."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density * (grid >= 0)


def cuts_off_what_is_above_1(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """A density may be larger than 1, as long as its area is 1: do not clamp it."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid, density = _bells(values, weights, width)
    return grid, density.clamp(max=1)


def drops_the_signs(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """Eigenvalues below 0 stay where they are: use the values without `abs`."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid = density_grid(values, width)
    bells = torch.exp(-0.5 * ((grid[:, None] - values.abs()) / width) ** 2)
    return grid, bells @ weights / (width * math.sqrt(2 * math.pi))


def draws_a_histogram(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """A histogram jumps where a bin ends. Give each value a bell, which is smooth."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid = density_grid(values, width)
    near = (grid[:, None] - values).abs() <= width / 2
    return grid, near.double() @ weights / width


def draws_the_sum_so_far(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """That is which share of the eigenvalues is below x. A density is how many there are near x."""
    values, weights, width = _asked(product, dim, steps, probes, seed, width)
    grid = density_grid(values, width)
    below = torch.special.ndtr((grid[:, None] - values) / width)
    return grid, below @ weights


def ignores_the_given_width(
    product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None
) -> Answer:
    """The default width is only for `width=None`. If there is a width, use it."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    return _bells(values, weights, default_width(values))


def takes_only_one_start(product: Product, dim: int, steps: int, probes: int, seed: int, width: float | None) -> Answer:
    """`probes` says how many starts there are, and a curve of one start alone is noisier."""
    values, weights = slq_nodes(product, dim, steps, 1, seed)
    return _bells(values, weights, default_width(values) if width is None else width)


def value_by_value(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Answer:
    """Right: a loop over the values that adds bells of torch's own normal distribution up."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    grid = density_grid(values, width or default_width(values))
    density = torch.zeros_like(grid)
    for value, weight in zip(values, weights, strict=True):
        density += weight * torch.distributions.Normal(value, width or default_width(values)).log_prob(grid).exp()
    return grid, density


def with_weights_in_the_exponent(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> Answer:
    """Right: logarithms of all factors, added up in the exponent."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    if width is None:
        width = default_width(values)
    grid = density_grid(values, width)
    far = (values[:, None] - grid[None, :]).square() / (2 * width**2)
    return grid, torch.logsumexp(
        weights.log()[:, None] - far - math.log(width) - math.log(2 * math.pi) / 2, dim=0
    ).exp()


HINTS = (
    "Each value of `slq_nodes` stands for a share of the spectrum, its weight. Draw a bell of that area around it, and "
    "add all bells up.",
    "density(x) = Σ weightₖ · exp(−(x − valueₖ)² / 2 width²) / (width √2π). With `grid[:, None] - values`, [M, K], all "
    "differences are there at once, and `bells @ weights` adds up over the values.",
    """\
def slq_density(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = ...
    grid = density_grid(values, width)
    bells = ...  # [M, K], one column for each value
    return grid, bells @ weights
""",
)

EXERCISE = Exercise(
    id="generalization.slq_density",
    points=2,
    minutes=10,
    stars=2,
    reference=slq_density,
    cases=cases,
    wrong=(
        weighs_alike,
        counts_the_values,
        takes_roots_of_weights,
        squares_the_weights,
        mixes_up_the_weights,
        divides_by_probes_again,
        leaves_bells_unnormalized,
        leaves_out_the_width,
        makes_the_highest_point_1,
        makes_the_sum_1,
        takes_width_for_variance,
        forgets_the_half,
        makes_bells_half_as_wide,
        cuts_off_what_is_below_0,
        cuts_off_what_is_above_1,
        drops_the_signs,
        draws_a_histogram,
        draws_the_sum_so_far,
        ignores_the_given_width,
        takes_only_one_start,
    ),
    also_right=(value_by_value, with_weights_in_the_exponent),
    hints=HINTS,
    reaches="measure",
    probe=probe_slq_density,
    tolerance=1e-3,
)

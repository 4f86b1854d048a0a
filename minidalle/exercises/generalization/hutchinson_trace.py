"""Exercise: the trace of a matrix, estimated with random signs."""

import math

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_hutchinson_trace
from minidalle.generalization.hessian import Product
from minidalle.generalization.lanczos import apply, hutchinson_trace, random_signs
from minidalle.runtime import generator

Answer = tuple[float, float]


def cases(seed: int) -> list[Case]:
    """One number; diagonals, for which all signs say the same, also one whose trace is below 0; full matrices, with two
    samples and with many, and one without anything on its diagonal."""
    chance = generator(seed, "generalization.hutchinson_trace")

    def drawn(*shape: int) -> Tensor:
        """Numbers that can be read, from ±0.5 to ±4."""
        sizes = torch.randint(5, 41, shape, generator=chance).double() / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def symmetric(size: int) -> Tensor:
        half = drawn(size, size)
        return half.tril() + half.tril(-1).T

    def case(matrix: Tensor, samples: int) -> Case:
        return {"matrix": matrix, "samples": samples, "seed": int(torch.randint(1000, (), generator=chance))}

    hollow = symmetric(8)
    return [
        case(drawn(1, 1).abs() + 1, 2),
        case(torch.diag(drawn(2).abs() + 1), 2),
        case(torch.diag(-drawn(5).abs() - 1), 6),
        case(symmetric(4), 2),
        case(symmetric(6), 30),
        case(hollow - hollow.diag().diag(), 40),
        case(symmetric(12) + 10 * torch.eye(12), 20),
    ]


def _signs(dim: int, samples: int, seed: int) -> list[Tensor]:
    return [random_signs(dim, seed, k) for k in range(samples)]


def _values(product: Product, vectors: list[Tensor]) -> Tensor:
    """z · Hz of each: [n]."""
    return torch.stack([z @ apply(product, z) for z in vectors])


def _estimate(values: Tensor) -> Answer:
    """What is right, if the values are."""
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def takes_ones_for_all_vectors(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Ones add up the whole matrix. Only random signs make what is beside the diagonal cancel out."""
    return _estimate(_values(product, [torch.ones(dim, dtype=torch.float64)] * samples))


def takes_minus_ones(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Your signs are all −1. Half of them should be +1: look at a few, and draw them with `random_signs`."""
    return _estimate(_values(product, [-torch.ones(dim, dtype=torch.float64)] * samples))


def turns_one_vector_around(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """A sign for the whole vector cancels in z · Hz: each of its P entries needs a sign of its own."""
    turns = (1 - 2 * (k % 2) for k in range(samples))
    return _estimate(_values(product, [turn * random_signs(dim, seed) for turn in turns]))


def stops_when_it_looks_converged(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Who stops when the mean happens to stand still lets chance decide: take all samples."""
    values: list[Tensor] = []
    for z in _signs(dim, samples, seed):
        values.append(z @ apply(product, z))
        if len(values) > 1 and _estimate(torch.stack(values))[1] <= 0.1 * abs(_estimate(torch.stack(values))[0]):
            break
    return _estimate(torch.stack(values))


def draws_zeros_and_ones(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """`randint(2, …)` gives 0 and 1, but you need −1 and +1: `random_signs` has them."""
    return _estimate(_values(product, [(z + 1) / 2 for z in _signs(dim, samples, seed)]))


def draws_normal_numbers(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Normal numbers are right on average, but noisier: with signs z² is always 1, so that a diagonal has no error."""
    chance = generator(seed, "normal numbers")
    return _estimate(_values(product, [*torch.randn(samples, dim, generator=chance, dtype=torch.float64)]))


def makes_z_as_long_as_1(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """With z divided by its length you get the trace over P. Leave its entries at +1 and −1."""
    return _estimate(_values(product, [z / z.norm() for z in _signs(dim, samples, seed)]))


def takes_rows_of_the_identity(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Each unit vector sees one entry of the diagonal alone. A vector of signs sees all of them at once."""
    return _estimate(_values(product, [torch.eye(dim, dtype=torch.float64)[k % dim] for k in range(samples)]))


def takes_the_same_vector_each_time(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Sample k has a vector of its own, `random_signs(dim, seed, k)`. Copies of one say nothing about the error."""
    return _estimate(_values(product, [random_signs(dim, seed)] * samples))


def forgets_the_seed(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Another seed has to give other vectors: hand `seed` on to `random_signs`."""
    return _estimate(_values(product, _signs(dim, samples, 0)))


def draws_without_a_seed(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The same seed has to give the same vectors, or nobody can repeat your estimate: use `random_signs`."""
    return _estimate(_values(product, [torch.randint(2, (dim,)).double() * 2 - 1 for _ in range(samples)]))


def draws_one_vector_too_few(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """There are `samples` vectors, k = 0, 1, … samples − 1: `range(samples)`."""
    values = _values(product, _signs(dim, samples - 1, seed))
    return values.mean().item(), torch.cat([values, values[:1]]).std().item() / math.sqrt(samples)


def adds_up_without_dividing(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Each sample is a trace of its own already: take their mean, not their sum."""
    values = _values(product, _signs(dim, samples, seed))
    return values.sum().item(), _estimate(values)[1]


def divides_by_the_size(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The trace is the sum of the eigenvalues, not their mean: do not divide z · Hz by P."""
    return _estimate(_values(product, _signs(dim, samples, seed)) / dim)


def drops_the_sign(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """A trace can be below 0, and so can z · Hz: average it as it is, without `abs`."""
    return _estimate(_values(product, _signs(dim, samples, seed)).abs())


def forgets_to_multiply_by_z(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The sum of Hz has signs of its own in it. z · Hz turns those of the diagonal back: zᵢ · zᵢ = 1."""
    return _estimate(torch.stack([apply(product, z).sum() for z in _signs(dim, samples, seed)]))


def measures_the_length_of_hz(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Hz · Hz is about the trace of H². Multiply Hz by z."""
    products = [apply(product, z) for z in _signs(dim, samples, seed)]
    return _estimate(torch.stack([hz @ hz for hz in products]))


def takes_the_median(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Only the mean of z · Hz is the trace on average; no sample is left out for being far off."""
    values = _values(product, _signs(dim, samples, seed))
    return values.median().item(), _estimate(values)[1]


def returns_the_standard_deviation(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """That is how far a single sample is off. The mean of n samples is off by √n times less."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean().item(), values.std().item()


def returns_the_variance_of_the_mean(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """A standard error is the root of a variance: take the square root."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean().item(), values.var().item() / samples


def divides_by_n_for_the_deviation(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The mean was made of the same samples, so that they seem closer to it than they are: n − 1 makes up for that."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean().item(), values.std(correction=0).item() / math.sqrt(samples)


def divides_by_n_and_not_its_root(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Four times the samples make the error half as large: divide the standard deviation by √n, not by n."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean().item(), values.std().item() / samples


def takes_one_off_twice(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """n − 1 belongs into the standard deviation, where `std()` has it already. Divide that by √n."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean().item(), values.std().item() / math.sqrt(samples - 1)


def returns_half_an_interval(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """1.96 standard errors to each side make an interval. What is wanted is one standard error."""
    mean, error = _estimate(_values(product, _signs(dim, samples, seed)))
    return mean, 1.96 * error


def returns_tensors(product: Product, dim: int, samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and error are plain numbers: `.item()` takes them out of their tensors."""
    values = _values(product, _signs(dim, samples, seed))
    return values.mean(), values.std() / samples**0.5


def with_signs_of_its_own(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Right: signs from a generator of its own, all in one table."""
    draw = torch.Generator().manual_seed(seed)
    signs = torch.randn(samples, dim, generator=draw, dtype=torch.float64).sign()
    curved = torch.stack([product(z) for z in signs]).double()
    values = (signs * curved).sum(1)
    return float(values.mean()), float(values.var() / samples) ** 0.5


def adding_up_as_it_goes(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Right: mean and squares that grow with each sample, as Welford does it."""
    mean = squares = 0.0
    for k in range(samples):
        z = random_signs(dim, seed, k)
        off = float((z * apply(product, z)).sum()) - mean
        mean += off / (k + 1)
        squares += off * off * k / (k + 1)
    return mean, math.sqrt(squares / (samples - 1) / samples)


HINTS = (
    "A vector of random signs picks out the diagonal: in z · Hz, an entry Hᵢⱼ is multiplied by zᵢzⱼ, which is 1 on the "
    "diagonal and beside it +1 as often as −1. Average over several vectors.",
    "tₖ = zₖ · Hzₖ with zₖ = random_signs(dim, seed, k) for k = 0 … n − 1; the estimate is their mean, its standard "
    "error √(Σ (tₖ − mean)² / (n − 1)) / √n. `values.std()` divides by n − 1.",
    """\
def hutchinson_trace(product, dim, samples, seed=0):
    signs = [random_signs(dim, seed, k) for k in range(samples)]
    values = torch.stack([... for z in signs])
    return values.mean().item(), ...
""",
)

EXERCISE = Exercise(
    id="generalization.hutchinson_trace",
    points=2,
    minutes=10,
    stars=1,
    reference=hutchinson_trace,
    cases=cases,
    wrong=(
        takes_ones_for_all_vectors,
        takes_minus_ones,
        turns_one_vector_around,
        stops_when_it_looks_converged,
        draws_zeros_and_ones,
        draws_normal_numbers,
        makes_z_as_long_as_1,
        takes_rows_of_the_identity,
        takes_the_same_vector_each_time,
        forgets_the_seed,
        draws_without_a_seed,
        draws_one_vector_too_few,
        adds_up_without_dividing,
        divides_by_the_size,
        drops_the_sign,
        forgets_to_multiply_by_z,
        measures_the_length_of_hz,
        takes_the_median,
        returns_the_standard_deviation,
        returns_the_variance_of_the_mean,
        divides_by_n_for_the_deviation,
        divides_by_n_and_not_its_root,
        takes_one_off_twice,
        returns_half_an_interval,
        returns_tensors,
    ),
    also_right=(with_signs_of_its_own, adding_up_as_it_goes),
    hints=HINTS,
    reaches="measure",
    probe=probe_hutchinson_trace,
    tolerance=1e-3,
)

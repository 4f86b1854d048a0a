"""Exercise: the trace of a matrix from random signs, and how sure it is."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_hutchinson_trace
from minidalle.generalization.hessian import Product
from minidalle.generalization.lanczos import hutchinson_trace, random_signs
from minidalle.runtime import generator

Answer = tuple[float, float]


def cases(seed: int) -> list[Case]:
    """Diagonals, for which all signs say the same; two numbers beside each other; more, with a trace above 0, below 0
    and about 0; few samples and many."""
    chance = generator(seed, "generalization.hutchinson_trace")

    def diagonal(size: int) -> Tensor:
        """From 2 to 9, so that no trace is 0."""
        return torch.randint(20, 91, (size,), generator=chance).double().diag() / 10

    def full(size: int, middle: float) -> Tensor:
        """As far from diagonal as it can be, and of a trace near `middle`."""
        sizes = torch.randint(10, 31, (size, size), generator=chance).double() / 10
        upper = (sizes * (2 * torch.randint(2, (size, size), generator=chance) - 1)).triu(1)
        shift = torch.randint(-10, 11, (size,), generator=chance).double() / 10 + middle / size
        return upper + upper.T + shift.diag()

    def case(matrix: Tensor, samples: int) -> Case:
        start = int(torch.randint(1000, (), generator=chance))
        return {"matrix": matrix, "samples": samples, "seed": start}

    return [
        case(diagonal(2), 3),
        case(full(2, 3), 3),
        case(diagonal(8), 12),
        case(full(8, 20), 3),
        case(full(10, -20), 12),
        case(full(12, 0), 40),
        case(full(6, 300), 25),
    ]


def _vectors(dim: int, samples: int, seed: int) -> list[Tensor]:
    return [random_signs(dim, seed, k) for k in range(samples)]


def _values(product: Product, vectors: Iterable[Tensor]) -> Tensor:
    """z·Hz of each, float64 [n]."""
    return torch.stack([z @ product(z) for z in vectors])


def _estimate(values: Tensor) -> Answer:
    """What is right, if the values are."""
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def takes_ones(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """With ones for z, z·Hz is the sum of all numbers in H. Signs must be random for the others to cancel."""
    return _estimate(_values(product, [torch.ones(dim, dtype=torch.float64)] * samples))


def takes_minus_ones(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Your signs are all −1. Of 0 and 1 make them so: 2 · z − 1, and look at a few."""
    return _estimate(_values(product, [-torch.ones(dim, dtype=torch.float64)] * samples))


def takes_zeros_and_ones(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """z has to be +1 or −1, so that zᵢzᵢ is 1 and zᵢzⱼ is 0 on average. Of 0 and 1 make 2 · z − 1."""
    return _estimate(_values(product, [(z + 1) / 2 for z in _vectors(dim, samples, seed)]))


def takes_normal_numbers(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """It is right on average, but z of signs is surer: its zᵢzᵢ is always 1, and the diagonal adds no noise."""
    chance = generator(seed, "normal")
    return _estimate(_values(product, torch.randn(samples, dim, generator=chance, dtype=torch.float64)))


def makes_z_as_long_as_1(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """z of signs is √P long and stays so. Made as long as 1, it gives the mean of the eigenvalues, not their sum."""
    return _estimate(_values(product, [z / math.sqrt(dim) for z in _vectors(dim, samples, seed)]))


def takes_the_same_vector_again(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Each sample needs signs of its own, `random_signs(dim, seed, k)`. The same again says nothing new."""
    return _estimate(_values(product, _vectors(dim, 1, seed) * samples))


def turns_one_vector_around(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """One random sign for the whole vector cancels in z·Hz: each of its P entries needs a sign of its own."""
    flips = 2 * torch.randint(2, (samples,), generator=generator(seed, "flips")) - 1
    return _estimate(_values(product, [flip * torch.ones(dim, dtype=torch.float64) for flip in flips]))


def ignores_the_seed(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Another seed has to give other vectors: hand it on, `random_signs(dim, seed, k)`."""
    return _estimate(_values(product, _vectors(dim, samples, 0)))


def draws_without_a_seed(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The same seed has to give the same result: `random_signs(dim, seed, k)`, and not what torch draws by itself."""
    return _estimate(_values(product, 2 * torch.randint(2, (samples, dim)).double() - 1))


def asks_for_the_diagonal(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """That is exact, and takes P products: years for a real model. A few random signs do."""
    values = _values(product, torch.eye(dim, dtype=torch.float64))
    return values.sum().item(), 0.0


def stops_when_it_looks_converged(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Who stops where the mean happens to stand still trusts chance: use all samples."""
    values: list[Tensor] = []
    for z in _vectors(dim, samples, seed):
        values.append(z @ product(z))
        if len(values) > 1 and torch.stack(values).std() <= 0.25 * torch.stack(values).mean().abs():
            break
    return _estimate(torch.stack(values))


def leaves_one_sample_out(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """You take one sample too few: k goes from 0 to samples − 1, `range(samples)`."""
    return _estimate(
        _values(product, [random_signs(dim, seed, k) for k in range(1, samples)] or _vectors(dim, 1, seed))
    )


def forgets_the_second_z(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The sum of Hz is 0 on average. Multiply by the same signs once more before you add up: z @ product(z)."""
    return _estimate(torch.stack([product(z).sum() for z in _vectors(dim, samples, seed)]))


def takes_the_length_of_the_product(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Hz·Hz is about the squares of the eigenvalues: one of the two factors is z itself."""
    return _estimate(torch.stack([product(z).square().sum() for z in _vectors(dim, samples, seed)]))


def drops_the_sign(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """z·Hz may be below 0, and so may the trace: without the sign the mean is too large."""
    return _estimate(_values(product, _vectors(dim, samples, seed)).abs())


def divides_by_the_dimension(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The trace is the sum over the diagonal: z·Hz is one, (z * Hz).mean() is P times smaller."""
    return _estimate(_values(product, _vectors(dim, samples, seed)) / dim)


def adds_the_samples_up(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Each sample is an estimate of the whole trace: take their mean, not their sum."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.sum().item(), values.std().item() / math.sqrt(samples)


def takes_the_median(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Only the mean is right on average; samples need not lie evenly around it."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.quantile(0.5).item(), values.std().item() / math.sqrt(samples)


def returns_the_standard_deviation(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """That is how far a single sample is off. The mean of n is off by less: divide by √n."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.mean().item(), values.std().item()


def divides_by_n_and_not_its_root(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Four times as many samples halve the error: divide the standard deviation by √n, `math.sqrt(samples)`."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.mean().item(), values.std().item() / samples


def returns_the_variance(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The variance over n is the square of the standard error: take the root."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.mean().item(), values.var().item() / samples


def divides_the_squares_by_n(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """The mean is made of the same samples, so they lie too near to it: divide by n − 1, as `std()` does."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.mean().item(), values.std(correction=0).item() / math.sqrt(samples)


def takes_one_off_twice(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """n − 1 belongs into the standard deviation, where `std()` has it already. Divide that by √n."""
    values = _values(product, _vectors(dim, samples, seed))
    return values.mean().item(), values.std().item() / math.sqrt(samples - 1)


def returns_tensors(product: Product, dim: int, samples: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Mean and error are plain numbers: `.item()` takes them out of their tensors."""
    mean, error = _estimate(_values(product, _vectors(dim, samples, seed)))
    return torch.tensor(mean, dtype=torch.float64), torch.tensor(error, dtype=torch.float64)


def with_sums(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Right: a sum, and a sum of squares about the mean."""
    values = []
    for k in range(samples):
        z = random_signs(dim, seed, k)
        values.append(float((z * product(z)).sum()))
    mean = sum(values) / samples
    return mean, (sum((value - mean) ** 2 for value in values) / (samples - 1) / samples) ** 0.5


def with_a_table(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Right: all vectors as one table, and all products."""
    signs = torch.stack([random_signs(dim, seed, k) for k in range(samples)])
    values = torch.einsum("kp,kp->k", signs, torch.stack([product(z) for z in signs]).double())
    return values.mean().item(), math.sqrt(values.var(correction=1).item() / samples)


def while_it_goes(product: Product, dim: int, samples: int, seed: int = 0) -> Answer:
    """Right: mean and squares by Welford's method, which keeps no sample."""
    mean = squares = 0.0
    for k in range(samples):
        z = random_signs(dim, seed, k)
        value = torch.dot(z, product(z).to(z)).item()
        before, mean = mean, mean + (value - mean) / (k + 1)
        squares += (value - before) * (value - mean)
    return mean, math.sqrt(squares / ((samples - 1) * samples))


HINTS = (
    "Multiply by random signs on both sides: z·Hz is the sum of zᵢ Hᵢⱼ zⱼ. Where i = j the signs cancel, and elsewhere "
    "they are + as often as −. So each z gives an estimate, and the mean of many a good one.",
    "xₖ = zₖ · Hzₖ for k = 0 … n − 1, with zₖ = random_signs(dim, seed, k). The mean is Σ xₖ / n, and its standard "
    "error is s / √n, where s² = Σ (xₖ − mean)² / (n − 1), which is what `std()` gives.",
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
        takes_ones,
        takes_minus_ones,
        takes_zeros_and_ones,
        takes_normal_numbers,
        makes_z_as_long_as_1,
        takes_the_same_vector_again,
        turns_one_vector_around,
        ignores_the_seed,
        draws_without_a_seed,
        asks_for_the_diagonal,
        stops_when_it_looks_converged,
        leaves_one_sample_out,
        forgets_the_second_z,
        takes_the_length_of_the_product,
        drops_the_sign,
        divides_by_the_dimension,
        adds_the_samples_up,
        takes_the_median,
        returns_the_standard_deviation,
        divides_by_n_and_not_its_root,
        returns_the_variance,
        divides_the_squares_by_n,
        takes_one_off_twice,
        returns_tensors,
    ),
    also_right=(with_sums, with_a_table, while_it_goes),
    hints=HINTS,
    reaches="measure",
    probe=probe_hutchinson_trace,
    tolerance=1e-3,
)

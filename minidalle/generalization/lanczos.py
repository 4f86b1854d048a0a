"""Eigenvalues, trace and density of a matrix that is only known by what it does to vectors.

All sums here are float64, whatever the product computes in: a Krylov basis of k vectors takes 8·k·P bytes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.generalization.hessian import Product
from minidalle.runtime import generator

ENDS = ("LA", "SA", "LM")


@dataclass(frozen=True)
class Ritz:
    """What k products say about the eigenvalues of a symmetric matrix.

    Attributes:
        values: float64 [k], ascending; all lie between the smallest and the largest eigenvalue.
        weights: float64 [k], which share of the start vector belongs to each; they add up to 1.
        errors: float64 [k]; an eigenvalue lies within this distance of each value.
    """

    values: Tensor
    weights: Tensor
    errors: Tensor


def lanczos(product: Product, start: Tensor, most: int) -> Iterator[Ritz]:
    """Lanczos' iteration with full reorthogonalization: after each product, what is known by now.

    In exact arithmetic each new vector is orthogonal to all before it; in floats that is lost as soon as an
    eigenvalue is found, and then it is found again and again. So each is made orthogonal to all, twice.

    Args:
        product: of a symmetric matrix.
        start: [P], not zero.
        most: products, at most; it ends sooner where there is nothing left to find.

    Gives:
        The Ritz values after 1, 2, … products. Source: Golub and Van Loan 2013, section 10.3; Parlett 1998,
        section 13.8 ("twice is enough") and theorem 4.5.1 (the errors).

    Raises:
        InvalidValue: no step, a start vector of zeros, or a product that is not finite or of another size.
    """
    require(most >= 1, "most", most, "1 or more")
    start = start.double()
    require(start.dim() == 1 and bool(start.any()), "start", tuple(start.shape), "a vector that is not zero")
    basis, diagonal, beside = [start / start.norm()], [], []
    for _ in range(min(most, len(start))):
        following = apply(product, basis[-1])
        diagonal.append((following @ basis[-1]).item())
        for vector in [*basis, *basis]:
            following -= (vector @ following) * vector
        beside.append(following.norm().item())
        yield _ritz(diagonal, beside)
        if beside[-1] <= 1e-12 * max(map(abs, [*diagonal, *beside])):
            return
        basis.append(following / beside[-1])


def top_eigenvalue(
    product: Product, dim: int, which: str = "LA", seed: int = 0, tolerance: float = 0.01, most: int = 100
) -> tuple[float, float]:
    """An eigenvalue at the end of the spectrum, and how far off it may be.

    For the matrix with −10, 3 and 1 on its diagonal: "LA" (largest) → 3, "SA" (smallest) → −10, "LM"
    (largest magnitude) → −10. `lanczos(product, start, most)` gives, after each product, a `ritz`: its
    `values` are what the eigenvalues look like so far, ascending, and `errors` how far off each may be.
    Go on until the value's own error is at most `tolerance` times its magnitude, or `most` products are
    used up. The start is a random direction, `random_start(dim, seed)`, so that no eigenvector is left
    out.

    Args:
        product: v [P] → Hv [P].
        dim: P.
        which: one of `ENDS`: "LA", "SA" or "LM".
        seed: of the start.
        tolerance: relative error at which to stop.
        most: products, at most.

    Returns:
        The value and its error bound: some eigenvalue lies within it. Source: Parlett 1998, chapter 13.
    """
    require(which in ENDS, "which", which, f"one of {', '.join(ENDS)}")
    for ritz in lanczos(product, random_start(dim, seed), most):
        low, high = ritz.values[0].item(), ritz.values[-1].item()
        end = 0 if which == "SA" or (which == "LM" and -low > high) else -1
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def hutchinson_trace(product: Product, dim: int, samples: int, seed: int = 0) -> tuple[float, float]:
    """The trace of a matrix, the sum of its eigenvalues: the mean of z · Hz over random signs z.

    On average zᵢzⱼ is 1 for i = j and 0 otherwise, so only the diagonal is left. For a diagonal matrix
    every z gives the same: 3 and 4 on it → (7, 0). For other matrices a sample has the variance
    2(‖H‖²_F − Σ H²ᵢᵢ). `random_signs(dim, seed, k)` are the k-th vector's, others will do as well, and
    `apply(product, z)` is Hz in float64.

    Args:
        product: v [P] → Hv [P].
        dim: P.
        samples: how many vectors z, 2 or more. None is left out for looking converged.
        seed: of the vectors.

    Returns:
        The mean, and its standard error: the samples' standard deviation (n − 1 below) over √n. Source:
        Hutchinson 1990.
    """
    require(samples >= 2, "samples", samples, "2 or more, for a standard error")
    signs = (random_signs(dim, seed, k) for k in range(samples))
    values = torch.stack([z @ apply(product, z) for z in signs])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def slq_nodes(product: Product, dim: int, steps: int, probes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A spectrum as a few points with weights: the Ritz values of random starts, each start with weight 1/probes.

    Args:
        product: v [P] → Hv [P].
        dim: P.
        steps: products per start.
        probes: starts, vectors of random signs.
        seed: of the starts.

    Returns:
        Values float64 [M] and weights float64 [M] that add up to 1. Σ weight · value^j is the mean of z·Hʲz / P
        over the starts, exactly for j < 2·steps. Source: Ubaru et al. 2017; Golub and Meurant 2010, section 6.
    """
    require(probes >= 1, "probes", probes, "1 or more")
    ends = [list(lanczos(product, random_signs(dim, seed, k), steps))[-1] for k in range(probes)]
    return torch.cat([ritz.values for ritz in ends]), torch.cat([ritz.weights for ritz in ends]) / probes


def slq_density(
    product: Product, dim: int, steps: int, probes: int, seed: int = 0, width: float | None = None
) -> tuple[Tensor, Tensor]:
    """How the eigenvalues of a matrix are spread, as a smooth curve: stochastic Lanczos quadrature.

    `slq_nodes(product, dim, steps, probes, seed)` are values with weights that stand for the spectrum;
    the weights of all probes together add up to 1. Each value becomes a Gaussian,
    exp(−(x − value)² / (2 width²)) / (width √(2π)), times its weight; the density is their sum.
    `default_width(values)` is a width where none is given, and `density_grid(values, width)` says where
    to draw: one value 2 and width 0.5 → 49 points from −1 to 5. The area below the curve,
    `torch.trapezoid(density, grid)`, is 1.

    Args:
        product: v [P] → Hv [P].
        dim: P.
        steps: products per probe.
        probes: random starts.
        seed: of the starts.
        width: standard deviation of the Gaussians; None for a hundredth of the spectrum's length.

    Returns:
        grid float64 [M] and density float64 [M]. Source: Ghorbani et al. 2019, algorithm 1.
    """
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    return grid, bells @ weights


def default_width(values: Tensor) -> float:
    """A hundredth of the length of a spectrum [M]; of its largest magnitude, or of 1, if all are one value."""
    spread = (values.max() - values.min()).item()
    largest = values.abs().max().item()
    return (spread if spread > 1e-6 * largest else largest or 1.0) / 100


def density_grid(values: Tensor, width: float) -> Tensor:
    """Points, four to a width, from 6 widths below the smallest value to 6 above the largest: [M]."""
    require(width > 0, "width", width, "above 0")
    low, high = values.min().item() - 6 * width, values.max().item() + 6 * width
    points = math.ceil(4 * (high - low) / width - 1e-6) + 1  # less a little, so that rounding adds no point
    require(points <= 1_000_000, "width", width, f"at least {(high - low) / 250_000:.3g}, for a million points at most")
    return torch.linspace(low, high, points, dtype=torch.float64)


def random_signs(dim: int, seed: int, k: int = 0) -> Tensor:
    """The k-th random vector of +1 and −1, each with a chance of one half (Rademacher): float64 [P]."""
    require(dim >= 1, "dim", dim, "1 or more")
    return torch.randint(2, (dim,), generator=generator(seed, "random signs", k)).double() * 2 - 1


def random_start(dim: int, seed: int) -> Tensor:
    """A random direction, all alike (Gaussian): float64 [P]."""
    require(dim >= 1, "dim", dim, "1 or more")
    return torch.randn(dim, generator=generator(seed, "random start"), dtype=torch.float64)


def apply(product: Product, v: Tensor) -> Tensor:
    """The product as float64 [P], a tensor of its own.

    Raises:
        InvalidValue: it is of another shape, or not finite.
    """
    given = product(v).detach()
    require(given.shape == v.shape, "product", tuple(given.shape), f"the vector's shape, {tuple(v.shape)}")
    require(bool(given.isfinite().all()), "product", "NaN or infinity", "finite numbers: is the loss finite?")
    return given.to(v, copy=True)


def _ritz(diagonal: list[float], beside: list[float]) -> Ritz:
    """Ritz values of the tridiagonal matrix of k products; the last of `beside` is the rest that they leave."""
    matrix = torch.tensor(diagonal, dtype=torch.float64).diag()
    matrix += torch.tensor(beside[:-1], dtype=torch.float64).diag(-1)  # eigh reads the lower triangle alone
    values, vectors = torch.linalg.eigh(matrix)
    return Ritz(values, vectors[0] ** 2, beside[-1] * vectors[-1].abs())

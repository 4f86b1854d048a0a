"""Exercise: the eigenvalue at an end of the spectrum, from products alone."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.curvature import probe_top_eigenvalue
from minidalle.generalization.hessian import Product
from minidalle.generalization.lanczos import lanczos, random_start, top_eigenvalue
from minidalle.runtime import generator

Answer = tuple[float, float]


def cases(seed: int) -> list[Case]:
    """One number; diagonals, both ends; full matrices: tiny numbers, the largest magnitude, all below 0, one that ones
    do not find, the same eigenvalue three times; many eigenvalues, also with few digits, with few products, or with
    another end that is found at once."""
    chance = generator(seed, "generalization.top_eigenvalue")

    def number(low: float, high: float) -> float:
        """With one digit behind the point."""
        return round(low + (high - low) * float(torch.rand((), generator=chance)), 1)

    def turned(*spectrum: float, first: Tensor | None = None) -> Tensor:
        """A matrix with these eigenvalues, whose eigenvectors point anywhere, or the first one along this one."""
        vectors = torch.randn(len(spectrum), len(spectrum), generator=chance, dtype=torch.float64)
        vectors[:, 0] = vectors[:, 0] if first is None else first
        basis = torch.linalg.qr(vectors).Q
        return basis @ torch.tensor(spectrum, dtype=torch.float64).diag() @ basis.T

    def many(low: float, high: float, *far: float) -> Tensor:
        """Twenty eigenvalues, about as far apart as they can be; the ends stand out a little. And some far away."""
        inner = torch.linspace(0.08, 0.9, 18) + 0.03 * torch.rand(18, generator=chance)
        return turned(low, *(low + (high - low) * inner.double()).tolist(), high, *far)

    def case(matrix: Tensor, which: str, tolerance: float = 1e-6, most: int = 1000) -> Case:
        start = int(torch.randint(1000, (), generator=chance))
        return {"matrix": (matrix + matrix.T) / 2, "which": which, "seed": start, "tolerance": tolerance, "most": most}

    def diagonal(*spectrum: float) -> Tensor:
        return torch.tensor(spectrum, dtype=torch.float64).diag()

    return [
        case(diagonal(number(-4, -2)), "LA"),
        case(diagonal(number(-9, -7), number(3, 4), number(1, 2)), "LA"),
        case(diagonal(number(2, 3), number(6, 7), number(-2, -1)), "SA"),
        case(turned(number(1, 2), number(-6, -5)) / 10_000_000, "SA"),
        case(turned(number(-9, -7), number(3, 5), 1.0, number(-2, -1)), "LM"),
        case(turned(number(-9, -8), number(-6, -5), number(-4, -3), number(-2, -1)), "LA"),
        case(turned(number(1, 2), number(5, 6), -1.0, number(-3, -2), 0.5, first=torch.ones(5)), "LA"),
        case(turned(*[number(6, 7)] * 3, number(2, 3), number(3, 4), number(4, 5)), "SA"),
        case(many(number(-4, -3), number(8, 9)), "LM"),
        case(many(number(-8, -7), number(5, 6)) / 100_000, "SA", tolerance=0.02),
        case(many(number(-8, -7), number(5, 6)) * 10_000, "LM", most=3),
        case(many(number(-8, -7), number(5, 6), 40.0), "SA", most=3000),
    ]


def _end(values: Tensor, which: str) -> int:
    """Which of the values, ascending."""
    return 0 if which == "SA" or (which == "LM" and values[0].abs() > values[-1].abs()) else -1


def _search(product: Product, start: Tensor, which: str, most: int, enough: Callable[[float, float], bool]) -> Answer:
    """What is right, if the start and the end of the search are: `enough` is asked of value and error."""
    for ritz in lanczos(product, start, most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if enough(value, error):
            break
    return value, error


def _right(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    return _search(product, random_start(dim, seed), which, most, lambda value, error: error <= tolerance * abs(value))


def always_takes_the_largest(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """With "SA", and sometimes with "LM", it is the smallest eigenvalue that is asked for: the first Ritz value."""
    return _right(product, dim, "LA", seed, tolerance, most)


def goes_by_magnitude(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """−10 is larger than 3 in magnitude, but smaller as a number, and "LA" asks for the largest number."""
    return _right(product, dim, "LM", seed, tolerance, most)


def takes_the_largest_for_lm(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """With "LM", −10 wins over 3: compare how far both ends are from 0, and take the one that is further away."""
    return _right(product, dim, "LA" if which == "LM" else which, seed, tolerance, most)


def takes_the_smallest_for_lm(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """With "LM", 10 wins over −3: compare how far both ends are from 0, and take the one that is further away."""
    return _right(product, dim, "SA" if which == "LM" else which, seed, tolerance, most)


def takes_the_other_end(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """Ritz values are in ascending order: the largest is the last one, [-1], the smallest the first, [0]."""
    return _right(product, dim, {"LA": "SA", "SA": "LA", "LM": "LM"}[which], seed, tolerance, most)


def drops_the_sign(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """An eigenvalue below 0 stays below 0, also where "LM" chooses by magnitude: the loss goes down that way."""
    value, error = _right(product, dim, which, seed, tolerance, most)
    return abs(value), error


def forgets_to_turn_back(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """The smallest eigenvalue is minus the largest of −H: after you turn the matrix around, turn the result back."""
    turned = (lambda v: -product(v)) if which == "SA" else product
    return _right(turned, dim, which.replace("S", "L"), seed, tolerance, most)


def returns_the_length_of_hv(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """‖Hv‖ has no sign, and v turns to the largest magnitude, whatever is asked for. Ritz values have both ends."""
    value, error = _right(product, dim, "LM", seed, tolerance, most)
    return abs(value), error


def stops_at_a_standstill(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """A value may stand still long before it is right. What counts is its error, `ritz.errors`."""
    before = [float("inf")]

    def stands(value: float, error: float) -> bool:
        before.append(value)
        return abs(before[-1] - before[-2]) <= tolerance * abs(value)

    return _search(product, random_start(dim, seed), which, most, stands)


def takes_the_last_move(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """How far a value moved last is no bound: it may move slowly for long. Take the error of the value."""
    before, value, error = math.inf, 0.0, math.inf
    for ritz in lanczos(product, random_start(dim, seed), most):
        value = ritz.values[_end(ritz.values, which)].item()
        before, error = value, abs(value - before)
        if error <= tolerance * abs(value):
            break
    return value, error


def returns_the_tolerance_for_the_error(
    product: Product, dim: int, which: str, seed: int, tolerance: float, most: int
) -> Answer:
    """When `most` products are over, the error may be larger than what was wanted: return the value's own error."""
    value, _ = _right(product, dim, which, seed, tolerance, most)
    return value, tolerance * abs(value)


def returns_the_magnitude_for_lm(
    product: Product, dim: int, which: str, seed: int, tolerance: float, most: int
) -> Answer:
    """The option "LM" chooses by magnitude, but what it chooses keeps its sign: −10, not 10."""
    value, error = _right(product, dim, which, seed, tolerance, most)
    return abs(value) if which == "LM" else value, error


def looks_at_the_error_of_another_value(
    product: Product, dim: int, which: str, seed: int, tolerance: float, most: int
) -> Answer:
    """Each Ritz value has an error of its own: the one in the same place of `ritz.errors`."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        value, error = ritz.values[_end(ritz.values, which)].item(), ritz.errors[-1].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def returns_the_square(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """H applied twice has squares for eigenvalues, whose signs are gone: one product in each step."""
    return _right(lambda v: product(product(v)), dim, which, seed, tolerance, max(most // 2, 1))


def claims_to_be_exact(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """If it ends before the value is exact, the bound has to say so: return the error that belongs to the value."""
    return _right(product, dim, which, seed, tolerance, most)[0], 0.0


def goes_on_for_too_long(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """`most` is how many products there may be. On a real model each takes seconds: hand it on to `lanczos`."""
    return _right(product, dim, which, seed, tolerance, dim)


def stops_at_one_percent(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """`tolerance` says how small the error has to be; 0.01 is only its default."""
    return _right(product, dim, which, seed, 0.01, most)


def stops_at_absolute_errors(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """`tolerance` is relative: the error may be that share of |value|. Small numbers need small errors."""
    return _search(product, random_start(dim, seed), which, most, lambda value, error: error <= tolerance)


def returns_relative_errors(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """The bound is in the units of the value. Divided by the value, it only tells when to stop."""
    value, error = _right(product, dim, which, seed, tolerance, most)
    return value, error / abs(value)


def starts_with_ones(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """What the start has nothing of is never found, and ones can be such a start: take `random_start(dim, seed)`."""
    return _search(product, torch.ones(dim).double(), which, most, lambda value, error: error <= tolerance * abs(value))


def starts_along_one_axis(product: Product, dim: int, which: str, seed: int, tolerance: float, most: int) -> Answer:
    """With a diagonal matrix the first axis never leaves itself: start in a random direction, which has all others."""
    return _search(
        product, torch.eye(dim).double()[0], which, most, lambda value, error: error <= tolerance * abs(value)
    )


def returns_tensors(
    product: Product, dim: int, which: str, seed: int, tolerance: float, most: int
) -> tuple[Tensor, Tensor]:
    """Value and bound are plain numbers: `.item()` takes them out of their tensors."""
    value, error = _right(product, dim, which, seed, tolerance, most)
    return torch.tensor(value, dtype=torch.float64), torch.tensor(error, dtype=torch.float64)


def with_a_basis_of_its_own(
    product: Product, dim: int, which: str = "LA", seed: int = 0, tolerance: float = 0.01, most: int = 100
) -> Answer:
    """Right: an orthonormal basis that grows by the newest product, the matrix as it is seen in it, and ‖Hx − λx‖."""
    v = random_start(dim, seed)
    basis, products = torch.zeros(dim, 0, dtype=torch.float64), torch.zeros(dim, 0, dtype=torch.float64)
    for _ in range(min(most, dim)):
        basis = torch.cat([basis, (v / v.norm()).unsqueeze(1)], dim=1)
        products = torch.cat([products, product(basis[:, -1]).double().unsqueeze(1)], dim=1)
        values, vectors = torch.linalg.eigh(basis.T @ products)
        end = _end(values, which)
        value, x = values[end].item(), vectors[:, end]
        error = (products @ x - value * (basis @ x)).norm().item()
        v = products[:, -1]
        for _ in range(2):
            v = v - basis @ (basis.T @ v)
        if error <= tolerance * abs(value) or v.norm() < 1e-12 * products.abs().max():
            break
    return value, error


def by_power_iteration(
    product: Product, dim: int, which: str = "LA", seed: int = 0, tolerance: float = 0.01, most: int = 100
) -> Answer:
    """Right, but slow: power iteration, first for the largest magnitude, then on a matrix that is shifted by it."""

    def climb(shift: float, products: int) -> tuple[float, float, int]:
        v, value, error, used = random_start(dim, seed), 0.0, 0.0, 0
        while used < products:
            v = v / v.norm()
            moved = product(v).double()
            value = (v @ moved).item()
            error, used = (moved - value * v).norm().item(), used + 1
            if error <= tolerance * abs(value):
                break
            v = moved + shift * v
        return value, error, used

    largest, error, used = climb(0.0, most)
    other_end = {"LA": largest < 0, "SA": largest > 0, "LM": False}[which]
    return climb(-largest, most - used)[:2] if other_end and used < most and dim > 1 else (largest, error)


HINTS = (
    "`lanczos` does the work. After each product look at the end of its Ritz values that is asked for, and at the "
    "error that belongs to it: is that small enough?",
    "Ritz values ascend: the smallest is `ritz.values[0]`, the largest `ritz.values[-1]`, and the largest magnitude is "
    "one of these two. Stop when ritz.errors[end] ≤ tolerance · |ritz.values[end]|.",
    """\
def top_eigenvalue(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = ...  # 0 or -1
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if ...:
            break
    return value, error
""",
)

EXERCISE = Exercise(
    id="generalization.top_eigenvalue",
    points=2, minutes=10, stars=2,
    reference=top_eigenvalue, cases=cases,
    wrong=(takes_the_smallest_for_lm, takes_the_last_move, returns_the_tolerance_for_the_error,
           returns_the_magnitude_for_lm, looks_at_the_error_of_another_value, always_takes_the_largest,
           goes_by_magnitude, takes_the_largest_for_lm, takes_the_other_end, drops_the_sign, forgets_to_turn_back,
           returns_the_length_of_hv, stops_at_a_standstill, returns_the_square, claims_to_be_exact,
           goes_on_for_too_long, stops_at_one_percent, stops_at_absolute_errors, returns_relative_errors,
           starts_with_ones, starts_along_one_axis, returns_tensors),
    also_right=(with_a_basis_of_its_own, by_power_iteration),
    hints=HINTS,
    reaches="measure",
    forbid=("scipy.sparse.linalg.eigsh", "scipy.sparse.linalg.lobpcg", "torch.lobpcg"),
    probe=probe_top_eigenvalue, tolerance=1e-3,
)  # fmt: skip

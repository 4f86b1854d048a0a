"""How the functions of lesson 05 that look at curvature are called: with losses and matrices made of numbers.

A loss is called without arguments and a matrix is only known by its products, so both are made here, anew for every
call. Random numbers are the answer's own affair: where they decide, what comes back is what all right answers share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import data, learned

SIZES = "of many sizes"
EXACT = 1e-5  # relative tolerance of an eigenvalue from which on its digits are looked at

Formula = Callable[[list[Tensor], list[Tensor]], Tensor]
"""Weights, and other numbers → a scalar."""

FORMULAS: dict[str, Formula] = {
    "½ w·Aw + b·w": lambda weights, known: weights[0] @ known[0] @ weights[0] / 2 + known[1] @ weights[0],
    "b·w": lambda weights, known: known[0] @ weights[0],
    "Σ c w⁴": lambda weights, known: (known[0] * weights[0] ** 4).sum(),
    "Σ (A w)² s³": lambda weights, known: ((weights[0] @ weights[1]) ** 2).sum() * weights[2] ** 3,
    "mean of (U tanh(W x + b) − y)²; d is not used": lambda weights, known: (
        (torch.tanh(known[0] @ weights[0].T + weights[1]) @ weights[2].T - known[1]).square().mean()
    ),
}
"""Losses by how they are written. The weights are in the order in which they stand there."""


def _written(tensor: Tensor) -> str:
    """Its numbers, with four digits."""
    return f"[{', '.join(map(_written, tensor))}]" if tensor.dim() else f"{tensor.item():.4g}"


@dataclass
class Loss:
    """A loss of some weights, which are tensors that require gradients; it is called without arguments.

    calls: how often that was.
    moved: whether the weights were others at a later call.
    """

    formula: str
    weights: list[Tensor] = field(compare=False)
    known: list[Tensor] = field(compare=False)
    calls: int = field(default=0, compare=False)
    moved: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        self.first = [tensor.detach().clone() for tensor in self.weights]

    def __call__(self) -> Tensor:
        """The loss, a scalar."""
        self.calls += 1
        self.moved |= not all(map(torch.equal, self.first, self.weights))
        return FORMULAS[self.formula](self.weights, self.known)

    def __repr__(self) -> str:
        return f"a function without arguments: {self.formula}, with {', '.join(map(_written, self.known))}"


def probe_hvp(function: Function, formula: str, params: list[Any], known: list[Any], v: Tensor) -> Plain:
    """The product, how often the loss was asked for, and what becomes of the ones in the weights' `.grad`.

    Whoever moves the weights takes differences: how near these are says how far was gone.
    """
    weights = [learned(tensor) for tensor in params]
    ones = [torch.ones_like(tensor) for tensor in params]
    for tensor, own in zip(weights, ones, strict=True):
        tensor.grad = own.clone()
    loss = Loss(formula, weights, [tensor.clone() for tensor in known])
    product = function(loss, [*weights], v.clone())
    if loss.moved:
        return {"product": "any", "calls of the loss": "at other weights, too", ".grad": "any"}
    left = [tensor.grad for tensor in weights if tensor.grad is not None]
    lost = len(left) < len(ones)
    kept = not lost and all(map(torch.equal, left, ones))
    state = "thrown away" if lost else "as it was" if kept else "written into"
    return {"product": data(product), "calls of the loss": loss.calls, ".grad": state}


@dataclass
class Matrix:
    """A symmetric matrix [P, P], float64, which is asked for its products with vectors.

    seen: the vectors [P], in order.
    """

    rows: list[list[float]]
    seen: list[Tensor] = field(default_factory=list, compare=False)

    def __post_init__(self) -> None:
        self.table = torch.tensor(self.rows, dtype=torch.float64)

    def __call__(self, v: Tensor) -> Tensor:
        """The matrix times a vector [P], in its precision."""
        if v.shape != (len(self.rows),):
            raise ValueError(f"the product is of a vector [{len(self.rows)}], not of {list(v.shape)}")
        self.seen.append(v.detach().double().clone())
        return self.table.to(v.dtype) @ v.detach()

    def __repr__(self) -> str:
        return f"v → H v, with H = {_written(self.table)}"


def probe_top_eigenvalue(
    function: Function, matrix: Tensor, which: str, seed: int, tolerance: float, most: int
) -> Plain:
    """The value, where it has to be exact, and what is true of the error bound however it was found."""
    product = Matrix(matrix.tolist())
    value, error = function(product, len(matrix), which, seed, tolerance, most)
    truth = torch.linalg.eigvalsh(product.table)
    off = (truth - value).abs().min().item()
    rounding = 1e-10 * truth.abs().max().item()
    fair = most >= 10 * len(matrix)  # enough products for any method to get there
    return {
        "value": value if fair and tolerance <= EXACT else "any",
        "an eigenvalue is within the error bound": bool(off <= error + rounding),
        "error bound": ("within" if error <= tolerance * abs(value) + rounding else "above") if fair else "any",
        "products": "at most as many as allowed" if len(product.seen) <= most else "too many",
    }


def probe_hutchinson_trace(function: Function, matrix: Tensor, samples: int, seed: int) -> Plain:
    """What is true of the vectors whatever they are, and how mean and error differ from what these vectors give.

    Where all samples are equal, whoever stops early stops at once; elsewhere chance says when.
    """
    first, again, other, equal = (Matrix(table.tolist()) for table in (matrix, matrix, matrix, torch.eye(len(matrix))))
    function(equal, len(matrix), samples, seed)
    if len(equal.seen) < samples - 1:
        return {"products": "fewer where the samples are equal"}
    mean, error = function(first, len(matrix), samples, seed)
    function(again, len(matrix), samples, seed)
    function(other, len(matrix), samples, seed + 1)
    values = torch.stack([z @ first.table @ z for z in first.seen or [torch.zeros(len(matrix)).double()]])
    spread = values.std().item() if len(values) > 1 else 0.0
    diagonal = torch.equal(matrix, matrix.diag().diag())
    return {
        "products": len(first.seen),
        "entries": _entries(first.seen),
        "vectors": _variety(first.seen, again.seen, other.seen),
        "mean": mean if diagonal and _entries(first.seen) != SIZES else "any",
        "mean, less that of these vectors": mean - values.mean().item(),
        "error, less that of these vectors": error - spread / len(values) ** 0.5,
    }


def _entries(vectors: Sequence[Tensor]) -> str:
    """What the vectors are made of; a share of signs that is 7 standard errors from one half is no chance."""
    entries = torch.cat([*vectors, torch.zeros(0).double()])
    found = set(entries.tolist())
    if found <= {-1.0, 1.0} and len(entries) >= 50:
        fair = entries.mean().abs().item() <= 7 / len(entries) ** 0.5
        return "+1 and −1, equally often" if fair else f"mostly {entries.sign().mean().round():+.0f}"
    if found <= {-1.0, 1.0}:
        return "+1 or −1"
    return SIZES if len({round(abs(entry), 9) for entry in found if entry}) > 1 else "others than +1 and −1"


def _variety(first: list[Tensor], again: list[Tensor], other: list[Tensor]) -> str:
    """Whether the vectors are drawn anew each time, by the seed. Of few entries, chance can make them all alike."""
    distinct = {tuple((z * z[0].sign()).tolist()) for z in first}
    if sum(map(len, first)) < 50:
        return "too few to tell"
    if len(distinct) == 1:
        return "always the same one" if all(map(torch.equal, first, first[1:])) else "one, and the same turned around"
    if len(first) != len(again) or not all(map(torch.equal, first, again)):
        return "others each time, with the same seed"
    same = len(first) == len(other) and all(map(torch.equal, first, other))
    return "the same for every seed" if same else "drawn by the seed"


def probe_slq_density(
    function: Function, diagonal: Tensor, steps: int, probes: int, seed: int, width: float | None
) -> Plain:
    """Grid and density of a diagonal matrix, for which all signs give the same; how many products, if none is spare."""
    product = Matrix(diagonal.double().diag().tolist())
    grid, density = function(product, len(diagonal), steps, probes, seed, width)
    needed = steps <= len(diagonal.unique())
    return {
        "grid": data(grid),
        "density": data(density),
        "area": data(torch.trapezoid(density, grid)),
        "products": len(product.seen) if needed else "any",
    }

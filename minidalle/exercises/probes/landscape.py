"""How the functions of lesson 05 that move weights are called.

Every call gets tensors of its own; a loss of weights is made here, of numbers, and counts in float64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import data, learned


def probe_sam_perturbation(
    function: Function, params: list[Any], gradients: list[Any], rho: float, adaptive: bool
) -> Plain:
    """A tensor per parameter; the parameters ask for gradients, as a model's do."""
    found = function([learned(tensor) for tensor in params], [tensor.clone() for tensor in gradients], rho, adaptive)
    return [data(tensor) for tensor in found]


def probe_filter_normalize(function: Function, direction: list[Any], params: list[Any]) -> Plain:
    """A tensor per parameter; the parameters ask for gradients, as a model's do."""
    found = function([tensor.clone() for tensor in direction], [learned(tensor) for tensor in params])
    return [data(tensor) for tensor in found]


@dataclass
class Hills:
    """A loss of the weights themselves: a plane, level + tilt · w, with round hills on it; valleys, if they are below.

    tilt: of the weights' shapes.
    places: where the hills are, weights each.
    heights: how high each is, at its place.
    width: at this distance, a hill is e times lower.
    """

    tilt: list[Any] = field(compare=False)
    level: float
    places: list[Any] = field(compare=False)
    heights: list[Any]
    width: float

    def __call__(self, weights: Sequence[Tensor]) -> float:
        """The loss."""
        loss = self.level + sum((a.double() * w.double()).sum().item() for a, w in zip(self.tilt, weights, strict=True))
        for place, height in zip(self.places, self.heights, strict=True):
            square = sum((w.double() - p).square().sum().item() for p, w in zip(place, weights, strict=True))
            loss += height * math.exp(-square / self.width**2)
        return float(loss)

    def __repr__(self) -> str:
        return "weights → their loss, a plane with hills"


def probe_barrier(
    function: Function,
    tilt: list[Any],
    level: float,
    hills: list[Any],
    heights: list[Any],
    width: float,
    w0: list[Any],
    w1: list[Any],
    points: int,
) -> Plain:
    """A number, also if it comes in a tensor."""
    loss = Hills(tilt, level, hills, heights, width)
    found = function(loss, [tensor.clone() for tensor in w0], [tensor.clone() for tensor in w1], points)
    return found.item() if isinstance(found, Tensor) and found.numel() == 1 else found

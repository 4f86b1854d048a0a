"""How much the loss rises near the weights: at the worst point nearby, or on average."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.generalization.mean_loss import MeanLoss
from minidalle.runtime import generator
from minidalle.training.sam import global_norm, restored, sam_perturbation


@dataclass(frozen=True)
class Sharpness:
    """A rise of the loss, and which: sharpnesses of different kinds or radii cannot be compared.

    Attributes:
        kind: "worst, one step", "worst, 20 steps" or "mean of 100", followed by ", adaptive" if it is.
        radius: ρ of the worst case, σ of the mean.
        value: the rise, in units of the loss.
        error: standard error of a mean; 0 for a worst case.
    """

    kind: str
    radius: float
    value: float
    error: float = 0.0


def sam_sharpness(loss: MeanLoss, rho: float, steps: int = 1, adaptive: bool = False, seed: int = 0) -> Sharpness:
    """The rise of the loss to the worst point within rho, as far as some steps of ascent find it.

    One step goes along the gradient: L(w + ε) − L(w) with SAM's ε, close to ρ‖g‖ away from a minimum, and so
    about slope more than about curvature. Many steps are projected ascent: each adds ε of the gradient where
    it is and goes back into the ball; a step that led down is taken back, and the next are half as long. At a
    minimum, where the gradient gives no direction, they start in a random one, and come to ½ρ²λmax.

    Args:
        loss: at the weights as they are; they are moved meanwhile, and put back bit for bit.
        rho: ρ, of the ball ‖δ‖ ≤ ρ; adaptive: of ‖δ / |w|‖ ≤ ρ, where a weight of zero stays zero.
        steps: 1 or more; each costs a loss and a gradient.
        adaptive: whether lengths are relative to the weights.
        seed: of the random direction.

    Returns:
        The sharpness; of many steps never below 0, as w itself is in the ball. Source: Foret et al. 2021;
        Kwon et al. 2021; Andriushchenko et al. 2023 (many steps).
    """
    require(0 < rho < math.inf, "rho", rho, "a length above 0")
    require(steps >= 1, "steps", steps, "1 or more")
    kind = ("worst, one step" if steps == 1 else f"worst, {steps} steps") + ", adaptive" * adaptive
    if steps > 1:
        return Sharpness(kind, rho, _climb(loss, rho, steps, adaptive, seed))
    epsilon, base = sam_perturbation(loss.params, loss.gradient(), rho, adaptive), loss.value()
    with moved(loss.params, epsilon):
        return Sharpness(kind, rho, loss.value() - base)


def average_sharpness(loss: MeanLoss, sigma: float, samples: int, adaptive: bool = False, seed: int = 0) -> Sharpness:
    """The mean rise of the loss when every weight is shaken: E L(w + δ) − L(w) for δ ~ N(0, σ²).

    For small σ it is ½σ² tr H; adaptive, δ ~ N(0, σ²w²), ½σ² Σ Hᵢᵢwᵢ².

    Args:
        loss: at the weights as they are; they are moved meanwhile, and put back bit for bit.
        sigma: σ, the standard deviation of the noise; adaptive: in units of each weight.
        samples: draws, 2 or more.
        adaptive: whether the noise is relative to the weights.
        seed: of the draws.

    Returns:
        The mean over the samples and its standard error. Source: Keskar et al. 2017; Jiang et al. 2020.
    """
    require(0 < sigma < math.inf, "sigma", sigma, "a standard deviation above 0")
    require(samples >= 2, "samples", samples, "2 or more, for a standard error")
    weights = [param.detach().clone() for param in loss.params]
    base, rises = loss.value(), torch.zeros(samples, dtype=torch.float64)
    for k in range(samples):
        noise = _noise(weights, seed, k)
        delta = [sigma * (w.abs() * z if adaptive else z) for w, z in zip(weights, noise, strict=True)]
        with moved(loss.params, delta):
            rises[k] = loss.value() - base
    mean, error = rises.mean().item(), rises.std().item() / math.sqrt(samples)
    return Sharpness(f"mean of {samples}" + ", adaptive" * adaptive, sigma, mean, error)


def project(delta: Sequence[Tensor], weights: Sequence[Tensor], rho: float, adaptive: bool = False) -> list[Tensor]:
    """The point of the ball ‖δ‖ ≤ ρ on the way from its middle to a point: shortened, if it is too long.

    Adaptive, the ball is ‖δ / |w|‖ ≤ ρ, over the weights that are not zero.
    """
    lengths = [d / w.abs() if adaptive else d for d, w in zip(delta, weights, strict=True)]
    norm = global_norm([length.nan_to_num(0.0, 0.0, 0.0) for length in lengths])
    return [d * (rho / norm) if norm > rho else d for d in delta]


@contextmanager
def moved(params: Sequence[Tensor], delta: Sequence[Tensor]) -> Iterator[None]:
    """The weights at w + δ; afterwards they are w again, bit for bit, whatever happened."""
    with restored(params):
        with torch.no_grad():
            for param, step in zip(params, delta, strict=True):
                param.add_(step)
        yield


def _climb(loss: MeanLoss, rho: float, steps: int, adaptive: bool, seed: int) -> float:
    """The highest rise on the way of projected ascent."""
    weights = [param.detach().clone() for param in loss.params]

    def look(delta: list[Tensor]) -> tuple[float, list[Tensor]]:
        with moved(loss.params, delta):
            return loss.value(), loss.gradient()

    place, rate = [torch.zeros_like(w) for w in weights], 1.0
    base, gradient = look(place)
    highest = base
    if global_norm(gradient) == 0:
        place = sam_perturbation(weights, _noise(weights, seed, 0), rho, adaptive)
        highest, gradient = look(place)
    for _ in range(steps):
        ascent = sam_perturbation(weights, gradient, rate * rho, adaptive)
        there = project([a + b for a, b in zip(place, ascent, strict=True)], weights, rho, adaptive)
        height, slope = look(there)
        if height > highest:
            place, highest, gradient = there, height, slope
        else:
            rate /= 2
    return max(highest - base, 0.0)


def _noise(like: Sequence[Tensor], seed: int, k: int) -> list[Tensor]:
    """Standard normal numbers in the shapes of `like`, drawn on the CPU, so that every device has the same."""
    chance = generator(seed, "sharpness", k)
    return [torch.randn(w.shape, generator=chance, dtype=torch.float64).to(w) for w in like]

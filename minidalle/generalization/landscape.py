"""Walks over the loss landscape: along a line, over a plane, from one solution to another.

Weights and directions are lists of tensors in the order of the model's parameters. A walk needs the loss as a function
of the weights; `loss_at` makes it of a loss that looks at a model, and leaves the model as it was.
"""

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.runtime import generator
from minidalle.training.sam import restored

Tensors = Sequence[Tensor]
Loss = Callable[[], Tensor | float]
"""A loss that looks at a model's own parameters: a closure as `hvp` takes it, or one that gives a number."""


def random_direction(params: Tensors, seed: int = 0, number: int = 0) -> list[Tensor]:
    """A random direction: a standard normal number for each weight, the same on every device.

    Args:
        params: the weights, float32 or float64.
        seed: of the numbers.
        number: 0 for the first direction, 1 for the second of a plane, …

    Returns:
        Tensors of the parameters' shapes.

    Raises:
        InvalidValue: there are no parameters, or some of another precision.
    """
    _require_weights("params", params)
    chance = generator(seed, "landscape direction", number)
    return [torch.randn(weights.shape, generator=chance).to(weights) for weights in params]


def filter_normalize(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Make each row of a direction as long as the row of weights that it moves: d ← d · ‖w‖ / ‖d‖.

    A row is what one output reads, `w[i]`: all of its numbers count, also the three dimensions of a
    convolution's. Of tensors with one dimension or none (biases, norms) the direction is set to zero. The
    direction [[[0.0, 2.0], [1.0, 0.0]], [5.0]] for the weights [[[3.0, 4.0], [0.0, 0.0]], [1.0]] →
    [[[0.0, 5.0], [0.0, 0.0]], [0.0]]. A row of zeros stays zeros. So a step of 1 is as large as the
    weights themselves, however large these are.

    Args:
        direction: tensors of the parameters' shapes.
        params: the weights.

    Returns:
        New tensors, as the direction's. Source: Li et al. 2018, "Visualizing the loss landscape of neural
        nets", section 4.

    Raises:
        InvalidValue: the shapes differ, a number is not finite, or there are no parameters.
    """
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if weights.dim() < 2:
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(step)
            scale = torch.where(length > 0, row_lengths(weights) / length, 0.0)
            normalized.append(step * scale)
    return normalized


def random_plane(params: Tensors, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Two random directions for a `loss_surface`, each row as long as the weights that it moves.

    They are not made orthogonal: in as many dimensions as a model has weights, two random directions nearly are.

    Args:
        params: the weights, float32 or float64.
        seed: of both.

    Returns:
        Two lists of tensors of the parameters' shapes, without a graph, see `filter_normalize`. Source: Li et al.
        2018, section 4.

    Raises:
        InvalidValue: there are no parameters, or some of another precision or not finite.
    """
    weights = [parameter.detach() for parameter in params]
    first, second = (filter_normalize(random_direction(weights, seed, number), weights) for number in (0, 1))
    return first, second


def row_lengths(weights: Tensor) -> Tensor:
    """The length of each row w[i]: [R, …] → [R, 1, …], as many dimensions as there were."""
    return torch.linalg.vector_norm(weights, dim=tuple(range(1, weights.dim())), keepdim=True)


def interpolate(w0: Tensors, w1: Tensors, t: float) -> list[Tensor]:
    """The weights on the way from one model to another: (1 − t) w0 + t w1, exact at both ends.

    [[0.0, 4.0]], [[8.0, 0.0]], 0.25 → [[2.0, 3.0]].

    Args:
        w0: the weights at t = 0.
        w1: those at t = 1, of the same shapes.
        t: how far; below 0 or above 1 goes beyond the ends.

    Returns:
        New tensors.

    Raises:
        InvalidValue: the shapes differ, a number is not finite, or there are no weights.
    """
    require_alike("w1", w1, w0)
    require(abs(t) < float("inf"), "t", t, "a finite number")
    return [torch.lerp(start.detach(), end.detach(), t) for start, end in zip(w0, w1, strict=True)]


def loss_at(loss: Loss, params: Tensors) -> Callable[[Tensors], float]:
    """The loss as a function of the weights.

    The weights are written into the parameters and the loss is taken without gradients; then the parameters are
    as before, bit for bit, also after an error or Ctrl-C. Buffers are not looked after: use `eval` mode.

    Args:
        loss: a loss that looks at `params`, deterministic: `eval` mode, always the same batch.
        params: the model's own parameters, each once.

    Returns:
        Weights of the parameters' shapes → the loss.

    Raises:
        InvalidValue: there are no parameters, or one is there twice; later, weights of other shapes.
    """
    _require_weights("params", params)

    @torch.no_grad()
    def at(weights: Tensors) -> float:
        require_alike("weights", weights, params)
        with restored(params):
            write(params, weights)
            return float(loss())

    return at


@torch.no_grad()
def write(params: Tensors, weights: Tensors) -> None:
    """Give a model's parameters the values of some weights."""
    for parameter, value in zip(params, weights, strict=True):
        parameter.copy_(value)


def centered_grid(reach: float, points: int) -> Tensor:
    """Evenly spaced steps from −reach to reach with an exact 0 in the middle: 1.0, 5 → [−1, −0.5, 0, 0.5, 1].

    Args:
        reach: how far to go each way, above 0.
        points: how many, odd and at least 3.

    Returns:
        float64 [points].
    """
    require(0 < reach < float("inf"), "reach", reach, "a finite number above 0")
    require(points >= 3 and points % 2 == 1, "points", points, "an odd number of at least 3, so that 0 is one of them")
    half = points // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) / half * reach


def loss_surface(loss: Loss, params: Tensors, directions: Sequence[Tensors], grid: Tensor) -> Tensor:
    """The loss at w + a·d for every a of the grid; for two directions at w + a·d + b·e, for every pair.

    Loss w², w = 1, direction 1, grid [−1, 0, 1] → [0, 1, 4]. Every point is reached from the same w, so that no
    rounding adds up, and the weights are restored bit for bit.

    Args:
        loss: see `loss_at`.
        params: w, the model's own parameters.
        directions: one or two, such as those of `random_plane(params)`.
        grid: [G], ascending and with a 0 in it, such as `centered_grid(1.0, 21)`.

    Returns:
        float64 on the CPU: [G] for one direction, [G, G] for two, where row i belongs to grid[i] times the first.
        Far away a loss may be infinite or NaN.

    Raises:
        InvalidValue: the grid or the directions do not fit, or the loss at w itself is not finite.
    """
    require(len(directions) in (1, 2), "directions", len(directions), "one or two")
    for direction in directions:
        require_alike("direction", direction, params)
    steps = _grid_steps(grid)
    at = loss_at(loss, params)
    center = [parameter.detach().clone() for parameter in params]
    here = at(center)
    require(abs(here) < float("inf"), "loss", here, "a finite number at the weights themselves")

    def point(place: Sequence[float]) -> list[Tensor]:
        moved = center
        for step, direction in zip(place, directions, strict=True):
            moved = [weights + step * move for weights, move in zip(moved, direction, strict=True)]
        return moved

    losses = [at(point(place)) if any(place) else here for place in product(steps, repeat=len(directions))]
    return torch.tensor(losses, dtype=torch.float64).view([len(steps)] * len(directions))


def barrier(loss: Callable[[Tensors], float], w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """How high the loss rises between two models, above the straight line between their own losses.

    The largest L(w_t) − [(1 − t) L(w0) + t L(w1)] over `points` values of t, evenly spaced from 0 to 1,
    where w_t is `interpolate(w0, w1, t)`. Losses 1, 6, 3 at t = 0, 1/2, 1 → 6 − 2 = 4. At both
    ends the difference is 0, so no barrier is below 0.

    Args:
        loss: weights → a number, such as `loss_at(loss, params)`.
        w0: the first model's weights.
        w1: the second model's, of the same shapes.
        points: how many t, both ends included, at least 3.

    Returns:
        The barrier, in the loss's units; 0 if the way between lies nowhere above the line. Source:
        Entezari et al. 2022, "The role of permutation invariance in linear mode connectivity", section 2.

    Raises:
        InvalidValue: too few points, weights that do not fit each other, or a loss that is not finite.
    """
    require(points >= 3, "points", points, "at least 3: both ends and one between them")
    way = torch.linspace(0, 1, points, dtype=torch.float64)
    losses = torch.tensor([float(loss(interpolate(w0, w1, t))) for t in way.tolist()], dtype=torch.float64)
    require(bool(losses.isfinite().all()), "loss", losses.tolist(), "a finite number at every point")
    return float((losses - torch.lerp(losses[0], losses[-1], way)).max())


def _grid_steps(grid: Tensor) -> list[float]:
    steps = torch.as_tensor(grid, dtype=torch.float64).flatten()
    rising = len(steps) >= 2 and bool(steps.isfinite().all()) and bool((steps.diff() > 0).all())
    require(rising, "grid", steps.tolist(), "two finite numbers or more, ascending")
    require(bool((steps == 0).any()), "grid", steps.tolist(), "0 among them: the weights themselves")
    return steps.tolist()


def _require_weights(name: str, weights: Tensors) -> None:
    require(len(weights) > 0, name, "[]", "one tensor or more")
    kinds = {str(tensor.dtype) for tensor in weights} - {"torch.float32", "torch.float64"}
    require(not kinds, name, ", ".join(sorted(kinds)), "float32 or float64: a small step is lost in rounder numbers")
    require(len({id(tensor) for tensor in weights}) == len(weights), name, "a tensor twice", "each tensor once")
    finite = all(bool(tensor.isfinite().all()) for tensor in weights)
    require(finite, name, "NaN or infinite", "finite numbers")


def require_alike(name: str, tensors: Tensors, others: Tensors) -> None:
    """Refuse weights that are not those of one model, or not numbers."""
    _require_weights("params", others)
    wanted = [list(tensor.shape) for tensor in others]
    shapes = [list(tensor.shape) for tensor in tensors]
    require(shapes == wanted, name, shapes, f"tensors of the shapes {wanted}")
    finite = all(bool(tensor.isfinite().all()) for tensor in tensors)
    require(finite, name, "NaN or infinite", "finite numbers")

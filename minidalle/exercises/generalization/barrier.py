"""Exercise: how high the loss rises between two models, above the line between their own losses."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.landscape import probe_barrier
from minidalle.generalization.landscape import barrier, interpolate
from minidalle.runtime import generator

Tensors = Sequence[Tensor]
LossOf = Callable[[Tensors], float]


def cases(seed: int) -> list[Case]:
    """A hill between ends of other losses, with three points, and with more; two hills; a valley, where the barrier is
    0; several tensors; a hill near one end that few points miss."""
    chance = generator(seed, "generalization.barrier")

    def drawn(low: int, high: int, *shape: int) -> Tensor:
        """Numbers that can be read, with one digit after the point."""
        return torch.randint(low, high, shape, generator=chance) / 10

    def case(points: int, shapes: list[tuple[int, ...]], hills: list[tuple[float, float]], slope: float) -> Case:
        """Hills (where, how high) on a plane that rises by about `slope` from one end to the other."""
        w0 = [drawn(-20, 21, *shape) for shape in shapes]
        way = [drawn(10, 21, *shape) * (2 * torch.randint(2, shape, generator=chance) - 1) for shape in shapes]
        w1 = [start + step for start, step in zip(w0, way, strict=True)]
        length = sum(step.square().sum() for step in way)
        tilt = [(step * slope / length).mul(100).round() / 100 for step in way]
        foot = sum(
            float((one * start).sum()) for one, start in zip(tilt, w0, strict=True)
        )  # so that w0 is at the level
        middle = [[start + at * step for start, step in zip(w0, way, strict=True)] for at, _ in hills]
        width = round(0.3 * float(length) ** 0.5, 2)
        heights = [height + drawn(0, 11).item() for _, height in hills]
        return {
            "tilt": tilt,
            "level": round(4 + max(-slope, 0.0) + drawn(0, 11).item() - foot, 2),
            "hills": [*map(list, middle)],
            "heights": heights,
            "width": width,
            "w0": w0,
            "w1": w1,
            "points": points,
        }

    return [
        case(3, [(1,)], [(0.5, 5.0)], 0.0),
        case(3, [(1,)], [(0.5, 5.0)], 4.0),
        case(6, [(2,)], [(0.7, 3.0)], -4.0),
        case(11, [(2,)], [(0.2, 3.0), (0.8, 5.0)], 5.0),
        case(5, [(2,)], [(0.5, -4.0)], 3.0),
        case(9, [(2, 2), (2,), ()], [(0.3, 4.0)], -6.0),
        case(8, [(2, 3), (3,)], [(0.15, -3.0), (0.7, 4.0)], 4.0),
    ]


def _steps(points: int) -> list[float]:
    return [k / (points - 1) for k in range(points)]


def _losses(loss: LossOf, w0: Tensors, w1: Tensors, points: int) -> list[float]:
    return [float(loss(interpolate(w0, w1, t))) for t in _steps(points)]


def _line(losses: list[float]) -> list[float]:
    """Between the first and the last."""
    return [(1 - t) * losses[0] + t * losses[-1] for t in _steps(len(losses))]


def _rises(losses: list[float]) -> list[float]:
    return [high - low for high, low in zip(losses, _line(losses), strict=True)]


def returns_the_highest_loss(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Models whose losses are high have no barrier for that. Subtract the line between the losses of both ends."""
    return max(_losses(loss, w0, w1, points))


def subtracts_the_first_end(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """If the second model is worse, the way rises without any hill. Subtract at each t what the line between both ends
    is there."""
    losses = _losses(loss, w0, w1, points)
    return max(losses) - losses[0]


def subtracts_the_last_end(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """From a worse model the way falls. Subtract at each t what the line between both ends is there, not L(w1)
    everywhere."""
    losses = _losses(loss, w0, w1, points)
    return max(losses) - losses[-1]


def subtracts_the_higher_end(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Above the worse model is one way to define it, but here it is above the line between both: (1 − t) L(w0) +
    t L(w1)."""
    losses = _losses(loss, w0, w1, points)
    return max(losses) - max(losses[0], losses[-1])


def subtracts_the_lower_end(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Above the better model, you also count by how much the other one is worse. Subtract the line between both."""
    losses = _losses(loss, w0, w1, points)
    return max(losses) - min(losses[0], losses[-1])


def subtracts_the_mean_of_both_ends(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """The mean of both ends is the line's height in the middle only. At t it is (1 − t) L(w0) + t L(w1)."""
    losses = _losses(loss, w0, w1, points)
    return max(losses) - (losses[0] + losses[-1]) / 2


def turns_the_line_around(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """At t = 0 the line is L(w0), and at t = 1 it is L(w1). You have t and 1 − t in each other's place."""
    losses = _losses(loss, w0, w1, points)
    return max(high - low for high, low in zip(losses, _line(losses)[::-1], strict=True))


def subtracts_the_line_where_the_loss_is_highest(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """First subtract the line, then look for the largest: on a slope, the highest loss need not be highest above it."""
    losses = _losses(loss, w0, w1, points)
    return _rises(losses)[losses.index(max(losses))]


def takes_the_mean_rise(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Whoever walks has to cross the highest place, so the barrier is the largest rise, not the mean of all."""
    rises = _rises(_losses(loss, w0, w1, points))
    return sum(rises) / len(rises)


def sums_the_rises(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """With more points, a sum becomes larger, though the hill stays. Take the largest rise."""
    return sum(_rises(_losses(loss, w0, w1, points)))


def takes_absolute_values(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """A valley is no barrier: below the line, a rise is negative, and stays so."""
    return max(map(abs, _rises(_losses(loss, w0, w1, points))))


def takes_the_lowest_place(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """The smallest rise is the deepest place. Take the largest."""
    return min(_rises(_losses(loss, w0, w1, points)))


def looks_in_the_middle_only(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """A hill need not be in the middle: look at all of the points between 0 and 1."""
    ends = float(loss(w0)) + float(loss(w1))
    return max(0.0, float(loss(interpolate(w0, w1, 0.5))) - ends / 2)


def takes_the_rise_in_the_middle(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """A hill can be anywhere, and a valley in the middle has no barrier: look at all points, both ends included."""
    ends = float(loss(w0)) + float(loss(w1))
    return float(loss(interpolate(w0, w1, 0.5))) - ends / 2


def leaves_the_ends_out(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Both ends are points, too, where the rise is 0. Without them, a valley has a barrier below 0."""
    return max(_rises(_losses(loss, w0, w1, points))[1:-1])


def never_arrives(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """There are `points` − 1 steps between `points` points: t = k / (points − 1), so that the last one is 1."""
    way = [k / points for k in range(points)]
    losses = [float(loss(interpolate(w0, w1, t))) for t in way]
    return max(high - (1 - t) * losses[0] - t * losses[-1] for high, t in zip(losses, way, strict=True))


def stretches_the_line_over_what_it_saw(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Your last t is below 1, so that L(w1) is never seen. `torch.linspace(0, 1, points)` has both ends."""
    losses = [float(loss(interpolate(w0, w1, k / points))) for k in range(points)]
    return max(_rises(losses))


def takes_one_point_too_many(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """`points` is how many t there are, both ends included. You take as many steps, which is one point more."""
    return max(_rises(_losses(loss, w0, w1, points + 1)))


def takes_11_points_always(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """How many points there are is up to whoever calls: 11 is only what holds if nothing is said."""
    return max(_rises(_losses(loss, w0, w1, 11)))


def moves_only_the_first_tensor(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """All of a model's tensors walk together, from w0 to w1. `interpolate` takes the whole lists."""
    losses = _losses(loss, w0, w1, points)
    for k, t in enumerate(_steps(points)[1:-1], 1):
        losses[k] = float(loss([*interpolate(w0[:1], w1[:1], t), *w0[1:]])) if len(w0) > 1 else losses[k]
    return max(_rises(losses))


def stops_on_the_first_hill(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """A higher hill can come after the first. Look at all points before you say which is the highest."""
    rises = _rises(_losses(loss, w0, w1, points))
    return next((here for here, there in pairwise(rises) if there < here), rises[-1])


def returns_where_the_hill_is(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Return how high it is, not the t at which: `max`, not `argmax`."""
    rises = _rises(_losses(loss, w0, w1, points))
    return _steps(points)[rises.index(max(rises))]


def divides_by_the_line(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """The barrier is in the loss's units. You return it as a share of the line's height."""
    losses = _losses(loss, w0, w1, points)
    return max(rise / low for rise, low in zip(_rises(losses), _line(losses), strict=True))


def with_both_ends_first(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Right: the losses of both models, and a loop over what is between."""
    first, last = float(loss(w0)), float(loss(w1))
    highest = 0.0
    for k in range(1, points - 1):
        t = k / (points - 1)
        there = [a + t * (b - a) for a, b in zip(w0, w1, strict=True)]
        highest = max(highest, float(loss(there)) - (first + t * (last - first)))
    return highest


def with_two_lines(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Right: tensors of losses and of the line's heights."""
    losses = torch.tensor([loss(interpolate(w0, w1, k / (points - 1))) for k in range(points)], dtype=torch.float64)
    line = torch.linspace(losses[0].item(), losses[-1].item(), points, dtype=torch.float64)
    return (losses - line).amax().item()


def from_the_other_end(loss: LossOf, w0: Tensors, w1: Tensors, points: int = 11) -> float:
    """Right: the way back has the same hills."""
    back = [k / (points - 1) for k in range(points)]
    losses = [float(loss([(1 - t) * b + t * a for a, b in zip(w0, w1, strict=True)])) for t in back]
    return max(high - losses[0] + t * (losses[0] - losses[-1]) for high, t in zip(losses, back, strict=True))


HINTS = (
    "Walk from one model to the other and write down the losses. A straight line between the first and the last loss "
    "is what a way without a hill could look like: how far above it are you where that is the most?",
    "`points` values of t from 0 to 1; the loss at `interpolate(w0, w1, t)`, minus (1 − t) L(w0) + t L(w1), and the "
    "largest of these. `torch.lerp(first, last, t)` is the line; losses 1, 6, 3 are 0, 4, 0 above it.",
    """\
def barrier(loss, w0, w1, points=11):
    require(points >= 3, "points", points, "at least 3: both ends and one between them")
    way = torch.linspace(0, 1, points, dtype=torch.float64)
    losses = torch.tensor([... for t in way.tolist()], dtype=torch.float64)
    require(losses.isfinite().all(), "loss", losses.tolist(), "a finite number at every point")
    line = ...
    return float(...)
""",
)

EXERCISE = Exercise(
    id="generalization.barrier",
    points=2, minutes=10, stars=1,
    reference=barrier, cases=cases,
    wrong=(takes_the_rise_in_the_middle, stretches_the_line_over_what_it_saw, returns_the_highest_loss,
           subtracts_the_first_end, subtracts_the_last_end, subtracts_the_higher_end, subtracts_the_lower_end,
           subtracts_the_mean_of_both_ends, turns_the_line_around, subtracts_the_line_where_the_loss_is_highest,
           takes_the_mean_rise, sums_the_rises, takes_absolute_values, takes_the_lowest_place,
           looks_in_the_middle_only, leaves_the_ends_out, never_arrives, takes_one_point_too_many,
           takes_11_points_always, moves_only_the_first_tensor, stops_on_the_first_hill, returns_where_the_hill_is,
           divides_by_the_line),
    also_right=(with_both_ends_first, with_two_lines, from_the_other_end),
    hints=HINTS,
    reaches="bezier_barrier", probe=probe_barrier, tolerance=1e-4,
)  # fmt: skip

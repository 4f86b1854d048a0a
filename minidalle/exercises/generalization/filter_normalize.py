"""Exercise: a direction whose rows are as long as the weights' rows."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.landscape import probe_filter_normalize
from minidalle.generalization.landscape import filter_normalize
from minidalle.runtime import generator

Tensors = Sequence[Tensor]


def cases(seed: int) -> list[Case]:
    """A row; two; a row of zeros on either side; a bias and a single weight; convolutions; a whole small network in
    float64."""
    chance = generator(seed, "generalization.filter_normalize")

    def drawn(*shape: int) -> Tensor:
        """Numbers that can be read, from ±0.5 to ±3."""
        sizes = torch.randint(5, 31, shape, generator=chance) / 10
        return sizes * (2 * torch.randint(2, shape, generator=chance) - 1)

    def case(*shapes: tuple[int, ...]) -> dict[str, Any]:
        """The weights' rows are 1, 2, 3, … times as long, so that no two lengths are alike by chance."""
        params = [drawn(*shape) for shape in shapes]
        for weights in params:
            if weights.dim() > 1:
                weights.mul_(torch.arange(1, len(weights) + 1).view(-1, *[1] * (weights.dim() - 1)))
        return {"direction": [drawn(*shape) for shape in shapes], "params": params}

    still, dead, double = case((3, 2)), case((3, 2), (3,)), case((4, 3), (4,), (2, 4), (2,))
    still["direction"][0][1] = 0.0
    dead["params"][0][1] = 0.0
    return [
        case((1, 2)),
        case((2, 2)),
        case((2, 3), (2,), ()),
        still,
        dead,
        case((2, 2, 2, 2), (2,)),
        case((3, 2, 2), (2, 3)),
        {name: [tensor.double() for tensor in tensors] for name, tensors in double.items()},
    ]


def _length(tensor: Tensor, *dims: int) -> Tensor:
    """Along some dimensions, or of all numbers; with as many dimensions as before."""
    return torch.linalg.vector_norm(tensor, dim=dims or None, keepdim=True)


def _rows(tensor: Tensor) -> Tensor:
    return _length(tensor, *range(1, tensor.dim()))


def _each(direction: Tensors, params: Tensors, change: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Another change of the tensors with rows; the others stay where they are."""
    pairs = zip(direction, params, strict=True)
    return [change(step, weights) if step.dim() > 1 else torch.zeros_like(step) for step, weights in pairs]


def _scaled(step: Tensor, wanted: Tensor, length: Tensor) -> Tensor:
    """Zeros where there is no length."""
    return step * torch.where(length > 0, wanted / length, 0.0)


def _row_by_row(step: Tensor, weights: Tensor) -> Tensor:
    """What is right for a tensor with rows."""
    return _scaled(step, _rows(weights), _rows(step))


def _with_others(direction: Tensors, params: Tensors, change: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Another change of the tensors without rows."""
    pairs = zip(direction, params, strict=True)
    return [_row_by_row(step, weights) if step.dim() > 1 else change(step, weights) for step, weights in pairs]


def takes_a_tensor_as_a_whole(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Each row has a length of its own. You take one of the whole tensor, so that small rows move too far."""
    return _each(direction, params, lambda step, weights: _scaled(step, _length(weights), _length(step)))


def takes_all_tensors_together(direction: Tensors, params: Tensors) -> list[Tensor]:
    """There is no length of the whole model here: go tensor by tensor, and row by row."""
    moved, kept = ([*map(torch.flatten, _each(one, one, lambda step, _: step))] for one in (direction, params))
    lengths = _length(torch.cat(kept)), _length(torch.cat(moved))
    return _each(direction, params, lambda step, _: _scaled(step, *lengths))


def takes_columns_for_rows(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A row is `w[i]`, and i is the first dimension. Sum the squares over the others."""
    return _each(direction, params, lambda step, weights: _scaled(step, _length(weights, 0), _length(step, 0)))


def sums_along_the_second_dimension_only(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A convolution's `w[i]` has three dimensions, and all of its numbers are one row: sum over dim 1, 2 and 3."""
    return _each(direction, params, lambda step, weights: _scaled(step, _length(weights, 1), _length(step, 1)))


def sums_along_the_last_dimension_only(direction: Tensors, params: Tensors) -> list[Tensor]:
    """The last dimension is a row in a matrix, but only a piece of one in a convolution: sum over all but the first."""
    return _each(direction, params, lambda step, weights: _scaled(step, _length(weights, -1), _length(step, -1)))


def scales_each_number_alone(direction: Tensors, params: Tensors) -> list[Tensor]:
    """With |w| / |d| for each number, only signs are left of the direction. One number scales a whole row."""
    return _each(direction, params, lambda step, weights: step.sign() * weights.abs())


def moves_biases_by_their_length(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A bias has no rows of its own: what has fewer than two dimensions is not moved at all."""
    return _with_others(direction, params, lambda step, weights: _scaled(step, _length(weights), _length(step)))


def moves_biases_but_no_single_numbers(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A bias has no rows either: what has fewer than two dimensions becomes zeros, `dim() < 2`."""
    others = lambda step, weights: _scaled(step, _length(weights), _length(step)) if step.dim() else 0 * step  # noqa: E731
    return _with_others(direction, params, others)


def takes_each_bias_for_a_row(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A row of one number would move each bias by all that it is. Biases and norms stay where they are: zeros."""
    return _with_others(direction, params, lambda step, weights: step.sign() * weights.abs())


def leaves_biases_as_they_are_drawn(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Where a tensor has fewer than two dimensions, the direction becomes zero: it does not stay what was drawn."""
    return _with_others(direction, params, lambda step, weights: step.clone())


def moves_single_numbers(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A tensor without dimensions is no row either. Only what has two or more moves: ask for `dim() < 2`."""
    return _with_others(direction, params, lambda step, weights: step.clone() if step.dim() < 1 else 0 * step)


def drops_the_biases(direction: Tensors, params: Tensors) -> list[Tensor]:
    """The result has a tensor for each parameter. What is not moved is there, too, as zeros."""
    pairs = zip(direction, params, strict=True)
    return [_row_by_row(step, weights) for step, weights in pairs if step.dim() > 1]


def turns_the_ratio_around(direction: Tensors, params: Tensors) -> list[Tensor]:
    """You make small weights move far. Multiply by the weights' length, and divide by the direction's."""
    return _each(direction, params, lambda step, weights: step * _rows(step) / _rows(weights).clamp(min=1e-12))


def makes_rows_as_long_as_1(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Length 1 is only the first half: a row is to be as long as the weights' row, so multiply by that."""
    return _each(direction, params, lambda step, weights: _scaled(step, torch.ones(()).to(step), _rows(step)))


def forgets_to_divide(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A row of the direction has a length already: divide by it before it gets the weights'."""
    return _each(direction, params, lambda step, weights: step * _rows(weights))


def swaps_direction_and_weights(direction: Tensors, params: Tensors) -> list[Tensor]:
    """You return the weights, as long as the direction. It is the direction that gets another length."""
    return _each(params, direction, _row_by_row)


def takes_squared_lengths(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A length is the root of the sum of squares. Without the root, long rows get too long."""
    return _each(direction, params, lambda step, weights: _scaled(step, _rows(weights) ** 2, _rows(step) ** 2))


def sums_absolute_values(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A length is the root of the sum of squares, as in a right triangle, and no sum of absolute values."""

    def change(step: Tensor, weights: Tensor) -> Tensor:
        dims = tuple(range(1, step.dim()))
        return _scaled(step, weights.abs().sum(dims, keepdim=True), step.abs().sum(dims, keepdim=True))

    return _each(direction, params, change)


def takes_the_largest_number_for_the_length(direction: Tensors, params: Tensors) -> list[Tensor]:
    """All numbers of a row count, not only the largest: take the root of the sum of squares."""

    def change(step: Tensor, weights: Tensor) -> Tensor:
        dims = tuple(range(1, step.dim()))
        return _scaled(step, weights.abs().amax(dims, keepdim=True), step.abs().amax(dims, keepdim=True))

    return _each(direction, params, change)


def divides_zero_by_zero(direction: Tensors, params: Tensors) -> list[Tensor]:
    """A row of the direction that is zero has no length, and 0 / 0 is no number. It stays zero: look before you divide,
    or add a tiny number below."""
    return _each(direction, params, lambda step, weights: step * (_rows(weights) / _rows(step)))


def moves_rows_whose_weights_are_zero(direction: Tensors, params: Tensors) -> list[Tensor]:
    """If the weights of a row are zero, its direction is as long as they are: zero. You leave it as it was drawn."""

    def change(step: Tensor, weights: Tensor) -> Tensor:
        return torch.where(_rows(weights) > 0, _row_by_row(step, weights), step)

    return _each(direction, params, change)


def returns_where_it_leads(direction: Tensors, params: Tensors) -> list[Tensor]:
    """You return the weights after the step. The direction alone is wanted: whoever plots adds it, many times."""
    steps = _each(direction, params, _row_by_row)
    return [weights + step for weights, step in zip(params, steps, strict=True)]


def with_a_loop_over_rows(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Right: one row after the other."""
    found = [torch.zeros_like(step) for step in direction]
    for new, step, weights in zip(found, direction, params, strict=True):
        if new.dim() >= 2:
            for i in range(len(new)):
                if step[i].any():
                    new[i] = step[i] / step[i].norm() * weights[i].norm()
    return found


def with_normalize(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Right: PyTorch's rows of length 1, as long as the weights'."""
    found = []
    for step, weights in zip(direction, params, strict=True):
        if step.ndim in (0, 1):
            found.append(step * 0)
            continue
        unit = F.normalize(step.reshape(step.shape[0], -1), dim=1)
        found.append((unit * weights.reshape(unit.shape).norm(dim=1)[:, None]).reshape(step.shape))
    return found


def with_a_tiny_number(direction: Tensors, params: Tensors) -> list[Tensor]:
    """Right: squares, summed over what is left of a row, and 10⁻²⁰ below so that nothing is divided by zero."""
    found = [torch.zeros_like(step) for step in direction]
    for new, step, weights in zip(found, direction, params, strict=True):
        if new.dim() > 1:
            squares = [tensor.flatten(1).square().sum(1) for tensor in (weights, step)]
            scale = (squares[0] / (squares[1] + 1e-20)).sqrt()
            new += torch.einsum("i...,i->i...", step, scale)
    return found


HINTS = (
    "Two lengths belong to each row, that of the weights and that of the direction. Keep where the row points, and "
    "give it the weights' length. Then think of what has no rows, and of what has no length.",
    "d[i] ← d[i] · ‖w[i]‖ / ‖d[i]‖; `row_lengths(tensor)` gives all of a tensor's ‖tensor[i]‖, in a shape that the "
    "tensor can be multiplied by. Where ‖d[i]‖ is 0 the scale is 0: `torch.where(length > 0, …, 0.0)`.",
    """\
def filter_normalize(direction, params):
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if ...:  # no rows
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, ..., 0.0))
    return normalized
""",
)

EXERCISE = Exercise(
    id="generalization.filter_normalize",
    points=2, minutes=10, stars=2,
    reference=filter_normalize, cases=cases,
    wrong=(moves_biases_but_no_single_numbers, takes_a_tensor_as_a_whole, takes_all_tensors_together,
           takes_columns_for_rows, sums_along_the_second_dimension_only, sums_along_the_last_dimension_only,
           scales_each_number_alone, moves_biases_by_their_length, takes_each_bias_for_a_row,
           leaves_biases_as_they_are_drawn, moves_single_numbers, drops_the_biases, turns_the_ratio_around,
           makes_rows_as_long_as_1, forgets_to_divide, swaps_direction_and_weights, takes_squared_lengths,
           sums_absolute_values, takes_the_largest_number_for_the_length, divides_zero_by_zero,
           moves_rows_whose_weights_are_zero, returns_where_it_leads),
    also_right=(with_a_loop_over_rows, with_normalize, with_a_tiny_number),
    hints=HINTS,
    reaches="random_plane", probe=probe_filter_normalize, tolerance=1e-4,
)  # fmt: skip

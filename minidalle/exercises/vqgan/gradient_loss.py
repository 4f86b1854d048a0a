"""Exercise: how far edges are from where they should be."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_losses import probe_gradient_loss
from minidalle.runtime import generator
from minidalle.vqgan.losses import gradient_loss


def cases(seed: int) -> list[Case]:
    """Four pixels against black ones; then one to four scales, unequal sides, odd ones at two scales, a batch."""
    chance = generator(seed, "vqgan.gradient_loss")

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=chance)

    def case(scales: int, *shape: int, black: bool = False) -> Case:
        """Pictures and targets, whose edges differ everywhere: where they do not, the absolute value has a corner."""
        while True:
            pictures, targets = drawn(*shape), torch.zeros(shape) if black else drawn(*shape)
            if min(float(edge.abs().min()) for edge in _edges(pictures - targets, scales)) > 1e-5:
                return {"pictures": pictures, "targets": targets, "scales": scales}

    return [
        case(1, 1, 3, 2, 2, black=True),
        case(1, 1, 3, 2, 3),
        case(1, 1, 3, 5, 4),
        case(2, 2, 3, 5, 7),
        case(3, 1, 3, 8, 8),
        case(3, 2, 3, 16, 8),
        case(4, 1, 3, 16, 16),
    ]


def _edges(error: Tensor, scales: int) -> list[Tensor]:
    pictures = _pyramid(error, scales)
    return [picture.diff(dim=dim) for picture in pictures for dim in (2, 3)]


def _pyramid(picture: Tensor, scales: int) -> list[Tensor]:
    return [F.avg_pool2d(picture, 2**scale) for scale in range(scales)]


def _size(edge: Tensor) -> Tensor:
    return edge.abs().mean()


def _loss(errors: list[Tensor]) -> Tensor:
    return torch.stack([_size(error.diff(dim=2)) + _size(error.diff(dim=3)) for error in errors]).mean()


def _mean_over_scales(errors: list[Tensor], scales: int) -> Tensor:
    """Of edges that there are: a picture of one pixel has none."""
    edges = [error.diff(dim=dim) for error in errors for dim in (2, 3)]
    return torch.stack([_size(edge) if edge.numel() else edge.sum() for edge in edges]).sum() / scales


def sees_only_edges_across(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Differences between rows count too: a step from a row to the next is `.diff(dim=2)`."""
    errors = _pyramid(pictures - targets, scales)
    return torch.stack([_size(error.diff(dim=3)) for error in errors]).mean()


def sees_only_edges_down(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Differences between columns count too: a step from a column to the next is `.diff(dim=3)`."""
    errors = _pyramid(pictures - targets, scales)
    return torch.stack([_size(error.diff(dim=2)) for error in errors]).mean()


def averages_both_directions(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """At each scale, the mean across and the mean down are added. You have half of that."""
    return _loss(_pyramid(pictures - targets, scales)) / 2


def looks_at_one_scale_only(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Halve the pictures scales − 1 times, and measure the edges each time: coarse edges count too."""
    return _loss([pictures - targets])


def looks_only_at_the_coarsest_scale(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Every scale counts, not only the last one: measure the edges before each halving, and add them up."""
    return _loss(_pyramid(pictures - targets, scales)[-1:])


def adds_the_scales_up(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """The loss is the mean over scales: divide the sum by their number."""
    return _loss(_pyramid(pictures - targets, scales)) * scales


def begins_at_half_the_size(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """The first scale is the pictures as they are: halve them after their edges were measured, not before."""
    return _loss([F.avg_pool2d(pictures - targets, 2 ** (scale + 1)) for scale in range(scales)])


def halves_before_the_first_scale(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """The first scale is the pictures as they are: halve them only for the second one."""
    return _mean_over_scales(_pyramid(pictures - targets, scales + 1)[1:], scales)


def leaves_the_last_scale_out(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """There are `scales` scales, the pictures as they are included: `range(scales)`, not `range(1, scales)`."""
    errors = _pyramid(pictures - targets, scales)
    return _mean_over_scales([*errors[:-1], 0 * errors[0]], scales)


def doubles_the_number_of_the_scale(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Blocks are 1, 2, 4, 8 pixels wide, twice as wide at each scale: `2 ** scale`, not `2 * scale`."""
    error = pictures - targets
    return _loss([F.avg_pool2d(error, max(1, 2 * scale)) for scale in range(scales)])


def always_takes_three_scales(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """How many scales there are is the argument `scales`; 3 is only what it is if nobody says otherwise."""
    return _loss(_pyramid(pictures - targets, 3))


def halves_only_once(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Each scale is made from the scale before it, so the third is a quarter as wide: keep what you halved."""
    error = pictures - targets
    return _loss([F.avg_pool2d(error, 2) if scale else error for scale in range(scales)])


def takes_every_second_pixel(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """A coarser scale has the means of blocks of 2 × 2 pixels, `F.avg_pool2d`, so that all of them count."""
    return _loss([(pictures - targets)[:, :, :: 2**scale, :: 2**scale] for scale in range(scales)])


def takes_the_largest_of_each_block(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """A coarser scale has the mean of each block of 2 × 2 pixels, not the maximum: `F.avg_pool2d`."""
    return _loss([F.max_pool2d(pictures - targets, 2**scale) for scale in range(scales)])


def takes_the_brightest_of_each_block(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """A coarser scale has the mean of each block of 2 × 2 pixels, not the maximum: `F.avg_pool2d`."""
    brightest = [F.max_pool2d(torch.cat([pictures, targets], dim=1), 2**scale) for scale in range(scales)]
    return _loss([one[:, : one.shape[1] // 2] - one[:, one.shape[1] // 2 :] for one in brightest])


def compares_pixels_and_not_edges(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """That is the error of the pixels. An edge is the difference of two neighbors: `.diff(dim=2)`, `.diff(dim=3)`."""
    return torch.stack([_size(error) for error in _pyramid(pictures - targets, scales)]).mean()


def takes_edges_of_the_absolute_error(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """The absolute value comes after the edges. Taken before, it hides every edge between too dark and too bright."""
    return _loss(_pyramid((pictures - targets).abs(), scales))


def ignores_which_side_is_brighter(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """An edge from dark to bright is not one from bright to dark: subtract the edges first, then take the size."""
    edges = zip(_edges(pictures, scales), _edges(targets, scales), strict=True)
    return torch.stack([_size(one.abs() - other.abs()) for one, other in edges]).sum() / scales


def compares_how_much_edge_there_is(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Compare edge with edge, each at its place: two pictures can have as much edge in all and nothing in common."""
    edges = zip(_edges(pictures, scales), _edges(targets, scales), strict=True)
    return torch.stack([(_size(one) - _size(other)).abs() for one, other in edges]).sum() / scales


def averages_before_the_absolute_value(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """First the absolute value of every edge's error, then the mean: else errors up and errors down cancel."""
    return torch.stack([edge.mean().abs() for edge in _edges(pictures - targets, scales)]).sum() / scales


def forgets_the_absolute_value(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Take the absolute value of each edge's error before the mean: else errors up and errors down cancel."""
    return torch.stack([edge.mean() for edge in _edges(pictures - targets, scales)]).sum() / scales


def takes_channels_for_rows(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """The pictures are [B, 3, H, W], so rows are dim 2 and columns dim 3. Dim 1 is red, green and blue."""
    errors = _pyramid(pictures - targets, scales)
    return torch.stack([_size(error.diff(dim=1)) + _size(error.diff(dim=2)) for error in errors]).mean()


def squares_the_edges(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Take absolute values. Squaring makes small errors count for almost nothing."""
    return torch.stack([edge.square().mean() for edge in _edges(pictures - targets, scales)]).sum() / scales


def adds_the_edges_up(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Take the mean over the edges, not the sum: else large pictures and large batches weigh more."""
    return torch.stack([edge.abs().sum() for edge in _edges(pictures - targets, scales)]).sum() / scales


def compares_pixels_two_apart(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """`torch.gradient` compares the neighbors on both sides of a pixel. An edge is between two neighbors: `diff`."""
    errors = _pyramid(pictures - targets, scales)
    return torch.stack([_size(edge) for error in errors for edge in torch.gradient(error, dim=(2, 3))]).sum() / scales


def wraps_around(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """`roll` makes the first column the neighbor of the last one, and there is no edge: `diff` has one column less."""
    errors = _pyramid(pictures - targets, scales)
    return torch.stack([_size(error.roll(-1, dim) - error) for error in errors for dim in (2, 3)]).sum() / scales


def loses_the_gradient(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """`.item()` takes a number out of the graph, and a loss without a graph trains nothing. Add the tensors."""
    total = sum(_size(edge).item() for edge in _edges(pictures - targets, scales))
    return torch.tensor(total / scales, dtype=pictures.dtype)


def halves_both_pictures(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Right: the edges of each, at each scale, are compared."""
    total = torch.zeros((), device=pictures.device)
    for _ in range(scales):
        for dim in (2, 3):
            total = total + F.l1_loss(pictures.diff(dim=dim), targets.diff(dim=dim))
        if min(pictures.shape[2:]) > 1:
            pictures, targets = F.avg_pool2d(pictures, 2), F.avg_pool2d(targets, 2)
    return total / scales


def with_slices(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Right: neighbors by slices, blocks by a shape; a last row or column that fills no block falls away."""
    error, losses = pictures - targets, []
    for _ in range(scales):
        across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
        losses.append(across.abs().mean() + down.abs().mean())
        rows, columns = error.shape[2] // 2, error.shape[3] // 2
        blocks = error[:, :, : 2 * rows, : 2 * columns].reshape(*error.shape[:2], rows, 2, columns, 2)
        error = blocks.mean(dim=(3, 5))
    return torch.stack(losses).mean()


def calls_itself(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """Right: this scale, and then the same for all coarser ones."""

    def summed(error: Tensor, left: int) -> Tensor:
        edges = [(error.roll(-1, dim) - error).narrow(dim, 0, error.shape[dim] - 1) for dim in (2, 3)]
        here = edges[0].abs().mean() + edges[1].abs().mean()
        return here + summed(F.avg_pool2d(error, 2), left - 1) if left > 1 else here

    return summed(pictures - targets, scales) / scales


HINTS = (
    "The edges of a difference are the difference of the edges: subtract the pictures once, then measure how far "
    "neighbors are apart, halve the picture, and measure again.",
    "At each scale add `error.diff(dim=2).abs().mean()`, the edges down, and the same with `dim=3`, those across; "
    "`F.avg_pool2d(error, 2)` is the next scale, and at the end the sum is divided by `scales`.",
    """\
def gradient_loss(pictures, targets, scales=3):
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:  # all but the first
            error = ...
        total = total + ...
    return ...
""",
)

EXERCISE = Exercise(
    id="vqgan.gradient_loss",
    points=4,
    minutes=20,
    stars=2,
    reference=gradient_loss,
    cases=cases,
    wrong=(
        sees_only_edges_across,
        sees_only_edges_down,
        averages_both_directions,
        looks_at_one_scale_only,
        looks_only_at_the_coarsest_scale,
        adds_the_scales_up,
        begins_at_half_the_size,
        halves_before_the_first_scale,
        leaves_the_last_scale_out,
        doubles_the_number_of_the_scale,
        always_takes_three_scales,
        halves_only_once,
        takes_every_second_pixel,
        takes_the_largest_of_each_block,
        takes_the_brightest_of_each_block,
        compares_pixels_and_not_edges,
        takes_edges_of_the_absolute_error,
        ignores_which_side_is_brighter,
        compares_how_much_edge_there_is,
        averages_before_the_absolute_value,
        forgets_the_absolute_value,
        takes_channels_for_rows,
        squares_the_edges,
        adds_the_edges_up,
        compares_pixels_two_apart,
        wraps_around,
        loses_the_gradient,
    ),
    also_right=(halves_both_pictures, with_slices, calls_itself),
    hints=HINTS,
    reaches="reconstruction_loss",
    probe=probe_gradient_loss,
    tolerance=1e-4,
)

"""Exercise: the value of the code, the gradient of the latent."""

from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_straight_through
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import straight_through

SHAPES = ((1,), (3,), (2, 2), (1, 4, 3), (2, 3, 5))


def cases(seed: int) -> list[Case]:
    """From one number to a batch of pictures, and numbers of float64; `slope` is the gradient that comes back."""
    chance = generator(seed, "vqgan.straight_through")
    drawn = [
        {"latents": _halves(shape, chance), "quantized": _halves(shape, chance) + 8, "slope": _halves(shape, chance)}
        for shape in SHAPES
    ]
    return [*drawn, {name: tensor.double() for name, tensor in drawn[2].items()}]


def _halves(shape: tuple[int, ...], chance: torch.Generator) -> Tensor:
    """Numbers from 1/2 to 3 1/2, of which every sum is exact."""
    return torch.randint(1, 8, shape, generator=chance) / 2


def sends_the_gradient_to_the_codes(latents: Tensor, quantized: Tensor) -> Tensor:
    """The latents get none: latents + (quantized − latents) is `quantized`, for the gradient, too. Detach the
    difference."""
    return latents + (quantized - latents)


def lets_no_gradient_through(latents: Tensor, quantized: Tensor) -> Tensor:
    """No gradient reaches the latents. Either all is detached, or +latents and −latents cancel, so that their gradient
    is 0: detach the whole difference, and not the `latents` that it is added to."""
    return (latents + (quantized - latents)).detach()


def sends_the_gradient_to_both(latents: Tensor, quantized: Tensor) -> Tensor:
    """The codes get a gradient, too: `quantized` must be detached as well."""
    return latents + (quantized - latents.detach())


def sends_the_latents_the_gradient_with_a_minus(latents: Tensor, quantized: Tensor) -> Tensor:
    """The gradient of the latents has the wrong sign: detach the difference, not the latents that it is added to."""
    return latents.detach() + (quantized - latents)


def returns_the_latents(latents: Tensor, quantized: Tensor) -> Tensor:
    """The gradient is right, the value is not: it has to be that of `quantized`. Add the difference between the two."""
    return latents.clone()


def swaps_the_roles(latents: Tensor, quantized: Tensor) -> Tensor:
    """The value is that of `quantized`, the gradient goes to `latents`. You have both the other way round."""
    return quantized + (latents - quantized).detach()


def turns_the_difference_around(latents: Tensor, quantized: Tensor) -> Tensor:
    """From latents to codes it is quantized − latents; you go as far the other way."""
    return latents + (latents - quantized).detach()


def adds_the_codes_to_the_latents(latents: Tensor, quantized: Tensor) -> Tensor:
    """The gradient is right, the value too large by the latents: add only the difference to them."""
    return latents + quantized.detach()


def goes_only_half_way(latents: Tensor, quantized: Tensor) -> Tensor:
    """The gradient is right, the value lies between the two: add the whole difference to the latents."""
    return latents + 0.5 * (quantized - latents).detach()


def averages_the_two(latents: Tensor, quantized: Tensor) -> Tensor:
    """There is nothing to share: all of the value is that of `quantized`, all of the gradient goes to `latents`."""
    return (latents + quantized) / 2


def writes_the_codes_over_the_latents(latents: Tensor, quantized: Tensor) -> Tensor:
    """The latents are still needed for the commitment loss: make a new tensor, and leave `.data` alone."""
    latents.data = quantized.data.clone()
    return latents


def adds_a_zero_with_a_gradient(latents: Tensor, quantized: Tensor) -> Tensor:
    """Right: latents minus their own values are 0, and carry the gradient."""
    return quantized.detach() + (latents - latents.detach())


def takes_the_difference_without_a_graph(latents: Tensor, quantized: Tensor) -> Tensor:
    """Right: under no_grad, the difference is a constant."""
    with torch.no_grad():
        step = quantized - latents
    return latents + step


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latents: Tensor, quantized: Tensor) -> Tensor:
        return quantized.clone()

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope, None


def writes_its_own_way_back(latents: Tensor, quantized: Tensor) -> Tensor:
    """Right: a function of autograd that says where the gradient goes."""
    return _Straight.apply(latents, quantized)


HINTS = (
    "Start from the latents, which have the gradient you want. Add what is missing to make the value right, as a "
    "constant: a number that no gradient goes through.",
    "latents + sg(quantized − latents), where sg, the stop-gradient, has the value of what is in it and the gradient "
    "0. In PyTorch sg(x) is `x.detach()`.",
    """\
def straight_through(latents, quantized):
    step = ...  # from the latents to the codes
    return latents + ...  # the step as a constant
""",
)

EXERCISE = Exercise(
    id="vqgan.straight_through",
    points=2,
    minutes=10,
    stars=2,
    reference=straight_through,
    cases=cases,
    wrong=(
        sends_the_gradient_to_the_codes,
        lets_no_gradient_through,
        sends_the_gradient_to_both,
        sends_the_latents_the_gradient_with_a_minus,
        returns_the_latents,
        swaps_the_roles,
        turns_the_difference_around,
        adds_the_codes_to_the_latents,
        goes_only_half_way,
        averages_the_two,
        writes_the_codes_over_the_latents,
    ),
    also_right=(adds_a_zero_with_a_gradient, takes_the_difference_without_a_graph, writes_its_own_way_back),
    hints=HINTS,
    reaches="VQGANStage.step",
    probe=probe_straight_through,
    tolerance=1e-4,
)

"""Exercise: classifier-free guidance."""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_guide
from minidalle.runtime import generator
from minidalle.sampling import guide


def cases(seed: int) -> list[Case]:
    """Beyond the caption; without it; with it; halfway; far beyond, away from it, and in a batch."""
    chance = generator(seed, "generation.guide")

    def case(scale: float, *shape: int) -> Case:
        """Halves from 1 to 5, with and without a minus; the two differ everywhere."""
        unconditional = (torch.randint(2, 11, shape, generator=chance) / 2) * _signs(shape)
        step = (torch.randint(1, 6, shape, generator=chance) / 2) * _signs(shape)
        return {"conditional": unconditional + step, "unconditional": unconditional, "scale": scale}

    def _signs(shape: tuple[int, ...]) -> Tensor:
        return 1 - 2 * torch.randint(2, shape, generator=chance)

    return [
        case(3.0, 2),
        case(0.0, 3),
        case(1.0, 3),
        case(0.5, 2),
        case(float(torch.randint(4, 17, (), generator=chance)), 2, 4),
        case(-1.0, 3),
        case(1.25, 2, 2, 3),
    ]


def starts_with_the_caption(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """At scale 1 the result should be the conditional logits: start from the others. w in the paper is scale − 1."""
    return conditional + scale * (conditional - unconditional)


def goes_away_from_the_caption(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """From the unconditional logits to the conditional ones it is c − u, not u − c."""
    return unconditional + scale * (unconditional - conditional)


def swaps_the_two(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Scale 0 is without the caption, scale 1 is with it. Yours are the other way around."""
    return conditional + scale * (unconditional - conditional)


def returns_only_the_way(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """scale · (c − u) is how far to go; add it to where you start."""
    return scale * (conditional - unconditional)


def scales_only_the_conditional(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """The scale multiplies the whole difference c − u, not only c: brackets?"""
    return unconditional + scale * conditional - unconditional


def adds_the_scaled_conditional(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """At scale 1 the result should be c, and it is u + c. What is scaled is the difference of the two."""
    return unconditional + scale * conditional


def subtracts_the_scaled_unconditional(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """At scale 0 the result should be u. Start there, and add the scaled difference."""
    return conditional - scale * unconditional


def multiplies_after_adding(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Multiply the difference first, then add it to u: you have a pair of brackets too many."""
    return (unconditional + scale) * (conditional - unconditional)


def divides_by_the_scale(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """A larger scale goes further: multiply the difference by it."""
    return unconditional + (conditional - unconditional) / scale


def leaves_the_scale_out(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """How far to go is what `scale` says, and it is always once here."""
    return conditional.clone()


def never_goes_beyond(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """A scale above 1, or below 0, is meant as it is said: do not limit it. To go beyond is what guidance is for."""
    return torch.lerp(unconditional, conditional, min(max(scale, 0.0), 1.0))


def guides_only_above_1(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """The formula holds for every scale: 1 gives the conditional logits by itself, and 0.5 is halfway to them."""
    return unconditional + max(scale, 1.0) * (conditional - unconditional)


def averages_the_two(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Where u and scale · c are averaged, scale 1 is halfway. Go from u by scale times the difference."""
    return (unconditional + scale * conditional) / 2


def guides_probabilities(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Probabilities that go beyond get negative. Guidance is for logits, and softmax comes later."""
    conditional, unconditional = conditional.softmax(-1), unconditional.softmax(-1)
    return unconditional + scale * (conditional - unconditional)


def returns_probabilities(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """What comes after takes logits: leave the softmax to it."""
    return (unconditional + scale * (conditional - unconditional)).softmax(-1)


def normalizes_the_logits_first(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """It would draw the same, but it is not needed: a number that is added to all logits changes no probability."""
    conditional, unconditional = conditional.log_softmax(-1), unconditional.log_softmax(-1)
    return unconditional + scale * (conditional - unconditional)


def changes_the_logits_it_was_given(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """`+=`, `-=` and `lerp_` write into the tensor of whoever called you: make a new one."""
    unconditional += scale * (conditional - unconditional)
    return unconditional


def weighs_the_two(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Right: scale parts of the one, 1 − scale parts of the other."""
    return scale * conditional + (1 - scale) * unconditional


def as_the_paper_has_it(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Right: (1 + w) c − w u."""
    w = scale - 1
    return (1 + w) * conditional - w * unconditional


def by_linear_interpolation(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Right: torch's `lerp` goes beyond, too."""
    return torch.lerp(unconditional, conditional, scale)


HINTS = (
    "Think of a walk: where does it start, in which direction does it go, and how far? At scale 0 you stand at the "
    "start, at scale 1 you have arrived at what the caption wants.",
    "The start is u, the logits without a caption. The way to those with one is c − u. Go it `scale` times: "
    "u + scale · (c − u).",
    """\
def guide(conditional, unconditional, scale):
    way = ... - ...
    return unconditional + ...
""",
)

EXERCISE = Exercise(
    id="generation.guide",
    points=1,
    minutes=5,
    stars=1,
    reference=guide,
    cases=cases,
    wrong=(
        starts_with_the_caption,
        goes_away_from_the_caption,
        swaps_the_two,
        returns_only_the_way,
        scales_only_the_conditional,
        adds_the_scaled_conditional,
        subtracts_the_scaled_unconditional,
        multiplies_after_adding,
        divides_by_the_scale,
        leaves_the_scale_out,
        never_goes_beyond,
        guides_only_above_1,
        averages_the_two,
        guides_probabilities,
        returns_probabilities,
        normalizes_the_logits_first,
        changes_the_logits_it_was_given,
    ),
    also_right=(weighs_the_two, as_the_paper_has_it, by_linear_interpolation),
    hints=HINTS,
    reaches="TextToImage.draw",
    forbid=("transformers",),
    probe=probe_guide,
    tolerance=1e-4,
)

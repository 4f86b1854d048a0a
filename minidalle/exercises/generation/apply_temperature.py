"""Exercise: sharpen or flatten what softmax makes of logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_apply_temperature
from minidalle.runtime import generator
from minidalle.sampling import apply_temperature


def cases(seed: int) -> list[Case]:
    """Flatter and sharper; 0, without and with a tie; rows; 1; a token that is ruled out; a batch of rows at 0."""
    chance = generator(seed, "generation.apply_temperature")

    def drawn(*shape: int) -> Tensor:
        """Whole numbers from −4 to 9, those of a row all different."""
        count = torch.Size(shape[:-1]).numel()
        rows = [torch.randperm(14, generator=chance)[: shape[-1]] - 4.0 for _ in range(count)]
        return torch.stack(rows).reshape(shape)

    def number(low: int, high: int, parts: int) -> float:
        return float(torch.randint(low, high, (), generator=chance)) / parts

    top = number(5, 9, 1)
    tie = torch.tensor([0.0, top, 1.0, top, -2.0])
    ruled_out = drawn(2, 4)
    ruled_out[:, 1] = -torch.inf
    below_0 = -drawn(2, 3).abs() - 1
    below_0[1, 2] = -torch.inf
    return [
        {"logits": drawn(3), "temperature": number(6, 13, 4)},
        {"logits": drawn(3), "temperature": number(2, 7, 10)},
        {"logits": drawn(3), "temperature": 0.0},
        {"logits": tie, "temperature": 0.0},
        {"logits": drawn(2, 4), "temperature": number(3, 9, 10)},
        {"logits": drawn(2, 3), "temperature": 1.0},
        {"logits": ruled_out, "temperature": number(6, 13, 4)},
        {"logits": below_0, "temperature": 0.0},
        {"logits": drawn(2, 2, 5), "temperature": 0.0},
    ]


def _greedy(logits: Tensor) -> Tensor:
    """At temperature 0."""
    return torch.full_like(logits, -torch.inf).scatter(-1, logits.argmax(-1, keepdim=True), 0.0)


def multiplies_by_the_temperature(logits: Tensor, temperature: float) -> Tensor:
    """A low temperature makes differences larger: divide. You make them smaller."""
    return logits * temperature if temperature > 0 else _greedy(logits)


def divides_the_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Temperature acts before the softmax. Probabilities that are divided no longer add up to 1, and keep their
    ratios."""
    return logits.softmax(-1) / temperature if temperature > 0 else _greedy(logits)


def returns_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """What comes after takes logits: leave the softmax to it, and return what you would give to it."""
    return (logits / temperature if temperature > 0 else _greedy(logits)).softmax(-1)


def returns_log_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """These are good logits, but not the ones that were asked for: dividing is all there is to do."""
    return (logits / temperature if temperature > 0 else _greedy(logits)).log_softmax(-1)


def raises_probabilities_to_a_power(logits: Tensor, temperature: float) -> Tensor:
    """The power 1 / temperature is for probabilities, and its sum has to be made 1 again. For logits it is a
    division."""
    return logits.softmax(-1) ** (1 / temperature) if temperature > 0 else _greedy(logits)


def subtracts_the_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Taking the same number off all logits changes no probability. Divide."""
    return logits - temperature if temperature > 0 else _greedy(logits)


def takes_the_root_of_the_temperature(logits: Tensor, temperature: float) -> Tensor:
    """There is no root here: that belongs to attention, which divides by the root of a width."""
    return logits / temperature**0.5 if temperature > 0 else _greedy(logits)


def flattens_never(logits: Tensor, temperature: float) -> Tensor:
    """A temperature may be above 1, which makes unlikely tokens likelier: do not limit it."""
    return logits / min(temperature, 1) if temperature > 0 else _greedy(logits)


def takes_the_largest_below_1(logits: Tensor, temperature: float) -> Tensor:
    """Only at 0 does the largest logit get everything. Between 0 and 1, divide as you do above."""
    return logits / temperature if temperature >= 1 else _greedy(logits)


def divides_by_0(logits: Tensor, temperature: float) -> Tensor:
    """At temperature 0 this gives infinities, and nan for a logit of 0: give that case lines of its own."""
    return logits / temperature


def divides_by_a_tiny_number_at_0(logits: Tensor, temperature: float) -> Tensor:
    """Near 0 is not 0: equal logits still share the probability, and numbers get huge. Give 0 lines of its own."""
    return logits / max(temperature, 1e-8)


def changes_nothing_at_0(logits: Tensor, temperature: float) -> Tensor:
    """Temperature 0 is the sharpest there is, not "off": all probability to the largest logit."""
    return logits / temperature if temperature > 0 else logits


def keeps_all_that_are_largest(logits: Tensor, temperature: float) -> Tensor:
    """At temperature 0 a single token has all the probability: of equal logits the first one, as `argmax` says."""
    if temperature > 0:
        return logits / temperature
    return torch.full_like(logits, -torch.inf).masked_fill(logits == logits.amax(-1, keepdim=True), 0.0)


def takes_the_last_of_equals_at_0(logits: Tensor, temperature: float) -> Tensor:
    """Where several logits are largest, the first of them is to stay."""
    return logits / temperature if temperature > 0 else _greedy(logits.flip(-1)).flip(-1)


def keeps_the_value_of_the_largest_at_0(logits: Tensor, temperature: float) -> Tensor:
    """The right token stays, but what comes back for it is to be 0, whatever its logit was."""
    return logits / temperature if temperature > 0 else logits + _greedy(logits)


def returns_ones_and_zeros_at_0(logits: Tensor, temperature: float) -> Tensor:
    """These would be probabilities. As logits, 0 still has a chance beside 1: it takes −inf to have none."""
    return logits / temperature if temperature > 0 else _greedy(logits).exp()


def takes_the_largest_of_all_rows_at_0(logits: Tensor, temperature: float) -> Tensor:
    """Every row has a token of its own: give `argmax` the last dimension."""
    return logits / temperature if temperature > 0 else _greedy(logits.flatten()).view_as(logits)


def takes_the_largest_of_each_column_at_0(logits: Tensor, temperature: float) -> Tensor:
    """The tokens lie along the last dimension, and the first is the batch: `argmax(-1)`."""
    return logits / temperature if temperature > 0 else _greedy(logits.movedim(0, -1)).movedim(-1, 0)


def changes_the_logits_it_was_given(logits: Tensor, temperature: float) -> Tensor:
    """`/=` and `div_` write into the tensor of whoever called you: make a new one."""
    return logits.div_(temperature) if temperature > 0 else _greedy(logits)


def with_one_hot(logits: Tensor, temperature: float) -> Tensor:
    """Right: the logarithm of 1 is 0, that of 0 is −inf."""
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype).log()
    return logits * (1 / temperature)


def compares_places(logits: Tensor, temperature: float) -> Tensor:
    """Right: which place is that of the largest?"""
    if temperature:
        return torch.div(logits, temperature)
    places = torch.arange(logits.shape[-1], device=logits.device)
    is_best = places == logits.max(-1, keepdim=True).indices
    return torch.where(is_best, torch.zeros_like(logits), float("-inf"))


def row_by_row(logits: Tensor, temperature: float) -> Tensor:
    """Right: each row on its own, written into a tensor of −inf."""
    rows = logits.reshape(-1, logits.shape[-1])
    changed = torch.full_like(rows, -torch.inf)
    for n, row in enumerate(rows):
        if temperature == 0:
            changed[n, row.tolist().index(row.max())] = 0.0
        else:
            changed[n] = row / temperature
    return changed.reshape(logits.shape)


HINTS = (
    "Softmax looks only at the differences of logits. What must be done to all of them so that differences double when "
    "the temperature halves? And the case 0 needs lines of its own.",
    "Above 0 it is logits / temperature. At 0 it is a tensor of −inf, like the logits, with a single 0 in each row, at "
    "the place that `logits.argmax(-1, keepdim=True)` says.",
    """\
def apply_temperature(logits, temperature):
    if temperature > 0:
        return ...
    best = logits.argmax(-1, keepdim=True)  # [..., 1]
    nothing = torch.full_like(logits, ...)
    return nothing.scatter(-1, best, ...)
""",
)

EXERCISE = Exercise(
    id="generation.apply_temperature",
    points=2,
    minutes=10,
    stars=1,
    reference=apply_temperature,
    cases=cases,
    wrong=(
        multiplies_by_the_temperature,
        divides_the_probabilities,
        returns_probabilities,
        returns_log_probabilities,
        raises_probabilities_to_a_power,
        subtracts_the_temperature,
        takes_the_root_of_the_temperature,
        flattens_never,
        takes_the_largest_below_1,
        divides_by_0,
        divides_by_a_tiny_number_at_0,
        changes_nothing_at_0,
        keeps_all_that_are_largest,
        takes_the_last_of_equals_at_0,
        keeps_the_value_of_the_largest_at_0,
        returns_ones_and_zeros_at_0,
        takes_the_largest_of_all_rows_at_0,
        takes_the_largest_of_each_column_at_0,
        changes_the_logits_it_was_given,
    ),
    also_right=(with_one_hot, compares_places, row_by_row),
    hints=HINTS,
    reaches="TextToImage.draw",
    forbid=("transformers",),
    probe=probe_apply_temperature,
    tolerance=1e-4,
)

"""Exercise: no token may look at those that come after it."""

import torch
from torch import Tensor

from minidalle.bart.attention import causal_mask
from minidalle.exercises.exercise import Case, Exercise
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """Three positions, one, and six longer lengths, all different."""
    chance = generator(seed, "bart.causal_mask")
    lengths = torch.randperm(96, generator=chance)[:6] + 4
    return [{"length": length} for length in (3, 1, *lengths.sort().values.tolist())]


def _all(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool)


def looks_ahead(length: int, device: torch.device | None = None) -> Tensor:
    """Row i says where position i may look: at columns 0 to i. Yours looks at itself and *later* ones."""
    return _all(length).triu()


def may_not_look_at_itself(length: int, device: torch.device | None = None) -> Tensor:
    """A position may look at itself: its input is the token *before* the one to predict. Else row 0 sees nothing."""
    return _all(length).tril(-1)


def looks_at_later_ones_only(length: int, device: torch.device | None = None) -> Tensor:
    """True = may look. You marked what is *forbidden*: turn the mask around."""
    return _all(length).triu(1)


def looks_one_too_far(length: int, device: torch.device | None = None) -> Tensor:
    """Row i ends with column i. Yours has column i + 1, too: the very token that is to be predicted."""
    return _all(length).tril(1)


def looks_everywhere(length: int, device: torch.device | None = None) -> Tensor:
    """Then the decoder copies the answer that stands one place further on, and cannot draw without it."""
    return _all(length)


def looks_only_at_itself(length: int, device: torch.device | None = None) -> Tensor:
    """A position may look at all that came before, not only at itself."""
    return torch.eye(length, dtype=torch.bool)


def looks_only_one_back(length: int, device: torch.device | None = None) -> Tensor:
    """All earlier positions count, as far back as the first."""
    return _all(length).tril().triu(-1)


def looks_at_the_first_only(length: int, device: torch.device | None = None) -> Tensor:
    """Each position looks at the first one and at all others up to itself."""
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:, 0] = True
    return mask


def turns_the_rows_around(length: int, device: torch.device | None = None) -> Tensor:
    """Row 0 sees one position, the last row all of them. Yours begins with the last row."""
    return _all(length).tril().flip(0)


def turns_the_columns_around(length: int, device: torch.device | None = None) -> Tensor:
    """Row i is True at columns 0 to i, from the left. Yours counts from the right."""
    return _all(length).tril().flip(1)


def forgets_the_last_position(length: int, device: torch.device | None = None) -> Tensor:
    """The last position, too, may look at itself and all others: `range(length)` already ends before `length`."""
    mask = _all(length).tril()
    mask[-1] = False
    return mask


def forbids_nothing_and_allows_nothing(length: int, device: torch.device | None = None) -> Tensor:
    """Begin with `torch.ones`: of zeros, `tril` keeps only zeros."""
    return torch.zeros(length, length, dtype=torch.bool).tril()


def gives_numbers_to_add(length: int, device: torch.device | None = None) -> Tensor:
    """Here a mask is bool, True = may look; `attend` makes of it what it needs."""
    return torch.zeros(length, length).masked_fill(_all(length).triu(1), float("-inf"))


def compares_positions(length: int, device: torch.device | None = None) -> Tensor:
    """Right: is the column at most the row?"""
    place = torch.arange(length, device=device)
    return place <= place[:, None]


def fills_row_by_row(length: int, device: torch.device | None = None) -> Tensor:
    """Right: a loop."""
    mask = torch.zeros(length, length, dtype=torch.bool, device=device)
    for row in range(length):
        mask[row, : row + 1] = True
    return mask


def forbids_what_is_later(length: int, device: torch.device | None = None) -> Tensor:
    """Right: the opposite of what is above the diagonal."""
    return ~torch.ones(length, length, device=device).triu(diagonal=1).bool()


HINTS = (
    "Draw a table for three positions: a row for who looks, a column for who is looked at. Where may the first one "
    "look, where the last?",
    "Row i is True at columns 0 to i: the lower triangle of a square of ones, with its diagonal. `tril` keeps the "
    "lower triangle of a matrix; how much of it, its argument says.",
    """\
def causal_mask(length, device=None):
    everywhere = torch.ones(..., ..., dtype=torch.bool, device=device)
    return everywhere.tril(...)
""",
)

EXERCISE = Exercise(
    id="bart.causal_mask",
    points=1,
    minutes=5,
    stars=1,
    reference=causal_mask,
    cases=cases,
    wrong=(
        looks_ahead,
        may_not_look_at_itself,
        looks_at_later_ones_only,
        looks_one_too_far,
        looks_everywhere,
        looks_only_at_itself,
        looks_only_one_back,
        looks_at_the_first_only,
        turns_the_rows_around,
        turns_the_columns_around,
        forgets_the_last_position,
        forbids_nothing_and_allows_nothing,
        gives_numbers_to_add,
    ),
    also_right=(compares_positions, fills_row_by_row, forbids_what_is_later),
    hints=HINTS,
    reaches="Bart.forward",
)

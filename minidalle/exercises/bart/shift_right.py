"""Exercise: what the decoder sees when it predicts each token."""

import torch
from torch import Tensor

from minidalle.bart.sequences import shift_right
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart import probe_shift_right
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """Three tokens of one picture; then one token, two pictures, many, a start token in the middle of the ids.

    All tokens of a case differ, and no start token is 0, among the tokens, or the one after the largest.
    """
    chance = generator(seed, "bart.shift_right")

    def case(pictures: int, length: int, start: int) -> Case:
        count = pictures * length
        ids = torch.randperm(40 + count, generator=chance)[: count + 1] + 1
        others = ids[ids != start][:count]
        return {"tokens": others.view(pictures, length), "start": start}

    def beyond() -> int:
        return 200 + int(torch.randint(100, (), generator=chance))

    return [
        case(1, 3, beyond()),
        case(1, 1, beyond()),
        case(2, 2, beyond()),
        case(2, 4, int(torch.randint(5, 30, (), generator=chance))),
        case(3, 5, beyond()),
        case(4, 9, int(torch.randint(5, 30, (), generator=chance))),
    ]


def _start(tokens: Tensor, start: int) -> Tensor:
    return torch.full_like(tokens[:, :1], start)


def moves_to_the_left(tokens: Tensor, start: int) -> Tensor:
    """At each position stands the token *before* it. In yours stands the one after it: the answer itself."""
    return torch.cat([tokens[:, 1:], _start(tokens, start)], dim=1)


def puts_the_start_in_place_of_the_first(tokens: Tensor, start: int) -> Tensor:
    """The first token moves to the second position; it must not be lost. Only the last token goes."""
    return torch.cat([_start(tokens, start), tokens[:, 1:]], dim=1)


def puts_the_last_token_first(tokens: Tensor, start: int) -> Tensor:
    """`roll` brings the last token back to the front. The start token stands there."""
    return tokens.roll(1, dims=1)


def repeats_the_first_token(tokens: Tensor, start: int) -> Tensor:
    """Before the first token there is none: the start token takes its place."""
    return torch.cat([tokens[:, :1], tokens[:, :-1]], dim=1)


def starts_with_zero(tokens: Tensor, start: int) -> Tensor:
    """Id 0 is a code as any other. The token that stands before the first one is `start`."""
    return torch.cat([_start(tokens, 0), tokens[:, :-1]], dim=1)


def starts_after_the_largest(tokens: Tensor, start: int) -> Tensor:
    """The start token's id is given: `start`. The largest token of a batch says nothing about it."""
    return torch.cat([_start(tokens, int(tokens.max()) + 1), tokens[:, :-1]], dim=1)


def puts_the_start_at_the_end(tokens: Tensor, start: int) -> Tensor:
    """The start token comes first, before all others; no token goes to its place at the end."""
    return torch.cat([tokens[:, :-1], _start(tokens, start)], dim=1)


def moves_by_two(tokens: Tensor, start: int) -> Tensor:
    """One start token, one step to the right: at position n stands token n − 1."""
    moved = torch.full_like(tokens, start)
    moved[:, 2:] = tokens[:, :-2]
    return moved


def moves_nothing(tokens: Tensor, start: int) -> Tensor:
    """With the tokens as they are, each position sees the very token that it has to predict."""
    return tokens.clone()


def moves_pictures_and_not_tokens(tokens: Tensor, start: int) -> Tensor:
    """Dim 0 counts the pictures, dim 1 the tokens of each: shift along dim 1."""
    return torch.cat([torch.full_like(tokens[:1], start), tokens[:-1]], dim=0)


def runs_over_into_the_next_picture(tokens: Tensor, start: int) -> Tensor:
    """Each picture begins anew with the start token; the last token of the picture before it has no place here."""
    line = tokens.flatten()
    return torch.cat([line.new_tensor([start]), line[:-1]]).view_as(tokens)


def turns_the_order_around(tokens: Tensor, start: int) -> Tensor:
    """The tokens stay in their order; they only move one place to the right."""
    return torch.cat([_start(tokens, start), tokens.flip(1)[:, 1:]], dim=1)


def copies_the_start_everywhere(tokens: Tensor, start: int) -> Tensor:
    """Whoever copies from left to right reads what was just written. Read from `tokens`, write into a new tensor."""
    return torch.full_like(tokens, start)


def puts_the_start_into_the_first_row(tokens: Tensor, start: int) -> Tensor:
    """`moved[0]` is the first picture. The first token of every picture is the first *column*, `moved[:, 0]`."""
    moved = tokens.roll(1, dims=1)
    moved[0] = start
    return moved


def changes_the_tokens_it_was_given(tokens: Tensor, start: int) -> Tensor:
    """The targets are still needed, as they were. Make a new tensor and write into that."""
    tokens[:, 1:] = tokens[:, :-1].clone()
    tokens[:, 0] = start
    return tokens


def keeps_the_last_token(tokens: Tensor, start: int) -> Tensor:
    """[B, N] goes in and [B, N] comes out: the start token comes, so the last token has to go."""
    return torch.cat([_start(tokens, start), tokens], dim=1)


def fills_a_new_tensor(tokens: Tensor, start: int) -> Tensor:
    """Right: room for all, and two assignments."""
    moved = torch.empty_like(tokens)
    moved[:, 0] = start
    moved[:, 1:] = tokens[:, :-1]
    return moved


def rolls_and_mends(tokens: Tensor, start: int) -> Tensor:
    """Right: what `roll` brings to the front is overwritten in a copy."""
    moved = tokens.roll(1, dims=1)
    moved[:, 0] = start
    return moved


def pads_on_the_left(tokens: Tensor, start: int) -> Tensor:
    """Right: one more on the left, one fewer on the right."""
    return torch.nn.functional.pad(tokens, (1, -1), value=start)


HINTS = (
    "To predict token n the decoder may see the tokens before n. So what stands at position n of its input is token "
    "n − 1, and at position 0, where there is none before it, the start token.",
    "A column [B, 1] that holds `start`, and beside it all tokens but the last, tokens[:, :-1].",
    """\
def shift_right(tokens, start):
    first = torch.full_like(tokens[...], start)  # [B, 1]
    return torch.cat([first, ...], dim=...)
""",
)

EXERCISE = Exercise(
    id="bart.shift_right",
    points=1,
    minutes=5,
    stars=1,
    reference=shift_right,
    cases=cases,
    wrong=(
        moves_to_the_left,
        puts_the_start_in_place_of_the_first,
        puts_the_last_token_first,
        repeats_the_first_token,
        starts_with_zero,
        starts_after_the_largest,
        puts_the_start_at_the_end,
        moves_by_two,
        moves_nothing,
        moves_pictures_and_not_tokens,
        runs_over_into_the_next_picture,
        turns_the_order_around,
        copies_the_start_everywhere,
        puts_the_start_into_the_first_row,
        changes_the_tokens_it_was_given,
        keeps_the_last_token,
    ),
    also_right=(fills_a_new_tensor, rolls_and_mends, pads_on_the_left),
    hints=HINTS,
    reaches="BartStage.step",
    probe=probe_shift_right,
)

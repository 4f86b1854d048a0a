"""Exercise: nobody may look at padding."""

import torch
from torch import Tensor

from minidalle.bart.attention import padding_mask
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart import probe_padding_mask
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """Two captions of three tokens at most; one; several; then masks with gaps: padding is not always at the end."""
    chance = generator(seed, "bart.padding_mask")

    def padded(*lengths: int) -> Tensor:
        return torch.arange(max(lengths) + 2) < torch.tensor(lengths)[:, None]

    def some(captions: int, length: int) -> Tensor:
        mask = torch.rand(captions, length, generator=chance) < 0.6
        mask[:, 0], mask[0, 1], mask[0, -1], mask[1, -1] = True, False, True, False
        return mask

    short, long = (torch.randint(*ends, (2,), generator=chance).tolist() for ends in ((1, 4), (4, 9)))
    masks = (
        padded(2, 1)[:, :3],
        padded(short[0]),
        padded(long[0], short[1], long[1] + 5),
        some(2, 7),
        some(3, 8),
        some(4, 12),
    )
    return [{"mask": mask} for mask in masks]


def inverts_the_mask(mask: Tensor) -> Tensor:
    """True = a real token, before and after: nothing is to be turned around."""
    return ~mask[:, None, None, :]


def allows_everything(mask: Tensor) -> Tensor:
    """Where the mask is False is padding: keep its values, change its shape only."""
    return torch.ones_like(mask)[:, None, None, :]


def gives_all_the_mask_of_the_first(mask: Tensor) -> Tensor:
    """Each caption has a length of its own: keep the rows apart."""
    return mask[:1].expand_as(mask)[:, None, None, :]


def allows_what_is_real_in_any(mask: Tensor) -> Tensor:
    """Each caption has a length of its own; what is real in another one is padding in this."""
    return mask.any(0).expand_as(mask)[:, None, None, :]


def allows_what_is_real_in_all(mask: Tensor) -> Tensor:
    """Each caption has a length of its own; what is padding in another one may be real in this."""
    return mask.all(0).expand_as(mask)[:, None, None, :]


def _places(mask: Tensor) -> Tensor:
    return torch.arange(mask.shape[1], device=mask.device)


def counts_and_fills_from_the_left(mask: Tensor) -> Tensor:
    """The mask says *which* tokens are real, not only how many: keep it as it is."""
    return (_places(mask) < mask.sum(1, keepdim=True))[:, None, None, :]


def counts_and_fills_from_the_right(mask: Tensor) -> Tensor:
    """The mask says *which* tokens are real: keep it as it is. Padding mostly stands at the end."""
    return (_places(mask) >= mask.shape[1] - mask.sum(1, keepdim=True))[:, None, None, :]


def allows_one_too_many(mask: Tensor) -> Tensor:
    """The first padding token is padding already."""
    return (mask | mask.roll(1, 1))[:, None, None, :]


def leaves_the_last_real_token_out(mask: Tensor) -> Tensor:
    """The last real token is real, too."""
    return (mask & mask.roll(-1, 1))[:, None, None, :]


def counts_one_too_many(mask: Tensor) -> Tensor:
    """The mask is right as it is. If you count: of n real tokens the last has place n − 1, so `<`, not `<=`."""
    return (_places(mask) <= mask.sum(1, keepdim=True))[:, None, None, :]


def takes_the_end_for_padding(mask: Tensor) -> Tensor:
    """The end sign of a caption is a real token, too: the mask stays as it is."""
    return (mask & torch.nn.functional.pad(mask, (0, 1))[:, 1:])[:, None, None, :]


def mixes_the_captions_up(mask: Tensor) -> Tensor:
    """A transpose before a reshape deals one caption's tokens out to the others. Only put two dimensions between."""
    return mask.T.reshape(len(mask), 1, 1, mask.shape[1])


def turns_the_tokens_around(mask: Tensor) -> Tensor:
    """The tokens stay in their order."""
    return mask.flip(1)[:, None, None, :]


def turns_the_captions_around(mask: Tensor) -> Tensor:
    """The captions stay in their order."""
    return mask.flip(0)[:, None, None, :]


def stops_at_the_first_gap(mask: Tensor) -> Tensor:
    """The mask says which tokens are real; a gap ends nothing. Keep it as it is."""
    return mask.long().cumprod(1).bool()[:, None, None, :]


def masks_who_asks(mask: Tensor) -> Tensor:
    """The scores are [B, h, T, S]: who asks, then who is looked at. Padding must not be *looked at*: the last dim."""
    return mask[:, None, :, None]


def unsqueezes_twice(mask: Tensor) -> Tensor:
    """Right: a dimension at a time."""
    return mask.unsqueeze(1).unsqueeze(1)


def reshapes(mask: Tensor) -> Tensor:
    """Right: the same numbers in the same order."""
    return mask.reshape(len(mask), 1, 1, mask.shape[1])


def stacks_row_by_row(mask: Tensor) -> Tensor:
    """Right: a loop over the captions."""
    return torch.stack([row[None, None] for row in mask])


HINTS = (
    "No value changes; the mask only has to fit scores [B, h, N, T]: N tokens ask, T are looked at. Which of these "
    "four does a mask [B, T] know of?",
    "It knows the caption (the first) and who is looked at (the last). The two between have size 1, so that they stand "
    "for every head and everybody who asks: None, or `unsqueeze`, makes such a dimension.",
    """\
def padding_mask(mask):
    return mask[:, ..., ..., :]
""",
)

EXERCISE = Exercise(
    id="bart.padding_mask",
    points=1,
    minutes=5,
    stars=1,
    reference=padding_mask,
    cases=cases,
    wrong=(
        inverts_the_mask,
        allows_everything,
        gives_all_the_mask_of_the_first,
        allows_what_is_real_in_any,
        allows_what_is_real_in_all,
        counts_and_fills_from_the_left,
        counts_and_fills_from_the_right,
        allows_one_too_many,
        leaves_the_last_real_token_out,
        counts_one_too_many,
        takes_the_end_for_padding,
        mixes_the_captions_up,
        turns_the_tokens_around,
        turns_the_captions_around,
        stops_at_the_first_gap,
        masks_who_asks,
    ),
    also_right=(unsqueezes_twice, reshapes, stacks_row_by_row),
    hints=HINTS,
    reaches="Bart.forward",
    probe=probe_padding_mask,
)

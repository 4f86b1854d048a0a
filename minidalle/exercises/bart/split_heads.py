"""Exercise: one vector becomes several short ones, a piece for each head."""

import torch
from torch import Tensor

from minidalle.bart.attention import split_heads
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart import probe_split_heads
from minidalle.runtime import generator


def cases(seed: int) -> list[Case]:
    """Two tokens of four features for two heads; then sizes that all differ; one head; as many heads as features."""
    chance = generator(seed, "bart.split_heads")

    def case(captions: int, tokens: int, width: int, heads: int) -> Case:
        count = captions * tokens * width
        numbers = torch.randperm(3 * count, generator=chance)[:count] + 1
        return {"x": numbers.view(captions, tokens, width).float(), "heads": heads}

    return [
        case(1, 2, 4, 2),
        case(1, 3, 6, 2),
        case(1, 3, 6, 3),
        case(2, 2, 4, 1),
        case(2, 3, 4, 4),
        case(2, 4, 10, 2),
        case(3, 5, 12, 4),
    ]


def _sizes(x: Tensor, heads: int) -> tuple[int, int, int, int]:
    captions, tokens, width = x.shape
    return captions, heads, tokens, width // heads


def reshapes_without_turning(x: Tensor, heads: int) -> Tensor:
    """`reshape` to [B, h, T, d] mixes the tokens: cut the features first, [B, T, h, d], then swap T and h."""
    return x.reshape(_sizes(x, heads))


def deals_the_features_out(x: Tensor, heads: int) -> Tensor:
    """Head 0 has the first d features, side by side; yours gets every h-th one. Cut into [h, d], not [d, h]."""
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def turns_before_it_cuts(x: Tensor, heads: int) -> Tensor:
    """Cut the features while they are the last dimension; then swap two whole dimensions."""
    return x.transpose(1, 2).reshape(_sizes(x, heads))


def cuts_the_tokens(x: Tensor, heads: int) -> Tensor:
    """Not the tokens are shared out among the heads, but each token's features."""
    captions, _, tokens, piece = _sizes(x, heads)
    return x.reshape(captions, heads, piece, tokens).transpose(2, 3)


def cuts_the_captions(x: Tensor, heads: int) -> Tensor:
    """The first dimension stays what it is: captions. Cut the last one."""
    captions, _, tokens, piece = _sizes(x, heads)
    return x.reshape(heads, captions, tokens, piece).transpose(0, 1)


def gives_all_heads_the_first_piece(x: Tensor, heads: int) -> Tensor:
    """Each head has a piece of its own: head i the i-th one."""
    return x[:, None, :, : x.shape[-1] // heads].repeat(1, heads, 1, 1)


def numbers_the_heads_from_the_end(x: Tensor, heads: int) -> Tensor:
    """Head 0 has the first piece of the features, not the last."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).flip(1)


def lets_the_pieces_overlap(x: Tensor, heads: int) -> Tensor:
    """The i-th piece begins at feature i · d, where the one before it ends, and not at feature i."""
    piece = x.shape[-1] // heads
    return torch.stack([x[..., head : head + piece] for head in range(heads)], dim=1)


def joins_the_pieces_along_the_captions(x: Tensor, heads: int) -> Tensor:
    """The heads need a dimension of their own: `stack` makes one, `cat` along the captions mixes both up."""
    return torch.cat(x.chunk(heads, dim=-1), dim=0).view(_sizes(x, heads))


def turns_the_tokens_around(x: Tensor, heads: int) -> Tensor:
    """The tokens stay in their order."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).flip(2)


def turns_the_features_around(x: Tensor, heads: int) -> Tensor:
    """A piece keeps its features' order."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).flip(3)


def scales_the_pieces(x: Tensor, heads: int) -> Tensor:
    """Only cut; the scale 1 / √d belongs to `attend`."""
    pieces = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return pieces / (2 * pieces.shape[-1]) ** 0.5


def normalizes_the_pieces(x: Tensor, heads: int) -> Tensor:
    """Only cut: the numbers stay as they are."""
    pieces = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return pieces / (1 + pieces.norm(dim=-1, keepdim=True))


def keeps_the_heads_behind_the_tokens(x: Tensor, heads: int) -> Tensor:
    """[B, T, h, d] is cut rightly. Attention wants a table of tokens for each head: [B, h, T, d]."""
    return x.unflatten(-1, (heads, -1))


def views_and_permutes(x: Tensor, heads: int) -> Tensor:
    """Right: the two steps by their other names."""
    captions, tokens, width = x.shape
    return x.view(captions, tokens, heads, width // heads).permute(0, 2, 1, 3)


def stacks_the_pieces(x: Tensor, heads: int) -> Tensor:
    """Right: `chunk` cuts into h pieces, `stack` makes a dimension of them."""
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def slices_one_by_one(x: Tensor, heads: int) -> Tensor:
    """Right: a loop over the heads."""
    piece = x.shape[-1] // heads
    return torch.cat([x[:, None, :, head * piece : (head + 1) * piece] for head in range(heads)], 1)


HINTS = (
    "Write down one token's features, 0 to 5, and cut them for two heads: 0 1 2 and 3 4 5. All tokens' first pieces "
    "belong to head 0.",
    "First cut the last dimension in two, D → h × (D / h): [B, T, h, d]. Then swap T and h: [B, h, T, d].",
    """\
def split_heads(x, heads):
    pieces = x.unflatten(-1, (..., -1))  # [B, T, h, d]
    return pieces.transpose(..., ...)  # [B, h, T, d]
""",
)

EXERCISE = Exercise(
    id="bart.split_heads",
    points=2,
    minutes=10,
    stars=2,
    reference=split_heads,
    cases=cases,
    wrong=(
        reshapes_without_turning,
        deals_the_features_out,
        turns_before_it_cuts,
        cuts_the_tokens,
        cuts_the_captions,
        gives_all_heads_the_first_piece,
        numbers_the_heads_from_the_end,
        lets_the_pieces_overlap,
        joins_the_pieces_along_the_captions,
        turns_the_tokens_around,
        turns_the_features_around,
        scales_the_pieces,
        normalizes_the_pieces,
        keeps_the_heads_behind_the_tokens,
    ),
    also_right=(views_and_permutes, stacks_the_pieces, slices_one_by_one),
    hints=HINTS,
    reaches="Bart.forward",
    probe=probe_split_heads,
)

"""Exercise: one layer of the decoder."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.bart.attention import multi_head_attention
from minidalle.bart.layers import decoder_layer, encoder_layer, enter, feed_forward, join
from minidalle.bart.primitives import linear, optional_norm
from minidalle.exercises.branch_weights import branch_weights
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart_layers import probe_decoder_layer
from minidalle.runtime import Weights, generator


def cases(seed: int) -> list[Case]:
    """One number without norms; the past and padding; norms before, inside and after; all that is added is dropped."""
    chance = generator(seed, "bart.decoder_layer")

    def case(batch: int, length: int, width: int, heads: int, dropout: float = 0.0, **shape: Any) -> Case:
        """As many text tokens as image tokens, so that masks and tokens in the wrong place fit all the same."""
        weights = branch_weights(chance, ("attention", "cross_attention"), width=width, heads=heads, **shape)
        x, memory = 2 * torch.randn(2, batch, length, width, generator=chance)
        past = torch.ones(length, length, dtype=torch.bool).tril()
        sizes = (length - 1 - torch.arange(batch)).clamp(min=1)
        real = (torch.arange(length) < sizes[:, None])[:, None, None]
        return {"weights": weights, "x": x, "mask": past, "memory": memory, "memory_mask": real,
                "heads": heads, "dropout": dropout}  # fmt: skip

    return [
        case(1, 1, 1, 1, norms=False),
        case(1, 2, 2, 2, norms=False),
        case(1, 3, 4, 2),
        case(2, 4, 4, 1, norm="normformer", glu=True),
        case(2, 3, 4, 2, norm="post", bias=True),
        case(1, 2, 4, 2, norm="normformer", dropout=1.0),
    ]


def _look(branch: Weights, x: Tensor, mask: Tensor | None, heads: int, dropout: float) -> Tensor:
    entered = enter(branch, x)
    return join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)


def _read(branch: Weights, x: Tensor, memory: Tensor, mask: Tensor | None, heads: int, dropout: float) -> Tensor:
    return join(branch, x, multi_head_attention(branch, enter(branch, x), memory, mask, heads), dropout)


def _think(branch: Weights, x: Tensor, dropout: float) -> Tensor:
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def _end(weights: Weights, x: Tensor, memory: Tensor, mask: Tensor, heads: int, dropout: float) -> Tensor:
    return _think(weights["feed_forward"], _read(weights["cross_attention"], x, memory, mask, heads, dropout), dropout)


def looks_at_itself_twice(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """In the cross-attention the caption answers: what is looked at there is `memory`, the encoder's output."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    x = _look(weights["cross_attention"], x, memory_mask, heads, dropout)
    return _think(weights["feed_forward"], x, dropout)


def lets_the_caption_ask(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """It is the image tokens that ask, as the first tokens that `multi_head_attention` gets. `memory` answers."""
    x, branch = _look(weights["attention"], x, mask, heads, dropout), weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, memory, enter(branch, x), memory_mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def swaps_the_masks(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`mask` says which image tokens may be looked at, `memory_mask` which text tokens: each has its own branch."""
    x = _look(weights["attention"], x, memory_mask, heads, dropout)
    return _end(weights, x, memory, mask, heads, dropout)


def hides_what_comes_later_in_the_caption(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """The caption is there as a whole, and may be read to its end. Only its padding is hidden, by `memory_mask`."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    return _end(weights, x, memory, mask, heads, dropout)


def lets_image_tokens_look_ahead(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """In the first branch, no image token may see a later one: hand `mask` on to `multi_head_attention`."""
    x = _look(weights["attention"], x, None, heads, dropout)
    return _end(weights, x, memory, memory_mask, heads, dropout)


def reads_the_padding(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """What fills a short caption up says nothing: in the cross-attention, hand on `memory_mask`."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    x = _read(weights["cross_attention"], x, memory, None, heads, dropout)
    return _think(weights["feed_forward"], x, dropout)


def reads_before_it_looks_back(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """First the image tokens look at each other, then at the caption: `attention` before `cross_attention`."""
    x = _read(weights["cross_attention"], x, memory, memory_mask, heads, dropout)
    return _think(weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout), dropout)


def thinks_before_it_reads(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """The feed-forward branch is the last one: it works on what both attentions have found."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    x = _think(weights["feed_forward"], x, dropout)
    return _read(weights["cross_attention"], x, memory, memory_mask, heads, dropout)


def never_reads_the_caption(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Without `cross_attention`, the decoder knows nothing about the caption: it is the branch in the middle."""
    return encoder_layer(weights, x, mask, heads, dropout)


def reads_with_what_came_in(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """The cross-attention goes on with what the first branch has made of x: it enters that, not the x that came in."""
    looked, branch = _look(weights["attention"], x, mask, heads, dropout), weights["cross_attention"]
    x = join(branch, looked, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def loses_what_the_first_branch_added(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`join` adds to the tokens as they are by then. Yours adds to those that came in: what was added first is gone."""
    looked, branch = _look(weights["attention"], x, mask, heads, dropout), weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, looked), memory, memory_mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def forgets_to_add_what_it_read(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """What the cross-attention gives is added to the tokens, by `join`. You let it take their place."""
    x, branch = _look(weights["attention"], x, mask, heads, dropout), weights["cross_attention"]
    x = multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads)
    return _think(weights["feed_forward"], x, dropout)


def normalizes_the_memory(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`memory` goes in as it is. The norm `before` is for the tokens that ask: `enter(branch, x)`."""
    branch = weights["cross_attention"]
    x, memory = _look(weights["attention"], x, mask, heads, dropout), enter(branch, memory)
    return _end(weights, x, memory, memory_mask, heads, dropout)


def asks_without_entering(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Every branch sees its tokens by `enter`, the cross-attention, too: who asks is `enter(branch, x)`."""
    x, branch = _look(weights["attention"], x, mask, heads, dropout), weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, x, memory, memory_mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def adds_to_what_was_normalized(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`join` gets the tokens as they are before the norm: give what `enter` returns another name than x."""
    x = enter(weights["attention"], x)
    x = join(weights["attention"], x, multi_head_attention(weights["attention"], x, x, mask, heads), dropout)
    x, branch = enter(weights["cross_attention"], x), weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, x, memory, memory_mask, heads), dropout)
    x = enter(weights["feed_forward"], x)
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], x), dropout)


def uses_the_same_attention_twice(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """There are weights for each branch: `cross_attention` has queries, keys, values and norms of its own."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    x = _read(weights["attention"], x, memory, memory_mask, heads, dropout)
    return _think(weights["feed_forward"], x, dropout)


def cuts_the_encoder_off(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """The values are right, but no gradient reaches the encoder, which has to learn, too: no `detach`."""
    x, memory = _look(weights["attention"], x, mask, heads, dropout), memory.detach()
    return _end(weights, x, memory, memory_mask, heads, dropout)


def drops_nothing(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Hand `dropout` on to `join`, in all branches. With a chance of 1, as in the last case, nothing is added."""
    x = _look(weights["attention"], x, mask, heads, 0.0)
    return _end(weights, x, memory, memory_mask, heads, 0.0)


def by_the_functions_of_torch(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Right: nothing of the package's but a layer and a norm, with torch's own attention."""
    for name, branch in weights.items():
        seen = optional_norm(branch, "before", x)
        if name == "feed_forward":
            added = feed_forward(branch, seen)
        else:
            answers, allowed = (seen, mask) if name == "attention" else (memory, memory_mask)
            parts = [linear(branch[part], of) for part, of in (("query", seen), ("key", answers), ("value", answers))]
            query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in parts)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
            added = linear(branch["output"], mixed.transpose(1, 2).flatten(2))
        x = optional_norm(branch, "after", x + F.dropout(optional_norm(branch, "inside", added), dropout))
    return x


def branch_by_branch(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Right: two attentions in a loop, each with who answers and its mask; None for the tokens themselves."""
    for name, answers, allowed in (("attention", None, mask), ("cross_attention", memory, memory_mask)):
        branch = weights[name]
        asks = enter(branch, x)
        added = multi_head_attention(branch, asks, asks if answers is None else answers, allowed, heads)
        x = join(branch, x, added, dropout)
    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


HINTS = (
    "As in the encoder's layer, each branch is enter, compute, join. New is the one in the middle: who asks there, who "
    "answers, and what may be looked at?",
    "1. attention(entered, entered, mask); 2. cross_attention(entered, memory, memory_mask); 3. feed_forward(entered). "
    "Before each of them entered = enter(branch, x), after each x = join(branch, x, added, dropout).",
    """\
def decoder_layer(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, ..., ..., heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, ..., ..., ..., heads), dropout)

    return ...
""",
)

EXERCISE = Exercise(
    id="bart.decoder_layer",
    points=3,
    minutes=15,
    stars=2,
    reference=decoder_layer,
    cases=cases,
    wrong=(
        looks_at_itself_twice,
        lets_the_caption_ask,
        swaps_the_masks,
        hides_what_comes_later_in_the_caption,
        lets_image_tokens_look_ahead,
        reads_the_padding,
        reads_before_it_looks_back,
        thinks_before_it_reads,
        never_reads_the_caption,
        reads_with_what_came_in,
        loses_what_the_first_branch_added,
        forgets_to_add_what_it_read,
        normalizes_the_memory,
        asks_without_entering,
        adds_to_what_was_normalized,
        uses_the_same_attention_twice,
        cuts_the_encoder_off,
        drops_nothing,
    ),
    also_right=(by_the_functions_of_torch, branch_by_branch),
    hints=HINTS,
    reaches="Bart.forward",
    probe=probe_decoder_layer,
    tolerance=3e-3,
)

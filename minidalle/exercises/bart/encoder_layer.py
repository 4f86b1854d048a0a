"""Exercise: one layer of the encoder."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.bart.attention import multi_head_attention
from minidalle.bart.layers import encoder_layer, enter, feed_forward, gelu_feed_forward, join
from minidalle.bart.primitives import layer_norm, linear
from minidalle.exercises.branch_weights import branch_weights
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.bart_layers import probe_encoder_layer
from minidalle.runtime import Weights, generator


def cases(seed: int) -> list[Case]:
    """One number without norms; padding and heads; norms before, inside and after; all that is added is dropped."""
    chance = generator(seed, "bart.encoder_layer")

    def case(batch: int, length: int, width: int, heads: int, dropout: float = 0.0, **shape: Any) -> Case:
        weights = branch_weights(chance, ("attention",), width=width, heads=heads, **shape)
        sizes = length - torch.randperm(length, generator=chance)[:batch]
        mask = (torch.arange(length) < sizes[:, None])[:, None, None]
        x = 2 * torch.randn(batch, length, width, generator=chance)
        return {"weights": weights, "x": x, "mask": mask, "heads": heads, "dropout": dropout}

    return [
        case(1, 1, 1, 1, norms=False),
        case(1, 3, 2, 2, norms=False),
        case(1, 3, 4, 2),
        case(2, 4, 4, 1, norm="normformer", glu=True),
        case(3, 4, 4, 2, norm="post", bias=True),
        case(1, 2, 4, 2, norm="normformer", dropout=1.0),
    ]


def _look(branch: Weights, x: Tensor, mask: Tensor | None, heads: int, dropout: float) -> Tensor:
    entered = enter(branch, x)
    return join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)


def _think(branch: Weights, x: Tensor, dropout: float) -> Tensor:
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def forgets_to_add_the_attention(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """What the attention gives is added to the tokens, by `join`. You let it take their place."""
    entered = enter(weights["attention"], x)
    x = multi_head_attention(weights["attention"], entered, entered, mask, heads)
    return _think(weights["feed_forward"], x, dropout)


def forgets_to_add_the_feed_forward(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """What the feed-forward branch gives is added to the tokens, too, by `join`."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    return feed_forward(weights["feed_forward"], enter(weights["feed_forward"], x))


def adds_without_join(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """A plain + leaves out what else `join` does: norms on what is added and on the sum, and dropout."""
    entered = enter(weights["attention"], x)
    x = x + multi_head_attention(weights["attention"], entered, entered, mask, heads)
    return x + feed_forward(weights["feed_forward"], enter(weights["feed_forward"], x))


def enters_no_branch(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """What a branch sees is `enter(branch, x)`, the tokens after the norm before it. Yours sees them as they are."""
    branch = weights["attention"]
    x = join(branch, x, multi_head_attention(branch, x, x, mask, heads), dropout)
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], x), dropout)


def enters_only_the_feed_forward(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """The attention has a norm before it as well: it sees `enter(branch, x)`."""
    branch = weights["attention"]
    x = join(branch, x, multi_head_attention(branch, x, x, mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def enters_only_the_attention(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """The feed-forward branch has a norm before it as well: it sees `enter(branch, x)`."""
    x = _look(weights["attention"], x, mask, heads, dropout)
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], x), dropout)


def normalizes_only_who_asks(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Asked are the same tokens in the same form: `enter(branch, x)` twice, as `x` and as `memory`."""
    branch = weights["attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), x, mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def adds_to_what_was_normalized(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Add to the tokens as they came in, before the norm: give what `enter` returns another name than x."""
    x = enter(weights["attention"], x)
    x = join(weights["attention"], x, multi_head_attention(weights["attention"], x, x, mask, heads), dropout)
    x = enter(weights["feed_forward"], x)
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], x), dropout)


def adds_the_attention_to_what_was_normalized(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`join` gets the tokens as they came in, before the norm. In your first branch it gets what `enter` returned."""
    x = enter(weights["attention"], x)
    x = join(weights["attention"], x, multi_head_attention(weights["attention"], x, x, mask, heads), dropout)
    return _think(weights["feed_forward"], x, dropout)


def adds_the_feed_forward_to_what_was_normalized(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`join` gets the tokens before the norm. In your second branch it gets what `enter` returned."""
    x = enter(weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout))
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], x), dropout)


def adds_the_tokens_twice(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """`join` adds to the tokens itself: give it what the feed-forward branch gives, without x."""
    branch, x = weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout)
    return join(branch, x, x + feed_forward(branch, enter(branch, x)), dropout)


def adds_the_feed_forward_without_join(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """In your second branch a plain + leaves out the norms that `join` knows: on what is added, and on the sum."""
    branch, x = weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout)
    return x + F.dropout(feed_forward(branch, enter(branch, x)), dropout)


def thinks_about_what_entered_the_attention(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Enter anew: the feed-forward branch sees the tokens with what the attention has added, and has its own norm."""
    seen, x = enter(weights["attention"], x), _look(weights["attention"], x, mask, heads, dropout)
    return join(weights["feed_forward"], x, feed_forward(weights["feed_forward"], seen), dropout)


def thinks_before_it_looks(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """The attention is the first branch, and the feed-forward branch works on what came of it."""
    return _look(weights["attention"], _think(weights["feed_forward"], x, dropout), mask, heads, dropout)


def lets_both_branches_see_the_same(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """One after the other: the feed-forward branch sees the tokens with what the attention has added."""
    branch, seen = weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout)
    return join(branch, seen, feed_forward(branch, enter(branch, x)), dropout)


def takes_the_norms_of_the_attention_twice(
    weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`enter` and `join` take the norms of the branch that they are given: in the second one, that of feed_forward."""
    branch = weights["attention"]
    x = _look(branch, x, mask, heads, dropout)
    return join(branch, x, feed_forward(weights["feed_forward"], enter(branch, x)), dropout)


def ignores_the_mask(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Filling must not be looked at: hand the mask on to `multi_head_attention`."""
    return _think(weights["feed_forward"], _look(weights["attention"], x, None, heads, dropout), dropout)


def inverts_the_mask(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """True means that a token may be looked at, here as in `attend`: hand the mask on as it is."""
    return _think(weights["feed_forward"], _look(weights["attention"], x, ~mask, heads, dropout), dropout)


def has_one_head(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Each head looks with its own part of the features: hand `heads` on to `multi_head_attention`."""
    return _think(weights["feed_forward"], _look(weights["attention"], x, mask, 1, dropout), dropout)


def stops_after_the_attention(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """There are two branches: the feed-forward one comes after the attention."""
    return _look(weights["attention"], x, mask, heads, dropout)


def never_opens_the_gate(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Some weights have a gate. `feed_forward` looks for it, and takes the function that is right for them."""
    branch, x = weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout)
    return join(branch, x, gelu_feed_forward(branch, enter(branch, x)), dropout)


def drops_nothing(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Hand `dropout` on to `join`, in both branches. With a chance of 1, as in the last case, nothing is added."""
    return _think(weights["feed_forward"], _look(weights["attention"], x, mask, heads, 0.0), 0.0)


def drops_only_in_the_attention(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Hand `dropout` on to `join` in the second branch, too."""
    return _think(weights["feed_forward"], _look(weights["attention"], x, mask, heads, dropout), 0.0)


def by_the_functions_of_torch(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Right: nothing of the package's but two layers, with torch's own attention."""
    for name, branch in weights.items():
        seen = layer_norm(branch["before"], x) if "before" in branch else x
        if name == "attention":
            parts = [linear(branch[part], seen).unflatten(2, (heads, -1)) for part in ("query", "key", "value")]
            query, key, value = (part.transpose(1, 2) for part in parts)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            added = linear(branch["output"], mixed.transpose(1, 2).flatten(2))
        else:
            added = feed_forward(branch, seen)
        added = layer_norm(branch["inside"], added) if "inside" in branch else added
        x = x + F.dropout(added, dropout)
        x = layer_norm(branch["after"], x) if "after" in branch else x
    return x


def branch_by_branch(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Right: what a branch gives is a function of what it sees."""
    attention, thinking = weights["attention"], weights["feed_forward"]
    gives = {
        "attention": lambda seen: multi_head_attention(attention, seen, seen, mask, heads),
        "feed_forward": lambda seen: feed_forward(thinking, seen),
    }
    for name, function in gives.items():
        x = join(weights[name], x, function(enter(weights[name], x)), dropout)
    return x


HINTS = (
    "A branch is always the same: enter, compute, join, and on with what comes out. The tokens go through the first "
    "branch, and what comes of them through the second.",
    "entered = enter(branch, x); added = multi_head_attention(branch, entered, entered, mask, heads); x = join(branch, "
    "x, added, dropout), where x is what came in. The same again with feed_forward(branch, entered).",
    """\
def encoder_layer(weights, x, mask, heads, dropout=0.0):
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(..., ...), ...)
""",
)

EXERCISE = Exercise(
    id="bart.encoder_layer",
    points=3,
    minutes=15,
    stars=2,
    reference=encoder_layer,
    cases=cases,
    wrong=(
        forgets_to_add_the_attention,
        forgets_to_add_the_feed_forward,
        adds_without_join,
        enters_no_branch,
        enters_only_the_feed_forward,
        enters_only_the_attention,
        normalizes_only_who_asks,
        adds_to_what_was_normalized,
        adds_the_attention_to_what_was_normalized,
        adds_the_feed_forward_to_what_was_normalized,
        adds_the_tokens_twice,
        adds_the_feed_forward_without_join,
        thinks_about_what_entered_the_attention,
        thinks_before_it_looks,
        lets_both_branches_see_the_same,
        takes_the_norms_of_the_attention_twice,
        ignores_the_mask,
        inverts_the_mask,
        has_one_head,
        stops_after_the_attention,
        never_opens_the_gate,
        drops_nothing,
        drops_only_in_the_attention,
    ),
    also_right=(by_the_functions_of_torch, branch_by_branch),
    hints=HINTS,
    reaches="Bart.forward",
    probe=probe_encoder_layer,
    tolerance=1e-3,
)

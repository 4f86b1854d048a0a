"""The decoder one token at a time: the keys and values of the caption and of earlier tokens are kept."""

from dataclasses import dataclass, field

from torch import Tensor

from minidalle.bart.attention import attend, merge_heads, split_heads
from minidalle.bart.layers import enter, feed_forward, join
from minidalle.bart.primitives import linear
from minidalle.runtime import Weights

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one attention, each [B, h, length, d]."""


@dataclass
class DecoderCache:
    """All that the decoder needs to write its next token.

    Attributes:
        weights: the decoder's.
        positions: [N, D] or [B, N, D], what is added to the token at each position.
        memory_mask: bool [B, 1, 1, T].
        within: each layer's keys and values of image tokens: room for N, filled up to `position`.
        across: each layer's keys and values of the caption, computed once.
        position: image tokens taken in so far.
    """

    weights: Weights = field(repr=False)
    positions: Tensor = field(repr=False)
    memory_mask: Tensor = field(repr=False)
    within: list[KeysValues] = field(repr=False)
    across: list[KeysValues] = field(repr=False)
    position: int = 0


def cross_attention_cache(weights: Weights, memory: Tensor, heads: int) -> KeysValues:
    """The keys and values of an encoded caption [B, T, D] in one cross-attention, each [B, h, T, d]."""
    keys = split_heads(linear(weights["key"], memory), heads)
    values = split_heads(linear(weights["value"], memory), heads)
    return keys.contiguous(), values.contiguous()


def self_attention_cache(like: Tensor, length: int) -> KeysValues:
    """Room for the keys and values of `length` tokens, of the kind of `like` [B, h, T, d]."""
    batch, heads, _, width = like.shape
    return like.new_zeros(batch, heads, length, width), like.new_zeros(batch, heads, length, width)


def cached_attention(
    weights: Weights, x: Tensor, keys: Tensor, values: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """`multi_head_attention` of tokens [B, 1, D] over keys and values that are there already."""
    query = split_heads(linear(weights["query"], x), heads)
    return linear(weights["output"], merge_heads(attend(query, keys, values, mask)))


def cached_decoder_layer(weights: Weights, x: Tensor, cache: DecoderCache, index: int, heads: int) -> Tensor:
    """`decoder_layer` for the one token at the cache's position.

    Args:
        weights: the layer's.
        x: [B, 1, D], the token.
        cache: its keys and values are written at its position.
        index: which layer this is.
        heads: attention heads.

    Returns:
        [B, 1, D].
    """
    branch, now = weights["attention"], cache.position
    entered = enter(branch, x)
    keys, values = (kept[:, :, : now + 1] for kept in cache.within[index])
    keys[:, :, now:] = split_heads(linear(branch["key"], entered), heads)
    values[:, :, now:] = split_heads(linear(branch["value"], entered), heads)
    x = join(branch, x, cached_attention(branch, entered, keys, values, heads))

    branch = weights["cross_attention"]
    keys, values = cache.across[index]
    x = join(branch, x, cached_attention(branch, enter(branch, x), keys, values, heads, cache.memory_mask))

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)))

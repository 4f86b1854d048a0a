"""Attention: every token asks a question, and mixes the answers of the tokens that it may look at."""

import math

import torch
from torch import Tensor

from minidalle.bart.primitives import linear
from minidalle.runtime import Weights


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """Which positions each position of a sequence may look at: itself and those before it.

    2 → [[True, False], [True, True]].

    Args:
        length: positions, N.
        device: where to make the mask.

    Returns:
        bool [N, N]; row i is True at columns 0 … i.
    """
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def padding_mask(mask: Tensor) -> Tensor:
    """Shape a mask of real tokens so that it broadcasts over attention's heads and queries.

    [[True, False]] → [[[[True, False]]]].

    Args:
        mask: bool [B, T], True = real token.

    Returns:
        bool [B, 1, 1, T].
    """
    return mask[:, None, None, :]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut each token's features into one piece per head.

    Two tokens of four features and 2 heads: [[[1, 2, 3, 4], [5, 6, 7, 8]]] → [[[[1, 2], [5, 6]],
    [[3, 4], [7, 8]]]].

    Args:
        x: [B, T, D].
        heads: h, which divides D.

    Returns:
        [B, h, T, D / h]; head i has the i-th piece of the features.
    """
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Undo `split_heads`: [B, h, T, D / h] → [B, T, D]."""
    return x.transpose(1, 2).flatten(2)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention: softmax(query · key / √d) · value over the keys that the mask allows.

    One query and two keys that fit it equally well: [[[[2.0]]]], [[[[1.0], [1.0]]]], [[[[0.0], [8.0]]]] →
    [[[[4.0]]]]. Half precision has too few digits for a softmax: `softmax(-1, dtype=torch.float32)` takes
    it of such scores. A query that may look nowhere gets the plain mean of all values: finite, and of no
    use to anybody.

    Args:
        query: [B, h, T, d].
        key: [B, h, S, d].
        value: [B, h, S, d].
        mask: bool, broadcastable to [B, h, T, S]; True = may look. None = may look everywhere.

    Returns:
        [B, h, T, d], of the values' dtype. Source: Vaswani et al. 2017, section 3.2.1.
    """
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    precision = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(-1, dtype=precision).to(value.dtype) @ value


def multi_head_attention(weights: Weights, x: Tensor, memory: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Let each token of `x` ask the tokens of `memory`, in several heads at once.

    Args:
        weights: `query`, `key`, `value` and `output`, each a linear layer's weights.
        x: [B, T, D], who asks.
        memory: [B, S, D], who answers; `x` itself for self-attention.
        mask: see `attend`.
        heads: h.

    Returns:
        [B, T, D]. Source: Vaswani et al. 2017, section 3.2.2.
    """
    query = split_heads(linear(weights["query"], x), heads)
    key = split_heads(linear(weights["key"], memory), heads)
    value = split_heads(linear(weights["value"], memory), heads)
    return linear(weights["output"], merge_heads(attend(query, key, value, mask)))

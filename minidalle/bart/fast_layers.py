"""One token through the decoder, over a cache that never moves: what `cached_decoder_layer` computes, in fewer steps.

Every function here is free of Python's own numbers that change from token to token: the position is a tensor. So
what one token takes can be recorded once, and played again for each (see `minidalle.bart.fast_graph`).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart.fast_linear import DTYPES, pack, product
from minidalle.bart.model import Bart
from minidalle.bart.primitives import optional_norm
from minidalle.runtime import Weights


class Place(NamedTuple):
    """Where the decoder is: `position` long [1], and what to add to attention's scores, 0 or hugely negative:
    `image` [1, 1, 1, room] and `caption` [R, 1, 1, T]."""

    position: Tensor
    image: Tensor
    caption: Tensor


def pack_decoder(bart: Bart, precision: str) -> Weights:
    """Copies of a decoder's weights: one matrix for query, key and value, one for gate and up, a head of codes only."""
    config, weights, dtype = bart.config, bart.decoder_weights(), DTYPES[precision]
    scale = math.sqrt(config.width) if config.scale_embedding else 1.0
    head = {"weight": weights["head"]["weight"][: config.image_codes]}
    return {
        "tokens": (weights["tokens"]["weight"].detach() * scale).to(dtype),
        "layers": [_pack_layer(layer, precision) for layer in weights["layers"].values()],
        "head": pack([head], precision),
        **_norms(weights, dtype),
    }


def _pack_layer(layer: Weights, precision: str) -> Weights:
    within, across, forward = (layer[name] for name in ("attention", "cross_attention", "feed_forward"))
    inner = [forward[name] for name in ("gate", "up") if name in forward]
    dtype = DTYPES[precision]
    return {
        "attention": {
            "inputs": pack([within[name] for name in ("query", "key", "value")], precision),
            "output": pack([within["output"]], precision),
            **_norms(within, dtype),
        },
        "cross_attention": {
            "query": pack([across["query"]], precision),
            "output": pack([across["output"]], precision),
            **_norms(across, dtype),
        },
        "feed_forward": {
            "inner": pack(inner, precision),
            "down": pack([forward["down"]], precision),
            "gated": len(inner) == 2,
            **_norms(forward, dtype),
        },
    }


def _norms(weights: Weights, dtype: torch.dtype) -> Weights:
    """The norms among some weights; a scale that is not there is ones, so that each norm is one operation."""
    names = ("before", "inside", "hidden", "after", "embedding_norm", "final_norm")
    norms = {name: weights[name] for name in names if name in weights}
    return {
        name: {
            "scale": norm.get("scale", torch.ones_like(norm["bias"])).detach().to(dtype, copy=True),
            "bias": norm["bias"].detach().to(dtype, copy=True),
        }
        for name, norm in norms.items()
    }


def embed(weights: Weights, tokens: Tensor, positions: Tensor, position: Tensor) -> Tensor:
    """Tokens long [R] at a position [1] of positions [1 or R, N, D] → [R, D]."""
    x = F.embedding(tokens, weights["tokens"]) + positions.index_select(1, position)[:, 0]
    return optional_norm(weights, "embedding_norm", x)


def layer_step(weights: Weights, x: Tensor, place: Place, within: Tensor, across: Tensor) -> Tensor:
    """`cached_decoder_layer` for one token of each row.

    Args:
        weights: one of `pack_decoder`'s layers.
        x: [R, D].
        place: where the token stands.
        within: keys and values of image tokens [R, 2, h, N, d]; this token's are written into it.
        across: keys and values of the caption [R, 2, h, T, d].

    Returns:
        [R, D].
    """
    heads, room = within.shape[2], place.image.shape[-1]
    branch = weights["attention"]
    inputs = product(branch["inputs"], optional_norm(branch, "before", x)).unflatten(-1, (3, heads, -1))
    within.index_copy_(3, place.position, inputs[:, 1:].unsqueeze(3).to(within.dtype))
    x = _add(branch, x, _look(branch, inputs[:, 0], within[..., :room, :], place.image))

    branch = weights["cross_attention"]
    query = product(branch["query"], optional_norm(branch, "before", x)).unflatten(-1, (heads, -1))
    x = _add(branch, x, _look(branch, query, across, place.caption))

    branch = weights["feed_forward"]
    inner = product(branch["inner"], optional_norm(branch, "before", x))
    if branch["gated"]:
        gate, up = inner.chunk(2, -1)
        inner = F.gelu(gate) * up
    else:
        inner = F.gelu(inner)
    return _add(branch, x, product(branch["down"], optional_norm(branch, "hidden", inner)))


def codes(weights: Weights, x: Tensor) -> Tensor:
    """[R, D] → logits of the codebook [R, K]."""
    return product(weights["head"], optional_norm(weights, "final_norm", x))


def _look(branch: Weights, query: Tensor, keys_values: Tensor, bias: Tensor) -> Tensor:
    """Attention of one query per row [R, h, d] over [R, 2, h, S, d] → [R, D]."""
    keys, values = keys_values.unbind(1)
    seen = F.scaled_dot_product_attention(query.unsqueeze(2).to(keys.dtype), keys, values, attn_mask=bias)
    return product(branch["output"], seen.flatten(1).to(query.dtype))


def _add(branch: Weights, x: Tensor, added: Tensor) -> Tensor:
    return optional_norm(branch, "after", x + optional_norm(branch, "inside", added))

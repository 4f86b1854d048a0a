"""Layers for training: what `encoder_layer` and `decoder_layer` compute, in fewer and larger steps.

Not for reading first: `minidalle.bart.layers` says what is computed, and the tests hold this to it, gradients too.
Here one matrix product gives query, key and value where that pays, a norm is always one operation, the mask is added
to the scores as they are made, and matrices of an odd size get rows of zeros: a product of 1024 × 2730 takes half as
long again as one of 1024 × 2736. On a GPU torch's own attention never writes the scores down. In float32 the numbers
are those of the readable layers up to rounding.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart.primitives import linear
from minidalle.runtime import Weights


def fast_encoder_layer(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """`encoder_layer`, with its arguments."""
    branch = weights["attention"]
    x = _join(branch, x, _within(branch, _enter(branch, x), mask, heads), dropout)
    branch = weights["feed_forward"]
    return _join(branch, x, _feed_forward(branch, _enter(branch, x)), dropout)


def fast_decoder_layer(
    weights: Weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """`decoder_layer`, with its arguments; the mask is a `causal_mask`."""
    branch = weights["attention"]
    x = _join(branch, x, _within(branch, _enter(branch, x), None, heads), dropout)

    branch = weights["cross_attention"]
    query = _heads(linear(branch["query"], _enter(branch, x)), heads)
    key, value = (_heads(part, heads) for part in _products([branch["key"], branch["value"]], _half(memory)))
    x = _join(branch, x, _output(branch, fast_attend(query, key, value, memory_mask)), dropout)

    branch = weights["feed_forward"]
    return _join(branch, x, _feed_forward(branch, _enter(branch, x)), dropout)


def fast_attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """`attend`, but that no mask stands for the causal one, and that each query must be free to look somewhere."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None)
    batch, heads, length, size = query.shape  # on a CPU, torch's own is slower than this on the way back
    query, key, value = (part.reshape(batch * heads, -1, size) for part in (query, key, value))
    if mask is None:
        hidden = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    else:
        hidden = ~mask.expand(batch, heads, 1, -1).reshape(batch * heads, 1, -1)
    added = torch.zeros(hidden.shape, dtype=query.dtype, device=query.device)
    added = added.masked_fill_(hidden, torch.finfo(query.dtype).min)
    scores = torch.baddbmm(added.expand(batch * heads, length, -1), query, key.transpose(1, 2), alpha=size**-0.5)
    precision = torch.promote_types(scores.dtype, torch.float32)
    return (scores.softmax(-1, dtype=precision).to(value.dtype) @ value).unflatten(0, (batch, heads))


def fast_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """`optional_norm` in one operation: a scale that is not there is ones."""
    if name not in weights:
        return x
    norm: Mapping[str, Tensor] = weights[name]
    scale = norm["scale"] if "scale" in norm else torch.ones_like(norm["bias"])
    return F.layer_norm(x, x.shape[-1:], scale, norm["bias"], eps=1e-5)


def fast_head(weights: Weights, x: Tensor) -> Tensor:
    """`linear`, with its arguments."""
    size = len(weights["weight"])
    return _products([weights], _half(x), room(size, x))[0][..., :size]


def room(size: int, x: Tensor) -> int:
    """To how many features such outputs of a matrix product with x are best filled up."""
    aligned = size % 16 == 0 or (x.device.type == "cpu" and _half(x).dtype != torch.float32)
    return size if aligned else -(-size // 64) * 64


def _within(branch: Weights, x: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    parts = _products([branch["query"], branch["key"], branch["value"]], x)
    query, key, value = (_heads(part, heads) for part in parts)
    return _output(branch, fast_attend(query, key, value, mask))


def _output(branch: Weights, seen: Tensor) -> Tensor:
    return linear(branch["output"], seen.transpose(1, 2).flatten(2))


def _feed_forward(branch: Weights, x: Tensor) -> Tensor:
    size = len(branch["up"]["weight"])
    wide = room(size, x)
    if "gate" in branch:
        gate, up = _products([branch["gate"], branch["up"]], x, wide)
        hidden = F.gelu(gate) * up
    else:
        hidden = F.gelu(_products([branch["up"]], x, wide)[0])
    if "hidden" in branch:
        hidden = F.pad(_half(fast_norm(branch, "hidden", hidden[..., :size])), (0, wide - size))
    return F.linear(hidden, F.pad(branch["down"]["weight"], (0, wide - size)), branch["down"].get("bias"))


def _enter(branch: Weights, x: Tensor) -> Tensor:
    return _half(fast_norm(branch, "before", x))


def _join(branch: Weights, x: Tensor, added: Tensor, dropout: float) -> Tensor:
    return fast_norm(branch, "after", x + F.dropout(fast_norm(branch, "inside", added), dropout))


def _products(parts: Sequence[Weights], x: Tensor, size: int | None = None) -> Sequence[Tensor]:
    """Linear layers of the same input: [..., inputs] → [..., outputs] of each, filled up to that size with zeros.

    Side by side in one matrix, if that is less to copy than the gradients of the input are to add.
    """
    outputs = [len(part["weight"]) for part in parts]
    short = 0 if size is None else size - outputs[0]
    padded = [
        {name: F.pad(_half(value), (*(0, 0) * (value.dim() - 1), 0, short)) for name, value in part.items()}
        if short
        else part
        for part in parts
    ]
    if len(parts) == 1 or sum(part["weight"].numel() for part in parts) > x.numel():
        return [linear(part, x) for part in padded]
    weight, biases = torch.cat([_half(part["weight"]) for part in padded]), [part.get("bias") for part in padded]
    joined = F.linear(x, weight, None if biases[0] is None else torch.cat(biases))  # type: ignore[arg-type]
    return joined.chunk(len(parts), -1)


def _heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, D] → [B, h, T, D / h]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _half(x: Tensor) -> Tensor:
    """In the precision of the matrix products: cast once, and not for each of them."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x

"""Layers for training: what `encoder_layer` and `decoder_layer` compute, in fewer and larger steps.

Not for reading first: `minidalle.bart.layers` says what is computed, and the tests hold this to it, gradients too.
Here one matrix product gives query, key and value, one gives gate and up, a norm is always one operation, and the mask
is added to the scores as they are made. On a GPU torch's own attention never writes the scores down. In float32
the numbers are those of the readable layers up to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from minidalle.bart import layers
from minidalle.runtime import Weights, are_ours

REPLACED = {
    "minidalle.bart.attention": ("attend", "causal_mask", "padding_mask", "split_heads"),
    "minidalle.bart.layers": ("decoder_layer", "encoder_layer", "glu_feed_forward"),
}
"""The functions in a layer that a student may replace: where one is theirs, nothing fast may stand in for it."""


@dataclass(frozen=True)
class Running:
    """How a `Bart` runs its layers.

    fast: by the functions of this file, unless one that they stand in for is a student's.
    recompute: forget what is inside a layer after it has run, and run it once more on the way back. It takes a third
        more arithmetic, and leaves one [B, N, D] per layer to keep (Chen et al. 2016). The gradients are the same.
    """

    fast: bool = True
    recompute: bool = False

    def __call__(self, layer: Callable[..., Tensor], *arguments: object) -> Tensor:
        """The layer of these arguments: `encoder_layer` or `decoder_layer`, or what stands in for it."""
        if self.fast:
            layer = fast_encoder_layer if layer is layers.encoder_layer else fast_decoder_layer
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)

    def allowed(self) -> "Running":
        """The same, readable where a student's functions are in place."""
        return self if are_ours(REPLACED) else Running(fast=False, recompute=self.recompute)


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
    (query,) = _heads(_product(branch, ("query",), _enter(branch, x)), 1, heads)
    key, value = _heads(_product(branch, ("key", "value"), _half(memory)), 2, heads)
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


def _within(branch: Weights, x: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    query, key, value = _heads(_product(branch, ("query", "key", "value"), x), 3, heads)
    return _output(branch, fast_attend(query, key, value, mask))


def _output(branch: Weights, seen: Tensor) -> Tensor:
    return _product(branch, ("output",), seen.transpose(1, 2).flatten(2))


def _feed_forward(branch: Weights, x: Tensor) -> Tensor:
    if "gate" in branch:
        gate, up = _product(branch, ("gate", "up"), x).chunk(2, -1)
        hidden = F.gelu(gate) * up
    else:
        hidden = F.gelu(_product(branch, ("up",), x))
    return _product(branch, ("down",), fast_norm(branch, "hidden", hidden))


def _enter(branch: Weights, x: Tensor) -> Tensor:
    return _half(fast_norm(branch, "before", x))


def _join(branch: Weights, x: Tensor, added: Tensor, dropout: float) -> Tensor:
    return fast_norm(branch, "after", x + F.dropout(fast_norm(branch, "inside", added), dropout))


def _product(branch: Weights, names: Sequence[str], x: Tensor) -> Tensor:
    """Linear layers of the same input side by side: [..., inputs] → [..., all their outputs]."""
    matrices, biases = ([branch[name].get(part) for name in names] for part in ("weight", "bias"))
    if len(names) == 1:
        return F.linear(x, matrices[0], biases[0])
    weight = torch.cat([_half(matrix) for matrix in matrices])
    return F.linear(x, weight, None if biases[0] is None else torch.cat(biases))


def _heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """[B, T, parts · D] → for each part [B, h, T, D / h]."""
    return x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def _half(x: Tensor) -> Tensor:
    """In the precision of the matrix products: cast once, and not for each of them."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x

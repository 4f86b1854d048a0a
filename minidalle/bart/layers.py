"""The layers of encoder and decoder. Each is a sum: the tokens, plus what a branch has to add to them.

Classic BART, pre-norm and NormFormer differ only in where a LayerNorm stands, so the layers ask the weights:
a branch may have a norm `before` it, one `inside` (on what it adds), and one `after` the sum.
"""

from torch import Tensor
from torch.nn import functional as F

from minidalle.bart.attention import multi_head_attention
from minidalle.bart.primitives import linear, optional_norm
from minidalle.runtime import Weights


def gelu_feed_forward(weights: Weights, x: Tensor) -> Tensor:
    """Think about each token by itself: widen, bend, narrow.

    Args:
        weights: `up` and `down`, and perhaps a norm `hidden` between them.
        x: [B, T, D].

    Returns:
        [B, T, D]. Source: Vaswani et al. 2017, section 3.3, with GELU (Hendrycks and Gimpel 2016).
    """
    hidden = F.gelu(linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward(weights: Weights, x: Tensor) -> Tensor:
    """The gated form: one half of the hidden features decides how much of the other half goes on.

    Args:
        weights: `gate`, `up` and `down`, and perhaps a norm `hidden` before `down`.
        x: [B, T, D].

    Returns:
        [B, T, D]. Source: Shazeer 2020, equation 6 (GEGLU); the inner norm is NormFormer's.
    """
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def feed_forward(weights: Weights, x: Tensor) -> Tensor:
    """`glu_feed_forward` if the weights have a gate, else `gelu_feed_forward`. [B, T, D] → [B, T, D]."""
    return glu_feed_forward(weights, x) if "gate" in weights else gelu_feed_forward(weights, x)


def enter(weights: Weights, x: Tensor) -> Tensor:
    """What a branch sees of the tokens: normalized if it has a norm `before`. [B, T, D] → [B, T, D]."""
    return optional_norm(weights, "before", x)


def join(weights: Weights, x: Tensor, added: Tensor, dropout: float = 0.0) -> Tensor:
    """Add what a branch gives to the tokens, with the norms `inside` and `after` if it has them.

    Args:
        weights: the branch's.
        x: [B, T, D], the tokens before the branch.
        added: [B, T, D], what the branch gives.
        dropout: chance of dropping each feature that is added.

    Returns:
        [B, T, D].
    """
    added = F.dropout(optional_norm(weights, "inside", added), dropout)
    return optional_norm(weights, "after", x + added)


def encoder_layer(weights: Weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """One layer of the encoder: the text tokens look at each other, then think.

    Args:
        weights: the branches `attention` and `feed_forward`.
        x: [B, T, D].
        mask: bool [B, 1, 1, T], see `padding_mask`.
        heads: attention heads.
        dropout: chance of dropping each feature that a branch adds.

    Returns:
        [B, T, D]. Source: Lewis et al. 2020, section 2.1.
    """
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer(
    weights: Weights,
    x: Tensor,
    mask: Tensor,
    memory: Tensor,
    memory_mask: Tensor,
    heads: int,
    dropout: float = 0.0,
) -> Tensor:
    """One layer of the decoder: the image tokens look back at each other, then at the text, then think.

    Args:
        weights: the branches `attention`, `cross_attention` and `feed_forward`.
        x: [B, N, D].
        mask: bool [N, N], see `causal_mask`.
        memory: [B, T, D], the encoder's output.
        memory_mask: bool [B, 1, 1, T], see `padding_mask`.
        heads: attention heads.
        dropout: chance of dropping each feature that a branch adds.

    Returns:
        [B, N, D]. Source: Lewis et al. 2020, section 2.1.
    """
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)

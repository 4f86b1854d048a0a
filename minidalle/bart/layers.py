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

    `linear(weights["up"], x)` is a linear layer, `optional_norm(weights, "hidden", …)` the norm of that
    name if there is one. One feature, no norm: {"gate": {"weight": [[1.0]]}, "up": {"weight": [[3.0]]},
    "down": {"weight": [[2.0]]}}, [[[1.0]]] → gelu(1) · 3 · 2 = [[[5.05]]].

    Args:
        weights: the linear layers `gate`, `up` (D → hidden) and `down` (hidden → D), and perhaps a norm
            `hidden` before `down`.
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

    Two branches, one after the other. What a branch sees is `enter(branch, x)`; what it gives is added by
    `join(branch, x, added, dropout)`. Both know the branch's norms. The first branch is
    `multi_head_attention`, the second `feed_forward`. One token of one feature, every weight [[1.0]], no
    norm: [[[1.0]]] → 1 + 1 = 2, then 2 + gelu(2) = [[[3.95]]].

    Args:
        weights: of the branches, `attention` and `feed_forward`.
        x: [B, T, D].
        mask: bool [B, 1, 1, T], see `padding_mask`.
        heads: attention heads.
        dropout: chance of dropping each feature that a branch adds; `join` does it.

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

    As `encoder_layer`, with a branch more. In `cross_attention` the image tokens ask and the encoder's
    output answers, as it is: it has been normalized. One token of one feature, every weight [[1.0]], no
    norm, [[[3.0]]] as memory: [[[1.0]]] → 1 + 1 = 2, then 2 + 3 = 5, then 5 + gelu(5) = [[[10.0]]].

    Args:
        weights: of the branches, `attention`, `cross_attention` and `feed_forward`.
        x: [B, N, D].
        mask: bool [N, N], see `causal_mask`.
        memory: [B, T, D], the encoder's output.
        memory_mask: bool [B, 1, 1, T], see `padding_mask`.
        heads: attention heads.
        dropout: chance of dropping each feature that a branch adds; `join` does it.

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

"""The two layers that everything else is made of. What a layer does follows from which weights it has."""

from torch import Tensor
from torch.nn import functional as F

from minidalle.runtime import Weights


def linear(weights: Weights, x: Tensor) -> Tensor:
    """A linear layer, with a bias if there is one.

    Args:
        weights: `weight` [outputs, inputs], and perhaps `bias` [outputs].
        x: [..., inputs].

    Returns:
        [..., outputs].
    """
    return F.linear(x, weights["weight"], weights.get("bias"))


def layer_norm(weights: Weights, x: Tensor) -> Tensor:
    """Give each token's features mean 0 and variance 1, then scale and shift them if there are weights to.

    Args:
        weights: perhaps `scale` [D], and perhaps `bias` [D].
        x: [..., D].

    Returns:
        [..., D]. Source: Ba et al. 2016, section 3.
    """
    scale, bias = weights.get("scale"), weights.get("bias")
    if scale is None and bias is not None:  # torch's CPU cannot go back through a bias alone in bf16
        return F.layer_norm(x, x.shape[-1:], eps=1e-5) + bias.to(x.dtype)
    return F.layer_norm(x, x.shape[-1:], scale, bias, eps=1e-5)


def optional_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """`layer_norm` with the weights of that name, or `x` as it is where there are none."""
    return layer_norm(weights[name], x) if name in weights else x

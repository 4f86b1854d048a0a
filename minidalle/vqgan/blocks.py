"""The parts that a VQGAN's encoder and decoder are stacked from: residual blocks, attention, resampling."""

import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.runtime import Weights, weights_of

EPSILON = 1e-6  # of every group normalization


def normalize(weights: Weights, name: str, x: Tensor, groups: int) -> Tensor:
    """Group normalization by the weights called `name`; `x` itself where there are none.

    Args:
        weights: `{name: {weight [C], bias [C]}}`, or without that name.
        name: which normalization.
        x: [B, C, H, W].
        groups: how many groups the channels fall into.

    Returns:
        [B, C, H, W]. Source: Wu and He 2018, "Group Normalization", section 3.
    """
    if name not in weights:
        return x
    return F.group_norm(x, groups, weights[name]["weight"], weights[name]["bias"], EPSILON)


def convolve(weights: Weights, x: Tensor) -> Tensor:
    """A convolution that keeps the picture's size: its padding is half its kernel.

    Args:
        weights: weight [C_out, C_in, k, k] with odd k, bias [C_out].
        x: [B, C_in, H, W].

    Returns:
        [B, C_out, H, W].
    """
    return F.conv2d(x, weights["weight"], weights["bias"], padding=weights["weight"].shape[-1] // 2)


def residual_block(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Two rounds of normalization, SiLU and convolution, added to what came in.

    A round is `normalize`, `F.silu`, `convolve`. One pixel, convolutions that double it, no
    normalization: {"conv1": {"weight": [[[[2.0]]]], "bias": [0.0]}, "conv2": {"weight": [[[[2.0]]]],
    "bias": [0.0]}}, [[[[1.0]]]] → [[[[3.37]]]].

    Args:
        weights: norm1, conv1, norm2, conv2, each with weight and bias. Without norm1 and norm2 nothing is
            normalized. nin_shortcut, a 1 × 1 convolution, is there if the block changes the channels, and
            then what came in goes through it before it is added.
        x: [B, C_in, H, W].
        groups: groups of the normalizations.

    Returns:
        [B, C_out, H, W]. Source: He et al. 2016, "Identity Mappings in Deep Residual Networks", figure
        1b; Esser et al. 2021, "Taming Transformers", appendix A, table 7.
    """
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


def attention_block(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    """Every cell of the grid looks at every other one (one head), and adds what it saw to itself.

    Args:
        weights: norm, and the 1 × 1 convolutions q, k, v and proj_out, each with weight and bias.
        x: [B, C, H, W].
        groups: groups of the normalization.

    Returns:
        [B, C, H, W]. Source: Vaswani et al. 2017, section 3.2.1; Esser et al. 2021, appendix A, table 7.
    """
    normed = normalize(weights, "norm", x, groups)
    query, key, value = (convolve(weights[name], normed).flatten(2) for name in "qkv")  # [B, C, H·W]
    scores = query.transpose(1, 2) @ key * x.shape[1] ** -0.5
    seen = value @ scores.softmax(dim=2).transpose(1, 2)
    return x + convolve(weights["proj_out"], seen.reshape(x.shape))


def downsample(weights: Weights, x: Tensor) -> Tensor:
    """Halve the sides by a 3 × 3 convolution with stride 2, padded on the right and at the bottom only.

    Args:
        weights: conv, with weight [C, C, 3, 3] and bias [C].
        x: [B, C, H, W] with even H and W.

    Returns:
        [B, C, H / 2, W / 2].
    """
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), weights["conv"]["weight"], weights["conv"]["bias"], stride=2)


def upsample(weights: Weights, x: Tensor) -> Tensor:
    """Double the sides by repeating every cell, then smooth with a 3 × 3 convolution.

    Args:
        weights: conv, with weight [C, C, 3, 3] and bias [C].
        x: [B, C, H, W].

    Returns:
        [B, C, 2 H, 2 W]. Source: Odena et al. 2016, "Deconvolution and Checkerboard Artifacts".
    """
    return convolve(weights["conv"], F.interpolate(x, scale_factor=2.0, mode="nearest"))


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution whose first weights keep the variance of what goes through (He et al. 2015, section 2.2).

    torch's own shrink it to a third in every layer, and an autoencoder without normalization learns slowly.
    One with a stride pads nothing itself: `downsample` does.
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=0 if stride > 1 else kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def norm(width: int, groups: int) -> nn.GroupNorm | None:
    """Weights of a group normalization for `normalize`; None for 0 groups."""
    return nn.GroupNorm(groups, width, EPSILON) if groups else None


class ResidualBlock(nn.Module):
    """The weights of one `residual_block`."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.norm1 = norm(inputs, groups)
        self.conv1 = conv(inputs, outputs)
        self.norm2 = norm(outputs, groups)
        self.conv2 = conv(outputs, outputs)
        nn.init.zeros_(self.conv2.weight)  # a block starts as the identity (Zhang et al. 2019, "Fixup")
        self.nin_shortcut = conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        return residual_block(weights_of(self), x, self.groups)


class AttentionBlock(nn.Module):
    """The weights of one `attention_block`."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.norm = norm(width, groups)
        self.q = conv(width, width, 1)
        self.k = conv(width, width, 1)
        self.v = conv(width, width, 1)
        self.proj_out = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return attention_block(weights_of(self), x, self.groups)


class Downsample(nn.Module):
    """The weights of one `downsample`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv(width, width, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return downsample(weights_of(self), x)


class Upsample(nn.Module):
    """The weights of one `upsample`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(weights_of(self), x)

"""How a reconstruction is judged: pixels, edges, and a discriminator's opinion."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


def psnr(pictures: Tensor, targets: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in decibels: −10 log10 of its mean squared error.

    The peak is 1, the brightest that a pixel can be. An error of 0.1 everywhere is 20 dB, one of 0.01 is
    40 dB: [[[[0.6]]]], [[[[0.5]]]] → [20.0].

    Args:
        pictures: [B, 3, H, W] in [0, 1].
        targets: [B, 3, H, W] in [0, 1].

    Returns:
        [B]; infinite where a picture equals its target.
    """
    return -10 * (pictures - targets).square().flatten(1).mean(dim=1).log10()


def gradient_loss(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    """How far the edges of the pictures are from the edges of the targets, fine ones and coarse ones.

    An edge is the difference of two pixels side by side (across) or one above the other (down). At each
    scale the mean absolute error of the edges across is added to that of the edges down: [[[[0.0, 1.0],
    [2.0, 3.0]]]], [[[[0.0, 0.0], [0.0, 0.0]]]], 1 → 1 + 2 = 3.0. The first scale is the pictures as they
    are; each further scale is the one before averaged over 2 × 2 blocks, where an odd last row or column
    is dropped. The loss is the mean over scales.

    Args:
        pictures: [B, C, H, W], whose sides are at least 2^scales.
        targets: [B, C, H, W].
        scales: how many scales, at least 1.

    Returns:
        A scalar: a perceptual term that needs no pretrained network. After Mathieu et al. 2016, "Deep
        multi-scale video prediction beyond mean square error", section 3.3, who compare how strong edges
        are; here it counts, too, which side is brighter.
    """
    error = pictures - targets  # the edges of a difference are the difference of the edges
    total = error.new_zeros(())
    for scale in range(scales):
        error = F.avg_pool2d(error, 2) if scale else error
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


@dataclass(frozen=True)
class LossWeights:
    """How much each part of `reconstruction_loss` counts."""

    l1: float = 1.0
    mse: float = 2.0
    gradient: float = 1.0


def reconstruction_loss(pictures: Tensor, targets: Tensor, weights: LossWeights) -> Tensor:
    """Weighted sum of the absolute error, the squared error and the `gradient_loss`.

    The absolute error alone washes out saturated colors: it forgives a few large errors. The squared one
    does not.

    Args:
        pictures: [B, 3, H, W].
        targets: [B, 3, H, W].
        weights: of the three parts.

    Returns:
        A scalar.
    """
    return (
        weights.l1 * F.l1_loss(pictures, targets)
        + weights.mse * F.mse_loss(pictures, targets)
        + weights.gradient * gradient_loss(pictures, targets)
    )


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimizes: real patches are to score above 1, drawn ones below −1.

    [0.5, 3.0], [-2.0, 0.0] → (0.25 + 0.5) / 2 = 0.375.

    Args:
        real: logits of real pictures, any shape.
        fake: logits of reconstructions, any shape. The reconstructions are detached, the logits are not.

    Returns:
        A scalar, (mean max(0, 1 − real) + mean max(0, 1 + fake)) / 2. Source: Lim and Ye 2017,
        "Geometric GAN", section 3; halved as in the code of Esser et al. 2021.
    """
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """What the generator minimizes: the discriminator should take its pictures for real.

    Args:
        fake: logits of reconstructions, any shape, with a gradient to the generator.

    Returns:
        A scalar, the mean of −fake. Source: Lim and Ye 2017, section 3.
    """
    return -fake.mean()


def adaptive_weight(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    """The weight that makes the discriminator's pull on the decoder as strong as the reconstruction's.

    [3.0, 4.0], [0.0, 0.5] → 5 / 0.5001 = 9.998. Return it detached: no gradient may flow through the
    weight, which is only a number to multiply a loss by.

    Args:
        rec_grad: any shape: the gradient of the reconstruction loss with respect to `VQGAN.last_layer`.
        gan_grad: the same shape: that of the generator loss with respect to the same layer.
        clamp: the largest weight.

    Returns:
        ‖rec_grad‖ / (‖gan_grad‖ + 1e-4), at most `clamp`: a scalar, []. ‖·‖ is the length, the root of
        the sum of all squared numbers. Source: Esser et al. 2021, equation 7; 1e-4 and the clamp: its
        code.
    """
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(0, clamp).detach()

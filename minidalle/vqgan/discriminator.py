"""The PatchGAN discriminator: every patch of a picture gets its own verdict, real or reconstructed."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from minidalle.vqgan.config import DiscriminatorConfig

SLOPE = 0.2  # of the leaky ReLUs


class Discriminator(nn.Module):
    """4 × 4 convolutions that end in one logit per patch (Isola et al. 2017, "pix2pix", section 3.2.2).

    Its normalization is over groups of channels, where the original takes the batch: a verdict then depends
    on no other picture, and there are no running statistics to share between ranks.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        *halving, last = config.widths
        chain = pairwise([3, *halving])
        self.halving = nn.ModuleList(nn.Conv2d(*widths, 4, stride=2, padding=1) for widths in chain)
        self.widen = nn.Conv2d(halving[-1], last, 4, padding=1)
        self.verdict = nn.Conv2d(last, 1, 4, padding=1)
        normed = [*halving[1:], last] if config.groups else []
        self.norms = nn.ModuleList(nn.GroupNorm(config.groups, width) for width in normed)
        self.apply(_initialize)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits [B, 1, h, w], positive for real, of pictures [B, 3, H, W] in [0, 1]."""
        x = F.leaky_relu(self.halving[0](2 * pictures - 1), SLOPE)
        for i, convolution in enumerate([*self.halving[1:], self.widen]):
            x = convolution(x)
            x = F.leaky_relu(self.norms[i](x) if self.norms else x, SLOPE)
        return self.verdict(x)


def _initialize(module: nn.Module) -> None:
    """Small weights, so that no verdict is strong at first (Radford et al. 2016, "DCGAN", section 4)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""Structural similarity: do two pictures vary together, window by window?"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA = 1.5  # of the Gaussian window, in pixels
RADIUS = 5  # the window is 11 × 11
LUMINANCE = 0.01**2  # C1 and C2 of the paper, for pictures in [0, 1]
CONTRAST = 0.03**2


def ssim(pictures: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity of each picture, averaged over its channels and over all whole windows.

    Args:
        pictures: [B, C, H, W] in [0, 1], with sides of at least 11.
        targets: [B, C, H, W] in [0, 1].

    Returns:
        [B], 1 for equal pictures. Source: Wang et al. 2004, "Image quality assessment: from error
        visibility to structural similarity", equation 13, with the Gaussian window of section III.C.
    """
    x, y = pictures.float(), targets.float()
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance = _window_mean(x * x) + _window_mean(y * y) - mean_x**2 - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + LUMINANCE) / (mean_x**2 + mean_y**2 + LUMINANCE)
    structure = (2 * covariance + CONTRAST) / (variance + CONTRAST)
    return (luminance * structure).flatten(1).mean(dim=1)


def _window_mean(x: Tensor) -> Tensor:
    """The Gaussian-weighted mean around each pixel whose window lies inside the picture."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype, device=x.device)
    window = (-(offsets**2) / (2 * SIGMA**2)).exp()
    window = window / window.sum()
    one_channel = x.flatten(0, 1).unsqueeze(1)
    rows = F.conv2d(one_channel, window.reshape(1, 1, -1, 1))
    return F.conv2d(rows, window.reshape(1, 1, 1, -1)).unflatten(0, x.shape[:2]).squeeze(2)

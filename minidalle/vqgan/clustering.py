"""K-means: where a codebook starts."""

import torch
from torch import Tensor

CHUNK = 4096  # rows whose distances to all centers are held at once


def kmeans(points: Tensor, start: Tensor, iterations: int) -> Tensor:
    """Lloyd's algorithm: points go to the nearest center, centers to the mean of their points, and again.

    A center without points moves onto the point that is farthest from its own center.

    Args:
        points: [M, D].
        start: [K, D], the first centers (often K random points), K ≤ M.
        iterations: how many rounds.

    Returns:
        The centers [K, D]; the arguments are left as they are. Source: Lloyd 1982, "Least squares
        quantization in PCM".
    """
    centers = start.clone()
    for _ in range(iterations):
        nearest, distance = _assign(points, centers)
        counts = torch.bincount(nearest, minlength=len(centers))
        sums = torch.zeros_like(centers).index_add_(0, nearest, points)
        centers = sums / counts.clamp_min(1).unsqueeze(1)
        empty = (counts == 0).nonzero().squeeze(1)
        centers[empty] = points[distance.topk(len(empty)).indices]
    return centers


def _assign(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Each point's nearest center, long [M], and its distance from it [M]."""
    found = [torch.cdist(rows, centers).min(dim=1) for rows in points.split(CHUNK)]
    return torch.cat([each.indices for each in found]), torch.cat([each.values for each in found])

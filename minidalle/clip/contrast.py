"""What a CLIP is trained to do, and what it is good for: to tell which caption belongs to which picture."""

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.errors import require
from minidalle.runtime import generator


def clip_loss(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    """How badly pictures find their own captions in a batch, and captions their own pictures.

    A picture's vector · a caption's vector is the cosine of the two, as both have length 1. `scale` times
    that are logits: each picture's over all captions, and each caption's over all pictures. The loss is
    the mean of both cross-entropies (symmetric InfoNCE): [[1.0, 0.0], [0.0, 1.0]], the same once more,
    2.0 → ln(1 + e⁻²) = 0.127. All others of the batch count as wrong, also where two rows have the same
    caption.

    Args:
        image_vectors: [B, E], of length 1.
        text_vectors: [B, E], of length 1; row i is the caption of picture i.
        scale: what cosines are multiplied by, the inverse of a temperature; it is learned, too.

    Returns:
        A scalar, in nats; ln B for a model that cannot tell. Source: Radford et al. 2021, figure 3.
    """
    logits = scale * image_vectors @ text_vectors.T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def rerank(similarity: Tensor, keep: int) -> Tensor:
    """The candidates that fit best, best first; of equals, the earlier one first.

    [[0.1, 0.9, 0.5], [0.7, 0.2, 0.7]], 2 → [[1, 2], [0, 2]].

    Args:
        similarity: [B, C], a row for each of B captions: how well each of C candidates fits it.
        keep: how many to keep, from 1 to C.

    Returns:
        Their places in the row, long [B, keep], each from 0 to C − 1. Source: Ramesh et al. 2021, section
        2.6.
    """
    candidates = similarity.shape[1]
    require(1 <= keep <= candidates, "keep", keep, f"from 1 to {candidates}, the candidates")
    return similarity.argsort(dim=1, descending=True, stable=True)[:, :keep]


def found_among(image_vectors: Tensor, text_vectors: Tensor, others: int = 100, seed: int = 0) -> Tensor:
    """Which pictures find their own caption among some others', drawn by lot: their mean is R@1 of 101 captions.

    Args:
        image_vectors: [B, E], of length 1; B up to some thousands.
        text_vectors: [B, E], of length 1; row i belongs to row i of the pictures.
        others: how many wrong captions each picture meets; fewer where B is smaller.
        seed: of the lot.

    Returns:
        bool [B]; a tie is not found.
    """
    similarity = image_vectors @ text_vectors.T
    lots = torch.rand(similarity.shape, generator=generator(seed, "other captions")).fill_diagonal_(2)
    rivals = lots.argsort(dim=1)[:, : min(others, len(similarity) - 1)].to(similarity.device)
    return (similarity.diagonal().unsqueeze(1) > similarity.gather(1, rivals)).all(dim=1)

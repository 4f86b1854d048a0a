"""What goes into the decoder, and how well what comes out of it fits."""

import torch
from torch import Tensor


def shift_right(tokens: Tensor, start: int) -> Tensor:
    """The decoder's input: at each position the token before it, and the start token at the first.

    [[5, 6, 7]], 9 → [[9, 5, 6]].

    Args:
        tokens: long [B, N], the targets.
        start: the id that stands before the first token.

    Returns:
        long [B, N].
    """
    first = torch.full_like(tokens[:, :1], start)
    return torch.cat([first, tokens[:, :-1]], dim=1)


def sequence_loss(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """How surprised the model is by the real tokens: mean negative log-likelihood, in nats per token.

    [[[2.0, 2.0], [0.0, 1.0986]]], [[0, 1]] → 0.490: the probabilities of the real tokens are 1/2 and 3/4,
    and (−log 1/2 − log 3/4) / 2 = 0.490.

    Args:
        logits: [B, N, V], at each position one for each token; any numbers, also large ones.
        targets: long [B, N], the real tokens: logits[b, n] are about targets[b, n].
        mask: bool [B, N], True = counts; None = all count. At least one must.

    Returns:
        A scalar: the mean over all positions that count, whatever their row. (Half precision is taken to
        float32 first.)
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    surprise = logits.logsumexp(-1) - chosen
    return surprise.mean() if mask is None else surprise[mask].mean()


def drop_captions(
    text: Tensor, mask: Tensor, null_text: Tensor, null_mask: Tensor, keep: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace some captions by the empty one, so that the model also learns pictures without a caption.

    Guidance needs both (Ho and Salimans 2022, section 3.2).

    Args:
        text: long [B, T].
        mask: bool [B, T].
        null_text: long [T], the empty caption's tokens.
        null_mask: bool [T].
        keep: bool [B], True = leave this caption as it is.

    Returns:
        text long [B, T] and mask bool [B, T].
    """
    keep = keep.unsqueeze(1)
    return torch.where(keep, text, null_text), torch.where(keep, mask, null_mask)


def corrupt_tokens(tokens: Tensor, others: Tensor, replace: Tensor) -> Tensor:
    """Put other pictures' tokens in some places of the decoder's input, so that it cannot trust them blindly.

    Args:
        tokens: long [B, N], the true inputs.
        others: long [B, N], tokens of other pictures, such as `tokens.roll(1, 0)`.
        replace: bool [B, N], True = take the other picture's.

    Returns:
        long [B, N].
    """
    return torch.where(replace, others, tokens)

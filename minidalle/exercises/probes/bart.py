"""How the sequences, masks and attention of lesson 03 are called.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_shift_right(function: Function, tokens: Tensor, start: int) -> Plain:
    """The decoder's input, long [B, N]."""
    return function(tokens.clone(), start)


def probe_padding_mask(function: Function, mask: Tensor) -> Plain:
    """The mask, bool [B, 1, 1, T]."""
    return function(mask.clone())


def probe_split_heads(function: Function, x: Tensor, heads: int) -> Plain:
    """The pieces [B, h, T, D / h]."""
    return function(x.clone(), heads)


def probe_attend(function: Function, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Plain:
    """What each query gets [B, h, T, d]."""
    copies = (tensor.clone() for tensor in (query, key, value))
    return function(*copies, mask if mask is None else mask.clone())

"""How the sequences, masks and attention of lesson 03 are called.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import data, gradients, learned


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
    """What each query gets [B, h, T, d], and the gradients of its sum with respect to queries, keys and values."""
    inputs = {"query": learned(query), "key": learned(key), "value": learned(value)}
    output = function(*inputs.values(), mask if mask is None else mask.clone())
    return {"output": data(output), "gradients": gradients(output, inputs)}

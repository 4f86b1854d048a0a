"""How the functions of lesson 04 are called: with settings made of numbers, a model made of tables, and gradients.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_apply_temperature(function: Function, logits: Tensor, temperature: float) -> Plain:
    """The logits."""
    return function(logits.clone(), temperature)


def probe_top_k_filter(function: Function, logits: Tensor, k: int) -> Plain:
    """The logits that are left."""
    return function(logits.clone(), k)


def probe_top_p_filter(function: Function, logits: Tensor, p: float) -> Plain:
    """The logits that are left."""
    return function(logits.clone(), p)


def probe_guide(function: Function, conditional: Tensor, unconditional: Tensor, scale: float) -> Plain:
    """The guided logits."""
    return function(conditional.clone(), unconditional.clone(), scale)


def probe_rerank(function: Function, similarity: Tensor, keep: int) -> Plain:
    """The places of those that are kept."""
    return function(similarity.clone(), keep)

"""How the functions of lesson 04 are called: with settings made of numbers, a model made of tables, and gradients.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

import torch
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


def probe_clip_loss(function: Function, image_vectors: Tensor, text_vectors: Tensor, scale: Tensor) -> Plain:
    """The loss, and its gradients with respect to the scale and to which way the vectors point.

    The part of a gradient along a vector is left out: it would change the length, which is 1 by definition. So it
    does not matter whether an answer makes the length 1 once more.
    """
    given = {"image_vectors": image_vectors, "text_vectors": text_vectors, "scale": scale}
    inputs = {name: tensor.clone().requires_grad_() for name, tensor in given.items()}
    loss = function(*inputs.values())
    if not (isinstance(loss, Tensor) and loss.numel() == 1):
        return {"loss": loss, "gradients": dict.fromkeys(inputs, "none, as the loss is no tensor of a single number")}
    found = {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss.sum(), list(inputs.values()), materialize_grads=True)
        found = dict(zip(inputs, gradients, strict=True))
    for name in ("image_vectors", "text_vectors"):
        found[name] = found[name] - (found[name] * given[name]).sum(1, keepdim=True) * given[name]
    return {"loss": loss.detach(), "gradients": dict(found)}

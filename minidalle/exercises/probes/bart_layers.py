"""How the layers, the loss and the schedule of lesson 03 are called: with tensors that can be learned through.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_glu_feed_forward(function: Function, weights: dict[str, Any], x: Tensor) -> Plain:
    """The layer's output, and the gradient of its sum with respect to x."""
    inputs = {"x": _learned(x)}
    output = function(_all_learned(weights), inputs["x"])
    return {"output": _data(output), "gradients": _gradients(output, inputs)}


def probe_encoder_layer(
    function: Function, weights: dict[str, Any], x: Tensor, mask: Tensor, heads: int, dropout: float
) -> Plain:
    """The layer's output, and the gradient of its sum with respect to x."""
    inputs = {"x": _learned(x)}
    output = function(_all_learned(weights), inputs["x"], mask.clone(), heads, dropout)
    return {"output": _data(output), "gradients": _gradients(output, inputs)}


def probe_decoder_layer(
    function: Function,
    weights: dict[str, Any],
    x: Tensor,
    mask: Tensor,
    memory: Tensor,
    memory_mask: Tensor,
    heads: int,
    dropout: float,
) -> Plain:
    """The layer's output, and the gradients of its sum with respect to x and memory."""
    inputs = {"x": _learned(x), "memory": _learned(memory)}
    masks = mask.clone(), memory_mask.clone()
    output = function(_all_learned(weights), inputs["x"], masks[0], inputs["memory"], masks[1], heads, dropout)
    return {"output": _data(output), "gradients": _gradients(output, inputs)}


def probe_sequence_loss(function: Function, logits: Tensor, targets: Tensor, mask: Tensor | None) -> Plain:
    """The loss, and its gradient with respect to the logits."""
    inputs = {"logits": _learned(logits)}
    loss = function(inputs["logits"], targets.clone(), None if mask is None else mask.clone())
    return {"loss": _data(loss), "gradients": _gradients(loss, inputs)}


def probe_warmup_schedule(function: Function, steps: int, warmup: int, hold: float, decay: str) -> Plain:
    """The share of every step, from the first to the last."""
    return [function(step, steps, warmup, hold, decay) for step in range(steps)]


def _learned(tensor: Tensor) -> Tensor:
    """A copy that asks for a gradient."""
    return tensor.detach().clone().requires_grad_()


def _all_learned(weights: dict[str, Any]) -> dict[str, Any]:
    """Such copies of weights, nested as they are."""
    return {name: _all_learned(one) if isinstance(one, dict) else _learned(one) for name, one in weights.items()}


def _gradients(result: Any, inputs: dict[str, Tensor]) -> dict[str, Plain]:
    """The gradient of a result's sum with respect to each input; zeros where the result does not depend on it."""
    if not (isinstance(result, Tensor) and result.requires_grad):
        return {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    found = torch.autograd.grad(result.sum(), list(inputs.values()), materialize_grads=True, allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def _data(result: Any) -> Any:
    """A tensor without what it was made from; anything else as it is."""
    return result.detach() if isinstance(result, Tensor) else result

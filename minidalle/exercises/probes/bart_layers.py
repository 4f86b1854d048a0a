"""How the layers, the loss and the schedule of lesson 03 are called: with tensors that can be learned through.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import all_learned, data, gradients, learned


def probe_glu_feed_forward(function: Function, weights: dict[str, Any], x: Tensor) -> Plain:
    """The layer's output, and the gradient of its sum with respect to x."""
    inputs = {"x": learned(x)}
    output = function(all_learned(weights), inputs["x"])
    return {"output": data(output), "gradients": gradients(output, inputs)}


def probe_encoder_layer(
    function: Function, weights: dict[str, Any], x: Tensor, mask: Tensor, heads: int, dropout: float
) -> Plain:
    """The layer's output, and the gradient of its sum with respect to x."""
    inputs = {"x": learned(x)}
    output = function(all_learned(weights), inputs["x"], mask.clone(), heads, dropout)
    return {"output": data(output), "gradients": gradients(output, inputs)}


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
    inputs = {"x": learned(x), "memory": learned(memory)}
    masks = mask.clone(), memory_mask.clone()
    output = function(all_learned(weights), inputs["x"], masks[0], inputs["memory"], masks[1], heads, dropout)
    return {"output": data(output), "gradients": gradients(output, inputs)}


def probe_sequence_loss(function: Function, logits: Tensor, targets: Tensor, mask: Tensor | None) -> Plain:
    """The loss, and its gradient with respect to the logits."""
    inputs = {"logits": learned(logits)}
    loss = function(inputs["logits"], targets.clone(), None if mask is None else mask.clone())
    return {"loss": data(loss), "gradients": gradients(loss, inputs)}


def probe_warmup_schedule(function: Function, steps: int, warmup: int, hold: float, decay: str) -> Plain:
    """The share of every step, from the first to the last."""
    return [function(step, steps, warmup, hold, decay) for step in range(steps)]

"""How the quantizer's functions of lesson 02 are called, with what is learned through them.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import gradients, learned


def probe_nearest_code(function: Function, latents: Tensor, codebook: Tensor) -> Plain:
    """The tokens. Like the encoder's, the latents lie in memory channel by channel, where `view` does not work."""
    return function(latents.mT.clone(memory_format=torch.contiguous_format).mT, codebook.clone())


def probe_straight_through(function: Function, latents: Tensor, quantized: Tensor, slope: Tensor) -> Plain:
    """The result, and where a gradient `slope` at it arrives."""
    inputs = {"latents": learned(latents), "quantized": learned(quantized)}
    passed = function(*inputs.values())
    return {"value": passed, "gradients": gradients(passed, inputs, slope)}


def probe_quantizer_loss(function: Function, latents: Tensor, quantized: Tensor, beta: float) -> Plain:
    """The loss, and its gradients with respect to latents and codes; only a single number has some."""
    inputs = {"latents": learned(latents), "quantized": learned(quantized)}
    loss = function(*inputs.values(), beta)
    if loss.numel() != 1:
        return {"loss": loss, "gradients": dict.fromkeys(inputs, "none, as the loss is not a single number")}
    return {"loss": loss, "gradients": gradients(loss, inputs)}


def probe_ema_update(
    function: Function,
    counts: Tensor,
    sums: Tensor,
    batch_counts: Tensor,
    batch_sums: Tensor,
    decay: float,
    epsilon: float,
) -> Plain:
    """The new counts, sums and codebook."""
    copies = (tensor.clone() for tensor in (counts, sums, batch_counts, batch_sums))
    counts, sums, codebook = function(*copies, decay, epsilon)
    return {"counts": counts, "sums": sums, "codebook": codebook}


def probe_codebook_usage(function: Function, counts: Tensor) -> Plain:
    """How many codes are in use, and the perplexity."""
    used, perplexity = function(counts.clone())
    return {"used": used, "perplexity": perplexity}


def probe_restart_dead_codes(
    function: Function, codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> Plain:
    """The new codebook, and which of its codes were restarted."""
    moved, restarted = function(codebook.clone(), counts.clone(), candidates.clone(), threshold, order.clone())
    return {"codebook": moved, "restarted": restarted}

"""How the losses and blocks of lesson 02 are called: with tensors that can be learned through, and what is learned.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain
from minidalle.exercises.probes.learning import all_learned, arriving, data, gradients, learned


def probe_psnr(function: Function, pictures: Tensor, targets: Tensor) -> Plain:
    """The decibels; nothing is learned through them."""
    return function(pictures.clone(), targets.clone())


def probe_residual_block(function: Function, weights: dict[str, Any], x: Tensor, groups: int) -> Plain:
    """The block's output, and the gradient of its sum with respect to x."""
    inputs = {"x": learned(x)}
    output = function(all_learned(weights), inputs["x"], groups)
    return {"output": data(output), "gradients": gradients(output, inputs)}


def probe_gradient_loss(function: Function, pictures: Tensor, targets: Tensor, scales: int) -> Plain:
    """The loss and its gradient with respect to the pictures."""
    inputs = {"pictures": learned(pictures)}
    loss = function(inputs["pictures"], targets.clone(), scales)
    return {"loss": data(loss), "gradients": gradients(loss, inputs)}


def probe_hinge_loss(function: Function, real: Tensor, fake: Tensor) -> Plain:
    """The loss and its gradients with respect to both kinds of logits."""
    inputs = {"real": learned(real), "fake": learned(fake)}
    loss = function(*inputs.values())
    return {"loss": data(loss), "gradients": gradients(loss, inputs)}


def probe_adaptive_weight(function: Function, rec_grad: Tensor, gan_grad: Tensor, clamp: float) -> Plain:
    """The weight, and whether a gradient flows back from it to what it was made from."""
    inputs = {"rec_grad": learned(rec_grad), "gan_grad": learned(gan_grad)}
    weight = function(*inputs.values(), clamp)
    found = arriving(weight, inputs)
    flows: dict[str, Plain] = {
        name: "no gradient" if found[name] is None else "a gradient flows back" for name in inputs
    }
    return {"weight": data(weight), "gradients": flows}

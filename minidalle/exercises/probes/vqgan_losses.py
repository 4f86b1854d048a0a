"""How the losses and blocks of lesson 02 are called: with tensors that can be learned through, and what is learned.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_psnr(function: Function, pictures: Tensor, targets: Tensor) -> Plain:
    """The decibels; nothing is learned through them."""
    return function(pictures.clone(), targets.clone())


def probe_residual_block(function: Function, weights: dict[str, Any], x: Tensor, groups: int) -> Plain:
    """The block's output, and the gradient of its sum with respect to x."""
    own = {layer: {name: _learned(tensor) for name, tensor in tensors.items()} for layer, tensors in weights.items()}
    inputs = {"x": _learned(x)}
    output = function(own, inputs["x"], groups)
    return {"output": _data(output), "gradients": _gradients(output, inputs)}


def probe_gradient_loss(function: Function, pictures: Tensor, targets: Tensor, scales: int) -> Plain:
    """The loss and its gradient with respect to the pictures."""
    inputs = {"pictures": _learned(pictures)}
    loss = function(inputs["pictures"], targets.clone(), scales)
    return {"loss": _data(loss), "gradients": _gradients(loss, inputs)}


def probe_hinge_loss(function: Function, real: Tensor, fake: Tensor) -> Plain:
    """The loss and its gradients with respect to both kinds of logits."""
    inputs = {"real": _learned(real), "fake": _learned(fake)}
    loss = function(*inputs.values())
    return {"loss": _data(loss), "gradients": _gradients(loss, inputs)}


def probe_adaptive_weight(function: Function, rec_grad: Tensor, gan_grad: Tensor, clamp: float) -> Plain:
    """The weight, and whether a gradient flows back from it to what it was made from."""
    inputs = {"rec_grad": _learned(rec_grad), "gan_grad": _learned(gan_grad)}
    weight = function(*inputs.values(), clamp)
    found = _found(weight, inputs)
    gradients: dict[str, Plain] = {
        name: "no gradient" if found[name] is None else "a gradient flows back" for name in inputs
    }
    return {"weight": _data(weight), "gradients": gradients}


def _learned(tensor: Tensor) -> Tensor:
    """A copy that asks for a gradient."""
    return tensor.detach().clone().requires_grad_()


def _gradients(result: Any, inputs: dict[str, Tensor]) -> dict[str, Plain]:
    """The gradient of a result's sum with respect to each input; zeros where the result does not depend on it."""
    found = _found(result, inputs)
    return {name: torch.zeros_like(inputs[name]) if one is None else one for name, one in found.items()}


def _found(result: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor | None]:
    if not (isinstance(result, Tensor) and result.requires_grad):
        return dict.fromkeys(inputs)
    return dict(zip(inputs, torch.autograd.grad(result.sum(), list(inputs.values()), allow_unused=True), strict=True))


def _data(result: Any) -> Any:
    """A tensor without what it was made from; anything else as it is."""
    return result.detach() if isinstance(result, Tensor) else result

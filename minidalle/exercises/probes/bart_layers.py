"""How the layers, the loss and the schedule of lesson 03 are called.

Every call gets tensors of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_sequence_loss(function: Function, logits: Tensor, targets: Tensor, mask: Tensor | None) -> Plain:
    """The loss, and its gradient with respect to the logits."""
    learned = logits.detach().clone().requires_grad_()
    loss = function(learned, targets.clone(), None if mask is None else mask.clone())
    return {"loss": _data(loss), "gradients": {"logits": _gradient(loss, learned)}}


def probe_warmup_schedule(function: Function, steps: int, warmup: int, hold: float, decay: str) -> Plain:
    """The share of every step, from the first to the last."""
    return [function(step, steps, warmup, hold, decay) for step in range(steps)]


def _gradient(result: Any, learned: Tensor) -> Tensor:
    """The gradient of a result's sum; zeros where the result does not depend on what is learned."""
    if not (isinstance(result, Tensor) and result.requires_grad):
        return torch.zeros_like(learned)
    (found,) = torch.autograd.grad(result.sum(), [learned], materialize_grads=True)
    return found


def _data(result: Any) -> Any:
    """A tensor without what it was made from; anything else as it is."""
    return result.detach() if isinstance(result, Tensor) else result

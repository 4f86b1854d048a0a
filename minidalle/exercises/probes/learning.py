"""What probes need to learn through a student's function: copies that ask for gradients, and the gradients."""

from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Plain


def learned(tensor: Tensor) -> Tensor:
    """A copy that asks for a gradient."""
    return tensor.detach().clone().requires_grad_()


def all_learned(weights: dict[str, Any]) -> dict[str, Any]:
    """Such copies of weights, nested as they are."""
    return {name: all_learned(one) if isinstance(one, dict) else learned(one) for name, one in weights.items()}


def arriving(result: Any, inputs: dict[str, Tensor], slope: Tensor | None = None) -> dict[str, Tensor | None]:
    """What arrives at each input when `slope`, or 1 for each number, comes back to a result; None where nothing can."""
    if not (isinstance(result, Tensor) and result.requires_grad):
        return dict.fromkeys(inputs)
    slope = torch.ones_like(result) if slope is None else slope
    found = torch.autograd.grad(result, list(inputs.values()), slope, allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def gradients(result: Any, inputs: dict[str, Tensor], slope: Tensor | None = None) -> dict[str, Plain]:
    """`arriving`, with zeros where the result does not depend on an input."""
    found = arriving(result, inputs, slope)
    return {name: torch.zeros_like(inputs[name]) if one is None else one for name, one in found.items()}


def data(result: Any) -> Any:
    """A tensor without what it was made from; anything else as it is."""
    return result.detach() if isinstance(result, Tensor) else result

"""Sharpness-aware minimization: step by the gradient of the worst nearby point, not by that of the point itself."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minidalle.errors import require


def sam_perturbation(
    params: Sequence[Tensor], gradients: Sequence[Tensor], rho: float, adaptive: bool = False
) -> list[Tensor]:
    """The step of length rho that raises the loss most, as far as the gradient knows: ε = ρ g / ‖g‖.

    `global_norm` is the length of all parameters' tensors together. Two parameters of one weight each,
    gradients 3 and 4, rho 0.1: [[1.0], [2.0]], [[3.0], [4.0]] → [[0.06], [0.08]]. Adaptive, lengths are
    relative to the weights: ε = ρ w² ⊙ g / ‖|w| ⊙ g‖, number by number, here → [[0.035], [0.187]]. A
    gradient that is zero, or in which one number is not finite, has no direction, and all of ε is 0.

    Args:
        params: the weights w, tensors of any shapes.
        gradients: g, of the same shapes.
        rho: ρ, the length of ε; adaptive, that of ε / |w|.
        adaptive: whether lengths are relative to the weights.

    Returns:
        ε, a tensor per parameter. Source: Foret et al. 2021, equation 2; Kwon et al. 2021, equation 8.
    """
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho / norm * weight * part for weight, part in zip(weights, scaled, strict=True)]


def global_norm(tensors: Sequence[Tensor]) -> float:
    """The length of all tensors as one vector: [3], [4] → 5. Summed in float32 at least."""
    norms = [
        torch.linalg.vector_norm(tensor, dtype=torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors
    ]
    return torch.stack([norm.to(norms[0]) for norm in norms]).norm().item() if norms else 0.0


@contextmanager
def restored(params: Sequence[Tensor]) -> Iterator[None]:
    """Whatever happens inside, also an error or Ctrl-C: afterwards the weights are what they were, bit for bit."""
    before = [param.detach().clone() for param in params]
    try:
        yield
    finally:
        with torch.no_grad():
            for param, weights in zip(params, before, strict=True):
                param.copy_(weights)  # w + ε − ε would not be w


def sam_step(
    model: nn.Module, closure: Callable[[], Tensor], optimizer: Optimizer, rho: float, adaptive: bool = False
) -> Tensor:
    """One step of SAM, written out: the gradient at w + ε moves w.

    Args:
        model: all of whose weights that require gradients are moved to w + ε and back.
        closure: gives the loss of the batch, a scalar, and calls no `backward`; it is called twice.
        optimizer: takes the step.
        rho: see `sam_perturbation`.
        adaptive: see `sam_perturbation`.

    Returns:
        The loss at w, before the step. Source: Foret et al. 2021, algorithm 1.
    """
    params: list[Tensor] = [param for param in model.parameters() if param.requires_grad]
    loss = closure()
    gradients = torch.autograd.grad(loss, params, materialize_grads=True)
    with restored(params):
        with torch.no_grad():
            torch._foreach_add_(params, sam_perturbation(params, gradients, rho, adaptive))
        optimizer.zero_grad()
        closure().backward()
    optimizer.step()
    return loss.detach()


class SAM(Optimizer):
    """An optimizer that steps by the gradient at w + ε; the step itself is another optimizer's.

    Twice forward and backward, each in as many micro-batches as you like, then a step:

        loss().backward(); sam.ascend(); loss().backward(); sam.step(); sam.zero_grad()

    or `sam.step(closure)`, whose closure computes the loss, calls `backward` and returns it. With a GradScaler:
    `scaler.scale(loss()).backward()` both times, then `scaler.step(sam)`; ε does not depend on the scale, and if
    gradients overflowed, the weights only go back to where they were. Schedules may hold either optimizer.
    Batch norm sees both passes; dropout draws anew in the second.

    Args:
        base: the optimizer, whose groups, rates and state are used as they are.
        rho: see `sam_perturbation`; the norm is over all groups.
        adaptive: see `sam_perturbation`.

    Raises:
        InvalidValue: rho is negative or not finite; `ascend` twice, without gradients, or not at all.
    """

    _step_supports_amp_scaling = True  # a GradScaler then calls `step` after an overflow, too: weights must go back

    def __init__(self, base: Optimizer, rho: float = 0.05, adaptive: bool = False) -> None:
        require(0 <= rho < math.inf, "rho", rho, "a length, 0 or more")
        super().__init__(base.param_groups, base.defaults)
        self.base, self.rho, self.adaptive = base, rho, adaptive
        self._origins: list[tuple[Tensor, Tensor]] = []
        self._share()

    @torch.no_grad()
    def ascend(self) -> None:
        """Move the weights to w + ε, by the gradients that have been accumulated, and clear those."""
        require(not self._origins, "ascend", "the second in a row", "step() or restore() before it")
        params = [param for group in self.param_groups for param in group["params"] if param.grad is not None]
        require(len(params) > 0, "ascend", "no gradients", "a backward() before it")
        perturbation = sam_perturbation(params, [param.grad for param in params], self.rho, self.adaptive)
        self._origins = [(param, param.clone()) for param in params]
        torch._foreach_add_(params, perturbation)
        self.zero_grad()

    @torch.no_grad()
    def restore(self) -> None:
        """Put every weight back that `ascend` moved, whether or not it has a gradient now."""
        for param, origin in self._origins:
            param.copy_(origin)
        self._origins = []

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Put the weights back and take the base optimizer's step; with a closure, do both passes before.

        Returns:
            What the closure gave at w, before the step; None without one.
        """
        loss = None if closure is None else self._passes(closure)
        require(len(self._origins) > 0, "step", "weights not moved", "ascend() and a second backward() before it")
        self.restore()
        if not getattr(self, "found_inf", 0):
            self._unscale()
            self.base.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The base optimizer's state, rho and adaptive. Not between `ascend` and `step`, where w is elsewhere."""
        require(not self._origins, "state_dict", "between ascend() and step()", "before or after both")
        return {"base": self.base.state_dict(), "rho": self.rho, "adaptive": self.adaptive}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.base.load_state_dict(state_dict["base"])
        self.rho, self.adaptive = state_dict["rho"], state_dict["adaptive"]
        self._share()

    def _share(self) -> None:
        """Groups and state are the base optimizer's own, so that a schedule on either moves both."""
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def _passes(self, closure: Callable[[], Any]) -> Any:
        with torch.enable_grad():
            self.zero_grad()
            loss = closure()
            self.ascend()
            try:
                closure()
            except BaseException:
                self.restore()
                raise
        return loss

    def _unscale(self) -> None:
        """Divide a GradScaler's scale out of the gradients, if it did not do so itself."""
        scale = getattr(self, "grad_scale", None)
        if scale is not None:
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        param.grad.div_(scale.to(param.grad.device))

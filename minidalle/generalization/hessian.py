"""The curvature of a loss: its Hessian times a vector, and never the Hessian itself.

A model with P weights has P × P second derivatives, too many to write down. What they do to a vector costs a few
backward passes, and `minidalle.generalization.lanczos` finds eigenvalues, trace and density with nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from minidalle.errors import require

Product = Callable[[Tensor], Tensor]
"""A symmetric matrix as what it does to a vector: [P] → [P]."""


def hvp(loss_fn: Callable[[], Tensor], params: Sequence[Tensor], v: Tensor) -> Tensor:
    """The Hessian of a loss times a vector: Hv = ∇(∇L · v), two gradients instead of P.

    The slope along v is a number like any other, so it has a gradient. For the loss a² + 3ab of two
    weights (H = [[2, 3], [3, 0]]) and v = [1, 0] → [2, 3]. `check_params(params, v)` and
    `check_loss(loss)` refuse what would be silently wrong, `flatten` makes one vector of the parameters'
    gradients, and `second_derivatives(params)` is a context in which attention has them. A parameter that
    the loss does not use has a row and a column of zeros. The slope of a linear loss depends on no
    weight: `slope.requires_grad` is False, there is nothing to take a gradient of, and Hv is 0. (A slope
    of 0 is no sign of that: it is 0 at every minimum.) Dropout would make every product another matrix's:
    the model should be in eval mode.

    Args:
        loss_fn: gives the loss, a scalar, of the same data each time. It is called once.
        params: float32 or float64 tensors that require gradients, P numbers altogether, each listed once.
        v: float [P], in the order of `params`; of another precision, it is converted to theirs.

    Returns:
        [P], converted back to v's precision. What is in `.grad` stays as it was; the random streams do so
        in the context. Source: Pearlmutter 1994.

    Raises:
        InvalidValue: bfloat16 or tied parameters, a vector of another size, a loss that is no finite
            scalar.
    """
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slope = flatten(torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)) @ v.to(params[0])
        if not slope.requires_grad:  # a linear loss
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v)


def dense_hessian(loss_fn: Callable[[], Tensor], params: Sequence[Tensor]) -> Tensor:
    """The whole Hessian of a tiny model, column by column: float64 [P, P], for P up to 5,000."""
    size = count(params)
    require(size <= 5000, "params", size, "at most 5,000 numbers: the Hessian has as many rows and columns")
    return torch.stack([hvp(loss_fn, params, unit) for unit in torch.eye(size, dtype=torch.float64)], dim=1)


def rescaled(product: Product, params: Sequence[Tensor]) -> Product:
    """The product of |W| H |W|: curvature per relative change of a weight, v → |w| ⊙ H(|w| ⊙ v).

    Multiplying a weight by a number and dividing another by it leaves the loss as it is and can make H's largest
    eigenvalue as large as you like (Dinh et al. 2017); that of |W| H |W| stays.

    Args:
        product: H's.
        params: the weights, P numbers altogether.
    """
    sizes = flatten([param.detach() for param in params]).abs().cpu()  # where float64 is; not every GPU has it
    return lambda v: sizes.to(v) * product(sizes.to(v) * v)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of any shapes as one vector: two of [2, 3] and [4] → [10]."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Undo `flatten`: [P] → tensors of the shapes of `like`, which are views of the vector."""
    pieces = vector.split([tensor.numel() for tensor in like])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]


def count(params: Sequence[Tensor]) -> int:
    """P, how many numbers the parameters are altogether."""
    return sum(param.numel() for param in params)


@contextmanager
def second_derivatives(params: Sequence[Tensor]) -> Iterator[None]:
    """A room for second derivatives: gradients on, exact attention, full precision, random streams put back.

    PyTorch's fused attention has no second derivative, on a CPU either, so its plain form is taken. A training
    may have autocast or `no_grad` around it; here neither holds.
    """
    device = params[0].device
    devices = [device] if device.type == "cuda" else []
    plain, precise = sdpa_kernel(SDPBackend.MATH), torch.autocast(device.type, enabled=False)
    with torch.random.fork_rng(devices), torch.enable_grad(), plain, precise:
        yield


def check_params(params: Sequence[Tensor], v: Tensor | None = None) -> None:
    """Refuse parameters, or a vector for them, whose second derivatives would be none or wrong.

    Raises:
        InvalidValue: it says which, and why.
    """
    require(len(params) > 0, "params", params, "one tensor or more: a model without parameters has no curvature")
    dtypes = {param.dtype for param in params}
    known = len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
    reason = "all float32 or all float64: fewer digits drown curvature; take model.float()"
    require(known, "params", sorted(map(str, dtypes)), reason)
    require(len({param.device for param in params}) == 1, "params", "several devices", "all on one device")
    fixed = [tuple(param.shape) for param in params if not param.requires_grad]
    require(not fixed, "params", f"{len(fixed)} fixed, the first {fixed[:1]}", "requires_grad: leave fixed ones out")
    tied = len(params) - len({id(param) for param in params})
    require(not tied, "params", f"{tied} listed twice", "each tensor once: tied weights are one weight, not two")
    if v is not None:
        require(v.shape == (count(params),), "v", tuple(v.shape), f"a vector of {count(params)}, as many as weights")
        require(v.is_floating_point(), "v", v.dtype, "floats")


def check_loss(loss: Tensor) -> None:
    """Refuse a loss that has no gradient to speak of.

    Raises:
        InvalidValue: it is no scalar, not finite, or no function of anything that requires gradients.
    """
    require(loss.dim() == 0, "loss", tuple(loss.shape), "a scalar")
    require(bool(loss.isfinite()), "loss", loss.item(), "a finite number")
    require(loss.requires_grad, "loss", loss.item(), "a function of the parameters")

"""How a batch's gradients come about: at once, or in parts that need less memory; by plain or by compiled code."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from minidalle.errors import require

Batch = tuple[Tensor, ...]
Losses = dict[str, Tensor]


def add_gradients(module: nn.Module, batch: Batch, parts: int, losses: Callable[[Batch], Losses]) -> Losses:
    """Go forward and back, and leave the gradient of `loss` in the parameters.

    In parts, the activations of one part at a time are kept. Each part counts as much as it has rows, so that loss
    and gradient are those of the whole batch, up to rounding, if the loss is a mean over rows. Ranks exchange their
    gradients once, after the last part.

    Args:
        module: what the losses go through; DDP's, where ranks train together.
        batch: tensors of B rows each.
        parts: into how many to cut it.
        losses: a batch → its numbers by name, scalars; `loss` is what the gradient is of.

    Returns:
        The numbers of the whole batch, without gradients.
    """
    pieces = list(zip(*(tensor.chunk(parts) for tensor in batch), strict=True))
    total: Losses = {}
    for place, piece in enumerate(pieces, start=1):
        share = len(piece[0]) / len(batch[0])
        waits = place < len(pieces) and isinstance(module, DistributedDataParallel)
        with module.no_sync() if waits else nullcontext():  # type: ignore[operator]  # a module's attribute, to mypy
            found = losses(piece)
            (share * found["loss"]).backward()
        for name, value in found.items():
            total[name] = total.get(name, 0) + share * value.detach()
    return total


def checkpointed(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    """Let the parts of these kinds keep their input alone, and run again on the way back (Chen et al. 2016)."""
    for part in module.modules():
        if isinstance(part, kinds):
            part.forward = partial(checkpoint, part.forward, use_reentrant=False)


def apart(module: nn.Module) -> None:
    """Let this part run as plain code within a compiled module.

    A gradient of its weights then stops there: compiled code goes back as a whole, and but once.
    """
    module.forward = torch.compiler.disable(module.forward)


def compiled(module: nn.Module, wanted: bool = True) -> nn.Module:
    """The module as code that `torch.compile` makes on the first step, with the same parameters; itself if not wanted.

    Raises:
        InvalidValue: there is no compiler to make it with.
    """
    if not wanted:
        return module
    device = next(module.parameters()).device
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        require(has_triton(), "compile", True, "False, or triton (pip install triton) for code on a GPU")
    else:
        names = (os.environ.get("CXX", ""), "g++", "clang++", *(["cl"] if sys.platform == "win32" else []))
        found = any(shutil.which(name) for name in names)
        require(found, "compile", True, "False, or a C++ compiler such as g++ on the PATH")
    return torch.compile(module)  # type: ignore[return-value]  # a module gives a module

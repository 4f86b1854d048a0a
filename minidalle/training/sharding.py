"""One model split over the ranks (torch's FSDP2): each holds a share of every tensor, and a whole layer in its turn.

Weights, gradients, the optimizer's state and the averaged weights take one rank's share of the room each. What is
saved is whole tensors, as without: a checkpoint does not say how many ranks there were, or whether they shared.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

from minidalle.errors import require
from minidalle.training.distributed import Ranks
from minidalle.training.snapshots import Tensors

Model = TypeVar("Model", bound=nn.Module)


def split(module: nn.Module, ranks: Ranks) -> nn.Module:
    """Split a module's parameters over the ranks, in place, by their first dimension.

    A layer (a module in a `ModuleList`) is put together when it is called and taken apart after; all that is in
    no layer, when the module is called. Both must be called, not looked into. Gradients are means over the ranks.

    Args:
        module: whose parameters are the same on all ranks.
        ranks: two or more.

    Returns:
        The module itself.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    require(ranks.size > 1, "--shard-model", True, "2 ranks or more, to share the model")
    mesh = init_device_mesh(next(module.parameters()).device.type, (ranks.size,))
    for stack in [child for child in module.modules() if isinstance(child, nn.ModuleList)]:
        for layer in stack:
            fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from all ranks' shares, if it is split; all ranks must ask at once."""
    return tensor.full_tensor() if _is_split(tensor) else tensor  # type: ignore[attr-defined]


def gathered(tensors: Tensors, ranks: Ranks) -> Tensors:
    """Tensors for a checkpoint: those that are split are put together on rank 0's CPU, one after the other.

    All ranks must ask at once; the others get only what was not split.
    """
    found = {}
    for name, tensor in tensors.items():
        if not _is_split(tensor):
            found[name] = tensor
        elif one := [whole(tensor)][: ranks.first]:
            found[name] = one[0].cpu()
    return found


def split_like(place: Tensor, value: Tensor) -> Tensor:
    """This rank's share of a whole tensor, for the place of a split one; for another place, the tensor as it is."""
    if not _is_split(place):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(place.device), place.device_mesh, place.placements, src_data_rank=None)  # type: ignore[attr-defined]  # fmt: skip


def load_whole(module: nn.Module, tensors: Tensors) -> None:
    """Load a state of whole tensors into a module that may be split."""
    places = module.state_dict()
    module.load_state_dict({name: split_like(places.get(name, value), value) for name, value in tensors.items()})


@torch.no_grad()
def put_together(module: nn.Module, copy: Model) -> Model:
    """Fill a whole copy of a split module with its numbers; all ranks must ask at once.

    Args:
        module: split or not.
        copy: of the same shape, perhaps without memory (on torch's `meta` device).
    """
    copy = copy.to_empty(device=next(module.parameters()).device)
    places = copy.state_dict()
    for name, tensor in module.state_dict().items():
        places[name].copy_(whole(tensor))
    return copy


def _is_split(tensor: Tensor) -> bool:
    return hasattr(tensor, "full_tensor")

"""Tensors that lie in somebody else's file: what is there is known at once, and read one by one when it is needed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minidalle.checkpoint import CheckpointError

MOST_NAMED = 40  # keys that one message lists


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        shape: its shape.
        dtype: of its numbers.
        read: gives it, or with a number only this entry of its first axis.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[int | None], Tensor]


@dataclass(frozen=True)
class Leaf:
    """Where one of our tensors is in a published file.

    Attributes:
        name: its name there.
        layer: which entry of the first axis it is, where the file stacks layers.
        axes: the order of its axes there that is the order of ours; None for the same.
        or_ones: whether the file may leave it out, which means ones: a scale that changes nothing.
    """

    name: str
    layer: int | None = None
    axes: tuple[int, ...] | None = None
    or_ones: bool = False


Layout = Callable[[str], Leaf]
"""A naming scheme: the name of one of our tensors → where it is."""

Tree = Mapping[str, Stored]
"""All that a file holds, by its own names."""


def is_there(tree: Tree, leaf: Leaf) -> bool:
    """Whether a file has what a leaf asks for."""
    stored = tree.get(leaf.name)
    return stored is not None and (leaf.layer is None or leaf.layer < (stored.shape or (0,))[0])


def shape_of(tree: Tree, leaf: Leaf, axes: int | None = None) -> tuple[int, ...]:
    """The shape that a leaf would have in our model; with a number of axes, if it has these.

    Raises:
        CheckpointError: the file has no such tensor, or one with another number of axes.
    """
    if not is_there(tree, leaf):
        raise CheckpointError(f"missing: {leaf.name}")
    shape = tree[leaf.name].shape[leaf.layer is not None :]
    axes = axes if leaf.axes is None else len(leaf.axes)
    if axes is not None and len(shape) != axes:
        raise CheckpointError(f"{leaf.name} has the shape {list(tree[leaf.name].shape)}: expected {axes} axes")
    return shape if leaf.axes is None else tuple(shape[axis] for axis in leaf.axes)


def read_leaf(tree: Tree, leaf: Leaf) -> Tensor:
    """A tensor as our model has it."""
    tensor = tree[leaf.name].read(leaf.layer)
    return tensor if leaf.axes is None else tensor.permute(leaf.axes)


def plan(model: nn.Module, layout: Layout) -> dict[str, Leaf]:
    """Where each tensor of a model is in a published file, by our name."""
    return {name: layout(name) for name in model.state_dict()}


def check(tree: Tree, model: nn.Module, layout: Layout) -> None:
    """Make sure that a file has exactly what a model needs.

    Args:
        tree: what the file holds.
        model: may be on the `meta` device: only names and shapes are looked at.
        layout: the file's naming scheme.

    Raises:
        CheckpointError: names every key that is missing or unexpected, and every wrong shape with the right one.
    """
    leaves, complaints = plan(model, layout), []
    missing = {leaf.name for leaf in leaves.values() if not is_there(tree, leaf) and not leaf.or_ones}
    unexpected = tree.keys() - {leaf.name for leaf in leaves.values()}
    complaints += [listed("missing", missing)] if missing else []
    complaints += [listed("unexpected", unexpected)] if unexpected else []
    complaints += _stacks(tree, leaves)
    for name, weight in model.state_dict().items():
        leaf = leaves[name]
        if is_there(tree, leaf) and (found := shape_of(tree, leaf)) != tuple(weight.shape):
            place = leaf.name if leaf.layer is None else f"{leaf.name}, layer {leaf.layer},"
            complaints.append(f"{place} has the shape {list(found)}: expected {list(weight.shape)}")
        if is_there(tree, leaf) and not tree[leaf.name].dtype.is_floating_point:
            complaints.append(f"{leaf.name} has numbers of the kind {tree[leaf.name].dtype}: expected floating point")
    if complaints:
        raise CheckpointError("; ".join(dict.fromkeys(complaints)))


def _stacks(tree: Tree, leaves: Mapping[str, Leaf]) -> list[str]:
    """Stacks of more layers than the model has."""
    layers = {leaf.name: leaf.layer + 1 for leaf in leaves.values() if leaf.layer is not None}
    return [
        f"{name} has {tree[name].shape[0]} layers: expected {count}"
        for name, count in layers.items()
        if name in tree and tree[name].shape[0] > count
    ]


def listed(what: str, names: Collection[str]) -> str:
    """`what: a, b, c`, in order and not endlessly."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what}: {', '.join(sorted(names)[:MOST_NAMED])}{more}"

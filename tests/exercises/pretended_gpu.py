"""Tensors that say they are on a GPU, and refuse to be mixed with others: finds what a GPU would, without one.

They are on the CPU. Inside `pretended_gpu()` the device "cuda" makes them; what is made without a device is not
one of them, and meets them as on a GPU: with an error, unless it is a single number or copied on purpose.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

GPU, CPU = torch.device("cuda"), torch.device("cpu")
CROSSES = {"copy_", "__setitem__", "__getitem__", "to", "cuda", "type_as", "load_state_dict"}  # take any device
READS = {"tolist", "item", "__bool__", "__int__", "__float__", "__index__", "__len__", "__format__", "__repr__",
         "__contains__", "size", "dim", "numel", "stride", "is_contiguous"}  # fmt: skip
MOVES = {"to", "cpu", "cuda", "type_as"}


class Pretender(Tensor):
    """A tensor on a GPU that is not there."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pretender":
        return self.detach().clone().requires_grad_(self.requires_grad)


class _Mode(TorchFunctionMode):
    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        name = getattr(getattr(func, "__self__", None), "__name__", "") if name == "__get__" else name
        leaves = [*_leaves(args), *_leaves(kwargs)]
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        away = any(isinstance(one, Pretender) for one in given)
        if name == "device" and given:
            return GPU if isinstance(given[0], Pretender) else CPU
        if name == "is_cuda" and given:
            return isinstance(given[0], Pretender)
        if name == "numpy" and away:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        alone = [one for one in given if not isinstance(one, Pretender) and one.dim()]
        if away and name == "__getitem__":
            alone = [] if isinstance(given[0], Pretender) else given[:1]  # an index may be on the CPU
        if away and alone and name not in CROSSES - {"__getitem__"}:
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda and cpu ({name})")
        wanted = _wanted(name, args, kwargs, away)
        if any(isinstance(leaf, torch.device | str) for leaf in leaves):
            args, kwargs = _plain_devices(args), _plain_devices(kwargs)
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
        if name in READS or (name.endswith("_") and not name.startswith("__")):
            return result
        mark = _marked if wanted else _unmarked
        return mark(result) if isinstance(result, Tensor) else tree_map_only(Tensor, mark, result)


def _leaves(value: Any) -> Iterator[Any]:
    """What lies in tuples, lists and dicts, at any depth: torch's own way there is slow, and this is for every call."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _leaves(part)
    else:
        yield value


def _wanted(name: str, args: Any, kwargs: Any, away: bool) -> bool:
    """Whether the results are on the GPU."""
    asked = [leaf for leaf in _leaves((args[1:] if name in MOVES else (), kwargs))
             if isinstance(leaf, torch.device | Tensor) or leaf in ("cuda", "cpu")]  # fmt: skip
    if name in MOVES or any(not isinstance(leaf, Tensor) for leaf in asked):
        if name in ("cpu", "cuda"):
            return name == "cuda"
        asked = asked if name in MOVES else [leaf for leaf in asked if not isinstance(leaf, Tensor)]
        if asked:
            return isinstance(asked[0], Pretender) or str(asked[0]).startswith("cuda")
    return away


def _plain_devices(value: Any) -> Any:
    value = tree_map_only(torch.device, lambda _: CPU, value)
    return tree_map_only(str, lambda text: "cpu" if text == "cuda" else text, value)


def _marked(tensor: Tensor) -> Tensor:
    return tensor if isinstance(tensor, Pretender) else tensor.as_subclass(Pretender)


def _unmarked(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Tensor) if isinstance(tensor, Pretender) else tensor


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let "cuda" be a device, and tensors on it be pretenders."""
    device = mock.patch("minidalle.course.checking.answer.pick_device", str)
    streams = mock.patch("torch.random.fork_rng", return_value=nullcontext())  # a GPU's own are not there
    with _Mode(), device, streams:
        yield

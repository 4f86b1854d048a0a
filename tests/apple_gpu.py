"""A stand-in for tensors on Apple's GPUs, which have no float64."""

from typing import Any

import torch


class OnApple(torch.Tensor):
    """Refuses float64; `cpu`, or `to` with the CPU and no more, brings it to where there is some."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what torch does, unless float64 comes of it."""
        if func is torch.Tensor.cpu or (func is torch.Tensor.to and args[1:] == (torch.device("cpu"),)):
            return args[0].as_subclass(torch.Tensor)
        result = super().__torch_function__(func, types, args, kwargs)
        if isinstance(result, OnApple) and result.dtype == torch.float64:
            raise TypeError("the MPS framework doesn't support float64")
        return result

"""What every room needs to run: streams of randomness, a device, a precision, a view of a module's weights."""

import hashlib
import operator
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from minidalle.errors import InvalidValue, require

Weights = dict[str, Any]
"""Parameters by name, nested as the modules are: `weights["query"]["bias"]` is a tensor."""

PRECISIONS = ("fp32", "bf16")


def stream_seed(seed: int, *stream: int | str) -> int:
    """A 63-bit seed that depends on `seed` and the whole name of a stream, and on nothing else.

    Two streams with different names are independent, so a draw that is added to one never moves another:
    `stream_seed(0, "dropout", 17)` is the same before and after a resume. NumPy's 17 and a tensor's are the same 17.

    Raises:
        InvalidValue: a part of the name is neither text nor a whole number, such as 17.0.
    """
    parts = [f"str:{part}" if isinstance(part, str) else f"int:{_whole('stream', part)}" for part in stream]
    name = "/".join([str(_whole("seed", seed)), *parts])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1


def _whole(field: str, value: int) -> int:
    """A whole number of any type as an int: what is written of others, such as tensors, differs from it."""
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidValue(f"{field}={value!r}: expected a whole number") from None


def generator(seed: int, *stream: int | str) -> torch.Generator:
    """A torch generator (on the CPU) for one stream; see `stream_seed`."""
    return torch.Generator().manual_seed(stream_seed(seed, *stream))


def numpy_generator(seed: int, *stream: int | str) -> np.random.Generator:
    """A NumPy generator for one stream; see `stream_seed`."""
    return np.random.default_rng(stream_seed(seed, *stream))


def pick_device(name: str = "auto") -> torch.device:
    """The device to run on: `auto` takes a CUDA GPU if there is one, else the CPU. Apple's is taken when named.

    Raises:
        InvalidValue: `name` is no device, or one that this machine does not have.
    """
    found = ["cpu"]
    found += ["mps"] if torch.backends.mps.is_available() else []
    found += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))] if torch.cuda.is_available() else []
    if name == "auto":
        name = "cuda" if "cuda" in found else "cpu"
    why = f" ({why_no_cuda()})" if name.startswith("cuda") and "cuda" not in found else ""
    require(name in found, "device", name, f"auto or one of {', '.join(found)}{why}")
    return torch.device(name)


def why_no_cuda() -> str:
    """Why there is no CUDA GPU, where there is none: torch was built for others, or sees none."""
    built = torch.backends.cuda.is_built()
    return f"torch {torch.__version__} {'has CUDA, but sees no GPU' if built else 'is built without CUDA'}"


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """The mixed-precision context of `precision`: `bf16` autocasts matrix products, `fp32` does nothing."""
    require(precision in PRECISIONS, "precision", precision, f"one of {', '.join(PRECISIONS)}")
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def weights_of(module: nn.Module) -> Weights:
    """A module's parameters and buffers as nested dicts, for the pure functions that take weights.

    The tensors are the module's own, not copies; an entry that is None (a layer without bias) is left out.
    """
    own = {**module._parameters, **module._buffers}
    weights: Weights = {name: tensor for name, tensor in own.items() if tensor is not None}
    weights |= {name: weights_of(child) for name, child in module.named_children()}
    return weights


def are_ours(functions: Mapping[str, Sequence[str]]) -> bool:
    """Whether none of these functions, by the module that defines them, has been replaced by a student's."""
    return all(
        getattr(getattr(sys.modules[home], name), "__module__", None) == home
        for home, names in functions.items()
        for name in names
    )

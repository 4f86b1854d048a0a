"""torch's pickled checkpoints: their tensors only. Nothing that such a file names is imported, called or run."""

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from minidalle.checkpoint import CheckpointError
from minidalle.published.stored import Stored, listed

BYSTANDERS = ("pytorch_lightning", "lightning", "omegaconf", "numpy", "typing")
"""Packages whose objects lie beside the weights in training checkpoints; an `Inert` takes the place of each."""


class Inert:
    """What stands for an object of a training program: it takes whatever the file says of it, and does nothing."""

    def __new__(cls, *args: Any, **named: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_torch(path: Path) -> dict[str, Stored]:
    """The tensors of a state dict, or of a training checkpoint's `state_dict`, by name.

    The file is mapped into memory, so that only what is used of it is read.

    Raises:
        CheckpointError: the file is damaged, holds something else than tensors, or names code; nothing was run.
    """
    state = _load(path)
    state = state["state_dict"] if isinstance(state, dict) and isinstance(state.get("state_dict"), dict) else state
    if not isinstance(state, dict) or not state:
        raise CheckpointError(f"cannot use {path}: expected tensors by name, found {type(state).__name__}")
    odd = [f"{name} ({type(value).__name__})" for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        raise CheckpointError(f"cannot use {path}: {listed('no tensors', odd)}")
    return {str(name): _stored(tensor) for name, tensor in state.items()}


def _stored(tensor: Tensor) -> Stored:
    return Stored(tuple(tensor.shape), tensor.dtype, lambda layer: tensor if layer is None else tensor[layer])


def _load(path: Path) -> Any:
    """What a checkpoint holds, with torch's reader that knows tensors, numbers and texts, and no other objects."""
    try:
        new_format = zipfile.is_zipfile(path)
        named = set(get_unsafe_globals_in_checkpoint(path)) if new_format else set()
        code = {name for name in named if name.split(".")[0] not in BYSTANDERS}
        if code:
            raise CheckpointError(f"cannot use {path}: it is not only tensors, {_asks(code)}")
        with safe_globals([(Inert, name) for name in sorted(named)]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of a pickle's protocol, which its reader cannot change
            return torch.load(path, map_location="cpu", weights_only=True, mmap=new_format)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):  # an older file: not listed above
            raise CheckpointError(f"cannot use {path}: it is not only tensors, {_asks(_globals(error))}") from error
        raise CheckpointError(f"cannot read {path}: {_first_line(error)}") from error
    except Exception as error:  # torch's reader raises errors of a dozen kinds
        raise CheckpointError(f"cannot read {path}: damaged, or no file of torch's: {_first_line(error)}") from error


def _asks(names: set[str]) -> str:
    return f"but asks for {', '.join(sorted(names))}; a file can run any code that way. Nothing of it was run"


def _globals(error: Exception) -> set[str]:
    """The name that torch's reader refused, from its long message."""
    return set(re.findall(r"GLOBAL (\w[\w.]*)", str(error))) or {"code"}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

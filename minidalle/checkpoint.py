"""Files that are either whole or not there: safetensors for numbers, JSON for words, each written atomically."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from minidalle.errors import require

Model = TypeVar("Model", bound=nn.Module)

DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""safetensors' names of the kinds of numbers that a model can have."""


class CheckpointError(RuntimeError):
    """A file that could not be written, or that is not what it should be. Its message names the file."""


def atomic_write(path: Path, content: bytes | str | Callable[[Path], None]) -> None:
    """Write a file so that a reader, a crash or a full disk sees the old file or the new one, never half of one.

    Args:
        path: the file; its folder is made if need be. What is there and no file, as /dev/stdout or a pipe, stays what
            it is: the content is sent there.
        content: what to write, or a function that writes it to the path that it is given.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; the old file, if any, is untouched.
    """
    path = Path(path)
    draft, place = "", None if _is_no_file(path) else path.parent
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=place, prefix=f".{path.name}.", suffix=".part")
        _fill(handle, Path(draft), content)
        if place is None:
            with open(path, "ab") as stream:
                stream.write(Path(draft).read_bytes())
        else:
            os.chmod(draft, 0o666 & ~_umask())  # mkstemp makes files that only their owner may read
            os.replace(draft, path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if draft and os.path.exists(draft):
            os.unlink(draft)


def _is_no_file(path: Path) -> bool:
    """Whether there is something that may not be replaced: a device, a pipe, or a name that the system has for one."""
    return path.exists() and not path.is_dir() and (not path.is_file() or path.parent == Path("/dev"))


def _fill(handle: int, draft: Path, content: bytes | str | Callable[[Path], None]) -> None:
    with os.fdopen(handle, "wb") as file:
        if not callable(content):
            file.write(content.encode() if isinstance(content, str) else content)
    if callable(content):
        content(draft)
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())  # a rename must not become durable before the bytes it names


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name to one safetensors file, atomically. Any device; read back on the CPU."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    atomic_write(path, safetensors.torch.save(whole, dict(metadata or {})))


def stream_tensors(
    path: Path,
    kinds: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    read: Callable[[str], Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file as `save_tensors` does, with one tensor at a time in memory.

    Args:
        path: the file.
        kinds: the dtype and shape of each tensor, by name.
        read: gives the tensor of a name; it is called once for each, and what it gave is let go.
        metadata: text by name.
    """
    names = sorted(kinds, key=lambda name: (-kinds[name][0].itemsize, name))  # numbers lie at multiples of their size
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        dtype, shape = kinds[name]
        start, end = end, end + dtype.itemsize * math.prod(shape)
        header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write(draft: Path) -> None:
        with open(draft, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                tensor = read(name)
                require((tensor.dtype, tuple(tensor.shape)) == kinds[name], name, tensor.shape, f"{kinds[name]}")
                file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)

    atomic_write(path, write)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote.

    Raises:
        CheckpointError: the file is missing, truncated or no safetensors file.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {_reason(error)}") from error


def save_json(path: Path, value: Any) -> None:
    """Write JSON, atomically and indented, as a person would want to read it."""
    atomic_write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CheckpointError: the file is missing, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"  # torch's have many lines


def save_model(path: Path, module: nn.Module, config: Any, dtype: torch.dtype | None = None) -> None:
    """Write a module's weights and its config (a flat dataclass) to one file that describes itself.

    Args:
        path: the file.
        module: the model.
        config: what its weights were made from.
        dtype: of the floating-point numbers in the file; None leaves them. float16 takes half of float32's room.
    """
    tensors = {
        name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        for name, tensor in module.state_dict().items()
    }
    save_tensors(path, tensors, {"config": json.dumps(asdict(config))})


def load_model(path: Path, build: Callable[..., Model], dtype: torch.dtype | None = None) -> Model:
    """Read what `save_model` wrote; the model is in eval mode, on the CPU.

    The model is built without memory, and each tensor is read into its place: no more is needed than the model takes,
    and one tensor of the file.

    Args:
        path: the file.
        build: makes the untrained model from the config's fields, by name.
        dtype: of the model's floating-point numbers; None: of the type that `build` makes, float32.

    Raises:
        CheckpointError: the file is damaged, or does not hold this kind of model. Every name that is missing or
            unexpected is listed.
    """
    names, metadata = _contents(path)
    try:
        with torch.device("meta"):
            model = build(**json.loads(metadata["config"]))
        places = model.state_dict()
        tensors = {}
        for name in names:
            tensor = load_tensor(path, name)
            wanted = places[name].dtype if name in places else tensor.dtype
            wanted = dtype if dtype is not None and wanted.is_floating_point else wanted
            tensors[name] = tensor.to(wanted, copy=True)
            del tensor  # or it would be in memory while the next one is read
        model.load_state_dict(tensors, strict=True, assign=True)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not hold such a model: {_reason(error)}") from error
    return model.eval()


def load_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a safetensors file. The file is opened for it alone, so that what was read can be let go.

    Raises:
        CheckpointError: the file is missing or damaged, or has no such tensor.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.get_tensor(name)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {_reason(error)}") from error


def _contents(path: Path) -> tuple[list[str], dict[str, str]]:
    """The names and the metadata of a safetensors file."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return list(file.keys()), file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {_reason(error)}") from error

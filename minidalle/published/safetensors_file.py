"""safetensors files: the tensors of one, or of a folder's numbered parts."""

from pathlib import Path

import safetensors
from torch import Tensor

from minidalle.checkpoint import DTYPES, CheckpointError, load_json, load_tensor
from minidalle.published.stored import Stored, listed

_KINDS = {name: dtype for dtype, name in DTYPES.items()}


def read_safetensors(path: Path) -> dict[str, Stored]:
    """The tensors of a file, by name.

    Raises:
        CheckpointError: the file is missing, cut off or no safetensors file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            names = list(file.keys())
            slices = {name: file.get_slice(name) for name in names}
            shapes = {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    odd = sorted(name for name, (_, kind) in shapes.items() if kind not in _KINDS)
    if odd:
        raise CheckpointError(f"cannot use {path}: {odd[0]} has numbers of the kind {shapes[odd[0]][1]}")
    return {name: _stored(path, name, shape, kind) for name, (shape, kind) in shapes.items()}


def read_parts(index: Path) -> dict[str, Stored]:
    """The tensors of all files that an index names, `model.safetensors.index.json`.

    Raises:
        CheckpointError: a part is missing or damaged; every missing part is named.
    """
    table = load_json(index)
    names = table.get("weight_map") if isinstance(table, dict) else None
    parts = sorted({Path(str(part)).name for part in names.values()}) if isinstance(names, dict) else []
    there = {path.name for path in index.parent.iterdir()}
    missing = [part for part in parts if part not in there]
    if missing or not parts:
        raise CheckpointError(f"cannot read {index}: {listed('missing', missing) if parts else 'it names no parts'}")
    return {name: stored for part in parts for name, stored in read_safetensors(index.parent / part).items()}


def _stored(path: Path, name: str, shape: tuple[int, ...], kind: str) -> Stored:
    def read(layer: int | None) -> Tensor:
        tensor = load_tensor(path, name)
        return tensor if layer is None else tensor[layer]

    return Stored(shape, _KINDS[kind], read)

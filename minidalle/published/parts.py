"""A model in somebody else's files: found, compared with what ours needs, ready to be read tensor by tensor."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from minidalle.bart import Bart
from minidalle.checkpoint import CheckpointError, load_json
from minidalle.errors import InvalidValue
from minidalle.published import flax_bart, min_dalle, transformers_bart, vqgan_names
from minidalle.published.dalle_shape import dalle_config
from minidalle.published.fields import whole
from minidalle.published.flax_file import read_flax
from minidalle.published.safetensors_file import read_parts, read_safetensors
from minidalle.published.sources import INDEX, TORCH_MINI, Kind, the_file
from minidalle.published.stored import Layout, Stored, Tree, check
from minidalle.published.torch_file import read_torch
from minidalle.vqgan import VQGAN

AS_TRAINED, AS_DALLE_FED = (-1.0, 1.0), (0.0, 1.0)
"""taming trains its VQGAN on pixels from −1 to 1; DALL·E mini gave it pixels from 0 to 1, and learned their tokens."""


Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Part(Generic[Model]):
    """A model without memory, and where its tensors are.

    Attributes:
        model: on the `meta` device.
        tree: what the files hold.
        layout: the files' naming scheme.
    """

    model: Model
    tree: Tree
    layout: Layout


def read_vqgan(folder: Path, kind: Kind, pixel_range: tuple[float, float]) -> Part[VQGAN]:
    """The VQGAN of a folder.

    Args:
        folder: where the files are.
        kind: what they are.
        pixel_range: what pixels in [0, 1] become inside the model.

    Raises:
        CheckpointError: a file is damaged, or holds something else; every key that is wrong is named.
    """
    fields, layout = dict[str, Any](), vqgan_names.detoker_layout
    if kind.name == "taming":
        path, layout = the_file(folder, "*.ckpt"), vqgan_names.taming_layout
        tree: Tree = vqgan_names.without_losses(read_torch(path))
        fields = {"resolution": resolution(folder) or vqgan_names.SIDE}
    elif kind.name == "flax":
        path, layout = folder / "flax_model.msgpack", vqgan_names.flax_layout
        tree, fields = read_flax(path), fields_of(folder)
    else:
        path = folder / "detoker.pt"
        tree = read_torch(path)
    with _about(path), torch.device("meta"):
        side = whole(fields, "resolution", vqgan_names.SIDE)
        model = VQGAN(vqgan_names.vqgan_config(tree, layout, side, pixel_range))
        check(tree, model, layout)
    return Part(model, tree, layout)


def read_dalle(folder: Path, kind: Kind, codes: int) -> Part[Bart]:
    """The BART of a DALL·E mini.

    Args:
        folder: where the files are.
        kind: what they are, flax's or torch's.
        codes: of the VQGAN that it goes with.

    Raises:
        CheckpointError: a file is damaged, or holds something else; every key that is wrong is named.
    """
    fields: dict[str, Any] = {}
    if kind.name == "flax":
        path, fields = folder / "flax_model.msgpack", fields_of(folder)
        tree: Tree = read_flax(path)
        layout = flax_bart.layout(flax_bart.is_scanned(tree))
    else:
        end = "_mini.pt" if kind is TORCH_MINI else ".pt"
        path, layout = folder, min_dalle.layout
        sides = {side: read_torch(folder / f"{side}{end}") for side in ("encoder", "decoder")}
        tree = {f"{side}.{name}": stored for side, half in sides.items() for name, stored in half.items()}
    with _about(path), torch.device("meta"):
        model = Bart(dalle_config(tree, layout, codes, fields))
        check(tree, model, layout)
    return Part(model, tree, layout)


def read_classic(folder: Path) -> Part[Bart]:
    """A classic BART of the library `transformers`.

    Raises:
        CheckpointError: a file is damaged, or holds something else; every key that is wrong is named.
    """
    index, path = folder / INDEX, folder / "model.safetensors"
    tree: dict[str, Stored] = read_safetensors(path) if path.exists() else read_parts(index)
    with _about(folder), torch.device("meta"):
        tree = transformers_bart.plain_tree(tree)
        model = Bart(transformers_bart.config_of(fields_of(folder)))
        check(tree, model, transformers_bart.layout)
    return Part(model, tree, transformers_bart.layout)


def fields_of(folder: Path) -> dict[str, Any]:
    """What a `config.json` says.

    Raises:
        CheckpointError: it is missing or no JSON object.
    """
    fields = load_json(folder / "config.json")
    if not isinstance(fields, dict):
        raise CheckpointError(f"cannot use {folder / 'config.json'}: expected an object with fields")
    return fields


def resolution(folder: Path) -> int | None:
    """The `resolution` in the YAML beside taming's checkpoint: the one size that no tensor tells."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.yaml")))
    line = r"(?m)^\s*resolution:\s*(\d{1,9})\s*(?:#.*)?$"
    found = {int(number) for text in texts for number in re.findall(line, text)}
    if len(found) > 1:
        raise InvalidValue(f"{folder}: its *.yaml files name several resolutions, {sorted(found)}: expected one")
    return next(iter(found), None)


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Say which file an error is about."""
    try:
        yield
    except (CheckpointError, InvalidValue) as error:
        raise CheckpointError(f"cannot use {path}: {error}") from error

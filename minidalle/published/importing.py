"""Published weights → a folder that `minidalle.load` reads: our safetensors and JSON."""

import json
import re
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minidalle.bart import Bart
from minidalle.checkpoint import atomic_write, save_json, stream_tensors
from minidalle.errors import InvalidValue, require
from minidalle.pipeline import TextToImage
from minidalle.presets import DALLE_MINI
from minidalle.published import vqgan_names
from minidalle.published.fields import flag
from minidalle.published.flax_file import read_flax
from minidalle.published.hub import fetch
from minidalle.published.parts import AS_DALLE_FED, AS_TRAINED, Part, fields_of, read_classic, read_dalle, read_vqgan
from minidalle.published.sources import KINDS, Kind, kind_of, listing, tokenizer_names
from minidalle.published.stored import is_there, plan, read_leaf
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.tokenization.config import Normalizer

VQGANS = ("detoker", "flax", "taming")
SOURCES = ("torch", "flax", "transformers", *VQGANS)
VQGAN_ON_THE_HUB = "dalle-mini/vqgan_imagenet_f16_16384"  # that DALL·E mini's makers used
UNFINISHED = ".importing"  # a file that is there from before the first part until after the last


def import_weights(
    source: str, out: Path, vqgan: str | None = None, clip: str | None = None, mini: bool = False
) -> list[str]:
    """Write published weights as a run, which draws with the published settings.

    Args:
        source: a folder, or `owner/name` on the Hugging Face Hub.
        out: the folder to write: new, empty, or of an import that was broken off.
        vqgan: where the VQGAN is, if it is elsewhere.
        clip: where a CLIP of the library `transformers` is, to choose among drawings.
        mini: of two models in the same place, take the small one.

    Returns:
        What was written, one line for each part.

    Raises:
        InvalidValue: files are missing, each is named; or `out` has something in it.
        CheckpointError: a file is damaged, or holds something else than its kind; every key that is wrong is named.
    """
    require_room(out)
    judge = place_of(clip, ("clip",))[0] if clip is not None else None
    parts, tokenizer = read_all(source, vqgan, mini)
    atomic_write(out / UNFINISHED, "An import was broken off here. The same command begins it anew.\n")
    if tokenizer is not None:
        tokenizer.save(out / "tokenizer")
    said = [write(part, out / f"{name}.safetensors") for name, part in parts.items()]
    if judge is not None:
        said.append(copy_clip(judge, out / "clip"))
    origin = {"source": source, "vqgan": vqgan, "clip": clip}
    save_json(out / "run.json", {"preset": {"sampling": asdict(DALLE_MINI.sampling)}, "imported": origin})
    (out / UNFINISHED).unlink()
    return said


def require_room(out: Path) -> None:
    """Raise `InvalidValue` if a folder has something in it, but for what an import left that was broken off."""
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name} if out.exists() else set()
    fresh = not names or (UNFINISHED in names and "run.json" not in names)
    require(fresh, "--out", str(out), "a new or empty folder")


def read_all(source: str, vqgan: str | None, mini: bool) -> tuple[dict[str, Part[Any]], Tokenizer | None]:
    """What a source holds: models by name, and the tokenizer if there is a BART; see `import_weights`."""
    folder, kind = place_of(source, SOURCES, mini)
    if kind.name == "transformers":
        bart = read_classic(folder)
        return {"bart": bart}, read_tokenizer(folder, kind, bart, "none")
    if kind.name in ("detoker", "taming") or is_vqgan(folder, kind):
        return {"vqgan": read_vqgan(folder, kind, AS_TRAINED)}, None
    painter = read_vqgan(*vqgan_of(source, folder, vqgan), AS_DALLE_FED)
    bart = read_dalle(folder, kind, painter.model.config.codes)
    cleaned = kind.name != "flax" or flag(fields_of(folder), "normalize_text", True)
    tokenizer = read_tokenizer(folder, kind, bart, "published" if cleaned else "none")
    TextToImage(tokenizer, painter.model, bart.model)  # which refuses what does not fit
    return {"vqgan": painter, "bart": bart}, tokenizer


def place_of(source: str, wanted: Collection[str], mini: bool = False) -> tuple[Path, Kind]:
    """The folder of a source on this machine, downloaded if need be, and what it holds.

    Raises:
        InvalidValue: it holds none of the wanted kinds, or not all files of one.
    """
    path = Path(source)
    require(not path.is_file(), "SOURCE", source, "the folder that this file is in")
    if path.is_dir():
        return path, kind_of(listing(path), str(path), mini, wanted)
    named = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?", source) is not None
    require(named, "SOURCE", source, "a folder, or owner/name of a model on the Hugging Face Hub")

    def choose(names: Collection[str]) -> list[str]:
        kind = kind_of(names, source, mini, wanted)
        asked = {one for file in kind.files for one in file.split(" or ")} | {*tokenizer_names(kind), "detoker.pt"}
        parts = () if "model.safetensors" in names else (r"model-\d+-of-\d+\.safetensors",)
        patterns = (*parts, r".*\.ckpt", r".*\.yaml") if kind.name in ("taming", "transformers") else parts
        return [name for name in names if name in asked or any(re.fullmatch(pattern, name) for pattern in patterns)]

    kinds = [f"{', '.join(kind.files)} ({kind.shown})" for kind in KINDS if kind.name in wanted]
    folder = fetch(source, choose, "one of these sets of files: " + "; ".join(kinds))
    return folder, kind_of(listing(folder), str(folder), mini, wanted)


def vqgan_of(source: str, folder: Path, vqgan: str | None) -> tuple[Path, Kind]:
    """Where the VQGAN of a DALL·E mini is: where it was said to be, beside it, or on the Hub.

    Raises:
        InvalidValue: it is nowhere.
    """
    if vqgan is not None:
        return place_of(vqgan, VQGANS)
    if (folder / "detoker.pt").exists():
        return folder, kind_of(["detoker.pt"], str(folder), False, ("detoker",))
    if (folder / "vqgan").is_dir():
        return place_of(str(folder / "vqgan"), VQGANS)
    if not Path(source).exists():
        return place_of(VQGAN_ON_THE_HUB, VQGANS)
    raise InvalidValue(
        f"{folder}: expected a VQGAN beside the BART: detoker.pt here, its files in {folder / 'vqgan'}, or "
        f"--vqgan with a folder or a Hub id such as {VQGAN_ON_THE_HUB}"
    )


def is_vqgan(folder: Path, kind: Kind) -> bool:
    """Whether a flax file holds a VQGAN and no BART."""
    return kind.name == "flax" and is_there(
        read_flax(folder / "flax_model.msgpack"), vqgan_names.flax_layout(vqgan_names.CODEBOOK)
    )


def read_tokenizer(folder: Path, kind: Kind, bart: Part[Bart], normalizer: Normalizer) -> Tokenizer:
    """The vocabulary beside a BART, if it fits it.

    Raises:
        CheckpointError: the files are damaged.
        InvalidValue: there are more tokens than the BART has rows.
    """
    config = bart.model.config
    with tempfile.TemporaryDirectory() as place:
        for theirs, ours in zip(tokenizer_names(kind), ("vocab.json", "merges.txt"), strict=True):
            if not (folder / theirs).exists():
                raise InvalidValue(f"{folder}: the tokenizer is not whole, missing: {theirs}")
            shutil.copyfile(folder / theirs, Path(place) / ours)
        options = TokenizerConfig(config.text_vocab, config.text_length, normalizer)
        tokenizer = Tokenizer.load(Path(place), options)
    require(tokenizer.vocab_size <= options.vocab_size, "vocab.json tokens", tokenizer.vocab_size,
            f"at most {options.vocab_size} (BART's)")  # fmt: skip
    return tokenizer


def copy_clip(folder: Path, out: Path) -> str:
    """Copy the files of a CLIP that `load_clip` reads, and say so in a line."""
    out.mkdir(parents=True, exist_ok=True)
    weights = "model.safetensors" if (folder / "model.safetensors").exists() else "pytorch_model.bin"
    for name in (weights, "config.json", "vocab.json", "merges.txt"):
        shutil.copyfile(folder / name, out / name)
    return f"clip: {(out / weights).stat().st_size / 1e9:.2f} GB"


def write(part: Part[Any], path: Path) -> str:
    """Copy a model into a file that `load_model` reads, one tensor at a time, and say so in a line."""
    leaves = plan(part.model, part.layout)
    ones = {name: leaf for name, leaf in leaves.items() if not is_there(part.tree, leaf)}  # checked: only scales
    kinds = {}
    for name, weight in part.model.state_dict().items():
        beside = leaves[name.replace(".scale", ".bias") if name in ones else name]
        kinds[name] = (part.tree[beside.name].dtype, tuple(weight.shape))

    def read(name: str) -> Tensor:
        return torch.ones(kinds[name][1], dtype=kinds[name][0]) if name in ones else read_leaf(part.tree, leaves[name])

    stream_tensors(path, kinds, read, {"config": json.dumps(asdict(part.model.config))})
    count = sum(weight.numel() for weight in part.model.parameters())
    return f"{path.stem}: {count / 1e6:,.1f} million parameters, {path.stat().st_size / 1e9:.2f} GB"

"""What kind of weights a folder holds, by its files' names; the same question for a list of names on the Hub."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from minidalle.errors import InvalidValue

VOCABULARY = ("vocab.json", "merges.txt")
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Kind:
    """A form in which weights are published.

    Attributes:
        name: what we call it.
        files: what it consists of; of names with "or", one is enough.
        shown: in words, for messages.
    """

    name: str
    files: tuple[str, ...]
    shown: str


TORCH = Kind("torch", ("encoder.pt", "decoder.pt", *VOCABULARY), "DALL·E mini for torch")
TORCH_MINI = Kind(
    "torch",
    ("encoder_mini.pt", "decoder_mini.pt", "vocab_mini.json", "merges_mini.txt"),
    "a small DALL·E mini for torch",
)
DETOKER = Kind("detoker", ("detoker.pt",), "the VQGAN's decoder for torch")
FLAX = Kind("flax", ("flax_model.msgpack", "config.json"), "DALL·E mini or a VQGAN for flax")
TAMING = Kind("taming", ("*.ckpt",), "a VQGAN that taming-transformers trained, with its *.yaml if there is one")
TRANSFORMERS = Kind("transformers", (f"model.safetensors or {INDEX}", "config.json", *VOCABULARY), "transformers' BART")
CLIP = Kind("clip", ("model.safetensors or pytorch_model.bin", "config.json", *VOCABULARY), "transformers' CLIP")
KINDS = (TORCH, TORCH_MINI, DETOKER, FLAX, TAMING, TRANSFORMERS, CLIP)


def tokenizer_names(kind: Kind) -> tuple[str, str]:
    """The names of the vocabulary and the merges beside a kind of weights."""
    return ("vocab_mini.json", "merges_mini.txt") if kind is TORCH_MINI else VOCABULARY


def kinds_in(names: Collection[str]) -> list[Kind]:
    """The kinds of weights that these files are, or are a part of, best guess first."""
    plain = _plain(names)
    signs = {
        TORCH: {"encoder.pt", "decoder.pt"},
        TORCH_MINI: {"encoder_mini.pt", "decoder_mini.pt"},
        DETOKER: {"detoker.pt"},
        TRANSFORMERS: {"model.safetensors", INDEX},  # before flax: transformers' BARTs are there in both forms
        FLAX: {"flax_model.msgpack"},
        TAMING: {name for name in plain if name.endswith(".ckpt")},
        CLIP: {"model.safetensors", "pytorch_model.bin"},
    }
    return [kind for kind, files in signs.items() if files & plain]


def missing_files(kind: Kind, names: Collection[str]) -> list[str]:
    """What a kind of weights still needs."""
    plain = _plain(names)
    found = {file: any(PurePosixPath(n).match(one) for n in plain for one in file.split(" or ")) for file in kind.files}
    return [file for file, there in found.items() if not there]


def _plain(names: Collection[str]) -> set[str]:
    """The files of the folder itself; checkpoints may lie deeper, where their training put them."""
    return {PurePosixPath(name).name for name in names if "/" not in name or name.endswith(".ckpt")}


def kind_of(names: Collection[str], place: str, mini: bool, wanted: Collection[str]) -> Kind:
    """The kind of weights to read, all of whose files are there.

    Args:
        names: of the files.
        place: where they are, for messages.
        mini: whether to take the small one of two.
        wanted: names of the kinds that would do.

    Raises:
        InvalidValue: there is none, or files are missing; each is named.
    """
    found = [kind for kind in kinds_in(names) if kind.name in wanted]
    found = [kind for kind in found if kind is not (TORCH if mini else TORCH_MINI)] or found
    if not found:
        options = "; ".join(f"{kind.shown}: {', '.join(kind.files)}" for kind in KINDS if kind.name in wanted)
        raise InvalidValue(f"{place}: expected a folder or Hub id with one of these sets of files. {options}")
    missing = missing_files(found[0], names)
    if missing:
        raise InvalidValue(f"{place}: {found[0].shown} is not whole, missing: {', '.join(missing)}")
    return found[0]


def listing(folder: Path) -> list[str]:
    """The files of a folder and the folders within, relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def the_file(folder: Path, pattern: str) -> Path:
    """The one file of that name, or that ending, in a folder or the folders within.

    Raises:
        InvalidValue: there are several.
    """
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    last = [path for path in found if path.name == "last.ckpt"]
    found = last if len(last) == 1 else found
    if len(found) != 1:
        raise InvalidValue(f"{folder}: expected one file {pattern}, found {', '.join(map(str, found)) or 'none'}")
    return found[0]

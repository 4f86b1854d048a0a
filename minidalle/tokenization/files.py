"""A vocabulary on disk, in Hugging Face's formats: `tokenizer.json`, or `vocab.json` with `merges.txt`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidalle.checkpoint import CheckpointError, atomic_write, load_json
from minidalle.tokenization.bpe import BYTE_OF, SYMBOLS, Pair
from minidalle.tokenization.config import END, MASK_TOKEN, SPECIAL_TOKENS, START, TokenizerConfig

TOKENIZER = "tokenizer.json"
VOCAB, MERGES = "vocab.json", "merges.txt"
CONFIG = "tokenizer_options.json"
MERGES_HEADER = "#version: 0.2"

_SPECIAL = (*SPECIAL_TOKENS, MASK_TOKEN)
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def read(folder: Path) -> tuple[dict[str, int], list[Pair]]:
    """Read the vocabulary and the merges that a folder holds, in either format.

    Raises:
        CheckpointError: neither is there, or what is there is damaged, inconsistent or not byte-level BPE.
    """
    if (folder / TOKENIZER).exists():
        return read_tokenizer_json(folder / TOKENIZER)
    if (folder / VOCAB).exists() or (folder / MERGES).exists():
        return read_vocab_and_merges(folder)
    raise CheckpointError(f"no tokenizer in {folder}: expected {TOKENIZER}, or {VOCAB} and {MERGES}")


def read_config(folder: Path) -> TokenizerConfig:
    """Read the config that `Tokenizer.save` wrote.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / CONFIG
    if not path.exists():
        raise CheckpointError(f"no {CONFIG} in {folder}: load a tokenizer from elsewhere with a TokenizerConfig")
    fields = load_json(path)
    try:
        return TokenizerConfig(**fields)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"cannot use {path}: {error}") from error


def read_tokenizer_json(path: Path) -> tuple[dict[str, int], list[Pair]]:
    """Read a byte-level BPE `tokenizer.json`, and refuse one that asks for more than that.

    Raises:
        CheckpointError: the file is damaged, inconsistent or of another kind.
    """
    whole = load_json(path)
    try:
        model, added = whole["model"], whole.get("added_tokens") or []
        _refuse_other_kinds(path, whole)
        vocab = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
        merges = [merge.split(" ") if isinstance(merge, str) else list(merge) for merge in model["merges"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"cannot use {path}: not a tokenizer.json, {error!r}") from error
    return _checked_vocab(path, vocab), _checked_merges(path, vocab, merges)


def read_vocab_and_merges(folder: Path) -> tuple[dict[str, int], list[Pair]]:
    """Read `vocab.json` and `merges.txt`, as GPT-2 and BART are published.

    Raises:
        CheckpointError: one of the files is missing or damaged, or they do not go together.
    """
    vocab = _checked_vocab(folder / VOCAB, load_json(folder / VOCAB))
    path = folder / MERGES
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    has_header = lines[0].startswith("#version")  # looked for only here: "# #" is a merge too
    return vocab, _checked_merges(path, vocab, [line.split(" ") for line in lines[has_header:] if line])


def write_tokenizer_json(folder: Path, vocab: Mapping[str, int], merges: Sequence[Pair]) -> None:
    """Write `tokenizer.json` so that `tokenizers.Tokenizer.from_file` gives the same ids for plain text."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    start, end = SPECIAL_TOKENS[START], SPECIAL_TOKENS[END]
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocab[token], "content": token, **flags} for token in _SPECIAL],
        "normalizer": None,
        "pre_tokenizer": _BYTE_LEVEL,
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [end, vocab[end]],
            "cls": [start, vocab[start]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(vocab),
            "merges": [list(pair) for pair in merges],
        },
    }
    atomic_write(folder / TOKENIZER, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")


def write_vocab_and_merges(folder: Path, vocab: Mapping[str, int], merges: Sequence[Pair]) -> None:
    """Write `vocab.json` and `merges.txt`, as GPT-2 and BART are published."""
    atomic_write(folder / VOCAB, json.dumps(dict(vocab), ensure_ascii=False) + "\n")
    lines = [MERGES_HEADER, *(f"{left} {right}" for left, right in merges)]
    atomic_write(folder / MERGES, "\n".join(lines) + "\n")


def _refuse_other_kinds(path: Path, whole: Mapping[str, Any]) -> None:
    """Raise where a `tokenizer.json` would give other ids than byte-level BPE on the plain text does."""
    model, split = whole["model"], whole.get("pre_tokenizer") or {}
    wanted = {
        "model.type": (model.get("type", "BPE"), "BPE"),
        "model.dropout": (model.get("dropout") or None, None),
        "model.continuing_subword_prefix": (model.get("continuing_subword_prefix") or None, None),
        "model.end_of_word_suffix": (model.get("end_of_word_suffix") or None, None),
        "model.ignore_merges": (model.get("ignore_merges", False), False),
        "normalizer": (whole.get("normalizer"), None),
        "pre_tokenizer.type": (split.get("type"), "ByteLevel"),
        "pre_tokenizer.add_prefix_space": (split.get("add_prefix_space"), False),
        "pre_tokenizer.use_regex": (split.get("use_regex", True), True),
    }
    for field, (found, expected) in wanted.items():
        _require(found == expected, path, f"{field} is {found!r}, expected {expected!r}")
    for added in whole.get("added_tokens") or []:
        token = added["content"]
        _require(token in _SPECIAL, path, f"{token!r} is added, but no special token of BART's")


def _checked_vocab(path: Path, vocab: Any) -> dict[str, int]:
    """The vocabulary, if its ids are distinct and BART's special tokens and all bytes are there."""
    _require(isinstance(vocab, dict), path, "expected a table of symbols and ids")
    whole = all(type(id) is int and id >= 0 for id in vocab.values())
    _require(whole, path, "an id is not a whole number from 0")
    _require(len(set(vocab.values())) == len(vocab), path, "two symbols have the same id")
    for id, token in enumerate(SPECIAL_TOKENS):
        _require(vocab.get(token) == id, path, f"{token} has the id {vocab.get(token)}, expected {id}")
    for symbol in (MASK_TOKEN, *SYMBOLS):
        _require(symbol in vocab, path, f"{symbol!r} is not in the vocabulary")
    for symbol in vocab.keys() - _SPECIAL:
        _require(BYTE_OF.keys() >= set(symbol), path, f"{symbol!r} is not written in the alphabet of bytes")
    return vocab


def _checked_merges(path: Path, vocab: Mapping[str, int], merges: Iterable[list[str]]) -> list[Pair]:
    """The merges as pairs, if each makes a symbol of two symbols of the vocabulary, and none comes twice."""
    ranks: dict[Pair, int] = {}
    for number, merge in enumerate(merges, start=1):
        made = all(isinstance(part, str) and part in vocab for part in merge) and "".join(merge) in vocab
        _require(len(merge) == 2 and made, path, f"merge {number}, {merge}, does not make a symbol of two")
        left, right = merge
        _require((left, right) not in ranks, path, f"merge {number}, {merge}, came before")
        ranks[left, right] = number
    return list(ranks)


def _require(ok: bool, path: Path, problem: str) -> None:
    if not ok:
        raise CheckpointError(f"cannot use {path}: {problem}")

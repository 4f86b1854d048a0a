"""A tokenizer and a VQGAN: what makes tokens of captions and pictures, and how to know it again."""

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.checkpoint import CheckpointError, load_model, save_model
from minidalle.data.pixels import to_pixels
from minidalle.data.store import fingerprint
from minidalle.data.token_parts import PART_ROWS, Encoding
from minidalle.data.token_records import TokenShape
from minidalle.errors import require
from minidalle.tokenization import Tokenizer
from minidalle.vqgan import VQGAN, VQGANConfig


class Codec(NamedTuple):
    """What makes tokens."""

    tokenizer: Tokenizer
    vqgan: VQGAN

    def encoding(self, part_rows: int = PART_ROWS) -> Encoding:
        """Fingerprints of both, and the shape of what they make."""
        own, picture = self.tokenizer, self.vqgan.config
        shape = TokenShape(own.config.text_length, own.vocab_size, picture.tokens, picture.codes, picture.image_size)
        digest = hashlib.blake2b(repr(picture).encode(), digest_size=8)
        for name, tensor in sorted(self.vqgan.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        words = fingerprint(own.config, sorted(own.vocab.items()), own.merges)
        return Encoding(words, digest.hexdigest(), shape, part_rows)

    @torch.no_grad()
    def paint(self, tokens: Tensor) -> np.ndarray:
        """Image tokens, long [B, N] → pictures, uint8 [B, S, S, 3]."""
        return to_pixels(self.vqgan.decode(tokens.to(next(self.vqgan.parameters()).device)))


def load_codec(folder: Path, device: torch.device) -> Codec:
    """The tokenizer and the VQGAN of a run, or of what was encoded with them.

    Raises:
        CheckpointError: one is missing or damaged.
    """
    vqgan = _load_vqgan(folder)
    return Codec(Tokenizer.load(folder / "tokenizer"), vqgan.to(device))


def save_codec(codec: Codec, folder: Path) -> None:
    """Put both into a folder, if it has none; `load_codec` reads them. Several processes may do so at once.

    Raises:
        InvalidValue: the folder has others.
        CheckpointError: it cannot be written, or what it has is damaged.
    """
    refuse_others(codec, folder)
    if not (folder / "vqgan.safetensors").exists():
        save_model(folder / "vqgan.safetensors", codec.vqgan, codec.vqgan.config)
    if not (folder / "tokenizer").exists():
        _save_tokenizer(codec.tokenizer, folder)


def refuse_others(codec: Codec, folder: Path) -> None:
    """Complain if a folder has another tokenizer or another VQGAN; it may have none.

    Raises:
        InvalidValue: it has.
        CheckpointError: what it has is damaged.
    """
    own, words, picture = codec.encoding(), codec.tokenizer, codec.vqgan
    if (folder / "tokenizer").exists():
        words = Tokenizer.load(folder / "tokenizer")
    if (folder / "vqgan.safetensors").exists():
        picture = _load_vqgan(folder)
    there = Codec(words, picture).encoding()
    others = [name for name in ("tokenizer", "vqgan") if getattr(there, name) != getattr(own, name)]
    wanted = "a folder without a tokenizer and a VQGAN, or with the same; there is another "
    require(there.name == own.name, "--out", str(folder), wanted + " and another ".join(others))


def _load_vqgan(folder: Path) -> VQGAN:
    return load_model(folder / "vqgan.safetensors", lambda **fields: VQGAN(VQGANConfig(**fields)))


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `folder/tokenizer`: it has two files, and is whole or not there."""
    try:
        with TemporaryDirectory(dir=folder, prefix=".tokenizer.") as place:
            tokenizer.save(Path(place) / "tokenizer")
            os.replace(Path(place) / "tokenizer", folder / "tokenizer")
    except OSError as error:
        if not (folder / "tokenizer").is_dir():  # else another process was first
            raise CheckpointError(f"cannot write {folder / 'tokenizer'}: {error.strerror or error}") from error

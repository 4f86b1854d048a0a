"""A tokenizer and a VQGAN: what makes tokens of captions and pictures, and how to know it again."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.checkpoint import load_model, save_model
from minidalle.data.pixels import to_pixels
from minidalle.data.store import fingerprint
from minidalle.data.token_parts import PART_ROWS, Encoding
from minidalle.data.token_records import TokenShape
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
    vqgan = load_model(folder / "vqgan.safetensors", lambda **fields: VQGAN(VQGANConfig(**fields)))
    return Codec(Tokenizer.load(folder / "tokenizer"), vqgan.to(device))


def save_codec(codec: Codec, folder: Path) -> None:
    """Put both into a folder, if it has none; `load_codec` reads them."""
    if not (folder / "vqgan.safetensors").exists():
        save_model(folder / "vqgan.safetensors", codec.vqgan, codec.vqgan.config)
    if not (folder / "tokenizer").exists():
        codec.tokenizer.save(folder / "tokenizer")

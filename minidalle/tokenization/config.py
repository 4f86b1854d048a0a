"""What a tokenizer is made to: how many entries, how long a row, and how captions are cleaned first."""

from dataclasses import dataclass
from typing import Literal, get_args

from minidalle.errors import require

Normalizer = Literal["none", "published"]

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
"""BART's special tokens with fixed ids: each one's id is its place here. `<mask>` has the last id."""

START, PAD, END, UNKNOWN = range(4)
MASK_TOKEN = "<mask>"

BYTES = 256


@dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer's shape.

    Attributes:
        vocab_size: entries at most: 5 special tokens, 256 bytes, and the rest merges. A model's embedding has
            this many rows; few captions can make fewer merges, and then the last rows stay unused.
        text_length: T, tokens in a row of `encode_batch`, `<s>` and `</s>` included.
        normalizer: `none` takes captions as they are; `published` cleans them as DALL·E mini's were.
    """

    vocab_size: int = 1024
    text_length: int = 32
    normalizer: Normalizer = "none"

    def __post_init__(self) -> None:
        least = len(SPECIAL_TOKENS) + 1 + BYTES
        room = type(self.vocab_size) is int and self.vocab_size >= least
        require(room, "vocab_size", self.vocab_size, f"a whole number from {least} (bytes and special tokens)")
        room = type(self.text_length) is int and self.text_length >= 2
        require(room, "text_length", self.text_length, "a whole number from 2 (<s> and </s>)")
        known = get_args(Normalizer)
        require(self.normalizer in known, "normalizer", self.normalizer, f"one of {', '.join(known)}")

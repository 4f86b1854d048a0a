"""Captions → text tokens: byte-level BPE with BART's special tokens."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.tokenization.bpe import (
        build_vocab,
        count_pairs,
        decode,
        encode,
        merge_pair,
        pad_batch,
        text_to_bytes,
        train_bpe,
    )
    from minidalle.tokenization.config import TokenizerConfig
    from minidalle.tokenization.normalize import normalize_caption
    from minidalle.tokenization.tokenizer import Tokenizer

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Tokenizer": "tokenizer",
        "TokenizerConfig": "config",
        "build_vocab": "bpe",
        "count_pairs": "bpe",
        "decode": "bpe",
        "encode": "bpe",
        "merge_pair": "bpe",
        "normalize_caption": "normalize",
        "pad_batch": "bpe",
        "text_to_bytes": "bpe",
        "train_bpe": "bpe",
    },
)

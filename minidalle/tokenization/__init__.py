"""Captions → text tokens: byte-level BPE with BART's special tokens."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.tokenization.bpe import build_vocab as build_vocab
    from minidalle.tokenization.bpe import count_pairs as count_pairs
    from minidalle.tokenization.bpe import decode as decode
    from minidalle.tokenization.bpe import encode as encode
    from minidalle.tokenization.bpe import merge_pair as merge_pair
    from minidalle.tokenization.bpe import pad_batch as pad_batch
    from minidalle.tokenization.bpe import text_to_bytes as text_to_bytes
    from minidalle.tokenization.bpe import train_bpe as train_bpe
    from minidalle.tokenization.config import TokenizerConfig as TokenizerConfig
    from minidalle.tokenization.normalize import normalize_caption as normalize_caption
    from minidalle.tokenization.tokenizer import Tokenizer as Tokenizer
else:
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

"""Captions → text tokens: the tokenizer as the other rooms use it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

from torch import Tensor

from minidalle.checkpoint import save_json
from minidalle.errors import require
from minidalle.tokenization import files
from minidalle.tokenization.bpe import (
    Pair,
    build_vocab,
    count_words,
    decode,
    encode,
    pad_batch,
    split_words,
    train_bpe,
)
from minidalle.tokenization.config import END, MASK_TOKEN, PAD, SPECIAL_TOKENS, START, TokenizerConfig
from minidalle.tokenization.normalize import normalize_caption

SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer:
    """A trained byte-level BPE vocabulary with BART's special tokens.

    A caption becomes `<s> … </s>`; the empty caption, guidance's null caption, is `<s></s>`. What a user
    writes never becomes a special token: "<s>" in a caption is three characters like any other. Without a
    normalizer, decoding gives back every text exactly.

    Attributes:
        config: what the tokenizer was made to.
        vocab: symbol → id, special tokens included.
        merges: pairs of symbols, first learned first.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[Pair], config: TokenizerConfig) -> None:
        self.config = config
        self.vocab = dict(vocab)
        self.merges = list(merges)
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._special = {self.vocab[token] for token in (*SPECIAL_TOKENS, MASK_TOKEN)}
        self._symbols = {id: symbol for symbol, id in self.vocab.items() if id not in self._special}

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size}, text_length={self.config.text_length})"

    @classmethod
    def train(cls, captions: Iterable[str], config: TokenizerConfig) -> Self:
        """Learn a vocabulary. A caption that comes twice counts twice; their order plays no part."""
        words = count_words(_prepare(caption, config) for caption in captions)
        merges = train_bpe(words, config.vocab_size - len(SPECIAL_TOKENS) - 1)
        return cls(build_vocab(merges, SPECIAL_TOKENS, MASK_TOKEN), merges, config)

    @classmethod
    def load(cls, folder: Path | str, config: TokenizerConfig | None = None) -> Self:
        """Read a tokenizer: Hugging Face's `tokenizer.json`, or else `vocab.json` with `merges.txt`.

        Args:
            folder: where the files are.
            config: for a tokenizer that `save` did not write; without it, the one that `save` wrote is read.

        Raises:
            CheckpointError: a file is missing, damaged, inconsistent, or asks for what we do not do.
        """
        vocab, merges = files.read(Path(folder))
        return cls(vocab, merges, config or files.read_config(Path(folder)))

    def save(self, folder: Path | str) -> None:
        """Write `tokenizer.json`, which Hugging Face's `tokenizers` reads too, and the config beside it."""
        save_json(Path(folder) / files.CONFIG, asdict(self.config))
        files.write_tokenizer_json(Path(folder), self.vocab, self.merges)

    def save_vocabulary(self, folder: Path | str) -> None:
        """Write `vocab.json` and `merges.txt`, for tools that know only these older files."""
        files.write_vocab_and_merges(Path(folder), self.vocab, self.merges)

    @property
    def vocab_size(self) -> int:
        """Ids there are, special tokens included; at most `config.vocab_size` if we trained it."""
        return max(self.vocab.values()) + 1

    @property
    def mask_id(self) -> int:
        """The id of `<mask>`. The other special tokens have BART's fixed ids; see `config.py`."""
        return self.vocab[MASK_TOKEN]

    def encode(self, caption: str) -> list[int]:
        """The ids of one caption, `<s>` first and `</s>` last, however many there are.

        Raises:
            InvalidValue: the caption is not text, or holds a lone surrogate, which is no character.
        """
        return self._encode(caption, {})

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special tokens are left out.

        Raises:
            InvalidValue: an id is not in the vocabulary.
        """
        plain = [int(id) for id in ids if int(id) not in self._special]
        for id in plain:
            require(id in self._symbols, "id", id, f"an id of the vocabulary, below {self.vocab_size}")
        return decode(plain, self._symbols)

    def encode_batch(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions as rows of T = `config.text_length` ids; a longer caption is cut and keeps its `</s>`.

        Returns:
            tokens: long [B, T], filled up with `<pad>`.
            mask: bool [B, T], True where a token is real.

        Raises:
            InvalidValue: as `encode` does; and for a bare string, which is one caption and no list of them.
        """
        require(not isinstance(captions, str), "captions", captions, "a list of captions: [caption]")
        words: dict[str, list[int]] = {}  # captions share words: in one call, each is worked out once
        return pad_batch([self._encode(caption, words) for caption in captions], self.config.text_length, PAD)

    def _encode(self, caption: str, words: dict[str, list[int]]) -> list[int]:
        ids = [START]
        for word in split_words(_prepare(caption, self.config)):
            if word not in words:
                words[word] = encode(word, self.vocab, self._ranks)
            ids += words[word]
        return [*ids, END]


def _prepare(caption: str, config: TokenizerConfig) -> str:
    require(isinstance(caption, str), "caption", caption, "text")
    cleaned = config.normalizer == "published" and caption != ""  # DALL·E mini's null prompt is not cleaned either
    text = normalize_caption(caption) if cleaned else caption
    require(not SURROGATE.search(text), "caption", caption, "Unicode text without lone surrogates")
    return text

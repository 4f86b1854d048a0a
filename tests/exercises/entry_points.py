"""Each entry point that an exercise names, as a small real call."""

from collections.abc import Callable
from typing import Any

from minidalle.tokenization import Tokenizer, TokenizerConfig

CONFIG = TokenizerConfig(vocab_size=263, text_length=4)
TOKENIZER = Tokenizer.train(["aba aba", "aba"], CONFIG)

ENTRIES: dict[str, Callable[[], Any]] = {
    "Tokenizer.train": lambda: Tokenizer.train(["aba aba", "aba"], CONFIG),
    "Tokenizer.encode_batch": lambda: TOKENIZER.encode_batch(["aba aba"]),
    "Tokenizer.decode": lambda: TOKENIZER.decode([0, 5, 6, 2]),
}


def shown(value: Any) -> Any:
    """What can be compared of an entry's result."""
    if isinstance(value, Tokenizer):
        return value.vocab, value.merges
    return [item.tolist() for item in value] if isinstance(value, tuple) else value

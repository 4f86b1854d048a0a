"""Each entry point that an exercise names, as a small real call."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minidalle.data.build_emoji import mark_duplicates
from minidalle.data.pictures import CaptionedPictures
from minidalle.evaluation.baselines import nearest_caption_rows
from minidalle.evaluation.free_text import Prompt, concept_recall
from minidalle.tokenization import Tokenizer, TokenizerConfig

CONFIG = TokenizerConfig(vocab_size=263, text_length=4)
TOKENIZER = Tokenizer.train(["aba aba", "aba"], CONFIG)

NAMES = ["red apple", "red car", "old red car", "pear", "old pear", "green pear"]
PICTURES = CaptionedPictures(
    captions=NAMES,
    pictures=np.array([10, 30, 60, 100, 150, 210], np.uint8).repeat(3).reshape(6, 1, 1, 3),
    splits=np.array(["train"] * 6),
    columns={"role": np.array(NAMES)},
)
PROMPTS = (Prompt("apple", "name", ("red apple",)), Prompt("old pear", "name", ("old pear", "pear")))
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><rect width="{}" height="2"/></svg>'
ROWS = [{"key": key, "caption": key, "svg": SVG.format(width)} for key, width in zip("cba", (1, 3, 1), strict=True)]

ENTRIES: dict[str, Callable[[], Any]] = {
    "nearest_caption_rows": lambda: nearest_caption_rows(["green car", "old apple", "old red pear"], PICTURES),
    "mark_duplicates": lambda: mark_duplicates(ROWS),
    "concept_recall": lambda: concept_recall(PICTURES.pictures[[0, 3]], PROMPTS, PICTURES),
    "Tokenizer.train": lambda: Tokenizer.train(["aba aba", "aba"], CONFIG),
    "Tokenizer.encode_batch": lambda: TOKENIZER.encode_batch(["aba aba"]),
    "Tokenizer.decode": lambda: TOKENIZER.decode([0, 5, 6, 2]),
}


def shown(value: Any) -> Any:
    """What can be compared of an entry's result."""
    if isinstance(value, Tokenizer):
        return value.vocab, value.merges
    if isinstance(value, dict):
        return {key: item.tolist() for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [item.tolist() for item in value] if isinstance(value, tuple) else value

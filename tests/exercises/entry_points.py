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

PICTURES = CaptionedPictures(
    captions=["red apple", "red car", "old red car"],
    pictures=np.array([10, 100, 120], np.uint8).repeat(192).reshape(3, 8, 8, 3),
    splits=np.array(["train"] * 3),
    columns={"role": np.array(["apple", "car", "old car"])},
)
PROMPTS = (Prompt("apple", "name", ("apple",)), Prompt("old car", "name", ("old car", "apple")))
SVGS = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{shape}</svg>' for shape in ("<g/>", "<g></g>")]
ROWS = [{"key": key, "caption": key, "svg": svg} for key, svg in zip("ba", SVGS, strict=True)]

ENTRIES: dict[str, Callable[[], Any]] = {
    "nearest_caption_rows": lambda: nearest_caption_rows(["car", "apple of old"], PICTURES),
    "mark_duplicates": lambda: mark_duplicates(ROWS),
    "concept_recall": lambda: concept_recall(PICTURES.pictures[[0, 1]], PROMPTS, PICTURES),
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

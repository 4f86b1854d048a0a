"""Other words for the bundled emoji: what people also call what they show, and captions made of these words."""

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

KEYWORDS = Path(__file__).with_name("keywords.csv")


@lru_cache(maxsize=1)
def load_keywords(path: Path = KEYWORDS) -> dict[str, tuple[str, ...]]:
    """Other words for every role that has some: `{"cat face": ("animal", "meow", "pet", "kitten", …), …}`."""
    with open(path, newline="", encoding="utf-8") as file:
        return {row["role"]: tuple(row["keywords"].split("|")) for row in csv.DictReader(file)}


def reword(name: str, style: str, keywords: Sequence[str], chance: np.random.Generator) -> str:
    """A caption said otherwise, as somebody might type it who has never seen the caption.

    Half the time it is the name, with or without one of the keywords; else two or three of the keywords and of
    the name's own words, in any order. The style is named half the time.

    Args:
        name: such as `cat face`.
        style: such as `noto`.
        keywords: other words for it; without any, only the style may go.
        chance: says which.

    Returns:
        Such as `cat face kitten`, `kitten, noto style` or `pet cat`.
    """
    keywords = [word for word in keywords if word]
    if not keywords or chance.random() < 0.5:
        also = [keywords[chance.integers(len(keywords))]] if keywords and chance.random() < 0.5 else []
        words = [name, *also]
    else:
        known = [*keywords, *name.split()]
        words = [known[place] for place in chance.permutation(len(known))[: chance.integers(2, 4)]]
    return " ".join(words) + (f", {style} style" if chance.random() < 0.5 else "")


def without_style(caption: str) -> str:
    """A caption without the words that name its style: `red apple, noto style` is `red apple`."""
    return re.sub(r", \w+ style$", "", caption)

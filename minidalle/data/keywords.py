"""Other words for the bundled emoji: what people also call what they show, and captions made of these words."""

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

KEYWORDS = Path(__file__).with_name("keywords.csv")
ARTICLES = ("a", "an", "the")


@lru_cache(maxsize=1)
def load_keywords(path: Path = KEYWORDS) -> dict[str, tuple[str, ...]]:
    """Other words for every role that has some: `{"cat face": ("animal", "meow", "pet", "kitten", …), …}`."""
    with open(path, newline="", encoding="utf-8") as file:
        return {row["role"]: tuple(row["keywords"].split("|")) for row in csv.DictReader(file)}


@lru_cache(maxsize=1)
def filler_words(most: int = 5000) -> tuple[str, ...]:
    """Common English words that say next to nothing about pictures: the most frequent ones of Wikipedia, without those
    of a role that has keywords: in its name or among them. The list is the library wordninja's.
    """
    listed = distribution("wordninja").locate_file("wordninja/wordninja_words.txt.gz")  # the most frequent word first
    known = " ".join(" ".join([role, *words]) for role, words in load_keywords().items())
    said = set(re.findall(r"\w+", known.lower()))
    with gzip.open(str(listed), "rt", encoding="utf-8") as words:
        frequent = words.read().split()[:most]
    return tuple(word for word in frequent if word.isalpha() and word not in said)


def reword(name: str, style: str, keywords: Sequence[str], chance: np.random.Generator) -> str:
    """A caption said otherwise, as somebody might type it who has never seen the caption.

    Half the time it is the name, with or without one of the keywords; else two or three of the keywords and of
    the name's own words, in any order. One in four begins with a word that says nothing, so that a reader learns to
    do without the words it does not know; one in four with an article. The style is named half the time.

    Args:
        name: such as `cat face`.
        style: such as `noto`.
        keywords: other words for it; without any, its name is kept.
        chance: says which.

    Returns:
        Such as `cat face kitten`, `a kitten, noto style` or `region pet cat`.
    """
    keywords = [word for word in keywords if word]
    if not keywords or chance.random() < 0.5:
        also = [keywords[chance.integers(len(keywords))]] if keywords and chance.random() < 0.5 else []
        words = [name, *also]
    else:
        known = [*keywords, *name.split()]
        words = [known[place] for place in chance.permutation(len(known))[: chance.integers(2, 4)]]
    if chance.random() < 0.25:
        words.insert(0, filler_words()[chance.integers(len(filler_words()))])
    if chance.random() < 0.25:
        words.insert(0, ARTICLES[chance.integers(len(ARTICLES))])
    return " ".join(words) + (f", {style} style" if chance.random() < 0.5 else "")


def reword_row(columns: Mapping[str, np.ndarray], row: int, chance: np.random.Generator) -> str:
    """The caption of a row of the bundled emoji said otherwise; `columns` are those of its data set. See `reword`."""
    name, style, keywords = (str(columns[part][row]) for part in ("name", "style", "keywords"))
    return reword(name, style, keywords.split("|"), chance)


def without_style(caption: str) -> str:
    """A caption without the words that name its style: `red apple, noto style` is `red apple`."""
    return re.sub(r", \w+ style$", "", caption)

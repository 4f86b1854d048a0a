"""Byte-level byte-pair encoding: text → UTF-8 bytes → the merges learned from captions → ids, and back.

A text is split into words, a word into bytes, and each byte is written as one printable character, its
*symbol*. Training joins the most frequent pair of neighboring symbols into a new symbol, again and again.
Encoding replays those merges on a new text. Every byte is a symbol, so no text is unknown and none is lost.

Sources: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", 3.2 (the
algorithm); Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", 2.2 (bytes).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import regex
import torch
from torch import Tensor

Pair = tuple[str, str]
"""Two neighboring symbols."""

WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
"""GPT-2's words: letters, digits or marks with the space before them, English endings, other white space."""


def _byte_symbols() -> tuple[str, ...]:
    """GPT-2's symbols: the character with the byte's number if it prints, else the next one from U+0100."""
    prints = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    spare = iter(range(256, 512))
    return tuple(chr(byte if byte in prints else next(spare)) for byte in range(256))


SYMBOLS = _byte_symbols()
"""byte → its symbol. A space is Ġ, so the word " red" reads Ġred."""

BYTE_OF = MappingProxyType({symbol: byte for byte, symbol in enumerate(SYMBOLS)})


def text_to_bytes(text: str) -> list[int]:
    """The UTF-8 bytes of a text: "é" → [195, 169].

    Returns:
        Numbers from 0 to 255, one to four for each character.
    """
    return list(text.encode("utf-8"))


def split_words(text: str) -> list[str]:
    """Cut a text into words, which merges do not cross: "red apple's" → ["red", " apple", "'s"].

    Nothing is lost, and no special token can appear: "<" and letters never share a word.
    """
    return WORD.findall(text)


def word_symbols(word: str) -> list[str]:
    """A word as symbols, one for each byte: " hé" → ["Ġ", "h", "Ã", "©"]."""
    return [SYMBOLS[byte] for byte in text_to_bytes(word)]


def count_words(texts: Iterable[str]) -> dict[str, int]:
    """How often each word occurs in all texts together."""
    return Counter(word for text in texts for word in split_words(text))


def count_pairs(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """How often each pair of neighboring symbols occurs.

    [["a", "b", "a"], ["c", "c", "c"]], [5, 1] → {("a", "b"): 5, ("b", "a"): 5, ("c", "c"): 2}

    Args:
        words: words as symbols.
        counts: how often each of them occurs.

    Returns:
        pair → its number. A word that occurs n times counts n times, at every place where it has the
        pair.
    """
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def merge_pair(word: Sequence[str], pair: Pair) -> list[str]:
    """Join every occurrence of a pair in a word, from left to right.

    ["a", "a", "a"], ("a", "a") → ["aa", "a"]

    Args:
        word: symbols; not changed.
        pair: the two symbols to join.

    Returns:
        A new word, with "".join(pair) wherever the pair stood.
    """
    merged: list[str] = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def train_bpe(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Learn merges: join the most frequent pair into a new symbol until there are `size` symbols.

    {"ba": 1, "dc": 3}, 258 → [("d", "c"), ("b", "a")]

    Of equally frequent pairs, the one with the oldest left symbol is joined; of these, the one with the
    oldest right symbol. Bytes are older than all that is joined, and among themselves in the order
    `sorted(SYMBOLS)`.

    Args:
        word_counts: word → how often it occurs; see `count_words`.
        size: symbols to end with, the 256 bytes included.

    Returns:
        Merges, first learned first; fewer than there is room for where every word has become one symbol.
    """
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    pairs = Counter(count_pairs(words, counts))
    homes: defaultdict[Pair, set[int]] = defaultdict(set)  # pair → the words that have it, or had it once
    for number, word in enumerate(words):
        for pair in pairwise(word):
            homes[pair].add(number)
    merges: list[Pair] = []
    while pairs and len(age) < size:
        most = max(pairs.values())
        ties = (pair for pair, count in pairs.items() if count == most)
        best = min(ties, key=lambda pair: (age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault(best[0] + best[1], len(age))
        for number in homes.pop(best):
            pairs.subtract(count_pairs([words[number]], [counts[number]]))
            words[number] = merge_pair(words[number], best)
            pairs.update(count_pairs([words[number]], [counts[number]]))
            for pair in pairwise(words[number]):
                homes[pair].add(number)
        pairs = +pairs  # forget the pairs that occur no more
    return merges


def build_vocab(merges: Iterable[Pair], special: Sequence[str], mask: str) -> dict[str, int]:
    """Number the entries: special tokens first, then the 256 bytes, the merges' symbols, the mask last.

    [("a", "b")], ["<s>"], "<mask>" → {"<s>": 0, "!": 1, …, "ab": 257, "<mask>": 258}

    Bytes are in the order of their symbols, "!" first; merges in the order in which they were learned.
    If two merges make the same symbol ("a" + "bc", "ab" + "c"), it has one id, its first, and the next
    symbol the next.

    Args:
        merges: pairs, as `train_bpe` returns them.
        special: special tokens with fixed ids: each one's id is its place here.
        mask: the special token that has the last id.

    Returns:
        symbol → id, from 0 without a gap.
    """
    entries = [*special, *sorted(SYMBOLS), *(left + right for left, right in merges), mask]
    return {symbol: id for id, symbol in enumerate(dict.fromkeys(entries))}


def encode(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    """Turn a text into ids: in each word, join the pair that was learned first until none is left.

    "abc", {"a": 5, "bc": 7, …}, {("b", "c"): 0, ("a", "b"): 1} → [5, 7]

    Args:
        text: any text; what looks like a special token is text too.
        vocab: symbol → id, all 256 bytes among them.
        ranks: merge → when it was learned, 0 for the first; the mapping may list them in any order.

    Returns:
        Ids, without `<s>` and `</s>`; none for an empty text.
    """
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if first not in ranks:
                break
            symbols = merge_pair(symbols, first)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def decode(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    """Turn ids back into text: ids → symbols → bytes → characters.

    [5, 6, 7], {5: "Ã", 6: "©", 7: "Ġa"} → "é a"

    Args:
        ids: without special tokens.
        symbols: id → symbol, the vocabulary the other way around.

    Returns:
        The text; bytes that are no UTF-8, as when a character is cut in half, become U+FFFD (�).
    """
    characters = "".join(symbols[id] for id in ids)
    return bytes(BYTE_OF[character] for character in characters).decode("utf-8", errors="replace")


def pad_batch(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    """Make rows equally long: fill a short one up on the right, cut a long one but keep its last id.

    [[0, 7, 8, 2], [0, 2]], 3, 1 → tokens [[0, 7, 2], [0, 2, 1]],
    mask [[True, True, True], [True, True, False]]

    Args:
        rows: B rows of ids, at least one id each; a real id may have the number of the filling.
        length: T, the length of every row after, at least 1.
        pad: the id to fill with.

    Returns:
        tokens: long [B, T].
        mask: bool [B, T], True where a token is real and False where it is filling.
    """
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask

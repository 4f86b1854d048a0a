"""Exercise: a text to ids, by joining in the order of learning."""

import re
import string
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile

from minidalle.exercises.exercise import Case, Exercise, Plain
from minidalle.exercises.probes.tokenization import probe_encode
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import SYMBOLS, Pair, encode, merge_pair, split_words, word_symbols
from minidalle.tokenization.config import MASK_TOKEN, SPECIAL_TOKENS

Vocab = Mapping[str, int]
Ranks = Mapping[Pair, int]


def cases(seed: int) -> list[Case]:
    """From no text to a caption. The table of merges lists the newest first: its own order plays no part."""
    random = numpy_generator(seed, "tokenization.encode")
    a, b, c = random.permutation(list(string.ascii_lowercase))[:3].tolist()
    accented, emoji = str(random.choice(list("éèñüößåç"))), str(random.choice(list("😀🍎🦄🚀🎈🐙🌵🍋")))
    color = str(random.choice(["red", "green", "pink", "blue", "golden"]))
    thing = str(random.choice(["apple", "rocket", "kite", "moon", "cherries"]))
    special = str(random.choice([*SPECIAL_TOKENS, MASK_TOKEN]))
    learned = dict.fromkeys([*_growing(color)[:-1], *_growing(f" {thing}"), *_growing(" style")[:3]])
    first, second, *_ = _symbols(emoji)
    return [
        _case(""),
        _case(accented),
        _case(a + b + c, (b, c), (a, b)),
        _case(a + b + c, (a, b), (b, c)),
        _case(a + b + c, (a, b), (a + b, c)),
        _case(f"{a + b + c} {a + b + c}", (b, c), (a, b), (a + b, c)),
        _case(a + b + c + "1234", (b, c), (a, b + c), (a, b), ("2", "3"), ("23", "4"), ("1", "234"), ("1", "2")),
        _case(a + a + a + b + a + b, (a, a), (a, b)),
        _case(f"{a}  {b}", ("Ġ", "Ġ"), ("Ġ", b)),
        _case(special),
        _case(emoji + a, (first, second)),
        _case(f"{color} {thing}, {accented} {color} style", *learned),
    ]


def _case(text: str, *merges: Pair) -> Case:
    """The text, with the vocabulary of the merges, which come first learned first.

    The vocabulary lists what the text may need before all else: a report shows its beginning.
    """
    joined = [left + right for left, right in merges]
    entries = [*SPECIAL_TOKENS, *sorted(SYMBOLS), *joined, MASK_TOKEN]
    vocab: Plain = {entry: entries.index(entry) for entry in dict.fromkeys([*_symbols(text), *joined, *entries])}
    ranks: Plain = [[left, right, rank] for rank, (left, right) in reversed([*enumerate(merges)])]
    return {"text": text, "ranks": ranks, "vocab": vocab}


def _symbols(word: str) -> list[str]:
    return [SYMBOLS[byte] for byte in word.encode()]


def _growing(word: str) -> list[Pair]:
    """Merges that make a word grow byte by byte from its start."""
    symbols = _symbols(word)
    return [("".join(symbols[:at]), symbols[at]) for at in range(1, len(symbols))]


def _ids(symbols: Sequence[str], vocab: Vocab) -> list[int]:
    return [vocab[symbol] for symbol in symbols]


def _join(symbols: list[str], ranks: Ranks) -> list[str]:
    """Join the first-learned pair until none is left: what some answers below get right."""
    while learned := [pair for pair in pairwise(symbols) if pair in ranks]:
        symbols = merge_pair(symbols, min(learned, key=lambda pair: ranks[pair]))
    return symbols


def joins_the_pair_learned_last(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Merges are replayed in the order of learning: rank 0 is the first. Take the lowest rank, not the highest."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while learned := [pair for pair in pairwise(symbols) if pair in ranks]:
            symbols = merge_pair(symbols, max(learned, key=lambda pair: ranks[pair]))
        ids += _ids(symbols, vocab)
    return ids


def joins_from_left_to_right(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """You join the leftmost pair that was learned. Look at all pairs of the word, and join the one learned first."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while learned := [pair for pair in pairwise(symbols) if pair in ranks]:
            symbols = merge_pair(symbols, learned[0])
        ids += _ids(symbols, vocab)
    return ids


def goes_through_the_table_in_its_own_order(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """`ranks` says by number what was learned first; the order in which the mapping lists its pairs says nothing."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        for pair in ranks:
            symbols = merge_pair(symbols, pair)
        ids += _ids(symbols, vocab)
    return ids


def stops_after_one_merge(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """A merge makes new pairs, which may have been learned too: go on until no learned pair is left."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        learned = [pair for pair in pairwise(symbols) if pair in ranks]
        if learned:
            symbols = merge_pair(symbols, min(learned, key=lambda pair: ranks[pair]))
        ids += _ids(symbols, vocab)
    return ids


def never_joins(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """These are the ids of single bytes. Join the pairs that were learned before you look ids up."""
    return _ids(word_symbols(text), vocab)


def joins_what_makes_a_symbol_of_the_vocabulary(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """That two symbols together are in the vocabulary is not enough. The pair must have been learned, and of all
    learned pairs in the word, the one that was learned first is joined."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while known := [pair for pair in pairwise(symbols) if "".join(pair) in vocab]:
            symbols = merge_pair(symbols, min(known, key=lambda pair: vocab["".join(pair)]))
        ids += _ids(symbols, vocab)
    return ids


def takes_the_longest_symbol_that_fits(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """The longest entry of the vocabulary is another algorithm (WordPiece's). Here the order of learning decides."""
    ids = []
    for word in split_words(text):
        rest = "".join(word_symbols(word))
        while rest:
            size = max(size for size in range(1, len(rest) + 1) if rest[:size] in vocab)
            ids.append(vocab[rest[:size]])
            rest = rest[size:]
    return ids


def joins_across_words(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Merges do not cross words: cut the text with `split_words` first, and join within each word."""
    return _ids(_join(word_symbols(text), ranks), vocab)


def loses_the_spaces(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Spaces belong to the text, which must come back whole. `split_words` keeps them, each with the word after it."""
    return [id for word in text.split() for id in _ids(_join(word_symbols(word), ranks), vocab)]


def encodes_characters_instead_of_bytes(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Symbols stand for bytes: é is one character, but two bytes. `word_symbols` gives a word's."""
    words = split_words(text.replace(" ", "Ġ"))
    return [id for word in words for id in _ids(_join(list(word), ranks), vocab)]


def adds_start_and_end(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Only the text's own ids are wanted here; the tokenizer adds `<s>` and `</s>` later, once for a caption."""
    ids = [id for word in split_words(text) for id in _ids(_join(word_symbols(word), ranks), vocab)]
    return [vocab["<s>"], *ids, vocab["</s>"]]


def takes_text_for_special_tokens(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """What a user writes is text, even where it reads <s>: never look a piece of it up as a special token."""
    ids = []
    for piece in re.split("(<s>|<pad>|</s>|<unk>|<mask>)", text):
        if piece in vocab and piece.startswith("<") and len(piece) > 2:
            ids.append(vocab[piece])
        else:
            ids += [id for word in split_words(piece) for id in _ids(_join(word_symbols(word), ranks), vocab)]
    return ids


def takes_rank_0_for_none(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """The first merge has rank 0, and for Python 0 is false: ask `pair in ranks`, or compare with `is None`."""
    later = {pair: rank for pair, rank in ranks.items() if rank}
    return [id for word in split_words(text) for id in _ids(_join(word_symbols(word), later), vocab)]


def never_looks_again(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Joining makes new neighbors, whose pair may have been learned too: look at the word again after every merge."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        for pair in sorted({*pairwise(symbols)} & ranks.keys(), key=lambda pair: ranks[pair]):
            symbols = merge_pair(symbols, pair)
        ids += _ids(symbols, vocab)
    return ids


def stops_at_the_first_pair_that_was_not_learned(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Further right in the word there may be a pair that was learned: look at all of them before you stop."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while learned := [*takewhile(lambda pair: pair in ranks, pairwise(symbols))]:
            symbols = merge_pair(symbols, min(learned, key=lambda pair: ranks[pair]))
        ids += _ids(symbols, vocab)
    return ids


def goes_through_the_merges_once(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Right: no merge that was learned makes a pair that was learned before it, so one pass by rank is enough."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        for pair in sorted(ranks, key=lambda pair: ranks[pair]):
            symbols = merge_pair(symbols, pair)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def joins_one_place_at_a_time(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Right: of equal pairs, the leftmost first is what `merge_pair` does too."""
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while True:
            places = [(ranks[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in ranks]
            if not places:
                break
            at = min(places)[1]
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def calls_itself(text: str, vocab: Vocab, ranks: Ranks) -> list[int]:
    """Right: after a merge, the same question again."""

    def joined(symbols: list[str]) -> list[str]:
        rank, pair = min(((ranks.get(pair, len(ranks)), pair) for pair in pairwise(symbols)), default=(0, ("", "")))
        return joined(merge_pair(symbols, pair)) if pair in ranks and ranks[pair] == rank else symbols

    return [vocab[symbol] for word in split_words(text) for symbol in joined(word_symbols(word))]


HINTS = (
    "Replay the training on each word: start with its bytes' symbols and join what was learned first, then what was "
    "learned next. Only at the end do symbols become ids.",
    "Of all pairs of neighbors in the word, take the one with the lowest rank, `ranks.get(pair, math.inf)`. If that "
    "is infinite, no pair was learned and the word is done; otherwise join it and look again.",
    """\
def encode(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=...)
            if ...:  # it was never learned
                break
            symbols = ...
        ids += ...
    return ids
""",
)

EXERCISE = Exercise(
    id="tokenization.encode",
    points=4,
    minutes=15,
    stars=3,
    reference=encode,
    cases=cases,
    wrong=(
        joins_the_pair_learned_last,
        joins_from_left_to_right,
        goes_through_the_table_in_its_own_order,
        stops_after_one_merge,
        never_joins,
        joins_what_makes_a_symbol_of_the_vocabulary,
        takes_the_longest_symbol_that_fits,
        joins_across_words,
        loses_the_spaces,
        encodes_characters_instead_of_bytes,
        adds_start_and_end,
        takes_text_for_special_tokens,
        takes_rank_0_for_none,
        never_looks_again,
        stops_at_the_first_pair_that_was_not_learned,
    ),
    also_right=(goes_through_the_merges_once, joins_one_place_at_a_time, calls_itself),
    hints=HINTS,
    reaches="Tokenizer.encode_batch",
    needs=("tokenization.text_to_bytes", "tokenization.merge_pair"),
    forbid=("tokenizers", "transformers", "tiktoken", "sentencepiece", "Tokenizer"),
    probe=probe_encode,
)

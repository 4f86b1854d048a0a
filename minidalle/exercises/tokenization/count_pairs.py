"""Exercise: how often each pair of neighboring symbols occurs."""

import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.tokenization import probe_count_pairs
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import Pair, count_pairs


def cases(seed: int) -> list[Case]:
    """From no words to four; words of one symbol, overlaps, and pairs that two words share."""
    random = numpy_generator(seed, "tokenization.count_pairs")
    a, b, c, d = random.permutation(list(string.ascii_lowercase))[:4].tolist()
    n, m, k = random.permutation(range(2, 10))[:3].tolist()
    return [
        {"words": [], "counts": []},
        {"words": [[a]], "counts": [n]},
        {"words": [[a, b]], "counts": [1]},
        {"words": [[a, b, c]], "counts": [n]},
        {"words": [[a, a, a]], "counts": [m]},
        {"words": [[a, b, a, b]], "counts": [k]},
        {"words": [[a, b], [c, d]], "counts": [1, 1]},
        {"words": [[a, b], [c, a, b]], "counts": [n, m]},
        {"words": [["Ġ", a + b, c], [a + b, c, d, c], [d], [c, d, d, d, d]], "counts": [k, n, m, 1]},
    ]


def counts_each_word_once(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """A word that occurs n times counts n times: add its count, not 1."""
    return Counter(pair for word in words for pair in pairwise(word))


def forgets_what_was_counted_before(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """A pair that comes again, in this word or another, adds to its number instead of replacing it."""
    pairs = {}
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] = count
    return pairs


def counts_a_pair_once_in_each_word(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """A word can have the same pair at several places, and every place counts."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(pairwise(word)):
            pairs[pair] += count
    return pairs


def skips_pairs_that_overlap_themselves(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """In a a a the pair (a, a) stands twice, at the first and at the second place. Count both."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        last: Pair | None = None
        for pair in pairwise(word):
            last = None if pair == last else pair
            if last:
                pairs[pair] += count
    return pairs


def leaves_out_the_last_pair(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """A word of n symbols has n − 1 pairs. Your loop ends one pair too early."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(len(word) - 2):
            pairs[word[at], word[at + 1]] += count
    return pairs


def pairs_the_last_symbol_with_the_first(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """A word is no ring: its first symbol has no left neighbor. In Python, word[-1] is the last symbol."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(len(word)):
            pairs[word[at - 1], word[at]] += count
    return pairs


def takes_every_second_pair(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Pairs share symbols: a b c has (a, b) and (b, c). Go on by one symbol, not by two."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(0, len(word) - 1, 2):
            pairs[word[at], word[at + 1]] += count
    return pairs


def pairs_symbols_that_are_not_neighbors(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Only symbols side by side are a pair: a b c has no (a, c)."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in combinations(word, 2):
            pairs[pair] += count
    return pairs


def ignores_the_order_in_a_pair(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """(a, b) and (b, a) are two pairs: keep the left symbol left."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for left, right in pairwise(word):
            pairs[min(left, right), max(left, right)] += count
    return pairs


def counts_pairs_across_words(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """The last symbol of a word and the first of the next are no pair: begin anew with every word."""
    pairs: Counter[Pair] = Counter()
    before = None
    for word, count in zip(words, counts, strict=True):
        for symbol in word:
            if before is not None:
                pairs[before, symbol] += count
            before = symbol
    return pairs


def strings_all_words_together(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """In one long row, pairs cross from word to word and the counts are lost. Go word by word, with its count."""
    return Counter(pairwise([symbol for word in words for symbol in word]))


def takes_symbols_apart_into_letters(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """After a merge a symbol has several letters, and stays whole: pairs are of symbols, not of letters."""
    return looks_at_every_place([list("".join(word)) for word in words], counts)


def counts_a_pair_again_for_each_of_its_places(
    words: Sequence[Sequence[str]], counts: Sequence[int]
) -> dict[Pair, int]:
    """Visiting every place already counts a pair at each of them: add the word's count, without a further factor."""
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        there = [*pairwise(word)]
        for pair in there:
            pairs[pair] += count * there.count(pair)
    return pairs


def leaves_out_pairs_of_equal_symbols(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Two equal neighbors are a pair like any other: in c c the pair is (c, c)."""
    return {pair: count for pair, count in looks_at_every_place(words, counts).items() if pair[0] != pair[1]}


def returns_after_the_first_word(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Your `return` stands inside the loop over the words, so the others are never seen: move it one step out."""
    return looks_at_every_place(words[:1], counts[:1])


def looks_at_every_place(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Right: an index and a plain dict."""
    pairs: dict[Pair, int] = {}
    for number in range(len(words)):
        word = words[number]
        for at in range(1, len(word)):
            pair = (word[at - 1], word[at])
            pairs[pair] = pairs.get(pair, 0) + counts[number]
    return pairs


def counts_each_word_and_multiplies(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Right: count within a word first, then times the word's count."""
    pairs: defaultdict[Pair, int] = defaultdict(int)
    for word, count in zip(words, counts, strict=True):
        for pair, places in Counter(pairwise(word)).items():
            pairs[pair] += places * count
    return dict(pairs)


def writes_every_word_as_often_as_it_occurs(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    """Right, and slow for large counts: n copies of a word are n words."""
    copies = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    return Counter(pair for word in copies for pair in pairwise(word))


HINTS = (
    "Go through each word with two fingers, one symbol apart. What the fingers point at is a pair, and it occurs as "
    "often as the whole word does.",
    "A pair's number is a sum over words: the word's count × the places in it where the pair stands. A word of n "
    "symbols has n − 1 places, and `itertools.pairwise(word)` gives the pair at each of them.",
    """\
def count_pairs(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in ...:  # the pairs of neighbors in the word
            ...  # this pair occurs as often as its word
    return pairs
""",
)

EXERCISE = Exercise(
    id="tokenization.count_pairs",
    points=2,
    minutes=5,
    stars=1,
    reference=count_pairs,
    cases=cases,
    wrong=(
        counts_each_word_once,
        forgets_what_was_counted_before,
        counts_a_pair_once_in_each_word,
        skips_pairs_that_overlap_themselves,
        leaves_out_the_last_pair,
        pairs_the_last_symbol_with_the_first,
        takes_every_second_pair,
        pairs_symbols_that_are_not_neighbors,
        ignores_the_order_in_a_pair,
        counts_pairs_across_words,
        strings_all_words_together,
        takes_symbols_apart_into_letters,
        counts_a_pair_again_for_each_of_its_places,
        leaves_out_pairs_of_equal_symbols,
        returns_after_the_first_word,
    ),
    also_right=(looks_at_every_place, counts_each_word_and_multiplies, writes_every_word_as_often_as_it_occurs),
    hints=HINTS,
    reaches="Tokenizer.train",
    probe=probe_count_pairs,
)

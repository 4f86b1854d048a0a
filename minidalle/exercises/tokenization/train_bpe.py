"""Exercise: learn the merges of byte-pair encoding from counted words."""

import heapq
import re
import string
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.tokenization import probe_train_bpe
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import SYMBOLS, Pair, count_pairs, merge_pair, train_bpe, word_symbols

Pairs = Mapping[Pair, int]
Ages = Mapping[str, int]


def cases(seed: int) -> list[Case]:
    """One merge and several; ties of bytes, of joined symbols, of the space; too much room, and none."""
    random = numpy_generator(seed, "tokenization.train_bpe")
    a, b, c, d = sorted(random.permutation(list(string.ascii_lowercase))[:4].tolist())
    n, m = sorted(random.permutation(range(2, 10))[:2].tolist())
    accented = str(random.choice(list("éèñüößåç")))
    words = random.permutation(["red", "green", "apple", "apples", "fox", "style", "noto", "cherries"])[:5].tolist()
    counts = random.integers(1, 6, len(words)).tolist()
    return [
        {"word_counts": {}, "size": 260},
        {"word_counts": {a + b: 1}, "size": 256},
        {"word_counts": {b + a: n}, "size": 300},
        {"word_counts": {a + b: n, c + d: m}, "size": 257},
        {"word_counts": {b + c: 1, d: m, a + d: 1, d + c: 1}, "size": 257},
        {"word_counts": {a + c: n, a + b: n}, "size": 257},
        {"word_counts": {" " + a: n, b + c: n}, "size": 257},
        {"word_counts": {a * 5: n, d + c: n + 1}, "size": 259},
        {"word_counts": {a + b + d: n, a + b: 1, b + c: n}, "size": 258},
        {"word_counts": {accented + a: n, accented: m, a + c: 1}, "size": 259},
        {
            "word_counts": {f" {word}": count for word, count in zip(words, counts, strict=True)} | {"!": 3},
            "size": 266,
        },
    ]


def _oldest(pairs: Pairs, age: Ages) -> Pair:
    """The most frequent pair; of equally frequent ones, that with the oldest symbols."""
    return min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))


def _numbered(symbols: Iterable[str]) -> dict[str, int]:
    return {symbol: number for number, symbol in enumerate(symbols)}


def _learn(
    words: list[list[str]],
    counts: list[int],
    most: int,
    best: Callable[[Pairs, Ages], Pair] = _oldest,
    least_count: int = 1,
) -> list[Pair]:
    """Learn `most` merges if there are so many: what the answers below share."""
    age = _numbered(sorted({*SYMBOLS, *(symbol for word in words for symbol in word)}))
    merges: list[Pair] = []
    while len(merges) < most:
        pairs = count_pairs(words, counts)
        if not pairs or max(pairs.values()) < least_count:
            break
        pair = best(pairs, age)
        merges.append(pair)
        age.setdefault(pair[0] + pair[1], len(age))
        words = [merge_pair(word, pair) for word in words]
    return merges


def _counted(word_counts: Mapping[str, int]) -> tuple[list[list[str]], list[int]]:
    return [word_symbols(word) for word in word_counts], list(word_counts.values())


def counts_each_word_once(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """A word that occurs n times counts n times: give `count_pairs` the words' counts."""
    words, _ = _counted(word_counts)
    return _learn(words, [1] * len(words), size - 256)


def takes_the_pair_that_was_counted_first(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Of equally frequent pairs, the one with the oldest symbols is joined, wherever it stands in the words.
    `max` and `most_common`, by the count alone, take the one that they meet first."""
    return _learn(*_counted(word_counts), size - 256, lambda pairs, age: max(pairs, key=lambda p: pairs[p]))


def compares_only_the_left_symbols(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Of equally frequent pairs with the same left symbol, the one with the oldest right symbol is joined."""
    return _learn(
        *_counted(word_counts), size - 256, lambda pairs, age: min(pairs, key=lambda p: (-pairs[p], age[p[0]]))
    )


def breaks_ties_by_the_alphabet(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Of equally frequent pairs, the one with the oldest symbols is joined. A joined symbol is younger than every
    byte, whatever letter it begins with: number the symbols as they come into being, and compare the numbers."""
    return _learn(*_counted(word_counts), size - 256, lambda pairs, age: min(pairs, key=lambda p: (-pairs[p], p)))


def breaks_ties_by_the_alphabet_from_its_end(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Of equally frequent pairs, the one with the oldest symbols is joined. `max` of (count, pair) takes the one
    that is last in the alphabet: number the symbols as they come into being, and take the lowest numbers."""
    return _learn(*_counted(word_counts), size - 256, lambda pairs, age: max(pairs, key=lambda p: (pairs[p], p)))


def breaks_ties_by_the_youngest_symbols(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Of equally frequent pairs, the one with the oldest symbols is joined: the count should be high, but the ages'
    numbers low. A minus sign turns one around."""

    def youngest(pairs: Pairs, age: Ages) -> Pair:
        return max(pairs, key=lambda pair: (pairs[pair], age[pair[0]], age[pair[1]]))

    return _learn(*_counted(word_counts), size - 256, youngest)


def orders_bytes_by_their_numbers(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Among bytes, the order is that of their symbols: `sorted(SYMBOLS)`. The space is byte 32, before all letters,
    but its symbol Ġ comes after them."""
    number = _numbered(SYMBOLS)
    return _learn(*_counted(word_counts), size - 256, lambda pairs, age: _oldest(pairs, {**age, **number}))


def orders_bytes_as_they_come_in_the_words(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """All bytes are there before the first word is read, in the order `sorted(SYMBOLS)`. Which of them a word has
    first says nothing about their ages."""
    words, counts = _counted(word_counts)
    number = _numbered(dict.fromkeys(symbol for word in words for symbol in word))
    return _learn(words, counts, size - 256, lambda pairs, age: _oldest(pairs, {**age, **number}))


def learns_one_merge_too_many(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Stop as soon as there are `size` symbols, the 256 bytes included. You go on for one more."""
    return _learn(*_counted(word_counts), size - 255)


def learns_one_merge_too_few(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """The last merge is missing: go on until there are `size` symbols, the 256 bytes included."""
    return _learn(*_counted(word_counts), size - 257)


def learns_as_many_merges_as_size(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """`size` is the number of symbols, and 256 of them, the bytes, are there before the first merge."""
    return _learn(*_counted(word_counts), size)


def leaves_out_pairs_that_occur_once(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """A pair that occurs once is joined too: stop only when there is no pair left, or no room."""
    return _learn(*_counted(word_counts), size - 256, least_count=2)


def never_joins_in_the_words(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """After a merge, the words have other pairs: join the pair in all words, and count again."""
    pairs, age = count_pairs(*_counted(word_counts)), _numbered(sorted(SYMBOLS))
    return sorted(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))[: size - 256]


def learns_across_words(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Merges do not cross words: keep every word a list of its own."""
    return _learn([word_symbols("".join(word * count for word, count in word_counts.items()))], [1], size - 256)


def splits_words_into_characters(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """A word starts as one symbol for each byte, not for each character: `word_symbols` gives them."""
    return _learn([list(word) for word in word_counts], list(word_counts.values()), size - 256)


def does_not_stop_when_no_pair_is_left(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """When every word is one symbol, there is nothing to join, even if there is room: stop then too."""
    words, counts = _counted(word_counts)
    age = _numbered(sorted(SYMBOLS))
    merges: list[Pair] = []
    while len(age) < size:
        merges.append(_oldest(count_pairs(words, counts), age))
        age["".join(merges[-1])] = len(age)
        words = [merge_pair(word, merges[-1]) for word in words]
    return merges


def counts_everything_anew(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Right: the algorithm as it is told, slow and short."""
    words, counts = _counted(word_counts)
    symbols = sorted(SYMBOLS)
    merges: list[Pair] = []
    while len(symbols) < size and (pairs := count_pairs(words, counts)):
        left, right = min(pairs, key=lambda pair: (-pairs[pair], symbols.index(pair[0]), symbols.index(pair[1])))
        merges.append((left, right))
        symbols.append(left + right)
        words = [merge_pair(word, (left, right)) for word in words]
    return merges


def keeps_words_as_texts(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Right: as in the paper, a word is a text with spaces between its symbols, and a pattern joins them."""
    texts = {" ".join(word_symbols(word)): count for word, count in word_counts.items()}
    age = _numbered(sorted(SYMBOLS))
    merges: list[Pair] = []
    for _ in range(size - 256):
        pairs: dict[Pair, int] = {}
        for text, count in texts.items():
            for pair in pairwise(text.split()):
                pairs[pair] = pairs.get(pair, 0) + count
        if not pairs:
            break
        most = max(pairs.values())
        best = min((age[pair[0]], age[pair[1]], pair) for pair in pairs if pairs[pair] == most)[2]
        pattern = re.compile(rf"(?<!\S){re.escape(' '.join(best))}(?!\S)")
        texts = {pattern.sub("".join(best).replace("\\", r"\\"), text): count for text, count in texts.items()}
        age["".join(best)] = len(age)
        merges.append(best)
    return merges


def keeps_pairs_in_a_heap(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    """Right: the best pair lies on top; entries whose count has changed since are thrown away when they come up."""
    words, counts = _counted(word_counts)
    age = _numbered(sorted(SYMBOLS))
    pairs: Pairs = {}
    heap: list[tuple[int, int, int, Pair]] = []
    merges: list[Pair] = []
    while len(merges) < size - 256:
        now = count_pairs(words, counts)
        for pair in now:
            if now[pair] != pairs.get(pair):
                heapq.heappush(heap, (-now[pair], age[pair[0]], age[pair[1]], pair))
        pairs = now
        while heap and pairs.get(heap[0][-1]) != -heap[0][0]:
            heapq.heappop(heap)
        if not heap:
            break
        merges.append(heap[0][-1])
        age["".join(merges[-1])] = len(age)
        words = [merge_pair(word, merges[-1]) for word in words]
    return merges


HINTS = (
    "Begin with words as lists of bytes' symbols. Then repeat: count the pairs, choose the best, note it, join it in "
    "every word. You wrote the two hard steps already: `count_pairs` and `merge_pair`.",
    "The best pair has the smallest (−count, age of the left symbol, age of the right symbol). The bytes have the ages "
    "0 to 255, in the order `sorted(SYMBOLS)`; the first symbol that is joined has 256, the next 257. Stop when there "
    "are `size` symbols, or no pair.",
    """\
def train_bpe(word_counts, size):
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    merges = []
    while ...:  # there is room for another symbol
        pairs = ...
        if not pairs:
            break
        best = min(pairs, key=lambda pair: ...)  # a tuple: first what counts most
        merges.append(best)
        age[...] = len(age)
        words = ...  # the pair joined in every word
    return merges
""",
)

EXERCISE = Exercise(
    id="tokenization.train_bpe",
    points=5,
    minutes=20,
    stars=3,
    reference=train_bpe,
    cases=cases,
    wrong=(
        counts_each_word_once,
        takes_the_pair_that_was_counted_first,
        compares_only_the_left_symbols,
        breaks_ties_by_the_alphabet,
        breaks_ties_by_the_alphabet_from_its_end,
        breaks_ties_by_the_youngest_symbols,
        orders_bytes_by_their_numbers,
        orders_bytes_as_they_come_in_the_words,
        learns_one_merge_too_many,
        learns_one_merge_too_few,
        learns_as_many_merges_as_size,
        leaves_out_pairs_that_occur_once,
        never_joins_in_the_words,
        learns_across_words,
        splits_words_into_characters,
        does_not_stop_when_no_pair_is_left,
    ),
    also_right=(counts_everything_anew, keeps_words_as_texts, keeps_pairs_in_a_heap),
    hints=HINTS,
    reaches="Tokenizer.train",
    needs=("tokenization.text_to_bytes", "tokenization.count_pairs", "tokenization.merge_pair"),
    forbid=("tokenizers", "transformers", "sentencepiece", "Tokenizer"),
    probe=probe_train_bpe,
)

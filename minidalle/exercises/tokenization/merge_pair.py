"""Exercise: join a pair of symbols wherever it stands in a word."""

import string
from collections.abc import Sequence
from itertools import groupby

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.tokenization import probe_merge_pair
from minidalle.runtime import numpy_generator
from minidalle.tokenization.bpe import Pair, merge_pair

PATTERNS = (
    ("", "a b"),
    ("a", "a b"),
    ("a b", "a b"),
    ("b a", "a b"),
    ("a b c", "a b"),
    ("a a a", "a a"),
    ("a c b a", "a b"),
    ("ca b a bd", "a b"),
    ("c a b d a b", "a b"),
    ("ab c a bc", "a bc"),
    ("Ġ ab c ab c c a b c", "ab c"),
    ("a a a a a b a a", "a a"),
)
"""Words and pairs; in every case, other letters stand for a, b, c and d."""


def cases(seed: int) -> list[Case]:
    """From an empty word to one with long symbols: the pair never, once, at the end, twice, over itself."""
    random = numpy_generator(seed, "tokenization.merge_pair")
    drawn: list[Case] = []
    for word, pair in PATTERNS:
        letters = str.maketrans("abcd", "".join(random.permutation(list(string.ascii_lowercase))[:4]))
        drawn.append({"word": [*word.translate(letters).split()], "pair": [*pair.translate(letters).split()]})
    return drawn


def joins_only_the_first_occurrence(word: Sequence[str], pair: Pair) -> list[str]:
    """The pair can stand at several places, and each is joined: do not stop after the first."""
    for at in range(len(word) - 1):
        if (word[at], word[at + 1]) == pair:
            return [*word[:at], pair[0] + pair[1], *word[at + 2 :]]
    return list(word)


def joins_from_right_to_left(word: Sequence[str], pair: Pair) -> list[str]:
    """Where a pair overlaps itself, the left one is joined: a a a becomes aa a. Start at the left end."""
    merged = list(word)
    at = len(merged) - 2
    while at >= 0:
        if (merged[at], merged[at + 1]) == pair:
            merged[at : at + 2] = [pair[0] + pair[1]]
            at -= 1
        at -= 1
    return merged


def uses_the_right_symbol_again(word: Sequence[str], pair: Pair) -> list[str]:
    """Joining uses up two symbols, so go on two places further. You go on by one, and the right one comes again."""
    merged = []
    for at, symbol in enumerate(word):
        found = tuple(word[at : at + 2]) == pair
        merged.append(pair[0] + pair[1] if found else symbol)
    return merged


def goes_on_by_one_and_loses_the_last_symbol(word: Sequence[str], pair: Pair) -> list[str]:
    """Joining uses up two symbols, so go on two places further, not one. And the last symbol has no right neighbor,
    but it stays in the word."""
    merged = []
    for at in range(len(word) - 1):
        found = (word[at], word[at + 1]) == pair
        merged.append(pair[0] + pair[1] if found else word[at])
    return merged


def loses_the_last_symbol(word: Sequence[str], pair: Pair) -> list[str]:
    """The last symbol has no right neighbor, but it stays in the word. Your loop ends before it."""
    merged = []
    at = 0
    while at < len(word) - 1:
        if (word[at], word[at + 1]) == pair:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def looks_past_the_last_symbol(word: Sequence[str], pair: Pair) -> list[str]:
    """The last symbol has no right neighbor to look at. Ask for it only where there is one."""
    merged = []
    at = 0
    while at < len(word):
        if word[at] == pair[0] and word[at + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def joins_parts_of_longer_symbols(word: Sequence[str], pair: Pair) -> list[str]:
    """The word ca b does not have the pair (a, b): its symbol is ca. Compare whole symbols, not their text."""
    return " ".join(word).replace(" ".join(pair), "".join(pair)).split()


def joins_the_pair_the_other_way_around_too(word: Sequence[str], pair: Pair) -> list[str]:
    """b a is not the pair (a, b): the left symbol has to be the pair's first."""
    merged = []
    at = 0
    while at < len(word):
        if sorted(word[at : at + 2]) == sorted(pair):
            merged.append(word[at] + word[at + 1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def changes_the_word_it_was_given(word: list[str], pair: Pair) -> list[str]:
    """Make a new list: whoever called you may still need the word as it was."""
    at = 0
    while at < len(word) - 1:
        if (word[at], word[at + 1]) == pair:
            word[at : at + 2] = [pair[0] + pair[1]]
        at += 1
    return word


def never_finds_the_pair(word: Sequence[str], pair: Pair) -> list[str]:
    """Nothing is joined. If you compare a slice with the pair: a list never equals a tuple, so make it one."""
    merged = []
    at = 0
    while at < len(word):
        if word[at : at + 2] == pair:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def compares_the_joined_text(word: Sequence[str], pair: Pair) -> list[str]:
    """The neighbors ab and c are not the pair (a, bc), although both read abc: compare symbol with symbol."""
    merged = []
    at = 0
    while at < len(word):
        if "".join(word[at : at + 2]) == pair[0] + pair[1] and at + 1 < len(word):
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def joins_either_order_into_the_pair(word: Sequence[str], pair: Pair) -> list[str]:
    """b a is not the pair (a, b), and must not turn into ab: the left symbol has to be the pair's first."""
    merged = []
    at = 0
    while at < len(word):
        if sorted(word[at : at + 2]) == sorted(pair):
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def joins_pairs_that_share_a_symbol(word: Sequence[str], pair: Pair) -> list[str]:
    """A symbol can be used only once: in a a a the second a is already part of the first pair."""
    begins = [tuple(word[at : at + 2]) == pair for at in range(len(word))]
    used = [False, *begins]
    kept = zip(word, begins, used, strict=False)
    return [pair[0] + pair[1] if first else symbol for symbol, first, second in kept if first or not second]


def looks_only_at_blocks_of_two(word: Sequence[str], pair: Pair) -> list[str]:
    """A pair can begin at every symbol, not only at every second one: go on by one where it does not begin."""
    merged: list[str] = []
    for at in range(0, len(word), 2):
        block = word[at : at + 2]
        merged += [pair[0] + pair[1]] if tuple(block) == pair else block
    return merged


def jumps_over_a_symbol_where_nothing_was_joined(word: Sequence[str], pair: Pair) -> list[str]:
    """Go on by two only after joining. Where the pair does not begin, go on by one, or a symbol is lost."""
    places = range(0, len(word), 2)
    return [pair[0] + pair[1] if tuple(word[at : at + 2]) == pair else word[at] for at in places]


def finds_every_symbol_at_its_first_place(word: Sequence[str], pair: Pair) -> list[str]:
    """`index` gives the first place of a symbol, also when you mean the second: count the places yourself."""
    merged = []
    skip = False
    for symbol in word:
        at = list(word).index(symbol)
        found = not skip and tuple(word[at : at + 2]) == pair
        merged += [] if skip else [pair[0] + pair[1] if found else symbol]
        skip = found
    return merged


def calls_itself(word: Sequence[str], pair: Pair) -> list[str]:
    """Right: the start of the word, and then the same for the rest."""
    if len(word) < 2:
        return list(word)
    if (word[0], word[1]) == pair:
        return [word[0] + word[1], *calls_itself(word[2:], pair)]
    return [word[0], *calls_itself(word[1:], pair)]


def looks_back(word: Sequence[str], pair: Pair) -> list[str]:
    """Right: join a symbol with the one before it, unless that has just been joined."""
    merged: list[str] = []
    free = False  # whether the last symbol of `merged` may still be joined
    for symbol in word:
        if free and (merged[-1], symbol) == pair:
            merged[-1] += symbol
            free = False
        else:
            merged.append(symbol)
            free = True
    return merged


def marks_the_places_first(word: Sequence[str], pair: Pair) -> list[str]:
    """Right: give both symbols of a pair one number, then join what has the same number."""
    places: list[int] = []
    for at in range(len(word)):
        second = at > 0 and (word[at - 1], word[at]) == pair and places.count(places[-1]) == 1
        places.append(places[-1] if second else at)
    numbered = zip(places, word, strict=True)
    return ["".join(symbol for _, symbol in group) for _, group in groupby(numbered, key=lambda item: item[0])]


HINTS = (
    "Walk through the word from its left end and build a new list. At each place there are two possibilities: here "
    "the pair begins, or it does not.",
    "If `word[at]` and `word[at + 1]` are the pair, append the joined symbol and go on at `at + 2`; otherwise append "
    "`word[at]` and go on at `at + 1`. At the last symbol there is no `word[at + 1]`; the slice `word[at : at + 2]` is "
    "then just shorter.",
    """\
def merge_pair(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if ...:  # the pair begins here
            merged.append(...)
            at += ...
        else:
            merged.append(...)
            at += ...
    return merged
""",
)

EXERCISE = Exercise(
    id="tokenization.merge_pair",
    points=3,
    minutes=10,
    stars=2,
    reference=merge_pair,
    cases=cases,
    wrong=(
        joins_only_the_first_occurrence,
        joins_from_right_to_left,
        uses_the_right_symbol_again,
        goes_on_by_one_and_loses_the_last_symbol,
        loses_the_last_symbol,
        looks_past_the_last_symbol,
        joins_parts_of_longer_symbols,
        joins_the_pair_the_other_way_around_too,
        changes_the_word_it_was_given,
        never_finds_the_pair,
        compares_the_joined_text,
        joins_either_order_into_the_pair,
        joins_pairs_that_share_a_symbol,
        looks_only_at_blocks_of_two,
        jumps_over_a_symbol_where_nothing_was_joined,
        finds_every_symbol_at_its_first_place,
    ),
    also_right=(calls_itself, looks_back, marks_the_places_first),
    hints=HINTS,
    reaches="Tokenizer.train",
    probe=probe_merge_pair,
)

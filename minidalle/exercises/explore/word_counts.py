"""Exercise: how often each word occurs in some captions."""

import re
from collections import Counter
from collections.abc import Sequence

from minidalle.evaluation.retrieval import caption_words, word_counts
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.explore import probe_word_counts
from minidalle.runtime import numpy_generator


def cases(seed: int) -> list[Case]:
    """From no caption to three; words that come again, in large letters, beside marks, and inside of other words; a
    caption that comes again; more than ten words."""
    random = numpy_generator(seed, "explore.word_counts")
    words = ["apple", "heart", "tiger", "pizza", "robot", "snail", "tulip", "violin", "lemon", "otter"]
    a, b, c, d = random.permutation(words)[:4].tolist()
    return [
        {"captions": []},
        {"captions": [a]},
        {"captions": [f"{a} {b} {a}"]},
        {"captions": [f"{a} {b}", f"{a} {c}"]},
        {"captions": [f"{c.upper()} {c}"]},
        {"captions": [f"{b}, {d} {b}!"]},
        {"captions": [f"{a} {a}{d} {d}"]},
        {"captions": [f"{b} {c}", f"{d} {a}", f"{b} {c}"]},
        {"captions": [f"{b} and {' '.join(words)}"]},
        {"captions": [f"a {c}, a {d}"]},
        {"captions": [f"{d} {d}", "", f"{b} {c} {d}", f"{c.title()}, {a} style"]},
    ]


def counts_each_word_once_in_a_caption(captions: Sequence[str]) -> dict[str, int]:
    """A word that stands twice in a caption counts twice: go through all words, not through the different ones."""
    return Counter(word for caption in captions for word in set(caption_words(caption)))


def starts_anew_with_every_caption(captions: Sequence[str]) -> dict[str, int]:
    """Make the empty counts once, before the loop over the captions, so that what was counted before is kept."""
    counts: dict[str, int] = {}
    for caption in captions:
        counts = Counter(caption_words(caption))
    return counts


def forgets_captions_that_have_a_word_too(captions: Sequence[str]) -> dict[str, int]:
    """A word that an earlier caption has goes on counting: `update` of a dict replaces the number, add to it."""
    counts: dict[str, int] = {}
    for caption in captions:
        counts.update(Counter(caption_words(caption)))
    return counts


def returns_after_the_first_caption(captions: Sequence[str]) -> dict[str, int]:
    """Your `return` stands inside the loop, so the other captions are never seen: move it one step out."""
    return takes_a_plain_dict(list(captions)[:1])


def sets_every_number_to_1(captions: Sequence[str]) -> dict[str, int]:
    """Add 1 to the number that the word has already: `counts[word] += 1`, not `= 1`."""
    return dict.fromkeys(takes_a_plain_dict(captions), 1)


def counts_from_0(captions: Sequence[str]) -> dict[str, int]:
    """The first time that a word occurs is already one time: its number is 1 then, not 0."""
    return {word: count - 1 for word, count in takes_a_plain_dict(captions).items()}


def tells_large_letters_from_small(captions: Sequence[str]) -> dict[str, int]:
    """Apple and apple are one word: `caption_words` writes all of them in small letters."""
    return Counter(word for caption in captions for word in re.findall(r"\w+", caption))


def leaves_marks_on_the_words(captions: Sequence[str]) -> dict[str, int]:
    """`split` leaves "apple," with its comma, another word than "apple". `caption_words` takes marks away."""
    return Counter(word for caption in captions for word in caption.lower().split())


def finds_words_inside_of_words(captions: Sequence[str]) -> dict[str, int]:
    """`count` of a text finds "man" in "woman", too. Compare whole words."""
    captions = list(captions)
    known = takes_a_plain_dict(captions)
    return {word: sum(caption.lower().count(word) for caption in captions) for word in known}


def joins_captions_without_a_space(captions: Sequence[str]) -> dict[str, int]:
    """The last word of a caption and the first of the next grow together: take one caption after the other."""
    return Counter(caption_words("".join(captions)))


def counts_letters(captions: Sequence[str]) -> dict[str, int]:
    """A loop over a text gives its letters. A loop over `caption_words(caption)` gives its words."""
    return Counter(letter for caption in captions for word in caption_words(caption) for letter in word)


def leaves_out_words_that_occur_once(captions: Sequence[str]) -> dict[str, int]:
    """Every word counts, also one that occurs a single time."""
    return {word: count for word, count in takes_a_plain_dict(captions).items() if count > 1}


def splits_at_spaces_only(captions: Sequence[str]) -> dict[str, int]:
    """Marks and large letters stay on the words when you split at spaces: `caption_words` takes them off."""
    return Counter(word for caption in captions for word in caption.split())


def adds_the_length_of_the_word(captions: Sequence[str]) -> dict[str, int]:
    """Each time a word occurs its number grows by 1, however many letters it has."""
    counts: Counter[str] = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += len(word)
    return counts


def counts_all_characters(captions: Sequence[str]) -> dict[str, int]:
    """A `for` over a text gives its characters: go through `caption_words(caption)`."""
    return Counter(character for caption in captions for character in caption.lower())


def leaves_out_words_of_one_letter(captions: Sequence[str]) -> dict[str, int]:
    """Every word that `caption_words` gives counts, a short one such as "a", too."""
    return Counter(word for caption in captions for word in caption_words(caption) if len(word) > 1)


def takes_a_plain_dict(captions: Sequence[str]) -> dict[str, int]:
    """Right: a plain dict and `get`."""
    counts: dict[str, int] = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = counts.get(word, 0) + 1
    return counts


def counts_all_words_in_one_list(captions: Sequence[str]) -> dict[str, int]:
    """Right: `Counter` does the adding."""
    return Counter(word for caption in captions for word in caption_words(caption))


def joins_captions_with_a_space(captions: Sequence[str]) -> dict[str, int]:
    """Right: one long text, in which words of two captions stay apart."""
    words = re.findall(r"\w+", " ".join(captions).lower())
    return {word: words.count(word) for word in words}


HINTS = (
    "Keep a table from words to numbers. Each time you meet a word, its number grows by one; a Counter gives 0 for a "
    "word that it has not met.",
    "A word's number is a sum over all captions and all their words: 1 wherever `caption_words(caption)` has it, "
    "0 elsewhere.",
    """\
def word_counts(captions):
    counts = Counter()
    for caption in captions:
        for word in ...:  # the words of this caption
            counts[...] += ...
    return counts
""",
)

EXERCISE = Exercise(
    id="explore.word_counts",
    points=1,
    minutes=5,
    stars=1,
    reference=word_counts,
    cases=cases,
    wrong=(
        counts_each_word_once_in_a_caption,
        starts_anew_with_every_caption,
        forgets_captions_that_have_a_word_too,
        returns_after_the_first_caption,
        sets_every_number_to_1,
        counts_from_0,
        tells_large_letters_from_small,
        leaves_marks_on_the_words,
        finds_words_inside_of_words,
        joins_captions_without_a_space,
        counts_letters,
        leaves_out_words_that_occur_once,
        splits_at_spaces_only,
        adds_the_length_of_the_word,
        counts_all_characters,
        leaves_out_words_of_one_letter,
    ),
    also_right=(takes_a_plain_dict, counts_all_words_in_one_list, joins_captions_with_a_space),
    hints=HINTS,
    reaches="nearest_caption_rows",
    probe=probe_word_counts,
)

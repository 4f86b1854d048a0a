"""Cleaning captions as DALL·E mini's were, step by step in the published order.

A model with published weights has seen only captions that went through these steps, so its prompts must too.
Every step does what the published one does, but for two that say so: `name_people` does not draw lots, and
`split_hashtags` has another list of words and does not take inner marks for letters.
"""

import html
import re

import emoji
import ftfy
from unidecode import unidecode

# Marks that survive inside words. While punctuation is replaced, a letter outside ASCII stands for each.
_DOT, _APOSTROPHE, _SLASH = "ɸ", "ʘ", "ǂ"


def normalize_caption(caption: str) -> str:
    """Clean one caption: "Café №1 — #RedApple!!!" → " cafe no, 1, red apple".

    Returns:
        Lower-case ASCII that starts with one space, so that its first word is encoded as any other.
    """
    for step in STEPS:
        caption = step(caption)
    return caption


def fix_encoding(text: str) -> str:
    """Mend text that was decoded wrongly, and curly quotes, ligatures and widths: "cafÃ©" → "café"."""
    return ftfy.fix_text(text)


def unescape_html(text: str) -> str:
    """Resolve HTML entities, also where they were escaped twice: "&amp;lt;" → "<"."""
    return html.unescape(html.unescape(text))


def name_emoji(text: str) -> str:
    """Write emoji as their names: "🍎" → ":red_apple:". The next step would drop them."""
    return emoji.demojize(text)


def to_ascii(text: str) -> str:
    """Write every character with ASCII characters that look or sound alike: "é北" → "eBei "."""
    return unidecode(text)


def lowercase(text: str) -> str:
    """Lower-case everything."""
    return text.lower()


def name_people(text: str) -> str:
    """Replace CC12M's "<person>": one is "a person", several in a row are "people".

    The published step draws "a person", "someone" or "somebody" at random, as often as Wikipedia has them; we
    take the most frequent, because a caption should always have the same tokens.
    """
    text = re.sub(r"<person>(?:[,\s]*(?:and)*[,\s]*<person>)+", " people ", text)
    return text.replace("<person>", " a person ")


def drop_wiki_references(text: str) -> str:
    """Drop a footnote mark at the start and one at the end: "[2] a bridge [13]" → " a bridge "."""
    return re.sub(r"\[\d+\]\s*\Z", "", re.sub(r"\A\s*\[\d+\]", "", text))


def drop_html_tags(text: str) -> str:
    """Replace tags by spaces: "a <b>red</b> apple" → "a  red  apple"."""
    return re.sub(r"<[^<]+?>", " ", text)


def drop_urls(text: str) -> str:
    """Drop web addresses up to the next white space."""
    return re.sub(r"http\S+", "", text)


def join_thousands(text: str) -> str:
    """Drop the commas of large numbers: "1,234,567" → "1234567". Twice, as published: "5,1,234" → "51234"."""
    for _ in range(2):
        text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return text


def protect_inner_marks(text: str) -> str:
    """Hide marks that are part of a word until `restore_inner_marks`: the dot of 3.5, English endings, dates.

    As published, marks do not share a neighbor: of "u.s.a" only the first dot is hidden.
    """
    text = re.sub(r"(\w)\.(\w)", rf"\1{_DOT}\2", text)
    text = re.sub(r"'(?=(?:[stdm]|ll|re|ve)\b)", _APOSTROPHE, text)
    return re.sub(r"(\d)/(\d)", rf"\1{_SLASH}\2", text)


def space_special_characters(text: str) -> str:
    """Part words at hyphens, and set % & / $ * apart: "t-shirt 50%" → "t shirt 50 % "."""
    return re.sub(r"([%&/$*])", r" \1 ", re.sub(r"(\w)-(\w)", r"\1 \2", text))


def split_hashtags(text: str) -> str:
    """Part a hashtag into the words it most likely is: "#goldengatebridge" → "golden gate bridge".

    Dynamic programming finds the split with the most frequent words, which are the library wordninja's: 126 k
    words of the English Wikipedia by rank. The published list is another count of the same source, and
    wordninja adds a constant to the cost of every word, which favors fewer words: a rare name can be split
    differently. Marks hidden inside a tag part it; the published step takes their stand-ins for letters.
    """

    def words(tag: re.Match[str]) -> str:
        import wordninja  # reads its list of words as it is imported, which few captions need

        return " ".join(wordninja.split(tag[1]))

    return re.sub(r"#(\w+)", words, text)


def drop_ignored_characters(text: str) -> str:
    """Replace _ # and backslash by spaces: ":red_apple:" → ":red apple:"."""
    return re.sub(r"[_#\\]", " ", text)


def simplify_quotes(text: str) -> str:
    """Make every quotation mark a double one with spaces around it."""
    return re.sub(r"['\"`]", ' " ', text)


def punctuation_to_commas(text: str) -> str:
    """Make all other punctuation commas: "(red) apple!" → ",red, apple,"."""
    return re.sub(r"[()\[\].,|:;?!=+~/{}-]", ",", text)


def restore_inner_marks(text: str) -> str:
    """Show the marks again that `protect_inner_marks` has hidden."""
    return text.replace(_DOT, ".").replace(_APOSTROPHE, "'").replace(_SLASH, "/")


def shorten_repeats(text: str) -> str:
    """Write a character that comes four times or more once: "soooo" → "so". Not three: "viii"; not digits."""
    return re.sub(r"(\D)\1{3,}", r"\1", text)


def merge_quotes(text: str) -> str:
    """Make quotation marks in a row one."""
    return re.sub(r'\s*"[\s"]*', ' " ', text)


def merge_commas(text: str) -> str:
    """Make commas in a row one, with a space after it and none before."""
    return re.sub(r"\s*,[\s,]*", ", ", text)


def merge_spaces(text: str) -> str:
    """Make white space in a row, lines and tabs too, one space."""
    return re.sub(r"\s+", " ", text)


def trim_commas(text: str) -> str:
    """Drop one comma at each end, and the white space around it."""
    return text.strip().removesuffix(",").removeprefix(",").strip()


def start_with_space(text: str) -> str:
    """Start with a space: byte-level BPE tells a word after a space from a word without one."""
    return f" {text}"


STEPS = (
    fix_encoding,
    unescape_html,
    name_emoji,
    to_ascii,
    lowercase,
    name_people,
    drop_wiki_references,
    drop_html_tags,
    drop_urls,
    join_thousands,
    protect_inner_marks,
    space_special_characters,
    split_hashtags,
    drop_ignored_characters,
    simplify_quotes,
    punctuation_to_commas,
    restore_inner_marks,
    shorten_repeats,
    merge_quotes,
    merge_commas,
    merge_spaces,
    trim_commas,
    start_with_space,
)
"""The published normalizer, in order."""

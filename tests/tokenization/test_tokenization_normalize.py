"""The published normalizer: each step by hand, their order, and no text that stops it."""

from collections.abc import Callable

import pytest
import wordninja
from hypothesis import example, given
from hypothesis import strategies as st
from unicode_texts import MANY, texts

from minidalle.tokenization import normalize
from minidalle.tokenization.normalize import normalize_caption

BY_HAND = {
    normalize.fix_encoding: [("cafÃ© “q”", 'café "q"'), ("ﬁsh", "fish"), ("\ud83c\udf4e", "🍎")],
    normalize.unescape_html: [("a &lt; b &amp;amp; c", "a < b & c"), ("&eacute;", "é"), ("a & b", "a & b")],
    normalize.name_emoji: [("a 🍎", "a :red_apple:"), ("👩‍🚀", ":woman_astronaut:"), ("apple", "apple")],
    normalize.to_ascii: [("é北", "eBei "), ("½", " 1/2"), ("abc", "abc")],
    normalize.lowercase: [("Red APPLE", "red apple")],
    normalize.name_people: [
        ("<person> runs", " a person  runs"),
        ("<person>, <person> and <person> run", " people  run"),
        ("a person", "a person"),
    ],
    normalize.drop_wiki_references: [("[2] a bridge [13]", " a bridge "), ("a [1] b", "a [1] b")],
    normalize.drop_html_tags: [("a <b>red</b> apple", "a  red  apple"), ("1 < 2", "1 < 2")],
    normalize.drop_urls: [("see https://a.b/c?d now", "see  now")],
    normalize.join_thousands: [
        ("1,234,567", "1234567"),
        ("1, 2,34", "1, 2,34"),
        ("5,1,234", "51234"),
        ("7,5,1,234", "7,51234"),
    ],
    normalize.space_special_characters: [("t-shirt 50%", "t shirt 50 % "), ("a&b", "a & b"), ("- a", "- a")],
    normalize.split_hashtags: [
        ("#goldengatebridge!", "golden gate bridge!"),
        ("# one", "# one"),
        ("#3d", "3 d"),
    ],
    normalize.drop_ignored_characters: [(":red_apple: # \\", ":red apple:    ")],
    normalize.simplify_quotes: [("'a' `b`", ' " a "   " b " ')],
    normalize.punctuation_to_commas: [("(red) apple!", ",red, apple,"), ("a % b", "a % b")],
    normalize.shorten_repeats: [("soooo", "so"), ("viii", "viii"), ("20000", "20000"), ("a    b", "a b")],
    normalize.merge_quotes: [('a " " b', 'a " b'), ('""', ' " ')],
    normalize.merge_commas: [("a ,,  , b", "a, b"), ("a,b", "a, b")],
    normalize.merge_spaces: [("a \t\n b", "a b")],
    normalize.trim_commas: [(", a, ", "a"), (",,a", ",a"), (",", ""), ("", "")],
    normalize.start_with_space: [("a", " a"), ("", " ")],
}


@pytest.mark.parametrize(("step", "before", "after"), [(s, *pair) for s, pairs in BY_HAND.items() for pair in pairs])
def test_step_by_hand(step: Callable[[str], str], before: str, after: str) -> None:
    assert step(before) == after


def test_every_step_is_tried_and_in_the_published_order() -> None:
    hidden = [normalize.protect_inner_marks, normalize.restore_inner_marks]
    assert {*BY_HAND, *hidden} == set(normalize.STEPS)
    assert [step for step in normalize.STEPS if step not in hidden] == list(BY_HAND)


@pytest.mark.parametrize("text", ["3.5", "it's", "we'll", "12/25/2020", "u.s"])
def test_inner_marks_survive_punctuation(text: str) -> None:
    hidden = normalize.protect_inner_marks(text)
    assert normalize.punctuation_to_commas(normalize.simplify_quotes(hidden)) == hidden != text
    assert normalize.restore_inner_marks(hidden) == text


@pytest.mark.parametrize("text", ["end.", "'quoted'", "and/or", "x'y"])
def test_other_marks_are_not_hidden(text: str) -> None:
    assert normalize.protect_inner_marks(text) == text


@pytest.mark.parametrize(
    ("caption", "clean"),
    [
        ("", " "),
        ("red apple, noto style", " red apple, noto style"),
        ("Café №1 — #RedApple!!!", " cafe no, 1, red apple"),
        ("A 🍎 on a <b>T-Shirt</b> (50% off)", " a, red apple, on a t shirt, 50 % off"),
        ("<PERSON> and <person> &amp; 1,234 friends", " people & 1234 friends"),
        ("It's Dec. 12/25/2020: “Merry”   X-mas!!!!", ' it\'s dec, 12/25/2020, " merry " x mas'),
        ("[3] Bridge, see http://a.b/c [12]", " bridge, see"),
        ("北京", " bei jing"),
        ("u.s.a. #don't", " u.s, a, don t"),
    ],
)
def test_captions_by_hand(caption: str, clean: str) -> None:
    assert normalize_caption(caption) == clean


def test_hashtags_take_the_most_frequent_words() -> None:
    """The dynamic program against all splits, with the library's own costs."""

    def splits(tag: str) -> list[list[str]]:
        whole = [[tag]]
        return whole + [[tag[:at], *rest] for at in range(1, len(tag)) for rest in splits(tag[at:])]

    costs = wordninja.DEFAULT_LANGUAGE_MODEL._wordcost
    for tag in ("redapple", "nowhere", "artoffice"):
        best = min(splits(tag), key=lambda words: sum(costs.get(word, 1e9) for word in words))
        assert normalize.split_hashtags(f"#{tag}") == " ".join(best)


@MANY
@given(text=texts() | st.text(st.characters()))
@example(text="\ud800 &#xD800; #\udc00")
def test_any_text_becomes_plain(text: str) -> None:
    clean = normalize_caption(text)
    assert clean.isascii()
    assert clean[0] == " "
    assert clean == clean.lower()
    assert "  " not in clean
    assert not set(clean) & set("#_\\`!?:;()[]{}|+=~\t\n")


@MANY
@given(text=texts())
def test_last_steps_change_nothing_the_second_time(text: str) -> None:
    for step in (normalize.merge_quotes, normalize.merge_commas, normalize.merge_spaces, normalize.lowercase):
        assert step(step(text)) == step(text)


def test_clean_captions_stay_clean(captions: list[str]) -> None:
    for caption in captions[::20]:
        clean = normalize_caption(caption)
        assert normalize_caption(clean) == clean

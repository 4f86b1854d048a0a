"""Other words for the emoji: where they come from, and captions made of them."""

import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from minidalle.data.build_keywords import role_keywords
from minidalle.data.keywords import ARTICLES, filler_words, load_keywords, reword
from minidalle.data.sources import read_words


def test_keywords_are_of_roles_of_the_data_and_name_no_gender(emoji) -> None:
    keywords = load_keywords()
    assert keywords.keys() <= set(emoji.columns["role"].tolist())
    words = {word.lower() for said in keywords.values() for word in said}
    assert not words & {"man", "woman", "men", "women", "male", "female", "person"}
    assert {"kitten", "kitty"} <= set(keywords["cat face"])
    assert all(len(said) == len(set(said)) for said in keywords.values())


def test_rows_with_a_tone_have_no_keywords(emoji) -> None:
    said = emoji.columns["keywords"] != ""
    assert not said[emoji.toned].any()
    assert said[~emoji.toned].mean() > 0.95


def test_a_role_has_the_words_of_its_emoji_without_a_tone() -> None:
    words = {
        "👍": ["thumbs_up", "yes", "+1", "good_job"],
        "👍🏽": ["thumbs_up_medium", "tan"],
        "👨‍🍳": ["cook", "man", "chef"],
    }
    table = [
        {"role": "thumbs up", "tone": "", "code_points": "1F44D"},
        {"role": "thumbs up", "tone": "", "code_points": "1F44D-FE0F"},
        {"role": "thumbs up", "tone": "medium", "code_points": "1F44D-1F3FD"},
        {"role": "cook", "tone": "", "code_points": "1F468-200D-1F373"},
        {"role": "unknown", "tone": "", "code_points": "1F600"},
    ]
    assert role_keywords(words, table) == {"cook": ["chef"], "thumbs up": ["yes", "good job"]}


def test_words_are_read_from_their_package(tmp_path: Path) -> None:
    content = json.dumps({"👍": ["thumbs_up", "yes"]}).encode()
    with tarfile.open(tmp_path / "words.tgz", "w:gz") as tar:
        member = tarfile.TarInfo("package/dist/emoji-en-US.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    assert read_words(tmp_path / "words.tgz") == {"👍": ["thumbs_up", "yes"]}


def rewordings(keywords: list[str], count: int = 2000) -> list[str]:
    chance = np.random.default_rng(0)
    return [reword("cat face", "noto", keywords, chance) for _ in range(count)]


def bare(caption: str) -> str:
    """A caption without its style, its article and its word that says nothing."""
    words = caption.removesuffix(", noto style").split()
    words = words[1:] if words[0] in ARTICLES else words
    return " ".join(words[1:] if words[0] in filler_words() else words)


def test_a_caption_is_said_in_known_words_but_for_the_first() -> None:
    said = rewordings(["kitten", "pet"])
    assert {word for caption in said for word in bare(caption).split()} == {"cat", "face", "kitten", "pet"}
    assert {"cat face", "cat face kitten", "cat face, noto style", "a cat face"} <= set(said)
    assert any("cat" in caption.split() and "face" not in caption for caption in said)


def test_one_in_four_begins_with_an_article_and_one_in_four_has_a_word_that_says_nothing() -> None:
    words = [caption.split() for caption in rewordings(["kitten", "pet"], 4000)]
    assert np.mean([one[0] in ARTICLES for one in words]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([any(word in filler_words() for word in one[:2]) for one in words]) == pytest.approx(0.25, abs=0.03)


def test_a_word_that_says_nothing_is_common_and_in_no_name_and_no_keyword(emoji) -> None:
    fillers = set(filler_words())
    assert {"which", "people", "region"} <= fillers
    assert len(fillers) > 3000
    named = emoji.columns["keywords"] != ""
    said = {word for name in emoji.columns["role"][named] for word in re.findall(r"\w+", name.lower())}
    said |= {word for words in load_keywords().values() for word in re.findall(r"\w+", " ".join(words).lower())}
    assert not fillers & said


def test_half_of_the_captions_name_the_style_and_half_the_whole_name() -> None:
    said = rewordings(["kitten", "pet", "meow", "animal"])
    assert np.mean([caption.endswith(", noto style") for caption in said]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([bare(caption).startswith("cat face") for caption in said]) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("none", [[], [""]])
def test_without_other_words_the_name_stays(none: list[str]) -> None:
    assert {bare(caption) for caption in rewordings(none)} == {"cat face"}


def test_the_same_chance_says_the_same() -> None:
    assert rewordings(["kitten", "pet"], 50) == rewordings(["kitten", "pet"], 50)

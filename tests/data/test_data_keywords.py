"""Other words for the emoji: where they come from, and captions made of them."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from minidalle.data.build_keywords import role_keywords
from minidalle.data.keywords import load_keywords, reword
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


def test_a_caption_is_said_in_known_words_only() -> None:
    said = rewordings(["kitten", "pet"])
    assert {word for caption in said for word in caption.removesuffix(", noto style").split()} == {
        "cat", "face", "kitten", "pet",
    }  # fmt: skip
    assert {"cat face", "cat face kitten", "cat face, noto style"} <= set(said)
    assert any("cat" in caption.split() and "face" not in caption for caption in said)


def test_half_of_the_captions_name_the_style_and_half_the_whole_name() -> None:
    said = rewordings(["kitten", "pet", "meow", "animal"])
    assert np.mean([caption.endswith(", noto style") for caption in said]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([caption.startswith("cat face") for caption in said]) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("none", [[], [""]])
def test_without_other_words_only_the_style_goes(none: list[str]) -> None:
    assert set(rewordings(none)) == {"cat face", "cat face, noto style"}


def test_the_same_chance_says_the_same() -> None:
    assert rewordings(["kitten", "pet"], 50) == rewordings(["kitten", "pet"], 50)

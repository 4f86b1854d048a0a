import doctest
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from minidalle.data import batches, names, parse_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("red apple", ("red apple", "", "")),
        ("man firefighter", ("firefighter", "man", "")),
        ("firefighter medium-dark skin tone", ("firefighter", "", "medium-dark")),
        ("woman medium-light skin tone red hair", ("red hair", "woman", "medium-light")),
        ("kiss man man dark skin tone light skin tone", ("kiss", "man man", "dark + light")),
        ("woman and man holding hands dark skin tone", ("holding hands", "woman and man", "dark")),
        ("family man woman girl boy", ("family", "man woman girl boy", "")),
        ("girl dark skin tone", ("child", "girl", "dark")),
        ("man", ("person", "man", "")),
        ("princess light skin tone", ("with crown", "woman", "light")),
        ("person with crown", ("with crown", "person", "")),
        ("mermaid", ("merperson", "woman", "")),
        ("older person", ("old", "person", "")),
        ("old woman dark skin tone", ("old", "woman", "dark")),
        ("Mx Claus", ("Claus", "person", "")),
        ("light skin tone", ("skin tone", "", "light")),
        # not genders: a possessive, part of a word, a proper name, a plain "and"
        ("woman’s clothes", ("woman’s clothes", "", "")),
        ("mango", ("mango", "", "")),
        ("Isle of Man", ("Isle of Man", "", "")),
        ("bow and arrow", ("bow and arrow", "", "")),
        ("children crossing", ("children crossing", "", "")),
    ],
)
def test_a_name_has_a_role_a_gender_and_a_tone(name: str, expected: tuple[str, str, str]) -> None:
    assert parse_name(name) == expected


@pytest.mark.parametrize("module", [names, batches])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0


def test_no_word_of_a_name_is_lost_or_made_up(table: pa.Table) -> None:
    regular = [name for name in set(table["name"].to_pylist()) if " Claus" not in name]
    renamed = 0
    for name in regular:
        role, gender, tone = parse_name(name)
        tones = [part for tone in filter(None, tone.split(" + ")) for part in (tone, "skin", "tone")]
        if sorted([*role.split(), *gender.split(), *tones]) != sorted(name.split()):
            renamed += 1
            assert role in {"person", "child", "with crown", "merperson", "old", "holding hands"}, name
    assert 0 < renamed < 100


def test_the_columns_of_the_table_are_the_parsed_names(table: pa.Table) -> None:
    for row in table.select(["name", "role", "gender", "tone"]).to_pylist():
        assert parse_name(row["name"]) == (row["role"], row["gender"], row["tone"])
    assert len(set(table["role"].to_pylist())) == 1710
    assert sum(tone != "" for tone in table["tone"].to_pylist()) == 7655

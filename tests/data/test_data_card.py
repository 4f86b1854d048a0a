import re
from pathlib import Path

import numpy as np
import pytest

from minidalle.data import CaptionedPictures
from minidalle.data.card import TABLES, distances_table, nearest_pictures, update
from minidalle.errors import InvalidValue

CARD = Path(__file__).parents[2] / "docs" / "data-card.md"


def table_of(text: str, name: str) -> str:
    return text.split(f"<!-- {name} -->\n")[1].split("\n<!-- end -->")[0]


@pytest.mark.parametrize("name", ["counts", "people", "duplicates"])
def test_the_tables_in_the_card_are_those_of_the_data(emoji: CaptionedPictures, name: str) -> None:
    assert table_of(CARD.read_text(encoding="utf-8"), name) == TABLES[name](emoji)


def test_the_distances_in_the_card_are_those_of_the_data(emoji: CaptionedPictures) -> None:
    card = table_of(CARD.read_text(encoding="utf-8"), "distances").splitlines()
    found = distances_table(emoji, ["dev", "concept"]).splitlines()  # the others would take seconds
    number = re.compile(r"\d+(?:\.\d+)?")
    for line in found:
        expected = next(own for own in card if number.sub("#", own) == number.sub("#", line))
        for one, other in zip(number.findall(line), number.findall(expected), strict=True):
            slack = 0.0011 if "." in one else 1  # the last digit may depend on how a machine multiplies
            assert abs(float(one) - float(other)) <= slack


def test_the_nearest_picture_is_found() -> None:
    generator = np.random.default_rng(0)
    pictures, others = (generator.integers(0, 256, (count, 4, 4, 3), np.uint8) for count in (20, 50))
    apart = np.sqrt(np.square(pictures[:, None] / 255.0 - others[None] / 255.0).mean(axis=(2, 3, 4)))
    nearest, distance = nearest_pictures(pictures, others)
    assert np.array_equal(nearest, apart.argmin(axis=1))
    assert np.allclose(distance, apart.min(axis=1), atol=1e-6)


def test_a_card_without_a_place_for_a_table_is_refused() -> None:
    assert update("a\n<!-- t -->\nold\n<!-- end -->\nb", {"t": "new"}) == "a\n<!-- t -->\nnew\n<!-- end -->\nb"
    with pytest.raises(InvalidValue, match="card='t'"):
        update("a", {"t": "new"})


def test_the_sizes_that_the_card_tells_in_words_are_those_of_the_data(emoji: CaptionedPictures) -> None:
    text = " ".join(CARD.read_text(encoding="utf-8").split())
    columns = emoji.columns
    words = {word for name in columns["name"].tolist() for word in name.split()}
    toned_roles = set(columns["role"][emoji.toned].tolist())
    paired = {str(role) for role, tone in zip(columns["role"], columns["tone"], strict=True) if "+" in tone}
    japan = {name for name in columns["name"].tolist() if "Japan" in name}
    for said in (
        f"{len(emoji):,} captioned drawings",
        f"{len(set(columns['name'].tolist())):,} different names",
        f"{len(words):,} different words",
        f"{len(set(columns['role'].tolist())):,} roles, of which {len(toned_roles)} come in skin tones",
        f"{emoji.toned.sum():,} rows ({100 * emoji.toned.mean():.0f} %) name a skin tone",
        f"{np.count_nonzero(columns['duplicate_of'])} drawings",
        f"{len(japan)} names mention Japan",
    ):
        assert said in text
    assert len(paired) == 6

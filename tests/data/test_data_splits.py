"""Every split is what its name says. The rules are written here anew, and each is seen to fail."""

import random
from collections import Counter, defaultdict

import pyarrow as pa
import pytest

from minidalle.data import assign_splits
from minidalle.data.build_partition import SEED, build, split_rows
from minidalle.data.emoji import PARQUET
from minidalle.data.partition import PARTITION, load_partition
from minidalle.data.splits import HELD_OUT, KINDS, SPLITS, Row, SplitSizes, drop_duplicates, make_splits
from minidalle.errors import InvalidValue

Pairs = list[tuple[Row, str]]


@pytest.fixture(scope="module")
def rows(table: pa.Table) -> list[Row]:
    return split_rows(table)


@pytest.fixture(scope="module")
def pairs(rows: list[Row]) -> Pairs:
    """Every row with its split, as committed."""
    return list(zip(rows, load_partition([row.key for row in rows]), strict=True))


def violations(pairs: Pairs) -> set[str]:
    """The splits whose definition does not hold."""
    of = defaultdict(list)
    for row, split in pairs:
        of[split].append(row)
    train = of["train"]
    roles, cells = {row.role for row in train}, {(row.role, row.style) for row in train}
    tones = defaultdict(set)
    for row in train:
        tones[row.role, row.gender].add(row.tone)
    toned_roles = {row.role for row in train if row.tone}
    default = {(row.role, row.style) for row in train if not row.tone}
    styles = defaultdict(set)
    for row, _ in pairs:
        styles[row.role].add(row.style)
    wrong = set()
    for row in of["concept"]:
        wrong |= {"concept"} if row.role in roles else set()
    for row in of["combo"]:
        seen_plain = (row.role, row.style) in default
        wrong |= {"combo"} if not row.tone or row.role in toned_roles or not seen_plain else set()
    for row in of["tone"]:
        seen = tones[row.role, row.gender]
        wrong |= {"tone"} if not row.tone or row.tone in seen or not seen - {""} else set()
    for row in of["cell"]:
        others = {(row.role, style) for style in styles[row.role] - {row.style}}
        wrong |= {"cell"} if (row.role, row.style) in cells or not others or not others <= cells else set()
    copies = defaultdict(list)
    for row, split in pairs:
        copies[row.duplicate_of or row.key].append(split)
    for group in copies.values():
        kept = [split for split in group if split != "dropped"]
        wrong |= {"duplicates"} if set(kept) != {"train"} and len(kept) != 1 else set()
    return wrong


def test_every_split_is_what_its_name_says(pairs: Pairs) -> None:
    assert violations(pairs) == set()


def test_a_role_is_in_one_structural_split_only(pairs: Pairs) -> None:
    splits = defaultdict(set)
    for row, split in pairs:
        if split in {"concept", "combo", "tone", "cell"}:
            splits[row.role].add(split)
    assert {len(of_role) for of_role in splits.values()} == {1}


def test_the_splits_have_their_sizes(pairs: Pairs) -> None:
    size = Counter(split for _, split in pairs)
    assert set(size) == set(SPLITS)
    assert all(390 <= size[split] <= 400 for split in ("dev", "iid"))
    assert all(590 <= size[split] <= 600 for split in ("cell", "tone", "combo"))
    roles = {row.role for row, _ in pairs}
    assert 0.025 < len({row.role for row, split in pairs if split == "concept"}) / len(roles) < 0.035
    assert size["dropped"] < 0.01 * len(pairs)


def _moved(pairs: Pairs, key: str) -> Pairs:
    """The partition with one row moved to train."""
    return [(row, "train" if row.key == key else split) for row, split in pairs]


@pytest.mark.parametrize("split", ["concept", "combo", "tone", "cell"])
def test_the_rules_notice_a_row_that_leaked(pairs: Pairs, split: str) -> None:
    rows = Counter(row.role for row, own in pairs if own == split)
    several = [row.key for row, own in pairs if own == split and rows[row.role] > 1]  # one alone leaves no trace
    for key in several[:: len(several) // 5]:
        assert split in violations(_moved(pairs, key))


def test_the_rules_notice_what_training_must_have_seen(pairs: Pairs) -> None:
    def without(split: str, gone: set[tuple[str, str]]) -> set[str]:
        return violations(
            [(row, "dev" if own == "train" and (row.role, row.style) in gone else own) for row, own in pairs]
        )

    styles = ("noto", "fluent", "twemoji", "openmoji")
    for split in ("combo", "tone"):
        row = next(row for row, own in pairs if own == split)
        assert split in without(split, {(row.role, style) for style in styles})
    row = next(row for row, own in pairs if own == "cell")
    other = next(r for r, own in pairs if own == "train" and r.role == row.role)
    assert "cell" in without("cell", {(row.role, other.style)})


def test_the_rules_notice_a_duplicate_that_straddles(pairs: Pairs) -> None:
    key = next(row.key for row, split in pairs if split == "dropped")
    assert "duplicates" in violations(_moved(pairs, key))


def test_the_committed_partition_is_the_one_that_is_built(tmp_path) -> None:
    build(PARQUET, tmp_path / "partition.csv")
    assert (tmp_path / "partition.csv").read_bytes() == PARTITION.read_bytes()


def test_the_order_of_the_rows_changes_nothing(rows: list[Row], pairs: Pairs) -> None:
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    again = dict(zip((row.key for row in shuffled), assign_splits(shuffled, SEED), strict=True))
    assert again == {row.key: split for row, split in pairs}


def test_another_seed_draws_another_partition_that_holds(rows: list[Row], pairs: Pairs) -> None:
    other = list(zip(rows, assign_splits(rows, SEED + 1), strict=True))
    assert violations(other) == set()
    held_out = [{row.key for row, split in each if split in HELD_OUT} for each in (pairs, other)]
    assert len(held_out[0] & held_out[1]) < 0.5 * len(held_out[0])


def test_nothing_is_held_out_if_nothing_is_asked_for(rows: list[Row]) -> None:
    assert set(assign_splits(rows, 0, SplitSizes(0, 0, 0, 0, 0, 0.0))) == {"train"}


def test_a_size_that_is_no_size_is_refused() -> None:
    with pytest.raises(InvalidValue, match="tone=-1: expected a number of rows"):
        SplitSizes(tone=-1)
    with pytest.raises(InvalidValue, match=r"concept=3: expected a share"):
        SplitSizes(concept=3)


def test_duplicates_are_kept_once_in_the_hardest_split() -> None:
    rows = [Row(key, "noto", key, "", "", of) for key, of in zip("abcdef", ["", "a", "a", "", "d", ""], strict=True)]
    assert drop_duplicates(rows, ["train", "iid", "iid", "dev", "concept", "train"]) == [
        "dropped", "iid", "dropped", "dropped", "concept", "train",
    ]  # fmt: skip
    assert drop_duplicates(rows, ["train"] * 6) == ["train"] * 6


def test_an_only_tone_is_not_held_out_as_a_tone() -> None:
    rows = [
        Row(f"{role}{tone}", "noto", role, "", tone, "") for role in ("one", "two") for tone in ("", "dark", "light")
    ]
    rows = [row for row in rows if row.key != "onelight"]
    splits = assign_splits(rows, 0, SplitSizes(dev=0, iid=0, cell=0, tone=5, combo=0, concept=0))
    assert [row.role for row, split in zip(rows, splits, strict=True) if split == "tone"] == ["two"]


def test_large_roles_and_mirror_images_are_never_new(rows: list[Row]) -> None:
    splits = assign_splits(rows, 0, SplitSizes(combo=100_000, concept=0.5))
    unseen = {row.role for row, split in zip(rows, splits, strict=True) if split in {"combo", "concept"}}
    assert len(unseen) > 800
    assert not unseen & {"kiss", "wrestling", "holding hands", "walking", "walking facing right"}


@pytest.mark.parametrize("kind", KINDS)
def test_own_splits_are_what_their_kind_says(rows: list[Row], kind: str) -> None:
    splits = make_splits(rows, kind, seed=3, share=0.2)
    counts = Counter(splits)
    assert set(counts) <= {"train", kind, "dropped"}
    assert counts[kind] > 100
    assert not violations(list(zip(rows, splits, strict=True)))
    shuffled = random.Random(0).sample(rows, len(rows))
    again = dict(zip((row.key for row in shuffled), make_splits(shuffled, kind, seed=3, share=0.2), strict=True))
    assert [again[row.key] for row in rows] == splits
    assert make_splits(rows, kind, seed=4, share=0.2) != splits


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_what_can_be_held_out_is(rows: list[Row], kind: str) -> None:
    """Twice the share, about twice the roles (the pictures, for `iid`)."""
    held_out = []
    for share in (0.2, 0.4):
        splits = make_splits(rows, kind, seed=0, share=share)
        held_out.append(len({row.key if kind == "iid" else row.role
                             for row, split in zip(rows, splits, strict=True) if split == kind}))  # fmt: skip
    assert 1.8 < held_out[1] / held_out[0] < 2.2


def test_copies_of_an_unseen_picture_are_dropped() -> None:
    rows = [Row(key, "noto", "", "", "", "" if key == "a" else "a" * (key in "bc")) for key in "abcdefgh"]
    for seed in range(20):
        splits = dict(zip("abcdefgh", make_splits(rows, "iid", seed, share=0.5), strict=True))
        assert {splits[key] for key in "abc"} == {"train"} or sorted(splits[key] for key in "abc")[1] == "dropped"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "dev"}, "kind='dev': expected one of iid, cell"),
        ({"share": 0.0}, "share=0.0: expected above 0"),
        ({"share": 1.0}, "share=1.0: expected above 0 and below 1"),
        ({"share": 0.01}, "share=0.01: expected one of the 3 groups"),
        ({"rows": [Row("a", "noto", "", "", "", "")]}, "roles, for kind='concept'"),
        ({"rows": []}, "roles, for kind='concept'"),
        ({"kind": "cell"}, "share=0.5: expected one of the 0 groups that `cell` can hold out"),
    ],
)
def test_own_splits_name_what_is_wrong(change: dict[str, object], words: str) -> None:
    rows = [Row(role, "noto", role, "", "", "") for role in ("cat", "dog", "fox")]
    given: dict[str, object] = {"rows": rows, "kind": "concept", "share": 0.5}
    with pytest.raises(InvalidValue) as error:
        make_splits(**(given | change))  # type: ignore[arg-type]
    assert words in str(error.value)

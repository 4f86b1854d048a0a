"""What is kept from training, and why: six kinds of unseen picture, drawn by lot, never by the rows' order.

A split is named after what training has not seen:

- `dev`, `iid`: rows drawn at random. Only `dev` may choose checkpoints or recipes; all others only report.
- `cell`: a role in one style; the role is seen in its other styles.
- `tone`: a role × gender × skin tone, in every style; other tones of that role and gender are seen.
- `combo`: every toned row of a role; training sees the role in the default tone only.
- `concept`: every row of a role.
- `dropped`: exact duplicates that would let one picture be on two sides, or count twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import NamedTuple, TypeVar

from minidalle.errors import require

HELD_OUT = ("concept", "combo", "tone", "cell", "iid", "dev")  # hardest first: a copy counts there
SPLITS = ("train", *reversed(HELD_OUT), "dropped")
KINDS = ("iid", "cell", "tone", "combo", "concept")  # of unseen pictures; `dev` is iid, for choosing

LARGE_ROLE = 100  # rows: kisses and handshakes come in up to 25 pairs of tones; one would be half a split
MIRRORED = " facing right"  # `running` and `running facing right` are one picture and its mirror image


class Row(NamedTuple):
    """What a row's split depends on."""

    key: str
    style: str
    role: str
    gender: str
    tone: str
    duplicate_of: str  # key of the first row with the same picture; empty in that row itself


@dataclass(frozen=True)
class SplitSizes:
    """How much is held out: numbers of rows, but for `concept`, which is a share of the roles."""

    dev: int = 400
    iid: int = 400
    cell: int = 600
    tone: int = 600
    combo: int = 600
    concept: float = 0.03

    def __post_init__(self) -> None:
        for field in fields(self):
            size = getattr(self, field.name)
            if field.name == "concept":
                require(0 <= size < 1, field.name, size, "a share of the roles, at least 0 and below 1")
            else:
                require(size >= 0, field.name, size, "a number of rows, 0 or more")


Group = list[Row]
Lot = Callable[..., bytes]
Kind = TypeVar("Kind", bound=Hashable)
Item = TypeVar("Item")


def assign_splits(rows: list[Row], seed: int = 0, sizes: SplitSizes | None = None) -> list[str]:
    """Give every row its split. A role is in at most one of `concept`, `combo`, `tone` and `cell`.

    Args:
        rows: R rows in any order, which changes nothing: a lot is a hash of the seed and of what is drawn.
        seed: another seed draws another partition.
        sizes: how much each split holds out, before duplicates are dropped.

    Returns:
        R names from `SPLITS`.
    """
    sizes = sizes or SplitSizes()
    lot = partial(draw_lot, seed)
    by_lot = sorted(rows, key=lambda row: lot("row", row.key))
    reserve = 3 * (sizes.dev + sizes.iid) // 2  # more than dev and iid need: others claim some of it
    copied = {row.duplicate_of for row in rows}
    sure = [row for row in by_lot[reserve:] if not row.duplicate_of and row.key not in copied]
    split: dict[str, str] = {}
    claimed: set[str] = set()
    for name, hold_out in (
        ("concept", hold_out_concepts),
        ("combo", hold_out_combos),
        ("tone", hold_out_tones),
        ("cell", hold_out_cells),
    ):
        free = [row for row in by_lot if row.role not in claimed]
        unseen = hold_out(free, sure, getattr(sizes, name), lot)
        split |= {row.key: name for row in unseen}
        claimed |= {row.role for row in unseen}
    random = [row.key for row in by_lot[:reserve] if row.key not in split]
    split |= dict.fromkeys(random[: sizes.dev], "dev")
    split |= dict.fromkeys(random[sizes.dev : sizes.dev + sizes.iid], "iid")
    return drop_duplicates(rows, [split.get(row.key, "train") for row in rows])


def make_splits(rows: Sequence[Row], kind: str, seed: int = 0, share: float = 0.1) -> list[str]:
    """Hold out rows of one kind, for an experiment of one's own; what is reported keeps to the frozen partition.

    Roles are drawn by lot, whole ones, and of their rows those that the kind says: all of them for `concept`, those
    with a skin tone for `combo`, one tone of each gender for `tone`, one style for `cell`. `iid` draws pictures, not
    roles. A role that would leave nothing to learn from (it has one style, say) is never drawn, but for `concept`.
    Copies of a picture are never on two sides: the one that is held out stays, the others are `dropped`.

    Args:
        rows: R rows in any order, which changes nothing.
        kind: what training is not to see: `iid`, `cell`, `tone`, `combo` or `concept`.
        seed: another seed draws another split.
        share: of the roles (of the pictures, for `iid`) that are drawn, above 0 and below 1.

    Returns:
        R names: `train`, the kind, or `dropped`.

    Raises:
        InvalidValue: there is no such kind, nothing can be held out, or the rows have no roles to draw.
    """
    require(kind in KINDS, "kind", kind, f"one of {', '.join(KINDS)}")
    require(0 < share < 1, "share", share, "above 0 and below 1")
    require(kind == "iid" or any(row.role for row in rows), "rows", "no row has a role", f"roles, for kind={kind!r}")
    unseen = _unseen(list(rows), kind, partial(draw_lot, seed))
    groups = [row.duplicate_of or row.key if kind == "iid" else row.role for row in unseen]
    drawn = hold_out_groups(groups, share, seed)
    require(any(drawn), "share", share, f"one of the {len(set(groups))} groups that `{kind}` can hold out, or more")
    held_out = {row.key for row, is_drawn in zip(unseen, drawn, strict=True) if is_drawn}
    return drop_duplicates(list(rows), [kind if row.key in held_out else "train" for row in rows])


def hold_out_groups(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Draw a share of the groups by lot, and hold out all rows of those.

    ["dog", "cat", "dog", "fox"], 1/3, 0 → [True, False, True, False]: one of the three groups, with both
    its rows. A group's lot is `draw_lot(seed, group)`, and lots can be compared: the smallest are held
    out. So neither the order of the rows nor how many a group has changes which groups are drawn.

    Args:
        groups: the group of each of R rows, such as its role.
        share: of the different groups, from 0 to 1; how many are drawn is rounded, as `round` does.
        seed: another seed draws other groups.

    Returns:
        R answers, True = held out.
    """
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def _unseen(rows: Group, kind: str, lot: Lot) -> Group:
    """All rows that would be held out if every group that can be were drawn."""
    copied = {row.duplicate_of for row in rows}
    sure = [row for row in rows if not row.duplicate_of and row.key not in copied]
    if kind == "iid":
        return rows
    if kind == "concept":
        return hold_out_concepts(rows, sure, 1.0, lot)
    hold_out = {"cell": hold_out_cells, "tone": hold_out_tones, "combo": hold_out_combos}[kind]
    return hold_out(rows, sure, len(rows), lot)


def hold_out_concepts(rows: Group, sure: Group, share: float, lot: Lot) -> Group:
    """Whole roles: the same share of those that come in skin tones and of those that do not."""
    roles = _novel_roles(rows, "concept", lot)
    toned = [group for group in roles if any(row.tone for row in group)]
    plain = [group for group in roles if not any(row.tone for row in group)]
    unseen = toned[: round(share * len(toned))] + plain[: round(share * len(plain))]
    return [row for group in unseen for row in group]


def hold_out_combos(rows: Group, sure: Group, size: int, lot: Lot) -> Group:
    """The toned rows of roles whose default tone training is sure to see in every style."""
    seen = {(row.role, row.style) for row in sure if not row.tone}
    toned = [[row for row in group if row.tone] for group in _novel_roles(rows, "combo", lot)]
    return _fill(size, (group for group in toned if {(row.role, row.style) for row in group} <= seen))


def hold_out_tones(rows: Group, sure: Group, size: int, lot: Lot) -> Group:
    """One tone of each gender of a role, in every style, if the role has that gender in other tones too."""
    groups = []
    for role, group in _roles(rows, "tone", lot):
        unseen = set()
        for gender, own in _grouped((row for row in group if row.tone), lambda row: row.gender).items():
            tones = sorted({row.tone for row in own}, key=partial(lot, "tone", role, gender))
            unseen |= {(gender, tone) for tone in tones[:1] if len(tones) > 1}
        groups.append([row for row in group if (row.gender, row.tone) in unseen])
    return _fill(size, groups)


def hold_out_cells(rows: Group, sure: Group, size: int, lot: Lot) -> Group:
    """The rows of a role in one style, if training is sure to see the role in all its other styles."""
    seen = {(row.role, row.style) for row in sure}
    groups = []
    for role, group in _roles(rows, "cell", lot):
        unseen, *others = sorted({row.style for row in group}, key=partial(lot, "cell", role))
        if others and {(role, style) for style in others} <= seen:
            groups.append([row for row in group if row.style == unseen])
    return _fill(size, groups)


def drop_duplicates(rows: Group, splits: list[str]) -> list[str]:
    """Where a picture that is held out occurs more than once, keep it once, in the hardest split it is in.

    Copies that are all in train stay there.
    """
    copies = _grouped(zip(rows, splits, strict=True), lambda pair: pair[0].duplicate_of or pair[0].key)
    dropped: set[str] = set()
    for group in copies.values():
        held_out = [(HELD_OUT.index(split), row.key) for row, split in group if split != "train"]
        if held_out:
            dropped |= {row.key for row, _ in group} - {min(held_out)[1]}
    return ["dropped" if row.key in dropped else split for row, split in zip(rows, splits, strict=True)]


def draw_lot(seed: int, *what: str) -> bytes:
    """A number, as bytes, drawn for one thing, whatever else is drawn: a hash of the seed and the thing's name."""
    return hashlib.blake2b("\0".join((str(seed), *what)).encode(), digest_size=16).digest()


def _grouped(items: Iterable[Item], kind: Callable[[Item], Kind]) -> dict[Kind, list[Item]]:
    groups: dict[Kind, list[Item]] = defaultdict(list)
    for item in items:
        groups[kind(item)].append(item)
    return groups


def _roles(rows: Group, split: str, lot: Lot) -> list[tuple[str, Group]]:
    """The roles with their rows, in an order drawn by lot."""
    return sorted(_grouped(rows, lambda row: row.role).items(), key=lambda role: lot(split, role[0]))


def _novel_roles(rows: Group, split: str, lot: Lot) -> list[Group]:
    """The rows of each role that can be new to training: not too large, and no mirror image of another."""
    names = {row.role for row in rows}
    mirrored = {name for name in names if name.endswith(MIRRORED) or name + MIRRORED in names}
    roles = [group for name, group in _roles(rows, split, lot) if name not in mirrored]
    return [group for group in roles if len(group) <= LARGE_ROLE]


def _fill(size: int, groups: Iterable[Group]) -> Group:
    """Take whole groups, in their order, as long as they fit into `size` rows."""
    taken: Group = []
    for group in groups:
        taken += group if len(taken) + len(group) <= size else []
    return taken

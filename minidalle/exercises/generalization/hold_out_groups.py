"""Exercise: hold out a share of the groups, drawn by lot."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from minidalle.data.splits import draw_lot, hold_out_groups
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generalization import probe_hold_out_groups
from minidalle.runtime import numpy_generator

NAMES = ("ant", "bat", "bear", "bee", "camel", "cat", "cow", "crab", "crow", "deer", "dog", "dove", "duck", "eagle",
         "eel", "fish", "fly", "fox", "frog", "goat", "hare", "hen", "horse", "koala", "lion", "mole", "moth", "mouse",
         "newt", "otter", "owl", "ox", "panda", "pig", "rat", "seal", "shark", "snail", "swan", "tiger")  # fmt: skip


def cases(seed: int) -> list[Case]:
    """One group; a row for each group; groups of unlike sizes; nothing to draw; one that has most rows and is drawn
    first or last; the same rows in another order; many groups. No number of groups is half way between two others."""
    chance = numpy_generator(seed, "generalization.hold_out_groups")

    def case(sizes: Sequence[int], share: float, by_lot: bool = False) -> Case:
        """So many rows of each group, in any order. By lot, the first size is that of the group with the smallest."""
        own = int(chance.integers(1, 1000))
        names = chance.permutation(NAMES)[: len(sizes)]
        names = np.array(_ranked(names.tolist(), own)) if by_lot else names
        return {"groups": chance.permutation(names.repeat(sizes)).tolist(), "share": share, "seed": own}

    late = case([2, 1, 1, 1, 1, 1, 1, 9], 0.35, by_lot=True)
    return [
        case([1], 1.0),
        case([1, 1], 0.5),
        case([2, 1, 1], 1 / 3),
        case([1] * 5, 0.35),
        case([3, 1, 2, 2], 0.05),
        case([9, 1, 1, 1, 1, 1, 1, 1], 0.35, by_lot=True),
        late,
        {**late, "groups": chance.permutation(np.array(late["groups"])).tolist()},
        case([2, 1, 3, 1, 2, 1, 4, 1, 2], 0.49),
        case([4, 1, 1, 5, 2, 1, 3, 1, 1, 2, 6, 1, 2], 0.2),
        case(chance.integers(1, 5, 24).tolist(), 0.3),
        case(chance.integers(1, 5, 33).tolist(), 0.45),
    ]


def _ranked(groups: Sequence[str], seed: int) -> list[str]:
    return sorted(set(groups), key=lambda group: draw_lot(seed, group))


def _of(groups: Sequence[str], drawn: Collection[str]) -> list[bool]:
    return [group in drawn for group in groups]


def _size(groups: Sequence[str], share: float) -> int:
    return round(share * len(set(groups)))


def draws_rows_and_not_groups(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Rows of one group would be on both sides, and what is held out was seen in another style. Draw groups, and hold
    out all of their rows."""
    ranked = sorted(range(len(groups)), key=lambda row: draw_lot(seed, str(row)))
    return [row in ranked[: round(share * len(groups))] for row in range(len(groups))]


def holds_out_one_row_of_a_group(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """The first row of a group that is drawn is held out, its others stay in training. *All* rows of it go."""
    held_out = _of(groups, _ranked(groups, seed)[: _size(groups, share)])
    return [held and group not in groups[:row] for row, (group, held) in enumerate(zip(groups, held_out, strict=True))]


def splits_the_group_at_the_border(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Rows in the order of their groups' lots, and cut at a share of the rows: the cut goes through a group. Cut the
    list of groups instead."""
    ranked = sorted(range(len(groups)), key=lambda row: draw_lot(seed, groups[row]))
    return [row in ranked[: round(share * len(groups))] for row in range(len(groups))]


def takes_groups_until_a_share_of_the_rows(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """The share is of the groups, however many rows they have: round(share · number of groups) of them are drawn."""
    rows = sorted(groups, key=lambda group: draw_lot(seed, group))
    return _of(groups, rows[: round(share * len(groups))])


def draws_as_many_groups_as_rows_are_meant(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """`len(groups)` is the number of rows. The share is of the different groups: `len(set(groups))`."""
    return _of(groups, _ranked(groups, seed)[: round(share * len(groups))])


def ranks_rows_where_groups_are_meant(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """In your sorted list a group stands as often as it has rows, and so fewer groups are drawn: `set(groups)` has each
    of them once."""
    return _of(groups, sorted(groups, key=lambda group: draw_lot(seed, group))[: _size(groups, share)])


def takes_the_first_groups(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which groups are held out must not depend on the order of the rows. Sort the groups by their lots."""
    return _of(groups, list(dict.fromkeys(groups))[: _size(groups, share)])


def takes_the_first_of_the_alphabet(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Groups of one letter may be alike, and every seed draws the same. Sort by lot: key=lambda group: draw_lot(seed,
    group)."""
    return _of(groups, sorted(set(groups))[: _size(groups, share)])


def takes_the_largest_groups(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """How many rows a group has must not matter: large groups are another kind of thing. The lots alone decide."""
    return _of(groups, [group for group, _ in Counter(sorted(groups)).most_common(_size(groups, share))])


def ignores_the_seed(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Another seed has to draw other groups: give `seed` to `draw_lot`, not a number of your own."""
    return _of(groups, _ranked(groups, 0)[: _size(groups, share)])


def draws_the_largest_lots(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """It would be as random, but the smallest lots are what everybody holds out: `sorted` as it is, from the start."""
    return _of(groups, _ranked(groups, seed)[::-1][: _size(groups, share)])


def shuffles_the_groups_as_they_come(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """A shuffle moves places, so the same rows in another order give other groups. Give each group a lot of its own,
    by its name: `draw_lot(seed, group)`."""
    names = list(dict.fromkeys(groups))
    random.Random(seed).shuffle(names)
    return _of(groups, names[: _size(groups, share)])


def shuffles_the_sorted_groups(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """One group more, and a shuffle draws quite other ones. The lot of a name, `draw_lot(seed, group)`, stays what it
    is."""
    names = sorted(set(groups))
    random.Random(seed).shuffle(names)
    return _of(groups, names[: _size(groups, share)])


def draws_without_the_seed(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """The same seed has to draw the same groups, or your split is lost when you look again: `draw_lot(seed, group)`."""
    return _of(groups, random.sample(sorted(set(groups)), _size(groups, share)))


def draws_lots_of_numbers(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which number a group has depends on the order of the rows. The lot is of its name: `draw_lot(seed, group)`."""
    numbers = {group: str(number) for number, group in enumerate(dict.fromkeys(groups))}
    return _of(groups, sorted(numbers, key=lambda group: draw_lot(seed, numbers[group]))[: _size(groups, share)])


def sorts_by_pythons_hash(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Python's `hash` of a text is another one each time that Python starts, so that your split is lost. `draw_lot`
    gives the same everywhere."""
    return _of(groups, sorted(set(groups), key=lambda group: hash((seed, group)))[: _size(groups, share)])


def compares_each_lot_with_the_share(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Then chance says how many groups are drawn, perhaps none. Sort them by lot, and take exactly round(share · number
    of groups)."""
    return [int.from_bytes(draw_lot(seed, group)) < share * 2**128 for group in groups]


def keeps_what_should_be_held_out(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """True means held out: those are the groups that were drawn, not the others."""
    drawn = _ranked(groups, seed)[: _size(groups, share)]
    return [group not in drawn for group in groups]


def always_rounds_down(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """`int` and `//` cut off. Round to the nearest whole number: `round`."""
    return _of(groups, _ranked(groups, seed)[: int(share * len(set(groups)))])


def always_rounds_up(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Round to the nearest whole number, down as well: `round`, not `ceil`."""
    return _of(groups, _ranked(groups, seed)[: math.ceil(share * len(set(groups)))])


def draws_at_least_one(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """A share that rounds to 0 groups holds out nothing. Whoever needs one asks for more."""
    return _of(groups, _ranked(groups, seed)[: max(1, _size(groups, share))])


def lists_the_groups(groups: Sequence[str], share: float, seed: int) -> list[str]:
    """You have found the groups. What is wanted is True or False for each row, in the order of the rows."""
    return _ranked(groups, seed)[: _size(groups, share)]


def takes_the_smallest_from_a_heap(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Right: pairs of lot and name, the smallest of them."""
    lots = {(draw_lot(seed, group), group) for group in groups}
    drawn = {group for _, group in heapq.nsmallest(round(share * len(lots)), lots)}
    return [group in drawn for group in groups]


def counts_smaller_lots(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Right: a group is held out if fewer lots are smaller than its own than there are groups to draw."""
    lots = {group: draw_lot(seed, group) for group in groups}
    most = int(share * len(lots) + 0.5)
    return [sum(lot < lots[group] for lot in lots.values()) < most for group in groups]


def group_after_group(groups: Sequence[str], share: float, seed: int) -> list[bool]:
    """Right: begin with nothing, and mark the rows of one group after the other."""
    held_out = [False] * len(groups)
    names = list(dict.fromkeys(groups))
    names.sort(key=lambda name: draw_lot(seed, name))
    for name in names[: round(len(names) * share)]:
        for row, group in enumerate(groups):
            if group == name:
                held_out[row] = True
    return held_out


HINTS = (
    "Forget the rows at first: which groups are there, each of them once? Give each its lot, put the groups into the "
    "order of their lots, take the first ones. Then go through the rows.",
    "With G = len(set(groups)), the first round(share · G) of `sorted(set(groups), key=…)` are drawn, where the key of "
    "a group is draw_lot(seed, group). A row is held out if its group is among them.",
    """\
def hold_out_groups(groups, share, seed):
    ranked = sorted(..., key=lambda group: ...)
    drawn = set(ranked[: ...])
    return [... for group in groups]
""",
)

EXERCISE = Exercise(
    id="generalization.hold_out_groups",
    points=3,
    minutes=15,
    stars=1,
    reference=hold_out_groups,
    cases=cases,
    wrong=(
        draws_rows_and_not_groups,
        holds_out_one_row_of_a_group,
        splits_the_group_at_the_border,
        takes_groups_until_a_share_of_the_rows,
        draws_as_many_groups_as_rows_are_meant,
        ranks_rows_where_groups_are_meant,
        takes_the_first_groups,
        takes_the_first_of_the_alphabet,
        takes_the_largest_groups,
        ignores_the_seed,
        draws_the_largest_lots,
        shuffles_the_groups_as_they_come,
        shuffles_the_sorted_groups,
        draws_without_the_seed,
        draws_lots_of_numbers,
        sorts_by_pythons_hash,
        compares_each_lot_with_the_share,
        keeps_what_should_be_held_out,
        always_rounds_down,
        always_rounds_up,
        draws_at_least_one,
        lists_the_groups,
    ),
    also_right=(takes_the_smallest_from_a_heap, counts_smaller_lots, group_after_group),
    hints=HINTS,
    reaches="make_splits",
    probe=probe_hold_out_groups,
)

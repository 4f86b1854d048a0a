"""How the functions of lesson 05 are called. Results that are tuples get a name for each of their parts.

Every call gets values of its own, so an answer that changes them spoils no other call.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain

SEEDS = 16  # so many orders are asked for, each twice
LOTS = 3  # seeds with which the lots are looked at
MANY = 12  # of fewer rows, neighbors can stay side by side by chance


def probe_token_nll(function: Function, logits: Tensor, targets: Tensor, mask: Tensor) -> Plain:
    """The mean, its standard error and each image's mean, of a named tuple or another one."""
    mean, se, per_image = function(logits.clone(), targets.clone(), mask.clone())
    return {"mean": mean, "se": se, "per_image": per_image}


def probe_hold_out_groups(function: Function, groups: list[str], share: float, seed: int) -> Plain:
    """For each row whether it is held out; if lots are not drawn as they should be, what is wrong with them in words,
    and how much is held out: which groups it hits is chance then."""
    held_out = function([*groups], share, seed)
    answers = isinstance(held_out, list) and all(isinstance(held, bool) for held in held_out)
    faults = _faults_of_lots(function) if answers and len(held_out) == len(groups) else []
    if not faults:
        return {"held out": held_out, "lots": []}
    if "a group is on both sides" in faults:
        return {"held out": f"{sum(map(bool, held_out))} rows", "lots": [*faults]}
    drawn = {group for group, held in zip(groups, held_out, strict=True) if held}
    return {"held out": f"{len(drawn)} groups", "lots": [*faults]}


def _faults_of_lots(function: Function) -> list[Plain]:
    """Twelve groups of three rows, with some seeds; the rows in another order; one group more."""
    groups = [f"group {number % 12}" for number in range(36)]
    faults, first, anew = set[str](), _drawn(function, groups, 0), False
    for seed in range(LOTS):
        found, again, back, more = (
            _drawn(function, rows, seed) for rows in (groups, groups, groups[::-1], [*groups, "one more"])
        )
        if found != again:
            return ["the same seed draws others"]
        anew |= found != first
        inside, touched, moved, others = {*found[0]}, *({*of} for _, of in (found, back, more))
        faults |= {"a group is on both sides"} if inside != touched else set()
        faults |= {"another order of the rows draws others"} if touched != moved else set()
        nested = touched <= others or others - {"one more"} <= touched
        faults |= set() if nested or inside != touched else {"with one group more, quite others are drawn"}
    if faults and not anew:
        faults.add("every seed draws the same")
    return [*sorted(faults)]


def _drawn(function: Function, groups: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Of which groups all rows are held out, and of which at least one."""
    held_out = dict.fromkeys(groups, 0)
    for group, held in zip(groups, function([*groups], 0.4, seed), strict=True):
        held_out[group] += bool(held)
    whole = [group for group, count in held_out.items() if count == groups.count(group)]
    return sorted(whole), sorted(group for group, count in held_out.items() if count)


def probe_loss_gap(
    function: Function, seen: Tensor, unseen: Tensor, seen_groups: Tensor, unseen_groups: Tensor
) -> Plain:
    """The gap and its standard error, of a named tuple or another one."""
    gap, se = function(seen.clone(), unseen.clone(), seen_groups.clone(), unseen_groups.clone())
    return {"gap": gap, "se": se}


def probe_shuffle_captions(function: Function, captions: list[str], splits: list[str], seed: int) -> Plain:
    """What is wrong with the orders of this seed and some more, in words: any order that is right will do."""
    orders, again = ([function([*captions], [*splits], seed + n) for n in range(SEEDS)] for _ in range(2))
    rows = range(len(captions))
    if not all(len(order) == len(rows) and {*order} <= {*rows} for order in orders):
        return ["there is not one row of the data for each caption"]
    train = [row for row in rows if splits[row] == "train"]
    faults = {
        "a row does not occur, or twice": any(sorted(order) != [*rows] for order in orders),
        "a row that is not in train changes": any(order[row] != row for order in orders for row in {*rows} - {*train}),
        "a row in train keeps its words": any(
            captions[order[row]] == captions[row] for order in orders for row in train
        ),
        "the same seed gives another order": orders != again,
        "all seeds give the same order": len(train) > 2 and all(order == orders[0] for order in orders),
        "neighbors stay side by side": len(train) >= MANY and _side_by_side(orders, train) > 0.5,
    }
    return [words for words, found in faults.items() if found]


def _side_by_side(orders: Sequence[Sequence[int]], train: Sequence[int]) -> float:
    """How many of the rows that follow each other in training get captions of rows that do, as a share."""
    place = {row: place for place, row in enumerate(train)}
    found = [[place.get(order[row], 0) for row in train] for order in orders]
    near = [abs(one - other) == 1 for places in found for one, other in pairwise(places)]
    return sum(near) / len(near)

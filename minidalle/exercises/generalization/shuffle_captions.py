"""Exercise: captions that say nothing about their pictures."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generalization import probe_shuffle_captions
from minidalle.generalization.memorization import shuffle_captions
from minidalle.runtime import numpy_generator

NAMES = ("apple", "bear", "car", "dog", "egg", "fish", "grapes", "house", "island", "jar", "key", "lemon", "moon",
         "nest", "owl", "pear", "queen", "rose", "sun", "tree", "umbrella", "violin", "wolf", "zebra")  # fmt: skip

Shuffled = Callable[[list[int]], list[int]]


def cases(seed: int) -> list[Case]:
    """Two rows; three; rows that are held out, one or two of a split, before the others and between; captions of many
    rows, up to half of all, in training or held out; many rows."""
    chance = numpy_generator(seed, "generalization.shuffle_captions")

    def case(kinds: Sequence[int], **held_out: list[int]) -> Case:
        """Rows of one kind have the same caption. held_out: split → its rows; the others are in train."""
        names = chance.permutation(NAMES)
        splits = {row: split for split, rows in held_out.items() for row in rows}
        return {
            "captions": names[list(kinds)].tolist(),
            "splits": [splits.get(row, "train") for row in range(len(kinds))],
            "seed": int(chance.integers(1000)),
        }

    return [
        case([0, 1]),
        case([0, 1, 2]),
        case([0, 1, 2, 3, 4], dev=[2]),
        case([4, 0, 0, 1, 2], iid=[0]),
        case([0, 0, 1, 1, 0, 1]),
        case([0, 5, 1, 2, 6, 0, 3, 0, 4], cell=[1, 4]),
        case([0, 5, 0, 1, 5, 1, 5, 2, 2, 5, 5], iid=[1, 4, 6, 9, 10]),
        case(range(15)),
        case([*range(16), *range(8)], dev=[0, 7], tone=[3], concept=[12, 18]),
    ]


def _train(splits: Sequence[str]) -> list[int]:
    return [row for row, split in enumerate(splits) if split == "train"]


def _turned(captions: Sequence[str], chance: random.Random, rows: list[int]) -> list[int]:
    """What is right: rows, each with another's words, if that can be."""
    return _moved(rows, _blocks(captions, chance, rows), _most(captions, rows))


def _blocks(captions: Sequence[str], chance: random.Random, rows: list[int]) -> list[int]:
    """Rows in a random order, those of equal captions together."""
    mixed = chance.sample(rows, len(rows))
    kinds = {caption: number for number, caption in enumerate(dict.fromkeys(captions[row] for row in mixed))}
    return sorted(mixed, key=lambda row: kinds[captions[row]])


def _most(captions: Sequence[str], rows: Sequence[int]) -> int:
    """How many rows the most frequent caption has."""
    return max(Counter(captions[row] for row in rows).values(), default=0)


def _moved(rows: list[int], line: list[int], by: int) -> list[int]:
    """What each row gets, if everybody takes from some places further on in line."""
    to = dict(zip(line, line[by:] + line[:by], strict=True))
    return [to[row] for row in rows]


def _filled(captions: Sequence[str], rows: list[int], shuffled: Shuffled) -> list[int]:
    """The order of all rows, of which some are shuffled."""
    order = list(range(len(captions)))
    for row, other in zip(rows, shuffled(rows), strict=True):
        order[row] = other
    return order


def shuffles_anew_at_each_call(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Captions that change every epoch cannot be learned by heart, and nothing is tested. The same seed gives the same
    order: `torch.Generator().manual_seed(seed)` or `random.Random(seed)`."""
    return _filled(captions, _train(splits), partial(_turned, captions, random.Random()))


def ignores_the_seed(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Another seed has to give another order: your random numbers begin at a seed of your own."""
    return _filled(captions, _train(splits), partial(_turned, captions, random.Random(0)))


def lets_rows_keep_their_captions(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """A plain permutation leaves about one row where it was: that one can still be learned by reading. Turn the mixed
    rows by some places instead, so that each gets another's."""
    return _filled(captions, _train(splits), lambda rows: random.Random(seed).sample(rows, len(rows)))


def swaps_equal_captions(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Every row gets another row's caption, but two rows may have the same words, and these two have changed nothing.
    Compare captions, not rows."""

    def mixed(rows: list[int]) -> list[int]:
        return _moved(rows, random.Random(seed).sample(rows, len(rows)), 1)

    return _filled(captions, _train(splits), mixed)


def sorts_by_the_alphabet(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """The alphabet undoes your random order, so that every seed gives nearly the same. Bring equal captions together in
    the order in which they are met."""

    def sorted_ones(rows: list[int]) -> list[int]:
        mixed = sorted(random.Random(seed).sample(rows, len(rows)), key=lambda row: captions[row])
        return _moved(rows, mixed, _most(captions, rows))

    return _filled(captions, _train(splits), sorted_ones)


def counts_held_out_captions_too(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """How far to move on is up to the most frequent caption in *training*: count the captions of training rows."""
    rows = _train(splits)
    most = _most(captions, range(len(captions)))
    return _filled(captions, rows, lambda rows: _moved(rows, _blocks(captions, random.Random(seed), rows), most))


def moves_on_by_one_place_too_few(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """The most frequent caption has rows that still get their own words: move on by as many places as it has rows."""
    rows = _train(splits)
    most = _most(captions, rows) - 1
    return _filled(captions, rows, lambda rows: _moved(rows, _blocks(captions, random.Random(seed), rows), most))


def shuffles_what_is_held_out(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Only rows of "train" are shuffled. The others keep their captions, to show what becomes of true ones."""
    return _turned(captions, random.Random(seed), list(range(len(captions))))


def shuffles_all_rows(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Only rows of "train" are shuffled, and none of these may keep its words, as some do in a plain permutation."""
    return random.Random(seed).sample(range(len(captions)), len(captions))


def shuffles_each_split(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Held-out rows keep their captions: nothing is learned from them. Shuffle "train" and leave the other splits."""
    order = list(range(len(captions)))
    for split in dict.fromkeys(splits):
        rows = [row for row in order if splits[row] == split]
        for row, other in zip(rows, _turned(captions, random.Random(seed), rows), strict=True):
            order[row] = other
    return order


def holds_out_dev_only(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """ "dev" is not the only split that is no training: ask for split == "train"."""
    rows = [row for row, split in enumerate(splits) if split != "dev"]
    return _filled(captions, rows, partial(_turned, captions, random.Random(seed)))


def gives_training_captions_of_held_out_rows(
    captions: Sequence[str], splits: Sequence[str], seed: int = 0
) -> list[int]:
    """A held-out row's caption is none that training may have, and now it is there twice. Training rows exchange theirs
    among themselves."""
    anywhere = _turned(captions, random.Random(seed), list(range(len(captions))))
    return [anywhere[row] if split == "train" else row for row, split in enumerate(splits)]


def draws_any_other_caption(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Drawn for each row on its own, one caption comes twice and another never. Exchange them: every row occurs
    once."""
    chance, train = random.Random(seed), _train(splits)
    return _filled(
        captions,
        train,
        lambda rows: [chance.choice([one for one in train if captions[one] != captions[row]]) for row in rows],
    )


def renames_each_caption(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """If all cats become dogs, the captions still say which pictures are alike, only in other words. Shuffle rows, not
    kinds."""

    def renamed(rows: list[int]) -> list[int]:
        first = list({captions[row]: row for row in reversed(rows)}.values())
        to = dict(zip([captions[row] for row in first], _turned(captions, random.Random(seed), first), strict=True))
        return [to[captions[row]] for row in rows]

    return _filled(captions, _train(splits), renamed)


def moves_all_on_by_one(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Neighbors in a data set are alike, and every seed does the same. Put the rows into a random order first, then
    move on."""
    return _filled(captions, _train(splits), lambda rows: rows[1:] + rows[:1])


def turns_the_list_at_random(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """All rows move on by the same number of places, so that neighbors stay neighbors: nothing is mixed. Put the rows
    into a random order first."""

    def turned(rows: list[int]) -> list[int]:
        by = random.Random(seed).randint(1, len(rows) - 1)
        return rows[by:] + rows[:by]

    return _filled(captions, _train(splits), turned)


def reverses_the_list(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """The row in the middle stays where it is, neighbors stay neighbors, and every seed does the same: use random
    numbers."""
    return _filled(captions, _train(splits), lambda rows: rows[::-1])


def gives_places_among_training_rows(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """The permutation numbers training rows from 0. Look up which row of the data that is: `train[place]`."""

    def places(rows: list[int]) -> list[int]:
        return [rows.index(row) for row in _turned(captions, random.Random(seed), rows)]

    return _filled(captions, _train(splits), places)


def lists_training_rows_only(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """There is a number for each of the R rows. One that is not in training gets its own: start with
    `list(range(R))`."""
    return _turned(captions, random.Random(seed), _train(splits))


def returns_the_captions(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[str]:
    """What is wanted are numbers of rows: which row's caption each one gets."""
    order = _filled(captions, _train(splits), partial(_turned, captions, random.Random(seed)))
    return [captions[row] for row in order]


def repairs_a_permutation(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Right: a plain permutation; whoever keeps its words swaps with one for whom both captions are new."""
    chance = torch.Generator().manual_seed(seed)
    train = [row for row in range(len(captions)) if splits[row] == "train"]
    order = list(range(len(captions)))
    for row, place in zip(train, torch.randperm(len(train), generator=chance).tolist(), strict=True):
        order[row] = train[place]
    for row in train:
        if captions[order[row]] == captions[row]:
            new = [one for one in train if captions[row] not in (captions[one], captions[order[one]])]
            other = new[int(torch.randint(len(new), (), generator=chance))]
            order[row], order[other] = order[other], order[row]
    return order


def turns_sorted_captions(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Right: every caption draws a number, then every row; sorted by both, half of the rows change with the others."""
    chance, rows = random.Random(seed), [row for row, split in enumerate(splits) if split == "train"]
    lots = {caption: chance.random() for caption in sorted(set(captions))}
    rows.sort(key=lambda row: (lots[captions[row]], chance.random()))
    order = [*range(len(captions))]
    for place, row in enumerate(rows):
        order[row] = rows[(place + len(rows) // 2) % len(rows)]
    return order


HINTS = (
    "Put the training rows into a random order, then bring those of equal captions together. If everybody now takes "
    "the caption from some places further on, and those are enough places, nobody meets the own words again.",
    "Enough is the number of rows of the most frequent training caption: with line[most:] + line[:most], each row "
    "leaves the block of its own caption, and the last rows go on at the start. Blocks stand in the order in which "
    "their captions are met: by the alphabet, every seed would give the same.",
    """\
def shuffle_captions(captions, splits, seed=0):
    train = [row for row, split in enumerate(splits) if ...]
    places = torch.randperm(len(train), generator=generator(seed, "shuffled captions")).tolist()
    shuffled = [train[place] for place in places]
    most = max(Counter(captions[row] for row in train).values())
    blocks = {}  # caption → its rows; a dict keeps the order in which captions are met
    for row in shuffled:
        blocks.setdefault(..., []).append(row)
    line = [row for block in blocks.values() for row in block]
    order = list(range(len(captions)))
    for row, other in zip(line, ...):
        order[row] = other
    return order
""",
)

EXERCISE = Exercise(
    id="generalization.shuffle_captions",
    points=4, minutes=30, stars=2,
    reference=shuffle_captions, cases=cases,
    wrong=(shuffles_all_rows, shuffles_anew_at_each_call, ignores_the_seed, lets_rows_keep_their_captions,
           swaps_equal_captions, sorts_by_the_alphabet, counts_held_out_captions_too, moves_on_by_one_place_too_few,
           shuffles_what_is_held_out, shuffles_each_split, holds_out_dev_only,
           gives_training_captions_of_held_out_rows, draws_any_other_caption, renames_each_caption,
           moves_all_on_by_one, turns_the_list_at_random, reverses_the_list, gives_places_among_training_rows,
           lists_training_rows_only, returns_the_captions),
    also_right=(repairs_a_permutation, turns_sorted_captions),
    hints=HINTS,
    reaches="with_shuffled_captions", probe=probe_shuffle_captions,
)  # fmt: skip

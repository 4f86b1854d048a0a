"""Exercise: does a model copy? Drawings against held-out pictures, by their distance to training."""

import numpy as np
import torch
from torch import Tensor

from minidalle.evaluation.distances import pixel_distances
from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.copies import probe_copy_test
from minidalle.generalization.copying import copy_test, drawn_distances, heldout_distances, nearest_distances
from minidalle.runtime import generator

Answer = tuple[float, np.ndarray]
Pictures = np.ndarray


def cases(seed: int) -> list[Case]:
    """Single colors, in which distances can be read and some are equal; small things on white paper, some of the
    drawings copies; more drawings than held-out pictures, and fewer; many of all."""
    chance = generator(seed, "generalization.copy_test")

    def flat(*grays: int) -> Tensor:
        return torch.tensor(grays, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 1, 3).contiguous()

    def things(count: int) -> Tensor:
        """Patches of one color, of any size and place, on white paper of 6 × 6 pixels."""
        pictures = torch.full((count, 6, 6, 3), 255, dtype=torch.uint8)
        for picture in pictures:
            top, left = torch.randint(4, (2,), generator=chance).tolist()
            height, width = torch.randint(1, 5, (2,), generator=chance).tolist()
            picture[top : top + height, left : left + width] = torch.randint(220, (3,), generator=chance).to(
                torch.uint8
            )
        return pictures

    base = int(torch.randint(10, 60, (), generator=chance))
    train, drawn, unseen = things(6), things(5), things(3)
    return [
        {"generated": flat(base, base + 20), "train": flat(base), "heldout": flat(base + 10, base + 20)},
        {
            "generated": flat(base + 90, base + 130, base + 5),
            "train": flat(base, base + 100),
            "heldout": flat(base + 90, base + 115, base + 130, base + 40, base + 62),
        },
        {"generated": drawn, "train": train, "heldout": unseen},
        {"generated": things(4), "train": things(3), "heldout": things(5)},
        {"generated": torch.cat([train[[4, 1]], things(2)]), "train": train, "heldout": things(7)},
        {"generated": things(12), "train": things(20), "heldout": things(9)},
    ]


def _share(far: Tensor, null: Tensor) -> float:
    return float(((far[:, None] < null).double() + 0.5 * (far[:, None] == null).double()).mean())


def uses_a_fixed_threshold(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """How near is too near depends on the data: compare with the distances of held-out pictures, in all pairs."""
    far, nearest = nearest_distances(generated, train)
    return float((far < 0.01).double().mean()), nearest.numpy()


def counts_no_ties(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Two equal distances are half a win."""
    far, nearest = nearest_distances(generated, train)
    return float((far[:, None] < heldout_distances(heldout, train)).double().mean()), nearest.numpy()


def counts_ties_as_wins(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Two equal distances are half a win, not a whole one."""
    far, nearest = nearest_distances(generated, train)
    return float((far[:, None] <= heldout_distances(heldout, train)).double().mean()), nearest.numpy()


def turns_the_share_around(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """It is the share of pairs in which the *drawing* is nearer: more copies, a larger share."""
    far, nearest = nearest_distances(generated, train)
    return 1 - _share(far, heldout_distances(heldout, train)), nearest.numpy()


def compares_with_the_mean(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Compare each drawing with each held-out picture, not with the mean of their distances."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train).mean()[None]), nearest.numpy()


def compares_with_the_median(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """A median is one held-out picture; all of them count: compare each drawing with each."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train).median()[None]), nearest.numpy()


def compares_with_the_nearest_of_the_held_out(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """All held-out pictures count: compare each drawing with each of them."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train).min()[None]), nearest.numpy()


def compares_with_the_farthest_of_the_held_out(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """All held-out pictures count: compare each drawing with each of them."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train).max()[None]), nearest.numpy()


def compares_both_means(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """A ratio of two means is no share of pairs, and a single far picture moves it. Count pairs."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float(null.mean() / (null.mean() + far.mean())), nearest.numpy()


def says_only_whether_drawings_are_nearer(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """A yes or no hides how often. Return the share of all pairs in which the drawing is nearer."""
    far, nearest = nearest_distances(generated, train)
    return float(far.mean() < heldout_distances(heldout, train).mean()), nearest.numpy()


def compares_distances_to_all_of_training(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """A copy is near to one training picture, and as far from the others as anything: only the nearest one counts."""
    far, null = (drawn_distances(pictures, train).flatten() for pictures in (generated, heldout))
    return _share(far, null), nearest_distances(generated, train)[1].numpy()


def looks_held_out_pictures_up_among_themselves(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """A picture that is in the gallery is its own nearest, at distance 0. Look held-out ones up in `train` alone."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, nearest_distances(heldout, np.concatenate([train, heldout]))[0]), nearest.numpy()


def goes_in_step(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """All pairs: each drawing with each held-out picture, not the first with the first."""
    far, nearest = nearest_distances(generated, train)
    null, both = heldout_distances(heldout, train), min(len(generated), len(heldout))
    wins = (far[:both] < null[:both]).double() + 0.5 * (far[:both] == null[:both]).double()
    return float(wins.mean()), nearest.numpy()


def counts_drawings_that_beat_any(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Divide the number of pairs by the number of all pairs, G · M, not by that of the drawings."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train)) * len(heldout), nearest.numpy()


def counts_white_paper(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Over all pixels every small thing on white is near to every other: `nearest_distances` leaves white out."""
    far, nearest = pixel_distances(generated, train).min(1)
    return _share(far, pixel_distances(heldout, train).min(1).values), nearest.numpy()


def wraps_around(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """uint8 has no numbers below 0: 10 − 20 is 246 there. Let `nearest_distances` do it, or turn pictures to floats."""

    def distances(pictures: Pictures) -> Tensor:
        off = (pictures[:, None] - train[None]).astype(np.float64) / 255
        return torch.from_numpy((off**2).mean((2, 3, 4)))

    far, nearest = distances(generated).min(1)
    return _share(far, distances(heldout).min(1).values), nearest.numpy()


def compares_drawings_with_the_held_out(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Both distances are to *training* pictures. How near a drawing is to held-out ones says nothing of copies."""
    far, nearest = nearest_distances(generated, train)
    return _share(far, nearest_distances(generated, heldout)[0]), nearest.numpy()


def finds_the_nearest_held_out_pictures(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """`nearest` are rows of `train`: the second part of `nearest_distances(generated, train)`."""
    far, _ = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train)), nearest_distances(generated, heldout)[1].numpy()


def finds_what_is_nearest_to_the_held_out(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """`nearest` is about drawings: of the two things that `nearest_distances(generated, train)` gives, the second."""
    far, _ = nearest_distances(generated, train)
    null, nearest = nearest_distances(heldout, train)
    return _share(far, null), nearest.numpy()


def finds_the_drawings_nearest_to_training(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """`nearest` has a row of `train` for each drawing, in their order; you sorted the drawings."""
    far, _ = nearest_distances(generated, train)
    return _share(far, heldout_distances(heldout, train)), far.argsort(stable=True).numpy()


def pair_by_pair(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Right: two loops."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train).tolist()
    wins = [1.0 if own < other else 0.5 if own == other else 0.0 for own in far.tolist() for other in null]
    return sum(wins) / len(wins), nearest.numpy()


def by_signs(generated: Pictures, train: Pictures, heldout: Pictures) -> Answer:
    """Right: the sign of the difference is 1, 0 or −1."""
    far, nearest = nearest_distances(generated, train)
    signs = np.sign(heldout_distances(heldout, train).numpy() - far.numpy()[:, None])
    return float((1 + signs).mean() / 2), nearest.numpy()


HINTS = (
    "Two lists of distances to training: of drawings, and of pictures that nobody can have copied. In how many of all "
    "pairs is the first the smaller one?",
    "far[:, None] < null compares each with each, [G, M]. Its mean is the share of wins; where both are equal, half of "
    "one is added.",
    """\
def copy_test(generated, train, heldout):
    far, nearest = nearest_distances(generated, train)
    null = ...
    wins = (far[:, None] < ...).double() + ...
    return float(wins.mean()), nearest.numpy()
""",
)

EXERCISE = Exercise(
    id="generalization.copy_test",
    points=3,
    minutes=15,
    stars=2,
    reference=copy_test,
    cases=cases,
    wrong=(
        uses_a_fixed_threshold,
        counts_no_ties,
        counts_ties_as_wins,
        turns_the_share_around,
        compares_with_the_mean,
        compares_with_the_median,
        compares_with_the_nearest_of_the_held_out,
        compares_with_the_farthest_of_the_held_out,
        compares_both_means,
        says_only_whether_drawings_are_nearer,
        compares_distances_to_all_of_training,
        looks_held_out_pictures_up_among_themselves,
        goes_in_step,
        counts_drawings_that_beat_any,
        counts_white_paper,
        wraps_around,
        compares_drawings_with_the_held_out,
        finds_the_nearest_held_out_pictures,
        finds_what_is_nearest_to_the_held_out,
        finds_the_drawings_nearest_to_training,
    ),
    also_right=(pair_by_pair, by_signs),
    hints=HINTS,
    reaches="nearest_copies",
    forbid=("nearer", "copy_interval"),
    probe=probe_copy_test,
    tolerance=1e-6,
)

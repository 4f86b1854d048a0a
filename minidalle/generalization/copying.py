"""Does a model draw, or does it copy? Whether drawn pictures are nearer to the training pictures than unseen ones are.

That a drawing has a near neighbor in the training data says little: so have pictures that no model has drawn. How near
is too near is what held-out pictures tell. If nothing is copied, and both are pictures of the same kind of thing, a
drawing is the nearer one of the two in half of all pairs: the null is ½. Who copies a share c and draws the rest like
new gets c + (1 − c) / 2.

**Which held-out pictures?** The null is ½ only for those that training could have been given just as well: `iid`, of
the rows whose captions were drawn. Pictures of the other splits are further away from training, because their like was
taken out of it: a model that draws what it knows instead is nearer than they are, without having copied anything. So
drawings of *any* split are compared with `iid` when the question is copying, and then more than ½ says that there is
some, but less does not say that there is none; compared with the pictures of their own split, they answer another
question: are they as new as what was asked for? And a drawing has been through the VQGAN, which blurs: real pictures of
the same rows after reconstruction, as `generated`, show what share of the distance from ½ that alone makes.
"""

import numpy as np
import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.evaluation.bootstrap import DRAWS, Estimate, estimate
from minidalle.evaluation.distances import pixel_distances

BATCH = 256  # pictures looked up at a time
WHITE = 240  # a pixel is background if none of its colors is darker: what a VQGAN paints is not quite white


def copy_test(generated: np.ndarray, train: np.ndarray, heldout: np.ndarray) -> tuple[float, np.ndarray]:
    """How often a drawn picture is nearer to the training pictures than a held-out one is: ½ by chance.

    `nearest_distances(pictures, train)` has each picture's distance to the training picture nearest to
    it, [B], and which one that is, [B]; `heldout_distances(heldout, train)` has the distances alone.
    Distances 0, 2 of drawn pictures and 1, 2 of held-out ones: of the four pairs 0 < 1, 0 < 2 and not
    2 < 1; 2 = 2 counts half → 2.5 / 4 = 0.625.

    Args:
        generated: uint8 [G, S, S, 3].
        train: uint8 [R, S, S, 3].
        heldout: uint8 [M, S, S, 3], of the kind that was drawn, none of them in `train`.

    Returns:
        The share of all G · M pairs, and `nearest`, int64 [G], the row of `train` nearest to each drawn
        picture. After Meehan et al. 2020, "A non-parametric test to detect data-copying in generative
        models", section 3, without its cells.

    Raises:
        InvalidValue: pictures of other kinds or sizes, none of them, or a held-out picture that is in
            `train`.
    """
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_interval(
    generated: np.ndarray,
    train: np.ndarray,
    heldout: np.ndarray,
    groups: np.ndarray,
    heldout_groups: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """The share of `copy_test` with a 95 % interval, from a bootstrap over whole groups, such as roles.

    Both samples are uncertain, and rows of a role are alike, on both sides. So every picture stands for what it adds
    to the share: a drawn one for the share of pairs that it wins, a held-out one for the share that it loses (the
    first-order, or Hájek, parts of the two-sample statistic). The training pictures are taken as given.

    Args:
        generated: uint8 [G, S, S, 3].
        train: uint8 [R, S, S, 3].
        heldout: uint8 [M, S, S, 3].
        groups: [G], what the drawn pictures that are alike share.
        heldout_groups: [M], the same of the held-out ones, with the same names.
        draws: how many times the groups are drawn.
        seed: of the draws.

    Returns:
        The estimate, its ends within [0, 1]. Source: van der Vaart 1998, "Asymptotic statistics", chapter 12.

    Raises:
        InvalidValue: see `copy_test`; or the groups are not one for each picture.
    """
    for name, own, pictures in (("groups", groups, generated), ("heldout_groups", heldout_groups, heldout)):
        require(len(own) == len(pictures), name, f"{len(own)} of them", f"{len(pictures)}, one for each picture")
    far, _ = nearest_distances(generated, train)
    wins = nearer(far, heldout_distances(heldout, train))
    share, count = wins.mean(), sum(wins.shape)
    parts = [share + (side - share) * count / len(side) for side in (wins.mean(1), wins.mean(0))]
    found = estimate(torch.cat(parts).numpy(), np.concatenate([groups, heldout_groups]), draws, seed)
    assert found is not None  # no share is NaN
    low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in (found.low, found.high))
    return Estimate(float(share), low, high, len(generated))


def nearer(far: Tensor, null: Tensor) -> Tensor:
    """Which of the first distances are below which of the others: [G], [M] → float64 [G, M], ½ where both are equal."""
    return (far[:, None] < null).double() + (far[:, None] == null).double() / 2


def heldout_distances(heldout: np.ndarray, train: np.ndarray) -> Tensor:
    """How far held-out pictures are from the training picture nearest to each: float64 [M].

    Raises:
        InvalidValue: a picture is in `train`: it would be its own nearest, and nothing could be nearer than that.
    """
    far, _ = nearest_distances(heldout, train, name="heldout")
    known = {picture.tobytes() for picture in train}
    row = next((row for row, picture in enumerate(heldout) if picture.tobytes() in known), None)
    require(row is None, "heldout", f"row {row}", "pictures that are not in train")
    return far


def nearest_distances(pictures: np.ndarray, train: np.ndarray, name: str = "generated") -> tuple[Tensor, Tensor]:
    """The distance to the nearest training picture, and its row, of equals the first: float64 [B] and int64 [B].

    See `drawn_distances`.

    Raises:
        InvalidValue: `pictures`, called `name`, or `train` are not uint8 [B, S, S, 3] of the same size, or empty.
    """
    _require_pictures("train", train)
    _require_pictures(name, pictures)
    require(pictures.shape[1:] == train.shape[1:], name, pictures.shape, f"[B, {', '.join(map(str, train.shape[1:]))}]")
    parts = [drawn_distances(pictures[start : start + BATCH], train).min(1) for start in range(0, len(pictures), BATCH)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def drawn_distances(pictures: np.ndarray, others: np.ndarray) -> Tensor:
    """The mean squared error over what is drawn: the pixels that are not white in at least one of the two pictures.

    Over all pixels any small thing on white is near to any other, and nearest to all is the empty page.

    Args:
        pictures: uint8 [B, S, S, 3].
        others: uint8 [R, S, S, 3].

    Returns:
        float64 [B, R], of colors in [0, 1]; 0 for two empty pages.
    """
    (here, clean), (there, others) = _drawn(pictures), _drawn(others)
    either = here.sum(1)[:, None] + there.sum(1) - here @ there.T
    return pixel_distances(clean, others) * here.shape[1] / either.clamp(min=1)


def _drawn(pictures: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """Where something is drawn, float64 [B, S · S], 1 or 0; and the pictures with all else quite white."""
    drawn = (pictures < WHITE).any(-1, keepdims=True)
    mask = torch.from_numpy(drawn.reshape(len(pictures), -1)).double()
    return mask, np.where(drawn, pictures, np.uint8(255))


def _require_pictures(name: str, pictures: np.ndarray) -> None:
    require(isinstance(pictures, np.ndarray), name, type(pictures).__name__, "a NumPy array")
    require(pictures.dtype == np.uint8, name, str(pictures.dtype), "uint8, as `minidalle.data.pixels.to_pixels` makes")
    require(pictures.ndim == 4 and pictures.shape[-1] == 3, name, pictures.shape, "[B, S, S, 3]")
    require(pictures.size > 0, name, f"{len(pictures)} pictures", "1 or more")

"""Can a model learn by heart? Captions that say nothing about their pictures leave nothing else to learn.

Zhang et al. 2017, "Understanding deep learning requires rethinking generalization": a model that fits random labels as
well could have fitted everything by heart, so that a low training loss alone proves nothing. The held-out rows keep
their captions: what a model of shuffled ones makes of them is what pictures can be guessed without reading.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from minidalle.data.pictures import CaptionedPictures
from minidalle.errors import require
from minidalle.runtime import generator


def shuffle_captions(captions: Sequence[str], splits: Sequence[str], seed: int = 0) -> list[int]:
    """Give every training row the caption of another one, once and for all: none keeps its words.

    ["cat", "cat", "dog", "pig", "fox"], the last one held out, the others in "train" → for example
    [3, 2, 1, 0, 4]: both cats get other words, and nobody gets the fox's. A cat that got the other cat's
    caption would have kept its words. So the training rows are put in a random order, and those of equal
    captions are brought together. If the most frequent caption has m of them, each row gets the caption
    of the row m places after it; after the last comes the first, which is far enough, as no caption has
    more than half of the rows. Other ways are right, too, if no row keeps its words and the order depends
    on the seed alone: the same in every epoch, and another one for another seed.

    Args:
        captions: R of them.
        splits: R names; rows of other splits than "train" keep their captions.
        seed: of the order.

    Returns:
        R rows: row r gets `captions[order[r]]`. Every row occurs once. Source: Zhang et al. 2017,
        section 2.

    Raises:
        InvalidValue: the lengths differ, fewer than two rows are in "train", or more than half of them
            have the same caption, so that some would keep it in any order.
    """
    require(len(splits) == len(captions), "splits", f"{len(splits)} rows", f"{len(captions)}, one for each caption")
    train = [row for row, split in enumerate(splits) if split == "train"]
    require(len(train) >= 2, "splits", f"{len(train)} rows in train", "2 or more")
    chance = generator(seed, "shuffled captions")
    shuffled = [train[place] for place in torch.randperm(len(train), generator=chance).tolist()]
    caption, most = Counter(captions[row] for row in shuffled).most_common(1)[0]
    few = 2 * most <= len(train)
    require(few, "captions", f"{caption} ({most} of {len(train)} rows)", "no caption on more than half of the rows")
    first: dict[str, int] = {}  # the place where a caption is met first
    shuffled.sort(key=lambda row: first.setdefault(captions[row], len(first)))
    order = list(range(len(captions)))
    for row, other in zip(shuffled, shuffled[most:] + shuffled[:most], strict=True):
        order[row] = other
    return order


def with_shuffled_captions(pictures: CaptionedPictures, seed: int = 0) -> CaptionedPictures:
    """A data set whose training rows have each other's captions; see `shuffle_captions`.

    What is known of a caption (its role, its style, other words for it: all columns) goes with it, so that nothing that
    training makes of the columns gives the picture away. Pictures and splits stay.
    """
    order = np.array(shuffle_captions(pictures.captions, pictures.splits.tolist(), seed))
    captions = [pictures.captions[row] for row in order]
    return replace(
        pictures, captions=captions, columns={name: column[order] for name, column in pictures.columns.items()}
    )

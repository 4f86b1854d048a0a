"""Pictures that need no drawing: what the model has to beat, each found among the real ones."""

from collections.abc import Sequence

import numpy as np
import torch

from minidalle.data.pictures import CaptionedPictures
from minidalle.evaluation.distances import pixel_distances
from minidalle.evaluation.retrieval import caption_similarity
from minidalle.runtime import numpy_generator

BATCH = 256  # rows looked up at a time


def random_rows(count: int, pictures: CaptionedPictures, seed: int = 0) -> np.ndarray:
    """Any real pictures, drawn with replacement: int64 [count]."""
    return numpy_generator(seed, "random pictures").integers(len(pictures), size=count)


def nearest_training_rows(rows: np.ndarray, pictures: CaptionedPictures) -> np.ndarray:
    """For each row the picture of `train` that comes nearest to its own, without being equal to it.

    It is an oracle: it looks at the answer. What copies from training can never come nearer than this.

    Args:
        rows: int64 [B].
        pictures: the data set.

    Returns:
        int64 [B].
    """
    train, found = pictures.rows("train"), []
    for start in range(0, len(rows), BATCH):
        far = pixel_distances(pictures.pictures[rows[start : start + BATCH]], pictures.pictures[train])
        found.append(train[far.masked_fill(far == 0, float("inf")).argmin(1).numpy()])
    return np.concatenate(found)


def nearest_caption_rows(
    captions: Sequence[str], pictures: CaptionedPictures, rows: np.ndarray | None = None
) -> np.ndarray:
    """For each caption the row of `train` whose caption is most alike, by TF-IDF; of equals the first.

    Args:
        captions: B of them.
        pictures: the data set.
        rows: int64 [B], the rows that the captions are of, which are not to find themselves; None for other captions.

    Returns:
        int64 [B].
    """
    train = pictures.rows("train")
    alike = caption_similarity(captions, [pictures.captions[row] for row in train])
    if rows is not None:
        alike[torch.from_numpy(rows[:, None] == train)] = -1.0
    return train[alike.argmax(1).numpy()]

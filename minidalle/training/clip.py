"""How a CLIP is trained: each picture finds its caption among those of the batch, and each caption its picture."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from minidalle.clip import Clip, Judge, clip_loss, found_among
from minidalle.data.batches import batch_rows, thin_rows
from minidalle.data.keywords import reword_row, without_style
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import sheet, to_floats
from minidalle.runtime import autocast, generator, numpy_generator, stream_seed
from minidalle.training.averaging import Average
from minidalle.training.config import ClipTraining
from minidalle.training.distributed import Ranks
from minidalle.training.gradients import compiled
from minidalle.training.optimizers import Optimizers
from minidalle.training.snapshots import below, flatten

DEV_ROWS = 1024  # of `dev` that are measured, at most: all of them meet each other


class ClipStage:
    """The CLIP's training, as the loop wants it.

    Args:
        config: its settings.
        judge: the model with its first weights, and its tokenizer.
        pictures: the data set.
        seed: of every random draw.
        ranks: this process among those that train together. The batch that a picture meets is that of all ranks.
    """

    name = "clip"

    def __init__(self, config: ClipTraining, judge: Judge, pictures: CaptionedPictures, seed: int, ranks: Ranks):
        self.config, self.clip, self.pictures, self.seed, self.ranks = config, judge.clip, pictures, seed, ranks
        self.tokenizer, self.device = judge.tokenizer, judge.device
        self.rows = pictures.rows("train") if config.rows == "train" else np.arange(len(pictures))
        self.thin = thin_rows(pictures.toned[self.rows], config.thin_toned)
        self.clip.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
        self.shared = ranks.share(compiled(self.clip, config.compile))
        self.optimizers = Optimizers(self.clip, config, elsewhere=("tokens", "positions", "projection"))
        self.average = Average(self.clip, config.average)

    def step(self, n: int) -> dict[str, float]:
        """Take step `n`: one batch, shared by the ranks; only dropout depends on how many they are."""
        torch.manual_seed(stream_seed(self.seed, "clip", n, self.ranks.rank))
        self.clip.train()
        with autocast(self.device, self.config.precision):
            image_vectors, text_vectors, scale = self.shared(*self._batch(n))
        loss = clip_loss(gather(image_vectors, self.ranks), gather(text_vectors, self.ranks), scale)
        loss.backward()
        length = self.optimizers.clip()
        rate = self.optimizers.step(n)
        self.average.update(self.clip, n)
        numbers = self.ranks.mean({"loss": loss, "scale": scale, "gradient_norm": length})
        return {**numbers, "learning_rate": rate}

    def batch_name(self, n: int) -> str:
        """The first captions of the batch of step `n`, with their rows."""
        return self.pictures.named(self._batch_rows(n))

    def evaluate(self) -> dict[str, float]:
        """The loss on `dev` as one batch, and R@1 among 101 captions. Every rank does all of it: it is little.

        The averaged weights are measured. `recall_at_1_seen` is the name where `dev` was trained on.
        """
        image_vectors, text_vectors = self._vectors(self._dev_rows())
        loss = clip_loss(image_vectors, text_vectors, self._steady.scale().detach())
        recall = found_among(image_vectors, text_vectors).float().mean()
        label = "recall_at_1_seen" if self.config.rows == "all" else "recall_at_1"
        return {"dev_loss": loss.item(), f"dev_{label}": recall.item()}

    def sample(self) -> np.ndarray:
        """Sixteen pictures of `dev`, above the picture of `dev` that each one's caption finds."""
        rows = self._dev_rows()
        image_vectors, text_vectors = self._vectors(rows)
        found = rows[(text_vectors[:16] @ image_vectors.T).argmax(dim=1).cpu().numpy()]
        return sheet(self.pictures.pictures[np.concatenate([rows[:16], found])], columns=len(rows[:16]), scale=2)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights and optimizer state."""
        return flatten(model=self.clip.state_dict(), average=self._steady.state_dict(),
                       optimizer=self.optimizers.tensors())  # fmt: skip

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        self.clip.load_state_dict(below(tensors, "model"))
        self._steady.load_state_dict(below(tensors, "average"))
        self.optimizers.restore(below(tensors, "optimizer"))

    @property
    def _steady(self) -> Clip:
        return self.average.model

    def _batch_rows(self, n: int) -> np.ndarray:
        return batch_rows(self.rows, self.config.batch_size, self.seed, n, self.thin)

    def _batch(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """text, mask and pictures of step `n`: some captions said otherwise, pictures moved and made noisy."""
        stream = ("clip batch", n, 0)  # drawn for the whole batch, then shared
        words, chance = numpy_generator(self.seed, *stream), generator(self.seed, *stream)
        rows, share = self._batch_rows(n), self.ranks.part
        text, mask = self.tokenizer.encode_batch(share([self._caption(row, words) for row in rows]))
        longest = int(mask.sum(1).max())
        pictures = to_floats(self.pictures.pictures[share(rows)])
        offsets = torch.randint(2 * self.config.shift + 1, (len(rows), 2), generator=chance) - self.config.shift
        pictures = shift_pictures(pictures, share(offsets))
        noise = torch.randn(len(rows), *pictures.shape[1:], generator=chance)
        pictures = pictures + self.config.noise * share(noise)
        pictures = pictures.to(self.device, memory_format=torch.channels_last)
        return text[:, :longest].to(self.device), mask[:, :longest].to(self.device), pictures

    def _caption(self, row: int, chance: np.random.Generator) -> str:
        """The caption of a row: as it is, in other words, or without its style."""
        lot, caption = chance.random() - self.config.reword, self.pictures.captions[row]
        if lot >= 0:
            return without_style(caption) if lot < self.config.style_dropout else caption
        if "keywords" not in self.pictures.columns:
            return caption
        return reword_row(self.pictures.columns, row, chance)

    @torch.no_grad()
    def _vectors(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Vectors of the pictures and captions of some rows, by the averaged weights, each [M, E]."""
        text, mask = self.tokenizer.encode_batch([self.pictures.captions[row] for row in rows])
        pictures = to_floats(self.pictures.pictures[rows], self.device)
        return self._steady.encode_image(pictures), self._steady.encode_text(text.to(self.device), mask.to(self.device))

    def _dev_rows(self) -> np.ndarray:
        return self.pictures.rows("dev")[:DEV_ROWS]


def shift_pictures(pictures: Tensor, offsets: Tensor) -> Tensor:
    """Move each picture by whole pixels; the pixels of its edge fill what becomes free.

    Args:
        pictures: [B, 3, H, W].
        offsets: long [B, 2], how far each one moves down and to the right.

    Returns:
        [B, 3, H, W].
    """
    batch, _, height, width = pictures.shape
    rows = (torch.arange(height) - offsets[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) - offsets[:, 1:]).clamp(0, width - 1)
    moved = pictures.permute(0, 2, 3, 1)[torch.arange(batch)[:, None, None], rows[:, :, None], columns[:, None]]
    return moved.permute(0, 3, 1, 2)


def gather(vectors: Tensor, ranks: Ranks) -> Tensor:
    """The vectors of all ranks, in the order of the ranks: [B, E] → [ranks · B, E].

    The loss over them is the same on every rank, but each rank has gradients for its own vectors alone. They
    are made as many times larger as there are ranks, since DDP averages what it ought to add.
    """
    return vectors if ranks.size == 1 else _Gather.apply(vectors, ranks)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, vectors: Tensor, ranks: Ranks) -> Tensor:
        context.ranks = ranks
        gathered = vectors.new_zeros(ranks.size, *vectors.shape)
        gathered[ranks.rank] = vectors
        return ranks.sum(gathered).flatten(0, 1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ranks = context.ranks
        return ranks.size * gradients[0].chunk(ranks.size)[ranks.rank], None

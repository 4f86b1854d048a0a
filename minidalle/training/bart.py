"""How the BART is trained: each image token from the caption and the tokens before it."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.bart import Bart, Running, corrupt_tokens, drop_captions, sequence_loss, shift_right
from minidalle.data.batches import batch_rows, thin_rows
from minidalle.data.keywords import reword_row, without_style
from minidalle.data.pictures import CaptionedRows
from minidalle.data.pixels import sheet, to_pixels
from minidalle.data.tokens import TokenRows
from minidalle.errors import require
from minidalle.pipeline import TextToImage
from minidalle.runtime import autocast, generator, numpy_generator, stream_seed
from minidalle.sampling_config import SamplingConfig
from minidalle.training.averaging import Average
from minidalle.training.config import BartTraining
from minidalle.training.distributed import Ranks
from minidalle.training.gradients import add_gradients, compiled
from minidalle.training.optimizers import Optimizers
from minidalle.training.sharding import gathered, load_whole, put_together, split
from minidalle.training.snapshots import below, flatten

DRAFT_COLORS = 4.0
"""What the draft's mean colors count while it learns without the decoder: their squared error falls to about 0.02 where
its tokens cost 3 nats, and would hardly be heard beside them."""


class BartObjective(nn.Module):
    """The losses as one module, so that DDP sees every use of the weights."""

    def __init__(self, bart: Bart) -> None:
        super().__init__()
        self.bart = bart

    def forward(self, text: Tensor, mask: Tensor, image_in: Tensor, image: Tensor, colors: Tensor, drafting: bool
    ) -> dict[str, Tensor]:  # fmt: skip
        """The losses of a batch, by name.

        Args:
            text: long [B, T].
            mask: bool [B, T].
            image_in: long [B, N], the decoder's input.
            image: long [B, N], the targets.
            colors: float [B, N, 3], the cells' mean colors.
            drafting: leave the decoder out, and ask the draft for the tokens instead.

        Returns:
            `nats` or `draft_nats` per token, and `draft_mse` if the model has a draft.
        """
        memory = self.bart.encode(text, mask)
        if not self.bart.config.draft_width:
            return {"nats": sequence_loss(self.bart.decode(memory, mask, image_in), image)}
        draft = self.bart.draft(memory, mask)
        color_loss = F.mse_loss(draft.colors.float(), colors)
        if drafting:
            return {"draft_nats": sequence_loss(self.bart.draft_logits(draft.cells), image), "draft_mse": color_loss}
        logits = self.bart.decode(memory, mask, image_in, draft)
        return {"nats": sequence_loss(logits, image), "draft_mse": color_loss}


class BartStage:
    """The BART's training, as the loop wants it.

    Args:
        config: its settings.
        bart: the model, with its first weights.
        pictures: the data set, for its splits and captions.
        tokens: the same rows, encoded.
        codec: a tokenizer and VQGAN to draw samples with; its own BART is not used.
        seed: of every random draw.
        ranks: this process among those that train together.
        shard: split the model over the ranks, see `minidalle.training.sharding`.

    Raises:
        InvalidValue: there are steps for a draft that the model does not have; or it cannot be split.
    """

    name = "bart"

    def __init__(
        self,
        config: BartTraining,
        bart: Bart,
        pictures: CaptionedRows,
        tokens: TokenRows,
        codec: TextToImage,
        seed: int,
        ranks: Ranks,
        shard: bool = False,
    ) -> None:
        self.config, self.bart, self.pictures, self.tokens = config, bart, pictures, tokens
        self.codec, self.seed, self.ranks = codec, seed, ranks
        self.rows = pictures.rows("train")
        self.thin = thin_rows(pictures.toned[self.rows], config.thin_toned)
        self.device = next(bart.parameters()).device
        self.null = torch.tensor(codec.tokenizer.encode(""))
        drafts = bart.config.draft_width > 0
        require(
            drafts or not config.draft_steps,
            "draft_steps",
            config.draft_steps,
            "0 for a BART without a draft",
        )
        require(not (config.calibrate and bart.config.tied), "calibrate", True, "False for a tied BART")
        muon = shard and config.optimizer == "muon"
        require(not muon, "--shard-model", True, "optimizer='adamw': Muon needs whole matrices")
        require(not (shard and config.compile), "compile", True, "False with --shard-model")
        self.shard = shard
        self._copy: Bart | None = None
        self.average = Average(bart, config.average)  # before: what is split cannot be copied
        self.running = Running(recompute=config.checkpoint_activations)
        objective = compiled(BartObjective(bart), config.compile)
        self.objective = split(objective, ranks) if shard else ranks.share(objective, unused=drafts)
        if shard:
            split(self.average.model, ranks)
        self.optimizers = Optimizers(bart, config, elsewhere=("tokens", "positions", "head", "drafter"))

    def step(self, n: int) -> dict[str, float]:
        """Take step `n`: one batch, shared by the ranks.

        What is drawn for the batch is the same for any number of ranks. What the model's dropout leaves out is the
        one exception: each rank draws it for its own rows.
        """
        torch.manual_seed(stream_seed(self.seed, "bart", n, self.ranks.rank))
        self._copy = None
        self.bart.train()
        self.bart.running = self.running.allowed()
        drafting = n < self.config.draft_steps

        def losses(part: tuple[Tensor, ...]) -> dict[str, Tensor]:
            with autocast(self.device, self.config.precision):
                found = self.objective(*part, drafting)
            if drafting:
                return {"loss": found["draft_nats"] + DRAFT_COLORS * found["draft_mse"], **found}
            return {"loss": found["nats"] + self.config.draft_weight * found.get("draft_mse", 0.0), **found}

        numbers = add_gradients(self.objective, self._batch(n), self.config.accumulate, losses)
        numbers["gradient_norm"] = self.optimizers.clip()
        rate = self.optimizers.step(n)
        self.average.update(self.bart, n)
        return {**self.ranks.mean(numbers), "learning_rate": rate}

    def batch_name(self, n: int) -> str:
        """The first captions of the batch of step `n`, with their rows."""
        return self.pictures.named(self._batch_rows(n))

    def evaluate(self) -> dict[str, float]:
        """Nats per token on `dev`, of the averaged weights."""
        rows = self.ranks.part(self.pictures.rows("dev"))
        total = row_nats(self.steady, self.tokens, rows).sum(dtype=torch.float64)
        total, count = self.ranks.sum(torch.stack([total, total.new_tensor(len(rows))])).tolist()
        return {"dev_loss": total / count / self.tokens.image.shape[1]}

    def sample(self) -> np.ndarray:
        """Sixteen captions of `dev`: the real pictures above the drawn ones."""
        rows = self.pictures.rows("dev")[:16]
        pipeline = TextToImage(self.codec.tokenizer, self.codec.vqgan, self.steady)
        sampling = SamplingConfig(temperature=0.5, guidance=2.0)
        drawn = to_pixels(pipeline.draw([self.pictures.captions[row] for row in rows], range(len(rows)), sampling))
        return sheet(np.concatenate([self.pictures.pictures[rows], drawn]), columns=len(rows), scale=2)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights and optimizer state."""
        states = flatten(model=self.bart.state_dict(), average=self.average.model.state_dict(),
                         optimizer=self.optimizers.tensors())  # fmt: skip
        return gathered(states, self.ranks)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        load_whole(self.bart, below(tensors, "model"))
        load_whole(self.average.model, below(tensors, "average"))
        self.optimizers.restore(below(tensors, "optimizer"))
        self._copy = None

    @property
    def steady(self) -> Bart:
        """The averaged model. Where it is split, a whole copy: all ranks must ask for it at once after a step."""
        if not self.shard:
            return self.average.model
        if self._copy is None:
            with torch.device("meta"):
                copy = Bart(self.bart.config)
            self._copy = put_together(self.average.model, copy).eval().requires_grad_(False)
        return self._copy

    def _batch_rows(self, n: int) -> np.ndarray:
        return batch_rows(self.rows, self.config.batch_size, self.seed, n, self.thin)

    def _batch(self, n: int) -> tuple[Tensor, ...]:
        """text, mask, image_in, image and colors of this rank's rows of step `n`, with captions dropped or reworded.

        Lots are drawn for all rows of the step, and then shared.
        """
        chance, share = generator(self.seed, "bart batch", n, 0), self.ranks.part
        rows = torch.from_numpy(self._batch_rows(n))
        text, mask = self._text(n, rows)
        image, before = self.tokens.image[share(rows)], self.tokens.image[share(rows.roll(1))]
        null_text, null_mask = torch.zeros_like(text[0]), torch.zeros_like(mask[0])
        null_text[: len(self.null)], null_mask[: len(self.null)] = self.null, True
        keep = torch.rand(len(rows), generator=chance) >= self.config.caption_dropout
        text, mask = drop_captions(text, mask, null_text, null_mask, share(keep))
        longest = int(mask.sum(1).max())
        rate = self.config.token_noise * torch.rand(len(rows), 1, generator=chance)
        replace = torch.rand(len(rows), image.shape[1], generator=chance) < rate
        image_in = shift_right(corrupt_tokens(image, before, share(replace)), self.bart.config.start_token)
        batch = (text[:, :longest], mask[:, :longest], image_in, image, self.tokens.colors[share(rows)])
        return tuple(part.to(self.device) for part in batch)

    def _text(self, n: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Text tokens and mask of this rank's share of the rows of step `n`.

        Some captions lose their style or, after the draft's steps, their words.
        """
        reworded = self.config.reword if n >= self.config.draft_steps and "keywords" in self.pictures.columns else 0.0
        chance = numpy_generator(self.seed, "words", n, 0)
        lots = chance.random(len(rows))
        captions = {
            place: reword_row(self.pictures.columns, int(rows[place]), chance)
            if lots[place] < reworded
            else without_style(self.pictures.captions[rows[place]])
            for place in np.flatnonzero(lots < reworded + self.config.style_dropout)
        }
        places = self.ranks.part(np.arange(len(rows)))
        text, mask = self.tokens.text[rows[places]], self.tokens.text_mask[rows[places]]  # copies, no views
        if changed := [place for place in places if place in captions]:
            own = np.array(changed) - places[0]
            text[own], mask[own] = self.codec.tokenizer.encode_batch([captions[place] for place in changed])
        return text, mask


@torch.no_grad()
def row_nats(bart: Bart, tokens: TokenRows, rows: np.ndarray) -> Tensor:
    """How surprised a BART is by whole pictures: the negative log-likelihood of each row's image tokens.

    Args:
        bart: in eval mode.
        tokens: the data set.
        rows: int64 [M], which of its rows.

    Returns:
        float [M], in nats per picture; divide by N for nats per token.
    """
    surprise = [torch.zeros(0)]  # a rank may have no rows of a small split
    for logits, image in row_logits(bart, tokens, rows):
        surprise.append(F.cross_entropy(logits.transpose(1, 2), image, reduction="none").sum(1).cpu())
    return torch.cat(surprise)


def row_logits(
    bart: Bart, tokens: TokenRows, rows: np.ndarray, batch_size: int = 128
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a BART predicts for some rows from their captions and true tokens, batch by batch.

    Gives:
        logits, float [B, N, V], and the image tokens, long [B, N].
    """
    device = next(bart.parameters()).device
    for start in range(0, len(rows), batch_size):
        part = torch.from_numpy(rows[start : start + batch_size])
        mask = tokens.text_mask[part]
        longest = int(mask.sum(1).max())
        text, mask, image = (x.to(device) for x in (tokens.text[part, :longest], mask[:, :longest], tokens.image[part]))
        yield bart(text, mask, shift_right(image, bart.config.start_token)).float(), image

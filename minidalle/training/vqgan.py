"""How the VQGAN is trained: reconstruct pictures through a codebook, and later convince a discriminator."""

import numpy as np
import torch
from torch import Tensor

from minidalle.data.batches import batch_rows, thin_rows
from minidalle.data.pictures import CaptionedPictures
from minidalle.data.pixels import pictures_at_once, sheet, to_floats, to_pixels
from minidalle.runtime import autocast, generator
from minidalle.training.adversary import Adversary
from minidalle.training.averaging import Average
from minidalle.training.config import VQGANTraining
from minidalle.training.distributed import Ranks
from minidalle.training.gradients import apart, checkpointed, compiled
from minidalle.training.optimizers import Optimizers
from minidalle.training.snapshots import below, flatten
from minidalle.vqgan import VQGAN, VQGANConfig, VQGANOutput
from minidalle.vqgan.autoencoder import Level, Middle
from minidalle.vqgan.losses import LossWeights, psnr, reconstruction_loss
from minidalle.vqgan.quantizer import code_statistics, codebook_usage

KMEANS_PICTURES = 512  # that the codebook starts from: 32 k latents at 64 tokens each
KMEANS_PIXELS = KMEANS_PICTURES * 128**2  # that are encoded at a time: larger pictures would not fit into a GPU at once
RESTART_CANDIDATES = 256  # latents of a batch that dead codes may restart at


class VQGANStage:
    """The VQGAN's training, as the loop wants it.

    Args:
        config: its settings.
        vqgan: the model, with its first weights.
        pictures: the data set.
        seed: of every random draw.
        ranks: this process among those that train together.
    """

    name = "vqgan"

    def __init__(self, config: VQGANTraining, vqgan: VQGAN, pictures: CaptionedPictures, seed: int, ranks: Ranks):
        self.config, self.vqgan, self.pictures, self.seed, self.ranks = config, vqgan, pictures, seed, ranks
        self.rows = pictures.rows("train")
        self.thin = thin_rows(pictures.toned[self.rows], config.thin_toned)
        self.device = next(vqgan.parameters()).device
        self.vqgan.to(memory_format=fast_format(vqgan.config, self.device))  # type: ignore[call-overload]  # no stubs
        self.weights = LossWeights(config.l1_weight, config.mse_weight, config.gradient_weight)
        self.average = Average(vqgan, config.average)
        if config.checkpoint_activations:
            checkpointed(vqgan, (Level, Middle))
        if config.compile and config.discriminator_start is not None:
            apart(vqgan.decoder.last)  # whose gradients `adaptive_weight` compares
        self.shared = ranks.share(compiled(vqgan, config.compile))
        self.optimizers = Optimizers(vqgan, config, elsewhere=("codebook",))
        self.adversary = Adversary(config, self.device, ranks, seed) if config.discriminator_start is not None else None
        self.counts = torch.zeros(vqgan.config.codes, device=self.device)  # how often this epoch used each code
        self.usage: tuple[float, ...] = ()  # of the last whole epoch

    def step(self, n: int) -> dict[str, float]:
        """Take step `n`: one batch, shared by the ranks. What is drawn is drawn for the whole batch."""
        chance = generator(self.seed, "vqgan", n, 0)
        self.vqgan.train()
        if n == self.config.unquantized:
            self._start_codebook(n)
        pictures = self._load(self._rows(n))
        if self.config.flip:
            mirrored = torch.rand(self.config.batch_size, 1, 1, 1, generator=chance) < 0.5
            pictures = torch.where(self.ranks.part(mirrored).to(self.device), pictures.flip(-1), pictures)
        with autocast(self.device, self.config.precision):
            output = self.shared(pictures, n >= self.config.unquantized)
        reconstructed = output.pictures.float()
        reconstruction = reconstruction_loss(reconstructed, pictures, self.weights)
        loss = reconstruction + output.commitment
        if n < self.config.unquantized:
            loss = loss + 0 * output.quantized.sum()  # DDP wants every parameter in every step, a codebook too
        decibels = psnr(reconstructed.detach().clamp(0, 1), pictures).clamp(max=100).mean()
        numbers = {"loss": loss, "commitment": output.commitment, "psnr": decibels}
        if self.adversary:
            opinion, said = self.adversary.judge(n, pictures, reconstructed, reconstruction, self.vqgan.last_layer)
            loss, numbers = loss + opinion, numbers | said
        loss.backward()
        numbers["gradient_norm"] = self.optimizers.clip()
        rate = self.optimizers.step(n)
        restarted = self._follow(n, output, chance) if n >= self.config.unquantized else 0
        self.average.update(self.vqgan, n)
        read = {**self.ranks.mean(numbers), "learning_rate": rate, "restarted": restarted}
        return {**read, **self._usage(n)}

    def batch_name(self, n: int) -> str:
        """The first captions of the batch of step `n`, with their rows."""
        return self.pictures.named(self._batch_rows(n))

    def evaluate(self) -> dict[str, float]:
        """How well the averaged weights reconstruct `dev`."""
        rows = self.ranks.part(self.pictures.rows("dev"))
        total = torch.zeros(3, dtype=torch.float64)  # on the CPU: not every GPU has float64
        batch = pictures_at_once(self.vqgan.config.image_size, 64)
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            pictures = self._load(part)
            drawn = reconstruct(self._steady, pictures)
            loss = reconstruction_loss(drawn, pictures, self.weights)
            decibels = psnr(drawn, pictures).clamp(max=100).sum()  # a perfect picture would be infinitely good
            total += torch.stack([loss * len(part), decibels, loss.new_tensor(len(part))]).cpu().double()
        loss_sum, decibels, count = self.ranks.sum(total).tolist()
        return {"dev_loss": loss_sum / count, "dev_psnr": decibels / count}

    def sample(self) -> np.ndarray:
        """Sixteen pictures of `dev`, above their reconstructions."""
        rows = self.pictures.rows("dev")[:16]
        drawn = to_pixels(reconstruct(self._steady, self._load(rows)))
        return sheet(np.concatenate([self.pictures.pictures[rows], drawn]), columns=len(rows), scale=2)

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights, optimizer state, the epoch's code counts, and the discriminator's."""
        adversary = self.adversary.tensors() if self.adversary else {}
        return flatten(
            model=self.vqgan.state_dict(),
            average=self._steady.state_dict(),
            optimizer=self.optimizers.tensors(),
            adversary=adversary,
            epoch={"counts": self.counts, "usage": torch.tensor(self.usage, dtype=torch.float64)},
        )

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        self.vqgan.load_state_dict(below(tensors, "model"))
        self._steady.load_state_dict(below(tensors, "average"))
        self.optimizers.restore(below(tensors, "optimizer"))
        epoch = below(tensors, "epoch")
        self.counts.copy_(epoch["counts"])
        self.usage = tuple(epoch["usage"].tolist())
        if self.adversary:
            self.adversary.restore(below(tensors, "adversary"))

    @property
    def _steady(self) -> VQGAN:
        return self.average.model

    def _batch_rows(self, n: int) -> np.ndarray:
        return batch_rows(self.rows, self.config.batch_size, self.seed, n, self.thin)

    def _rows(self, n: int) -> np.ndarray:
        return self.ranks.part(self._batch_rows(n))

    def _load(self, rows: np.ndarray) -> Tensor:
        return to_floats(self.pictures.pictures[rows], self.device)

    @torch.no_grad()
    def _start_codebook(self, n: int) -> None:
        """k-means over the latents of a few hundred pictures, the same on every rank; then all take rank 0's codes."""
        chance = generator(self.seed, "codebook")
        pictures = torch.randperm(len(self.rows), generator=chance)[:KMEANS_PICTURES]
        parts = pictures.split(pictures_at_once(self.vqgan.config.image_size, KMEANS_PICTURES, KMEANS_PIXELS))
        latents = torch.cat([self.vqgan.latents(self._load(self.rows[part.numpy()])).flatten(0, 1) for part in parts])
        order = torch.randperm(len(latents), generator=chance).to(self.device)
        self.vqgan.quantize.initialize(latents, order)
        self.ranks.follow_first(*self.vqgan.quantize.state_dict().values())  # GPUs do not all add in the same order

    @torch.no_grad()
    def _follow(self, n: int, output: VQGANOutput, chance: torch.Generator) -> int:
        """Let an EMA codebook follow the latents of all ranks; returns how many codes were restarted."""
        codes = self.vqgan.config.codes
        counts, sums = code_statistics(output.latents, output.tokens, codes)
        self.counts += self.ranks.sum(counts)
        if not self.vqgan.config.ema_decay:
            return 0
        latents = output.latents.detach().flatten(0, 1)
        chosen = torch.randperm(self.ranks.size * len(latents), generator=chance)[:RESTART_CANDIDATES]
        chosen = chosen.to(self.device) - self.ranks.rank * len(latents)  # places in this rank's share, if they are
        own = (chosen >= 0) & (chosen < len(latents))
        candidates = latents.new_zeros(len(chosen), latents.shape[1])
        candidates[own] = latents[chosen[own]]
        self.ranks.sum(sums)
        self.ranks.sum(candidates)
        order = torch.randperm(len(candidates), generator=generator(self.seed, "restart", n)).to(self.device)
        return self.vqgan.quantize.update(counts, sums, candidates, order)

    def _usage(self, n: int) -> dict[str, float]:
        """Codes used over the last whole epoch, and their perplexity; counts begin anew with each epoch."""
        size = self.config.batch_size
        epoch_ends = (n + 1) * size // len(self.rows) > n * size // len(self.rows)
        if epoch_ends and n >= self.config.unquantized:
            self.usage = codebook_usage(self.counts)
            self.counts.zero_()
        return dict(zip(("codes_used", "perplexity"), self.usage, strict=False))


def fast_format(config: VQGANConfig, device: torch.device) -> torch.memory_format:
    """The order of numbers in memory that trains faster: channels last, but with group norms on a CPU, where the way
    back through one in bf16 takes 35 times as long in that order."""
    return torch.contiguous_format if config.groups and device.type == "cpu" else torch.channels_last


@torch.no_grad()
def reconstruct(vqgan: VQGAN, pictures: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] through tokens and back, clamped to [0, 1]."""
    return vqgan.decode(vqgan.encode(pictures))

"""The discriminator's side of the VQGAN's training: it starts late, is heard later, and never outshouts the pixels."""

import torch
from torch import Tensor

from minidalle.runtime import stream_seed
from minidalle.training.config import StageConfig, VQGANTraining
from minidalle.training.distributed import Ranks
from minidalle.training.optimizers import Optimizers
from minidalle.training.snapshots import below, flatten
from minidalle.vqgan import Discriminator
from minidalle.vqgan.losses import adaptive_weight, generator_loss, hinge_loss

Numbers = dict[str, Tensor]


class Adversary:
    """A discriminator that learns beside the VQGAN.

    Until `discriminator_start` it is not there. Then it learns, alone, for `discriminator_warmup` steps; only after
    that does the VQGAN hear it, with a weight that keeps its pull on the decoder's last layer at
    `discriminator_weight` times that of the reconstruction (Esser et al. 2021, section 3.1).
    """

    def __init__(self, config: VQGANTraining, device: torch.device, ranks: Ranks, seed: int) -> None:
        self.config, self.ranks = config, ranks
        torch.manual_seed(stream_seed(seed, "discriminator"))
        self.discriminator = Discriminator(config.discriminator).to(device)
        self.shared = ranks.share(self.discriminator)
        settings = StageConfig(steps=config.steps, batch_size=config.batch_size, warmup=0, hold=1.0,
                               learning_rate=config.discriminator_learning_rate, betas=(0.5, 0.9))  # fmt: skip
        self.optimizers = Optimizers(self.discriminator, settings, elsewhere=())

    def judge(
        self, n: int, pictures: Tensor, reconstructed: Tensor, reconstruction: Tensor, last_layer: Tensor
    ) -> tuple[Tensor, Numbers]:
        """Learn from a batch, and say what the VQGAN should add to its loss.

        Args:
            n: the step.
            pictures: float [B, 3, H, W], real.
            reconstructed: float [B, 3, H, W], with a gradient to the VQGAN.
            reconstruction: the loss of the reconstruction, a scalar with a gradient.
            last_layer: the decoder's last weight.

        Returns:
            A scalar, 0 before the discriminator is heard, and numbers for the log, scalars.
        """
        silent = reconstruction.new_zeros(())
        start = self.config.discriminator_start
        if start is None or n < start:
            return silent, {}
        numbers = {"discriminator_loss": self._learn(n, pictures, reconstructed.detach())}
        if n < start + self.config.discriminator_warmup:
            return silent, numbers
        self.discriminator.requires_grad_(False)
        opinion = generator_loss(self.discriminator(reconstructed))
        self.discriminator.requires_grad_(True)
        pixels_pull, opinion_pull = (  # of the whole batch: a mean of the ranks' own lengths would be longer
            self.ranks.sum(torch.autograd.grad(loss, last_layer, retain_graph=True)[0]) / self.ranks.size
            for loss in (reconstruction, opinion)
        )
        weight = adaptive_weight(pixels_pull, opinion_pull)
        numbers |= {"generator_loss": opinion, "adaptive_weight": weight}
        return self.config.discriminator_weight * weight * opinion, numbers

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state."""
        return flatten(model=self.discriminator.state_dict(), optimizer=self.optimizers.tensors())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        self.discriminator.load_state_dict(below(tensors, "model"))
        self.optimizers.restore(below(tensors, "optimizer"))

    def _learn(self, n: int, real: Tensor, fake: Tensor) -> Tensor:
        verdicts = self.shared(torch.cat([real, fake]))
        of_real, of_fake = verdicts.chunk(2)
        loss = hinge_loss(of_real, of_fake)
        loss.backward()
        self.optimizers.clip()
        self.optimizers.step(n)
        return loss.detach()

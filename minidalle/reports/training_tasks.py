"""What a training step is timed on: shapes, made-up batches that are the same for all, and their arithmetic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minidalle.bart import BartConfig
from minidalle.presets import CPU, DALLE_MINI, GPU, TINY
from minidalle.vqgan import VQGANConfig

SHAPES = {"tiny": TINY.bart, "cpu": CPU.bart, "gpu": GPU.bart, "mini": DALLE_MINI.bart}
BATCHES = {"cpu": {"tiny": 4, "cpu": 64, "gpu": 16, "mini": 4}, "cuda": {"tiny": 4, "cpu": 64, "gpu": 128, "mini": 32}}
"""Pictures of a step, by the kind of device."""

VQGANS = {
    "tiny": VQGANConfig(image_size=32, channels=32, attention_sizes=(2,), latent_width=8, code_width=8, codes=16),
    "cpu": VQGANConfig(image_size=64, channels=32, attention_sizes=(4,), latent_width=64, code_width=64, codes=1024),
    "cuda": VQGANConfig(),
}  # fmt: skip
"""The published layout: as it is for a GPU, narrower for a CPU."""


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """A shape, where it is trained, pictures of a step, and how often it is timed: so many runs of so many steps."""

    shape: str
    device: torch.device
    batch: int
    steps: int
    runs: int
    compiled: bool = False

    @property
    def bart(self) -> BartConfig:
        """The BART's shape, without the draft and the dropout: other people's have none."""
        return replace(SHAPES[self.shape], draft_width=0, dropout=0.0)

    @property
    def vqgan(self) -> VQGANConfig:
        """The VQGAN's shape."""
        return VQGANS["tiny" if self.shape == "tiny" else "cuda" if self.device.type == "cuda" else "cpu"]

    @property
    def vqgan_batch(self) -> int:
        """Pictures of a step of the VQGAN."""
        return min(self.batch, 8)

    def asked(self, config: BartConfig | VQGANConfig, batch: int) -> dict[str, Any]:
        """All of it as plain values, for another process."""
        own = {"start": config.start_token, "image_vocab": config.image_vocab} if isinstance(config, BartConfig) else {}
        return {**asdict(config), **own, "device": str(self.device), "threads": torch.get_num_threads(),
                "batch": batch, "steps": self.steps, "runs": self.runs}  # fmt: skip


def caption_lengths(asked: dict[str, Any]) -> tuple[int, int]:
    """Captions have from a sixth to a half of the text tokens that there is room for, as those of the emoji do."""
    return max(1, asked["text_length"] // 6), max(2, asked["text_length"] // 2)


def captions(asked: dict[str, Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """Made-up captions: text long [B, T] and mask bool [B, T], as long as the longest, which is as long as may be."""
    chance, (shortest, longest) = torch.Generator().manual_seed(0), caption_lengths(asked)
    text = torch.randint(3, asked["text_vocab"], (asked["batch"], longest), generator=chance)
    lengths = torch.randint(shortest, longest + 1, (asked["batch"],), generator=chance)
    lengths[0] = longest
    return text.to(device), (torch.arange(longest) < lengths[:, None]).to(device)


def image_tokens(asked: dict[str, Any], device: torch.device) -> Tensor:
    """Made-up image tokens, long [B, N]."""
    chance = torch.Generator().manual_seed(1)
    return torch.randint(asked["image_codes"], (asked["batch"], asked["image_length"]), generator=chance).to(device)


def random_pictures(asked: dict[str, Any], device: torch.device) -> Tensor:
    """Made-up pictures, float [B, 3, S, S] in [0, 1]."""
    chance = torch.Generator().manual_seed(2)
    return torch.rand(asked["batch"], 3, asked["image_size"], asked["image_size"], generator=chance).to(device)


def bart_step_flops(config: BartConfig, batch: int, text: int) -> int:
    """Multiplications and additions in the matrix products of a step: forward, and twice as many on the way back.

    Attention counts for all pairs, also those that a mask hides; what runs again to save memory does not count.

    Args:
        config: the shape.
        batch: B.
        text: text tokens of each row, T, padding included.
    """
    width, image = config.width, config.image_length
    forward = (3 if config.glu else 2) * width * config.hidden
    encoder = text * (4 * width**2 + forward) + 2 * text**2 * width
    decoder = image * (6 * width**2 + forward) + text * 2 * width**2 + 2 * image * (image + text) * width
    head = image * width * config.image_vocab
    return 6 * batch * (config.encoder_layers * encoder + config.decoder_layers * decoder + head)


@contextmanager
def gigabytes(device: torch.device) -> Iterator[Callable[[], float | None]]:
    """Asks for the most memory that was taken on a GPU within the block; None elsewhere."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None

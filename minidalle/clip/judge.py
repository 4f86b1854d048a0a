"""A judge: a CLIP with its tokenizer, so that it can be asked in words; and drawing with its help."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.checkpoint import load_model, save_model
from minidalle.clip.config import ClipConfig
from minidalle.clip.contrast import rerank
from minidalle.clip.model import Clip
from minidalle.errors import require
from minidalle.pipeline import TextToImage
from minidalle.runtime import pick_device, stream_seed
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer

BATCH = 256  # captions or pictures judged at a time


class Chooser(Protocol):
    """Whoever can say how well pictures fit captions."""

    def similarity(self, captions: Sequence[str], pictures: Tensor) -> Tensor:
        """See `Judge.similarity`."""


class Judge:
    """Says how well a picture fits a caption.

    The judge that chooses among drawings must not be the one that measures them: what is chosen to please a
    judge does please it, whether or not it got better.

    Args:
        tokenizer: captions → text tokens.
        clip: tokens and pictures → vectors.

    Raises:
        InvalidValue: the two do not fit each other.
    """

    def __init__(self, tokenizer: Tokenizer, clip: Clip) -> None:
        for name, size, room in (
            ("tokenizer vocab_size", tokenizer.vocab_size, clip.config.text_vocab),
            ("tokenizer text_length", tokenizer.config.text_length, clip.config.text_length),
        ):
            require(size <= room, name, size, f"at most {room} (CLIP's)")
        self.tokenizer, self.clip = tokenizer, clip.eval()

    @torch.no_grad()
    def text_vectors(self, captions: Sequence[str]) -> Tensor:
        """B captions → vectors of length 1, float [B, E]."""
        text, mask = self.tokenizer.encode_batch(captions)
        parts = zip(text.to(self.device).split(BATCH), mask.to(self.device).split(BATCH), strict=True)
        return torch.cat([self.clip.encode_text(*part) for part in parts])

    @torch.no_grad()
    def image_vectors(self, pictures: Tensor) -> Tensor:
        """Pictures, float [B, 3, H, W] in [0, 1] → vectors of length 1, float [B, E].

        They may have any size: the CLIP sees the mean of what each of its pixels covers.
        """
        side = self.clip.config.image_size
        parts = (part.to(self.device) for part in pictures.split(BATCH))
        return torch.cat([self.clip.encode_image(F.adaptive_avg_pool2d(part, side)) for part in parts])

    def similarity(self, captions: Sequence[str], pictures: Tensor) -> Tensor:
        """How well each picture fits the caption of the same place: cosines, float [B], from −1 to 1."""
        require(len(captions) == len(pictures), "captions", len(captions), f"one per picture: {len(pictures)}")
        return (self.text_vectors(captions) * self.image_vectors(pictures)).sum(dim=1)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.clip.log_scale.device

    def to(self, device: torch.device | str) -> "Judge":
        """Move the model; a device's name is one for `pick_device`, as "auto"."""
        self.clip.to(pick_device(device) if isinstance(device, str) else device)
        return self

    def save(self, folder: Path | str, dtype: torch.dtype | None = None) -> None:
        """Write `tokenizer/` and `clip.safetensors` to a folder for `load_judge`; see `save_model` for `dtype`."""
        folder = Path(folder)
        self.tokenizer.save(folder / "tokenizer")
        save_model(folder / "clip.safetensors", self.clip, self.clip.config, dtype)


def load_judge(folder: Path | str, device: torch.device | str = "cpu") -> Judge:
    """Read a judge that `Judge.save` or a training wrote; its numbers become float32.

    Args:
        folder: where it is.
        device: where to put it: a torch.device, or a name for `pick_device`, as "auto".

    Raises:
        CheckpointError: a part is missing or damaged.
        InvalidValue: this machine has no such device.
    """
    clip = load_model(Path(folder) / "clip.safetensors", lambda **fields: Clip(ClipConfig(**fields)))
    return Judge(Tokenizer.load(Path(folder) / "tokenizer"), clip).to(device)


def draw_best(
    pipeline: TextToImage,
    judge: Chooser,
    captions: Sequence[str],
    seeds: Sequence[int],
    sampling: SamplingConfig,
    candidates: int,
) -> Tensor:
    """Draw each caption several times, and keep the drawing that the judge finds closest to it.

    Args:
        pipeline: draws.
        judge: chooses.
        captions: B of them.
        seeds: one per picture; its first candidate is what `pipeline.draw` gives for it, and the seeds of the
            others follow from it alone. So a picture is the same in any batch, and one candidate is no choice.
        sampling: temperature, filters and guidance.
        candidates: C, how often each caption is drawn.

    Returns:
        Pictures, float [B, 3, H, W] in [0, 1]. Source: Ramesh et al. 2021, section 2.6.
    """
    require(candidates >= 1, "candidates", candidates, "1 or more")
    drawn = [pipeline.draw(captions, _candidate_seeds(seeds, nth), sampling) for nth in range(candidates)]
    if candidates == 1:
        return drawn[0]
    similarity = torch.stack([judge.similarity(captions, pictures) for pictures in drawn], dim=1)
    best = rerank(similarity, 1)[:, 0].to(drawn[0].device)
    return torch.stack(drawn)[best, torch.arange(len(best), device=best.device)]


def _candidate_seeds(seeds: Sequence[int], nth: int) -> list[int]:
    return [stream_seed(seed, "candidate", nth) if nth else seed for seed in seeds]

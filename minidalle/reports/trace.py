"""The course's map: one caption followed through every stage, on one page: shapes, tokens and pictures."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidalle.bart.sequences import shift_right
from minidalle.data.pixels import to_floats, to_pixels
from minidalle.data.tokens import cell_colors
from minidalle.errors import require
from minidalle.pipeline import TextToImage
from minidalle.reports.page import write_page
from minidalle.sampling import guide
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer
from minidalle.tokenization.bpe import BYTE_OF
from minidalle.tokenization.config import MASK_TOKEN, PAD, SPECIAL_TOKENS

SHARES = (0, 25, 50, 75, 100)  # percent of the tokens, at which the growing picture is shown
CODES = 16  # codes shown alone
CHOICES = 6  # codes shown that a token could have been
BATCH = 16  # pictures decoded at a time

# White, and a blue and an orange that color-blind readers can tell apart (Okabe and Ito)
WHITE, BLUE, ORANGE = (np.array(color) for color in ((255, 255, 255), (0, 114, 178), (213, 94, 0)))


class Piece(NamedTuple):
    """A text token: its id, what to call it, and the bytes it stands for (None for a special token)."""

    id: int
    name: str
    content: bytes | None


class Cell(NamedTuple):
    """A square of a grid: what stands in it, its color and that of its writing, and what it says if asked."""

    label: str
    color: str
    ink: str
    title: str


def write_trace(
    out: Path,
    pipeline: TextToImage,
    caption: str,
    seed: int,
    sampling: SamplingConfig,
    real: np.ndarray | None = None,
    split: str | None = None,
) -> Path:
    """Draw a caption and write the page that shows how: a file that needs no other.

    Args:
        out: the page.
        pipeline: what draws.
        caption: what to draw.
        seed: the picture's.
        sampling: temperature, filters and guidance.
        real: a real picture of this caption, uint8 [S, S, 3] at the VQGAN's size, to be shown beside.
        split: the split that the real picture is in, if known.

    Returns:
        The page's path.

    Raises:
        InvalidValue: the real picture has another size.
        CheckpointError: the page cannot be written.
    """
    side = pipeline.vqgan.config.image_size
    fits = real is None or real.shape == (side, side, 3)
    require(fits, "real", None if real is None else real.shape, f"[{side}, {side}, 3]")
    with torch.inference_mode():
        text, mask = pipeline.encode_text([caption])
        tokens = pipeline.predict(text, mask, [seed], sampling)
        values = {
            **_caption_values(pipeline.tokenizer, caption),
            **_reading_values(pipeline, text, mask),
            **_writing_values(pipeline, text, mask, tokens, sampling.guidance),
            **_picture_values(pipeline, tokens, real),
        }
    return write_page(out, "trace.html", caption=caption, seed=seed, sampling=sampling, split=split,
                      bart=pipeline.bart.config, vqgan=pipeline.vqgan.config, **values)  # fmt: skip


def text_pieces(tokenizer: Tokenizer, caption: str) -> list[Piece]:
    """A caption's text tokens, `<s>` and `</s>` included, however many there are."""
    symbols = {id: symbol for symbol, id in tokenizer.vocab.items()}
    pieces = []
    for id in tokenizer.encode(caption):
        if symbols[id] in (*SPECIAL_TOKENS, MASK_TOKEN):
            pieces.append(Piece(id, symbols[id], None))
        else:
            content = bytes(BYTE_OF[character] for character in symbols[id])
            pieces.append(Piece(id, _readable(content), content))
    return pieces


def token_probabilities(
    pipeline: TextToImage, text: Tensor, mask: Tensor, tokens: Tensor, guidance: float = 1.0
) -> Tensor:
    """What the BART expected at every place of a picture, given the tokens before it: all places in one pass.

    Args:
        pipeline: whose BART to ask.
        text: long [1, T].
        mask: bool [1, T].
        tokens: long [1, N], the picture's.
        guidance: as in `SamplingConfig`; temperature and filters are left out.

    Returns:
        float [N, K]; the row of a place sums to 1.
    """
    bart, codes = pipeline.bart, pipeline.bart.config.image_codes
    image_in = shift_right(tokens, bart.config.start_token)
    logits = bart(text, mask, image_in)
    if guidance != 1:
        logits = guide(logits, bart(*pipeline.encode_text([""]), image_in), guidance)
    return logits[0, :, :codes].float().softmax(-1)


def growing_pictures(pipeline: TextToImage, tokens: Tensor) -> list[np.ndarray]:
    """The picture after each share of its tokens, uint8 [S, S, 4]: what is not yet drawn is transparent.

    The decoder needs all N tokens, so those to come are, for now, the tokens of an all-white picture.
    """
    config = pipeline.vqgan.config
    side = config.image_size
    blank = pipeline.vqgan.encode(torch.ones(1, 3, side, side, device=tokens.device))
    places = torch.arange(config.tokens, device=tokens.device)
    drawn = torch.stack([places < round(config.tokens * share / 100) for share in SHARES])
    pictures = to_pixels(pipeline.decode_image(torch.where(drawn, tokens, blank)))
    cells = drawn.reshape(-1, config.grid, config.grid).cpu().numpy()
    seen = cells.repeat(config.factor, 1).repeat(config.factor, 2)[..., None].astype(np.uint8) * 255
    return list(np.concatenate([pictures, seen], axis=-1))


def paint_codes(pipeline: TextToImage, codes: list[int]) -> dict[int, np.ndarray]:
    """What each code paints where it has the whole picture to itself: code → uint8 [S, S, 3]."""
    grids = torch.tensor(codes, device=pipeline.device).unsqueeze(1).expand(-1, pipeline.vqgan.config.tokens)
    painted = [to_pixels(pipeline.decode_image(some)) for some in grids.split(BATCH)]
    return dict(zip(codes, np.concatenate(painted), strict=True))


def _caption_values(tokenizer: Tokenizer, caption: str) -> dict[str, Any]:
    """The caption as bytes and as tokens; every byte with the token it becomes part of, None if cut off."""
    pieces = text_pieces(tokenizer, caption)
    length = tokenizer.config.text_length
    kept = pieces if len(pieces) <= length else [*pieces[: length - 1], pieces[-1]]
    plain = [piece for piece in pieces if piece.content is not None]
    homes = [number for number, piece in enumerate(plain) for _ in piece.content or b""]
    whole, shown = tokenizer.decode(piece.id for piece in pieces), len(kept) - 2
    byte_homes = iter(zip(whole.encode(), (home if home < shown else None for home in homes), strict=True))
    characters = [
        (_readable(character.encode()), [next(byte_homes) for _ in character.encode()]) for character in whole
    ]
    return {"normalized": whole, "characters": characters, "byte_count": len(homes), "pieces": kept,
            "cut": len(pieces) - len(kept), "padding": length - len(kept), "pad": PAD,
            "vocab_size": tokenizer.vocab_size}  # fmt: skip


def _reading_values(pipeline: TextToImage, text: Tensor, mask: Tensor) -> dict[str, Any]:
    """What the encoder made of the caption: a strip for each real token; and the draft, if there is one."""
    memory = pipeline.bart.encode(text, mask)
    real = memory[0, mask[0]].float()
    strips = two_sided((real / (2.5 * real.std().clamp(min=1e-6))).cpu().numpy())
    grid, draft = pipeline.bart.config.grid, None
    if pipeline.bart.config.draft_width:
        colors = pipeline.bart.draft(memory, mask).colors
        draft = to_pixels(colors.transpose(1, 2).unflatten(-1, (grid, grid)))[0]
    return {"text_shape": list(text.shape), "strips": strips, "draft": draft}


def _writing_values(
    pipeline: TextToImage, text: Tensor, mask: Tensor, tokens: Tensor, guidance: float
) -> dict[str, Any]:
    """The image tokens, how sure the BART was of each, its hardest choice, and the picture as it grows."""
    expected = token_probabilities(pipeline, text, mask, tokens, guidance)
    sure = expected.gather(1, tokens[0].unsqueeze(1)).squeeze(1)
    hardest = int(expected.max(dim=1).values.argmin())  # where even the likeliest token was unlikely
    ids = tokens[0].tolist()
    likely = expected[hardest].argsort(descending=True)[:CHOICES].tolist()
    choices = likely if ids[hardest] in likely else [*likely, ids[hardest]]
    common = Counter(ids).most_common(CODES)
    paints = paint_codes(pipeline, sorted({*dict(common), *choices}))
    return {
        "ids": _id_cells(pipeline, tokens),
        "sure": [_sure(place, chance) for place, chance in enumerate(sure.tolist())],
        "mean_chance": float(sure.log().mean().exp()), "nats": float(-sure.log().mean()),
        "hardest": hardest, "drawn_code": ids[hardest],
        "choices": [(code, float(expected[hardest, code]), paints[code]) for code in choices],
        "growing": list(zip(SHARES, growing_pictures(pipeline, tokens), strict=True)),
        "common": [(code, count, paints[code]) for code, count in common], "distinct": len(set(ids)),
    }  # fmt: skip


def _picture_values(pipeline: TextToImage, tokens: Tensor, real: np.ndarray | None) -> dict[str, Any]:
    """The picture; its cells' mean colors; and the real one, its tokens and what they decode to."""
    grid = pipeline.vqgan.config.grid

    def coarse(pictures: Tensor) -> np.ndarray:
        return to_pixels(cell_colors(pictures, grid**2).transpose(1, 2).unflatten(-1, (grid, grid)))[0]

    drawn = pipeline.decode_image(tokens)
    values = {"drawn": to_pixels(drawn)[0], "coarse": coarse(drawn), "real": real}
    if real is None:
        return values
    pictures = to_floats(real[None], pipeline.device)
    true = pipeline.vqgan.encode(pictures)
    return {**values, "again": to_pixels(pipeline.decode_image(true))[0], "real_coarse": coarse(pictures),
            "real_ids": _id_cells(pipeline, true), "same": (true == tokens)[0].tolist()}  # fmt: skip


def _id_cells(pipeline: TextToImage, tokens: Tensor) -> list[Cell]:
    """A cell for each of the tokens [1, N], in the mean color of what its code paints."""
    ids = tokens[0].tolist()
    own = {code: paint.mean((0, 1)) for code, paint in paint_codes(pipeline, sorted(set(ids))).items()}
    return [_cell(str(id), own[id], f"token {place}: code {id}") for place, id in enumerate(ids)]


def two_sided(values: np.ndarray) -> np.ndarray:
    """Numbers from −1 to 1 as colors from blue over white to orange, uint8 [..., 3]; others saturate."""
    values = np.clip(values, -1, 1)[..., None]
    return np.round(WHITE + np.abs(values) * (np.where(values < 0, BLUE, ORANGE) - WHITE)).astype(np.uint8)


def _sure(place: int, chance: float) -> Cell:
    label = "1" if chance > 0.995 else f"{chance:.2f}"[1:]
    return _cell(label, WHITE + chance * (BLUE - WHITE), f"token {place}: {chance:.1%}")


def _cell(label: str, color: np.ndarray, title: str) -> Cell:
    """A cell whose writing is black or white, whichever stands out more (WCAG 2.2, relative luminance)."""
    linear = np.where(color <= 10.3, color / 3294.6, ((color / 255 + 0.055) / 1.055) ** 2.4)
    light = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    ink = "#000" if (light + 0.05) ** 2 > 1.05 * 0.05 else "#fff"
    return Cell(label, "#" + bytes(np.round(color).astype(np.uint8)).hex(), ink, title)


def _readable(content: bytes) -> str:
    """Bytes as a person reads them: a space is ␣; what is no character on its own is as Python writes it."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in content)
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in text.replace(" ", "␣"))

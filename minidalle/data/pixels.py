"""Pictures as files and screens have them (uint8, channels last) and as models have them (float, channels first)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

PIXELS = 16 * 256**2  # that go through a VQGAN at a time: its published layout takes 2.5 GiB for them


def pictures_at_once(side: int, most: int, pixels: int = PIXELS) -> int:
    """How many pictures of S × S go through a model at a time: so many, or fewer large ones, of so many pixels."""
    return max(1, min(most, pixels // side**2))


def to_floats(pictures: np.ndarray, device: torch.device | None = None) -> Tensor:
    """uint8 [B, H, W, 3] → float [B, 3, H, W] in [0, 1], in the memory order that convolutions like."""
    own = np.require(pictures, requirements=["C", "W"])  # a copy of what is memory-mapped, nothing else
    return torch.from_numpy(own).to(device).permute(0, 3, 1, 2).float() / 255


def to_pixels(pictures: Tensor) -> np.ndarray:
    """float [B, 3, H, W] → uint8 [B, H, W, 3], rounded; what lies outside [0, 1] is clipped."""
    return (pictures.detach().float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def sheet(pictures: np.ndarray, columns: int, scale: int = 1, labels: Sequence[str] = ()) -> np.ndarray:
    """Lay pictures out on one white sheet, row by row.

    Args:
        pictures: uint8 [B, H, W, 3].
        columns: pictures per row.
        scale: how many pixels on the sheet each pixel's side takes.
        labels: words to write under each picture; none leaves no room for them.

    Returns:
        uint8 [rows · (H · scale + gap), …, 3].
    """
    pictures = pictures.repeat(scale, 1).repeat(scale, 2)
    count, height, width, _ = pictures.shape
    gap, caption = 2 * scale, 30 if labels else 0
    rows = -(-count // columns)
    page = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap + caption) + gap), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for i, picture in enumerate(pictures):
        left, top = gap + i % columns * (width + gap), gap + i // columns * (height + gap + caption)
        page.paste(Image.fromarray(picture), (left, top))
        if labels:
            words = _wrapped(labels[i], lambda line: draw.textlength(line, font) <= width)
            draw.multiline_text((left, top + height), words, fill="black", font=font, spacing=1)
    return np.asarray(page)


def _wrapped(words: str, fits: Callable[[str], bool]) -> str:
    """The words on at most two lines; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if fits(longer) or not lines[-1] else [*lines, word]
    if len(lines) > 2:
        lines = [lines[0], lines[1] + " …"]
    return "\n".join(lines)

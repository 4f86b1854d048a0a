"""Any drawing or photo → one square picture, uint8 [S, S, 3], on white."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from minidalle.data.pictures import Skipped

Drawing = tuple[str, str]  # its name and its SVG

WHITE = (255, 255, 255)


class UnreadablePicture(ValueError):
    """A drawing or picture that cannot be decoded. Its message names it and says why."""


def render_svg(svg: str, size: int, name: str = "drawing") -> np.ndarray:
    """Draw an SVG in a white square, centered, its aspect ratio kept.

    Args:
        svg: the SVG document.
        size: S, the square's side in pixels.
        name: what to call the drawing if it cannot be drawn.

    Returns:
        uint8 [S, S, 3]; no fonts are loaded, so that it is the same on every machine.

    Raises:
        UnreadablePicture: the SVG is corrupt, or draws nothing at all.
    """
    import resvg_py

    try:
        png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
        with Image.open(io.BytesIO(png)) as image:
            drawn = image.getchannel("A").getbbox() is not None
            picture = to_square(to_rgb(image), size)
    except (ValueError, OSError) as error:
        raise UnreadablePicture(f"{name}: {error}") from error
    if not drawn:
        raise UnreadablePicture(f"{name}: the SVG draws nothing")
    return picture


def render_some(size: int, drawings: Sequence[Drawing]) -> list[np.ndarray | Skipped]:
    """Draw several drawings; in the place of one that cannot be drawn stands why."""
    results: list[np.ndarray | Skipped] = []
    for name, svg in drawings:
        try:
            results.append(render_svg(svg, size, name))
        except UnreadablePicture as error:
            results.append(Skipped(name, str(error).removeprefix(f"{name}: ")))
    return results


def decode_picture(content: bytes, size: int) -> np.ndarray:
    """Read a picture file of any kind, mode and orientation; of an animation, the first picture.

    Args:
        content: the file's bytes.
        size: S, the side in pixels of the white square that the picture is fitted into.

    Returns:
        uint8 [S, S, 3].

    Raises:
        UnreadablePicture: the file is cut off, or no picture.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return to_square(to_rgb(ImageOps.exif_transpose(image)), size)
    except UnidentifiedImageError as error:
        raise UnreadablePicture("no picture of a known kind") from error
    except Exception as error:  # decoders raise errors of many kinds, and one bad file must not end a run
        raise UnreadablePicture(str(error) or type(error).__name__) from error


def to_rgb(image: Image.Image) -> np.ndarray:
    """A picture of any mode as plain RGB: what is transparent lies on white, 16 bits become 8.

    Args:
        image: a PIL image: RGB, RGBA, LA, greyscale of 1, 8 or 16 bits, palette with or without transparency,
            CMYK, YCbCr, …

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadablePicture: the mode has no known range of values (32-bit floats).
    """
    if image.mode == "F":
        raise UnreadablePicture("a picture of floats has no known range of values")
    if image.mode.startswith("I"):  # Pillow would clip 16-bit greys to 8 bits, not scale them
        grey = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*WHITE, 255)), image)
    return np.array(image.convert("RGB"))


def to_square(picture: np.ndarray, size: int) -> np.ndarray:
    """Fit a picture into a white square, centered, its aspect ratio kept.

    Args:
        picture: uint8 [H, W, 3].
        size: S, the square's side in pixels.

    Returns:
        uint8 [S, S, 3].
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    if (height, width) != picture.shape[:2]:
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
    square = np.full((size, size, 3), WHITE, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = picture
    return square

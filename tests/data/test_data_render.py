import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from minidalle.data import UnreadablePicture, render_svg, to_rgb
from minidalle.data.render import to_square

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def svg(body: str, box: str = "0 0 10 10") -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{body}</svg>'


def test_what_is_transparent_is_white() -> None:
    picture = render_svg(svg('<rect width="5" height="10" fill="red"/><rect x="5" width="5" height="5" '
                             'fill="red" fill-opacity="0.5"/>'), 20)  # fmt: skip
    assert picture.shape == (20, 20, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[15, 2]) == RED
    assert tuple(picture[15, 15]) == WHITE
    assert np.abs(picture[2, 15].astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize(
    ("box", "at"), [("0 0 10 5", (slice(8, 24), slice(None))), ("0 0 5 10", (slice(None), slice(8, 24)))]
)
def test_a_drawing_keeps_its_shape_in_the_middle(box: str, at: tuple[slice, slice]) -> None:
    expected = np.full((32, 32, 3), 255, np.uint8)
    expected[at] = RED
    assert np.array_equal(render_svg(svg('<rect width="10" height="10" fill="red"/>', box), 32), expected)


@pytest.mark.parametrize("bad", ["", "<svg", "a photo", svg(""), svg('<path d="M 0 0 L oops"/>')])
def test_a_corrupt_drawing_is_named(bad: str) -> None:
    with pytest.raises(UnreadablePicture, match=r"^red apple: ."):
        render_svg(bad, 32, "red apple")


def test_every_drawing_of_the_table_is_xml_and_needs_no_font(table: pa.Table) -> None:
    for text in table["svg"].to_pylist()[::7]:
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg")
        assert not any(element.tag.endswith(("}text", "}image")) for element in root.iter())


def half_and_half(mode: str) -> Image.Image:
    """A picture, in some mode, whose left half is red or grey and whose right half transparent or white."""
    image = Image.new("RGBA", (8, 4), (*RED, 255))
    image.paste((0, 255, 0, 0), (4, 0, 8, 4))
    if mode == "P transparent":
        palette = Image.new("P", (8, 4), 0)
        palette.putpalette([*RED, *GREEN])
        palette.paste(1, (4, 0, 8, 4))
        palette.info["transparency"] = 1
        return palette
    if mode == "L transparent":
        grey = Image.new("L", (8, 4), 76)
        grey.paste(3, (4, 0, 8, 4))
        grey.info["transparency"] = 3
        return grey
    flat = Image.new("RGB", (8, 4), WHITE)
    flat.paste(image, mask=image)
    if mode == "I;16":
        grey = np.asarray(flat.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(grey)
    return image.convert(mode) if mode in {"RGBA", "LA", "PA", "RGBa"} else flat.convert(mode)


COLOR = ("RGB", "RGBA", "RGBa", "P", "P transparent", "CMYK", "YCbCr", "HSV")
GREY = ("L", "LA", "L transparent", "I;16", "I")


@pytest.mark.parametrize("mode", [*COLOR, *GREY])
def test_every_mode_becomes_the_same_rgb(mode: str) -> None:
    image = half_and_half(mode)
    if mode == "I":
        image = Image.fromarray(np.asarray(half_and_half("I;16")).astype(np.int32))
    left = RED if mode in COLOR else (76, 76, 76)
    picture = to_rgb(image)
    assert picture.shape == (4, 8, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture[:, :4].astype(int) - left).max() <= 2
    assert np.abs(picture[:, 4:].astype(int) - WHITE).max() <= 2


def test_a_bilevel_picture_is_black_and_white() -> None:
    assert np.unique(to_rgb(half_and_half("RGB").convert("1", dither=Image.Dither.NONE))).tolist() == [0, 255]


def test_sixteen_bits_in_a_file_are_scaled_not_clipped() -> None:
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 32896, 65535]], np.uint16)).save(file, "png")
    assert to_rgb(Image.open(file))[0, :, 0].tolist() == [0, 128, 255]


def test_floats_have_no_range() -> None:
    with pytest.raises(UnreadablePicture, match="floats"):
        to_rgb(Image.new("F", (2, 2)))


def test_a_wide_picture_is_centered_on_white() -> None:
    square = to_square(np.zeros((10, 40, 3), np.uint8), 16)
    assert (square[6:10] == 0).all()
    assert (square[:6] == 255).all()
    assert (square[10:] == 255).all()


def test_a_very_long_picture_keeps_one_pixel() -> None:
    assert (to_square(np.zeros((1, 1000, 3), np.uint8), 16) == 0).any()
